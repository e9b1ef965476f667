//! What is wrong with a file that a person wrote, said so that they can fix it: place, message, hint. All problems of a
//! file are reported together. Not for failures of the host, which are errors, nor for refusals at run time.

use std::fmt;

use crate::grant::RuleSource;
use crate::hidden::is_hidden;

/// Most problems that are listed. A file with more is not the kind of file that it is taken for.
pub const PROBLEMS_MAX: usize = 50;

/// One thing that the user can fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its stable name.
    pub kind: ProblemKind,
    /// The file as the user knows it, or the flag that said it.
    pub file: String,
    /// The line, from 1, where the file has lines.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// The kinds of problems. Their names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// A `tool.toml` that cannot be read as one.
    ManifestInvalid,
    /// An agent file that cannot be read as one.
    AgentFileInvalid,
    /// A policy file that cannot be read as one, or rules that contradict each other.
    PolicyInvalid,
    /// A settings file that cannot be read as one.
    SettingsInvalid,
    /// A file larger than any honest one.
    RequestTooLarge,
    /// A grant for one tool that gives more than its author asked for.
    GrantExceedsManifest,
    /// A grant that another rule forbids.
    GrantExceedsPolicy,
    /// A secret that cannot be used as it is granted.
    SecretBlocked,
    /// A grant for another component than the one that stands under the tool's name.
    DigestMismatch,
}

/// One or more problems, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problem {
    /// A problem with what a rule says.
    #[must_use]
    pub fn at_source(kind: ProblemKind, source: &RuleSource, message: String) -> Self {
        let (file, line) = source.place();
        Self { kind, file: file.to_owned(), line, column: None, message, hint: None }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn with_hint(self, hint: String) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

impl ProblemKind {
    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ManifestInvalid => "manifest_invalid",
            Self::AgentFileInvalid => "agent_file_invalid",
            Self::PolicyInvalid => "policy_invalid",
            Self::SettingsInvalid => "settings_invalid",
            Self::RequestTooLarge => "request_too_large",
            Self::GrantExceedsManifest => "grant_exceeds_manifest",
            Self::GrantExceedsPolicy => "grant_exceeds_policy",
            Self::SecretBlocked => "secret_blocked",
            Self::DigestMismatch => "digest_mismatch",
        }
    }
}

impl Problems {
    /// `Ok` if there are none. Sorts by place, drops repetitions, and cuts the list at [`PROBLEMS_MAX`].
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn none_of(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        problems.dedup();
        if let Some(first_left_out) = problems.get_mut(PROBLEMS_MAX) {
            first_left_out.message = "more problems are not shown".to_owned();
            first_left_out.hint = None;
        }
        problems.truncate(PROBLEMS_MAX + 1);
        Err(Self(problems))
    }

    /// The problems: at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// The problems, to be joined with those of another file.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problem {
    /// As compilers do: `file:line:column: message`, and the hint on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The known word that `text` was probably meant to be.
pub(crate) fn did_you_mean<'w>(text: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    /// Longer texts are no misspelled words, and comparing them takes the product of both lengths.
    const WORD_BYTES_MAX: usize = 64;
    if text.len() > WORD_BYTES_MAX {
        return None;
    }
    let scored =
        known.into_iter().filter_map(|word| Some((likeness(&text.to_lowercase(), &word.to_lowercase())?, word)));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

/// How alike two words are, if they are alike at all: by their letters, or because one slip of a finger makes one the other.
fn likeness(text: &str, word: &str) -> Option<f64> {
    /// Jaro-Winkler similarity from which two words count as one: `mehtods` and `methods` have 0.95, `tool` and `tokens` 0.72.
    const SIMILAR: f64 = 0.8;
    let similarity = strsim::jaro_winkler(text, word);
    let one_slip = word.len() > 2 && strsim::osa_distance(text, word) == 1;
    (one_slip || similarity >= SIMILAR).then_some(if one_slip { similarity.max(SIMILAR) } else { similarity })
}

/// `did you mean …?` if there is a likely word, else the list of all.
pub(super) fn suggestion(text: &str, known: &[&str]) -> Option<String> {
    match did_you_mean(text, known.iter().copied()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", quoted(known))),
    }
}

/// `` `a`, `b`, `c` ``
pub(super) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What was written, so that it can be shown in one line on a terminal: cut at 60 characters, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(escaped).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A whole message, which may quote what was written: nothing in it moves a cursor or hides, and it stays one readable line.
/// Cut in the middle, because what is wrong is said at one of its ends.
pub(super) fn legible(message: String) -> String {
    const END_CHARS_MAX: usize = 300;
    if message.len() <= 2 * END_CHARS_MAX && !message.contains(is_hidden) {
        return message;
    }
    let characters: Vec<char> = message.chars().flat_map(escaped).collect();
    if characters.len() <= 2 * END_CHARS_MAX {
        return characters.into_iter().collect();
    }
    let (first, last) = (&characters[..END_CHARS_MAX], &characters[characters.len() - END_CHARS_MAX..]);
    first.iter().chain(&['…']).chain(last).collect()
}

/// The whole text in one line, with everything that a person cannot see escaped.
pub(super) fn visible(text: &str) -> String {
    text.chars().flat_map(escaped).collect()
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let hidden = is_hidden(c);
    let escape = hidden.then(|| c.escape_unicode());
    let plain = (!hidden).then_some(c);
    escape.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u32, message: &str) -> Problem {
        Problem {
            kind: ProblemKind::PolicyInvalid,
            file: "policy.toml".to_owned(),
            line: Some(line),
            column: None,
            message: message.to_owned(),
            hint: None,
        }
    }

    #[test]
    fn problems_read_like_those_of_a_compiler() {
        let hinted = problem(2, "unknown key `ulr`").with_hint("did you mean `url`?".to_owned());
        let flag =
            Problem::at_source(ProblemKind::PolicyInvalid, &RuleSource("--allow-read".to_owned()), "no".to_owned());
        let problems = Problems::none_of(vec![hinted.clone(), flag, problem(1, "bad"), hinted]);
        insta::assert_snapshot!(problems.err().map(|problems| problems.to_string()).unwrap_or_default(), @"
        --allow-read: no
        policy.toml:1: bad
        policy.toml:2: unknown key `ulr`
          hint: did you mean `url`?
        ");
    }

    #[test]
    fn the_list_of_problems_is_bounded() {
        let many = (0..1_000).map(|line| problem(line, "bad")).collect();
        let problems = Problems::none_of(many).map_err(Problems::into_vec).err().unwrap_or_default();
        assert_eq!(problems.len(), PROBLEMS_MAX + 1);
        assert_eq!(problems[PROBLEMS_MAX].message, "more problems are not shown");
    }

    #[test]
    fn misspelled_words_are_recognised() {
        let known = ["url", "methods", "idempotency_header", "deadline"];
        let cases = [
            ("mehtods", Some("methods")),
            ("method", Some("methods")),
            ("deadlin", Some("deadline")),
            ("URL", Some("url")),
            ("ulr", Some("url")),
            ("fuel", None),
        ];
        for (text, word) in cases {
            assert_eq!(did_you_mean(text, known), word, "{text}");
        }
    }

    #[test]
    fn what_is_shown_stays_on_its_line() {
        assert_eq!(shown("a\nb\u{202e}c"), "a\\u{a}b\\u{202e}c");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 61);
    }
}
