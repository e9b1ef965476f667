//! Secrets: their names, where the operator says that their values come from, and the values themselves. A value is held in
//! a type that shows nothing and wipes itself; whoever needs the text says so by [`SecretValue::expose`].

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::config::foreign_name::EnvName;
use crate::config::problem::did_you_mean;
use crate::keyring::KeyringEntry;
use crate::pattern::stored_as_text;

/// What tools and rules call a secret. Of the same form as a variable's name, which is where most come from.
pub type SecretName = EnvName;

/// Where a value comes from. Only the operator says this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// An environment variable of the host: `env:NAME`.
    Env(EnvName),
    /// A file that only its owner reads: `file:/path`.
    File(SecretFile),
    /// An entry of the desktop's keyring: `keyring:SERVICE/ACCOUNT`.
    Keyring(KeyringEntry),
}

/// The absolute path of a file, without `.`, `..` or empty segments. Unlike what rules grant it may lie in `/run`, where
/// service managers put credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretFile(String);

/// Why a text is not the source of a secret. Shows nothing of the text: it may be the secret, typed in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSource {
    /// None of the kinds.
    #[error(
        "a secret comes from `env:NAME`, `file:PATH` or `keyring:SERVICE/ACCOUNT`, and is never written down here itself"
    )]
    Kind,
    /// Almost one of the kinds, which this is.
    #[error("a secret comes from `env:NAME`, `file:PATH` or `keyring:SERVICE/ACCOUNT`: did you mean `{0}:`?")]
    Misspelt(&'static str),
    /// Not a variable's name.
    #[error("what follows `env:` is not one variable's name: use letters, digits and `_`")]
    Variable,
    /// Not a path.
    #[error("what follows `file:` is not a path without `..`, `~` and `$`")]
    Path,
    /// Not an entry.
    #[error("what follows `keyring:` is not `SERVICE/ACCOUNT`: two names, neither of which begins with `-`")]
    Entry,
}

/// How a source begins.
const KINDS: [&str; 3] = ["env", "file", "keyring"];

impl SecretSource {
    /// The value in the environment variable that is called like the secret.
    #[must_use]
    pub fn of_name(name: &SecretName) -> Self {
        Self::Env(name.clone())
    }

    /// The source that `text` names. A relative path resolves against `base_dir`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str, base_dir: &str) -> Result<Self, InvalidSource> {
        match text.split_once(':') {
            Some(("env", name)) => name.parse().map(Self::Env).map_err(|_| InvalidSource::Variable),
            Some(("file", path)) => SecretFile::join(base_dir, path).map(Self::File).ok_or(InvalidSource::Path),
            Some(("keyring", entry)) => entry.parse().map(Self::Keyring).map_err(|_| InvalidSource::Entry),
            Some((kind, _)) => Err(did_you_mean(kind, KINDS).map_or(InvalidSource::Kind, InvalidSource::Misspelt)),
            None => Err(InvalidSource::Kind),
        }
    }
}

impl SecretFile {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn join(base_dir: &str, path: &str) -> Option<Self> {
        let base = if path.starts_with('/') { "" } else { base_dir };
        let segments = base.split('/').chain(path.split('/'));
        let segments: Vec<&str> = segments.filter(|segment| !matches!(*segment, "" | ".")).collect();
        // `~` and `$` are not expanded, and whoever writes them expects that they are.
        let good = !path.is_empty()
            && !segments.contains(&"..")
            && !path.starts_with('~')
            && !path.contains(|c: char| c == '$' || c.is_control());
        good.then(|| Self(format!("/{}", segments.join("/"))))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.0),
            Self::Keyring(entry) => write!(f, "keyring:{entry}"),
        }
    }
}

impl FromStr for SecretSource {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        Self::parse(text, "/")
    }
}

stored_as_text!(SecretSource);

/// How a value stands in its header: `Bearer {}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderFormat {
    before: String,
    after: String,
}

/// The text does not say where in a header the value goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a format is short printable text with one `{{}}` for the value, such as `Bearer {{}}`")]
pub struct InvalidFormat;

impl HeaderFormat {
    /// The value and nothing else.
    #[must_use]
    pub fn plain() -> Self {
        Self { before: String::new(), after: String::new() }
    }

