//! One request to a collector, bounded in time and bytes, and what its answer means: OTLP over HTTP with protobuf, by the
//! rules of its specification. Called by the exporter alone.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use flate2::write::GzEncoder;
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

use super::otlp::ExportServiceResponse;
use super::settings::{Compression, Form, Named, Settings};

const PROTOBUF: &str = "application/x-protobuf";
/// Longest wait for a connection. A collector is near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read. An honest one has a few bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The longest wait that a collector can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// How much of a collector's words is shown.
const WORDS_CHARS_MAX: usize = 200;

/// A collector.
pub(super) struct Collector {
    client: reqwest::Client,
    settings: Settings,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is there. What of it the collector did not want it will never want.
    Taken { rejected: u64, words: String },
    /// Not now: the same request may succeed later.
    Later { wait: Option<Duration>, why: String },
    /// This it will never take.
    Never(String),
    /// It takes nothing of this kind.
    Nowhere(String),
    /// It takes nothing from us as things are: the person must do something.
    Wrong(String),
}

impl Collector {
    /// Reads the system's certificates: takes some milliseconds, and sends nothing.
    pub(super) fn new(settings: Settings) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
            .timeout(settings.timeout)
            // A redirected request would carry headers and spans to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if is_loopback(&settings.endpoint) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| format!("cannot prepare requests: {error}"))?;
        Ok(Self { client, settings })
    }

    /// Where it is, as it may be shown.
    pub(super) fn shown(&self) -> String {
        self.settings.shown()
    }

    /// What is the same in all requests to it.
    pub(super) fn form(&self) -> &Form {
        &self.settings.form
    }

    /// Whether it was named for what it is sent, or for everything, in the hope that it takes that, too.
    pub(super) fn named(&self) -> Named {
        self.settings.named
    }

    /// Sends a request.
    pub(super) async fn send(&self, message: Vec<u8>) -> Answer {
        let request = self.client.post(self.settings.endpoint.clone()).headers(self.settings.headers.clone());
        let request = request.header(CONTENT_TYPE, PROTOBUF);
        let request = match self.settings.compression {
            Compression::None => request.body(message),
            Compression::Gzip => match gzip(&message) {
                Ok(smaller) => request.header(CONTENT_ENCODING, "gzip").body(smaller),
                Err(error) => return Answer::Never(format!("it cannot be compressed: {error}")),
            },
        };
        match request.send().await {
            Ok(response) => understand(response).await,
            Err(error) => later(error),
        }
    }
}

async fn understand(mut response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    // What is not read is dropped with the connection.
    while body.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]),
            Ok(None) => break,
            Err(error) => return later(error),
        }
    }
    meaning(status, &headers, &body, SystemTime::now())
}

fn meaning(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Answer {
    let why = || {
        let said = words(headers, body);
        if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }
    };
    match status {
        // The specification knows 200 alone, but what says that it accepted something did.
        StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => accepted(headers, body),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Later { wait: retry_after(headers, now), why: why() },
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Answer::Nowhere(why()),
        // The request itself is at fault, and the next one with the same would be.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Answer::Never(why())
        }
        _ => Answer::Wrong(why()),
    }
}

/// Collectors answer in protobuf, mostly with nothing in it; some servers that take protobuf answer in JSON.
fn accepted(headers: &HeaderMap, body: &[u8]) -> Answer {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let partial = if kind.starts_with("application/json") {
        serde_json::from_slice::<serde_json::Value>(body).ok().filter(serde_json::Value::is_object).map(|said| {
            let partial = &said["partialSuccess"];
            // A JSON form of protobuf writes 64-bit numbers as texts.
            let rejected = ["rejectedSpans", "rejectedDataPoints"].map(|name| &partial[name]);
            let rejected = rejected.into_iter().find(|count| !count.is_null()).unwrap_or(&serde_json::Value::Null);
            let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
            (rejected, partial["errorMessage"].as_str().unwrap_or_default().to_owned())
        })
    } else if body.is_empty() || kind.starts_with(PROTOBUF) || kind.starts_with("application/protobuf") {
        ExportServiceResponse::decode(body).ok().map(|said| {
            let partial = said.partial_success.unwrap_or_default();
            (u64::try_from(partial.rejected).unwrap_or(0), partial.error_message)
        })
    } else {
        None
    };
    match partial {
        Some((rejected, words)) => Answer::Taken { rejected, words: shortened(&words) },
        None => Answer::Wrong("it answers as no collector does: is this its address?".to_owned()),
    }
}

