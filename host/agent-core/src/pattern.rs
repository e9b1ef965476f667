//! URL patterns: which scheme, hosts, ports and path prefix a line of authority covers. Parsed once from manifests and
//! policy; no string comparison decides authority after that.
//!
//! The sets that patterns describe are nested or disjoint in each of their four fields. So the intersection of two patterns
//! is again a pattern, which is how a grant is cut down to a ceiling.

mod above_suffixes;
mod host;
mod path;
mod port;

use std::fmt;
use std::str::FromStr;

use url::Url;

pub use self::host::{HostMatch, InvalidHost};
pub(crate) use self::host::{WILDCARD_BYTES_MAX, WILDCARD_LABELS_MAX};
pub use self::path::InvalidPath;
pub use self::port::{InvalidPort, PortMatch};

/// Scheme, host, port and path prefix that a request must match. Written and stored as text: `https://*.example.org/orders`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlPattern {
    /// The scheme; `https` unless the pattern says `http`.
    pub scheme: Scheme,
    /// The hosts covered.
    pub host: HostMatch,
    /// The ports covered: the scheme's own unless the pattern names one, or every one by `:*`.
    pub port: PortMatch,
    /// The path that a request's path must begin with, at a segment boundary: `/orders` covers `/orders/7`, not
    /// `/orders-old`. `/` covers all.
    pub path_prefix: String,
}

/// A scheme that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scheme {
    Http,
    Https,
}

/// Why a text is not a URL pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// The text is too long to be meant.
    #[error("a URL pattern has at most {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// A space, control character or backslash: parsers disagree about these.
    #[error("`{}` in a URL pattern is read differently by different programs", .0.escape_default())]
    Character(char),
    /// Not `http` or `https`.
    #[error("scheme `{0}` cannot be granted: use `https` or `http`")]
    Scheme(String),
    /// A user name or password before the host.
    #[error("a URL pattern holds no user name or password")]
    Credentials,
    /// A query or fragment.
    #[error("a URL pattern ends with its path: a query or fragment decides nothing")]
    Query,
    /// An address with a prefix length or a range of last numbers.
    #[error("`{0}` is a range of addresses, which cannot be granted: name each address")]
    AddressRange(String),
    /// The host is not one that can be matched.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// The port is not one that can be matched.
    #[error(transparent)]
    Port(#[from] InvalidPort),
    /// The path prefix is not one that can be matched.
    #[error(transparent)]
    Path(#[from] InvalidPath),
}

/// Why a well-formed pattern is more than a grant may cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooWide {
    /// `*`.
    #[error("a grant names its hosts: `*` is for a manifest, which states only a ceiling")]
    Everything,
    /// A wildcard directly below a suffix under which strangers register names.
    #[error("`*.{0}` covers hosts of many owners: name the host, or a wildcard below one owner's name")]
    SharedSuffix(String),
    /// Every port of every host below a name.
    #[error("`{0}` covers every port of many hosts: name the port, or one host")]
    ManyHostsEveryPort(UrlPattern),
    /// Every port, by a flag.
    #[error("a flag grants one port: name it, or grant `{0}` in a policy")]
    EveryPortByFlag(UrlPattern),
}

/// Longest pattern in bytes: a host name has at most 253, and a longer path prefix than this is a mistake.
pub const PATTERN_BYTES_MAX: usize = 2048;

impl UrlPattern {
    /// Whether a request to `url` is among those that this pattern describes. A URL with credentials never is.
    #[must_use]
    pub fn covers(&self, url: &Url) -> bool {
        url.scheme() == self.scheme.as_str()
            && url.username().is_empty()
            && url.password().is_none()
            && url.port_or_known_default().is_some_and(|port| self.port.covers(port))
            && url.host().is_some_and(|host| self.host.covers(&host))
            && path::covers_request(&self.path_prefix, url.path())
    }

    /// Whether a grant of this pattern allows a request to `url`. Below a wildcard the name is the tool's own choice, and
    /// looking it up tells it to the owner of the domain: so only a short choice is allowed. A deny covers long ones too.
    #[must_use]
    pub fn grants(&self, url: &Url) -> bool {
        self.covers(url) && url.host().is_some_and(|host| self.host.leaves_little_choice(&host))
    }

    /// Whether every request that `other` describes is also described by this pattern.
    #[must_use]
    pub fn covers_pattern(&self, other: &Self) -> bool {
        self.intersect(other).as_ref() == Some(other)
    }