    /// The header's text with this value.
    #[must_use]
    pub fn with(&self, value: &SecretValue) -> Zeroizing<String> {
        let mut text =
            Zeroizing::new(String::with_capacity(self.before.len() + value.expose().len() + self.after.len()));
        for part in [self.before.as_str(), value.expose(), self.after.as_str()] {
            text.push_str(part);
        }
        text
    }
}

impl FromStr for HeaderFormat {
    type Err = InvalidFormat;

    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        /// Longest format: what stands beside a value is a word or two.
        const FORMAT_BYTES_MAX: usize = 128;
        let (before, after) = text.split_once("{}").ok_or(InvalidFormat)?;
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let good = text.len() <= FORMAT_BYTES_MAX && printable && text.trim() == text && !after.contains("{}");
        good.then(|| Self { before: before.to_owned(), after: after.to_owned() }).ok_or(InvalidFormat)
    }
}

impl fmt::Display for HeaderFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{}}{}", self.before, self.after)
    }
}

stored_as_text!(HeaderFormat);

/// The value of a secret. Neither shown nor stored by anything; wiped when dropped.
pub struct SecretValue(Zeroizing<String>);

/// Shortest value that is accepted. A shorter one is found in texts that have nothing to do with it, and guessed.
pub const VALUE_BYTES_MIN: usize = 8;
/// Longest value that is accepted: servers take headers of about twice this.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Why a text cannot be a secret. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Too short.
    #[error(
        "it has fewer than {VALUE_BYTES_MIN} characters: taking it out of what tools report would spoil other text"
    )]
    Short,
    /// Too long.
    #[error("it is longer than the {VALUE_BYTES_MAX} bytes that a header may have")]
    Long,
    /// Not what a header can carry.
    #[error("it holds a control character, a character beyond ASCII, or a space at an end, which no header carries")]
    Character,
    /// Its end is half an escape, such as a backslash: which text it belongs to depends on what follows.
    #[error("it ends as an escape begins, with `\\` or `%`: within escaped text it could not be taken out for certain")]
    HalfEscape,
    /// Found in texts that have nothing to do with it.
    #[error("it is a common word or number: taking it out of what tools report would spoil other text")]
    Common,
}

