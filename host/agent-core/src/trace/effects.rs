//! The spans of what an attempt did to the world.

use url::Url;

use super::facts::Facts;
use super::names::{self, Subject};
use super::{Content, Ended, Side, Span, SpanId, Status, Value};
use crate::digest::Digest;
use crate::effect::{
    Decision, Effect, EffectClass, EffectRequest, EffectResult, FileOperation, HttpMethod, KvOperation,
};
use crate::event::EffectIntended;
use crate::grant::Capability;
use crate::name::CallNumber;
use crate::units::UnixMillis;

/// Effects of one attempt that get a span of their own: a call may read thousands of files, and a trace of that size is read
/// by nobody. All of them are counted.
pub(super) const EFFECT_SPANS_MAX: usize = 256;

/// The attempt that an effect belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    pub(super) span: SpanId,
    /// The event that began the attempt.
    pub(super) seq: u64,
    pub(super) call: CallNumber,
    pub(super) start: UnixMillis,
    pub(super) end: UnixMillis,
}

/// An announced write with the time of its announcement.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    pub(super) at: UnixMillis,
    pub(super) body: EffectIntended,
    /// When its result was recorded.
    pub(super) done: Option<(UnixMillis, Effect)>,
}

/// An effect with its result.
pub(super) fn recorded(facts: &Facts, within: Within, effect: &Effect, announced: Option<&Announced>) -> Span {
    let start = announced.map_or(UnixMillis(within.start.0.saturating_add(effect.at.0)), |announced| announced.at);
    let mut span = begin(facts, within, (effect.number, &effect.request, effect.class), start);
    let took = UnixMillis(span.start.0.saturating_add(effect.duration.0));
    let done = announced.and_then(|announced| announced.done.as_ref()).map(|(at, _)| *at);
    span.end(done.unwrap_or(took).min(within.end), Ended::Done);
    describe_result(facts, &mut span, effect);
    if let Some(key) = announced.and_then(|announced| announced.body.idempotency_key.as_deref()) {
        span.set(&names::EFFECT_KEY, without_use(key));
    }
    span
}

/// A write that was announced by an attempt which recorded no end.
pub(super) fn announced(facts: &Facts, within: Within, announced: &Announced) -> Span {
    if let Some((_, effect)) = &announced.done {
        return recorded(facts, within, effect, Some(announced));
    }
    let body = &announced.body;
    let mut span = begin(facts, within, (body.number, &body.request, body.class), announced.at);
    span.set(&names::EFFECT_RESULT, "announced");
    if let Some(key) = &body.idempotency_key {
        span.set(&names::EFFECT_KEY, without_use(key));
    }
    span.end(within.end, Ended::Interrupted);
    span
}

/// An idempotency key as it may leave: who reads traces can tell by it whether two writes were one, and cannot use it.
fn without_use(key: &str) -> String {
    Digest::of(key.as_bytes()).to_string()
}

/// The stable name of a class.
pub(super) fn class_name(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Pure => "pure",
        EffectClass::Read => "read",
        EffectClass::OwnedWrite => "owned_write",
        EffectClass::KeyedWrite => "keyed_write",
        EffectClass::OpaqueWrite => "opaque_write",
    }
}

/// The stable name of a capability.
pub(super) fn capability_name(capability: Capability) -> &'static str {
    match capability {
        Capability::Fs => "fs",
        Capability::Http => "http",
        Capability::Env => "env",
        Capability::Secret => "secret",
        Capability::Kv => "kv",
        Capability::Sockets => "sockets",
        Capability::Clock => "clock",
        Capability::Random => "random",
        Capability::Log => "log",
    }
}

fn begin(
    facts: &Facts,
    within: Within,
    (number, request, class): (u32, &EffectRequest, EffectClass),
    at: UnixMillis,
) -> Span {
    // Another clock counted it: a part never sticks out of its whole.
    let start = at.clamp(within.start, within.end.max(within.start));
    let id = SpanId::of(&facts.run, within.seq, ("effect", number));
    let side = if request.is_egress() { Side::Client } else { Side::Internal };
    let mut span = Span::begin(facts.trace, id, (Subject::Effect, side), name(request), start);
    span.parent = Some(within.span);
    span.set(&names::CALL, within.call.0);
    span.set(&names::EFFECT_INDEX, number);
    span.set(&names::EFFECT_KIND, kind(request));
    span.set(&names::EFFECT_CLASS, class_name(class));
    describe_request(facts, &mut span, request);
    span
}

