//! A request from the gate's decision to its record. Runs on the host's runtime, so that a request which was sent is
//! recorded, though the guest that asked for it is gone.

use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, EffectResult, Refusal};
use agent_core::units::Bytes as ByteCount;
use http::{HeaderName, HeaderValue, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use url::Url;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::effects::Permit;
use crate::gate::IdempotencyKey;
use crate::hosts::http::answer_head::field_bytes;
use crate::hosts::http::body::Body;
use crate::hosts::http::cure;
use crate::hosts::http::error_code::code_of;
use crate::hosts::http::exchange::{Answer, Failure, Reached, Request, exchange};
use crate::hosts::http::held::{HeldBody, Share};
use crate::hosts::http::lookups::Lookups;
use crate::hosts::http::past::{Answered, Known, Recorded, encode_kept};
use crate::hosts::http::{SenderParts, secret, target};

/// What a guest is told: an answer, or why there is none.
type Reply = Result<http::Response<WasiBody>, Error>;

/// One request on its way.
pub(super) struct Job {
    pub(super) parts: Arc<SenderParts>,
    /// The names that the call has looked up.
    pub(super) lookups: Arc<Lookups>,
    pub(super) outgoing: Outgoing,
    /// Where the guest waits. Closed once it waits no more.
    pub(super) reply: oneshot::Sender<Reply>,
}

/// A request as the guest made it.
pub(super) struct Outgoing {
    pub(super) number: u32,
    pub(super) head: http::request::Parts,
    pub(super) body: Body,
    pub(super) options: RequestOptions,
    /// What its answer will hold of the call's memory.
    pub(super) share: Share,
    pub(super) beyond_limit: bool,
}

impl Job {
    /// Does it all and tells the guest, if there still is one.
    pub(super) async fn run(mut self) {
        let reply = self.perform().await;
        // The guest may have stopped waiting: what it asked for is recorded all the same.
        let _ = self.reply.send(reply);
    }

    async fn perform(&mut self) -> Reply {
        let (mut request, effect_request) = self.prepare()?;
        let parts = Arc::clone(&self.parts);
        if let Some(known) = parts.past.as_ref().and_then(|past| past.claim(self.outgoing.number)) {
            return self.told_again(known, effect_request, request.share).await;
        }
        let decision = self.parts.effects.decide_numbered(self.outgoing.number, effect_request);
        let permit = tokio::select! {
            // The guest may still be told what it was told before: this request is another matter, since it is sent.
            permit = decision => permit.map_err(|_| Error::HttpRequestDenied)?.done_anew(),
            // Nobody waits any more, and nothing was sent. The guest may be gone while its end of the reply is not.
            () = self.reply.closed() => return Err(Error::HttpRequestDenied),
            () = self.parts.ended.cancelled() => return Err(Error::HttpRequestDenied),
            () = self.parts.give_up.cancelled() => return Err(Error::HttpRequestDenied),
        };
        if self.reply.is_closed() {
            let result = EffectResult::NotSent("the tool stopped waiting before it was sent".to_owned());
            self.parts.effects.settle(permit, result);
            return Err(Error::HttpRequestDenied);
        }
        if let Err(rule) = secret::put(&mut request.headers, &permit.ruling.secrets, &self.parts.secrets) {
            let denied = Error::HttpRequestDenied;
            return Err(self.refuse(Some(&request.url), Refusal::SecretBlocked, &rule, denied));
        }
        match permit.ruling.class {
            EffectClass::KeyedWrite | EffectClass::OpaqueWrite => self.send_announced(request, permit).await,
            EffectClass::Pure | EffectClass::Read | EffectClass::OwnedWrite => self.send(request, permit).await,
        }
    }

    /// Gives the guest what was answered to the same request of an attempt before. Nothing is sent.
    async fn told_again(&self, known: &Known, request: EffectRequest, mut share: Share) -> Reply {
        let (effects, number) = (&self.parts.effects, self.outgoing.number);
        let request = effects.as_recorded(request);
        let then = known.effect.as_ref().map(|effect| effects.as_recorded(effect.request.clone()));
        if let Some(then) = then.filter(|then| *then != request) {
            let (then, now) = (in_full(&then), in_full(&request));
            effects.diverge(format!("effect {number} was {then} then, and is {now} now"));
            return Err(Error::HttpRequestDenied);
        }
        let bytes_out = body_bytes(&request);
        let bytes_in = match &known.answer {
            Some(Ok(answer)) => ByteCount(answer.body.len() as u64),
            Some(Err(_)) | None => ByteCount(0),
        };
        match &known.effect {
            Some(effect) => effects.keep(Effect { replayed: true, ..effect.clone() }),
            // What was refused then is recorded so, whatever would be said of it now.
            None if matches!(known.answer, Some(Err(ErrorCode::HttpRequestDenied))) => {
                let rule = ("as before the call was interrupted", None);
                effects.refuse_numbered(number, request, Refusal::NetDenied, rule);
            }
            None => {
                if let Ok(permit) = effects.decide_told(number, request).await {
                    let result = match &known.answer {
                        Some(Ok(answer)) => EffectResult::Done(answer.status.to_string()),
                        Some(Err(code)) => {
                            EffectResult::Failed(format!("as before the call was interrupted: {code:?}"))
                        }
                        None => EffectResult::Failed(String::new()),
                    };
                    effects.keep(Effect { replayed: true, ..permit.effect(result, bytes_out, bytes_in) });
                }
            }
        }
        match &known.answer {
            Some(Ok(answer)) => {
                let _ = share.grow(bytes_in.0);
                response(answer.clone(), share)
            }
            Some(Err(code)) => Err(code.clone().into()),
            None => {
                effects.diverge(format!("the answer to effect {number} is not at hand"));
                Err(Error::HttpRequestDenied)
            }
        }
    }

    /// Parses the request and refuses what no grant could allow.
    fn prepare(&mut self) -> Result<(Request, EffectRequest), Error> {
        let head = &self.outgoing.head;
        let method = head.method.clone();
        let url = match target::parse(&head.uri).and_then(|url| target::check_method(&method).map(|()| url)) {
            Ok(url) => url,
            Err(why) => {
                return Err(self.refuse(None, Refusal::NetDenied, &why.to_string(), Error::HttpRequestDenied));
            }
        };
        let body = match std::mem::replace(&mut self.outgoing.body, Body::TooLarge) {
            Body::Complete(body) => body,
            unsendable @ (Body::TooLarge | Body::TooMuchHeld | Body::WithTrailers) => {
                let (refusal, rule, error) = unsendable.refusal(&self.parts.bounds);
                return Err(self.refuse(Some(&url), refusal, &rule, error));
            }
        };
        if self.outgoing.beyond_limit {
            let rule = format!("a call may make {} requests", self.parts.bounds.requests);
            return Err(self.refuse(Some(&url), Refusal::NetLimit, &rule, Error::ConnectionLimitReached));
        }
        let (fields, bytes) = (head.headers.len(), field_bytes(&head.headers));
        if fields > self.parts.bounds.fields || bytes > self.parts.bounds.field_bytes {
            let most = ByteCount(self.parts.bounds.field_bytes as u64);
            let rule = format!("the header of a request may have {} fields and {most}", self.parts.bounds.fields);
            let error = Error::HttpRequestHeaderSectionSize(u32::try_from(bytes).ok());
            return Err(self.refuse(Some(&url), Refusal::NetLimit, &rule, error));
        }
        let mut headers = self.outgoing.head.headers.clone();
        // Set by the client, from the body that is really sent.
        headers.remove(header::CONTENT_LENGTH);
        let share = self.outgoing.share.split();
        let request =
            Request { share, method, url, headers, body, options: self.outgoing.options, bounds: self.parts.bounds };
        let effect_request = EffectRequest::Http {
            method: request.method.to_string(),
            url: request.url.to_string(),
            body_bytes: ByteCount(request.body.len() as u64),
            digest: digest(&request),
        };
        Ok((request, effect_request))
    }

    /// Sends a request that may be sent again. It is of no use to anybody else than the guest that waits.
    async fn send(&mut self, request: Request, permit: Permit) -> Reply {
        let bytes_out = ByteCount(request.body.len() as u64);
        let exchange = exchange_in_time((&self.parts, &self.lookups), request);
        let answered = tokio::select! {
            answered = exchange => answered,
            () = self.reply.closed() => Err(Failure::given_up("the tool stopped waiting")),
        };
        let answered = secret::clean(answered, &self.parts.secrets).await;
        self.parts.effects.keep(effect(permit, &answered, bytes_out, Doubt::Harmless));
        reply(answered, Recorded::Inline)
    }

    /// Announces, sends, records: in this order, each durable before the next.
    async fn send_announced(&self, mut request: Request, permit: Permit) -> Reply {
        let effects = &self.parts.effects;
        // Where something cannot be recorded, the call ends at the guest's next host call.
        let unrecorded = |_| Error::InternalError(Some("the request could not be recorded".to_owned()));
        let key = effects.intend_send(&permit, &self.parts.transcript).await.map_err(unrecorded)?;
        let bytes_out = ByteCount(request.body.len() as u64);
        let answered = match add_key(&mut request, &permit, key) {
            Ok(()) => exchange_in_time((&self.parts, &self.lookups), request).await,
            Err(failure) => Err(failure),
        };
        let answered = secret::clean(answered, &self.parts.secrets).await;
        let encoded = encode_kept(match &answered {
            Ok(answer) => Ok((answer.status, &answer.headers, &answer.body)),
            Err(failure) => Err(code_of(&failure.error)),
        });
        let effect = effect(permit, &answered, bytes_out, Doubt::Matters);
        let recorded = effects.done(&effect, &encoded).await;
        effects.keep(effect);
        recorded.map_err(unrecorded)?;
        reply(answered, Recorded::ByGate)
    }

    fn refuse(&self, url: Option<&Url>, refusal: Refusal, rule: &str, error: Error) -> Error {
        let head = &self.outgoing.head;
        let request = EffectRequest::Http {
            method: head.method.to_string(),
            url: url.map_or_else(|| without_credentials(&head.uri), Url::to_string),
            body_bytes: ByteCount(0),
            digest: Digest::of(b""),
        };
        self.parts.effects.refuse_numbered(
            self.outgoing.number,
            request,
            refusal,
            (rule, cure::for_request(&error).as_deref()),
        );
        error
    }
}

async fn exchange_in_time((parts, lookups): (&SenderParts, &Lookups), request: Request) -> Result<Answer, Failure> {
    lookups.admit(&request.url)?;
    let left = parts.bounds.deadline.saturating_sub(parts.patience.active());
    let total = left.min(parts.bounds.timing.total).max(Duration::from_millis(1));
    tokio::select! {
        answered = exchange(request, &parts.resolver) => answered,
        () = tokio::time::sleep(total) => {
            Err(Failure::timeout(Reached::Perhaps, "the request took longer than its call may"))
        }
        () = parts.give_up.cancelled() => Err(Failure::given_up("given up while it was under way")),
    }
}

/// Whether it matters that a request may have arrived although there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    Harmless,
    Matters,
}

