//! `grep`: lines that match.

use std::collections::VecDeque;

use regex::bytes::Regex;

use super::lines::lines_of;
use super::options::{Given, Options};
use super::regular::{Letters, Syntax, compile_translated, translated};
use super::tree::{Kind, Root, Tree};
use crate::expand::Pattern;
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::streams::Input;

const OPTIONS: Options = Options::new(
    "EFGivnclLoqshHrRwxa",
    "efmABCYZX",
    &[
        ("extended-regexp", 'E'),
        ("fixed-strings", 'F'),
        ("basic-regexp", 'G'),
        ("ignore-case", 'i'),
        ("invert-match", 'v'),
        ("line-number", 'n'),
        ("count", 'c'),
        ("files-with-matches", 'l'),
        ("files-without-match", 'L'),
        ("only-matching", 'o'),
        ("quiet", 'q'),
        ("silent", 'q'),
        ("no-messages", 's'),
        ("no-filename", 'h'),
        ("with-filename", 'H'),
        ("recursive", 'r'),
        ("word-regexp", 'w'),
        ("line-regexp", 'x'),
        ("text", 'a'),
        ("regexp", 'e'),
        ("file", 'f'),
        ("max-count", 'm'),
        ("after-context", 'A'),
        ("before-context", 'B'),
        ("context", 'C'),
        ("include", 'Y'),
        ("exclude", 'Z'),
        ("exclude-dir", 'X'),
    ],
);

/// What is looked for, and what is told of it.
struct Search {
    regex: Regex,
    is_inverted: bool,
    has_numbers: bool,
    has_names: bool,
    only_matches: bool,
    is_silent: bool,
    telling: Telling,
    most: u64,
    before: usize,
    after: usize,
}

/// What is told of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    Lines,
    Count,
    NameIfAny,
    NameIfNone,
    Nothing,
}

pub(super) async fn grep(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let (expressions, names) = expressions(call, &given).await?;
    let is_recursive = given.has('r') || given.has('R');
    let search = search(call.name, &given, &expressions, names.len() > 1 || is_recursive)?;
    let (found, status) = if is_recursive {
        in_folders(call, &given, &search, &names).await?
    } else {
        in_files(call, &search, &names).await?
    };
    let is_answered = found && search.telling == Telling::Nothing;
    Ok(if status != 0 && !is_answered { 2 } else { u8::from(!found) })
}

/// The expressions, one on each line of what `-e`, `-f` or the first operand says, and the files.
async fn expressions(call: &mut Call<'_>, given: &Given) -> Outcome<(Vec<String>, Vec<String>)> {
    let mut texts: Vec<String> = given.values('e').map(ToOwned::to_owned).collect();
    for name in given.values('f') {
        let whole = call.shell.open_input(name)?.whole().await?;
        texts.extend(lines_of(&whole).into_iter().map(|line| String::from_utf8_lossy(line).into_owned()));
    }
    let mut names = given.operands.clone();
    if !given.has('e') && !given.has('f') {
        if names.is_empty() {
            return Err(Stop::usage("a pattern is expected, as in `grep word file`"));
        }
        texts.push(names.remove(0));
    }
    Ok((texts.iter().flat_map(|text| text.split('\n')).map(ToOwned::to_owned).collect(), names))
}

