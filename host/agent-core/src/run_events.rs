//! Events about a run as a whole: how it began and with what pinned, that it was taken up, moved, adopted, signed, and that it
//! ended. Bodies of `event::Event`.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::config::resolve::ToolAuthority;
use crate::digest::Digest;
use crate::hardening::Hardening;
use crate::metadata::Metadata;
use crate::name::Name;
use crate::session::{Earlier, ForkedFrom, SessionPlace};
use crate::stop::StopReason;
use crate::tool::ToolDescriptor;
use crate::units::Bytes;

/// See [`crate::event::Event::RunStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStarted {
    /// The agent's name.
    pub agent: Name,
    /// The digest of the agent file, where there is one.
    pub agent_file: Option<Digest>,
    /// The instructions, in full: a resume does not read the file again.
    pub instructions: String,
    /// The input.
    pub input: String,
    /// The models to ask, the first that works; none where the run serves clients, whose calls then come one by one.
    pub models: Vec<ModelChoice>,
    /// The tools, with digests and authority.
    pub tools: Vec<LockedTool>,
    /// What the run may use.
    pub budget: Budget,
    /// How much survives a power loss.
    pub durability: Durability,
    /// How much is given up for a smaller surface.
    pub strictness: Strictness,
    /// What becomes of a call of which nobody knows whether it had its effect.
    pub doubt: DoubtPolicy,
    /// How much of each call is kept.
    pub record: Record,
    /// What confined the host's own process.
    pub hardening: Hardening,
    /// The session that it continues, and where in it.
    pub session: Option<SessionPlace>,
    /// What it is given of the conversation before it.
    pub earlier: Earlier,
    /// What the operator noted about it.
    pub meta: Metadata,
    /// The run that its first events were copied from.
    pub forked_from: Option<ForkedFrom>,
}

/// A model and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelChoice {
    /// As the operator wrote it: `openai:gpt-5`.
    pub name: String,
    /// The server, where it is not the provider's own.
    pub base_url: Option<String>,
    /// How calls are asked for.
    pub tool_mode: ToolMode,
}

/// How a model is asked for tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolMode {
    /// By the provider's own tool calls.
    Native,
    /// By one JSON Schema that covers all tools and the answer, for models without native calls.
    Json,
    /// The same, but right after the person has spoken only a call is accepted: small models answer out of thin air.
    JsonCallFirst,
}

/// The longest reply, in tokens, that is asked for in the JSON modes. Servers refuse schemas that repeat something more often, so it bounds
/// the characters of an answer, too.
pub const JSON_REPLY_TOKENS_MAX: u32 = 1_999;

/// The temperature, in thousandths, that is asked for in the JSON modes: a form is to be filled in.
pub const JSON_TEMPERATURE_THOUSANDTHS: i32 = 0;

/// How much of the journal survives what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Synced before anything depends on it: survives power loss.
    Strict,
    /// The same, by syncs that the runs of one process share: each waits up to 5 ms for the others.
    Group,
    /// Written, not synced: survives a killed process, and may lose its tail at power loss.
    Relaxed,
}

/// How much of each call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// What it did, and what it was told before each write that cannot be undone.
    Effects,
    /// All that it was told, too: the call can be replayed without touching anything.
    Full,
}

/// How much is given up for a smaller surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// Imports that are not granted refuse at use; memory of a slot may stay resident, cleared, between calls.
    Standard,
    /// Imports that are not granted are refused at load; time is coarse; nothing stays resident and stacks are zeroed.
    Strict,
}

/// What becomes of a call of which nobody knows whether it had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtPolicy {
    /// The run is suspended until a person says.
    Ask,
    /// The model is told what may have happened, and the run goes on.
    TellModel,
    /// The run ends.
    Fail,
    /// The tool's component is asked to find out; a person, where it cannot.
    Reconcile,
}

/// One tool of a run, pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTool {
    /// What the model sees.
    pub descriptor: ToolDescriptor,
    /// The digest of the component that offers it. Its bytes are in the journal under this digest.
    pub component: Digest,
    /// The component's export that it calls, where the manifest has rules about exports: a manifest is not in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// What the tool may do.
    pub authority: ToolAuthority,
}

/// See [`crate::event::Event::RunResumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResumed {
    /// The budget from now on.
    pub budget: Budget,
    /// What confines the host's own process from now on: it may be another machine.
    pub hardening: Hardening,
    /// Which start of the machine it is: a number that another start does not have. None where the system does not say. Under the
    /// same one, nothing that was written before is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// How much was dropped from the end of the journal's log then: a write, of this run or another, that was not finished: a
    /// kill or a power loss had cut it off, or it had found no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Bytes>,
}

/// See [`crate::event::Event::RunRebased`]. From here on these count, each in the place of what the run began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRebased {
    /// The agent's name.
    pub agent: Name,
    /// The digest of the agent file, where there is one.
    pub agent_file: Option<Digest>,
    /// The instructions, in full.
    pub instructions: String,
    /// The models to ask, the first that works.
    pub models: Vec<ModelChoice>,
    /// The tools, with digests and authority. What a person had allowed in the middle of the run is not among it.
    pub tools: Vec<LockedTool>,
}

/// See [`crate::event::Event::RunAdopted`]. The events before it carried another host's marks, or none; from here on they carry this one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAdopted {
    /// The digest of the file that they came in.
    pub file: Digest,
    /// What each tool holds from now on, in the order of the run's tools: what it held, under the rules of this host as well.
    pub authorities: Vec<ToolAuthority>,
}

/// See [`crate::event::Event::HeadSigned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSigned {
    /// The public key (Ed25519): 64 hexadecimal digits.
    pub key: String,
    /// The signature over the run's name and the number and hash of the event before: 128 hexadecimal digits.
    pub signature: String,
}

/// See [`crate::event::Event::RunEnded`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnded {
    /// Why.
    pub stop: StopReason,
    /// The answer, where there is one.
    pub answer: Option<String>,
    /// What happened, for a person, where the reason alone does not say.
    pub detail: Option<String>,
}
