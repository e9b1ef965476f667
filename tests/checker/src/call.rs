//! One call of a run, as its events tell it: its attempts, what they announced and what came of that, and what a person said.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Invariant;

/// A broken promise, without its place.
pub(crate) type Broken = (Invariant, String);

/// What an effect names as its rule that a person permitted once.
const ONCE: &str = "the operator, this once";

/// A call that the model proposed.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) tool: String,
    /// How many replies there were with the one that asked for it.
    pub(crate) reply: usize,
    pub(crate) attempts: Vec<Attempt>,
    /// The outcome as it was recorded.
    pub(crate) outcome: Option<Value>,
    /// In doubt, and no one has said what happened.
    pub(crate) in_doubt: bool,
    /// It was in doubt, and somebody's word became its outcome.
    pub(crate) settled_by_word: bool,
    /// How often a person said: again, though it may then happen twice.
    pub(crate) retries: u64,
    pub(crate) questions: Vec<Question>,
    /// Effects that were announced under each number, with the attempts that did.
    pub(crate) sends: BTreeMap<u64, Announced>,
    /// Everything that was announced under each number: its class and its request.
    pub(crate) announced: BTreeMap<u64, Value>,
}

/// A question to a person.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) subject: Value,
    pub(crate) digest: String,
    pub(crate) approved: Option<bool>,
    /// When that was recorded.
    pub(crate) answered_at: u64,
}

/// How long a person's yes is good for, in milliseconds, and what a host takes from looking at it to recording what it does.
const APPROVAL_MS_MAX: u64 = 600_000 + 60_000;

impl Question {
    /// Whether the answer was a yes that still holds at that time; whatever the time, where none is given.
    fn holds(&self, at: Option<u64>) -> Result<(), &'static str> {
        match self.approved {
            None => Err("it waits for a person"),
            Some(false) => Err("a person refused"),
            Some(true) if at.is_some_and(|at| at.saturating_sub(self.answered_at) > APPROVAL_MS_MAX) => {
                Err("a person approved too long ago")
            }
            Some(true) => Ok(()),
        }
    }
}

/// A keyed or opaque request, in whichever attempts it was announced.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) class: String,
    pub(crate) key: Option<String>,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u64,
    /// Its host ended, or the run was taken up again.
    pub(crate) interrupted: bool,
    /// Everything that it changed was restored.
    pub(crate) undone: bool,
    pub(crate) intents: BTreeMap<u64, Intent>,
    /// A person said that the call is to be made again.
    pub(crate) by_word: bool,
    pub(crate) permits: Permits,
}

/// Effects that a person permitted once, by number, each as it was asked about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Permits {
    /// To this attempt: they may happen.
    own: BTreeMap<u64, Value>,
    /// To one that it does again along its record: they have happened, and are told or sent again.
    earlier: BTreeMap<u64, Value>,
    /// Before another host vouched for the call: they have happened, and are told again, but not sent.
    told: BTreeMap<u64, Value>,
}

/// Something that an attempt announced.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) class: String,
    /// What came of it; `None` while nothing is recorded.
    pub(crate) result: Option<Value>,
    /// An attempt before announced it, which this one continues.
    pub(crate) inherited: bool,
    /// This attempt announced it once more: what the one before had sent may have arrived, whatever becomes of this.
    pub(crate) repeated: bool,
}

impl Intent {
    pub(crate) fn is_send(&self) -> bool {
        matches!(self.class.as_str(), "keyed_write" | "opaque_write")
    }

    /// Whether it may have happened, and nobody knows.
    fn is_open(&self) -> bool {
        let known = |result: &Value| result.get("unknown").is_none();
        self.is_send() && (!self.result.as_ref().is_some_and(known) || self.repeated && self.is_not_sent())
    }

    /// Whether the attempt that continues the one which announced it may announce it again: a keyed write, or any of which a
    /// person said so.
    pub(crate) fn may_be_repeated(&self, by_word: bool) -> bool {
        self.inherited && (by_word || self.class == "keyed_write") && self.is_open()
    }

    fn is_not_sent(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result == "refused" || result.get("not_sent").is_some())
    }

    /// Whether it certainly did not happen.
    fn is_void(&self) -> bool {
        self.is_not_sent() && !self.repeated
    }
}

impl Attempt {
    pub(crate) fn open_send(&self) -> Option<(u64, &Intent)> {
        self.intents.iter().find(|(_, intent)| intent.is_open()).map(|(number, intent)| (*number, intent))
    }

    /// One without a result that must not be made again.
    pub(crate) fn doubtful_send(&self) -> Option<u64> {
        let doubtful = |(_, intent): &(&u64, &Intent)| intent.is_open() && intent.class != "keyed_write";
        self.intents.iter().find(doubtful).map(|(number, _)| *number)
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.undone && self.intents.values().any(|intent| intent.class == "owned_write")
    }

    /// Takes a person's permit for one effect.
    pub(crate) fn permit(&mut self, number: u64, request: Value) -> Result<(), Broken> {
        match self.permits.own.insert(number, request) {
            None => Ok(()),
            Some(_) => Err((Invariant::I11, format!("effect {number} is permitted twice"))),
        }
    }

    /// An effect that names a person's permit as its rule must have one, and each is for one effect of one attempt.
    pub(crate) fn is_permitted(&self, effect: &Value) -> Result<(), Broken> {
        if effect.pointer("/decision/allow/rule").and_then(Value::as_str) != Some(ONCE) {
            return Ok(());
        }
        let (number, request) = (crate::body::number(effect, "number"), effect.get("request"));
        let was_announced = self.intents.get(&number).is_some_and(|intent| intent.inherited || intent.repeated);
        let is_told = effect.get("replayed") == Some(&Value::Bool(true));
        let earlier = self.permits.earlier.get(&number).filter(|_| was_announced || is_told);
        let told = self.permits.told.get(&number).filter(|_| is_told);
        if [self.permits.own.get(&number), earlier, told]
            .into_iter()
            .flatten()
            .any(|permitted| Some(permitted) == request)
        {
            return Ok(());
        }
        Err((Invariant::I11, format!("effect {number} happened by a permit that was not for it")))
    }

