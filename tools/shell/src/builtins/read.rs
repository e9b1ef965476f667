//! `read`: one line into variables.

use crate::commands::options::Options;
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::syntax::is_name;

const OPTIONS: Options = Options::new("rs", "pd", &[]).options_first();

/// A letter of the line, and whether a backslash stood before it: then it separates nothing.
type Letter = (char, bool);

pub(super) async fn read(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let end = given.value('d').map_or(b'\n', |end| end.bytes().next().unwrap_or(0));
    let (letters, is_ended) = line(call, given.has('r'), end).await?;
    let names = if given.operands.is_empty() { vec!["REPLY".to_owned()] } else { given.operands };
    let ifs = call.shell.variables.get("IFS").unwrap_or_else(|| " \t\n".into());
    let values = fields(&letters, &ifs, names.len());
    for (name, value) in names.iter().zip(values) {
        if !is_name(name) {
            return Err(Stop::usage(format!("`{name}` is not a name for a variable")));
        }
        call.shell.assign(name, &value)?;
    }
    Ok(u8::from(!is_ended))
}

/// The letters of the next line, and whether it had an end. Without `-r`, a backslash joins lines and hides letters.
async fn line(call: &mut Call<'_>, is_raw: bool, end: u8) -> Outcome<(Vec<Letter>, bool)> {
    let input = call.shell.streams.input();
    let (mut letters, mut bytes) = (Vec::new(), Vec::new());
    loop {
        if !input.record(&mut bytes, end).await? {
            return Ok((letters, false));
        }
        let is_ended = bytes.last() == Some(&end);
        if is_ended {
            bytes.pop();
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut rest = text.chars();
        let mut joins = false;
        while let Some(letter) = rest.next() {
            if letter != '\\' || is_raw {
                letters.push((letter, false));
                continue;
            }
            match rest.next() {
                Some(hidden) => letters.push((hidden, true)),
                None => joins = is_ended,
            }
        }
        if !joins {
            return Ok((letters, is_ended));
        }
    }
}

/// Splits into as many values as there are names; the last one gets the rest.
fn fields(letters: &[Letter], ifs: &str, count: usize) -> Vec<String> {
    let separates = |letter: &Letter| !letter.1 && ifs.contains(letter.0);
    let is_blank = |letter: &Letter| separates(letter) && letter.0.is_ascii_whitespace();
    let mut rest = letters;
    let mut values = Vec::with_capacity(count);
    for number in 0..count {
        rest = &rest[rest.iter().take_while(|letter| is_blank(letter)).count()..];
        let length = rest.iter().take_while(|letter| !separates(letter)).count();
        let after = &rest[length..];
        let blanks = after.iter().take_while(|letter| is_blank(letter)).count();
        let separator = usize::from(after.get(blanks).is_some_and(separates));
        if number + 1 < count {
            values.push(text_of(&rest[..length]));
            rest = &after[blanks + separator..];
        } else if after[blanks + separator..].iter().all(is_blank) {
            values.push(text_of(&rest[..length]));
        } else {
            let kept = rest.len() - rest.iter().rev().take_while(|letter| is_blank(letter)).count();
            values.push(text_of(&rest[..kept]));
        }
    }
    values
}

fn text_of(letters: &[Letter]) -> String {
    letters.iter().map(|(letter, _)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_gets_the_rest() {
        let split = |line: &str, ifs: &str, count| {
            fields(&line.chars().map(|letter| (letter, false)).collect::<Vec<_>>(), ifs, count)
        };
        assert_eq!(split("  a b  c ", " ", 2), ["a", "b  c"]);
        assert_eq!(split("a:b:c", ":", 2), ["a", "b:c"]);
        assert_eq!(split("a:", ":", 2), ["a", ""]);
        assert_eq!(split("a:b:", ":", 2), ["a", "b"]);
        assert_eq!(split("", " ", 2), ["", ""]);
        assert_eq!(split(" a ", "", 1), [" a "]);
    }
}
