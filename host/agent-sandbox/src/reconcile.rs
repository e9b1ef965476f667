//! Asks a component what became of a call in doubt. The question is a call of its own, in a fresh store, with the limits of any
//! call; that it can change nothing is its caller's doing, who gives it a gate and grants that only look.

use std::sync::Arc;

use agent_core::effect::Effect;
use agent_core::outcome::{Content, Metering, RefusedCall, ToolOutcome};

use crate::bindings::reconciler::exports::agent_host::tool::reconcile as wit;
use crate::call::{Call, CallReport};
use crate::component::{Component, Entry};
use crate::invoke::{Answer, Ending, Target};
use crate::mount::Mount;
use crate::pace::Lent;
use crate::report;
use crate::sandbox::{CallError, Sandbox, Slot};

/// A write that may or may not have happened, as the component is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoubtfulWrite {
    /// A request.
    Request {
        /// Its method.
        method: String,
        /// Its URL.
        url: String,
        /// The host's key that it carried.
        idempotency_key: Option<String>,
    },
    /// A change of what is at this path.
    File(String),
}

/// What came of asking.
#[derive(Debug)]
pub struct Reconciled {
    /// What the component found.
    pub finding: Finding,
    /// What the question used.
    pub metering: Metering,
    /// What it looked at.
    pub effects: Vec<Effect>,
}

/// What a component found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It happened: the call's result.
    Happened(String),
    /// It did not happen.
    DidNotHappen,
    /// It is still not known, and why.
    Unknown(String),
}

impl Sandbox {
    /// Asks what became of `call`, whose `write` is in doubt. Files on a file system that may not answer are not given along.
    ///
    /// # Errors
    /// As [`Sandbox::call`].
    pub async fn reconcile(
        &self,
        component: &Arc<Component>,
        mut call: Call,
        write: DoubtfulWrite,
    ) -> Result<Reconciled, CallError> {
        let pre = match &component.entry {
            Entry::World { reconciler: Some(pre), .. } => pre.clone(),
            Entry::World { reconciler: None, .. } | Entry::Exports { .. } => {
                return Ok(unknown(report::refused(RefusedCall::UnknownTool, "the component cannot be asked")));
            }
        };
        let cancel = call.cancel.child_token();
        let _cancelled_if_dropped = cancel.clone().drop_guard();
        let slot = match self.slot(&cancel).await {
            Slot::Taken(slot) => slot,
            Slot::Overloaded => return Ok(unknown(report::refused(RefusedCall::Overloaded, report::OVERLOADED))),
            Slot::Cancelled => return Ok(unknown(report::not_started(report::cancelled()))),
        };
        call.mounts.retain(|mount| !Mount::is_distant(mount));
        let own = component.own_names.get(&call.operation).unwrap_or(&call.operation);
        let (operation, arguments) = (own.to_string(), call.arguments.as_str().to_owned());
        let target = Target::Reconcile { pre, operation, arguments, write: to_wit(write) };
        let (limits, secrets) = (call.limits.clone(), call.secrets.clone());
        let finished = self.run(&Lent::default(), component, target, (call, slot), cancel).await?.0;
        let did_not = matches!(&finished.ending, Ending::Answered(Answer::Finding(wit::Finding::DidNotHappen)));
        let mut report = report::of_finished(finished, &limits)?;
        secrets.scrub(&mut report);
        if did_not {
            let (metering, effects) = (report.metering, report.effects);
            return Ok(Reconciled { finding: Finding::DidNotHappen, metering, effects });
        }
        Ok(unknown(report))
    }
}

/// What a report without a plain no means: a text is what happened, everything else leaves it open.
fn unknown(report: CallReport) -> Reconciled {
    let CallReport { outcome, metering, effects, .. } = report;
    let finding = match outcome {
        ToolOutcome::Returned { content } => match content.into_iter().next() {
            Some(Content::Text(text)) => Finding::Happened(text),
            Some(_) | None => Finding::Unknown("the tool could not find it out".to_owned()),
        },
        ToolOutcome::Failed { message } => Finding::Unknown(message),
        ToolOutcome::Refused { message, reason } => Finding::Unknown(format!("{reason}: {message}")),
        ToolOutcome::Faulted { message, fault } => Finding::Unknown(format!("{fault}: {message}")),
    };
    Reconciled { finding, metering, effects }
}

fn to_wit(write: DoubtfulWrite) -> wit::Write {
    match write {
        DoubtfulWrite::Request { method, url, idempotency_key } => {
            wit::Write::Request(wit::Request { method, url, idempotency_key })
        }
        DoubtfulWrite::File(path) => wit::Write::File(path),
    }
}
