//! The effects of one call: each is numbered, decided by the gate, and recorded with what came of it. Every capability host
//! goes through here; nothing else talks to the gate. `announcing` is what must be durable before or after an effect.

mod announcing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agent_core::effect::{Decision, Effect, EffectClass, EffectRequest, EffectResult, Refusal, Ruling};
use agent_core::grant::RuleSource;
use agent_core::outcome::{Fault, LogRecord};
use agent_core::units::{Bytes, Millis};

use crate::defence::{self, Defence};
use crate::gate::{EffectGate, GateClosed, Progress};
use crate::layer::{self, Layer};
use crate::patience::Patience;
use crate::replay::diverged;
use crate::secrets::CallSecrets;
use crate::stop::Stop;

/// Looks and refusals kept of one call; further ones are counted. Writes are always kept, and so is every request that was
/// allowed: a read of a server writes to somebody's log.
const LOOKS_KEPT_MAX: usize = 10_000;

/// All texts of one call's effects, with what an effect takes besides. Reads and refusals beyond half of it are counted; a call
/// whose writes and requests fill it ends, since they are never left out.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// What an effect takes besides the texts of its request.
const EFFECT_BYTES: usize = 256;

/// Longest path, URL or operation in a record: a guest chooses them.
pub(crate) const TEXT_BYTES_MAX: usize = 8 << 10;

/// The effects of one call. Shared with the tasks that send requests.
pub(crate) struct Effects {
    gate: Arc<dyn EffectGate>,
    patience: Arc<Patience>,
    /// Taken out of all that is announced: the journal keeps it as it is.
    secrets: CallSecrets,
    /// When the attempt began: what the times of its effects are counted from.
    began: Instant,
    book: Mutex<Book>,
    /// Held while something is announced, so that nothing is once the call is over.
    announcing: tokio::sync::Mutex<()>,
    /// Bytes of work for its effects that the call has not been charged for yet: whoever does it, such as a stream that is
    /// waited for, cannot reach the call's charge.
    owed: AtomicU64,
}

#[derive(Default)]
struct Book {
    last: u32,
    kept: BTreeMap<u32, Effect>,
    kept_bytes: usize,
    dropped: u64,
    closed: Option<GateClosed>,
    /// Changes of files that were announced as opaque writes and whose end is not recorded yet.
    opaque: BTreeSet<u32>,
    /// The guest is answered from the record of an attempt before: what it does is done again.
    replaying: bool,
    /// The effects are those of a record, and stay as they are.
    of_record: bool,
    /// Why what is sent now is not what was sent then.
    divergence: Option<String>,
}

/// When an effect is decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// It is about to happen.
    First,
    /// An attempt before has done it, and this one does it again along the record.
    Again,
    /// An attempt before has done it or failed to, and this one is only told so.
    Told,
}

/// An effect that was allowed and is about to happen.
#[derive(Debug, Clone)]
pub(crate) struct Permit {
    /// Its number within the call.
    pub(crate) number: u32,
    /// What was asked.
    pub(crate) request: EffectRequest,
    /// The gate's answer.
    pub(crate) ruling: Ruling,
    at: Millis,
    since: Instant,
    /// An attempt before has done it already.
    replayed: bool,
}

/// An effect that was refused and recorded as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) Refusal);

