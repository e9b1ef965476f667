//! A gate that keeps what a journal would have of a call, and from it what a resume goes by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, Refusal, Ruling};
use agent_core::path_state::PathMark;
use async_trait::async_trait;

use super::support::{Answer, Notes, notes};
use crate::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent, Undo};
use crate::replay::{Answered, Replay, ReplayEnd};
use crate::transcript::Transcript;

/// What a journal would have of a call.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) parts: Vec<Transcript>,
    pub(super) answers: BTreeMap<u32, Answered>,
    pending: BTreeMap<u32, Vec<u8>>,
    pub(super) undo: Vec<Undo>,
    pub(super) marks: Vec<PathMark>,
    pub(super) lines: Vec<String>,
    /// The effects that it was asked about, and what of them was only done again or told.
    pub(super) decided: Vec<u32>,
    pub(super) decided_again: Vec<u32>,
    pub(super) decided_told: Vec<u32>,
    /// A key of a store that somebody who is asked says no to, and one to which as much is said where it is used again.
    pub(super) denied_key: Option<&'static str>,
    pub(super) denied_again: Option<&'static str>,
}

/// A gate that keeps it.
pub(super) struct Keeper {
    inner: Arc<Notes>,
    kept: Mutex<Kept>,
}

impl Keeper {
    pub(super) fn new(answer: Answer) -> Arc<Self> {
        Arc::new(Self { inner: notes(answer), kept: Mutex::default() })
    }

    pub(super) fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a resume after a kill would do: along the transcript up to the last intent.
    pub(super) fn replay(&self) -> Replay {
        self.kept(|kept| Replay {
            transcript: Transcript::joined(kept.parts.iter().cloned()),
            answers: kept.answers.clone(),
            end: ReplayEnd::GoLive,
        })
    }
}

#[async_trait]
impl EffectGate for Keeper {
    async fn decide(&self, number: u32, request: &EffectRequest) -> Ruling {
        // A look has no number.
        self.kept(|kept| kept.decided.extend(Some(number).filter(|number| *number > 0)));
        if is_about(request, self.kept(|kept| kept.denied_key)) {
            return denied(request);
        }
        self.inner.decide(number, request).await
    }

    async fn decide_again(&self, number: u32, request: &EffectRequest) -> Ruling {
        self.kept(|kept| kept.decided_again.push(number));
        if is_about(request, self.kept(|kept| kept.denied_again)) {
            return denied(request);
        }
        self.inner.decide(number, request).await
    }

    async fn decide_told(&self, number: u32, request: &EffectRequest) -> Ruling {
        self.kept(|kept| kept.decided_told.push(number));
        self.inner.decide(number, request).await
    }

    async fn intend_change(&self, intent: ChangeIntent) -> Result<(), GateClosed> {
        self.kept(|kept| {
            kept.lines.push(format!("change {}", intent.number));
            kept.undo.extend(intent.undo);
        });
        Ok(())
    }

    fn mark_changes(&self, marks: Vec<PathMark>) -> Result<(), GateClosed> {
        self.kept(|kept| kept.marks.extend(marks));
        Ok(())
    }

    async fn intend_send(&self, intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        self.kept(|kept| {
            kept.lines.push(format!("send {}", intent.number));
            kept.parts.push(intent.transcript.transcript().unwrap_or_else(|error| unreachable!("{error}")));
        });
        Ok((intent.class == EffectClass::KeyedWrite).then(|| IdempotencyKey("ah1-key".to_owned())))
    }

    async fn keep_answer(&self, number: u32, answer: &[u8]) -> Result<(), GateClosed> {
        self.kept(|kept| kept.pending.insert(number, answer.to_vec()));
        Ok(())
    }

    async fn done(&self, effect: &Effect) -> Result<(), GateClosed> {
        self.kept(|kept| {
            kept.lines.push(format!("done {}", effect.number));
            if let Some(answer) = kept.pending.remove(&effect.number) {
                kept.answers.insert(effect.number, Answered { effect: effect.clone(), answer });
            }
        });
        Ok(())
    }

    fn progress(&self, _: Progress) {}
}

fn is_about(request: &EffectRequest, denied: Option<&str>) -> bool {
    denied.is_some() && matches!(request, EffectRequest::Kv { key, .. } if key.as_deref() == denied)
}

fn denied(request: &EffectRequest) -> Ruling {
    let decision = Decision::Deny { refusal: Refusal::KvDenied, rule: "no".to_owned(), hint: None };
    Ruling::plain(decision, request.class(false))
}