    fn may_have_sent(&self) -> bool {
        !self.sent().is_empty()
    }

    /// What it, or an attempt that it continues, may have sent: so may an attempt that continues this one.
    fn sent(&self) -> BTreeMap<u64, Intent> {
        let sent = self.intents.iter().filter(|(_, intent)| intent.is_send() && !intent.is_void());
        sent.map(|(number, intent)| (*number, Intent { inherited: true, ..intent.clone() })).collect()
    }
}

impl Permits {
    /// What an attempt finds of them that does the same again.
    fn handed_on(&self) -> Self {
        Self { own: BTreeMap::new(), earlier: self.all(), told: self.told.clone() }
    }

    /// What is left of them when another host vouches for the call.
    fn told(&self) -> Self {
        Self {
            told: self.told.iter().map(|(number, request)| (*number, request.clone())).chain(self.all()).collect(),
            ..Self::default()
        }
    }

    fn all(&self) -> BTreeMap<u64, Value> {
        let all = self.earlier.iter().chain(&self.own);
        all.map(|(number, request)| (*number, request.clone())).collect()
    }
}

impl Call {
    pub(crate) fn new(proposed: &Value, reply: usize) -> Self {
        let tool = proposed.get("tool").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { tool, reply, ..Self::default() }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// The attempt of that number, where it is the last one.
    pub(crate) fn attempt(&mut self, number: u64) -> Option<&mut Attempt> {
        self.attempts.last_mut().filter(|attempt| attempt.number == number)
    }

    /// Whether another attempt may start, and as what: `continues` where it replays the one before.
    pub(crate) fn start(&mut self, at: u64, number: u64, continues: bool, retried: bool) -> Result<(), Broken> {
        if self.is_over() {
            return Err((Invariant::I6, "it starts a call that has its outcome".to_owned()));
        }
        if self.in_doubt {
            return Err((Invariant::I7, "it starts a call that is in doubt".to_owned()));
        }
        // A later attempt of what was begun needs no younger word.
        self.allowed_by_person(Some(at).filter(|_| self.attempts.is_empty()))?;
        let last = self.attempts.last();
        if number != last.map_or(1, |last| last.number + 1) {
            return Err((Invariant::I6, format!("it starts attempt {number}, which is not the next")));
        }
        if last.is_some_and(Attempt::has_changes) {
            return Err((Invariant::I4, "it runs the call again before its changes were undone".to_owned()));
        }
        if let Some(last) = last.filter(|_| !retried) {
            if !last.interrupted {
                return Err((Invariant::I6, "an attempt of the call is going on".to_owned()));
            }
            let open = last.open_send().filter(|(_, intent)| intent.class != "keyed_write" || !continues);
            if let Some((number, _)) = open {
                let what = format!("it runs the call again, though its write {number} may have happened");
                return Err((Invariant::I4, what));
            }
            if last.may_have_sent() && !continues {
                return Err((
                    Invariant::I4,
                    "it runs the call from its start, though its write was answered".to_owned(),
                ));
            }
        }
        let continued = last.filter(|_| continues);
        let intents = continued.map(Attempt::sent).unwrap_or_default();
        let permits = continued.map(|last| last.permits.handed_on()).unwrap_or_default();
        self.attempts.push(Attempt { number, interrupted: false, undone: false, intents, by_word: retried, permits });
        Ok(())
    }

    /// Where a person was asked about the whole call, they must have said yes.
    fn allowed_by_person(&self, at: Option<u64>) -> Result<(), Broken> {
        let asked = self.questions.iter().rev().find(|question| question.subject == "call");
        let holds = asked.map_or(Ok(()), |question| question.holds(at));
        holds.map_err(|why| (Invariant::I11, format!("it starts a call although {why}")))
    }

    /// Where a person was asked about this very effect, they must have said yes.
    pub(crate) fn effect_allowed_by_person(&self, at: Option<u64>, number: u64, request: &Value) -> Result<(), Broken> {
        let asked = serde_json::json!({ "effect": { "number": number, "request": request } });
        let asked = self.questions.iter().rev().find(|question| question.subject == asked);
        let holds = asked.map_or(Ok(()), |question| question.holds(at));
        holds.map_err(|why| {
            (Invariant::I11, format!("it announces an effect to which a person has not said yes: {why}"))
        })
    }

    /// A question is open: the last, since an earlier one of the same subject is asked again when its answer no longer counts.
    pub(crate) fn waits_for_an_answer(&self) -> bool {
        !self.is_over() && self.questions.last().is_some_and(|question| question.approved.is_none())
    }

    /// A person is to be asked again what was approved on another host.
    pub(crate) fn forget_approvals(&mut self) {
        let approved = self.questions.iter_mut().filter(|question| question.approved == Some(true));
        approved.for_each(|question| question.approved = None);
        self.attempts.iter_mut().for_each(|attempt| attempt.permits = attempt.permits.told());
    }

    /// Takes a person's answer.
    pub(crate) fn answer(&mut self, digest: &str, approved: bool, at: u64) -> Result<(), Broken> {
        let open = |question: &&mut Question| question.digest == digest && question.approved.is_none();
        match self.questions.iter_mut().rev().find(open) {
            Some(question) => {
                (question.approved, question.answered_at) = (Some(approved), at);
                Ok(())
            }
            None => Err((Invariant::I11, "an answer to no open question".to_owned())),
        }
    }
}
