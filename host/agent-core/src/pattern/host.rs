//! The host of a URL pattern: a name, everything below a name, or one address. Hosts are compared as `url::Host` values and
//! A-labels, which is also what the sender connects to, so that a host cannot be spelled past its pattern.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Host;

use super::TooWide;
use super::above_suffixes::is_above_suffixes;

/// The hosts that a pattern covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// Every host: only in a ceiling or a deny, since a grant must name hosts.
    Any,
    /// This host, as its lower-case A-label form without a trailing dot.
    Exact(String),
    /// Every host one or more labels below this one: `*.example.org`.
    Below(String),
    /// This address literal: the only way to grant a private or loopback address.
    Address(IpAddr),
}

/// Why a text is not a host that can be matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// Nothing where the host should be.
    #[error("a URL pattern names a host")]
    Empty,
    /// A `*` that is not the whole first label.
    #[error("`*` in `{0}` must be alone or the whole first label: `*.example.org`")]
    Wildcard(String),
    /// Not a host name.
    #[error("`{0}` is not a host name")]
    Name(String),
    /// An address in a spelling of which there are several.
    #[error("`{text}` is an unusual spelling of an address: write `{canonical}`")]
    AddressSpelling {
        /// What was written.
        text: String,
        /// The one spelling that is accepted.
        canonical: String,
    },
    /// Letters that become others when the name is looked up.
    #[error("`{text}` is looked up as `{canonical}`: write that")]
    NameSpelling {
        /// What was written.
        text: String,
        /// What is looked up.
        canonical: String,
    },
}

/// Most of a name that may stand in place of a wildcard: one label of the longest kind, or up to three. Real services stay
/// below (`bucket.s3.eu-west-1` has three); a name that carries data out wants more.
pub(crate) const WILDCARD_BYTES_MAX: usize = 63;
pub(crate) const WILDCARD_LABELS_MAX: usize = 3;

impl HostMatch {
    /// Whether `host`, as the URL parser returned it, is covered.
    #[must_use]
    pub fn covers(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(name), Host::Domain(asked)) => name == without_dot(asked),
            (Self::Below(parent), Host::Domain(asked)) => is_below(without_dot(asked), parent),
            (Self::Address(address), Host::Ipv4(asked)) => *address == IpAddr::V4(*asked),
            (Self::Address(address), Host::Ipv6(asked)) => *address == IpAddr::V6(*asked),
            (Self::Exact(_) | Self::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) | (Self::Address(_), Host::Domain(_)) => {
                false
            }
        }
    }

    /// Whether tools choose names of hosts under this pattern, so that each lookup can carry data out in the name.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        match self {
            Self::Any | Self::Below(_) => true,
            Self::Exact(_) | Self::Address(_) => false,
        }
    }

    /// Whether what stands in place of the `*` is short.
    pub(super) fn leaves_little_choice(&self, host: &Host<&str>) -> bool {
        let (Self::Below(parent), Host::Domain(asked)) = (self, host) else { return true };
        let chosen = without_dot(asked).strip_suffix(parent.as_str()).unwrap_or(asked).trim_end_matches('.');
        chosen.len() <= WILDCARD_BYTES_MAX && chosen.split('.').count() <= WILDCARD_LABELS_MAX
    }

    /// The hosts that both cover; `None` if there are none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.contains(other) {
            Some(other.clone())
        } else if other.contains(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(parent), Self::Exact(name)) => is_below(name, parent),
            (Self::Below(parent), Self::Below(name)) => name == parent || is_below(name, parent),
            (Self::Exact(_), Self::Exact(_)) | (Self::Address(_), Self::Address(_)) => self == other,
            (Self::Below(_), Self::Any | Self::Address(_))
            | (Self::Exact(_), Self::Any | Self::Below(_) | Self::Address(_))
            | (Self::Address(_), Self::Any | Self::Exact(_) | Self::Below(_)) => false,
        }
    }

    /// Whether a grant may cover these hosts: it names one, or a wildcard below a name that has one owner as far as the public
    /// suffix list knows, as of when this program was built.
    ///
    /// # Errors
    /// `*`, and a wildcard directly below a suffix under which strangers register names.
    pub(super) fn check_grantable(&self) -> Result<(), TooWide> {
        match self {
            Self::Exact(_) | Self::Address(_) => Ok(()),
            Self::Any => Err(TooWide::Everything),
            Self::Below(parent) if is_shared(parent) => Err(TooWide::SharedSuffix(parent.clone())),
            Self::Below(_) => Ok(()),
        }
    }
}

