//! Runs a script of `sed`: for each line, its commands from first to last.

use std::collections::BTreeMap;
use std::rc::Rc;

use regex::bytes::Regex;

use super::replacement::replace;
use super::script::{Act, Address, Command, Lines, RangeEnd, Substitution};
use crate::commands::lines::Lines as Input;
use crate::files::Opening;
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::streams::Output;

/// Most commands that one line may take: a loop of `b` without an end is an error. Fewer in tests, whose code is not optimised.
const STEPS_MAX: u64 = if cfg!(test) { 500_000 } else { 10_000_000 };

/// Longest text that the two spaces may hold.
const SPACE_BYTES_MAX: usize = 8 << 20;

/// Files of `w`, by their names. All cycles of one call write into the same.
pub(super) type Files = BTreeMap<String, Output>;

/// How a run over its input ended.
pub(super) struct Ended {
    pub(super) status: u8,
    /// `q`: no other input is read.
    pub(super) quits: bool,
}

pub(super) struct Cycle<'a> {
    script: &'a [Command],
    is_quiet: bool,
    end: u8,
    /// For each command with two addresses, whether it is between them, and up to which line.
    ranges: Vec<Range>,
    space: Vec<u8>,
    hold: Vec<u8>,
    number: u64,
    /// The line that comes next, read ahead to know which one is the last; and whether it had its end.
    ahead: Option<(Vec<u8>, bool)>,
    had_end: bool,
    /// A line was written without its end: what follows it begins with that.
    owes_end: bool,
    /// What comes after the line is printed.
    queue: Vec<Queued>,
    was_substituted: bool,
    last_regex: Option<Rc<Regex>>,
    files: Files,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Outside,
    Inside,
    UpTo(u64),
}

enum Queued {
    Text(Vec<u8>),
    File(String),
}

/// What a line's run of the script comes to.
enum After {
    Print,
    Delete,
    /// `D`: the rest of the space is run through the script, without a new line.
    Again,
    Quit {
        status: u8,
        prints: bool,
    },
}

/// Files of `w` are there even where nothing is written.
pub(super) fn opened(call: &Call<'_>, script: &[Command]) -> Outcome<Files> {
    let mut files = Files::new();
    for command in script {
        let name = match &command.act {
            Act::Write(name) => Some(name),
            Act::Substitute(substitution) => substitution.writes.as_ref(),
            _ => None,
        };
        if let Some(name) = name.filter(|name| !files.contains_key(*name)) {
            files.insert(name.clone(), call.shell.open_output(name, Opening::Truncated)?);
        }
    }
    Ok(files)
}

impl<'a> Cycle<'a> {
    pub(super) fn new(script: &'a [Command], files: &Files, is_quiet: bool, end: u8) -> Self {
        Self {
            script,
            is_quiet,
            end,
            ranges: vec![Range::Outside; script.len()],
            space: Vec::new(),
            hold: Vec::new(),
            number: 0,
            ahead: None,
            had_end: true,
            owes_end: false,
            queue: Vec::new(),
            was_substituted: false,
            last_regex: None,
            files: files.clone(),
        }
    }

    pub(super) async fn run(mut self, call: &mut Call<'_>, names: &[String]) -> Outcome<Ended> {
        let mut input = Input::ending_with(names, self.end);
        self.read_ahead(call, &mut input).await?;
        let mut is_again = false;
        while is_again || self.take_line(call, &mut input).await? {
            is_again = false;
            match self.one(call, &mut input).await? {
                After::Print => self.print_unless_quiet(call).await?,
                After::Delete => {}
                After::Again => is_again = true,
                After::Quit { status, prints } => {
                    if prints {
                        self.print_unless_quiet(call).await?;
                    }
                    self.print_queue(call).await?;
                    return Ok(Ended { status, quits: true });
                }
            }
            self.print_queue(call).await?;
        }
        Ok(Ended { status: if input.inputs.status == 0 { 0 } else { 2 }, quits: false })
    }

    async fn read_ahead(&mut self, call: &mut Call<'_>, input: &mut Input) -> Outcome<()> {
        let mut line = Vec::new();
        self.ahead = if input.next(call, &mut line).await? { Some((line, input.had_end)) } else { None };
        Ok(())
    }

    async fn take_line(&mut self, call: &mut Call<'_>, input: &mut Input) -> Outcome<bool> {
        let Some((line, had_end)) = self.ahead.take() else { return Ok(false) };
        self.space = line;
        self.had_end = had_end;
        self.number += 1;
        self.read_ahead(call, input).await?;
        Ok(true)
    }

