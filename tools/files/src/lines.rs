//! Lines of a file as a stream: a line of any length costs bounded memory. Used by `read` and `search`.

use std::io::{self, BufRead};

/// Longest part of a line that is kept. Longer lines are data rather than text, and drown the model.
const LINE_BYTES_MAX: usize = 2_000;

/// Reads one line after the other.
pub(crate) struct Lines<R> {
    reader: R,
    kept: Vec<u8>,
}

/// One line, without its end.
pub(crate) struct Line<'a> {
    /// The line, or its beginning.
    pub(crate) bytes: &'a [u8],
    /// How many bytes were left out at its end.
    pub(crate) cut: u64,
    /// How many bytes it took in the file, with its end.
    pub(crate) length: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, kept: Vec::new() }
    }

    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.kept.clear();
        let mut length = 0;
        let mut ended = false;
        while !ended {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            // Room for the two bytes of the line's end, which `line` takes off.
            let room = (LINE_BYTES_MAX + 2).saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&buffer[..used.min(room)]);
            length += used as u64;
            ended = end.is_some();
            self.reader.consume(used);
        }
        if length == 0 {
            return Ok(None);
        }
        Ok(Some(self.line(length, ended)))
    }

    fn line(&self, length: u64, ended: bool) -> Line<'_> {
        let whole = self.kept.len() as u64 == length;
        let end = match (ended, whole && self.kept.ends_with(b"\r\n")) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let content = length - end;
        let kept = self.kept.len().min(LINE_BYTES_MAX).min(usize::try_from(content).unwrap_or(LINE_BYTES_MAX));
        Line { bytes: &self.kept[..kept], cut: content - kept as u64, length }
    }
}

impl Line<'_> {
    /// The line as text: bytes that are not UTF-8 are replaced, and a cut is marked.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(self.bytes).into_owned();
        if self.cut > 0 {
            text.push_str(&format!(" … [{} more bytes in this line]", self.cut));
        }
        text
    }
}

/// Whether the beginning of a file is not text. Text has no NUL.
pub(crate) fn is_binary(beginning: &[u8]) -> bool {
    beginning.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(input: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(io::BufReader::with_capacity(7, input));
        let mut out = Vec::new();
        while let Ok(Some(line)) = lines.next_line() {
            out.push(line.text());
        }
        out
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        assert_eq!(texts(b"one\r\n\ntwo and more\nlast"), ["one", "", "two and more", "last"]);
        assert_eq!(texts(b""), [""; 0]);
        assert_eq!(texts(b"\n"), [""]);
    }

    #[test]
    fn a_long_line_is_cut_and_counted() {
        let mut input = "x".repeat(LINE_BYTES_MAX + 10).into_bytes();
        let expected = format!("{} … [10 more bytes in this line]", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(texts(&input), std::slice::from_ref(&expected));
        input.extend_from_slice(b"\nnext");
        assert_eq!(texts(&input), [expected, "next".to_owned()]);
        let just = "x".repeat(LINE_BYTES_MAX) + "\r\n";
        assert_eq!(texts(just.as_bytes()), ["x".repeat(LINE_BYTES_MAX)]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(texts(b"caf\xe9\n"), ["caf\u{fffd}"]);
    }
}
