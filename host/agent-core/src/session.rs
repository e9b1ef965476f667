//! Conversations of several runs. Each input of a session is a run of its own; it is given what was said in the earlier ones,
//! each kept once, as a blob of its own, however many runs carry it. Also the ties to a run that another was forked from.
//!
//! Built by `run --session`, stored in [`RunStarted`](crate::run_events::RunStarted), read again by a resume.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::message::{Message, Part};
use crate::name::{Name, RunId};
use crate::units::Millis;

/// Earlier runs that one run carries at most: each costs a line of its first event, and that line is stored with every run.
pub const CARRIED_RUNS_MAX: u32 = 100;

/// Bytes of earlier conversation that one run carries at most: they travel with every model request.
pub const CARRIED_BYTES_MAX: u64 = 1 << 20;

/// The form in which a conversation is kept.
const VERSION: u32 = 1;

/// A run's place in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionPlace {
    /// The session.
    pub name: Name,
    /// The run's number in it, from 1. No two runs of a journal share one.
    pub place: u32,
}

/// What a run carries of the conversation before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// The runs, the oldest first.
    pub runs: Vec<EarlierRun>,
    /// How many runs before these are left out.
    pub left_out: u32,
}

/// An earlier run of the same conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierRun {
    /// The run.
    pub run: RunId,
    /// The digest of what was said in it, kept in the journal.
    pub conversation: Digest,
    /// How long that is.
    pub bytes: u64,
}

/// Where a run was forked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkedFrom {
    /// The run whose first events this one shares.
    pub run: RunId,
    /// How many of them.
    pub seq: u64,
    /// The hash of the last of them in that run.
    pub hash: Digest,
    /// How long that run was active by then: the times of its events do not tell.
    pub time: Millis,
}

/// What was said in one run, as it is kept for the runs after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    version: u32,
    messages: Vec<Message>,
}

/// Why a kept conversation cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// It has another form.
    #[error("it has version {0}, this agent-host reads version {VERSION}: use the newer one that wrote it")]
    Newer(u32),
    /// It has no form at all.
    #[error("it is not a conversation")]
    Unreadable(#[source] serde_json::Error),
}

impl Earlier {
    /// Adds the newest run, then leaves out the oldest until no more are carried than `runs_max` and
    /// [`CARRIED_BYTES_MAX`].
    #[must_use]
    pub fn and(&self, newest: EarlierRun, runs_max: u32) -> Self {
        let mut runs = self.runs.clone();
        runs.push(newest);
        let runs_max = runs_max.min(CARRIED_RUNS_MAX) as usize;
        let mut bytes = 0_u64;
        let fits = |run: &&EarlierRun| {
            bytes = bytes.saturating_add(run.bytes);
            bytes <= CARRIED_BYTES_MAX
        };
        let carried = runs.iter().rev().take(runs_max).take_while(fits).count();
        let left_out = runs.len() - carried;
        let left_out = self.left_out.saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
        Self { runs: runs.split_off(runs.len() - carried), left_out }
    }
}

