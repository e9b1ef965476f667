//! `wasi:http`: requests through the gate, and nothing else of the network.
//!
//! - `types` is the interface, method by method; the work on headers and bodies is wasmtime-wasi-http's. `drafts` is the part
//!   by which a guest builds messages, and counts what it puts into them; `waiting` counts what it writes into bodies along
//!   the record of an attempt before.
//! - `target` parses a URL once: what is decided about is what is connected to.
//! - `bounds` is what requests may cost; `held` counts what bodies hold in memory, `lookups` the names that were looked up.
//! - `address` says which addresses a name may lead to, and resolves names under that rule; `resolver` asks the system for them.
//! - `connection` connects to such an address, `tls` secures it, `answer_head` and `decoding` are what an answer passes.
//! - `exchange` is one request and its whole answer, with every bound; `job` puts the gate around it, `cure` says what
//!   would raise a bound that was met.
//! - `past` is what was answered to an attempt before, which a replay is told again; `error_code` is how errors are recorded.
//!
//! A request's body is collected before anything is decided, so a guest that waits for the answer before it finishes the
//! body waits for its deadline. Redirects are not followed: the guest sees them and asks anew.

mod address;
mod answer_head;
mod body;
mod bounds;
mod brotli_window;
mod connection;
mod cure;
mod decoding;
mod drafts;
mod error_code;
mod exchange;
mod held;
mod job;
mod lookups;
mod past;
#[cfg(feature = "switchable-defences")]
mod private_resolver;
mod resolver;
mod secret;
mod target;
mod tls;
mod types;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderName;
use http::uri::Scheme;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use crate::effects::Effects;
use crate::hosts::http::body::Body;
use crate::hosts::http::held::Memory;
use crate::hosts::http::job::{Job, Outgoing};
use crate::hosts::http::lookups::Lookups;
use crate::hosts::http::past::Answered;
use crate::patience::Patience;
use crate::secrets::CallSecrets;
use crate::transcript::SharedTranscript;

pub(crate) use bounds::Bounds;
pub(crate) use drafts::Drafts;
pub(crate) use error_code::{decode_error, encode_error};
pub(crate) use past::Past;
pub(crate) use resolver::Resolver;
pub(crate) use waiting::Replaying;

/// Answers of the largest size that a call may hold unread.
const ANSWERS_HELD_MAX: u64 = 2;

/// How long a write that was sent may still be answered once its guest is gone. A read is given up at once.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Most bytes that one write to a request's body takes.
const BODY_CHUNK_BYTES_MAX: usize = 64 << 10;

/// Pieces of a request's body that wait to be collected. In a replay nobody waits for room: as many as were written then fit,
/// and their bytes are counted (`waiting`).
const BODY_CHUNKS_WAITING: usize = 1;
const BODY_CHUNKS_WAITING_IN_REPLAY: usize = 1 << 20;

/// Header fields that are the connection's business, beside wasmtime's list.
const FORBIDDEN: [&str; 5] = ["te", "trailer", "expect", "forwarded", "via"];

/// Header fields by which some servers take a request for one of another method, which nobody decided about.
const OTHER_METHOD: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Header fields by which some servers take a request for one of another path, which nobody decided about either.
const OTHER_PATH: [&str; 2] = ["x-original-url", "x-rewrite-url"];

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// Sends the requests of one call.
pub(crate) struct HttpSender {
    parts: Arc<SenderParts>,
    lookups: Arc<Lookups>,
    /// Of answers.
    memory: Memory,
    /// Of bodies that wait for their request's turn.
    bodies: Memory,
    requests: u64,
    jobs: Arc<Mutex<Jobs>>,
    slots: Arc<Semaphore>,
    /// The number of the effect that the last request is.
    last: u32,
    /// The requests of the answers that the guest holds or waits for, by the handle.
    pending: HashMap<u32, u32>,
    /// Handles of streams that read the body of an answer.
    body_streams: HashSet<u32>,
    replaying: Replaying,
}

