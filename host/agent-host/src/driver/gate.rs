//! The gate of one running call: decides by the tool's authority, asks the person where a rule says so, announces writes in
//! the journal before they happen and records their results. The sandbox calls it for every effect.

use std::sync::Arc;

use agent_core::config::decide::{Permit, Verdict};
use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, Refusal, Ruling};
use agent_core::event::{Approval, ApprovalDecided, ApprovalRequested, ApprovalSubject, EffectDone, EffectIntended};
use agent_core::file_events::PathsMarked;
use agent_core::grant::{RuleSource, SecretGrant};
use agent_core::name::{CallNumber, ToolName};
use agent_core::path_state::PathMark;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::ports::Ports;
use crate::asking;
use crate::boot;
use crate::failpoint;
use crate::journal::log::Durable;

/// The gate of one attempt of one call.
pub struct CallGate {
    ports: Arc<Ports>,
    tool: ToolName,
    index: usize,
    call: CallNumber,
    attempt: u32,
}

impl CallGate {
    /// The gate of an attempt that is about to start.
    #[must_use]
    pub fn new(ports: Arc<Ports>, tool: ToolName, index: usize, call: CallNumber, attempt: u32) -> Self {
        Self { ports, tool, index, call, attempt }
    }

    fn verdict(&self, request: &EffectRequest) -> Verdict {
        self.ports.recorder.state().authorities[self.index].decide(request)
    }

    /// A rule wants a person's word on this one effect.
    async fn approve(
        &self,
        request: &EffectRequest,
        secrets: &[SecretGrant],
        rule: &RuleSource,
    ) -> Result<Approval, GateClosed> {
        // The answer is for the very request; what is recorded and shown of it holds no secret.
        let digest = self.approval_digest(request);
        let request = self.ports.secrets.without_secrets(request);
        let subject = ApprovalSubject::Effect(request.clone());
        let asked = ApprovalRequested { call: self.call, subject: subject.clone(), digest };
        self.record(asked, Durable::Later)?;
        let (person, reporter) = (&self.ports.person, &self.ports.reporter);
        let asked = asking::approve_effect(person, reporter, &self.tool, (&request, secrets), rule);
        let approval = tokio::select! {
            biased;
            // What is typed after Ctrl-C is no answer.
            () = self.ports.cancel.cancelled() => return Err(GateClosed("the run was cancelled".to_owned())),
            approval = asked => approval,
        };
        let decided = ApprovalDecided { call: self.call, subject, digest, answer: approval };
        self.record(decided, Durable::Now)?;
        Ok(approval)
    }

    /// Binds an answer to the run, the call, the attempt and everything about the request.
    fn approval_digest(&self, request: &EffectRequest) -> Digest {
        let run = self.ports.recorder.state().run.clone();
        let request = serde_json::to_vec(request).unwrap_or_default();
        let (call, attempt) = (self.call.to_string(), self.attempt.to_string());
        Digest::of_parts(&[run.as_str().as_bytes(), call.as_bytes(), attempt.as_bytes(), &request])
    }

    fn record(&self, event: impl Into<agent_core::event::Event>, durable: Durable) -> Result<(), GateClosed> {
        self.ports.recorder.record(event, durable).map(drop).map_err(|error| GateClosed(format!("{error:#}")))
    }
}

#[async_trait]
impl EffectGate for CallGate {
    async fn decide(&self, request: &EffectRequest) -> Ruling {
        match self.verdict(request) {
            Verdict::Allow(permit) => allowed(permit),
            Verdict::Ask { rule, permit } => match self.approve(request, &permit.secrets, &rule).await {
                Ok(Approval::Approved) => allowed(permit),
                Ok(Approval::Denied) => not_approved(&permit, format!("{rule} asks a person, who said no")),
                Err(closed) => not_approved(&permit, closed.to_string()),
            },
            Verdict::Deny(denial) => match asking::widen(&self.ports, &self.tool, self.index, self.call, request).await
            {
                Some(permit) => allowed(permit),
                None => Ruling::plain(denial.into(), request.class(false)),
            },
        }
    }