    /// The pattern of what both describe; `None` if they have nothing in common.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let path_prefix = path::intersect(&self.path_prefix, &other.path_prefix)?;
        let host = self.host.intersect(&other.host)?;
        let port = self.port.intersect(other.port)?;
        let same_scheme = self.scheme == other.scheme;
        same_scheme.then(|| Self { scheme: self.scheme, host, port, path_prefix: path_prefix.to_owned() })
    }

    /// Whether a grant may cover these requests: it names one host, or a wildcard below a name that has one owner as far as
    /// is known. It may cover every port of one named host, since the operator says just that; of every host below a name,
    /// it would cover services that nobody had in mind.
    ///
    /// # Errors
    /// `*`, a wildcard directly below a top-level domain or a known shared suffix, and `:*` with any wildcard.
    pub fn check_grantable(&self) -> Result<(), TooWide> {
        self.host.check_grantable()?;
        match (&self.host, self.port) {
            (HostMatch::Any | HostMatch::Below(_), PortMatch::Any) => Err(TooWide::ManyHostsEveryPort(self.clone())),
            (HostMatch::Any | HostMatch::Below(_), PortMatch::One(_))
            | (HostMatch::Exact(_) | HostMatch::Address(_), PortMatch::One(_) | PortMatch::Any) => Ok(()),
        }
    }

    /// Whether a flag may grant these requests: what a grant may cover, and one port. A flag is typed in passing; every
    /// port is worth a line in a policy, which stays to be read.
    ///
    /// # Errors
    /// What no grant may cover, and `:*`.
    pub fn check_grantable_by_flag(&self) -> Result<(), TooWide> {
        self.check_grantable()?;
        match self.port {
            PortMatch::One(_) => Ok(()),
            PortMatch::Any => Err(TooWide::EveryPortByFlag(self.clone())),
        }
    }
}

impl Scheme {
    /// The scheme as in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    #[must_use]
    pub fn default_port(self) -> PortMatch {
        match self {
            Self::Http => PortMatch::One(80),
            Self::Https => PortMatch::One(443),
        }
    }
}

impl FromStr for UrlPattern {
    type Err = InvalidPattern;

    /// Reads `[scheme://]host[:port][/path]`. A missing scheme is `https`, a missing port the scheme's own.
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        refuse_ambiguous(text)?;
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Https, text),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some((other, _)) => return Err(InvalidPattern::Scheme(other.to_owned())),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(InvalidPattern::Credentials);
        }
        let (host, port) = split_port(authority);
        let host: HostMatch = host.parse()?;
        if port.is_none() && looks_like_a_range(&host, path) {
            return Err(InvalidPattern::AddressRange(rest.to_owned()));
        }
        let port = port.map_or(Ok(scheme.default_port()), str::parse)?;
        Ok(Self { scheme, host, port, path_prefix: path::parse_prefix(path)? })
    }
}

fn refuse_ambiguous(text: &str) -> Result<(), InvalidPattern> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(InvalidPattern::TooLong);
    }
    if text.contains(['?', '#']) {
        return Err(InvalidPattern::Query);
    }
    let ambiguous = |c: &char| c.is_whitespace() || c.is_control() || *c == '\\';
    text.chars().find(ambiguous).map_or(Ok(()), |c| Err(InvalidPattern::Character(c)))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_literal = authority.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = authority[after_literal..].find(':') else { return (authority, None) };
    (&authority[..after_literal + colon], Some(&authority[after_literal + colon + 1..]))
}

/// Whether host and path together are how ranges of addresses are written: `10.0.0.0/8`. A port between them says otherwise.
fn looks_like_a_range(host: &HostMatch, path: &str) -> bool {
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    matches!(host, HostMatch::Address(_)) && path.strip_prefix('/').is_some_and(digits)
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.port != self.scheme.default_port() || looks_like_a_range(&self.host, &self.path_prefix) {
            write!(f, ":{}", self.port)?;
        }
        if self.path_prefix != "/" {
            f.write_str(&self.path_prefix)?;
        }
        Ok(())
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Types that are stored as the text that they show, and read back by their `FromStr`.
macro_rules! stored_as_text {
    ($($name:ident),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use stored_as_text;
stored_as_text!(UrlPattern, HostMatch);

#[cfg(test)]
mod tests;
