//! The span of one attempt of a model call.

use super::facts::Facts;
use super::names::{self, Subject, operation};
use super::{Content, Ended, Side, Span, SpanId, content};
use crate::event::{ModelFailed, ModelReplied, ModelRequested, Recorded};
use crate::message::Message;
use crate::model::{ModelFailureKind, TokenUsage};

/// A request that left.
pub(super) fn asked(facts: &Facts, recorded: &Recorded, body: &ModelRequested, said: &[Message]) -> Span {
    let model = facts.model(body.model);
    let id = SpanId::of(&facts.run, recorded.seq, (operation::CHAT, 0));
    let name = format!("{} {}", operation::CHAT, model.name);
    let mut span = Span::begin(facts.trace, id, (Subject::Model, model.side()), name, recorded.at);
    span.set(&names::OPERATION, operation::CHAT);
    model.describe(&mut span);
    model.describe_request(&mut span);
    if let Some(session) = facts.session() {
        span.set(&names::CONVERSATION, session);
    }
    span.set(&names::TURN, body.turn);
    span.set(&names::ATTEMPT, body.attempt);
    span.set(&names::FALLBACK, body.model as u64);
    if facts.content == Content::Captured {
        let (instructions, cut) = content::instructions(&facts.started.instructions);
        let (messages, more) = content::messages(said);
        span.set(&names::SYSTEM_INSTRUCTIONS, instructions);
        span.set(&names::INPUT_MESSAGES, messages);
        mark_cut(&mut span, cut || more);
    }
    span
}

/// It was answered.
pub(super) fn replied(facts: &Facts, span: &mut Span, recorded: &Recorded, body: &ModelReplied, said: &Message) {
    let reply = &body.reply;
    // A script answers as the file that it is.
    if span.side == Side::Client {
        span.set(&names::RESPONSE_MODEL, reply.model.as_str());
        reply.id.iter().for_each(|id| span.set(&names::RESPONSE_ID, id.as_str()));
    }
    count_tokens(span, &reply.usage);
    span.set(&names::FINISH_REASONS, vec![finish_reason(body).to_owned()]);
    if facts.content == Content::Captured {
        let (messages, cut) = content::messages(std::slice::from_ref(said));
        span.set(&names::OUTPUT_MESSAGES, messages);
        mark_cut(span, cut);
    }
    span.end(recorded.at, Ended::Done);
}

/// Where nobody counted, nothing is said: none at all would be a lie.
pub(super) fn count_tokens(span: &mut Span, usage: &TokenUsage) {
    if usage.input > 0 || usage.output > 0 {
        span.set(&names::INPUT_TOKENS, usage.input);
        span.set(&names::OUTPUT_TOKENS, usage.output);
    }
    for (attribute, count) in [
        (&names::CACHE_READ_TOKENS, usage.cache_read),
        (&names::CACHE_WRITE_TOKENS, usage.cache_write),
        (&names::REASONING_TOKENS, usage.reasoning),
    ] {
        count.into_iter().for_each(|count| span.set(attribute, count));
    }
}

/// There was no answer.
pub(super) fn failed(facts: &Facts, span: &mut Span, recorded: &Recorded, body: &ModelFailed) {
    span.fail(failure_name(body.failure.kind), facts.words(&body.failure.message));
    span.end(recorded.at, Ended::Done);
}

/// A reply that was cut off or filtered is a failure, so these two are all.
pub(super) fn finish_reason(body: &ModelReplied) -> &'static str {
    if body.reply.calls.is_empty() { "stop" } else { "tool_call" }
}

pub(super) fn mark_cut(span: &mut Span, is_cut: bool) {
    if is_cut {
        span.set(&names::TRUNCATED, true);
    }
}

fn failure_name(kind: ModelFailureKind) -> &'static str {
    match kind {
        ModelFailureKind::Unauthorized => "unauthorized",
        ModelFailureKind::RateLimited => "rate_limited",
        ModelFailureKind::ServerError => "server_error",
        ModelFailureKind::Timeout => "timeout",
        ModelFailureKind::Network => "network",
        ModelFailureKind::BadReply => "bad_reply",
        ModelFailureKind::BadRequest => "bad_request",
    }
}