    async fn intend_change(&self, intent: ChangeIntent) -> Result<(), GateClosed> {
        for undo in &intent.undo {
            if let Some(content) = &undo.content {
                self.ports.journal.put_blob(content).map_err(|error| GateClosed(error.to_string()))?;
            }
        }
        let event = EffectIntended {
            call: self.call,
            attempt: self.attempt,
            number: intent.number,
            request: intent.request,
            class: EffectClass::OwnedWrite,
            undo: intent.undo.into_iter().map(|undo| undo.entry).collect(),
            idempotency_key: None,
            transcript: None,
        };
        // Every path's own entry is durable before that path changes: a sync per changed file is the price of restoring
        // each of them after a power loss.
        self.record(event, Durable::Now)?;
        failpoint::hit("change-intended");
        Ok(())
    }

    fn mark_changes(&self, marks: Vec<PathMark>) -> Result<(), GateClosed> {
        let marked = PathsMarked { call: self.call, attempt: self.attempt, boot: boot::number(), marks };
        self.record(marked, Durable::Later)?;
        failpoint::hit("paths-marked");
        Ok(())
    }

    async fn intend_send(&self, intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        let key = match intent.class {
            EffectClass::KeyedWrite => {
                let run = self.ports.recorder.state().run.clone();
                Some(idempotency_key(run.as_str(), self.call, intent.number, &intent.request))
            }
            EffectClass::Pure | EffectClass::Read | EffectClass::OwnedWrite | EffectClass::OpaqueWrite => None,
        };
        let bytes = intent.transcript.to_bytes();
        let transcript = self.ports.journal.put_blob(bytes).map_err(|error| GateClosed(error.to_string()))?;
        let event = EffectIntended {
            call: self.call,
            attempt: self.attempt,
            number: intent.number,
            request: intent.request,
            class: intent.class,
            undo: Vec::new(),
            idempotency_key: key.as_ref().map(|key| key.0.clone()),
            transcript: Some(transcript),
        };
        self.record(event, Durable::Now)?;
        failpoint::hit("send-intended");
        Ok(key)
    }

    async fn done(&self, effect: &Effect) -> Result<(), GateClosed> {
        failpoint::hit("send-answered");
        self.record(EffectDone { call: self.call, attempt: self.attempt, effect: effect.clone() }, Durable::Now)
    }

    fn progress(&self, progress: Progress) {
        self.ports.reporter.guest_progress(&self.tool, &progress.message, progress.fraction);
    }
}

fn allowed(permit: Permit) -> Ruling {
    let Permit { rule, class, idempotency_header, secrets } = permit;
    Ruling { decision: Decision::Allow { rule }, class, idempotency_header, secrets }
}

fn not_approved(permit: &Permit, rule: String) -> Ruling {
    let decision = Decision::Deny { refusal: Refusal::ApprovalDenied, rule, hint: None };
    Ruling::plain(decision, permit.class)
}

/// The key of a keyed write: the same for every attempt of it, another for every other write.
#[must_use]
pub fn idempotency_key(run: &str, call: CallNumber, number: u32, request: &EffectRequest) -> IdempotencyKey {
    match request {
        EffectRequest::Http { digest, .. } => mint_key(run, call, number, &digest.to_string()),
        EffectRequest::File { .. }
        | EffectRequest::Env { .. }
        | EffectRequest::Kv { .. }
        | EffectRequest::Socket { .. } => mint_key(run, call, number, &request.to_string()),
    }
}

/// `ah1-` and base 32 of a hash over run, call, effect and request: the same for every attempt, another in a fork.
fn mint_key(run: &str, call: CallNumber, number: u32, request: &str) -> IdempotencyKey {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    const CHARACTERS: usize = 32;
    let parts = format!("{run}\n{call}\n{number}\n{request}");
    let hash = Sha256::digest(parts.as_bytes());
    let bit = |place: usize| hash[place / 8] >> (7 - place % 8) & 1;
    let character = |index: usize| {
        let value = (0..5).fold(0, |value, place| value << 1 | bit(index * 5 + place));
        char::from(ALPHABET[usize::from(value)])
    };
    IdempotencyKey(format!("ah1-{}", (0..CHARACTERS).map(character).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_everything_but_the_attempt() {
        let key = mint_key("run", CallNumber(1), 2, "digest");
        assert_eq!(key, mint_key("run", CallNumber(1), 2, "digest"));
        assert_eq!(key.0.len(), 36);
        for other in [
            mint_key("fork", CallNumber(1), 2, "digest"),
            mint_key("run", CallNumber(2), 2, "digest"),
            mint_key("run", CallNumber(1), 3, "digest"),
            mint_key("run", CallNumber(1), 2, "other"),
        ] {
            assert_ne!(key, other);
        }
    }
}