fn search(command: &str, given: &Given, expressions: &[String], is_many: bool) -> Outcome<Search> {
    let syntax = match (given.last_of("EFG"), command) {
        (Some('E'), _) | (None, "egrep") => Syntax::Extended,
        (Some('F'), _) | (None, "fgrep") => Syntax::Fixed,
        (_, _) => Syntax::Basic,
    };
    let letters = if given.has('i') { Letters::AnyCase } else { Letters::Exact };
    let mut parts = Vec::new();
    for expression in expressions {
        parts.push(format!("(?:{})", translated(expression, syntax)?));
    }
    // No expression at all, as from an empty file, matches nothing.
    let any = if parts.is_empty() { r"[^\s\S]".to_owned() } else { parts.join("|") };
    let whole = match (given.has('x'), given.has('w')) {
        (true, _) => format!("^(?:{any})$"),
        (false, true) => format!(r"(?:\b{{start-half}})(?:{any})(?:\b{{end-half}})"),
        (false, false) => any,
    };
    let context =
        |option| given.number(option).map(|lines| lines.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX)));
    let around = context('C')?.unwrap_or(0);
    let telling = if given.has('q') {
        Telling::Nothing
    } else {
        match given.last_of("lLc") {
            Some('l') => Telling::NameIfAny,
            Some('L') => Telling::NameIfNone,
            Some(_) => Telling::Count,
            None => Telling::Lines,
        }
    };
    Ok(Search {
        regex: compile_translated(&whole, &expressions.join("\n"), letters)?,
        is_inverted: given.has('v'),
        has_numbers: given.has('n'),
        has_names: given.last_of("hH").map_or(is_many, |last| last == 'H'),
        only_matches: given.has('o'),
        is_silent: given.has('s'),
        telling,
        most: given.number('m')?.unwrap_or(u64::MAX),
        before: context('B')?.unwrap_or(around),
        after: context('A')?.unwrap_or(around),
    })
}

async fn in_files(call: &mut Call<'_>, search: &Search, names: &[String]) -> Outcome<(bool, u8)> {
    let (mut found, mut status) = (false, 0);
    let own = ["-".to_owned()];
    for name in if names.is_empty() { &own } else { names } {
        let opened = call.shell.open_input(name);
        found |= one_of(call, search, name, opened, &mut status).await?;
        if found && search.telling == Telling::Nothing {
            break;
        }
    }
    Ok((found, status))
}

async fn in_folders(call: &mut Call<'_>, given: &Given, search: &Search, names: &[String]) -> Outcome<(bool, u8)> {
    let patterns = |option| given.values(option).map(Pattern::new).collect::<Vec<_>>();
    let (include, exclude, exclude_folders) = (patterns('Y'), patterns('Z'), patterns('X'));
    let any = |patterns: &[Pattern], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let (mut found, mut status) = (false, 0);
    let here = [".".to_owned()];
    for root in if names.is_empty() { &here } else { names } {
        let mut tree = match Tree::new(call.shell, root, Root::Followed, usize::MAX) {
            Ok(tree) => tree,
            Err(stop) => {
                status = call.tell(stop).await?;
                continue;
            }
        };
        loop {
            let entry = match tree.next(call.shell) {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(stop) => {
                    status = call.tell(stop).await?;
                    continue;
                }
            };
            if entry.kind == Kind::Folder && entry.depth > 0 && any(&exclude_folders, entry.name()) {
                tree.leave_out();
            }
            let is_wanted = entry.kind == Kind::File
                && (include.is_empty() || any(&include, entry.name()))
                && !any(&exclude, entry.name());
            if !is_wanted {
                continue;
            }
            let shown = if names.is_empty() { entry.path.trim_start_matches("./") } else { &entry.path };
            let opened = call.shell.open_input(&entry.path);
            found |= one_of(call, search, shown, opened, &mut status).await?;
            if found && search.telling == Telling::Nothing {
                return Ok((found, status));
            }
        }
    }
    Ok((found, status))
}

async fn one_of(
    call: &mut Call<'_>,
    search: &Search,
    name: &str,
    opened: Outcome<Input>,
    status: &mut u8,
) -> Outcome<bool> {
    let found = match opened {
        Ok(_) if name != "-" && search.telling == Telling::Lines && call.shell.is_own_output(name) => {
            Err(Stop::usage(format!("{name}: input file is also the output")))
        }
        Ok(input) => one_file(call, search, name, &input).await,
        Err(stop) => Err(stop),
    };
    match found {
        Err(Stop::Failed { .. }) if search.is_silent => {
            *status = 2;
            Ok(false)
        }
        Err(stop) => {
            *status = call.tell(stop).await?;
            Ok(false)
        }
        Ok(found) => Ok(found),
    }
}