fn effect(permit: Permit, answered: &Result<Answer, Failure>, bytes_out: ByteCount, doubt: Doubt) -> Effect {
    let failure = match answered {
        Ok(answer) => {
            let bytes_in = ByteCount(answer.body.len() as u64);
            return permit.effect(EffectResult::Done(answer.status.to_string()), bytes_out, bytes_in);
        }
        Err(failure) => failure,
    };
    let text = failure.text.clone();
    // Nothing of it left: not even a connection was made.
    let bytes_out = if failure.reached == Reached::Nothing { ByteCount(0) } else { bytes_out };
    let result = match (failure.reached, doubt) {
        (Reached::Nothing, _) => EffectResult::NotSent(text),
        (Reached::Perhaps, Doubt::Matters) => EffectResult::Unknown(text),
        // The server said that it got it: that its answer was too long or broke off does not put this in doubt.
        (Reached::Answered(status), Doubt::Matters) => EffectResult::Done(format!("{status}, {text}")),
        (Reached::Perhaps | Reached::Answered(_), Doubt::Harmless) => EffectResult::Failed(text),
    };
    let mut effect = permit.effect(result, bytes_out, ByteCount(0));
    if let Some(refusal) = failure.refusal {
        effect.decision = Decision::Deny { refusal, rule: failure.text.clone(), hint: cure::for_failure(failure) };
    }
    effect
}

