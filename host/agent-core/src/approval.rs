//! Approvals: what a call has asked a person, what the person said, and whether that lets the call start. An answer is for
//! exactly what was asked: it is bound to a digest, and whatever changes of it asks again. Part of the state; the machine and
//! the gate of a call read it.

use crate::answer_events::{Approval, ApprovalDecided, ApprovalSubject};
use crate::config::resolve::ToolAuthority;
use crate::digest::Digest;
use crate::effect::EffectRequest;
use crate::once::Permits;
use crate::pending::{CallStatus, PendingCall};
use crate::state::State;
use crate::units::{Millis, UnixMillis};

/// How long a person's approval is good for, counted from the decision: what was reasonable then may not be so later.
pub const APPROVAL_TIME_MAX: Millis = Millis(600_000);

/// What a call asked a person, and was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// What is not answered yet.
    pub open: Vec<Question>,
    /// What a person permitted once that no rule allows.
    pub permits: Permits,
    answers: Vec<Answer>,
}

/// Something that a call asks a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The call as a whole, or one of its effects.
    pub subject: ApprovalSubject,
    /// What the answer is bound to.
    pub digest: Digest,
    /// Who put it to the person.
    pub put: Put,
}

/// Who put a question to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The host that drives the run now.
    ByThisHost,
    /// One that is gone: the person is asked again.
    ByAnEarlierHost,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    digest: Digest,
    said: Approval,
    /// When it was recorded.
    at: UnixMillis,
}

/// What an approval means for a call that could start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing stands in its way.
    Free,
    /// A person is to be asked.
    ToAsk,
    /// A person was asked and has not answered.
    Open,
    /// A person said no, and perhaps why.
    Denied(Option<String>),
}

impl Asked {
    /// Notes a question. One about the same subject takes the place of an earlier one, whose digest may have changed.
    pub(crate) fn ask(&mut self, subject: ApprovalSubject, digest: Digest) {
        self.open.retain(|open| open.subject != subject);
        self.open.push(Question { subject, digest, put: Put::ByThisHost });
    }

    /// Notes the answer to an open question, recorded at that time. A yes holds no longer than that says, whatever it says itself:
    /// the event may have been written by anybody.
    pub(crate) fn answer(&mut self, decided: &ApprovalDecided, at: UnixMillis) -> Result<(), &'static str> {
        let answers = |open: &Question| open.digest == decided.digest && open.subject == decided.subject;
        let index = self.open.iter().position(answers).ok_or("nothing waits for that answer")?;
        self.open.remove(index);
        let said = match &decided.answer {
            Approval::Approved { expires } => Approval::Approved { expires: (*expires).min(latest(at)) },
            Approval::Denied { reason } => Approval::Denied { reason: reason.clone() },
        };
        self.answers.push(Answer { digest: decided.digest, said, at });
        Ok(())
    }

    /// An answer is for one write: once that is announced, the same one again needs another answer.
    pub(crate) fn spend(&mut self, digest: &Digest) {
        self.answers.retain(|answer| answer.digest != *digest || matches!(answer.said, Approval::Denied { .. }));
    }

    /// No yes of before counts any more. A no does.
    pub(crate) fn forget_approvals(&mut self) {
        self.answers.retain(|answer| matches!(answer.said, Approval::Denied { .. }));
        self.permits.keep_to_tell();
    }

    /// The attempt that asked is over, and is in doubt: the next one asks anew.
    pub(crate) fn withdraw(&mut self) {
        self.open.clear();
    }

    /// Whether a person was asked anything.
    pub(crate) fn is_begun(&self) -> bool {
        !self.open.is_empty() || !self.answers.is_empty() || !self.permits.is_empty()
    }

    /// The host that asked is gone.
    pub(crate) fn hand_over(&mut self) {
        self.open.iter_mut().for_each(|open| open.put = Put::ByAnEarlierHost);
    }

    /// How many approvals of exactly this hold at that time: each is for one use. None holds before it was given: then the clock
    /// was set back, and nobody knows how old it is.
    #[must_use]
    pub fn approvals(&self, digest: &Digest, now: UnixMillis) -> usize {
        let holds = |answer: &&Answer| match answer.said {
            Approval::Approved { expires } => {
                let longest = UnixMillis(answer.at.0.saturating_add(APPROVAL_TIME_MAX.0));
                answer.digest == *digest && (answer.at..=expires.min(longest)).contains(&now)
            }
            Approval::Denied { .. } => false,
        };
        self.answers.iter().filter(holds).count()
    }

    /// Whether a person said no to exactly this, and why. A no does not expire.
    #[must_use]
    pub fn denial(&self, digest: &Digest) -> Option<Option<&str>> {
        self.answers.iter().find_map(|answer| match &answer.said {
            Approval::Denied { reason } if answer.digest == *digest => Some(reason.as_deref()),
            Approval::Denied { .. } | Approval::Approved { .. } => None,
        })
    }
}