/// What the collector says, from a `google.rpc.Status` or in plain text.
fn words(headers: &HeaderMap, body: &[u8]) -> String {
    #[derive(Clone, PartialEq, prost::Message)]
    struct RpcStatus {
        #[prost(string, tag = "2")]
        message: String,
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with(PROTOBUF) {
        return RpcStatus::decode(body).map(|status| shortened(&status.message)).unwrap_or_default();
    }
    if kind.starts_with("text/plain") || kind.starts_with("application/json") {
        return shortened(&String::from_utf8_lossy(body));
    }
    String::new()
}

fn shortened(words: &str) -> String {
    crate::report::text::line(words.trim(), WORDS_CHARS_MAX)
}

/// Nothing came back, or not all of it. The address is not repeated: it may carry a key.
fn later(error: reqwest::Error) -> Answer {
    let error = error.without_url();
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it does not answer in time",
        (false, true) => "it cannot be reached",
        (false, false) => "the connection broke",
    };
    Answer::Later { wait: None, why: what.to_owned() }
}

/// Seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            SystemTime::from(date).duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// A collector on this machine is reached directly, whatever proxy is set.
fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::trace::otlp::ExportPartialSuccess;

    fn answered(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        meaning(StatusCode::from_u16(status).unwrap(), &map, body, SystemTime::UNIX_EPOCH)
    }

    const TAKEN: Answer = Answer::Taken { rejected: 0, words: String::new() };

    #[test]
    fn answers_mean_what_the_specification_says() {
        let later =
            |wait: Option<u64>, why: &str| Answer::Later { wait: wait.map(Duration::from_secs), why: why.into() };
        let partial = ExportServiceResponse {
            partial_success: Some(ExportPartialSuccess { rejected: 3, error_message: "too old".into() }),
        };
        let partial = partial.encode_to_vec();
        let json = br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
        let some = Answer::Taken { rejected: 3, words: "too old".into() };
        let protobuf = [("content-type", "application/x-protobuf")];
        let as_json = [("content-type", "application/json; charset=utf-8")];
        assert_eq!(answered(200, &protobuf, b""), TAKEN);
        assert_eq!(answered(200, &[], b""), TAKEN);
        assert_eq!(answered(202, &[], b""), TAKEN);
        assert_eq!(answered(200, &as_json, b"{}"), TAKEN);
        assert_eq!(answered(200, &protobuf, &partial), some);
        assert_eq!(answered(200, &as_json, json), some);
        let points = br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}"#;
        assert_eq!(answered(200, &as_json, points), some);
        assert_eq!(answered(404, &[], b""), Answer::Nowhere("404 Not Found".into()));
        assert_eq!(answered(503, &[("retry-after", "7")], b""), later(Some(7), "503 Service Unavailable"));
        assert_eq!(
            answered(429, &[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], b""),
            later(Some(9), "429 Too Many Requests")
        );
        assert_eq!(answered(502, &[("retry-after", "soon")], b""), later(None, "502 Bad Gateway"));
        assert_eq!(answered(504, &[("retry-after", "999999")], b""), later(Some(3_600), "504 Gateway Timeout"));
        assert_eq!(
            answered(400, &[("content-type", "text/plain")], b"no\x1b[2J spans"),
            Answer::Never("400 Bad Request: no\\u{1b}[2J spans".into())
        );
        assert_eq!(answered(500, &[], b"oops"), Answer::Wrong("500 Internal Server Error".into()));
        for wrong in [
            answered(401, &[], b""),
            answered(301, &[("location", "http://elsewhere/")], b""),
            answered(200, &[("content-type", "text/html")], b"<html>welcome</html>"),
            answered(200, &protobuf, b"\xff\xff\xff garbage"),
            answered(200, &as_json, b"[]"),
        ] {
            assert!(matches!(wrong, Answer::Wrong(_)), "{wrong:?}");
        }
    }

    #[test]
    fn a_body_is_compressed_so_that_it_comes_back() {
        use std::io::Read as _;
        let bytes = b"spans ".repeat(1_000);
        let smaller = gzip(&bytes).unwrap();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&smaller[..]).read_to_end(&mut back).unwrap();
        assert_eq!(back, bytes);
        assert!(smaller.len() < bytes.len() / 10);
    }
}