impl SecretValue {
    /// The value `text`.
    ///
    /// # Errors
    /// Where no header could carry it, or it would be found where it is not meant.
    pub fn new(text: String) -> Result<Self, WeakSecret> {
        // From here on it is wiped, whatever becomes of it.
        let text = Zeroizing::new(text);
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() {
            Err(WeakSecret::Empty)
        } else if !printable || text.trim() != text.as_str() {
            Err(WeakSecret::Character)
        } else if text.len() < VALUE_BYTES_MIN {
            Err(WeakSecret::Short)
        } else if text.len() > VALUE_BYTES_MAX {
            Err(WeakSecret::Long)
        } else if ends_in_half_an_escape(&text) {
            Err(WeakSecret::HalfEscape)
        } else if is_common(&text) {
            Err(WeakSecret::Common)
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Whether the last characters could be the first ones of `\\`, `\u0041` or `%41`. Escaped, such a value may go on in the text
/// that follows, which may be taken out itself.
fn ends_in_half_an_escape(text: &str) -> bool {
    let before = text.trim_end_matches(|c: char| c.is_ascii_hexdigit());
    match text.len() - before.len() {
        0 if before.ends_with(['\\', '%']) => true,
        0..=3 if before.ends_with("\\u") => true,
        1 => before.ends_with('%'),
        _ => false,
    }
}

/// Whether other texts are likely to hold it: a word, a number, a few characters over and over, or what every protocol and
/// every list of passwords has.
fn is_common(text: &str) -> bool {
    /// Shorter than this, letters alone are a word and digits alone a number.
    const WORD_BYTES_MAX: usize = 16;
    /// Fewer different characters than this make a pattern.
    const DIFFERENT_MIN: usize = 4;
    const COMMON: [&str; 24] = [
        "1q2w3e4r",
        "abcd1234",
        "access-token",
        "access_token",
        "admin123",
        "application/json",
        "changeme1",
        "charset=utf-8",
        "content-length",
        "content-type",
        "hunter22",
        "keep-alive",
        "letmein1",
        "my-secret",
        "my_secret",
        "pa$$word",
        "pa55word",
        "passw0rd",
        "password1",
        "password123",
        "test1234",
        "text/html",
        "text/plain",
        "user-agent",
    ];
    let mut different: Vec<u8> = text.bytes().collect();
    different.sort_unstable();
    different.dedup();
    let is_word = text.len() < WORD_BYTES_MAX
        && (text.bytes().all(|byte| byte.is_ascii_alphabetic()) || text.bytes().all(|byte| byte.is_ascii_digit()));
    let word = text.trim_end_matches(|c: char| c.is_ascii_punctuation());
    is_word || different.len() < DIFFERENT_MIN || COMMON.iter().any(|common| common.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_would_be_found_everywhere_are_refused() {
        let weak = |text: &str| SecretValue::new(text.to_owned()).err();
        for (text, why) in [
            ("", WeakSecret::Empty),
            ("abc12-x", WeakSecret::Short),
            ("password", WeakSecret::Common),
            ("Password1!", WeakSecret::Common),
            ("confidential", WeakSecret::Common),
            ("12345678", WeakSecret::Common),
            ("----------------------", WeakSecret::Common),
            ("abababababababababababab", WeakSecret::Common),
            ("Content-Type", WeakSecret::Common),
            ("line-one\nline-two", WeakSecret::Character),
            ("tok-7f-Q-x-\\", WeakSecret::HalfEscape),
            ("tok-7f-Q-x-\\u00c", WeakSecret::HalfEscape),
            ("tok-7f-Q-x-%", WeakSecret::HalfEscape),
            ("tok-7f-Q-x-%4", WeakSecret::HalfEscape),
            ("ends-with-newline-1\n", WeakSecret::Character),
            (" begins-with-space-1", WeakSecret::Character),
            ("schlüssel-4711", WeakSecret::Character),
            (&"a1b2c3d4".repeat(600), WeakSecret::Long),
        ] {
            assert_eq!(weak(text), Some(why), "{text}");
        }
        for good in ["x7-Kq2pL", "tok_1234567", "AKIAIOSFODNN7EXAMPLE", "correct horse battery 9", "0123456789abcdef"] {
            assert_eq!(weak(good), None, "{good}");
        }
    }

    #[test]
    fn a_source_names_a_place_and_never_a_value() {
        let parse = |text: &str| SecretSource::parse(text, "/etc/agent").map(|source| source.to_string());
        assert_eq!(parse("env:API_TOKEN"), Ok("env:API_TOKEN".to_owned()));
        assert_eq!(parse("file:token"), Ok("file:/etc/agent/token".to_owned()));
        assert_eq!(parse("file:/srv/token"), Ok("file:/srv/token".to_owned()));
        assert_eq!(parse("keyring:orders/ada"), Ok("keyring:orders/ada".to_owned()));
        for (text, why) in [
            ("sk-live-1234567890", InvalidSource::Kind),
            ("value:sk-live-1234567890", InvalidSource::Kind),
            ("env:sk-live-1234567890", InvalidSource::Variable),
            ("file:", InvalidSource::Path),
            ("file:~/token", InvalidSource::Path),
            ("file:../token", InvalidSource::Path),
            ("keyring:sk-live-1234567890", InvalidSource::Entry),
            ("keyring:orders/-1234567890", InvalidSource::Entry),
            ("keychain:orders/ada", InvalidSource::Misspelt("keyring")),
            ("Env:API_TOKEN", InvalidSource::Misspelt("env")),
            ("files:/srv/token", InvalidSource::Misspelt("file")),
        ] {
            let refused = SecretSource::parse(text, "/etc/agent");
            assert_eq!(refused, Err(why), "{text}");
            assert!(!why.to_string().contains("1234567890"));
        }
    }

    #[test]
    fn a_format_has_one_place_for_the_value() -> Result<(), Box<dyn std::error::Error>> {
        let value = SecretValue::new("x7-Kq2pL".to_owned())?;
        for (format, header) in [("{}", "x7-Kq2pL"), ("Bearer {}", "Bearer x7-Kq2pL"), ("k=\"{}\"", "k=\"x7-Kq2pL\"")] {
            let parsed: HeaderFormat = format.parse()?;
            assert_eq!((parsed.with(&value).as_str(), parsed.to_string().as_str()), (header, format));
        }
        for bad in ["", "Bearer", "{} {}", " {}", "{}\r\nx: y", "ä{}"] {
            assert!(bad.parse::<HeaderFormat>().is_err(), "{bad}");
        }
        Ok(())
    }
}