/// What was seen of a file so far.
#[derive(Default)]
struct Seen {
    number: u64,
    count: u64,
    /// Lines that may have to be shown before a match.
    before: VecDeque<(u64, Vec<u8>)>,
    /// How many lines after a match are still to be shown.
    after: usize,
    last_shown: u64,
}

async fn one_file(call: &mut Call<'_>, search: &Search, name: &str, input: &Input) -> Outcome<bool> {
    let name = if name == "-" { "(standard input)" } else { name };
    let mut seen = Seen::default();
    let mut line = Vec::new();
    let mut is_binary = false;
    while seen.count < search.most && input.line(&mut line).await? {
        seen.number += 1;
        is_binary |= line.contains(&0);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if search.regex.is_match(&line) != search.is_inverted {
            seen.count += 1;
            match search.telling {
                Telling::Lines if is_binary => {
                    call.out.line(format!("Binary file {name} matches")).await?;
                    return Ok(true);
                }
                Telling::Lines => shown_match(call, search, name, &line, &mut seen).await?,
                Telling::Count => {}
                Telling::NameIfAny | Telling::NameIfNone | Telling::Nothing => break,
            }
        } else if search.telling == Telling::Lines {
            shown_context(call, search, name, &mut line, &mut seen).await?;
        }
    }
    while seen.after > 0 && search.telling == Telling::Lines && input.line(&mut line).await? {
        seen.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        shown_context(call, search, name, &mut line, &mut seen).await?;
    }
    match search.telling {
        Telling::Count if search.has_names => call.out.line(format!("{name}:{}", seen.count)).await?,
        Telling::Count => call.out.line(seen.count.to_string()).await?,
        Telling::NameIfAny if seen.count > 0 => call.out.line(name).await?,
        Telling::NameIfNone if seen.count == 0 => {
            call.out.line(name).await?;
            return Ok(true);
        }
        Telling::NameIfNone => return Ok(false),
        Telling::NameIfAny | Telling::Lines | Telling::Nothing => {}
    }
    Ok(seen.count > 0)
}

impl Search {
    /// What stands before a line: the file and the number, if they are wanted.
    fn heading(&self, name: &str, number: u64, mark: char) -> String {
        let name = if self.has_names { format!("{name}{mark}") } else { String::new() };
        let number = if self.has_numbers { format!("{number}{mark}") } else { String::new() };
        name + &number
    }
}

async fn shown_match(call: &mut Call<'_>, search: &Search, name: &str, line: &[u8], seen: &mut Seen) -> Outcome<()> {
    let heading = search.heading(name, seen.number, ':');
    if search.only_matches {
        if !search.is_inverted {
            for found in search.regex.find_iter(line).filter(|found| !found.is_empty()) {
                call.out.put(&heading).await?;
                call.out.line(found.as_bytes()).await?;
            }
        }
        return Ok(());
    }
    let first = seen.before.front().map_or(seen.number, |(number, _)| *number);
    let has_context = search.before > 0 || search.after > 0;
    if has_context && seen.last_shown > 0 && first > seen.last_shown + 1 {
        call.out.line("--").await?;
    }
    for (number, before) in std::mem::take(&mut seen.before) {
        call.out.put(search.heading(name, number, '-')).await?;
        call.out.line(before).await?;
    }
    call.out.put(heading).await?;
    call.out.line(line).await?;
    seen.last_shown = seen.number;
    seen.after = search.after;
    Ok(())
}

async fn shown_context(
    call: &mut Call<'_>,
    search: &Search,
    name: &str,
    line: &mut Vec<u8>,
    seen: &mut Seen,
) -> Outcome<()> {
    if search.only_matches {
        return Ok(());
    }
    if seen.after > 0 {
        seen.after -= 1;
        seen.last_shown = seen.number;
        call.out.put(search.heading(name, seen.number, '-')).await?;
        return call.out.line(&line).await;
    }
    if search.before > 0 {
        seen.before.push_back((seen.number, std::mem::take(line)));
        if seen.before.len() > search.before {
            seen.before.pop_front();
        }
    }
    Ok(())
}