    async fn one(&mut self, call: &mut Call<'_>, input: &mut Input) -> Outcome<After> {
        let mut at = 0;
        let mut steps = 0;
        self.was_substituted = false;
        while at < self.script.len() {
            steps += 1;
            if steps > STEPS_MAX {
                return Err(Stop::Limit(format!("a script of sed takes more than {STEPS_MAX} steps for one line")));
            }
            if self.space.len() + self.hold.len() > SPACE_BYTES_MAX {
                return Err(Stop::Limit(format!("sed holds more than {SPACE_BYTES_MAX} bytes")));
            }
            let script = self.script;
            let command = &script[at];
            if self.selects(at, command) == command.is_negated {
                at = if let Act::Block { end } = command.act { end } else { at + 1 };
                continue;
            }
            at += 1;
            match &command.act {
                Act::Branch(to) => at = to.unwrap_or(script.len()),
                Act::BranchIfSubstituted(to) => {
                    if std::mem::take(&mut self.was_substituted) {
                        at = to.unwrap_or(script.len());
                    }
                }
                Act::BranchUnlessSubstituted(to) => {
                    if !std::mem::take(&mut self.was_substituted) {
                        at = to.unwrap_or(script.len());
                    }
                }
                act => {
                    if let Some(after) = self.act(call, input, act, &command.lines, at - 1).await? {
                        return Ok(after);
                    }
                }
            }
        }
        Ok(After::Print)
    }

    /// Whether the line is one that the command is for.
    fn selects(&mut self, at: usize, command: &Command) -> bool {
        match &command.lines {
            Lines::All => true,
            Lines::At(address) => self.is_at(address),
            Lines::Between(first, end) => self.is_between(at, first, end),
        }
    }

    fn is_at(&mut self, address: &Address) -> bool {
        match address {
            Address::Line(number) => self.number == *number,
            Address::Last => self.ahead.is_none(),
            Address::Every { first, step: 0 } => self.number == *first,
            Address::Every { first, step } => self.number >= *first && (self.number - first).is_multiple_of(*step),
            Address::Matching(regex) => {
                let regex = regex.clone().or_else(|| self.last_regex.clone());
                self.last_regex.clone_from(&regex);
                regex.is_some_and(|regex| regex.is_match(&self.space))
            }
        }
    }

    fn is_between(&mut self, at: usize, first: &Address, end: &RangeEnd) -> bool {
        match self.ranges[at] {
            Range::Outside => {
                // `0,/x/` may end at the first line.
                let from_zero = matches!(first, Address::Line(0)) && self.number == 1;
                if !from_zero && !self.is_at(first) {
                    return false;
                }
                self.ranges[at] = match end {
                    RangeEnd::After(0) => Range::Outside,
                    RangeEnd::After(lines) => Range::UpTo(self.number + lines),
                    RangeEnd::Multiple(0) => Range::Outside,
                    RangeEnd::Multiple(step) if self.number.is_multiple_of(*step) => Range::Outside,
                    RangeEnd::Multiple(step) => Range::UpTo((self.number / step + 1) * step),
                    RangeEnd::At(Address::Line(last)) if *last <= self.number => Range::Outside,
                    RangeEnd::At(Address::Line(last)) => Range::UpTo(*last),
                    RangeEnd::At(Address::Last) if self.ahead.is_none() => Range::Outside,
                    RangeEnd::At(address @ Address::Matching(_)) if from_zero && self.is_at(address) => Range::Outside,
                    RangeEnd::At(_) => Range::Inside,
                };
                true
            }
            Range::UpTo(last) => {
                if self.number >= last {
                    self.ranges[at] = Range::Outside;
                }
                self.number <= last
            }
            Range::Inside => {
                if let RangeEnd::At(address) = end
                    && self.is_at(address)
                {
                    self.ranges[at] = Range::Outside;
                }
                true
            }
        }
    }

