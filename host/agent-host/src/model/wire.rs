//! One HTTP exchange with a provider, bounded in time and bytes, and what its ending means as a `ModelFailure`.
//! Not for the provider's JSON: that is `provider`'s. Called by `relay`.

use std::time::{Duration, SystemTime};

use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::units::Millis;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::failure::{failure, redact};

/// Longest wait for a connection. A host that takes longer is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for a complete reply, thinking included.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Largest reply, decompressed. Eight times what the longest replies of today take; as parsed JSON it may take ten times that in memory.
pub(super) const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much of an error page is read, to quote its message.
const ERROR_BYTES_MAX: usize = 16 * 1024;

/// Longest wait that a provider can ask for. A longer one is a mistake or malice.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// The client for one provider and the bounds of its exchanges.
pub(super) struct Wire {
    client: reqwest::Client,
    reply_timeout: Duration,
    key: Option<String>,
}

/// A request as the provider wants it.
pub(super) struct WireRequest {
    pub(super) url: reqwest::Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Wire {
    /// A wire that hides `key` in whatever it reports. A loopback server is reached directly, whatever proxy is set.
    pub(super) fn new(
        base: &reqwest::Url,
        key: Option<String>,
        reply_timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirected request would carry the key and the conversation to another host.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        Ok(Self { client: builder.build()?, reply_timeout, key })
    }

    /// Sends `request`; the body of a successful JSON reply, else why there is none.
    pub(super) async fn exchange(&self, request: WireRequest) -> Result<Vec<u8>, ModelFailure> {
        let host = request.url.host_str().unwrap_or("the provider").to_owned();
        match tokio::time::timeout(self.reply_timeout, self.exchange_unhurried(request, &host)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let limit = Millis(u64::try_from(self.reply_timeout.as_millis()).unwrap_or(u64::MAX));
                Err(failure(ModelFailureKind::Timeout, &format!("no complete reply from `{host}` within {limit}")))
            }
        }
    }

    async fn exchange_unhurried(&self, request: WireRequest, host: &str) -> Result<Vec<u8>, ModelFailure> {
        let sent = self.client.post(request.url).headers(request.headers).body(request.body).send().await;
        let mut response = sent.map_err(|error| self.transport_failure(error, host))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.status_failure(status, response, host).await);
        }
        let declared = response.content_length().unwrap_or(0);
        if declared > REPLY_BYTES_MAX as u64 {
            return Err(too_large(host));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport_failure(error, host))? {
            if body.len() + chunk.len() > REPLY_BYTES_MAX {
                return Err(too_large(host));
            }
            body.extend_from_slice(&chunk);
        }
        self.check_json(&body, host)?;
        Ok(body)
    }

    /// Refuses what is not JSON, and errors that come with status 200 (gateways do that).
    fn check_json(&self, body: &[u8], host: &str) -> Result<(), ModelFailure> {
        #[derive(serde::Deserialize)]
        struct Envelope {
            error: Option<Value>,
        }
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        match serde_json::from_slice::<Envelope>(body) {
            Ok(Envelope { error: None }) => Ok(()),
            Ok(Envelope { error: Some(error) }) => {
                let said = redact(&said_in(&error).unwrap_or(error.to_string()), self.key.as_deref());
                Err(failure(ModelFailureKind::ServerError, &format!("`{host}` replied with an error: {said}")))
            }
            Err(_) if body.is_empty() => {
                Err(failure(ModelFailureKind::BadReply, &format!("the reply of `{host}` is empty")))
            }
            Err(error) => {
                let start = redact(&start, self.key.as_deref());
                let message =
                    format!("the reply of `{host}` is not the JSON it should be ({error}); it begins: {start}");
                Err(failure(ModelFailureKind::BadReply, &message))
            }
        }
    }

    async fn status_failure(&self, status: StatusCode, mut response: Response, host: &str) -> ModelFailure {
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = ERROR_BYTES_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ERROR_BYTES_MAX {
                break;
            }
        }
        let said = redact(&said_in_page(&body), self.key.as_deref());
        let (kind, hint) = meaning(status);
        let mut message = format!("`{host}` answered {status}");
        for more in [hint, said.as_str()].iter().filter(|more| !more.is_empty()) {
            message.push_str(": ");
            message.push_str(more);
        }
        ModelFailure { retry_after, ..failure(kind, &message) }
    }

    /// An exchange that broke off. The address is not repeated: it may carry a key.
    fn transport_failure(&self, error: reqwest::Error, host: &str) -> ModelFailure {
        let error = error.without_url();
        let kind = if error.is_timeout() { ModelFailureKind::Timeout } else { ModelFailureKind::Network };
        let what = if error.is_connect() { "cannot reach" } else { "the connection broke while talking to" };
        let cause = redact(&causes(&error), self.key.as_deref());
        failure(kind, &format!("{what} `{host}`: {cause}"))
    }
}

