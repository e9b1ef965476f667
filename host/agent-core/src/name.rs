//! Names of components, tools and runs as parsed types. Who holds one knows that it is well-formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest component or operation name, in bytes. Two of them and `__` fit into a provider's 64.
pub const NAME_BYTES_MAX: usize = 31;

/// A component's or an operation's name: a lower-case letter, then lower-case letters, digits, `_` and `-`; never two
/// underscores in a row, since `__` joins the two in the wire name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// A tool as people write it: `calc.evaluate`, component and operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolName {
    /// The component's name.
    pub component: Name,
    /// The operation's name within the component.
    pub operation: Name,
}

/// A run's identifier: 26 lower-case characters of Crockford's base 32, the first ten of them the time (a ULID), so that
/// identifiers sort by age.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(String);

/// The number of a tool call within its run, from 1, in the order in which the model proposed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallNumber(pub u32);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text breaks the alphabet or length rules of [`Name`].
    #[error("`{0}` is not a name: use 1 to {NAME_BYTES_MAX} of a-z, 0-9, `-` and single `_`, beginning with a letter")]
    Name(String),
    /// The text is not `component.operation`.
    #[error("`{0}` is not a tool name: write `component.operation`, for instance `calc.evaluate`")]
    Tool(String),
    /// The text is not a run identifier.
    #[error("`{0}` is not a run identifier")]
    Run(String),
}

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// What a person sees of the name at a glance: names with one skeleton look alike in some font.
    #[must_use]
    pub fn skeleton(&self) -> String {
        let alike = |c: char| match c {
            '0' => 'o',
            '1' => 'l',
            '_' => '-',
            other => other,
        };
        self.0.chars().map(alike).collect::<String>().replace("rn", "m").replace("vv", "w")
    }
}

impl ToolName {
    /// The name that model providers are given, whose alphabet has no dot: `calc__evaluate`. At most 64 bytes, and unique
    /// because a [`Name`] never contains `__` nor ends in `_`.
    #[must_use]
    pub fn wire(&self) -> String {
        format!("{}__{}", self.component.0, self.operation.0)
    }
}

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl RunId {
    /// An identifier from the time and ten random bytes.
    #[must_use]
    pub fn from_parts(time: crate::units::UnixMillis, random: [u8; 10]) -> Self {
        let mut bits = u128::from(time.0 & 0xffff_ffff_ffff) << 80;
        for (index, byte) in random.iter().enumerate() {
            bits |= u128::from(*byte) << (8 * (9 - index));
        }
        let digit = |place: u32| char::from(CROCKFORD[(bits >> (5 * place) & 31) as usize]);
        Self((0..26).rev().map(digit).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let good = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(allowed)
            && !text.contains("__")
            && !text.ends_with('_');
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidName::Name(text.to_owned())) }
    }
}

impl FromStr for ToolName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (component, operation) = text.split_once('.').ok_or_else(|| InvalidName::Tool(text.to_owned()))?;
        Ok(Self { component: component.parse()?, operation: operation.parse()? })
    }
}

impl FromStr for RunId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let good = text.len() == 26 && text.bytes().all(|b| CROCKFORD.contains(&b));
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidName::Run(text.to_owned())) }
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.component.0, self.operation.0)
    }
}

impl fmt::Display for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_form!(Name, ToolName, RunId);

macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
shown_as_text!(Name, RunId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnixMillis;

    #[test]
    fn names_that_look_alike_have_one_skeleton() -> Result<(), InvalidName> {
        let skeleton = |name: &str| name.parse::<Name>().map(|name| name.skeleton());
        for (one, other) in [("calc", "ca1c"), ("notes", "n0tes"), ("a-b", "a_b"), ("forms", "forrns"), ("web", "vveb")]
        {
            assert_eq!(skeleton(one)?, skeleton(other)?, "{one} {other}");
        }
        for (one, other) in [("calc", "call"), ("file", "files"), ("mail", "mall")] {
            assert_ne!(skeleton(one)?, skeleton(other)?, "{one} {other}");
        }
        Ok(())
    }

    #[test]
    fn names_keep_to_their_alphabet() {
        for good in ["calc", "read-lines", "a_b", "x1"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "Calc", "1x", "a__b", "a_", "-a", "a.b", "naïve", &"a".repeat(32)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tool_name_has_two_spellings() -> Result<(), InvalidName> {
        let tool: ToolName = "calc.evaluate".parse()?;
        assert_eq!((tool.to_string(), tool.wire()), ("calc.evaluate".to_owned(), "calc__evaluate".to_owned()));
        Ok(())
    }

    #[test]
    fn run_identifiers_sort_by_time_and_read_back() {
        let early = RunId::from_parts(UnixMillis(1_000), [255; 10]);
        let late = RunId::from_parts(UnixMillis(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().parse(), Ok(early.clone()));
    }
}
