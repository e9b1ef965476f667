//! What a pattern means, read by the parser for URLs and compared as lists. Slow, and written without a look at the first
//! reading's ways.

use url::{Host, Url};

/// Stands for `*` where a URL must have a name.
const STAND_IN: &str = "stand-in";

/// Stands for `:*`.
const STAND_IN_PORT: u16 = 12_345;

/// How often a server may decode one path. Nobody decodes more often.
const DECODINGS: usize = 4;

/// A pattern's meaning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    scheme: String,
    host: Hosts,
    /// `None` for every one.
    port: Option<u16>,
    /// Of the prefix, in order; a last empty one where it ends with a slash.
    segments: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// These labels and at least one more in front.
    Below(Vec<String>),
    Just(Host<String>),
}

impl Reading {
    /// Reads `text` as a URL in which stars are replaced by names and numbers.
    pub(super) fn of(text: &str) -> Option<Self> {
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let (scheme, rest) = full.split_once("://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (authority, every_port) = authority.strip_suffix(":*").map_or((authority, false), |rest| (rest, true));
        let named = match authority.strip_prefix('*') {
            Some(rest) => format!("{STAND_IN}{rest}"),
            None => authority.to_owned(),
        };
        let port = if every_port { format!(":{STAND_IN_PORT}") } else { String::new() };
        let url = Url::parse(&format!("{scheme}://{named}{port}{path}")).ok()?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        let known = matches!(url.scheme(), "http" | "https");
        (plain && known).then(|| Self {
            scheme: url.scheme().to_owned(),
            host: hosts(authority, &url),
            port: (!every_port).then(|| url.port_or_known_default()).flatten(),
            segments: url.path().split('/').skip(1).map(str::to_owned).collect(),
        })
    }

    /// A URL near the pattern: what stars stand for is made up, and `more` follows.
    pub(super) fn some_url(&self, more: &str) -> String {
        let host = match &self.host {
            Hosts::All => STAND_IN.to_owned(),
            Hosts::Below(labels) => format!("{STAND_IN}.{}", labels.join(".")),
            Hosts::Just(host) => host.to_string(),
        };
        let port = self.port.unwrap_or(STAND_IN_PORT);
        format!("{}://{host}:{port}/{}{more}", self.scheme, self.segments.join("/"))
    }

    /// Whether a request may be made: where it arrives, however the server reads it, lies below the pattern.
    pub(super) fn allows(&self, url: &Url) -> bool {
        let port = self.port.is_none() || url.port_or_known_default() == self.port;
        let open = url.username().is_empty() && url.password().is_none();
        url.scheme() == self.scheme && port && open && self.allows_host(url) && self.allows_path(url.path())
    }

    fn allows_host(&self, url: &Url) -> bool {
        let Some(asked) = url.host() else { return false };
        match (&self.host, asked) {
            (Hosts::All, _) => true,
            (Hosts::Below(labels), Host::Domain(name)) => {
                let asked: Vec<String> = labels_of(name);
                asked.len() > labels.len() && asked[asked.len() - labels.len()..] == labels[..]
            }
            (Hosts::Just(Host::Domain(own)), Host::Domain(name)) => labels_of(own) == labels_of(name),
            (Hosts::Just(own), asked) => *own == asked.to_owned(),
            (Hosts::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) => false,
        }
    }

    fn allows_path(&self, path: &str) -> bool {
        if self.segments.iter().all(String::is_empty) {
            return true;
        }
        // As sent, and as a server might resolve it after decoding it once or more often.
        let (mut read_as, mut prefix) = (path.to_owned(), self.segments.clone());
        for _ in 0..=DECODINGS {
            if !is_below(&resolved(&read_as), &prefix) {
                return false;
            }
            read_as = decoded(&read_as);
            prefix = prefix.iter().map(|segment| decoded(segment)).collect();
        }
        is_below(&path.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>(), &self.segments)
    }
}

/// Whether both readings must agree on a URL: its path has one spelling only, and its host is one that can be.
pub(super) fn is_plain(url: &Url) -> bool {
    let is_host = url.host_str().is_some_and(|host| !labels_of(host).contains(&String::new()));
    is_host && url.path().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_'))
}

fn hosts(authority: &str, url: &Url) -> Hosts {
    let host = url.host().map(|host| host.to_owned());
    match (authority.starts_with('*'), host) {
        (true, Some(Host::Domain(name))) => match labels_of(&name).split_first() {
            Some((_, [])) | None => Hosts::All,
            Some((_, parent)) => Hosts::Below(parent.to_vec()),
        },
        (_, Some(host)) => Hosts::Just(match host {
            Host::Domain(name) => Host::Domain(labels_of(&name).join(".")),
            address => address,
        }),
        (_, None) => Hosts::Below(vec![String::new()]),
    }
}

fn labels_of(name: &str) -> Vec<String> {
    name.strip_suffix('.').unwrap_or(name).split('.').map(str::to_owned).collect()
}

fn is_below(path: &[String], prefix: &[String]) -> bool {
    match prefix.split_last() {
        // It ends with a slash: something or nothing follows, but the slash is there.
        Some((last, before)) if last.is_empty() => path.len() > before.len() && path.starts_with(before),
        _ => path.starts_with(prefix),
    }
}

/// The segments after `.`, `..` and parameters are taken out, backslashes taken for slashes.
fn resolved(path: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.replace('\\', "/").split('/').skip(1) {
        match segment.split(';').next().unwrap_or_default() {
            ".." => drop(segments.pop()),
            "." => {}
            _ => segments.push(segment.to_owned()),
        }
    }
    segments
}

fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| bytes[at] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
