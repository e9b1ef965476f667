//! Effects that a person is asked about in the middle of a call. Who is at the terminal is waited for briefly; then the attempt
//! is set aside: it ends, its slot is free, what it changed is undone, and the question stays in the journal. The answer is
//! used when the call comes to the same point again. The gate of a call asks here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_core::answer_events::{AnswerPlace, Approval, ApprovalDecided, ApprovalRequested, ApprovalSubject};
use agent_core::approval;
use agent_core::digest::Digest;
use agent_core::effect::EffectRequest;
use agent_core::event::Suspension;
use agent_core::name::CallNumber;
use agent_core::pending::{CallStatus, PendingCall};
use agent_sandbox::gate::GateClosed;
use anyhow::Context;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ports::Ports;
use super::serving;
use crate::asking;
use crate::clock;
use crate::journal::log::Durable;
use crate::person;

/// How long requests that are under way may take before their attempt is set aside: none takes longer (`http_total` is at most
/// five minutes), and one that is given up in the middle would leave doubt.
const SENDS_WAIT: Duration = Duration::from_secs(300);

/// What one attempt of a call asks a person.
pub struct Asking {
    ports: Arc<Ports>,
    call: CallNumber,
    /// Approvals that this attempt has used: each is for one effect.
    used: Mutex<HashMap<Digest, usize>>,
    /// Announced requests that are not answered yet.
    under_way: watch::Sender<usize>,
    /// Ends the attempt.
    end: CancellationToken,
    is_set_aside: AtomicBool,
}

impl Asking {
    /// Nothing asked yet. `end` ends the attempt.
    pub fn new(ports: Arc<Ports>, call: CallNumber, end: CancellationToken) -> Self {
        let (used, under_way) = (Mutex::default(), watch::Sender::new(0));
        Self { ports, call, used, under_way, end, is_set_aside: AtomicBool::new(false) }
    }

    /// A person's word on one effect. Does not return where there is none: the attempt ends instead.
    pub async fn word(&self, number: u32, request: &EffectRequest) -> Result<Approval, GateClosed> {
        // What is recorded and shown holds no secret; what it leaves open, the digest of the request itself binds.
        let request = self.ports.secrets.without_secrets(request);
        let subject = ApprovalSubject::Effect { number, request };
        let digest = match self.standing(&subject).map_err(|error| closed(&error))? {
            Standing::Answered(approval) => return Ok(approval),
            Standing::ToAsk(digest) => digest,
        };
        let call = self.call;
        let line = self.ports.callers.line(call);
        let asked = ApprovalRequested { call, subject: subject.clone(), digest };
        // Before the person sees it: who is asked and goes away finds the question in the journal.
        self.ports.recorder.record(asked, Durable::Now).map_err(|error| closed(&error))?;
        let (answer, place) = match &line {
            // A client is answered: it does not wait for a person elsewhere.
            Some(line) => {
                (serving::approved(&self.ports, call, &subject, line).await.map_err(GateClosed)?, AnswerPlace::Client)
            }
            None => match asking::approve(&self.ports, call, &subject).await {
                Some(answer) => (answer, AnswerPlace::Run),
                None => return self.set_aside().await,
            },
        };
        self.count_use(digest);
        let by = person::answered(place);
        let decided = ApprovalDecided { call, subject, digest, answer: answer.clone(), by };
        self.ports.recorder.record(decided, Durable::Now).map_err(|error| closed(&error))?;
        Ok(answer)
    }

    /// Whether a person said no to one effect, and why. Asks nobody.
    pub fn denial(&self, number: u32, request: &EffectRequest) -> Option<Option<String>> {
        let subject = ApprovalSubject::Effect { number, request: self.ports.secrets.without_secrets(request) };
        let state = self.ports.recorder.state();
        let pending = state.call(self.call)?;
        let digest = approval::digest_of(&state, pending, &subject);
        pending.asked.denial(&digest).map(|reason| reason.map(str::to_owned))
    }

    /// A request is about to be sent.
    pub fn sending(&self) {
        self.under_way.send_modify(|count| *count += 1);
    }

    /// It was answered, or will not be.
    pub fn sent(&self) {
        self.under_way.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// What the attempt was ended for, when it was ended by its host.
    pub fn suspension(&self) -> Suspension {
        if self.is_set_aside.load(Ordering::Acquire) { Suspension::Approval } else { Suspension::Cancelled }
    }

    fn standing(&self, subject: &ApprovalSubject) -> anyhow::Result<Standing> {
        let state = self.ports.recorder.state();
        let pending = state.call(self.call).context("the call is not pending")?;
        let digest = approval::digest_of(&state, pending, subject);
        if let Some(reason) = pending.asked.denial(&digest) {
            return Ok(Standing::Answered(Approval::Denied { reason: reason.map(str::to_owned) }));
        }
        let now = self.ports.recorder.now();
        if was_announced(pending, subject) {
            return Ok(Standing::Answered(Approval::yes(now)));
        }
        // Nobody's word gets younger where the machine slept meanwhile.
        if self.used(&digest) < pending.asked.approvals(&digest, now.max(clock::now())) {
            self.count_use(digest);
            return Ok(Standing::Answered(Approval::yes(now)));
        }
        Ok(Standing::ToAsk(digest))
    }

    fn used(&self, digest: &Digest) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied().unwrap_or(0)
    }

    fn count_use(&self, digest: Digest) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert(0) += 1;
    }

    /// Ends the attempt, and never returns: whoever waits for the answer is gone with it.
    async fn set_aside(&self) -> Result<Approval, GateClosed> {
        if self.ports.cancel.is_cancelled() {
            // The attempt ends with the run. Nothing is told to its guest meanwhile, who would take it for a person's no.
            return std::future::pending().await;
        }
        let mut under_way = self.under_way.subscribe();
        // What is not answered by then is in doubt, as after any other end.
        let _ = tokio::time::timeout(SENDS_WAIT, under_way.wait_for(|count| *count == 0)).await;
        self.is_set_aside.store(true, Ordering::Release);
        self.end.cancel();
        std::future::pending().await
    }
}

/// Whether an attempt before has announced this very write, and has no answer: a person had said yes to it then, and what is sent
/// again, or told again without being sent, is no other.
pub(super) fn was_announced(pending: &PendingCall, subject: &ApprovalSubject) -> bool {
    match (&pending.status, subject) {
        (CallStatus::Running(attempt), ApprovalSubject::Effect { number, request }) => {
            attempt.sends.iter().any(|send| send.number == *number && send.request == *request)
        }
        (
            CallStatus::Proposed
            | CallStatus::Running(_)
            | CallStatus::Interrupted(_)
            | CallStatus::InDoubt { .. }
            | CallStatus::Again { .. }
            | CallStatus::Finished(_),
            ApprovalSubject::Call | ApprovalSubject::Effect { .. },
        ) => false,
    }
}

/// Whether there is an answer.
enum Standing {
    Answered(Approval),
    ToAsk(Digest),
}

fn closed(error: &anyhow::Error) -> GateClosed {
    GateClosed(format!("{error:#}"))
}