/// Whether `url` names this machine.
pub(super) fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn too_large(host: &str) -> ModelFailure {
    let limit = agent_core::units::Bytes(REPLY_BYTES_MAX as u64);
    failure(ModelFailureKind::BadReply, &format!("the reply of `{host}` is larger than {limit}"))
}

/// What a status means, and what to do about it.
fn meaning(status: StatusCode) -> (ModelFailureKind, &'static str) {
    match status.as_u16() {
        401 | 403 => (ModelFailureKind::Unauthorized, "the key is not accepted"),
        404 => (ModelFailureKind::BadRequest, "the model or the base URL does not exist there"),
        408 | 504 => (ModelFailureKind::Timeout, ""),
        429 => (ModelFailureKind::RateLimited, ""),
        500..=599 => (ModelFailureKind::ServerError, ""),
        300..=399 => {
            (ModelFailureKind::BadRequest, "redirects are not followed; set the base URL to the final address")
        }
        _ => (ModelFailureKind::BadRequest, ""),
    }
}

/// The message of an error page: the one in its JSON, else that it is a web page, else how it begins.
fn said_in_page(body: &[u8]) -> String {
    if let Some(said) = serde_json::from_slice::<Value>(body).ok().as_ref().and_then(said_in) {
        return said;
    }
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') { "a web page instead of JSON".to_owned() } else { text.into_owned() }
}

/// Where providers put the words of an error.
fn said_in(page: &Value) -> Option<String> {
    let places = ["/error/message", "/message", "/error", "/detail", "/0/error/message"];
    let said = |place: &&str| page.pointer(place).and_then(Value::as_str).map(str::to_owned);
    page.as_str().map(str::to_owned).or_else(|| places.iter().find_map(said))
}

/// How long the provider asks to wait: milliseconds, seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Millis> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let wait = if let Some(milliseconds) = text("retry-after-ms").and_then(|ms| ms.parse().ok()) {
        Duration::from_millis(milliseconds)
    } else {
        let value = text(RETRY_AFTER.as_str())?;
        match value.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => until_date(value, now)?,
        }
    };
    u64::try_from(wait.min(RETRY_AFTER_MAX).as_millis()).ok().map(Millis)
}

fn until_date(text: &str, now: SystemTime) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default())
}

fn causes(error: &dyn std::error::Error) -> String {
    /// Deepest chain of causes that is quoted.
    const CAUSES_MAX: usize = 6;
    let chain = std::iter::successors(Some(error), |error| error.source()).take(CAUSES_MAX);
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn retry_after_has_three_forms() {
        let now = UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        let cases = [
            ("retry-after", "7", Some(7_000)),
            ("retry-after-ms", "1500", Some(1_500)),
            ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", Some(10_000)),
            ("retry-after", "Wed, 21 Oct 2009 07:28:00 GMT", Some(0)),
            ("retry-after", "99999999999", Some(3_600_000)),
            ("retry-after", "soon", None),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected.map(Millis), "{name}: {value}");
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (url, expected) in [
            ("http://localhost:1/", true),
            ("http://127.0.0.1/", true),
            ("http://[::1]:8/", true),
            ("https://api.example.com/", false),
            ("http://127.0.0.1.example.com/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
