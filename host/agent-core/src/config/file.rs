//! Opens a file that a person wrote: bounds its size, parses the TOML, and collects what is found to be wrong with it.
//! What the tables mean is read through `config::reader`.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use super::problem::{PROBLEMS_MAX, Problem, ProblemKind, Problems, legible, shown};
use super::reader::Table;

/// Largest file that is read. An honest one has a few KiB.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;

/// Parses `text` and lets `read` take from its root table what it knows; the rest is a problem.
///
/// # Errors
/// Everything that is wrong with the file: its size or its syntax alone, else all that `read` found.
pub(super) fn read_file<T>(
    kind: ProblemKind,
    file: &str,
    text: &str,
    read: impl FnOnce(&mut Table<'_>) -> Option<T>,
) -> Result<T, Problems> {
    if text.len() > FILE_BYTES_MAX {
        // Before anything is made of it: where its lines begin would take eight times as much.
        let message = format!("the file has {} bytes: at most {FILE_BYTES_MAX} are read", text.len());
        let (file, line) = (file.to_owned(), Some(1));
        let kind = ProblemKind::RequestTooLarge;
        return Err(Problem { kind, file, line, column: line, message, hint: None }.into());
    }
    let findings = Findings { kind, file, lines: line_starts(text), text, problems: RefCell::default() };
    let (root, errors) = parse_toml(text);
    for error in errors.iter().take(PROBLEMS_MAX + 1) {
        findings.add_syntax(error);
    }
    Problems::none_of(findings.problems.take())?;
    let mut table = Table::new(&findings, root.get_ref(), 0..0);
    let value = read(&mut table);
    table.finish();
    Problems::none_of(findings.problems.into_inner())?;
    value.ok_or_else(|| unreachable!("a reader that returns nothing has said why"))
}

/// Parses, listing every syntax error of a file of ordinary size, and the first one of a large file: a hostile one has half
/// a million.
fn parse_toml(text: &str) -> (Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
    const RECOVERY_BYTES_MAX: usize = 64 << 10;
    if text.len() <= RECOVERY_BYTES_MAX {
        return DeTable::parse_recoverable(text);
    }
    match DeTable::parse(text) {
        Ok(root) => (root, Vec::new()),
        Err(first) => (Spanned::new(0..0, DeTable::new()), vec![first]),
    }
}

/// Where problems are collected.
pub(super) struct Findings<'f> {
    kind: ProblemKind,
    pub(super) file: &'f str,
    text: &'f str,
    /// The offset at which each line begins.
    lines: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

impl Findings<'_> {
    pub(super) fn add(&self, span: Range<usize>, message: String) {
        self.push(self.problem(span, message));
    }

    /// What the TOML parser says, with the text that it says it about.
    fn add_syntax(&self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let message = error.message().replace('\n', " ");
        let text = self.text.get(span.clone()).unwrap_or_default().trim();
        let about = if text.is_empty() { String::new() } else { format!(": `{}`", shown(text)) };
        self.add(span, format!("{message}{about}"));
    }

    pub(super) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// The message may quote the file, whose author the operator may not know: it is made safe to show.
    pub(super) fn problem(&self, span: Range<usize>, message: String) -> Problem {
        let (line, column) = self.place(span.start);
        let (line, column) = (Some(line), Some(column));
        Problem { kind: self.kind, file: self.file.to_owned(), line, column, message: legible(message), hint: None }
    }

    pub(super) fn place(&self, offset: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let before = self.text.get(self.lines[line - 1]..offset).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (number(line), number(before.chars().count() + 1))
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}
