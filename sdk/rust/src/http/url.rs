//! The address of a request, split as `wasi:http` takes it. Small on purpose: the host parses it again and decides by its
//! own parse. What could be read in two ways is refused here with a reason.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// Longest address in bytes; servers refuse longer ones.
const URL_BYTES_MAX: usize = 8 * 1024;

/// How the server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, in clear.
    Http,
    /// `https`.
    Https,
}

/// An absolute `http` or `https` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The scheme.
    pub scheme: Scheme,
    /// Host, and port where it is said: `example.org:8080`.
    pub authority: String,
    /// Path and query, beginning with `/`.
    pub path_and_query: String,
}

impl Url {
    /// Scheme and authority: `https://example.org`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The address that a `Location` header or a link means, seen from this one.
    ///
    /// # Errors
    /// The result is no `http` or `https` address.
    pub fn join(&self, reference: &str) -> Result<Self, Error> {
        let reference = reference.trim();
        if has_scheme(reference) {
            return reference.parse();
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return format!("{}://{rest}", self.scheme).parse();
        }
        let path = self.path_and_query.split('?').next().unwrap_or("/");
        let target = match reference.chars().next() {
            None | Some('#') => self.path_and_query.clone(),
            Some('/') => reference.to_owned(),
            Some('?') => format!("{path}{reference}"),
            Some(_) => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        format!("{}{}", self.origin(), without_dots(&target)).parse()
    }
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|problem| Error::Url { url: text.chars().take(200).collect(), problem })
    }
}

fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > URL_BYTES_MAX {
        return Err("it is longer than 8 KiB");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("it contains a space, a backslash or a control character");
    }
    let (scheme, rest) = text.split_once("://").ok_or("write it with its scheme, such as `https://example.org/`")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err("only `https` and `http` addresses can be asked"),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.is_empty() {
        return Err("it names no host");
    }
    if authority.contains('@') {
        return Err("it contains a user name or password");
    }
    if !authority.is_ascii() {
        return Err("write the host's name in its ASCII form (`xn--…`)");
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(Url { scheme, authority: authority.to_ascii_lowercase(), path_and_query: format!("{slash}{}", encode(target)) })
}

/// Escapes what may not stand in a request line and people write nonetheless.
fn encode(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn has_scheme(reference: &str) -> bool {
    let scheme = reference.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Removes `.` and `..` from a path; the query is left alone.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            name => kept.push(name),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{}{query}", kept.join("/"))
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_and_query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split() {
        let cases = [
            ("https://example.org", "https://example.org/"),
            ("HTTP://Example.org:8080?q=1#top", "http://example.org:8080/?q=1"),
            ("https://example.org/wiki/Zürich", "https://example.org/wiki/Z%C3%BCrich"),
            ("http://[::1]:80/a%20b", "http://[::1]:80/a%20b"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Url>().map(|url| url.to_string()), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let cases = [
            ("example.org", "with its scheme"),
            ("file:///etc/passwd", "only `https` and `http`"),
            ("https:///x", "names no host"),
            ("https://good@evil.example/", "user name"),
            ("https://good\\@evil.example/", "backslash"),
            ("https://exa\nmple.org/", "control character"),
        ];
        for (text, expected) in cases {
            let said = text.parse::<Url>().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }

    #[test]
    fn references_are_joined() -> Result<(), Error> {
        let page: Url = "https://example.org/a/b?q=1".parse()?;
        let cases = [
            ("c", "https://example.org/a/c"),
            ("../c?d", "https://example.org/c?d"),
            ("/c", "https://example.org/c"),
            ("//other.example/c", "https://other.example/c"),
            ("http://other.example", "http://other.example/"),
            ("?p", "https://example.org/a/b?p"),
            ("#part", "https://example.org/a/b?q=1"),
            ("./", "https://example.org/a/"),
        ];
        for (reference, expected) in cases {
            assert_eq!(page.join(reference)?.to_string(), expected);
        }
        assert!(page.join("javascript:alert(1)").is_err());
        Ok(())
    }
}
