//! The gate of `agent-host tool call`: the same decisions as in a run, and no journal. What an undo needs is held in memory, as
//! long as the call: if it is stopped, its changes of files are taken back, as in a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::config::decide::{Permit, Verdict};
use agent_core::config::resolve::ToolAuthority;
use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling, UndoEntry};
use agent_core::name::CallNumber;
use agent_core::path_state::PathMark;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::mount::Mount;
use agent_sandbox::undo::{Restarted, UndoReport};
use anyhow::Context;
use async_trait::async_trait;

use crate::asking;
use crate::driver::mounts::at_files;
use crate::driver::undoing::{Known, undo_all};
use crate::person::Person;
use crate::reporter::Reporter;

/// The gate of one call outside a run.
pub struct DirectGate {
    /// What the tool may do.
    pub authority: ToolAuthority,
    /// Who is asked.
    pub person: Person,
    /// Who is told how far the call is.
    pub reporter: Arc<Reporter>,
    /// What stands for a run in idempotency keys.
    pub run: String,
    /// What the call changes.
    pub changed: Mutex<Changed>,
}

/// What a call changed. The sandbox bounds it: 256 MiB and 10,000 entries.
#[derive(Default)]
pub struct Changed {
    entries: Vec<UndoEntry>,
    contents: HashMap<Digest, Vec<u8>>,
    marks: Vec<PathMark>,
}

impl DirectGate {
    /// Whether the call changed anything that is undone where it is stopped.
    pub fn has_changes(&self) -> bool {
        !self.changed().entries.is_empty()
    }

    /// Takes back what the call changed. Nothing of it may run any more.
    ///
    /// # Errors
    /// Where it cannot be begun, or a file system does not answer.
    pub async fn undo(&self, mounts: &[Mount]) -> anyhow::Result<UndoReport> {
        let Changed { entries, contents, marks } = std::mem::take(&mut *self.changed());
        let below = mounts.to_vec();
        let work = move || {
            let kept = |digest: &Digest| Ok(contents.get(digest).cloned());
            // Nobody goes on with an undo that is killed.
            let mut tell = |_, _| Ok(());
            // The call has ended, so that all is said of its files.
            let known = Known { marks: &marks, open: Vec::new(), restarted: Restarted::No };
            undo_all(&below, (&entries, &kept), known, &mut tell)
        };
        let undone = at_files(mounts, work).await.context("the file system does not answer")?;
        Ok(undone?)
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EffectGate for DirectGate {
    async fn decide(&self, _number: u32, request: &EffectRequest) -> Ruling {
        let allowed = |permit: Permit| Ruling {
            decision: Decision::Allow { rule: permit.rule },
            class: permit.class,
            idempotency_header: permit.idempotency_header,
            secrets: permit.secrets,
        };
        match self.authority.decide(request) {
            Verdict::Allow(permit) => allowed(permit),
            Verdict::Deny(denial) => Ruling::plain(denial.into(), request.class(false)),
            Verdict::Ask { rule, permit } => {
                let tool = &self.authority.tool;
                let asked = (request, permit.secrets.as_slice());
                if asking::approve_effect(&self.person, &self.reporter, tool, asked, &rule).await {
                    return allowed(permit);
                }
                let rule = format!("{rule} asks a person, who did not agree");
                let decision = Decision::Deny { refusal: Refusal::ApprovalDenied, rule, hint: None };
                Ruling::plain(decision, permit.class)
            }
        }
    }

    async fn intend_change(&self, intent: ChangeIntent) -> Result<(), GateClosed> {
        let mut changed = self.changed();
        for undo in intent.undo {
            if let Some(content) = undo.content {
                changed.contents.entry(Digest::of(&content)).or_insert(content);
            }
            changed.entries.push(undo.entry);
        }
        Ok(())
    }

    fn mark_changes(&self, marks: Vec<PathMark>) -> Result<(), GateClosed> {
        self.changed().marks.extend(marks);
        Ok(())
    }

    async fn intend_send(&self, intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Ok(Some(crate::driver::idempotency_key(&self.run, CallNumber(1), intent.number, &intent.request)))
    }

    async fn done(&self, _effect: &Effect) -> Result<(), GateClosed> {
        Ok(())
    }

    fn progress(&self, progress: Progress) {
        self.reporter.guest_progress(&self.authority.tool, &progress.message, progress.fraction);
    }
}
