//! `diff`: how two files or folders differ, as edits or in the unified form. `cmp`: whether they do.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::lines::lines_of;
use super::options::{Given, Options};
use super::tree::joined;
use crate::files::failed;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new(
    "uqriwbsNB",
    "UL",
    &[
        ("unified", 'u'),
        ("brief", 'q'),
        ("recursive", 'r'),
        ("ignore-case", 'i'),
        ("ignore-all-space", 'w'),
        ("ignore-space-change", 'b'),
        ("report-identical-files", 's'),
        ("new-file", 'N'),
        ("label", 'L'),
    ],
);

const OF_CMP: Options = Options::new("s", "", &[("silent", 's'), ("quiet", 's')]);

/// How deep folders are compared in each other.
const DEPTH_MAX: usize = 50;

pub(super) async fn diff(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    if given.has('B') {
        return Err(Stop::usage("`-B` is not here; there are -i -w -b"));
    }
    let [old, new] = &given.operands[..] else { return Err(Stop::usage("two files are expected")) };
    let is_folder = |call: &Call<'_>, name: &str| call.shell.metadata(name).is_ok_and(|found| found.is_dir());
    let name_in = |folder: &str, other: &str| joined(folder, other.rsplit('/').next().unwrap_or(other));
    match (is_folder(call, old), is_folder(call, new)) {
        (true, true) => folders(call, &given, old, new).await,
        (true, false) => pair(call, &given, &name_in(old, new), new, None).await,
        (false, true) => pair(call, &given, old, &name_in(new, old), None).await,
        (false, false) => pair(call, &given, old, new, None).await,
    }
}

async fn folders(call: &mut Call<'_>, given: &Given, old: &str, new: &str) -> Outcome<u8> {
    let mut pending = vec![(old.to_owned(), new.to_owned(), 0)];
    let mut status = 0;
    while let Some((old, new, depth)) = pending.pop() {
        let (of_old, of_new) = (names(call, &old)?, names(call, &new)?);
        let mut all: Vec<&String> = of_old.iter().chain(&of_new).collect();
        all.sort();
        all.dedup();
        let mut deeper = Vec::new();
        for name in all {
            let (left, right) = (joined(&old, name), joined(&new, name));
            let is_folder = |path: &str| call.shell.metadata(path).is_ok_and(|found| found.is_dir());
            let only = match (of_old.contains(name), of_new.contains(name)) {
                (true, false) => Some(&old),
                (false, true) => Some(&new),
                (_, _) => None,
            };
            match only {
                Some(folder) if !(given.has('N') && !is_folder(&left) && !is_folder(&right)) => {
                    call.out.line(format!("Only in {folder}: {name}")).await?;
                    status = status.max(1);
                }
                _ if is_folder(&left) && is_folder(&right) && given.has('r') => deeper.push((left, right, depth + 1)),
                _ if is_folder(&left) && is_folder(&right) => {
                    call.out.line(format!("Common subdirectories: {left} and {right}")).await?;
                }
                _ => {
                    let switches: String =
                        given.options.iter().map(|(letter, value)| format!(" -{letter}{value}")).collect();
                    let heading = format!("diff{switches} {left} {right}");
                    status = status.max(pair(call, given, &left, &right, Some(&heading)).await?);
                }
            }
        }
        if depth >= DEPTH_MAX && !deeper.is_empty() {
            return Err(Stop::usage(format!("folders stand more than {DEPTH_MAX} deep in each other")));
        }
        deeper.reverse();
        pending.extend(deeper);
    }
    Ok(status)
}

