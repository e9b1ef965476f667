//! `get`: asks for an address and makes text of the answer.

use agent_host_tool::http::{Complete, Request, Response, Url};
use agent_host_tool::{IntoParts, Json, Part, args, json, serde_json::Value, tool};

use crate::markdown;
use crate::page::Page;

/// Most bytes of a body that are read. Half of what the host allows by default.
const BODY_BYTES_MAX: usize = 4 << 20;
/// How much of an error page is shown.
const ERROR_CHARS_MAX: usize = 500;

#[args]
pub(crate) struct Get {
    /// The address, with its scheme: `https://example.org/page`.
    url: String,
    /// Where to begin in the text, in characters. Default: 0. A cut answer says what to ask next.
    start: Option<usize>,
    /// How many characters to give back, at most 100000. Default: 20000.
    length: Option<usize>,
    /// Whether to give HTML as it is instead of as Markdown. Default: false.
    raw: Option<bool>,
}

/// Fetches a page by HTTP GET. HTML comes as Markdown, with absolute links; text and JSON as they are. Redirects are not followed:
/// the answer names the new address, to be asked for in turn. Long pages come in pieces.
#[tool]
pub(crate) fn get(get: Get) -> Result<Vec<Part>, String> {
    let url: Url = get.url.parse().map_err(|error: agent_host_tool::http::Error| error.to_string())?;
    let response = Request::get(&get.url)
        .header("accept", "text/markdown, text/html;q=0.9, application/json;q=0.9, text/*;q=0.8, */*;q=0.1")
        .header("user-agent", concat!("agent-host-fetch/", env!("CARGO_PKG_VERSION")))
        .send()
        .map_err(|error| error.to_string())?;
    answer(&get, &url, response)
}

fn answer(get: &Get, url: &Url, response: Response) -> Result<Vec<Part>, String> {
    let status = response.status;
    if let (300..=399, Some(location)) = (status, response.header("location")) {
        let target = url.join(location).map_err(|error| format!("`{url}` redirects: {error}"))?;
        let text = format!("`{url}` has moved: ask for `{target}`");
        return Ok(vec![
            json_part(json!({"url": url.to_string(), "status": status, "location": target.to_string()}))?,
            Part::Text(text),
        ]);
    }
    let content_type = response.header("content-type").unwrap_or("text/plain").to_owned();
    let kind = Kind::of(&content_type);
    let (bytes, complete) =
        response.read(BODY_BYTES_MAX).map_err(|error| format!("the answer of `{url}` broke off: {error}"))?;
    let raw = get.raw.unwrap_or(false);
    let document = match kind {
        Kind::Html if !raw => markdown::from_html(&decode(&bytes, &content_type), url),
        Kind::Html | Kind::Text => markdown::Document { title: None, text: decode(&bytes, &content_type) },
        Kind::Binary => return Err(format!("`{url}` is `{content_type}`, not text: {} bytes", bytes.len())),
    };
    if status >= 400 {
        let beginning: String = document.text.chars().take(ERROR_CHARS_MAX).collect();
        return Err(format!("`{url}` answered with status {status}: {}", beginning.trim()));
    }
    let page = Page::cut(&document.text, get.start, get.length)?;
    let about = json!({
        "url": url.to_string(),
        "status": status,
        "content_type": content_type,
        "title": document.title,
        "start": page.start,
        "end": page.end,
        "total": page.total,
    });
    let cut = (complete == Complete::No)
        .then(|| format!("… the page is longer than {BODY_BYTES_MAX} bytes; the rest was not read"));
    let marker = page.marker().or(cut).map(Part::Text);
    Ok([Some(json_part(about)?), Some(Part::Text(page.text)), marker].into_iter().flatten().collect())
}

fn json_part(value: Value) -> Result<Part, String> {
    Json(value).into_parts()?.into_iter().next().ok_or_else(|| "a JSON value is one part".to_owned())
}

/// What can be done with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Text,
    Binary,
}

impl Kind {
    fn of(content_type: &str) -> Self {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_text = media.starts_with("text/")
            || ["json", "xml", "javascript", "yaml", "toml", "x-www-form-urlencoded"]
                .iter()
                .any(|end| media.ends_with(end));
        match media.as_str() {
            "text/html" | "application/xhtml+xml" => Self::Html,
            _ if is_text => Self::Text,
            _ => Self::Binary,
        }
    }
}

/// UTF-8 unless the header says Latin-1, the one other that is still common.
fn decode(bytes: &[u8], content_type: &str) -> String {
    let lower = content_type.to_ascii_lowercase();
    if ["iso-8859-1", "latin1", "windows-1252"].iter().any(|name| lower.contains(name)) {
        return bytes.iter().copied().map(char::from).collect();
    }
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use agent_host_tool::http::Body;

    use super::*;

    fn check(status: u16, headers: &[(&str, &str)], body: &'static [u8]) -> Result<Vec<Part>, String> {
        let get = Get { url: String::new(), start: None, length: Some(10), raw: None };
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = "https://example.org/a".parse().unwrap();
        answer(&get, &url, Response { status, headers, body: Body::new(body) })
    }

    #[test]
    fn a_page_comes_with_what_is_known_about_it() {
        let parts = check(200, &[("content-type", "text/html; charset=utf-8")], b"<title>T</title><p>Hello <b>you</b>")
            .unwrap();
        let about = r#"{"url":"https://example.org/a","status":200,"content_type":"text/html; charset=utf-8","title":"T","start":0,"end":10,"total":13}"#;
        let expected = [
            Part::Json(about.to_owned()),
            Part::Text("Hello **yo".to_owned()),
            Part::Text("… 3 more characters: ask again with `start` 10".to_owned()),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_redirect_names_the_new_address() {
        let parts = check(302, &[("location", "/b?c")], b"").unwrap();
        let about = r#"{"url":"https://example.org/a","status":302,"location":"https://example.org/b?c"}"#;
        assert_eq!(parts[0], Part::Json(about.to_owned()));
        assert_eq!(
            parts[1],
            Part::Text("`https://example.org/a` has moved: ask for `https://example.org/b?c`".to_owned())
        );
    }

    #[test]
    fn text_passes_through_and_other_things_do_not() {
        let parts = check(200, &[("content-type", "application/json")], b"{\"a\": 1}").unwrap();
        assert_eq!(parts[1], Part::Text("{\"a\": 1}".to_owned()));
        let parts = check(200, &[("content-type", "text/plain; charset=ISO-8859-1")], b"Z\xfcrich").unwrap();
        assert_eq!(parts[1], Part::Text("Zürich".to_owned()));
        let said = check(200, &[("content-type", "image/png")], b"\x89PNG");
        assert_eq!(said, Err("`https://example.org/a` is `image/png`, not text: 4 bytes".to_owned()));
    }

    #[test]
    fn an_error_page_is_an_error() {
        let said = check(404, &[("content-type", "text/html")], b"<h1>Not here</h1>");
        assert_eq!(said, Err("`https://example.org/a` answered with status 404: # Not here".to_owned()));
    }

    #[test]
    fn only_web_addresses_are_asked() {
        for url in ["file:///etc/passwd", "example.org", "https://me@example.org"] {
            let get = get(Get { url: url.to_owned(), start: None, length: None, raw: None });
            assert!(get.is_err_and(|said| said.contains("cannot be asked")), "{url}");
        }
    }
}