fn describe_request(facts: &Facts, span: &mut Span, request: &EffectRequest) {
    match request {
        EffectRequest::Http { method, url, .. } => describe_http(facts, span, method, url),
        EffectRequest::File { path, .. } if path.is_empty() => {}
        EffectRequest::File { path, .. } => span.set(&names::FILE_PATH, path.as_str()),
        EffectRequest::Env { .. } | EffectRequest::Kv { .. } | EffectRequest::Socket { .. } => {}
    }
    if facts.content > Content::LeftOut {
        let (target, _) = super::content::cut(&request.to_string());
        span.set(&names::EFFECT_TARGET, target);
    }
}

fn describe_http(facts: &Facts, span: &mut Span, method: &str, url: &str) {
    match HttpMethod::from_name(method) {
        Some(known) => span.set(&names::HTTP_METHOD, known.as_str()),
        None => {
            span.set(&names::HTTP_METHOD, "_OTHER");
            span.set(&names::HTTP_METHOD_ORIGINAL, method);
        }
    }
    let Ok(mut url) = Url::parse(url) else { return };
    if let Some(host) = url.host_str() {
        span.set(&names::SERVER_ADDRESS, host.to_owned());
    }
    if let Some(port) = url.port_or_known_default() {
        span.set(&names::SERVER_PORT, Value::Integer(i64::from(port)));
    }
    // What is asked for is content, and so may be what it is asked with.
    if facts.content == Content::LeftOut && url.query().is_some() {
        url.set_query(Some("REDACTED"));
    }
    span.set(&names::URL_FULL, url.to_string());
}

fn describe_result(facts: &Facts, span: &mut Span, effect: &Effect) {
    span.set(&names::BYTES_OUT, effect.bytes_out.0);
    span.set(&names::BYTES_IN, effect.bytes_in.0);
    match &effect.decision {
        Decision::Allow { rule } => span.set(&names::EFFECT_RULE, rule.0.as_str()),
        Decision::Deny { refusal, .. } => span.fail(refusal.name(), None),
    }
    let (result, wrong) = match &effect.result {
        EffectResult::Done(_) => ("done", None),
        EffectResult::Refused => ("refused", None),
        EffectResult::NotSent(why) => ("not_sent", Some(why)),
        EffectResult::Unknown(why) => ("unknown", Some(why)),
        EffectResult::Failed(why) => ("failed", Some(why)),
    };
    span.set(&names::EFFECT_RESULT, result);
    if let (Some(why), Status::Fine) = (wrong, &span.status) {
        span.fail(result, facts.words(why));
    }
    if let (EffectRequest::Http { .. }, EffectResult::Done(said)) = (&effect.request, &effect.result) {
        describe_status(span, said);
    }
}

/// `200`, or `200, and what went wrong after`.
fn describe_status(span: &mut Span, said: &str) {
    let status = said.split(',').next().and_then(|status| status.trim().parse::<u16>().ok());
    let Some(status) = status else { return };
    span.set(&names::HTTP_STATUS, u32::from(status));
    if status >= 400 {
        span.fail(&status.to_string(), None);
    }
}

/// Few different ones, as the conventions want it: the method, or what is done to what kind of thing.
fn name(request: &EffectRequest) -> String {
    match request {
        EffectRequest::Http { method, .. } => {
            HttpMethod::from_name(method).map_or("HTTP", HttpMethod::as_str).to_owned()
        }
        EffectRequest::File { .. } | EffectRequest::Env { .. } | EffectRequest::Kv { .. } => kind(request).to_owned(),
        EffectRequest::Socket { .. } => "sockets.use".to_owned(),
    }
}

fn kind(request: &EffectRequest) -> &'static str {
    match request {
        EffectRequest::Http { .. } => "http.request",
        EffectRequest::Env { .. } => "env.read",
        EffectRequest::Socket { .. } => "sockets.use",
        EffectRequest::File { operation, .. } => match operation {
            FileOperation::Read => "file.read",
            FileOperation::Stat => "file.stat",
            FileOperation::Write => "file.write",
            FileOperation::CreateDirectory => "file.create_directory",
            FileOperation::Remove => "file.remove",
            FileOperation::Rename => "file.rename",
            FileOperation::Link => "file.link",
            FileOperation::SetTimes => "file.set_times",
        },
        EffectRequest::Kv { operation, .. } => match operation {
            KvOperation::List => "kv.list",
            KvOperation::Read => "kv.read",
            KvOperation::Write => "kv.write",
            KvOperation::Remove => "kv.remove",
        },
    }
}