fn names(call: &Call<'_>, folder: &str) -> Outcome<Vec<String>> {
    let entries =
        call.shell.place(folder).and_then(|place| place.read_dir()).map_err(|error| failed(folder, &error))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

async fn read(call: &mut Call<'_>, given: &Given, name: &str) -> Outcome<Vec<u8>> {
    if given.has('N') && name != "-" && call.shell.metadata(name).is_err() {
        return Ok(Vec::new());
    }
    let trouble = |stop| match stop {
        Stop::Failed { message, .. } => Stop::usage(message),
        other => other,
    };
    call.shell.open_input(name).map_err(trouble)?.whole().await
}

/// Compares two files. `heading` stands before what differs, where folders are compared.
async fn pair(call: &mut Call<'_>, given: &Given, old: &str, new: &str, heading: Option<&str>) -> Outcome<u8> {
    let (old_text, new_text) = (read(call, given, old).await?, read(call, given, new).await?);
    let manner = Manner { folds_case: given.has('i'), blanks: given.last_of("wb") };
    let (old_lines, new_lines) = (lines_of(&old_text), lines_of(&new_text));
    // A last line without its end is not the same line.
    let keys = |lines: &[&[u8]], text: &[u8]| {
        let mut keys: Vec<Vec<u8>> = lines.iter().map(|line| manner.key(line)).collect();
        if !text.is_empty() && !text.ends_with(b"\n") && manner.blanks.is_none() {
            keys.last_mut().into_iter().for_each(|last| last.push(0));
        }
        keys
    };
    let (old_keys, new_keys) = (keys(&old_lines, &old_text), keys(&new_lines, &new_text));
    if old_keys == new_keys {
        if given.has('s') {
            call.out.line(format!("Files {old} and {new} are identical")).await?;
        }
        return Ok(0);
    }
    let is_binary = |text: &[u8]| text.contains(&0);
    if given.has('q') || is_binary(&old_text) || is_binary(&new_text) {
        let kind = if given.has('q') { "Files" } else { "Binary files" };
        call.out.line(format!("{kind} {old} and {new} differ")).await?;
        return Ok(1);
    }
    if let Some(heading) = heading {
        call.out.line(heading).await?;
    }
    let changes = capture_diff_slices(Algorithm::Myers, &old_keys, &new_keys);
    let sides = Sides {
        old: old_lines,
        new: new_lines,
        old_ends: old_text.ends_with(b"\n") || old_text.is_empty(),
        new_ends: new_text.ends_with(b"\n") || new_text.is_empty(),
    };
    let text = if given.has('u') || given.has('U') {
        let around = given.number('U')?.map_or(3, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
        let mut labels = given.values('L');
        let (old, new) = (labels.next().unwrap_or(old).to_owned(), labels.next().unwrap_or(new).to_owned());
        unified(&sides, changes, around.min(100_000), &old, &new)
    } else {
        edits(&sides, &changes)
    };
    call.out.put(text).await?;
    Ok(1)
}

/// When two lines are the same.
struct Manner {
    folds_case: bool,
    blanks: Option<char>,
}

impl Manner {
    fn key(&self, line: &[u8]) -> Vec<u8> {
        let mut key = match self.blanks {
            Some('w') => line.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect(),
            Some(_) => {
                let words = line.split(u8::is_ascii_whitespace).enumerate();
                let kept: Vec<&[u8]> =
                    words.filter(|(at, word)| *at == 0 || !word.is_empty()).map(|(_, word)| word).collect();
                kept.join(&b' ')
            }
            None => line.to_vec(),
        };
        if self.folds_case {
            key.make_ascii_lowercase();
        }
        key
    }
}

/// Both files by their lines, and whether the last one has its end.
struct Sides<'a> {
    old: Vec<&'a [u8]>,
    new: Vec<&'a [u8]>,
    old_ends: bool,
    new_ends: bool,
}

impl Sides<'_> {
    fn push_old(&self, out: &mut Vec<u8>, mark: &str, at: usize) {
        push(out, mark, self.old[at], self.old_ends || at + 1 < self.old.len());
    }

    fn push_new(&self, out: &mut Vec<u8>, mark: &str, at: usize) {
        push(out, mark, self.new[at], self.new_ends || at + 1 < self.new.len());
    }
}

fn push(out: &mut Vec<u8>, mark: &str, line: &[u8], ends: bool) {
    out.extend_from_slice(mark.as_bytes());
    out.extend_from_slice(line);
    out.push(b'\n');
    if !ends {
        out.extend_from_slice(b"\\ No newline at end of file\n");
    }
}

/// `2,3c4`
fn edits(sides: &Sides<'_>, changes: &[DiffOp]) -> Vec<u8> {
    let mut out = Vec::new();
    for change in changes {
        let (old, new) = (change.old_range(), change.new_range());
        let letter = match change {
            DiffOp::Equal { .. } => continue,
            DiffOp::Delete { .. } => 'd',
            DiffOp::Insert { .. } => 'a',
            DiffOp::Replace { .. } => 'c',
        };
        out.extend_from_slice(format!("{}{letter}{}\n", numbers(&old), numbers(&new)).as_bytes());
        old.clone().for_each(|at| sides.push_old(&mut out, "< ", at));
        if letter == 'c' {
            out.extend_from_slice(b"---\n");
        }
        new.for_each(|at| sides.push_new(&mut out, "> ", at));
    }
    out
}

fn numbers(range: &Range<usize>) -> String {
    match range.len() {
        0 => range.start.to_string(),
        1 => (range.start + 1).to_string(),
        _ => format!("{},{}", range.start + 1, range.end),
    }
}

fn unified(sides: &Sides<'_>, changes: Vec<DiffOp>, around: usize, old: &str, new: &str) -> Vec<u8> {
    let mut out = format!("--- {old}\n+++ {new}\n").into_bytes();
    for group in group_diff_ops(changes, around) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let old = first.old_range().start..last.old_range().end;
        let new = first.new_range().start..last.new_range().end;
        out.extend_from_slice(format!("@@ -{} +{} @@\n", place(&old), place(&new)).as_bytes());
        for change in &group {
            match change {
                DiffOp::Equal { .. } => change.old_range().for_each(|at| sides.push_old(&mut out, " ", at)),
                DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                    change.old_range().for_each(|at| sides.push_old(&mut out, "-", at));
                    change.new_range().for_each(|at| sides.push_new(&mut out, "+", at));
                }
            }
        }
    }
    out
}

fn place(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        length => format!("{},{length}", range.start + 1),
    }
}

pub(super) async fn cmp(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OF_CMP)?;
    let [left, right] = &given.operands[..] else { return Err(Stop::usage("two files are expected")) };
    let a = read(call, &Given::default(), left).await?;
    let b = read(call, &Given::default(), right).await?;
    if a == b {
        return Ok(0);
    }
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    if !given.has('s') {
        let line = a[..same].iter().filter(|byte| **byte == b'\n').count() + 1;
        if same == a.len().min(b.len()) {
            let shorter = if a.len() < b.len() { left } else { right };
            call.complain(&format!("EOF on {shorter} after byte {same}")).await?;
        } else {
            call.out.line(format!("{left} {right} differ: byte {}, line {line}", same + 1)).await?;
        }
    }
    Ok(1)
}
