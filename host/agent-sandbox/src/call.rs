//! One tool call: what the caller hands over and what it gets back.

use std::sync::Arc;

use agent_core::effect::Effect;
use agent_core::grant::RuleSource;
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::name::Name;
use agent_core::outcome::{Metering, Said, ToolOutcome};
use agent_core::units::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::gate::EffectGate;
use crate::kv::{KvChange, Stores};
use crate::mount::Mount;
use crate::replay::Replay;
use crate::secrets::CallSecrets;
use crate::transcript::Transcript;

/// Everything that one call may know and use.
#[derive(Clone)]
pub struct Call {
    /// The operation of the component.
    pub operation: Name,
    /// The arguments: a JSON object, already checked against the operation's schema.
    pub arguments: JsonText,
    /// The directories that were granted, opened.
    pub mounts: Vec<Mount>,
    /// The component's key-value stores.
    pub stores: Arc<dyn Stores>,
    /// The environment that was granted, with values.
    pub env: Vec<Variable>,
    /// The secrets that its requests may carry, and what takes them out of what comes back.
    pub secrets: CallSecrets,
    /// The ceilings.
    pub limits: Limits,
    /// Seeds the guest's random numbers.
    pub seed: [u8; 32],
    /// What the guest's clock says when the call begins.
    pub clock_start: UnixMillis,
    /// What every effect passes.
    pub gate: Arc<dyn EffectGate>,
    /// What of an attempt before is to be done again, before the call goes on from there.
    pub replay: Option<Replay>,
    /// Ends the call as `Cancelled`.
    pub cancel: CancellationToken,
}

/// What came of a call.
#[derive(Debug)]
pub struct CallReport {
    /// How it ended.
    pub outcome: ToolOutcome,
    /// What it used.
    pub metering: Metering,
    /// What it did, in order.
    pub effects: Vec<Effect>,
    /// What it wants changed in its stores, to be made durable with the record of the call. Nothing where the call was
    /// stopped.
    pub kv: Vec<KvChange>,
    /// What it said beside its result, the kept part.
    pub said: Said,
    /// Every answer the guest had: what a replay feeds back.
    pub transcript: Transcript,
    /// What of it is still going on.
    pub remains: Remains,
}

/// What of a reported call is still going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// One operation on a file, whose file system does not answer. Whether it takes place, nobody knows; nothing comes after
    /// it. What the call changed cannot be undone meanwhile.
    FileWork,
}

/// An environment variable that a guest may see.
#[derive(Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, which is in no record.
    pub value: String,
    /// The rule that grants it.
    pub rule: RuleSource,
}
