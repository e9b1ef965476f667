//! The value of `$x` and `${x…}`.

use super::fields::Fields;
use super::{Pattern, Place, pieces};
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::syntax::{Case, Change, End, Extent, Name, Parameter, Quotes, When, Which, Word};
use crate::variables::VALUE_BYTES_MAX;

/// Expands one parameter into the words that are being made.
pub(super) async fn expand(
    shell: &mut Shell,
    parameter: &Parameter,
    quotes: Quotes,
    fields: &mut Fields,
) -> Outcome<()> {
    if matches!(parameter.name, Name::Each | Name::Joined) && !uses_a_word(&parameter.change) {
        let mut values = shell.positional.to_vec();
        if matches!(parameter.change, Change::Length) {
            return fields.push(&values.len().to_string(), quotes);
        }
        if let Change::Slice { offset, length } = &parameter.change {
            let offset = super::arithmetic(shell, offset).await?;
            let length = match length {
                Some(length) => Some(super::arithmetic(shell, length).await?),
                None => None,
            };
            values = sliced_positional(shell, offset, length)?;
        } else {
            for value in &mut values {
                *value = changed(shell, std::mem::take(value), &parameter.change).await?;
            }
        }
        return positional(shell, &values, &parameter.name, quotes, fields);
    }
    let value = value(shell, &parameter.name);
    match &parameter.change {
        Change::Default { when, word } if is_missing(value.as_deref(), *when) => inner(shell, word, fields).await,
        Change::Assign { when, word } if is_missing(value.as_deref(), *when) => {
            let Name::Variable(name) = &parameter.name else {
                return Err(Stop::Fatal { status: 2, message: "only a variable can be assigned to".to_owned() });
            };
            let assigned = super::text(shell, word).await?;
            shell.assign(name, &assigned)?;
            fields.push(&assigned, quotes)
        }
        Change::Demand { when, word } if is_missing(value.as_deref(), *when) => {
            let message = super::text(shell, word).await?;
            let said = if message.is_empty() { "parameter not set" } else { &message };
            Err(Stop::Fatal { status: 2, message: format!("{}: {said}", shown(&parameter.name)) })
        }
        Change::Alternative { when, word } => {
            if is_missing(value.as_deref(), *when) {
                // In quotes, a word there is nevertheless.
                return if quotes == Quotes::Double { fields.push("", quotes) } else { Ok(()) };
            }
            inner(shell, word, fields).await
        }
        Change::Default { .. } | Change::Assign { .. } | Change::Demand { .. } => {
            let value = value.unwrap_or_default();
            if matches!(parameter.name, Name::Each | Name::Joined) {
                let values = shell.positional.to_vec();
                return positional(shell, &values, &parameter.name, quotes, fields);
            }
            fields.push(&value, quotes)
        }
        Change::None
        | Change::Length
        | Change::Trim { .. }
        | Change::Replace { .. }
        | Change::Slice { .. }
        | Change::Letters { .. } => {
            let value = match value {
                Some(value) => value,
                None if shell.options.nounset => {
                    let message = format!("{}: parameter not set", shown(&parameter.name));
                    return Err(Stop::Fatal { status: 2, message });
                }
                None => String::new(),
            };
            let changed = changed(shell, value, &parameter.change).await?;
            fields.push(&changed, quotes)
        }
    }
}

fn uses_a_word(change: &Change) -> bool {
    match change {
        Change::Default { .. } | Change::Assign { .. } | Change::Demand { .. } | Change::Alternative { .. } => true,
        Change::None
        | Change::Length
        | Change::Trim { .. }
        | Change::Replace { .. }
        | Change::Slice { .. }
        | Change::Letters { .. } => false,
    }
}

async fn inner(shell: &mut Shell, word: &Word, fields: &mut Fields) -> Outcome<()> {
    pieces(shell, &word.pieces, fields, Place::Parameter).await
}

fn is_missing(value: Option<&str>, when: When) -> bool {
    match when {
        When::Unset => value.is_none(),
        When::UnsetOrEmpty => value.is_none_or(str::is_empty),
    }
}

fn shown(name: &Name) -> String {
    match name {
        Name::Variable(name) => name.clone(),
        Name::Positional(number) => number.to_string(),
        Name::Each => "@".to_owned(),
        Name::Joined => "*".to_owned(),
        Name::Count => "#".to_owned(),
        Name::Status => "?".to_owned(),
        Name::Flags => "-".to_owned(),
        Name::Process => "$".to_owned(),
        Name::Script => "0".to_owned(),
    }
}

/// The value of a parameter. `$@` and `$*` are set if there is anything in them.
fn value(shell: &Shell, name: &Name) -> Option<String> {
    match name {
        Name::Variable(name) => shell.variables.get(name).map(|value| value.as_ref().to_owned()),
        Name::Positional(number) => shell.positional.get(number - 1).cloned(),
        Name::Each | Name::Joined => (!shell.positional.is_empty()).then(|| shell.positional.join(" ")),
        Name::Count => Some(shell.positional.len().to_string()),
        Name::Status => Some(shell.status.to_string()),
        Name::Flags => Some(shell.options.letters()),
        // There is no process: a number that is the same in every call.
        Name::Process => Some("1".to_owned()),
        Name::Script => Some(shell.script.as_ref().to_owned()),
    }
}

