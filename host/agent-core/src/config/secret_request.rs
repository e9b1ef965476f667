//! Reads `[[capabilities.secrets]]`: which secret a tool wants in which header of requests to which URL. Host, port and header
//! are stated here and never chosen at run time: a secret goes where its author and operator read that it goes.

use std::net::IpAddr;

use super::ceiling::{HttpRequest, SecretRequest};
use super::foreign_name::SecretHeader;
use super::reader::{Table, Value};
use crate::pattern::{HostMatch, PortMatch, Scheme, UrlPattern};
use crate::secret::HeaderFormat;

/// Most secrets of one tool. Each makes every answer longer to look through.
const SECRETS_MAX: usize = 16;

/// Reads the secrets of a manifest that asks for the requests `http`.
pub(super) fn read_secret_requests(table: &mut Table<'_>, http: &[HttpRequest]) -> Vec<SecretRequest> {
    let mut secrets: Vec<SecretRequest> = Vec::new();
    table.tables("secrets", |entry| {
        let request = read_secret_request(entry, http)?;
        let taken = |earlier: &&SecretRequest| {
            earlier.header == request.header && earlier.url.intersect(&request.url).is_some()
        };
        if let Some(earlier) = secrets.iter().find(taken) {
            let message = format!("`{}` goes into `{}` of the same requests", earlier.name, earlier.header);
            entry.problem(message, Some("give the two URLs that do not overlap, or two headers".to_owned()));
        } else if secrets.len() == SECRETS_MAX {
            entry.problem(format!("a tool has at most {SECRETS_MAX} secrets"), None);
        } else {
            secrets.push(request);
        }
        Some(())
    });
    secrets
}

fn read_secret_request(table: &mut Table<'_>, http: &[HttpRequest]) -> Option<SecretRequest> {
    let name = table.require("name", "\"API_TOKEN\"").and_then(|value| value.parse());
    let url = table.require("url", "\"https://api.example.com\"").and_then(|value| read_url(&value, http));
    let header = table.get("header").map_or_else(|| Some(SecretHeader::standard()), |value| value.parse());
    let format = table.get("format").map_or_else(|| Some(HeaderFormat::plain()), |value| value.parse());
    let request = SecretRequest { name: name?, url: url?, header: header?, format: format? };
    if let Some(keyed) = http.iter().find(|http| is_keyed_by(http, &request)) {
        let message = format!("`{}` carries the host's key of requests to `{}`", request.header, keyed.url);
        table.problem(message, Some("give the secret a header of its own".to_owned()));
        return None;
    }
    Some(request)
}

fn is_keyed_by(http: &HttpRequest, secret: &SecretRequest) -> bool {
    let same = |header: &super::foreign_name::HeaderName| header.as_str().eq_ignore_ascii_case(secret.header.as_str());
    http.idempotency_header.as_ref().is_some_and(same) && http.url.intersect(&secret.url).is_some()
}

fn read_url(value: &Value<'_>, http: &[HttpRequest]) -> Option<UrlPattern> {
    let url: UrlPattern = value.parse()?;
    let (problem, hint) = if !names_one_host(&url) {
        (format!("`{url}` leaves the host or the port open, and a secret goes to one that is named"), None)
    } else if !is_private(&url) {
        let hint = format!("write `{}`", url.to_string().replacen("http:", "https:", 1));
        (format!("`{url}` would carry the secret over the network unencrypted"), Some(hint))
    } else if !http.iter().any(|request| request.url.intersect(&url).is_some()) {
        let hint = format!("add `[[capabilities.http]]` with `url = \"{url}\"` and its methods");
        (format!("no `[[capabilities.http]]` asks for `{url}`, so the secret would never be sent"), Some(hint))
    } else {
        return Some(url);
    };
    value.problem(problem, hint);
    None
}

fn names_one_host(url: &UrlPattern) -> bool {
    let host = match url.host {
        HostMatch::Exact(_) | HostMatch::Address(_) => true,
        HostMatch::Any | HostMatch::Below(_) => false,
    };
    let port = match url.port {
        PortMatch::One(_) => true,
        PortMatch::Any => false,
    };
    host && port
}

/// Whether nobody on the way reads along: TLS, or this machine itself.
fn is_private(url: &UrlPattern) -> bool {
    match (url.scheme, &url.host) {
        (Scheme::Https, _) => true,
        (Scheme::Http, HostMatch::Address(address)) => IpAddr::is_loopback(address),
        (Scheme::Http, HostMatch::Exact(_) | HostMatch::Below(_) | HostMatch::Any) => false,
    }
}