/// What a guest is told of an exchange.
fn reply(answered: Result<Answer, Failure>, recorded: Recorded) -> Reply {
    let Answer { status, headers, body, share } = answered.map_err(|failure| failure.error)?;
    response(Answered { status, headers, body, recorded }, share)
}

/// An answer as a response, which carries what the transcript needs of it.
pub(super) fn response(answer: Answered, share: Share) -> Reply {
    let body = HeldBody::new(answer.body.clone(), share).boxed_unsync();
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(answer.status).map_err(|_| Error::HttpProtocolError)?;
    *response.headers_mut() = answer.headers.clone();
    response.extensions_mut().insert(answer);
    Ok(response)
}

fn body_bytes(request: &EffectRequest) -> ByteCount {
    match request {
        EffectRequest::Http { body_bytes, .. } => *body_bytes,
        EffectRequest::File { .. }
        | EffectRequest::Env { .. }
        | EffectRequest::Kv { .. }
        | EffectRequest::Socket { .. } => ByteCount(0),
    }
}

/// A request with what its name leaves out.
fn in_full(request: &EffectRequest) -> String {
    match request {
        EffectRequest::Http { body_bytes, digest, .. } => format!("`{request}` ({body_bytes} of body, {digest})"),
        EffectRequest::File { .. }
        | EffectRequest::Env { .. }
        | EffectRequest::Kv { .. }
        | EffectRequest::Socket { .. } => format!("`{request}`"),
    }
}

