//! URL patterns: which scheme, hosts, port and path prefix a line of authority covers. Parsed once from manifests and
//! policy; no string comparison decides authority after that.

use std::fmt;
use std::net::IpAddr;

/// Scheme, host, port and path prefix that a request must match.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UrlPattern {
    /// The scheme; `https` unless the pattern says `http`.
    pub scheme: Scheme,
    /// The hosts covered.
    pub host: HostMatch,
    /// The one port covered: the scheme's own unless the pattern names one.
    pub port: u16,
    /// The path that a request's path must begin with, at a segment boundary: `/orders` covers `/orders/7`, not
    /// `/orders-old`. `/` covers all.
    pub path_prefix: String,
}

/// A scheme that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scheme {
    Http,
    Https,
}

/// The hosts that a pattern covers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum HostMatch {
    /// Every public host: only in a ceiling, since a grant must name hosts.
    Any,
    /// This host, as its lower-case A-label form without a trailing dot.
    Exact(String),
    /// Every host one or more labels below this one: `*.example.org`.
    Below(String),
    /// This address literal: the only way to grant a private or loopback address.
    Address(IpAddr),
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}