/// What sending needs.
pub(crate) struct SenderParts {
    pub(crate) bounds: Bounds,
    pub(crate) effects: Arc<Effects>,
    pub(crate) transcript: SharedTranscript,
    pub(crate) secrets: CallSecrets,
    pub(crate) patience: Arc<Patience>,
    pub(crate) resolver: Arc<Resolver>,
    /// What was answered to an attempt before, in a replay.
    pub(crate) past: Option<Past>,
    /// The call was ended by its caller: what waits to be decided does not happen.
    pub(crate) ended: CancellationToken,
    /// Ends what is under way: its guest is gone for long.
    pub(crate) give_up: CancellationToken,
    pub(crate) host: tokio::runtime::Handle,
}

/// The requests that were handed over to the host's runtime.
#[derive(Default)]
struct Jobs {
    running: Vec<JoinHandle<()>>,
    closed: bool,
}

impl HttpSender {
    /// Nothing sent yet.
    pub(crate) fn new(parts: SenderParts) -> Self {
        let bounds = &parts.bounds;
        let slots = Arc::new(Semaphore::new(bounds.concurrent));
        let memory = Memory::new(bounds.response_bytes.0.saturating_mul(ANSWERS_HELD_MAX));
        let bodies = Memory::new(bounds.request_bytes.0.saturating_mul(bounds.concurrent as u64));
        let lookups = Arc::new(Lookups::new(bounds.hosts));
        let replaying = Replaying::begin(parts.past.is_some());
        Self {
            parts: Arc::new(parts),
            lookups,
            memory,
            bodies,
            requests: 0,
            jobs: Arc::default(),
            slots,
            last: 0,
            pending: HashMap::new(),
            body_streams: HashSet::new(),
            replaying,
        }
    }

    /// Whether the call is still told what it was told before.
    pub(crate) fn replaying(&self) -> Replaying {
        self.replaying.clone()
    }

    /// The guest waits for the last request's answer by this handle.
    fn handed_out(&mut self, handle: u32) {
        self.pending.insert(handle, self.last);
    }

    /// The number of the effect that a pending answer is of.
    fn number_of(&self, handle: u32) -> u32 {
        self.pending.get(&handle).copied().unwrap_or(0)
    }

    /// A stream reads the body of an answer.
    fn reads(&mut self, handle: u32) {
        self.body_streams.insert(handle);
    }

    /// Whether a stream reads the body of an answer, all of which is here.
    pub(crate) fn is_body(&self, handle: u32) -> bool {
        self.body_streams.contains(&handle)
    }

    /// The guest gave a handle back.
    pub(crate) fn forget(&mut self, handle: u32) {
        self.pending.remove(&handle);
        self.body_streams.remove(&handle);
    }

    /// What the gate kept of an attempt before.
    fn kept(&self, number: u32) -> Option<Answered> {
        self.parts.past.as_ref()?.kept(number)
    }

    /// A recorded answer as a response; `None` if it is none.
    fn response_again(&self, answer: Answered) -> Option<http::Response<WasiBody>> {
        let mut share = self.memory.share();
        // It had room then.
        let _ = share.grow(answer.body.len() as u64);
        job::response(answer, share).ok()
    }

    /// Why a replayed call is not what it was, if it left out a write that was answered then.
    pub(crate) fn unclaimed(&self) -> Option<String> {
        let effect = self.parts.past.as_ref()?.unclaimed()?;
        Some(format!("effect {} was answered then, {}, and is not asked for now", effect.number, effect.request))
    }

    /// Lets no further request begin and waits for those under way. Who is not answered soon is given up, and recorded so.
    pub(crate) async fn join(&self) {
        let running = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.closed = true;
            std::mem::take(&mut jobs.running)
        };
        // A job that panicked has nothing more to record.
        let mut ended = std::pin::pin!(futures::future::join_all(running));
        if tokio::time::timeout(LAST_WAIT, &mut ended).await.is_err() {
            self.parts.give_up.cancel();
            ended.await;
        }
    }
}

