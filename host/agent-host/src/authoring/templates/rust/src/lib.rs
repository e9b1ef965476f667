//! Counts the lines, words and bytes of a text file. `wit/tool.wit` says what is offered, this file does it.

use std::path::Path;

wit_bindgen::generate!({ path: "wit", world: "tool" });

/// Where the granted folder appears: the `mount` in `tool.toml`.
const FOLDER: &str = "/data";

struct Tool;

impl Guest for Tool {
    fn count(path: String) -> Result<Counts, String> {
        let path = Path::new(FOLDER).join(path);
        // The model reads the error: say what was wrong.
        let text = std::fs::read(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        Ok(counted(&text))
    }
}

export!(Tool);

fn counted(text: &[u8]) -> Counts {
    let unfinished = !text.is_empty() && !text.ends_with(b"\n");
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + usize::from(unfinished);
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
    Counts { lines: lines as u64, words: words as u64, bytes: text.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_words_are_counted() {
        let counts = counted(b"one  two\nthree");
        assert_eq!((counts.lines, counts.words, counts.bytes), (2, 3, 14));
        assert_eq!(counted(b"").lines, 0);
    }
}
