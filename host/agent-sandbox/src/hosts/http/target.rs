//! Where a request goes: parsed once, refused where two parsers might read it differently.

use std::net::IpAddr;

use http::{Method, Uri};
use url::{Host, Url};

use agent_core::effect::HttpMethod;

use crate::effects::TEXT_BYTES_MAX;
use crate::hosts::http::address;

/// Longest name of a host and of one of its labels (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Why a request cannot be sent, whoever granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsendable {
    #[error("the URL must be http or https")]
    Scheme,
    #[error("the URL has no host, or one that is not written plainly")]
    Host,
    #[error("the URL holds credentials")]
    Credentials,
    #[error("the URL is longer than {TEXT_BYTES_MAX} bytes or malformed")]
    Form,
    #[error("the method cannot be granted")]
    Method,
    #[error("the address belongs to the machine's own metadata")]
    Metadata,
}

/// The URL in the one form in which it is decided about and sent.
pub(crate) fn parse(uri: &Uri) -> Result<Url, Unsendable> {
    let text = uri.to_string();
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unsendable::Form);
    }
    let authority = uri.authority().ok_or(Unsendable::Host)?.as_str();
    if authority.contains('@') {
        return Err(Unsendable::Credentials);
    }
    let url = Url::parse(&text).map_err(|_| Unsendable::Form)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Unsendable::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(Unsendable::Credentials);
    }
    check_host(uri.host().unwrap_or(""), url.host().as_ref())?;
    let port = uri.port_u16().or(if url.scheme() == "https" { Some(443) } else { Some(80) });
    if url.port_or_known_default() != port || port == Some(0) {
        return Err(Unsendable::Form);
    }
    if url.as_str().len() > TEXT_BYTES_MAX { Err(Unsendable::Form) } else { Ok(url) }
}

/// Only methods that a grant can name are sent: so no tunnels and no inventions.
pub(crate) fn check_method(method: &Method) -> Result<(), Unsendable> {
    let known = HttpMethod::ALL.iter().any(|known| known.as_str() == method.as_str());
    if known { Ok(()) } else { Err(Unsendable::Method) }
}

/// The host must be written as it is meant: `127.1`, `0x7f000001`, `ａllowed.com` or a trailing dot are read by one program
/// as one host and by the next as another.
fn check_host(written: &str, parsed: Option<&Host<&str>>) -> Result<(), Unsendable> {
    let plain = match parsed {
        Some(Host::Domain(name)) => written.eq_ignore_ascii_case(name) && is_plain_name(name),
        Some(Host::Ipv4(address)) => {
            check_literal((*address).into())?;
            written == address.to_string()
        }
        Some(Host::Ipv6(address)) => {
            check_literal((*address).into())?;
            let inner = written.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            inner.and_then(|text| text.parse().ok()) == Some(*address)
        }
        None => false,
    };
    if plain { Ok(()) } else { Err(Unsendable::Host) }
}

fn check_literal(address: IpAddr) -> Result<(), Unsendable> {
    if address::may_be_granted(address) { Ok(()) } else { Err(Unsendable::Metadata) }
}

fn is_plain_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    name.len() <= HOST_BYTES_MAX
        && name.split('.').all(|label| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, Unsendable> {
        let uri: Uri = text.parse().map_err(|_| Unsendable::Form)?;
        parse(&uri).map(Into::into)
    }

    #[test]
    fn plain_urls_pass_and_are_made_canonical() {
        for (text, canonical) in [
            ("https://example.org", "https://example.org/"),
            ("https://EXAMPLE.org:443/a?b=c", "https://example.org/a?b=c"),
            ("http://example.org:8080/a/../b/%2e%2e/c", "http://example.org:8080/c"),
            ("http://127.0.0.1:99/", "http://127.0.0.1:99/"),
            ("http://[::1]:99/x", "http://[::1]:99/x"),
            // What follows the `#` is gone for the decision and for the connection alike.
            ("https://evil.example#@allowed/", "https://evil.example/"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ] {
            assert_eq!(parsed(text), Ok(canonical.to_owned()), "{text}");
        }
    }

    #[test]
    fn odd_urls_are_refused() {
        let long_label = format!("https://{}.example/", "a".repeat(64));
        let long = format!("https://example.org/{}", "a".repeat(TEXT_BYTES_MAX));
        for (text, why) in [
            ("http://127.1/", Unsendable::Host),
            ("http://2130706433/", Unsendable::Host),
            ("http://0x7f000001/", Unsendable::Host),
            ("http://0177.0.0.1/", Unsendable::Host),
            ("http://0/", Unsendable::Host),
            ("http://localhost./", Unsendable::Host),
            ("https://example.org./", Unsendable::Host),
            ("https://allowed@evil.example/", Unsendable::Credentials),
            ("https://allowed:443@evil.example/", Unsendable::Credentials),
            ("http://169.254.169.254/latest", Unsendable::Metadata),
            ("http://[::ffff:169.254.169.254]/", Unsendable::Metadata),
            ("gopher://example.org/", Unsendable::Scheme),
            ("file://example.org/etc/passwd", Unsendable::Scheme),
            ("http://[fe80::1%25lo]/", Unsendable::Form),
            ("https://allowed\\@evil/", Unsendable::Form),
            ("https://all\towed/", Unsendable::Form),
            ("/path", Unsendable::Host),
            (&long_label, Unsendable::Host),
            (&long, Unsendable::Form),
        ] {
            let refused = parsed(text);
            assert!(refused.is_err(), "{text}: {refused:?}");
            if why != Unsendable::Form {
                assert!(refused == Err(why) || refused == Err(Unsendable::Form), "{text}: {refused:?}");
            }
        }
    }

    #[test]
    fn only_grantable_methods_are_sent() {
        assert_eq!(check_method(&Method::POST), Ok(()));
        for method in [Method::CONNECT, Method::TRACE] {
            assert_eq!(check_method(&method), Err(Unsendable::Method));
        }
    }
}
