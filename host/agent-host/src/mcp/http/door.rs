//! Who may come in, and with what: the path, the host that is meant, where a page comes from, the token, the size. What passes
//! goes to the protocol's service; what does not is told the name of the reason. A browser is the attacker that matters: a page
//! of a stranger can send requests to this machine, and cannot choose their host, origin or token.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::body;
use super::refusal::{Answer, Refusal, say};
use super::sessions::Sessions;
use super::token::Token;
use crate::mcp::bounds::{MESSAGE_BYTES_MAX, Room, Taken};
use crate::mcp::client::{Asks, Client, Seen};
use crate::mcp::raw_arguments;
use crate::mcp::server::Server;

/// Where the protocol is spoken.
pub const PATH: &str = "/mcp";
/// Where anybody may ask whether the server lives.
const HEALTH: &str = "/health";
/// The header that names a session.
const SESSION: &str = "mcp-session-id";

/// What lets requests in.
pub struct Door {
    hosts: Vec<Authority>,
    origins: Vec<String>,
    /// `None` where the operator wants none.
    token: Option<Token>,
    server: Arc<Server>,
    sessions: Sessions,
    /// The room for what is asked and not answered yet.
    messages: Room,
    service: StreamableHttpService<Client, LocalSessionManager>,
    /// Requests that are under way: two of one name in one session could not be told apart.
    open: Arc<Mutex<HashSet<(String, String)>>>,
}

/// Whom the operator lets in beside those on this machine.
#[derive(Debug, Clone, Default)]
pub struct Guests {
    /// Names under which the server is reached: `tools.example.org`, or with a port.
    pub hosts: Vec<Authority>,
    /// Origins of pages that may call it.
    pub origins: Vec<String>,
}

impl Door {
    /// The door to `server`, which listens at `address`.
    #[must_use]
    pub fn new(
        server: Arc<Server>,
        asks: Asks,
        address: SocketAddr,
        guests: Guests,
        (token, stop): (Option<Token>, CancellationToken),
    ) -> Self {
        let own = own_hosts(address);
        let origins = own.iter().map(|host| format!("http://{host}")).chain(guests.origins).collect();
        let hosts = own.into_iter().chain(guests.hosts).collect();
        let sessions = Sessions::new();
        // Host and origin are checked here, for every path.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_max_request_body_bytes(MESSAGE_BYTES_MAX)
            .with_cancellation_token(stop);
        let made_for = Arc::clone(&server);
        let client = move || Ok(Client::new(Arc::clone(&made_for), asks));
        let service = StreamableHttpService::new(client, sessions.kept(), config);
        let (messages, open) = (Room::default(), Arc::default());
        Self { hosts, origins, token, server, sessions, messages, service, open }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<Incoming>) -> Answer {
        let answer = match self.admit(&request) {
            Ok(Leads::Health) => self.health(),
            Ok(Leads::Protocol) => self.speak(request).await,
            Err(refusal) => refusal.answer(),
        };
        closed(answer)
    }