/// `"$@"` is each parameter as a word of its own, `"$*"` all of them in one.
fn positional(shell: &Shell, values: &[String], name: &Name, quotes: Quotes, fields: &mut Fields) -> Outcome<()> {
    if quotes == Quotes::Double && *name == Name::Joined {
        let ifs = shell.variables.get("IFS");
        let separator = ifs.map_or(Some(' '), |ifs| ifs.chars().next()).map_or_else(String::new, String::from);
        fields.push_quoted(&values.join(&separator));
        return Ok(());
    }
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            fields.end_word();
        }
        fields.push(value, quotes)?;
        fields.check()?;
    }
    Ok(())
}

/// `${@:2:3}`: `$0` is before the first, and what is negative counts from behind the last.
fn sliced_positional(shell: &Shell, offset: i64, length: Option<i64>) -> Outcome<Vec<String>> {
    let taken = match length {
        Some(length) => usize::try_from(length).map_err(|_| below_zero(length))?,
        None => usize::MAX,
    };
    let all = i64::try_from(shell.positional.len()).unwrap_or(i64::MAX);
    let from = if offset < 0 { all.saturating_add(1).saturating_add(offset) } else { offset };
    // Before `$0` there is nothing to begin with.
    let Ok(skipped) = usize::try_from(from) else { return Ok(Vec::new()) };
    let script = std::iter::once(shell.script.as_ref());
    let values = script.chain(shell.positional.iter().map(String::as_str));
    Ok(values.skip(skipped).take(taken).map(ToOwned::to_owned).collect())
}

fn below_zero(length: i64) -> Stop {
    Stop::Fatal { status: 1, message: format!("{length}: the length of a part is below zero") }
}

async fn changed(shell: &mut Shell, value: String, change: &Change) -> Outcome<String> {
    Ok(match change {
        Change::Length => value.chars().count().to_string(),
        Change::Trim { end, extent, pattern } => {
            let pattern = super::pattern(shell, pattern).await?;
            trimmed(&value, &pattern, *end, *extent)
        }
        Change::Replace { which, pattern, with } => {
            let pattern = super::pattern(shell, pattern).await?;
            let with = super::text(shell, with).await?;
            replaced(&value, &pattern, &with, *which)?
        }
        Change::Slice { offset, length } => {
            let offset = super::arithmetic(shell, offset).await?;
            let length = match length {
                Some(length) => Some(super::arithmetic(shell, length).await?),
                None => None,
            };
            sliced(&value, offset, length)?
        }
        Change::Letters { case, extent } => in_case(&value, *case, *extent),
        Change::None
        | Change::Default { .. }
        | Change::Assign { .. }
        | Change::Demand { .. }
        | Change::Alternative { .. } => value,
    })
}

fn trimmed(value: &str, pattern: &Pattern, end: End, extent: Extent) -> String {
    let letters: Vec<char> = value.chars().collect();
    let longest = extent == Extent::Longest;
    let kept = match end {
        End::Front => pattern.front(&letters, longest).map(|length| &letters[length..]),
        End::Back => pattern.back(&letters, longest).map(|start| &letters[..start]),
    };
    kept.map_or_else(|| value.to_owned(), |kept| kept.iter().collect())
}

fn replaced(value: &str, pattern: &Pattern, with: &str, which: Which) -> Outcome<String> {
    let letters: Vec<char> = value.chars().collect();
    match which {
        Which::Front => {
            let front = pattern.front(&letters, true);
            return Ok(front.map_or_else(
                || value.to_owned(),
                |length| with.chars().chain(letters[length..].iter().copied()).collect(),
            ));
        }
        Which::Back => {
            let back = pattern.back(&letters, true);
            return Ok(back.map_or_else(
                || value.to_owned(),
                |start| letters[..start].iter().copied().chain(with.chars()).collect(),
            ));
        }
        Which::First | Which::All => {}
    }
    let (mut text, mut at) = (String::new(), 0);
    while at < letters.len() {
        match pattern.front(&letters[at..], true).filter(|length| *length > 0) {
            Some(length) => {
                text.push_str(with);
                at += length;
                if which == Which::First {
                    break;
                }
            }
            None => {
                text.push(letters[at]);
                at += 1;
            }
        }
        if text.len() > VALUE_BYTES_MAX {
            return Err(Stop::Limit(format!("`${{x//…}}` would have more than {VALUE_BYTES_MAX} bytes")));
        }
    }
    text.extend(&letters[at..]);
    Ok(text)
}

/// `${x:2:3}`; what is negative counts from the end.
fn sliced(value: &str, offset: i64, length: Option<i64>) -> Outcome<String> {
    let letters: Vec<char> = value.chars().collect();
    let all = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    let from_end = |number: i64| if number < 0 { all.saturating_add(number) } else { number };
    let start = from_end(offset);
    if !(0..=all).contains(&start) {
        return Ok(String::new());
    }
    let end = match length {
        None => all,
        Some(length) if from_end(length) < start && length < 0 => return Err(below_zero(length)),
        Some(length) if length < 0 => from_end(length),
        Some(length) => start.saturating_add(length).min(all),
    };
    let place = |number: i64| usize::try_from(number).unwrap_or(0);
    Ok(letters[place(start)..place(end)].iter().collect())
}

fn in_case(value: &str, case: Case, extent: Extent) -> String {
    let changed = |text: &str| match case {
        Case::Upper => text.to_uppercase(),
        Case::Lower => text.to_lowercase(),
    };
    match extent {
        Extent::Longest => changed(value),
        Extent::Shortest => {
            let first = value.chars().next().map_or(0, char::len_utf8);
            changed(&value[..first]) + &value[first..]
        }
    }
}
