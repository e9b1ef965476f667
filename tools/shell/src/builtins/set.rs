//! `set`: switches, and the arguments of the script.

use std::rc::Rc;

use crate::run::{self, Call};
use crate::shell::Options;
use crate::stop::{Outcome, Stop};

/// Switches with a letter, each with its long name.
const SWITCHES: [(char, &str); 7] = [
    ('e', "errexit"),
    ('u', "nounset"),
    ('f', "noglob"),
    ('x', "xtrace"),
    ('C', "noclobber"),
    ('a', "allexport"),
    ('\0', "pipefail"),
];

impl Options {
    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "errexit" => &mut self.errexit,
            "nounset" => &mut self.nounset,
            "noglob" => &mut self.noglob,
            "xtrace" => &mut self.xtrace,
            "noclobber" => &mut self.noclobber,
            "allexport" => &mut self.allexport,
            "pipefail" => &mut self.pipefail,
            _ => return None,
        })
    }

    /// `$-`
    pub(crate) fn letters(mut self) -> String {
        let mut letters = String::new();
        for (letter, name) in SWITCHES {
            if letter != '\0' && self.switch(name).is_some_and(|is_on| *is_on) {
                letters.push(letter);
            }
        }
        letters
    }
}

pub(super) async fn set(call: &mut Call<'_>) -> Outcome<u8> {
    if call.arguments.is_empty() {
        return list(call).await;
    }
    let mut rest = call.arguments;
    while let Some((argument, after)) = rest.split_first() {
        match argument.as_str() {
            "--" => {
                call.shell.positional = Rc::new(after.to_vec());
                return Ok(0);
            }
            "-o" | "+o" => {
                let Some((name, after)) = after.split_first() else { return list_switches(call).await };
                turn(&mut call.shell.options, name, argument == "-o")?;
                rest = after;
            }
            letters if letters.len() > 1 && letters.starts_with(['-', '+']) => {
                rest = turn_letters(call, letters, after)?;
            }
            _ => {
                call.shell.positional = Rc::new(rest.to_vec());
                return Ok(0);
            }
        }
    }
    Ok(0)
}

/// `-eu`, and `-euo pipefail`.
fn turn_letters<'a>(call: &mut Call<'_>, letters: &str, mut rest: &'a [String]) -> Outcome<&'a [String]> {
    let is_on = letters.starts_with('-');
    for letter in letters[1..].chars() {
        if letter == 'o' {
            let Some((name, after)) = rest.split_first() else { return Err(Stop::usage("`-o` wants a name")) };
            turn(&mut call.shell.options, name, is_on)?;
            rest = after;
            continue;
        }
        let known = SWITCHES.iter().find(|(known, _)| *known == letter);
        let (_, name) = known.ok_or_else(|| unknown(&letter.to_string()))?;
        turn(&mut call.shell.options, name, is_on)?;
    }
    Ok(rest)
}

fn turn(options: &mut Options, name: &str, is_on: bool) -> Outcome<()> {
    *options.switch(name).ok_or_else(|| unknown(name))? = is_on;
    Ok(())
}

fn unknown(option: &str) -> Stop {
    let known: Vec<&str> = SWITCHES.iter().map(|(_, name)| *name).collect();
    Stop::usage(format!("unknown option `{option}`; there are -e -u -f -x -C -a, and by `-o`: {}", known.join(" ")))
}

async fn list(call: &mut Call<'_>) -> Outcome<u8> {
    let lines: Vec<String> = call
        .shell
        .variables
        .all()
        .filter_map(|(name, variable)| variable.value.as_ref().map(|value| format!("{name}={}", run::shown(value))))
        .collect();
    for line in lines {
        call.out.line(line).await?;
    }
    Ok(0)
}

async fn list_switches(call: &mut Call<'_>) -> Outcome<u8> {
    for (_, name) in SWITCHES {
        let is_on = call.shell.options.switch(name).is_some_and(|is_on| *is_on);
        call.out.line(format!("{name}\t{}", if is_on { "on" } else { "off" })).await?;
    }
    Ok(0)
}
