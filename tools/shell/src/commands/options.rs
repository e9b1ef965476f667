//! Options of commands, as POSIX and GNU write them: `-ab`, `-n 3`, `-n3`, `--lines=3`, `--`, in any order among the operands.

use crate::stop::{Outcome, Stop};

/// The options that a command has. What is not in here is an error.
pub(crate) struct Options {
    /// Options without a value.
    pub(crate) flags: &'static str,
    /// Options with a value.
    pub(crate) values: &'static str,
    /// Long names, each with the letter that it stands for.
    pub(crate) long: &'static [(&'static str, char)],
    /// Whether options end at the first operand, as for commands that call others.
    pub(crate) order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    OptionsFirst,
}

/// What a command was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) options: Vec<(char, String)>,
    pub(crate) operands: Vec<String>,
}

impl Given {
    pub(crate) fn has(&self, option: char) -> bool {
        self.options.iter().any(|(given, _)| *given == option)
    }

    /// The value of an option; the last one counts.
    pub(crate) fn value(&self, option: char) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| *given == option).map(|(_, value)| value.as_str())
    }

    pub(crate) fn values(&self, option: char) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(given, _)| *given == option).map(|(_, value)| value.as_str())
    }

    /// The last of several options that exclude each other.
    pub(crate) fn last_of(&self, options: &str) -> Option<char> {
        self.options.iter().rev().map(|(given, _)| *given).find(|given| options.contains(*given))
    }

    /// The value of an option as a number.
    pub(crate) fn number(&self, option: char) -> Outcome<Option<u64>> {
        self.value(option).map(|value| number(option, value)).transpose()
    }
}

fn number(option: char, value: &str) -> Outcome<u64> {
    value.parse().map_err(|_| Stop::failed(format!("`-{option}` wants a number, not `{value}`")))
}

impl Options {
    pub(crate) const fn new(flags: &'static str, values: &'static str, long: &'static [(&'static str, char)]) -> Self {
        Self { flags, values, long, order: Order::Any }
    }

    pub(crate) const fn options_first(self) -> Self {
        Self { flags: self.flags, values: self.values, long: self.long, order: Order::OptionsFirst }
    }

    pub(crate) fn read(&self, command: &str, arguments: &[String]) -> Outcome<Given> {
        let mut given = Given::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                given.operands.extend(rest.cloned());
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let letter = self.letter_of(command, name)?;
                let value = match (self.values.contains(letter), value) {
                    (true, Some(value)) => value.to_owned(),
                    (true, None) => self.next_value(&mut rest, &format!("--{name}"))?,
                    (false, None) => String::new(),
                    (false, Some(_)) => return Err(Stop::usage(format!("`--{name}` takes no value"))),
                };
                given.options.push((letter, value));
            } else if argument.len() > 1 && argument.starts_with('-') {
                self.letters(command, &argument[1..], &mut rest, &mut given)?;
            } else if self.order == Order::OptionsFirst {
                given.operands.push(argument.clone());
                given.operands.extend(rest.cloned());
                break;
            } else {
                given.operands.push(argument.clone());
            }
        }
        Ok(given)
    }

    /// `-ab`, `-n3`, `-n 3`
    fn letters(
        &self,
        command: &str,
        letters: &str,
        rest: &mut std::slice::Iter<'_, String>,
        given: &mut Given,
    ) -> Outcome<()> {
        for (at, letter) in letters.char_indices() {
            if self.flags.contains(letter) {
                given.options.push((letter, String::new()));
            } else if self.values.contains(letter) {
                let attached = &letters[at + letter.len_utf8()..];
                let value = if attached.is_empty() {
                    self.next_value(rest, &format!("-{letter}"))?
                } else {
                    attached.to_owned()
                };
                given.options.push((letter, value));
                return Ok(());
            } else {
                return Err(self.unknown(command, &format!("-{letter}")));
            }
        }
        Ok(())
    }

    fn next_value(&self, rest: &mut std::slice::Iter<'_, String>, option: &str) -> Outcome<String> {
        rest.next().cloned().ok_or_else(|| Stop::usage(format!("`{option}` wants a value")))
    }

    fn letter_of(&self, command: &str, name: &str) -> Outcome<char> {
        let exact = self.long.iter().find(|(long, _)| *long == name);
        exact.map(|(_, letter)| *letter).ok_or_else(|| self.unknown(command, &format!("--{name}")))
    }

    fn unknown(&self, command: &str, option: &str) -> Stop {
        let mut known: Vec<String> = self.flags.chars().map(|letter| format!("-{letter}")).collect();
        known.extend(self.values.chars().map(|letter| format!("-{letter} VALUE")));
        // Letters above are what a person types; some long options have none, and are kept under a digit or a capital of their own.
        known.retain(|letter| letter.is_ascii());
        known.extend(self.long.iter().map(|(long, _)| format!("--{long}")));
        let known = if known.is_empty() { "none".to_owned() } else { known.join(" ") };
        Stop::usage(format!("unknown option `{option}`; `{command}` here has: {known}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Options = Options::new("qv", "nc", &[("lines", 'n'), ("quiet", 'q')]);

    fn read(arguments: &[&str]) -> Outcome<Given> {
        HEAD.read("head", &arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_in_all_their_forms() {
        for arguments in [
            ["-qn3", "f"].as_slice(),
            &["-q", "-n", "3", "f"],
            &["f", "--quiet", "--lines=3"],
            &["-q", "--lines", "3", "--", "f"],
        ] {
            let given = read(arguments).map(|given| (given.has('q'), given.number('n'), given.operands));
            assert_eq!(given, Ok((true, Ok(Some(3)), vec!["f".to_owned()])), "{arguments:?}");
        }
        assert_eq!(read(&["-"]).map(|given| given.operands), Ok(vec!["-".to_owned()]));
    }

    #[test]
    fn an_unknown_option_names_those_there_are() {
        let unknown = Stop::usage("unknown option `-z`; `head` here has: -q -v -n VALUE -c VALUE --lines --quiet");
        assert_eq!(read(&["-z"]), Err(unknown));
        assert_eq!(read(&["-n"]), Err(Stop::usage("`-n` wants a value")));
    }
}