impl Conversation {
    /// What was said in the run at `place`. Its calls get names that no other run's have: a provider sees all of them in one
    /// conversation, and a run numbers its own from 1.
    #[must_use]
    pub fn of(place: u32, messages: &[Message]) -> Self {
        Self { version: VERSION, messages: messages.iter().map(|message| placed(place, message)).collect() }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// Where serde cannot write it, which no conversation brings about.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// Where it has another form.
    pub fn read(bytes: &[u8]) -> Result<Vec<Message>, ConversationError> {
        let read: Self = serde_json::from_slice(bytes).map_err(ConversationError::Unreadable)?;
        if read.version == VERSION { Ok(read.messages) } else { Err(ConversationError::Newer(read.version)) }
    }
}

/// A conversation with what came before it; the model is told where something is left out.
#[must_use]
pub(crate) fn joined(earlier: Vec<Message>, left_out: u32, own: &[Message]) -> Vec<Message> {
    let mut all = earlier;
    all.extend_from_slice(own);
    if let (Some(first), true) = (all.first_mut(), left_out > 0) {
        let runs = if left_out == 1 { "exchange" } else { "exchanges" };
        let words = format!("(The first {left_out} {runs} of this conversation are left out.)");
        first.parts.insert(0, Part::Text(words));
    }
    all
}

fn placed(place: u32, message: &Message) -> Message {
    let id = |id: &str| format!("run_{place}_{id}");
    let part = |part: &Part| match part {
        Part::Text(text) => Part::Text(text.clone()),
        Part::ToolCall(call) => {
            let mut call = call.clone();
            call.id = id(&call.id);
            Part::ToolCall(call)
        }
        Part::ToolResult(result) => {
            let mut result = result.clone();
            result.id = id(&result.id);
            Part::ToolResult(result)
        }
    };
    Message { role: message.role, parts: message.parts.iter().map(part).collect() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::message::{Role, ToolCall, ToolResult};
    use crate::units::UnixMillis;

    fn earlier(number: u64, bytes: u64) -> EarlierRun {
        let run = RunId::from_parts(UnixMillis(number), [0; 10]);
        EarlierRun { run, conversation: Digest::of(&number.to_le_bytes()), bytes }
    }

    fn carried(sizes: &[u64], runs_max: u32) -> (Vec<u64>, u32) {
        let mut all = Earlier::default();
        for (number, bytes) in sizes.iter().enumerate() {
            all = all.and(earlier(number as u64, *bytes), runs_max);
        }
        (all.runs.iter().map(|run| run.bytes).collect(), all.left_out)
    }

    #[test]
    fn the_newest_runs_are_carried_and_the_rest_is_counted() {
        let max = CARRIED_BYTES_MAX;
        assert_eq!(carried(&[1, 2, 3], 100), (vec![1, 2, 3], 0));
        assert_eq!(carried(&[1, 2, 3], 2), (vec![2, 3], 1));
        assert_eq!(carried(&[1, 2, 3], 0), (vec![], 3));
        assert_eq!(carried(&[1, max - 1, 1], 100), (vec![max - 1, 1], 1));
        assert_eq!(carried(&[1, 2, max + 1], 100), (vec![], 3));
        let (runs, left_out) = carried(&[1; 250], u32::MAX);
        assert_eq!((runs.len(), left_out), (100, 150), "whatever is asked for");
    }

    #[test]
    fn calls_of_different_runs_have_different_names() {
        let call = ToolCall { id: "call_1".into(), tool: "a__b".into(), arguments: "{}".into() };
        let result = ToolResult { id: "call_1".into(), tool: "a__b".into(), content: Vec::new(), is_error: false };
        let said = |part| Message { role: Role::Assistant, parts: vec![part] };
        let messages = [said(Part::ToolCall(call)), said(Part::ToolResult(result)), Message::from_user("call_1")];
        let ids = |place| -> Vec<String> {
            let kept = Conversation::of(place, &messages).to_bytes().unwrap();
            let parts = Conversation::read(&kept).unwrap().into_iter().flat_map(|message| message.parts);
            let id = |part| match part {
                Part::Text(text) => text,
                Part::ToolCall(call) => call.id,
                Part::ToolResult(result) => result.id,
            };
            parts.map(id).collect()
        };
        assert_eq!(ids(3), ["run_3_call_1", "run_3_call_1", "call_1"]);
        assert_ne!(ids(3), ids(4));
    }

    #[test]
    fn a_conversation_of_another_form_is_refused() {
        let newer = Conversation::read(br#"{"version":2,"messages":[]}"#);
        assert!(newer.unwrap_err().to_string().contains("version 2"));
        assert!(Conversation::read(br#"{"version":1,"messages":[],"more":1}"#).is_err());
        assert!(Conversation::read(b"").is_err());
    }

    #[test]
    fn what_is_left_out_is_said_to_the_model() {
        let own = [Message::from_user("and now?")];
        assert_eq!(joined(Vec::new(), 0, &own), own);
        let told = joined(vec![Message::from_user("first")], 2, &own);
        let words = "(The first 2 exchanges of this conversation are left out.)".to_owned();
        assert_eq!(told[0].parts, [Part::Text(words), Part::Text("first".to_owned())]);
        assert_eq!(told[1], own[0]);
    }
}
