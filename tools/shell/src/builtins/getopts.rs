//! `getopts`: the options of a script, one with each call.

use crate::run::Call;
use crate::stop::{Outcome, Stop};

/// Highest number of a word or a letter that `OPTIND` may name. A script can write anything into it.
const PLACE_MAX: usize = 1_000_000;

pub(super) async fn getopts(call: &mut Call<'_>) -> Outcome<u8> {
    let [options, name, more @ ..] = call.arguments else {
        return Err(Stop::usage("the options and a name are expected, as in `getopts ab: opt`"));
    };
    let words = if more.is_empty() { call.shell.positional.to_vec() } else { more.to_vec() };
    let place = call.shell.variables.get("OPTIND").unwrap_or_default();
    // `2:1` is the second letter of the second word: between two letters of a word, that is kept with the number.
    let (word, letter) = place.split_once(':').unwrap_or((&place, "1"));
    let place = |text: &str| text.parse().ok().filter(|place| *place <= PLACE_MAX).unwrap_or(1_usize);
    let (word, letter) = (place(word), place(letter));
    let current = words.get(word.max(1) - 1).filter(|word| word.len() > 1 && word.starts_with('-'));
    let Some(current) = current.filter(|word| *word != "--") else {
        let after = if words.get(word.max(1) - 1).is_some_and(|word| word == "--") { word + 1 } else { word };
        call.shell.assign("OPTIND", &after.to_string())?;
        call.shell.assign(name, "?")?;
        return Ok(1);
    };
    let letters: Vec<char> = current.chars().collect();
    let option = letters.get(letter).copied().unwrap_or('?');
    let is_last = letter + 1 >= letters.len();
    let is_silent = options.starts_with(':');
    let known = options
        .trim_start_matches(':')
        .split_once(option)
        .filter(|_| option != ':')
        .map(|(_, after)| after.starts_with(':'));
    let next_place = if is_last { (word + 1).to_string() } else { format!("{word}:{}", letter + 1) };
    match known {
        Some(false) => {
            call.shell.assign(name, &option.to_string())?;
            call.shell.variables.unset("OPTARG")?;
            call.shell.assign("OPTIND", &next_place)?;
        }
        Some(true) => {
            let attached: String = letters.iter().skip(letter + 1).collect();
            let value = if is_last { words.get(word).cloned() } else { Some(attached) };
            call.shell.assign("OPTIND", &(word + if is_last { 2 } else { 1 }).to_string())?;
            return with_value(call, name, option, value, is_silent).await;
        }
        None => {
            call.shell.assign(name, "?")?;
            call.shell.assign("OPTIND", &next_place)?;
            if is_silent {
                call.shell.assign("OPTARG", &option.to_string())?;
            } else {
                call.shell.variables.unset("OPTARG")?;
                call.complain(&format!("Illegal option -{option}")).await?;
            }
        }
    }
    Ok(0)
}

async fn with_value(
    call: &mut Call<'_>,
    name: &str,
    option: char,
    value: Option<String>,
    is_silent: bool,
) -> Outcome<u8> {
    match value {
        Some(value) => {
            call.shell.assign(name, &option.to_string())?;
            call.shell.assign("OPTARG", &value)?;
        }
        None if is_silent => {
            call.shell.assign(name, ":")?;
            call.shell.assign("OPTARG", &option.to_string())?;
        }
        None => {
            call.shell.assign(name, "?")?;
            call.shell.variables.unset("OPTARG")?;
            call.complain(&format!("No arg for -{option} option")).await?;
        }
    }
    Ok(0)
}
