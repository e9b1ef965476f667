//! Requests that no library would make: raw words for each part, many at once, timeouts out of range, sockets.

use agent_host_tool::{Json, args, json, serde_json::Value, tool};

/// One request, word by word.
#[args]
pub(crate) struct Raw {
    /// `SCHEME://AUTHORITY/PATH`, cut at these signs and not looked at otherwise.
    url: String,
    #[serde(default = "get")]
    method: String,
    /// In place of what the URL has after its authority.
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// How often a header field `x-N: NNN…` is added, and how long its value is.
    #[serde(default)]
    many_headers: (usize, usize),
    /// A body of so many bytes.
    #[serde(default)]
    body_bytes: usize,
    #[serde(default)]
    trailers: Vec<(String, String)>,
    /// For each of the three timeouts, in nanoseconds.
    #[serde(default)]
    timeout_ns: Option<u64>,
}

/// Many requests.
#[args]
pub(crate) struct Many {
    /// `#` stands for the number of the request.
    url: String,
    count: usize,
    /// So many are begun before the first is waited for.
    #[serde(default = "one")]
    together: usize,
    /// Each with a body of so many bytes.
    #[serde(default)]
    body_bytes: usize,
}

/// A request that something else stands before.
#[args]
pub(crate) struct Behind {
    url: String,
    /// So many sockets, each of which is refused.
    sockets: usize,
}

/// Addresses to ask.
#[args]
pub(crate) struct Urls {
    urls: Vec<String>,
}

/// Where to.
#[args]
pub(crate) struct Peer {
    /// `127.0.0.1:80`.
    address: String,
}

fn get() -> String {
    "GET".to_owned()
}

fn one() -> usize {
    1
}

/// Sends one request; reports the answer or at which step it ended.
#[tool]
pub(crate) fn raw_request(raw: Raw) -> Json<Value> {
    Json(sending::begin(&raw).and_then(sending::answer).unwrap_or_else(|error| json!({ "error": error })))
}

/// Asks each address; reports what came of each.
#[tool]
pub(crate) fn raw_urls(urls: Urls) -> Json<Value> {
    let ask = |url: &String| sending::begin(&plain(url, 0)).and_then(sending::answer);
    Json(urls.urls.iter().map(|url| ask(url).unwrap_or_else(|error| json!({ "error": error }))).collect())
}

/// Makes many requests; reports how many were answered, and how often each error was seen.
#[tool]
pub(crate) fn many_requests(many: Many) -> Json<Value> {
    let mut answered = 0;
    let mut errors = std::collections::BTreeMap::<String, usize>::new();
    let numbers: Vec<usize> = (0..many.count).collect();
    for numbers in numbers.chunks(many.together.max(1)) {
        let begin =
            |number: &usize| sending::begin(&plain(&many.url.replace('#', &number.to_string()), many.body_bytes));
        let begun: Vec<_> = numbers.iter().map(begin).collect();
        for pending in begun {
            match pending.and_then(sending::answer) {
                Ok(_) => answered += 1,
                Err(error) => *errors.entry(error).or_default() += 1,
            }
        }
    }
    Json(json!({ "answered": answered, "errors": errors }))
}

fn plain(url: &str, body_bytes: usize) -> Raw {
    let method = if body_bytes == 0 { "GET" } else { "POST" };
    Raw {
        url: url.to_owned(),
        method: method.to_owned(),
        path: None,
        headers: Vec::new(),
        many_headers: (0, 0),
        body_bytes,
        trailers: Vec::new(),
        timeout_ns: None,
    }
}

/// Tries every door of raw sockets; reports what each said.
#[tool]
pub(crate) fn sockets(peer: Peer) -> Json<Value> {
    use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
    let said =
        |opened: std::io::Result<()>| opened.err().map_or("opened".to_owned(), |error| format!("{:?}", error.kind()));
    Json(json!({
        "connect": said(TcpStream::connect(&peer.address).map(drop)),
        "listen": said(TcpListener::bind(&peer.address).map(drop)),
        "udp": said(UdpSocket::bind("0.0.0.0:0").map(drop)),
        "lookup": said(("localhost", 80).to_socket_addrs().map(drop)),
    }))
}

/// Asks for many sockets, and then an address; reports how many sockets there were none of, and the answer.
#[tool]
pub(crate) fn request_behind(behind: Behind) -> Json<Value> {
    let refused = (0..behind.sockets).filter(|_| std::net::TcpListener::bind("127.0.0.1:1").is_err()).count();
    let answer = sending::begin(&plain(&behind.url, 0)).and_then(sending::answer);
    Json(json!({ "refused": refused, "answer": answer.unwrap_or_else(|error| json!({ "error": error })) }))
}