fn add_key(request: &mut Request, permit: &Permit, key: Option<IdempotencyKey>) -> Result<(), Failure> {
    let (Some(name), Some(key)) = (&permit.ruling.idempotency_header, key) else {
        return if permit.ruling.class == EffectClass::KeyedWrite { Err(no_key()) } else { Ok(()) };
    };
    let name = HeaderName::try_from(name).map_err(|_| no_key())?;
    let value = HeaderValue::try_from(key.0).map_err(|_| no_key())?;
    // Over whatever the guest has set: only the host's key is stable when the call is run again.
    request.headers.insert(name, value);
    Ok(())
}

/// A keyed write without a usable key would be sent twice after a crash.
fn no_key() -> Failure {
    let text = "the grant's idempotency header cannot be sent".to_owned();
    Failure { reached: Reached::Nothing, refusal: None, error: Error::ConfigurationError, text }
}

/// The digest over method, URL, headers and body: what an approval is bound to.
fn digest(request: &Request) -> Digest {
    let mut parts: Vec<&[u8]> = vec![request.method.as_str().as_bytes(), request.url.as_str().as_bytes()];
    for (name, value) in &request.headers {
        parts.extend([name.as_str().as_bytes(), value.as_bytes()]);
    }
    parts.push(&request.body);
    Digest::of_parts(&parts)
}

/// A URL that could not be parsed, for the record: without what stands before an `@`.
fn without_credentials(uri: &http::Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", uri.scheme_str().unwrap_or(""), uri.path())
}
