//! `read`: a range of a text file's lines.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use agent_host_tool::{Part, args, path, tool};

use crate::lines::{Lines, is_binary};

/// Lines given back when the caller does not say.
const LINES_DEFAULT: u64 = 500;
/// Most lines in one answer.
const LINES_MAX: u64 = 5_000;
/// Most bytes in one answer: some 16,000 tokens.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How far the rest of the file is read to count its lines.
const COUNT_BYTES_MAX: u64 = 32 << 20;

#[args]
pub(crate) struct Read {
    /// The file, relative to the granted folder: `docs/guide.md`.
    path: String,
    /// The first line wanted, counted from 1. Default: 1.
    from: Option<u64>,
    /// How many lines are wanted, at most 5000. Default: 500.
    lines: Option<u64>,
    /// Whether each line begins with its number and a tab. Default: true. Say false to get the text as it is.
    numbered: Option<bool>,
}

/// Reads a text file, or a range of its lines. Lines are numbered unless `numbered` is false. A long file comes in pieces: the
/// answer ends by saying how many lines remain and from which line to ask again.
#[tool]
pub(crate) fn read(read: Read) -> Result<Vec<Part>, String> {
    let first = read.from.unwrap_or(1).max(1);
    let wanted = read.lines.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX);
    let mut lines = open(&read.path)?;
    let problem = |error| path::problem(&error, &read.path);

    let mut text = String::new();
    let mut number = 0;
    let mut rest = Rest { lines: 0, bytes: 0, counted: true };
    while let Some(line) = lines.next_line().map_err(problem)? {
        number += 1;
        if number < first {
            continue;
        }
        let full = number >= first + wanted || text.len() >= ANSWER_BYTES_MAX;
        if full || rest.lines > 0 {
            rest.lines += 1;
            rest.bytes += line.length;
            if rest.bytes > COUNT_BYTES_MAX {
                rest.counted = false;
                break;
            }
        } else {
            if read.numbered.unwrap_or(true) {
                text.push_str(&format!("{number}\t"));
            }
            text.push_str(&line.text());
            text.push('\n');
        }
    }
    if number == 0 {
        return Ok(vec![Part::Text("[the file is empty]".to_owned())]);
    }
    if text.is_empty() {
        return Err(format!("`{}` has {number} lines: there is no line {first}", read.path));
    }
    let next = number - rest.lines + 1;
    Ok([Some(Part::Text(text)), rest.marker(next).map(Part::Text)].into_iter().flatten().collect())
}

/// What follows the part that was given back.
struct Rest {
    lines: u64,
    bytes: u64,
    counted: bool,
}

impl Rest {
    fn marker(&self, next: u64) -> Option<String> {
        match (self.lines, self.counted) {
            (0, _) => None,
            (1, true) => Some(format!("… 1 more line: ask from line {next}")),
            (lines, true) => Some(format!("… {lines} more lines: ask from line {next}")),
            (lines, false) => Some(format!("… more than {lines} more lines: ask from line {next}")),
        }
    }
}

fn open(shown: &str) -> Result<Lines<BufReader<File>>, String> {
    let place = path::resolve(shown);
    let problem = |error| path::problem(&error, shown);
    let metadata = fs::metadata(&place).map_err(problem)?;
    if metadata.is_dir() {
        return Err(format!("`{shown}` is a folder: use `list` to see what is in it"));
    }
    let mut reader = BufReader::new(File::open(&place).map_err(problem)?);
    if is_binary(reader.fill_buf().map_err(problem)?) {
        return Err(format!("`{shown}` is not text but binary, {} bytes", metadata.len()));
    }
    Ok(Lines::new(reader))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn check(
        content: &[u8],
        from: Option<u64>,
        lines: Option<u64>,
        numbered: Option<bool>,
    ) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        fs::write(&file, content).unwrap();
        let path = file.to_str().unwrap().to_owned();
        let parts =
            read(Read { path: path.clone(), from, lines, numbered }).map_err(|error| error.replace(&path, "a.txt"))?;
        Ok(parts
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => text,
                other => format!("{other:?}"),
            })
            .collect())
    }

    fn texts(parts: &[&str]) -> Result<Vec<String>, String> {
        Ok(parts.iter().map(|&part| part.to_owned()).collect())
    }

    #[test]
    fn a_short_file_comes_whole() {
        assert_eq!(check(b"one\ntwo\n", None, None, None), texts(&["1\tone\n2\ttwo\n"]));
        assert_eq!(check(b"one\ntwo", None, None, Some(false)), texts(&["one\ntwo\n"]));
        assert_eq!(check(b"", None, None, None), texts(&["[the file is empty]"]));
    }

    #[test]
    fn a_range_says_what_remains() {
        let content = b"1\n2\n3\n4\n5\n";
        assert_eq!(
            check(content, Some(2), Some(2), Some(false)),
            texts(&["2\n3\n", "… 2 more lines: ask from line 4"])
        );
        assert_eq!(check(content, Some(4), Some(1), Some(false)), texts(&["4\n", "… 1 more line: ask from line 5"]));
        assert_eq!(check(content, Some(5), None, Some(false)), texts(&["5\n"]));
        assert_eq!(check(content, Some(9), None, None), Err("`a.txt` has 5 lines: there is no line 9".to_owned()));
    }

    #[test]
    fn a_large_answer_is_bounded_by_bytes() {
        let content = "0123456789\n".repeat(20_000);
        let parts = check(content.as_bytes(), None, Some(5_000), Some(false)).unwrap();
        let given = parts[0].lines().count();
        assert_eq!(given, 5_000);
        let content = format!("{}\n", "x".repeat(1_000)).repeat(100);
        let parts = check(content.as_bytes(), None, None, Some(false)).unwrap();
        assert_eq!((parts[0].lines().count(), parts[1].as_str()), (66, "… 34 more lines: ask from line 67"));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(check(b"\x7fELF\0\0", None, None, None), Err("`a.txt` is not text but binary, 6 bytes".to_owned()));
        let read_folder = read(Read { path: "/".to_owned(), from: None, lines: None, numbered: None });
        assert_eq!(read_folder, Err("`/` is a folder: use `list` to see what is in it".to_owned()));
    }
}