/// Whether strangers register names below this one. A name of one label always counts, listed or not.
fn is_shared(name: &str) -> bool {
    let below = format!("x.{name}");
    // The list has wildcards too: of `*.ck`, every name directly below `ck` is a suffix.
    !name.contains('.')
        || psl::suffix_str(name) == Some(name)
        || psl::suffix_str(&below) == Some(&below)
        || is_above_suffixes(name)
}

/// Two names that differ only by the dot at the end are one host.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.')).is_some_and(|label| !label.is_empty())
}

impl FromStr for HostMatch {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        if text.is_empty() {
            return Err(InvalidHost::Empty);
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains('*') {
            return Err(InvalidHost::Wildcard(text.to_owned()));
        }
        match (parse_host(rest)?, below) {
            (Host::Domain(name), false) => Ok(Self::Exact(name)),
            (Host::Domain(name), true) => Ok(Self::Below(name)),
            (Host::Ipv4(address), false) => Ok(Self::Address(address.into())),
            (Host::Ipv6(address), false) => Ok(Self::Address(address.into())),
            (Host::Ipv4(_) | Host::Ipv6(_), true) => Err(InvalidHost::Wildcard(text.to_owned())),
        }
    }
}

fn parse_host(text: &str) -> Result<Host, InvalidHost> {
    let invalid = || InvalidHost::Name(text.to_owned());
    if text.contains('%') {
        return Err(invalid()); // The URL parser would decode it.
    }
    match Host::parse(text).map_err(|_| invalid())? {
        Host::Domain(looked_up) => {
            let name = without_dot(&looked_up);
            if !is_host_name(name) {
                return Err(invalid());
            }
            if !is_plain_spelling(without_dot(text), name) {
                return Err(InvalidHost::NameSpelling { text: text.to_owned(), canonical: name.to_owned() });
            }
            Ok(Host::Domain(name.to_owned()))
        }
        Host::Ipv4(address) => canonical_address(text, address.to_string()).map(|()| Host::Ipv4(address)),
        Host::Ipv6(address) => {
            let canonical = match address.to_ipv4_mapped() {
                Some(v4) => v4.to_string(),
                None => format!("[{address}]"),
            };
            canonical_address(text, canonical).map(|()| Host::Ipv6(address))
        }
    }
}

fn canonical_address(text: &str, canonical: String) -> Result<(), InvalidHost> {
    if text == canonical {
        return Ok(());
    }
    Err(InvalidHost::AddressSpelling { text: text.to_owned(), canonical })
}

/// Labels of 1 to 63 letters, digits, `-` and `_`, 253 bytes in all, and a last label that does not look like part of an
/// address.
fn is_host_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(allowed);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether each label was written as it is looked up, letter case aside, or is one whose letters need an `xn--` label.
/// A full-width `ａ` is neither: it becomes a plain `a`.
fn is_plain_spelling(text: &str, name: &str) -> bool {
    let same = |(written, looked_up): (&str, &str)| {
        if written.is_ascii() { written.eq_ignore_ascii_case(looked_up) } else { looked_up.starts_with("xn--") }
    };
    text.split('.').count() == name.split('.').count() && text.split('.').zip(name.split('.')).all(same)
}

impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}