impl Jobs {
    fn spawn(&mut self, host: &tokio::runtime::Handle, job: impl Future<Output = ()> + Send + 'static) {
        if !self.closed {
            self.running.retain(|job| !job.is_finished());
            self.running.push(host.spawn(job));
        }
    }
}

impl WasiHttpHooks for HttpSender {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        // Numbered here, in the guest's order, not when the body is complete.
        let number = self.parts.effects.number();
        self.last = number;
        self.requests += 1;
        let beyond_limit = self.requests > self.parts.bounds.requests;
        let (parts, jobs, slots) = (self.parts.clone(), self.jobs.clone(), self.slots.clone());
        let (share, mut body_share, lookups) = (self.memory.share(), self.bodies.share(), self.lookups.clone());
        Box::new(async move {
            let (head, body) = request.into_parts();
            let most = parts.bounds.request_bytes.0;
            let body = match &parts.past {
                // Refused in any case, so nothing of it is kept: a guest may begin many more requests than it may send.
                None if beyond_limit => {
                    drop(body);
                    Body::Complete(bytes::Bytes::new())
                }
                None => body::collect(body, most, &mut body_share).await?,
                Some(past) => {
                    let body = body::collect_to_end(body, most, &mut body_share).await?;
                    if past.is_offline() {
                        return std::future::pending().await;
                    }
                    if beyond_limit { Body::Complete(bytes::Bytes::new()) } else { body }
                }
            };
            let slot = slots.acquire_owned().await.map_err(|_| Error::ConnectionLimitReached)?;
            let (reply, answer) = oneshot::channel();
            let outgoing = Outgoing { number, head, body, options: options.unwrap_or_default(), share, beyond_limit };
            let host = parts.host.clone();
            let job = Job { parts, lookups, outgoing, reply };
            jobs.lock().unwrap_or_else(PoisonError::into_inner).spawn(&host, async move {
                job.run().await;
                drop((slot, body_share));
            });
            let response = answer.await.map_err(|_| Error::HttpRequestDenied)??;
            Ok((response, Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>))
        })
    }

    /// Any, since what is no `http` or `https` is refused later, with a record.
    fn is_supported_scheme(&mut self, _: &Scheme) -> bool {
        true
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        if self.replaying.is_on() { BODY_CHUNKS_WAITING_IN_REPLAY } else { BODY_CHUNKS_WAITING }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES_MAX
    }
}

/// Whether a header field is not the guest's to set, in headers and trailers alike. Nor is one that differs by underscores: to
/// many a server (CGI, WSGI) both are the same variable.
fn is_forbidden(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    DEFAULT_FORBIDDEN_HEADERS.iter().any(|forbidden| forbidden.as_str() == name)
        || FORBIDDEN.contains(&name.as_str())
        || OTHER_METHOD.contains(&name.as_str())
        || OTHER_PATH.contains(&name.as_str())
        || name.starts_with("proxy-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_connection_are_not_the_guests() {
        for (name, forbidden) in [
            ("host", true),
            ("connection", true),
            ("transfer-encoding", true),
            ("proxy-authorization", true),
            ("proxy-anything", true),
            ("upgrade", true),
            ("te", true),
            ("x-http-method-override", true),
            ("x-original-url", true),
            ("x-rewrite-url", true),
            ("x_http_method_override", true),
            ("x_http-method-override", true),
            ("x_original_url", true),
            ("transfer_encoding", true),
            ("proxy_authorization", true),
            ("x_own", false),
            ("accept", false),
            ("content-type", false),
        ] {
            assert_eq!(is_forbidden(&HeaderName::from_static(name)), forbidden, "{name}");
        }
    }
}