#[cfg(target_family = "wasm")]
mod sending {
    use agent_host_tool::{json, serde_json::Value};
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{
        Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    };
    use wasip2::io::streams::StreamError;

    use super::Raw;

    /// How much of a body is reported.
    const SHOWN_BYTES_MAX: usize = 4096;

    /// Builds and hands over a request, its body and trailers.
    pub(super) fn begin(raw: &Raw) -> Result<FutureIncomingResponse, String> {
        let request = built(raw)?;
        let options = raw.timeout_ns.map(options).transpose()?;
        let body = request.body().map_err(|()| "no body".to_owned())?;
        let pending = handle(request, options).map_err(|code| format!("handle: {code:?}"))?;
        if raw.body_bytes > 0 {
            let stream = body.write().map_err(|()| "no stream".to_owned())?;
            let mut left = raw.body_bytes;
            while left > 0 {
                let piece = vec![b'x'; left.min(4096)];
                if stream.blocking_write_and_flush(&piece).is_err() {
                    break; // The host has heard enough: the answer says why.
                }
                left -= piece.len();
            }
        }
        let trailers = (!raw.trailers.is_empty()).then(|| fields(&raw.trailers)).transpose()?;
        if let Err(code) = OutgoingBody::finish(body, trailers) {
            // Reported only where the answer does not say more.
            if raw.body_bytes == 0 {
                return Err(format!("finish: {code:?}"));
            }
        }
        Ok(pending)
    }

    fn built(raw: &Raw) -> Result<OutgoingRequest, String> {
        let (scheme, rest) = raw.url.split_once("://").ok_or("no scheme")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = raw.path.as_deref().unwrap_or(if path.is_empty() { "/" } else { path });
        let mut headers = raw.headers.clone();
        let (count, bytes) = raw.many_headers;
        headers.extend((0..count).map(|number| (format!("x-{number}"), "n".repeat(bytes))));
        let request = OutgoingRequest::new(fields(&headers)?);
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        };
        let method = match raw.method.as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "CONNECT" => Method::Connect,
            "TRACE" => Method::Trace,
            other => Method::Other(other.to_owned()),
        };
        request.set_method(&method).map_err(|()| "method")?;
        request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
        request.set_authority(Some(authority)).map_err(|()| "authority")?;
        request.set_path_with_query(Some(path)).map_err(|()| "path")?;
        Ok(request)
    }

    fn fields(fields: &[(String, String)]) -> Result<Fields, String> {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        Fields::from_list(&fields).map_err(|error| format!("header: {error:?}"))
    }

    fn options(nanoseconds: u64) -> Result<RequestOptions, String> {
        let (options, wanted) = (RequestOptions::new(), Some(nanoseconds));
        let set = [
            options.set_connect_timeout(wanted),
            options.set_first_byte_timeout(wanted),
            options.set_between_bytes_timeout(wanted),
        ];
        if set.contains(&Err(())) { Err("timeout".to_owned()) } else { Ok(options) }
    }

    /// Waits for an answer and reads all of it.
    #[expect(clippy::needless_pass_by_value, reason = "its handle is given back when the answer was read")]
    pub(super) fn answer(pending: FutureIncomingResponse) -> Result<Value, String> {
        pending.subscribe().block();
        let response = match pending.get() {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(code))) => return Err(format!("{code:?}")),
            Some(Err(())) | None => return Err("no answer".to_owned()),
        };
        let headers: Vec<(String, String)> = response
            .headers()
            .entries()
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
            .collect();
        let body = response.consume().map_err(|()| "no body")?;
        let (bytes, shown) = read(&body)?;
        Ok(json!({ "status": response.status(), "headers": headers, "bytes": bytes, "body": shown }))
    }

    fn read(body: &IncomingBody) -> Result<(usize, String), String> {
        let stream = body.stream().map_err(|()| "no stream")?;
        let (mut bytes, mut shown) = (0, Vec::new());
        loop {
            match stream.blocking_read(64 * 1024) {
                Ok(piece) => {
                    bytes += piece.len();
                    shown.extend(piece.into_iter().take(SHOWN_BYTES_MAX - shown.len()));
                }
                Err(StreamError::Closed) => return Ok((bytes, String::from_utf8_lossy(&shown).into_owned())),
                Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod sending {
    use agent_host_tool::serde_json::Value;

    use super::Raw;

    pub(super) fn begin(raw: &Raw) -> Result<(), String> {
        let unused = (&raw.url, &raw.method, &raw.path, &raw.headers, raw.many_headers);
        let more = (raw.body_bytes, &raw.trailers, raw.timeout_ns);
        Err(format!("there is no host to send {unused:?} {more:?}"))
    }

    pub(super) fn answer((): ()) -> Result<Value, String> {
        Err("there is no host".to_owned())
    }
}
