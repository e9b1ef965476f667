//! Paths and other words in commands that a person is told to type. Quoted, so that the command means what it says, and without effect on the
//! terminal.

use std::path::Path;

use super::text;

/// `path` as one word of a shell.
#[must_use]
pub fn path(path: &Path) -> String {
    let path = path.display().to_string();
    if path.starts_with('-') { text::whole(&quoted(&format!("./{path}"))) } else { word(&path) }
}

/// `text` as one word of a shell. One that begins with `-` would still be an option.
#[must_use]
pub fn word(text: &str) -> String {
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '=' | '@' | '%' | ',' | ':');
    let plain = !text.is_empty() && text.chars().all(is_plain);
    text::whole(&if plain { text.to_owned() } else { quoted(text) })
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