    /// Runs one command. What it gives ends the run for this line.
    async fn act(
        &mut self,
        call: &mut Call<'_>,
        input: &mut Input,
        act: &Act,
        lines: &Lines,
        at: usize,
    ) -> Outcome<Option<After>> {
        match act {
            Act::Block { .. } | Act::EndOfBlock | Act::Label => {}
            Act::Branch(_) | Act::BranchIfSubstituted(_) | Act::BranchUnlessSubstituted(_) => {}
            Act::Substitute(substitution) => self.substitute(call, substitution).await?,
            Act::Transliterate(letters) => {
                let other = |c| letters.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to);
                let mut space = Vec::with_capacity(self.space.len());
                for chunk in self.space.utf8_chunks() {
                    space.extend_from_slice(chunk.valid().chars().map(other).collect::<String>().as_bytes());
                    space.extend_from_slice(chunk.invalid());
                }
                self.space = space;
            }
            Act::Append(text) => self.queue.push(Queued::Text(text.clone())),
            Act::Read(name) => self.queue.push(Queued::File(name.clone())),
            Act::Insert(text) => self.put(call, text).await?,
            Act::Change(text) => {
                let is_last = !matches!(lines, Lines::Between(..)) || self.ranges[at] == Range::Outside;
                if is_last {
                    self.put(call, text).await?;
                }
                return Ok(Some(After::Delete));
            }
            Act::Print => self.print(call).await?,
            Act::PrintFirstLine => {
                let length = self.first_line();
                let line = [&self.space[..length], b"\n"].concat();
                self.put(call, &line).await?;
            }
            Act::Delete => return Ok(Some(After::Delete)),
            Act::DeleteFirstLine => {
                let length = self.first_line();
                if length == self.space.len() {
                    return Ok(Some(After::Delete));
                }
                self.space.drain(..=length);
                return Ok(Some(After::Again));
            }
            Act::Next => {
                if self.ahead.is_none() {
                    return Ok(Some(After::Print));
                }
                self.print_unless_quiet(call).await?;
                self.print_queue(call).await?;
                self.take_line(call, input).await?;
            }
            Act::AppendNext => {
                if self.ahead.is_none() {
                    return Ok(Some(After::Print));
                }
                let mut before = std::mem::take(&mut self.space);
                self.print_queue(call).await?;
                self.take_line(call, input).await?;
                before.push(b'\n');
                before.append(&mut self.space);
                self.space = before;
            }
            Act::Hold => self.hold.clone_from(&self.space),
            Act::HoldAppend => {
                self.hold.push(b'\n');
                self.hold.extend_from_slice(&self.space);
            }
            Act::Get => self.space.clone_from(&self.hold),
            Act::GetAppend => {
                self.space.push(b'\n');
                self.space.extend_from_slice(&self.hold);
            }
            Act::Exchange => std::mem::swap(&mut self.space, &mut self.hold),
            Act::Number => {
                let number = format!("{}\n", self.number);
                self.put(call, number.as_bytes()).await?;
            }
            Act::Unambiguous => {
                let line = [unambiguous(&self.space), b"\n".to_vec()].concat();
                self.put(call, &line).await?;
            }
            Act::Write(name) => self.write_to(name).await?,
            Act::Quit { status, prints } => return Ok(Some(After::Quit { status: *status, prints: *prints })),
        }
        Ok(None)
    }

    fn first_line(&self) -> usize {
        self.space.iter().position(|byte| *byte == b'\n').unwrap_or(self.space.len())
    }

    async fn print(&mut self, call: &mut Call<'_>) -> Outcome<()> {
        self.pay_end(call).await?;
        call.out.put(&self.space).await?;
        // The last line has no end if the input's had none.
        self.owes_end = !self.had_end && self.ahead.is_none();
        if self.owes_end { Ok(()) } else { call.out.put([self.end]).await }
    }

    async fn put(&mut self, call: &mut Call<'_>, bytes: &[u8]) -> Outcome<()> {
        self.pay_end(call).await?;
        call.out.put(bytes).await
    }

    async fn pay_end(&mut self, call: &mut Call<'_>) -> Outcome<()> {
        if std::mem::take(&mut self.owes_end) { call.out.put([self.end]).await } else { Ok(()) }
    }

    async fn print_unless_quiet(&mut self, call: &mut Call<'_>) -> Outcome<()> {
        if self.is_quiet { Ok(()) } else { self.print(call).await }
    }

    async fn print_queue(&mut self, call: &mut Call<'_>) -> Outcome<()> {
        for queued in std::mem::take(&mut self.queue) {
            match queued {
                Queued::Text(text) => self.put(call, &text).await?,
                // A file that cannot be read is no text, as POSIX says.
                Queued::File(name) => {
                    if let Ok(input) = call.shell.open_input(&name) {
                        while let Some(chunk) = input.chunk().await? {
                            self.put(call, &chunk).await?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn write_to(&self, name: &str) -> Outcome<()> {
        let mut line = self.space.clone();
        line.push(b'\n');
        match self.files.get(name) {
            Some(output) => output.write(&line).await,
            None => Ok(()),
        }
    }

    async fn substitute(&mut self, call: &mut Call<'_>, substitution: &Substitution) -> Outcome<()> {
        let regex = substitution.regex.clone().or_else(|| self.last_regex.clone());
        let Some(regex) = regex else { return Err(Stop::failed("there is no earlier expression for `//`")) };
        self.last_regex = Some(Rc::clone(&regex));
        let mut changed = Vec::new();
        let (mut copied, mut is_changed) = (0, false);
        for (number, captures) in regex.captures_iter(&self.space).enumerate() {
            if (number as u64) + 1 < substitution.from {
                continue;
            }
            let Some(found) = captures.get(0) else { continue };
            changed.extend_from_slice(&self.space[copied..found.start()]);
            replace(&substitution.replacement, &captures, &mut changed);
            copied = found.end();
            is_changed = true;
            if !substitution.is_global {
                break;
            }
            if changed.len() > SPACE_BYTES_MAX {
                return Err(Stop::Limit(format!("sed holds more than {SPACE_BYTES_MAX} bytes")));
            }
        }
        if !is_changed {
            return Ok(());
        }
        changed.extend_from_slice(&self.space[copied..]);
        self.space = changed;
        self.was_substituted = true;
        if substitution.prints {
            self.print(call).await?;
        }
        match &substitution.writes {
            Some(name) => self.write_to(name).await,
            None => Ok(()),
        }
    }
}

/// `l`: what cannot be seen as an escape.
fn unambiguous(space: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for &byte in space {
        match byte {
            b'\\' => shown.extend_from_slice(b"\\\\"),
            b'\n' => shown.extend_from_slice(b"\\n"),
            b'\t' => shown.extend_from_slice(b"\\t"),
            b'\r' => shown.extend_from_slice(b"\\r"),
            32..=126 => shown.push(byte),
            _ => shown.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    shown.push(b'$');
    shown
}
