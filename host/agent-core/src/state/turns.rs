//! What the events of a turn make of it: the model is asked and replies, calls are proposed, and once each has its outcome their
//! results are said. One function per kind of event, which [`State::apply`] picks.

use std::sync::Arc;

use super::{Asking, Conversation, Phase, Repeats, State};
use crate::approval::Asked;
use crate::client_events::ToolProposed;
use crate::digest::Digest;
use crate::event::{ModelFailed, ModelReplied, ModelRequested};
use crate::message::{Message, Part, Role, ToolCall, ToolResult};
use crate::model::{CALLS_MAX, ProposedCall};
use crate::name::CallNumber;
use crate::pending::{CallStatus, PendingCall};

impl State {
    pub(super) fn model_requested(&mut self, body: &ModelRequested) -> Result<(), &'static str> {
        let asking = self.asking(body.turn)?;
        asking.model = body.model;
        asking.requested = true;
        Ok(())
    }

    pub(super) fn model_failed(&mut self, body: &ModelFailed) -> Result<(), &'static str> {
        let models = self.started.models.len();
        let asking = self.asking(body.turn)?;
        asking.requested = false;
        asking.failures += 1;
        asking.last = Some(body.failure.clone());
        let exhausted = !body.failure.kind.is_transient() || asking.failures >= crate::machine::MODEL_ATTEMPTS_MAX;
        if exhausted && asking.model + 1 < models {
            asking.model += 1;
            asking.failures = 0;
        }
        Ok(())
    }

    pub(super) fn model_replied(&mut self, body: &ModelReplied) -> Result<(), &'static str> {
        self.asking(body.turn)?;
        if body.reply.calls.len() > CALLS_MAX {
            return Err("it asks for more calls than a reply may");
        }
        self.has_asked = false;
        self.replies += 1;
        self.spent.turns = self.spent.turns.saturating_add(1);
        self.spent.input_tokens = self.spent.input_tokens.saturating_add(body.reply.usage.input);
        self.spent.output_tokens = self.spent.output_tokens.saturating_add(body.reply.usage.output);
        let calls: Vec<_> = body.reply.calls.iter().map(|call| self.propose(call)).collect();
        self.say(assistant_message(&body.reply.text, &calls));
        self.phase = if calls.is_empty() { Phase::Answered(body.reply.text.clone()) } else { Phase::Acting(calls) };
        Ok(())
    }

    pub(super) fn tool_proposed(&mut self, body: &ToolProposed) -> Result<(), &'static str> {
        let call = self.propose(&ProposedCall { id: None, tool: body.tool.clone(), arguments: body.arguments.clone() });
        let Phase::Serving(calls) = &mut self.phase else { return Err("the calls of this run come from a model") };
        calls.push(call);
        Ok(())
    }

    /// Results enter the conversation in the order in which the calls were proposed, whatever finished first.
    pub(super) fn end_turn_if_complete(&mut self) {
        if let Phase::Serving(calls) = &mut self.phase {
            return calls.retain(|call| !call.is_finished());
        }
        let Phase::Acting(calls) = &self.phase else { return };
        // Results are copied, so that is done once and not for each call that ends.
        if !calls.iter().all(PendingCall::is_finished) {
            return;
        }
        let Some(results) = calls.iter().map(PendingCall::result).collect::<Option<Vec<_>>>() else { return };
        for (call, result) in calls.iter().zip(&results) {
            self.failures_in_row = if result.is_error { self.failures_in_row + 1 } else { 0 };
            self.repeats.count(&call.call, result);
        }
        self.say(Message { role: Role::Tool, parts: results.into_iter().map(Part::ToolResult).collect() });
        self.phase = Phase::Asking(Asking::turn(self.replies + 1));
    }

    fn asking(&mut self, turn: u32) -> Result<&mut Asking, &'static str> {
        match &mut self.phase {
            Phase::Asking(asking) if asking.turn == turn => Ok(asking),
            Phase::Asking(_) => Err("it belongs to another turn"),
            Phase::Acting(_) | Phase::Answered(_) | Phase::Serving(_) => Err("no reply is awaited"),
        }
    }

    fn propose(&mut self, proposed: &ProposedCall) -> PendingCall {
        let number = CallNumber(self.next_call);
        self.next_call += 1;
        let tool = self.places.get(&proposed.tool).copied();
        // Providers repeat identifiers, or give none; ours are unique, and theirs have no further meaning.
        let id = format!("call_{number}");
        let call = ToolCall { id, tool: proposed.tool.clone(), arguments: proposed.arguments.clone() };
        let status = CallStatus::Proposed;
        PendingCall { number, call, tool, status, asked: Asked::default(), cut_short: 0, origin: None }
    }

    /// Copies the conversation only where a request is still on its way, which no event of a turn follows.
    fn say(&mut self, message: Message) {
        if self.conversation == Conversation::LeftOut {
            return;
        }
        Arc::make_mut(&mut self.messages).push(message);
    }
}

impl Asking {
    /// A turn in which nothing was asked yet.
    pub(super) fn turn(turn: u32) -> Self {
        Self { turn, model: 0, failures: 0, last: None, requested: false }
    }
}

impl Repeats {
    fn count(&mut self, call: &ToolCall, result: &ToolResult) {
        let content: Vec<String> = result.content.iter().map(|content| format!("{content:?}")).collect();
        let mut parts = vec![call.tool.as_bytes(), call.arguments.as_bytes()];
        parts.extend(content.iter().map(String::as_bytes));
        let digest = Some(Digest::of_parts(&parts));
        self.count = if self.digest == digest { self.count + 1 } else { 1 };
        self.digest = digest;
    }
}

fn assistant_message(text: &str, calls: &[PendingCall]) -> Message {
    let said = (!text.is_empty()).then(|| Part::Text(text.to_owned()));
    let asked = calls.iter().map(|pending| Part::ToolCall(pending.call.clone()));
    Message { role: Role::Assistant, parts: said.into_iter().chain(asked).collect() }
}