impl Effects {
    /// No effects yet.
    pub(crate) fn new(gate: Arc<dyn EffectGate>, patience: Arc<Patience>, secrets: CallSecrets) -> Self {
        let (book, announcing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { gate, patience, secrets, began: Instant::now(), book, announcing, owed: AtomicU64::new(0) }
    }

    /// The effects of a call that is replayed without touching anything.
    pub(crate) fn of_record(
        gate: Arc<dyn EffectGate>,
        patience: Arc<Patience>,
        secrets: CallSecrets,
        effects: &[Effect],
    ) -> Self {
        let kept = effects.iter().map(|effect| (effect.number, effect.clone())).collect();
        let book = Book { kept, of_record: true, ..Book::default() };
        Self { book: Mutex::new(book), ..Self::new(gate, patience, secrets) }
    }

    /// Whether the guest is answered from the record of an attempt before, from now on.
    pub(crate) fn replaying(&self, replaying: bool) {
        self.book().replaying = replaying;
    }

    /// Work of so many bytes was done for an effect: charged with the next host call.
    pub(crate) fn owe(&self, bytes: u64) {
        self.owed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is to be charged by now.
    pub(crate) fn take_owed(&self) -> u64 {
        self.owed.swap(0, Ordering::Relaxed)
    }

    /// The number of the last effect.
    pub(crate) fn last(&self) -> u32 {
        self.book().last
    }

    /// Goes on after this number: what an attempt before has numbered keeps its number, though the world may have changed and
    /// now refuse more or less.
    pub(crate) fn number_to(&self, last: u32) {
        self.book().last = last;
    }

    /// Ends the call: what is about to be sent is not what was sent then.
    pub(crate) fn diverge(&self, why: String) {
        self.book().divergence.get_or_insert(why);
    }

    /// Why the call is not what it was then, if something that was sent says so.
    pub(crate) fn divergence(&self) -> Option<String> {
        self.book().divergence.clone()
    }

    /// The next number. Taken when the guest asks, so that numbers follow the guest's order.
    pub(crate) fn number(&self) -> u32 {
        let mut book = self.book();
        book.last += 1;
        book.last
    }

    /// Asks the gate about an effect that was just numbered. The deadline stands still while a person is asked.
    pub(crate) async fn decide(&self, number: u32, request: EffectRequest) -> Result<Permit, Refused> {
        let occasion = if self.book().replaying { Occasion::Again } else { Occasion::First };
        self.decide_on(occasion, number, request).await
    }

    /// Asks the gate about an effect that was numbered before, and that happens now, whatever the guest is told meanwhile.
    pub(crate) async fn decide_numbered(&self, number: u32, request: EffectRequest) -> Result<Permit, Refused> {
        self.decide_on(Occasion::First, number, request).await
    }

    /// What the gate says of an effect that was numbered before, and that the guest is only told of once more.
    pub(crate) async fn decide_told(&self, number: u32, request: EffectRequest) -> Result<Permit, Refused> {
        self.decide_on(Occasion::Told, number, request).await
    }

    async fn decide_on(&self, occasion: Occasion, number: u32, request: EffectRequest) -> Result<Permit, Refused> {
        let request = self.shortened(request);
        if self.book().closed.is_some() {
            return Err(Refused(Refusal::FsDenied));
        }
        let mut ruling = if layer::is_off(Layer::Gate) {
            ungated(&request)
        } else {
            self.patience.waiting(self.asked(occasion, number, &request)).await
        };
        let off = match request {
            EffectRequest::Http { .. } => defence::is_off(Defence::NetDenied),
            EffectRequest::Kv { .. } => defence::is_off(Defence::KvDenied),
            EffectRequest::File { .. } | EffectRequest::Env { .. } | EffectRequest::Socket { .. } => false,
        };
        if off {
            ruling.decision = Decision::Allow { rule: RuleSource("defence off".to_owned()) };
        }
        match ruling.decision {
            Decision::Allow { .. } => Ok(self.permit(number, request, ruling)),
            Decision::Deny { refusal, .. } => {
                self.keep(self.refused(number, request, ruling.class, ruling.decision));
                Err(Refused(refusal))
            }
        }
    }

    async fn asked(&self, occasion: Occasion, number: u32, request: &EffectRequest) -> Ruling {
        match occasion {
            Occasion::First => self.gate.decide(number, request).await,
            Occasion::Again => self.gate.decide_again(number, request).await,
            Occasion::Told => self.gate.decide_told(number, request).await,
        }
    }

    /// Asks the gate about a look of which there are too many to list. Only a refusal is recorded.
    pub(crate) async fn decide_look(&self, request: EffectRequest) -> Result<(), Refused> {
        let request = self.shortened(request);
        let occasion = if self.book().replaying { Occasion::Told } else { Occasion::First };
        let ruling = self.patience.waiting(self.asked(occasion, 0, &request)).await;
        match ruling.decision {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny { refusal, .. } => {
                self.keep(self.refused(self.number(), request, ruling.class, ruling.decision));
                Err(Refused(refusal))
            }
        }
    }

    /// Records that the sandbox itself refused an effect, whatever the gate would say.
    pub(crate) fn refuse(&self, request: EffectRequest, refusal: Refusal, rule: &str, hint: Option<&str>) -> Refused {
        self.refuse_numbered(self.number(), request, refusal, (rule, hint))
    }

    /// As [`Effects::refuse`], for an effect that was numbered before.
    pub(crate) fn refuse_numbered(
        &self,
        number: u32,
        request: EffectRequest,
        refusal: Refusal,
        (rule, hint): (&str, Option<&str>),
    ) -> Refused {
        let decision = Decision::Deny { refusal, rule: rule.to_owned(), hint: hint.map(str::to_owned) };
        let class = request.class(false);
        self.keep(self.refused(number, self.shortened(request), class, decision));
        Refused(refusal)
    }

    /// Records a look that needs no decision, such as one at a granted variable, and what the guest saw by it.
    pub(crate) fn note(&self, request: EffectRequest, rule: &RuleSource, bytes_in: Bytes) {
        let ruling = Ruling::plain(Decision::Allow { rule: rule.clone() }, request.class(false));
        let permit = self.permit(self.number(), self.shortened(request), ruling);
        self.keep(permit.effect(EffectResult::Done(String::new()), Bytes(0), bytes_in));
    }

    fn permit(&self, number: u32, request: EffectRequest, ruling: Ruling) -> Permit {
        let (at, since, replayed) = (self.now(), Instant::now(), self.book().replaying);
        Permit { number, request, ruling, at, since, replayed }
    }

    /// Whether the guest is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.patience.has_ended()
    }

    /// Passes a guest's word on.
    pub(crate) fn progress(&self, progress: Progress) {
        self.gate.progress(progress);
    }

    pub(crate) fn logged(&self, record: &LogRecord) {
        self.gate.logged(record);
    }

    /// Records what came of an effect.
    pub(crate) fn settle(&self, permit: Permit, result: EffectResult) {
        self.keep(permit.effect(result, Bytes(0), Bytes(0)));
    }

    /// Records a finished effect.
    pub(crate) fn keep(&self, effect: Effect) {
        if layer::is_off(Layer::Effects) {
            return;
        }
        let mut book = self.book();
        if book.of_record {
            return;
        }
        let tells_or_changes = effect.class > EffectClass::Read || effect.egress;
        let is_always_kept = tells_or_changes && effect.result != EffectResult::Refused;
        if is_always_kept || book.kept.len() < LOOKS_KEPT_MAX && book.kept_bytes < RECORD_BYTES_MAX / 2 {
            book.kept_bytes += EFFECT_BYTES + text_bytes(&effect.request);
            book.kept.insert(effect.number, effect);
        } else {
            book.dropped += 1;
        }
    }

    /// Adds bytes to an effect that goes on, such as an open file.
    pub(crate) fn count(&self, number: u32, bytes_out: u64, bytes_in: u64) {
        let mut book = self.book();
        let of_record = book.of_record;
        if let Some(effect) = book.kept.get_mut(&number).filter(|_| !of_record) {
            effect.bytes_out = effect.bytes_out.saturating_add(Bytes(bytes_out));
            effect.bytes_in = effect.bytes_in.saturating_add(Bytes(bytes_in));
        }
    }

    /// Fails once something could not be recorded, or there is no room for more: every host function asks, so that the call
    /// ends.
    pub(crate) fn check_open(&self) -> Result<(), Stop> {
        let book = self.book();
        if let Some(closed) = &book.closed {
            return Err(closed.clone().into());
        }
        if let Some(why) = &book.divergence {
            return Err(diverged(why.clone()));
        }
        if book.kept_bytes > RECORD_BYTES_MAX {
            let message =
                format!("the tool did more than can be recorded of one call, {}", Bytes(RECORD_BYTES_MAX as u64));
            return Err(Stop::fault(Fault::HostcallLimit, message));
        }
        Ok(())
    }

    /// The effects in order, without secrets, and how many looks and refusals were not kept.
    pub(crate) fn finish(&self) -> (Vec<Effect>, u64) {
        let mut book = self.book();
        let (kept, dropped) = (std::mem::take(&mut book.kept), std::mem::take(&mut book.dropped));
        let mut kept: Vec<Effect> = kept.into_values().collect();
        kept.iter_mut().for_each(|effect| self.secrets.scrub_effect(effect));
        (kept, dropped)
    }

    /// A request as it is recorded.
    pub(crate) fn as_recorded(&self, request: EffectRequest) -> EffectRequest {
        self.secrets.without_secrets(self.shortened(request))
    }

    fn shortened(&self, mut request: EffectRequest) -> EffectRequest {
        for text in texts(&mut request) {
            *text = self.secrets.cut(std::mem::take(text), TEXT_BYTES_MAX);
        }
        request
    }

    fn refused(&self, number: u32, request: EffectRequest, class: EffectClass, decision: Decision) -> Effect {
        Effect {
            number,
            egress: request.is_egress(),
            request,
            class,
            decision,
            secrets: Vec::new(),
            result: EffectResult::Refused,
            bytes_out: Bytes(0),
            bytes_in: Bytes(0),
            at: self.now(),
            duration: Millis(0),
            replayed: self.book().replaying,
        }
    }

    /// The time since the attempt began.
    fn now(&self) -> Millis {
        millis(self.began.elapsed())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// What was permitted is done now, whatever the guest is told meanwhile.
    pub(crate) fn done_anew(self) -> Self {
        Self { replayed: false, ..self }
    }

    /// The record of what came of it.
    pub(crate) fn effect(self, result: EffectResult, bytes_out: Bytes, bytes_in: Bytes) -> Effect {
        Effect {
            number: self.number,
            egress: self.request.is_egress(),
            request: self.request,
            class: self.ruling.class,
            decision: self.ruling.decision,
            secrets: self.ruling.secrets.into_iter().map(|secret| secret.name).collect(),
            result,
            bytes_out,
            bytes_in,
            at: self.at,
            duration: millis(self.since.elapsed()),
            replayed: self.replayed,
        }
    }
}

/// What the benchmark compares the gate with.
fn ungated(request: &EffectRequest) -> Ruling {
    let decision = Decision::Allow { rule: RuleSource(String::new()) };
    Ruling::plain(decision, request.class(false))
}

fn millis(time: Duration) -> Millis {
    Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn text_bytes(request: &EffectRequest) -> usize {
    match request {
        EffectRequest::File { path, to, .. } => path.len() + to.as_ref().map_or(0, String::len),
        EffectRequest::Http { method, url, .. } => method.len() + url.len(),
        EffectRequest::Env { name } => name.len(),
        EffectRequest::Kv { store, key, .. } => store.len() + key.as_ref().map_or(0, String::len),
        EffectRequest::Socket { operation } => operation.len(),
    }
}

/// The texts in a request that a guest chose: the name of a store is one too, where it is refused.
pub(crate) fn texts(request: &mut EffectRequest) -> Vec<&mut String> {
    match request {
        EffectRequest::File { path, to, .. } => [path].into_iter().chain(to).collect(),
        EffectRequest::Http { method, url, .. } => vec![method, url],
        EffectRequest::Env { name } => vec![name],
        EffectRequest::Kv { store, key, .. } => [store].into_iter().chain(key).collect(),
        EffectRequest::Socket { operation } => vec![operation],
    }
}
