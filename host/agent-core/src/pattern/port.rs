//! The port of a URL pattern: one, or every one where the pattern says `:*`. A pattern that names no port covers its scheme's
//! own, which only the pattern knows; so that default is not here.

use std::fmt;
use std::str::FromStr;

/// The ports that a pattern covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortMatch {
    /// This port.
    One(u16),
    /// Every port, and only because the pattern says `:*`: in a ceiling, or in a policy's grant of one host.
    Any,
}

/// Why a text is not a port that can be matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a port: write one number from 1 to 65535, or `*` for every port")]
pub struct InvalidPort(String);

impl PortMatch {
    /// Whether a request to port `asked` is covered.
    #[must_use]
    pub fn covers(self, asked: u16) -> bool {
        match self {
            Self::One(port) => port == asked,
            Self::Any => true,
        }
    }

    /// The ports that both cover; `None` if there are none.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, both) | (both, Self::Any) => Some(both),
            (Self::One(port), Self::One(asked)) => (port == asked).then_some(self),
        }
    }
}

impl FromStr for PortMatch {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        match text.parse() {
            Ok(port) if canonical => Ok(Self::One(port)),
            _ => Err(InvalidPort(text.to_owned())),
        }
    }
}

impl fmt::Display for PortMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(port) => write!(f, "{port}"),
            Self::Any => f.write_str("*"),
        }
    }
}
