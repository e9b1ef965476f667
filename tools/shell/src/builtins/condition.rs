//! `test` and `[`: what holds of files, texts and numbers. `[[` asks here, too.

use std::fs::Metadata;

use crate::identity;
use crate::run::Call;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};

/// How deep `!` and `(` may stand in each other.
const NESTING_MAX: u32 = 50;

const UNARY: &str = "-b -c -d -e -f -g -h -k -L -n -p -r -s -S -t -u -v -w -x -z -G -N -O";
const BINARY: &str = "= == != < > -eq -ne -lt -le -gt -ge -nt -ot -ef";

pub(super) async fn test(call: &mut Call<'_>) -> Outcome<u8> {
    let mut words = call.arguments;
    if call.name == "[" {
        match words.split_last() {
            Some((last, before)) if last == "]" => words = before,
            _ => return Err(Stop::usage("missing `]`")),
        }
    }
    if words.is_empty() {
        return Ok(1);
    }
    let mut reader = Reader { shell: call.shell, rest: words, depth: 0 };
    let holds = reader.or()?;
    match reader.rest.first() {
        None => Ok(u8::from(!holds)),
        Some(word) => Err(Stop::usage(format!("`{word}` is not expected here"))),
    }
}

struct Reader<'a> {
    shell: &'a Shell,
    rest: &'a [String],
    depth: u32,
}

impl<'a> Reader<'a> {
    fn next_is(&mut self, word: &str) -> bool {
        let is_next = self.rest.first().is_some_and(|next| next == word);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn or(&mut self) -> Outcome<bool> {
        let mut holds = self.and()?;
        while self.next_is("-o") {
            holds |= self.and()?;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Outcome<bool> {
        let mut holds = self.not()?;
        while self.next_is("-a") {
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Outcome<bool>) -> Outcome<bool> {
        if self.depth == NESTING_MAX {
            return Err(Stop::usage(format!("more than {NESTING_MAX} of `!` and `(` stand in each other")));
        }
        self.depth += 1;
        let holds = inner(self);
        self.depth -= 1;
        holds
    }

    fn not(&mut self) -> Outcome<bool> {
        // `! = x` compares a text, `! x` turns around.
        let is_comparison = self.rest.len() > 2 && is_binary(&self.rest[1]);
        if self.rest.len() > 1 && !is_comparison && self.next_is("!") {
            return Ok(!self.deeper(Self::not)?);
        }
        if self.rest.len() > 1 && !is_comparison && self.next_is("(") {
            let holds = self.deeper(Self::or)?;
            return if self.next_is(")") { Ok(holds) } else { Err(Stop::usage("missing `)`")) };
        }
        self.primary()
    }

    fn primary(&mut self) -> Outcome<bool> {
        match self.rest {
            [left, operator, right, ..] if is_binary(operator) => {
                self.rest = &self.rest[3..];
                binary(self.shell, left, operator, right)
            }
            [operator, operand, ..] if UNARY.split(' ').any(|known| known == operator) => {
                self.rest = &self.rest[2..];
                unary(self.shell, operator, operand)
            }
            [operator, _] if operator.len() == 2 && operator.starts_with('-') => {
                Err(Stop::usage(format!("`{operator}` is not known; there are {UNARY}")))
            }
            [word, ..] => {
                self.rest = &self.rest[1..];
                Ok(!word.is_empty())
            }
            [] => Err(Stop::usage("something is missing at the end")),
        }
    }
}

fn is_binary(word: &str) -> bool {
    BINARY.split(' ').any(|known| known == word)
}

/// What is asked of one operand.
pub(crate) fn unary(shell: &Shell, operator: &str, operand: &str) -> Outcome<bool> {
    let is = |holds: fn(&Metadata) -> bool| shell.metadata(operand).is_ok_and(|found| holds(&found));
    Ok(match operator {
        "-n" => !operand.is_empty(),
        "-z" => operand.is_empty(),
        "-v" => shell.variables.get(operand).is_some(),
        "-e" => operand == "/dev/null" || is(|_| true),
        "-f" => is(Metadata::is_file),
        "-d" => is(Metadata::is_dir),
        "-s" => is(|found| found.len() > 0),
        "-h" | "-L" => shell.unfollowed(operand).is_ok_and(|found| found.is_symlink()),
        "-r" => is(Metadata::is_dir) || shell.open_file(operand).is_ok(),
        "-w" => is(Metadata::is_dir) || (is(Metadata::is_file) && opens_for_writing(shell, operand)),
        "-x" => is(is_executable),
        // There are no devices, pipes with names, sockets, terminals, nor marks of users here.
        "-b" | "-c" | "-p" | "-S" | "-t" | "-g" | "-k" | "-u" | "-G" | "-N" | "-O" => false,
        _ => return Err(Stop::usage(format!("`{operator}` is not known; there are {UNARY}"))),
    })
}

fn opens_for_writing(shell: &Shell, name: &str) -> bool {
    shell.place(name).and_then(|place| std::fs::File::options().append(true).open(place)).is_ok()
}

#[cfg(unix)]
fn is_executable(found: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o111 != 0
}

/// In the sandbox no file is: nothing can be started.
#[cfg(not(unix))]
fn is_executable(found: &Metadata) -> bool {
    found.is_dir()
}

/// What is asked of two operands.
pub(crate) fn binary(shell: &Shell, left: &str, operator: &str, right: &str) -> Outcome<bool> {
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-nt" | "-ot" => {
            let time = |name: &str| shell.metadata(name).and_then(|found| found.modified()).ok();
            let (left, right) = (time(left), time(right));
            if operator == "-nt" { left > right } else { left < right }
        }
        "-ef" => match (shell.place(left), shell.place(right)) {
            (Ok(left), Ok(right)) => identity::are_same(&left, &right),
            (_, _) => false,
        },
        _ if is_about_numbers(operator) => of_numbers(whole_number(left)?, operator, whole_number(right)?),
        _ => return Err(Stop::usage(format!("`{operator}` is not known; there are {BINARY}"))),
    })
}

pub(crate) fn is_about_numbers(operator: &str) -> bool {
    matches!(operator, "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge")
}

/// What is asked of two numbers.
pub(crate) fn of_numbers(left: i64, operator: &str, right: i64) -> bool {
    match operator {
        "-eq" => left == right,
        "-ne" => left != right,
        "-lt" => left < right,
        "-le" => left <= right,
        "-gt" => left > right,
        _ => left >= right,
    }
}

fn whole_number(text: &str) -> Outcome<i64> {
    // `010` is ten here: only arithmetic knows other bases.
    text.trim().parse().map_err(|_| Stop::usage(format!("`{text}` is not a whole number")))
}
