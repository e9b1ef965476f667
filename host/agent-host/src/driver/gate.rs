//! The gate of one running call: decides by the tool's authority, asks the person where a rule says so, announces writes in
//! the journal before they happen and records their results. The sandbox calls it for every effect.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use agent_core::answer_events::{Approval, ApprovalSubject};
use agent_core::approval;
use agent_core::config::decide::{Permit, Verdict};
use agent_core::config::refusal::Denial;
use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, Refusal, Ruling};
use agent_core::event::{EffectDone, EffectIntended, FuelTaken, Suspension};
use agent_core::file_events::PathsMarked;
use agent_core::grant::RuleSource;
use agent_core::name::{CallNumber, ToolName};
use agent_core::open_file::OpenFile;
use agent_core::outcome::LogRecord;
use agent_core::path_state::PathMark;
use agent_core::units::Fuel;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::callers::News;
use super::ports::Ports;
use super::set_aside::{Asking, was_announced};
use crate::boot;
use crate::defect;
use crate::failpoint;
use crate::journal::error::JournalError;
use crate::journal::log::Durable;
use crate::journal::open_files::{self, OpenFiles};
use crate::needs::{self, Need};

/// The gate of one attempt of one call.
pub struct CallGate {
    ports: Arc<Ports>,
    tool: ToolName,
    index: usize,
    call: CallNumber,
    attempt: u32,
    asking: Asking,
    /// The answers that are kept, by the effect's number.
    answers: Mutex<BTreeMap<u32, Digest>>,
    /// Where it is kept how open files stand, from the first word on; none where it cannot be.
    open_files: OnceLock<Option<OpenFiles>>,
    /// How many undo entries were announced.
    entries: AtomicU32,
    /// Whether something of the attempt could not be recorded: on a full disk, say.
    is_unrecorded: AtomicBool,
}

impl CallGate {
    /// The gate of an attempt that is about to start, and that `end` ends.
    #[must_use]
    pub fn new(
        ports: Arc<Ports>,
        (tool, index): (ToolName, usize),
        (call, attempt): (CallNumber, u32),
        end: CancellationToken,
    ) -> Self {
        let asking = Asking::new(Arc::clone(&ports), call, end);
        let (answers, open_files, entries, is_unrecorded) = Default::default();
        Self { ports, tool, index, call, attempt, asking, answers, open_files, entries, is_unrecorded }
    }

    /// Removes what was kept of open files: none is open any more, and the journal says how they were left. Where it does not, what
    /// is kept is all that a later undo has.
    pub fn forget_open_files(&self) {
        if self.is_unrecorded.load(Ordering::Relaxed) {
            return;
        }
        if let (Some(Some(_)), Some(folder)) = (self.open_files.get(), self.ports.journal.folder()) {
            open_files::forget(folder, &self.ports.recorder.state().run, (self.call, self.attempt));
        }
    }

    fn open_files(&self) -> Option<&OpenFiles> {
        self.open_files.get_or_init(|| self.begin_open_files()).as_ref()
    }

    fn begin_open_files(&self) -> Option<OpenFiles> {
        let run = self.ports.recorder.state().run.clone();
        let begun = OpenFiles::begin(self.ports.journal.folder()?, &run, (self.call, self.attempt));
        begun.inspect_err(|error| tracing::warn!(%error, "how files stand is not kept")).ok()
    }

    /// What the attempt was ended for, where its host ended it.
    pub fn suspension(&self) -> Suspension {
        self.asking.suspension()
    }

    fn verdict(&self, request: &EffectRequest) -> Verdict {
        self.ports.recorder.state().authorities[self.index].decide(request)
    }

    fn need<'n>(&'n self, number: u32, request: &'n EffectRequest) -> Need<'n> {
        let (tool, index, call, attempt) = (&self.tool, self.index, self.call, self.attempt);
        Need { tool, index, call, attempt, number, request }
    }

    async fn decide_ungranted(&self, need: &Need<'_>, denial: Denial) -> Ruling {
        if let Some(permit) = self.permitted_when_announced(need) {
            return allowed(permit);
        }
        match needs::meet(&self.ports, need).await {
            Some(permit) => allowed(permit),
            // The attempt ends with the run: its guest must not take that for a person's no.
            None if self.ports.cancel.is_cancelled() => std::future::pending().await,
            None => Ruling::plain(needs::refusal(&self.ports, need, denial).into(), need.request.class(false)),
        }
    }

    /// What a person permitted once when an attempt before announced this very write, which has no answer: sent again with its key, or
    /// because a person said so, it is no other.
    fn permitted_when_announced(&self, need: &Need<'_>) -> Option<Permit> {
        let request = self.ports.secrets.without_secrets(need.request);
        let subject = ApprovalSubject::Effect { number: need.number, request };
        let is_known =
            self.ports.recorder.state().call(need.call).is_some_and(|pending| was_announced(pending, &subject));
        is_known.then(|| needs::permitted_once(&self.ports, need)).flatten()
    }

