//! What the model asked for and what was said so far: which call is which, and, where it is wanted, the conversation.

use std::collections::BTreeMap;

use super::Content;
use super::tool_call::{Asked, Asker};
use crate::client_events::ToolProposed;
use crate::event::ModelReplied;
use crate::message::{Message, Part, Role, ToolCall, ToolResult};
use crate::name::CallNumber;
use crate::outcome::ToolOutcome;
use crate::units::UnixMillis;

/// The conversation up to now.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    content: Content,
    /// Empty where it is not wanted.
    pub(super) said: Vec<Message>,
    /// Calls without outcome.
    calls: BTreeMap<CallNumber, Asked>,
    /// Results of those of the same turn that have one.
    results: BTreeMap<CallNumber, ToolResult>,
    last_call: u32,
    pub(super) turn: u32,
}

impl Talk {
    pub(super) fn new(content: Content) -> Self {
        Self { content, said: Vec::new(), calls: BTreeMap::new(), results: BTreeMap::new(), last_call: 0, turn: 0 }
    }

    /// Whether every call that was asked for has its outcome.
    pub(super) fn is_settled(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn say(&mut self, message: impl FnOnce() -> Message) {
        if self.content == Content::Captured {
            self.said.push(message());
        }
    }

    /// Takes a reply in: the calls that it asks for, and what it says.
    pub(super) fn reply(&mut self, body: &ModelReplied) -> Message {
        self.turn = body.turn;
        self.calls.clear();
        self.results.clear();
        let text = (!body.reply.text.is_empty()).then(|| Part::Text(body.reply.text.clone()));
        let mut parts: Vec<Part> = text.into_iter().collect();
        for proposed in &body.reply.calls {
            self.last_call += 1;
            let number = CallNumber(self.last_call);
            let id = format!("call_{number}");
            let call = ToolCall { id, tool: proposed.tool.clone(), arguments: proposed.arguments.clone() };
            self.calls.insert(number, Asked { turn: body.turn, call: call.clone(), by: Asker::Model });
            parts.push(Part::ToolCall(call));
        }
        let said = Message { role: Role::Assistant, parts };
        self.say(|| said.clone());
        said
    }

    /// Takes a client's call in, which belongs to no turn.
    pub(super) fn propose(&mut self, at: UnixMillis, body: &ToolProposed) {
        self.last_call += 1;
        let (number, tool) = (CallNumber(self.last_call), body.tool.clone());
        let call = ToolCall { id: format!("call_{number}"), tool, arguments: body.arguments.clone() };
        let by = Asker::Client { at, protocol: body.client.protocol.clone(), request: body.request.clone() };
        self.calls.insert(number, Asked { turn: self.turn, call, by });
    }

    /// What the model asked for by that call; of a damaged journal, nothing.
    pub(super) fn asked(&self, call: CallNumber) -> Asked {
        let nothing = || Asked {
            turn: self.turn,
            call: ToolCall { id: format!("call_{call}"), tool: String::new(), arguments: String::new() },
            by: Asker::Model,
        };
        self.calls.get(&call).cloned().unwrap_or_else(nothing)
    }

    /// A call has its outcome. The results of a turn enter the conversation together, in the order of its calls.
    pub(super) fn settle(&mut self, call: CallNumber, outcome: &ToolOutcome) {
        let Some(Asked { call: asked, .. }) = self.calls.remove(&call) else { return };
        // A client's calls are no conversation, and there is no end to them.
        if self.content == Content::Captured && self.turn > 0 {
            self.results.insert(call, ToolResult::from_outcome(asked.id, asked.tool, outcome));
        }
        if self.is_settled() && self.turn > 0 {
            let parts = std::mem::take(&mut self.results).into_values().map(Part::ToolResult).collect();
            self.say(|| Message { role: Role::Tool, parts });
        }
    }
}