    fn admit(&self, request: &Request<Incoming>) -> Result<Leads, Refusal> {
        self.check_host(request.uri(), request.headers())?;
        self.check_origin(request.headers())?;
        match (request.uri().path(), request.method()) {
            (HEALTH, &Method::GET | &Method::HEAD) => Ok(Leads::Health),
            (HEALTH, _) => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "look with GET")),
            (PATH, _) => self.check_token(request.headers()).map(|()| Leads::Protocol),
            (_, _) => Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "the protocol is spoken at /mcp")),
        }
    }

    /// A name that a stranger's page was looked up by leads here too, once its owner says so; the browser still sends the name.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut named = headers.get_all(header::HOST).iter();
        let (first, second) = (named.next(), named.next());
        let named = first.and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
        let agrees = |host: &Authority| uri.authority().is_none_or(|target| target == host);
        let known = |host: &Authority| self.hosts.iter().any(|own| is_same(own, host));
        match named.filter(|host| second.is_none() && agrees(host) && !host.as_str().contains('@')) {
            Some(host) if known(&host) => Ok(()),
            Some(_) => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "host_denied",
                "the server is not reached under that name; `--allow-host` adds one",
            )),
            None => Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the request names no host, or several")),
        }
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |origin: &HeaderValue| {
            origin.to_str().is_ok_and(|origin| self.origins.iter().any(|own| own.eq_ignore_ascii_case(origin)))
        };
        if headers.get_all(header::ORIGIN).iter().all(known) {
            return Ok(());
        }
        let cure = "pages from there may not call this server; `--allow-origin` adds one";
        Err(Refusal::new(StatusCode::FORBIDDEN, "origin_denied", cure))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (shown.next(), shown.next());
        let shown = first.and_then(|value| value.to_str().ok()).and_then(bearer);
        match shown {
            Some(shown) if second.is_none() && token.is(shown) => Ok(()),
            Some(_) | None => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the header `Authorization: Bearer TOKEN` is wanted, with the token that the server was started with",
            )),
        }
    }

    fn health(&self) -> Answer {
        let told = json!({ "status": "ok", "calls": self.server.calls_taken() });
        say(StatusCode::OK, &told)
    }

    async fn speak(&self, request: Request<Incoming>) -> Answer {
        let (mut parts, body) = request.into_parts();
        // What a client shows to be let in is nobody's business beyond this door.
        parts.headers.remove(header::AUTHORIZATION);
        let (body, taken) = match body::whole(body, &self.messages).await {
            Ok(whole) => whole,
            Err(refusal) => return refusal.answer(),
        };
        let outline: Outline = serde_json::from_slice(&body).unwrap_or_default();
        let session = parts.headers.get(SESSION).and_then(|session| session.to_str().ok()).map(str::to_owned);
        let beginning = match (&session, outline.method.as_deref()) {
            (Some(session), _) => {
                self.sessions.used(session).await;
                None
            }
            (None, Some("initialize")) => match self.sessions.begin(|session| self.is_busy(session)).await {
                Some(beginning) => Some(beginning),
                None => return Refusal::overloaded("as many clients are here as fit; try again in a moment").answer(),
            },
            (None, _) => None,
        };
        let place = match (session, outline.id, outline.method) {
            (Some(session), Some(id), Some(_)) => match Place::take(&self.open, (session, id.to_string())) {
                Some(place) => Some(place),
                None => return Refusal::repeated().answer(),
            },
            _ => None,
        };
        // Before the headers are held against the schema of the tool that is called.
        parts.extensions.insert(Seen(self.server.tools()));
        if let Some(arguments) = raw_arguments::find(&body) {
            parts.extensions.insert(arguments);
        }
        let request = Request::from_parts(parts, Full::new(body));
        let answer = self.service.handle(request).await;
        if let (Some(beginning), Some(session)) = (beginning, answer.headers().get(SESSION)) {
            beginning.has(session.to_str().unwrap_or_default());
        }
        answer.map(|body| Held { body, _place: place, _taken: taken }.boxed())
    }

    /// Whether a session waits for an answer.
    fn is_busy(&self, session: &str) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().any(|(of, _)| of == session)
    }
}

/// What a path leads to.
enum Leads {
    Health,
    Protocol,
}

/// What a message says of itself, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Outline {
    method: Option<String>,
    id: Option<serde_json::Value>,
}

/// Nothing of an answer is for a page: none may read it, frame it, or guess at what it is.
fn closed(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The names of this machine's own loopback, and the address itself.
fn own_hosts(address: SocketAddr) -> Vec<Authority> {
    let port = address.port();
    let names =
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}"), address.to_string()];
    let mut hosts: Vec<Authority> = names.iter().filter_map(|name| name.parse().ok()).collect();
    hosts.dedup();
    hosts
}

fn is_same(own: &Authority, named: &Authority) -> bool {
    // A name that was allowed without a port is one behind a proxy, whose port is not ours.
    let same_port = own.port_u16().is_none_or(|port| named.port_u16().unwrap_or(80) == port);
    own.host().eq_ignore_ascii_case(named.host()) && same_port
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The place of a request among those under way.
struct Place {
    open: Arc<Mutex<HashSet<(String, String)>>>,
    of: (String, String),
}

impl Place {
    fn take(open: &Arc<Mutex<HashSet<(String, String)>>>, of: (String, String)) -> Option<Self> {
        let is_new = open.lock().unwrap_or_else(PoisonError::into_inner).insert(of.clone());
        is_new.then(|| Self { open: Arc::clone(open), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.of);
    }
}

/// An answer that keeps the place of its request, and the room that this takes, until it is sent.
struct Held<B> {
    body: B,
    _place: Option<Place>,
    _taken: Taken,
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_names_lead_to_it() -> Result<(), Box<dyn std::error::Error>> {
        let own = own_hosts("127.0.0.1:8000".parse()?);
        let known = |host: &str| host.parse().is_ok_and(|host: Authority| own.iter().any(|own| is_same(own, &host)));
        for good in ["localhost:8000", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"] {
            assert!(known(good), "{good}");
        }
        for bad in ["localhost", "localhost:80", "evil.example:8000", "127.0.0.1.evil.example:8000", "127.0.0.2:8000"] {
            assert!(!known(bad), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn a_token_stands_in_one_place() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for other in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