impl Approval {
    /// A yes that is said now.
    #[must_use]
    pub fn yes(now: UnixMillis) -> Self {
        Self::Approved { expires: latest(now) }
    }
}

/// Until when a yes may hold that is said at that time.
fn latest(at: UnixMillis) -> UnixMillis {
    UnixMillis(at.0.saturating_add(APPROVAL_TIME_MAX.0))
}

/// Whether a call that could start may, as far as persons are concerned.
#[must_use]
pub fn standing(state: &State, pending: &PendingCall) -> Standing {
    let open = &pending.asked.open;
    if open.iter().any(|question| question.put == Put::ByAnEarlierHost) {
        return Standing::ToAsk;
    }
    if !open.is_empty() {
        return Standing::Open;
    }
    if !asks_before(state, pending) {
        return Standing::Free;
    }
    let digest = call_digest(state, pending);
    match pending.asked.denial(&digest) {
        Some(reason) => Standing::Denied(reason.map(str::to_owned)),
        None if pending.asked.approvals(&digest, state.last_at()) > 0 => Standing::Free,
        None => Standing::ToAsk,
    }
}

/// What a person is to be asked about a call whose standing is [`Standing::ToAsk`], each with what binds the answer. What an
/// earlier host asked is asked again, by what it would be now.
#[must_use]
pub fn questions(state: &State, pending: &PendingCall) -> Vec<(ApprovalSubject, Digest)> {
    if pending.asked.open.is_empty() {
        return vec![(ApprovalSubject::Call, call_digest(state, pending))];
    }
    let subjects = pending.asked.open.iter().map(|question| question.subject.clone());
    subjects.map(|subject| (subject.clone(), digest_of(state, pending, &subject))).collect()
}

/// What an answer about this subject of a call is bound to, as things are now.
#[must_use]
pub fn digest_of(state: &State, pending: &PendingCall, subject: &ApprovalSubject) -> Digest {
    match subject {
        ApprovalSubject::Call => call_digest(state, pending),
        ApprovalSubject::Effect { number, request } => effect_digest(state, pending, *number, request),
    }
}

/// What an approval of a call is bound to: run, call, component, tool, arguments and authority.
#[must_use]
pub fn call_digest(state: &State, pending: &PendingCall) -> Digest {
    let tool = pending.tool.map(|index| (&state.started.tools[index].component, &state.authorities[index]));
    let (component, authority) = tool.map_or_else(Default::default, |(component, authority)| {
        (component.to_string(), authority_digest(authority).to_string())
    });
    Digest::of_parts(&[
        state.run.as_str().as_bytes(),
        pending.number.to_string().as_bytes(),
        component.as_bytes(),
        pending.call.tool.as_bytes(),
        pending.call.arguments.as_bytes(),
        authority.as_bytes(),
    ])
}

/// What an approval of an effect is bound to: all that one of its call is, the effect's number and its request. Not the
/// attempt: what was approved while the call was set aside is for the attempt that comes to the same point again.
#[must_use]
pub fn effect_digest(state: &State, pending: &PendingCall, number: u32, request: &EffectRequest) -> Digest {
    let request = match serde_json::to_vec(request) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("a request is plain data: {error}"),
    };
    let call = call_digest(state, pending);
    Digest::of_parts(&[call.as_bytes().as_slice(), number.to_string().as_bytes(), &request])
}

/// What is said of a no, to the model too.
#[must_use]
pub fn denied(reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("the operator was asked and said no: {reason}"),
        None => "the operator was asked and said no".to_owned(),
    }
}

/// The digest of a tool's authority.
#[must_use]
pub fn authority_digest(authority: &ToolAuthority) -> Digest {
    match serde_json::to_vec(authority) {
        Ok(bytes) => Digest::of(&bytes),
        Err(error) => unreachable!("authority is plain data: {error}"),
    }
}

/// Whether a rule asks a person before this call. One that has sent something already is only brought to its end.
fn asks_before(state: &State, pending: &PendingCall) -> bool {
    let has_sent = match &pending.status {
        CallStatus::Interrupted(attempt) => !attempt.sends.is_empty(),
        CallStatus::Proposed
        | CallStatus::Running(_)
        | CallStatus::InDoubt { .. }
        | CallStatus::Again { .. }
        | CallStatus::Finished(_) => false,
    };
    let asks = |tool: usize| state.authorities[tool].asks_before_call().is_some();
    !has_sent && pending.tool.is_some_and(asks)
}