    fn record(&self, event: impl Into<agent_core::event::Event>, durable: Durable) -> Result<(), GateClosed> {
        let recorded = self.ports.recorder.record(event, durable);
        recorded.map(drop).map_err(|error| {
            self.is_unrecorded.store(true, Ordering::Relaxed);
            GateClosed(format!("{error:#}"))
        })
    }
}

#[async_trait]
impl EffectGate for CallGate {
    async fn decide(&self, number: u32, request: &EffectRequest) -> Ruling {
        failpoint::hit("effect-asked");
        match self.verdict(request) {
            Verdict::Allow(permit) => allowed(permit),
            Verdict::Ask { rule, permit } => match self.asking.word(number, request).await {
                Ok(Approval::Approved { .. }) => allowed(permit),
                Ok(Approval::Denied { reason }) => not_approved(&permit, approval::denied(reason.as_deref()), &rule),
                Err(closed) => not_approved(&permit, closed.to_string(), &rule),
            },
            Verdict::Deny(denial) => self.decide_ungranted(&self.need(number, request), denial).await,
        }
    }

    async fn decide_again(&self, number: u32, request: &EffectRequest) -> Ruling {
        match needs::permitted_once(&self.ports, &self.need(number, request)) {
            Some(permit) => allowed(permit),
            None => self.decide(number, request).await,
        }
    }

    async fn decide_told(&self, number: u32, request: &EffectRequest) -> Ruling {
        match self.verdict(request) {
            Verdict::Allow(permit) => allowed(permit),
            Verdict::Ask { rule, permit } => match self.asking.denial(number, request) {
                Some(reason) => not_approved(&permit, approval::denied(reason.as_deref()), &rule),
                None => allowed(permit),
            },
            Verdict::Deny(denial) => match needs::told_as_permitted_once(&self.ports, &self.need(number, request)) {
                Some(permit) => allowed(permit),
                None => Ruling::plain(denial.into(), request.class(false)),
            },
        }
    }

    fn take_fuel(&self, fuel: Fuel) -> Result<(), GateClosed> {
        self.record(FuelTaken { call: self.call, attempt: self.attempt, fuel }, Durable::Later)
    }

    async fn intend_change(&self, intent: ChangeIntent) -> Result<(), GateClosed> {
        let more = u32::try_from(intent.undo.len()).unwrap_or(u32::MAX);
        let entries = self.entries.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if let Some(open_files) = self.open_files() {
            open_files.make_room(entries).map_err(|error| GateClosed(error.to_string()))?;
        }
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

    /// What cannot be kept leaves a later undo with less to go by, so that it leaves more alone; the call goes on.
    fn follow(&self, file: &OpenFile) -> Result<(), GateClosed> {
        if let Some(open_files) = self.open_files() {
            // A host that was stopped and goes on after it was taken over: nothing more of it may reach the files.
            if open_files.is_gone() {
                let run = self.ports.recorder.state().run.clone();
                return Err(GateClosed(JournalError::LeaseLost { run }.to_string()));
            }
            if let Err(error) = open_files.keep(file) {
                tracing::debug!(%error, "how a file stands is not kept");
            }
        }
        failpoint::hit("file-followed");
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
        let is_request = intent.request.is_egress();
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
        if !defect::puts_off(&event) {
            self.record(event, Durable::Now)?;
        }
        if is_request {
            self.asking.sending();
        }
        failpoint::hit("send-intended");
        Ok(key)
    }

    async fn keep_answer(&self, number: u32, answer: &[u8]) -> Result<(), GateClosed> {
        let digest = self.ports.journal.put_blob(answer).map_err(|error| GateClosed(error.to_string()))?;
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(number, digest);
        Ok(())
    }

    async fn done(&self, effect: &Effect) -> Result<(), GateClosed> {
        failpoint::hit("send-answered");
        for event in defect::put_off() {
            self.record(event, Durable::Now)?;
        }
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&effect.number);
        let done = EffectDone { call: self.call, attempt: self.attempt, effect: effect.clone(), answer };
        self.record(done, Durable::Later)?;
        if effect.request.is_egress() {
            self.asking.sent();
        }
        failpoint::hit("send-done");
        Ok(())
    }

    fn progress(&self, progress: Progress) {
        self.ports.reporter.guest_progress(&self.tool, &progress.message, progress.fraction);
        self.ports.callers.tell(self.call, || News::Progress(progress));
    }

    fn logged(&self, record: &LogRecord) {
        self.ports.callers.tell(self.call, || News::Log(record.clone()));
    }
}

fn allowed(permit: Permit) -> Ruling {
    let Permit { rule, class, idempotency_header, secrets } = permit;
    Ruling { decision: Decision::Allow { rule }, class, idempotency_header, secrets }
}

/// The model is told why, the person also which rule asks.
fn not_approved(permit: &Permit, why: String, rule: &RuleSource) -> Ruling {
    let hint = Some(format!("{rule} asks a person about it"));
    let decision = Decision::Deny { refusal: Refusal::ApprovalDenied, rule: why, hint };
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
