//! Names that belong to other systems: environment variables and HTTP headers.

use std::fmt;
use std::str::FromStr;

use crate::pattern::stored_as_text;

/// The name of an environment variable: letters, digits and `_`, not beginning with a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvName(String);

/// The name of an HTTP header that the host may set for a guest: an RFC 9110 token that decides nothing about routing,
/// framing or credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderName(String);

/// The name of an HTTP header that carries a secret: an RFC 9110 token that decides nothing about routing or framing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretHeader(String);

/// Longest name of any kind, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The text is not the name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not one variable's name: use letters, digits and `_`", super::problem::shown(.0))]
pub struct InvalidEnvName(String);

/// Why a text is not a header that the host may set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeaderName {
    /// Not a token.
    #[error("`{}` is not a header name", super::problem::shown(.0))]
    Token(String),
    /// A header with a meaning of its own.
    #[error("`{0}` has a meaning of its own and cannot carry a key or a secret")]
    Reserved(String),
}

/// Reserved headers that are made for secrets.
const CREDENTIAL_HEADERS: [&str; 2] = ["authorization", "cookie"];

/// Headers that mean something to proxies, servers or browsers.
const RESERVED_HEADERS: [&str; 12] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl FromStr for EnvName {
    type Err = InvalidEnvName;

    fn from_str(text: &str) -> Result<Self, InvalidEnvName> {
        let good = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidEnvName(text.to_owned())) }
    }
}

impl FromStr for HeaderName {
    type Err = InvalidHeaderName;

    fn from_str(text: &str) -> Result<Self, InvalidHeaderName> {
        check_token(text)?;
        if is_reserved(&text.to_ascii_lowercase()) {
            return Err(InvalidHeaderName::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for SecretHeader {
    type Err = InvalidHeaderName;

    /// Kept in lower case, in which headers are compared.
    fn from_str(text: &str) -> Result<Self, InvalidHeaderName> {
        check_token(text)?;
        let lower = text.to_ascii_lowercase();
        if is_reserved(&lower) && !CREDENTIAL_HEADERS.contains(&lower.as_str()) {
            return Err(InvalidHeaderName::Reserved(text.to_owned()));
        }
        Ok(Self(lower))
    }
}

impl SecretHeader {
    /// The header that most servers expect.
    #[must_use]
    pub fn standard() -> Self {
        Self(CREDENTIAL_HEADERS[0].to_owned())
    }
}

fn check_token(text: &str) -> Result<(), InvalidHeaderName> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let good = !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(is_token);
    if good { Ok(()) } else { Err(InvalidHeaderName::Token(text.to_owned())) }
}

fn is_reserved(lower: &str) -> bool {
    RESERVED_HEADERS.contains(&lower) || lower.starts_with("proxy-") || lower.starts_with("sec-")
}

macro_rules! text_access {
    ($($name:ident),*) => {$(
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_access!(EnvName, HeaderName, SecretHeader);
stored_as_text!(EnvName, HeaderName, SecretHeader);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_alphabet_of_their_system() {
        for good in ["TZ", "_a1"] {
            assert!(good.parse::<EnvName>().is_ok(), "{good}");
        }
        for bad in ["", "1A", "A*", "*", "A=B", "$TZ", "A B", "Ä"] {
            assert!(bad.parse::<EnvName>().is_err(), "{bad}");
        }
        for good in ["Idempotency-Key", "x-request-id"] {
            assert!(good.parse::<HeaderName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a:", "a\r\nb", "Host", "AUTHORIZATION", "Proxy-Authorization", "transfer-encoding"] {
            assert!(bad.parse::<HeaderName>().is_err(), "{bad}");
        }
        for (good, kept) in [("Authorization", "authorization"), ("X-Api-Key", "x-api-key"), ("cookie", "cookie")] {
            assert_eq!(good.parse::<SecretHeader>().map(|header| header.to_string()), Ok(kept.to_owned()));
        }
        for bad in ["", "a b", "Host", "Content-Length", "Proxy-Authorization", "transfer-encoding"] {
            assert!(bad.parse::<SecretHeader>().is_err(), "{bad}");
        }
    }
}
