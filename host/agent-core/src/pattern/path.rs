//! The path prefix of a URL pattern. The difficulty is that servers read one path in many spellings; so a prefix is accepted
//! only in its plain spelling, and below a prefix a request is covered only if no decoding can lead it elsewhere.

use url::Url;

/// Why a text is not a path prefix that can be matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// The URL parser changes it: dot segments, letters to be encoded.
    #[error("path `{text}` would be sent as `{sent}`: write that")]
    Changes {
        /// What was written.
        text: String,
        /// What a client sends.
        sent: String,
    },
    /// An encoded character that servers decode before they look up the path.
    #[error("path `{0}` holds an encoded letter, `/`, `\\`, `.` or `%`, which servers read in different ways")]
    Encoded(String),
    /// `//`.
    #[error("path `{0}` holds an empty segment")]
    EmptySegment(String),
    /// `.;` or `..` at the beginning of a segment.
    #[error("path `{0}` holds a segment that begins with `..` or `.;`, which servers read in different ways")]
    Dots(String),
}

/// The prefix that `text`, empty or beginning with `/`, states.
pub(super) fn parse_prefix(text: &str) -> Result<String, InvalidPath> {
    if text.is_empty() {
        return Ok("/".to_owned());
    }
    let sent = sent_path(text);
    if sent != text {
        return Err(InvalidPath::Changes { text: text.to_owned(), sent });
    }
    if text.contains("//") {
        return Err(InvalidPath::EmptySegment(text.to_owned()));
    }
    if text.split('/').any(begins_with_dots) {
        return Err(InvalidPath::Dots(text.to_owned()));
    }
    if encoded_bytes(text).any(|byte| byte.is_none_or(is_misleading)) {
        return Err(InvalidPath::Encoded(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// Whether a request with this path, as the URL parser returned it, lies below `prefix`.
///
/// Below a prefix other than `/`, a path is not covered if a server that decodes first could resolve it elsewhere:
/// `/orders/%2e%2e%2fadmin`, `/orders/..;/admin`.
pub(super) fn covers_request(prefix: &str, path: &str) -> bool {
    prefix == "/" || (is_at_or_below(path, prefix) && stays_below(path))
}

/// The longer of two prefixes if it lies below the other.
pub(super) fn intersect<'p>(one: &'p str, other: &'p str) -> Option<&'p str> {
    if is_at_or_below(one, other) {
        Some(one)
    } else if is_at_or_below(other, one) {
        Some(other)
    } else {
        None
    }
}

fn is_at_or_below(path: &str, prefix: &str) -> bool {
    let at_boundary = |rest: &str| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/');
    path.strip_prefix(prefix).is_some_and(at_boundary)
}

fn stays_below(path: &str) -> bool {
    !path.split('/').any(begins_with_dots) && !encoded_bytes(path).any(|byte| byte.is_none_or(leads_away))
}

/// Some servers cut a segment off at `;`, and what is left leads away: `..;`, `.;`.
fn begins_with_dots(segment: &str) -> bool {
    segment.starts_with("..") || segment.starts_with(".;")
}

/// What follows each `%`: the byte, or `None` if it is not two hexadecimal digits.
fn encoded_bytes(path: &str) -> impl Iterator<Item = Option<u8>> {
    path.split('%').skip(1).map(|rest| rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
}

fn leads_away(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | b'.' | b'%') || byte.is_ascii_control()
}

fn is_misleading(byte: u8) -> bool {
    leads_away(byte) || byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~')
}

/// The path as the URL parser sends it; empty if no URL can hold it.
fn sent_path(text: &str) -> String {
    Url::parse(&format!("https://host{text}")).map(|url| url.path().to_owned()).unwrap_or_default()
}
