//! Paths in commands that a person is told to type. Quoted, so that the command means what it says, and without effect on the
//! terminal.

use std::path::Path;

use super::text;

/// `path` as one word of a shell.
#[must_use]
pub fn path(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '=' | '@' | '%' | ',' | ':');
    let word = if !path.is_empty() && !path.starts_with('-') && path.chars().all(is_plain) {
        path
    } else if path.starts_with('-') {
        quoted(&format!("./{path}"))
    } else {
        quoted(&path)
    };
    text::whole(&word)
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_shown_means_what_it_says() {
        let cases = [
            ("/home/me/agent.toml", "/home/me/agent.toml"),
            ("my agent/agent.toml", "'my agent/agent.toml'"),
            ("x;rm -rf y", "'x;rm -rf y'"),
            ("it's", r"'it'\''s'"),
            ("-rf", "'./-rf'"),
            ("", "''"),
            ("a\u{1b}[2J", "'a\\u{1b}[2J'"),
            ("naïve.toml", "naïve.toml"),
        ];
        for (typed, shown) in cases {
            assert_eq!(path(Path::new(typed)), shown);
        }
    }
}
