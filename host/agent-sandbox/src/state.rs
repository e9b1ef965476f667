//! What the host functions of one call work on: the data of its wasmtime `Store`. Also the one place through which every
//! answer to a guest goes: [`CallState::ask`] charges and begins a transcript entry, [`CallState::answer`] ends it. Where the
//! call is replayed, the one compares the question with the record and the other answers from it (`replay`).

use std::any::Any;
use std::sync::Arc;

use agent_core::effect::Effect;
use agent_core::limits::Limits;
use agent_core::outcome::Fault;
use agent_core::units::{Bytes, UnixMillis};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as FsErrorCode;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode as SocketErrorCode;
use wasmtime_wasi::p2::{FsError, SocketError, StreamError};
use wasmtime_wasi_http::WasiHttpCtx;
use wasmtime_wasi_http::p2::{HeaderError, HttpError};

use crate::advance::Advances;
use crate::call::Variable;
use crate::charge::{BYTES_PER_UNIT, Charge};
use crate::defence::{self, Defence};
use crate::effects::Effects;
use crate::hosts::cli::{Console, Printed};
use crate::hosts::clocks::{Clock, ClockGrain};
use crate::hosts::fs::{Files, StreamFailure};
use crate::hosts::http::{Bounds, Drafts, HttpSender, Past, Resolver, SenderParts};
use crate::hosts::kv::View;
use crate::hosts::log::{GuestLog, KeptLog};
use crate::hosts::random::Random;
use crate::kv::{KvChange, Stores};
use crate::layer::{self, Layer};
use crate::limiter::CallLimiter;
use crate::mount::Mount;
use crate::pace::Lent;
use crate::patience::Patience;
use crate::replay::{Followed, Following, Replay, Settled};
use crate::report;
use crate::secrets::CallSecrets;
use crate::stop::Stop;
use crate::transcript::{Decode, Encode, Operation, Recall, Recorder, Transcript, decode_all};

/// The state of one call.
pub(crate) struct CallState {
    /// Counts memory and tables.
    pub(crate) limiter: CallLimiter,
    /// The objects behind the guest's handles.
    pub(crate) table: ResourceTable,
    pub(crate) effects: Arc<Effects>,
    pub(crate) files: Files,
    pub(crate) kv: View,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) console: Console,
    pub(crate) log: GuestLog,
    pub(crate) http: WasiHttpCtx,
    pub(crate) sender: HttpSender,
    pub(crate) drafts: Drafts,
    pub(crate) secrets: CallSecrets,
    time: CallTime,
    charge: Charge,
    recorder: Recorder,
    /// What of an attempt before is still to be done again.
    pub(crate) replay: Following,
}

/// When a call must end.
struct CallTime {
    patience: Arc<Patience>,
    cancel: CancellationToken,
    limits: Limits,
}

/// What a call's state is made of.
pub(crate) struct CallParts {
    /// The directories that were granted, opened.
    pub(crate) mounts: Vec<Mount>,
    /// The component's key-value stores.
    pub(crate) stores: Arc<dyn Stores>,
    /// The environment that was granted, with values.
    pub(crate) env: Vec<Variable>,
    /// The secrets that were granted.
    pub(crate) secrets: CallSecrets,
    /// The ceilings.
    pub(crate) limits: Limits,
    /// Seeds the guest's random numbers.
    pub(crate) seed: [u8; 32],
    /// What the guest's clock says when the call begins.
    pub(crate) clock_start: UnixMillis,
    /// How fine the guest's time is.
    pub(crate) clock: ClockGrain,
    /// What every effect passes.
    pub(crate) effects: Arc<Effects>,
    /// The call's deadline.
    pub(crate) patience: Arc<Patience>,
    /// Looks up the names that its requests go to, as for all calls of its component.
    pub(crate) resolver: Arc<Resolver>,
    /// Ends the call.
    pub(crate) cancel: CancellationToken,
    /// Whether it is on its caller's thread.
    pub(crate) lent: Lent,
    /// What of an attempt before is to be done again.
    pub(crate) replay: Option<Replay>,
    /// Where requests are sent: a runtime that outlives the guest, so that each completes and is recorded.
    pub(crate) host: tokio::runtime::Handle,
}

/// What a call did, once nothing of it runs any more.
pub(crate) struct Account {
    /// What it did, in order.
    pub(crate) effects: Vec<Effect>,
    /// How many looks and refusals are not among them.
    pub(crate) effects_dropped: u64,
    /// Where the changes are whose end is not recorded yet.
    pub(crate) announced: Arc<Effects>,
    /// What it wants changed in its stores.
    pub(crate) kv: Vec<KvChange>,
    /// What it printed.
    pub(crate) printed: Printed,
    /// What it logged.
    pub(crate) log: KeptLog,
    /// Every answer the guest had.
    pub(crate) transcript: Transcript,
    /// Why a replayed call is not what it was, where nothing has stopped it for that yet.
    pub(crate) divergence: Option<String>,
    /// Host calls, weighted.
    pub(crate) host_calls: u64,
}

impl CallState {
    /// The state of a call that is about to begin.
    pub(crate) fn new(parts: CallParts) -> wasmtime::Result<Self> {
        let CallParts {
            mounts,
            stores,
            env,
            secrets,
            limits,
            seed,
            clock_start,
            clock,
            effects,
            patience,
            resolver,
            cancel,
            lent,
            replay,
            host,
        } = parts;
        let recorder = replay.as_ref().map_or_else(Recorder::default, |replay| Recorder::along(&replay.transcript));
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(defence::limit(Defence::Handles, limits.handles))?);
        let bounds = Bounds::of(&limits);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(bounds.fields_memory_bytes());
        let transcript = recorder.shared();
        let following = Following::begin(replay.as_ref());
        let time = CallTime { patience: patience.clone(), cancel: cancel.clone(), limits: limits.clone() };
        let sender = SenderParts {
            bounds,
            effects: effects.clone(),
            transcript,
            secrets: secrets.clone(),
            patience,
            resolver,
            ended: cancel.clone(),
            // Not the call's own: a write that was sent may be answered in a moment, and giving it up makes a doubt of it.
            give_up: CancellationToken::new(),
            past: replay.map(Past::of),
            host,
        };
        let sender = HttpSender::new(sender);
        Ok(Self {
            limiter: CallLimiter::new(&limits, lent.clone()),
            table,
            files: Files::new(mounts, &limits, effects.clone()),
            kv: View::new(stores, &limits),
            clock: Clock::new(clock_start, clock),
            random: Random::new(seed, limits.random_bytes),
            console: Console::new(env, Bytes(defence::limit(Defence::PrintedBytes, limits.output_bytes.0))),
            log: GuestLog::new(&limits),
            http,
            drafts: Drafts::new(bounds, sender.replaying()),
            sender,
            secrets,
            time,
            charge: Charge::new(defence::limit(Defence::HostCalls, limits.host_calls), lent),
            effects,
            recorder,
            replay: following,
        })
    }

    /// Waits until nothing of the call runs any more, and says what it did. File work is done inside host functions, so
    /// only requests can still be under way.
    pub(crate) async fn finish(self) -> Account {
        self.sender.join().await;
        drop(self.table);
        self.files.end();
        let divergence = self.effects.divergence().or_else(|| self.replay.rest()).or_else(|| self.sender.unclaimed());
        let (effects, effects_dropped) = self.effects.finish();
        Account {
            effects,
            effects_dropped,
            announced: self.effects,
            log: self.log.finish(),
            kv: self.kv.finish(),
            printed: self.console.finish(),
            transcript: self.recorder.finish(),
            divergence,
            host_calls: self.charge.used().saturating_add(self.limiter.growths()),
        }
    }

    /// What takes the call's fuel.
    pub(crate) fn advances(&self) -> Advances {
        Advances::new(Arc::clone(&self.effects), self.limiter.shown_memory(), &self.time.limits)
    }

    /// Charges for a host call whose answer follows from what the guest said before and needs no record.
    pub(crate) fn pay(&mut self) -> Result<(), Stop> {
        self.may_go_on()?;
        self.charge.take(1 + self.effects.take_owed() / BYTES_PER_UNIT)
    }

    /// Whether the call still has its time, and all that it did could be recorded: asked within work that takes long, too.
    pub(crate) fn may_go_on(&self) -> Result<(), Stop> {
        self.effects.check_open()?;
        self.time.check()
    }

    /// Charges for work beyond that of an ordinary call.
    pub(crate) fn pay_extra(&mut self, units: u64) -> Result<(), Stop> {
        self.charge.take(units)
    }

    /// Charges for a host call and begins its transcript entry. `handles` are the table numbers of the handles that the
    /// guest passed, `request` the other arguments.
    pub(crate) fn ask(&mut self, operation: Operation, handles: &[u32], request: &dyn Encode) -> Result<(), Stop> {
        self.pay()?;
        let length = self.recorder.ask(operation, handles, request);
        self.charge.take_bytes(length)?;
        match self.replay.follow(self.recorder.asked())? {
            Followed::Live => Ok(()),
            Followed::Told => {
                self.effects.replaying(true);
                Ok(())
            }
            Followed::Ended => {
                self.effects.replaying(false);
                self.drafts.goes_live();
                self.restart_timers()
            }
        }
    }

    /// Ends the entry that [`CallState::ask`] began and passes the answer on; where the call is replayed, the recorded one. A
    /// trap is not recorded: it ends the call.
    pub(crate) fn answer<T: Encode + Recall, E: GuestError>(&mut self, now: Result<T, E>) -> Result<T, E> {
        match self.replay.settle(now) {
            Settled::Live(answered) => self.answer_live(answered),
            Settled::Over(error) => Err(error),
            Settled::Told { given, answer, effects } => {
                self.effects.number_to(effects);
                let length = self.recorder.answer_sharing(effects, answer, |_| ());
                self.charge.take_bytes(length)?;
                given
            }
        }
    }

    fn answer_live<T: Encode, E: GuestError>(&mut self, answered: Result<T, E>) -> Result<T, E> {
        let effects = self.effects.last();
        let length = match &answered {
            Ok(value) => self.recorder.answer_sharing(effects, value.shared(), |out| {
                out.push(0);
                value.encode(out);
            }),
            Err(error) => match error.refusal() {
                Some(refusal) => self.recorder.answer(effects, |out| {
                    out.push(1);
                    out.extend(refusal);
                }),
                None => return answered,
            },
        };
        self.charge.take_bytes(length)?;
        answered
    }

    /// The recorded answer, where the call is replayed: for what is only looked at, which is not looked at again.
    pub(crate) fn recall<T: Decode, E: GuestError>(&mut self) -> Option<Result<T, E>> {
        self.replay.recall()
    }

    /// The recorded answer, where the call is replayed and nothing may be touched: for what is otherwise done again.
    pub(crate) fn recall_offline<T: Decode, E: GuestError>(&mut self) -> Option<Result<T, E>> {
        if self.replay.is_offline() { self.replay.recall() } else { None }
    }

    /// Where nothing may be touched, an object with nothing behind it, or the recorded failure to make one.
    pub(crate) fn offline<T, E: GuestError>(
        &mut self,
        nothing: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        if !self.replay.is_offline() {
            return None;
        }
        Some(self.replay.recall_failure().map_or_else(|| nothing(self), Err))
    }

    /// Puts an object behind a new handle.
    pub(crate) fn push<T: Any + Send>(&mut self, object: T) -> Result<Resource<T>, Stop> {
        self.table.push(object).map_err(table_stop)
    }

    /// The guest gave a handle back.
    pub(crate) fn forget(&mut self, handle: u32) {
        self.recorder.forget(handle);
        self.clock.forget(handle);
        self.drafts.forget(handle);
        self.replay.forget(handle);
    }
}

impl CallTime {
    /// Ends a call whose time is over. Whoever watches the clock can drop a guest only where it waits or yields, and a guest
    /// that does nothing but host calls, each with much work for the host and little fuel, does neither for minutes.
    fn check(&self) -> Result<(), Stop> {
        if layer::is_off(Layer::Deadline) {
            return Ok(());
        }
        if self.cancel.is_cancelled() {
            Err(Stop::fault(Fault::Cancelled, report::CANCELLED))
        } else if self.patience.is_over() && !defence::is_off(Defence::Deadline) {
            Err(Stop::fault(Fault::DeadlineExceeded, report::deadline_message(&self.limits)))
        } else {
            Ok(())
        }
    }
}

/// What is said of a call that has no room for another object.
pub(crate) const HANDLES_FULL: &str = "the tool holds too many resource handles at once; raise `limits.handles`";

/// Turns a failure of the resource table into the call's end.
pub(crate) fn table_stop(error: ResourceTableError) -> Stop {
    match error {
        ResourceTableError::Full => Stop::fault(Fault::HandleLimit, HANDLES_FULL),
        other => Stop::fault(Fault::GuestTrap, format!("the tool used a resource handle wrongly: {other}")),
    }
}

/// An error that a host function answers with: for the guest, or the call's end.
pub(crate) trait GuestError: From<Stop> {
    /// The byte form of an error that the guest sees; `None` if it is the call's end.
    fn refusal(&self) -> Option<Vec<u8>>;

    /// The error of this byte form.
    fn recall(refusal: &[u8]) -> Option<Self>;
}

impl GuestError for wasmtime::Error {
    fn refusal(&self) -> Option<Vec<u8>> {
        None
    }

    fn recall(_: &[u8]) -> Option<Self> {
        None
    }
}

impl GuestError for FsError {
    fn refusal(&self) -> Option<Vec<u8>> {
        self.downcast_ref().map(|code: &FsErrorCode| vec![*code as u8])
    }

    fn recall(refusal: &[u8]) -> Option<Self> {
        decode_all::<FsErrorCode>(refusal).map(Self::from)
    }
}

impl GuestError for SocketError {
    fn refusal(&self) -> Option<Vec<u8>> {
        self.downcast_ref().map(|code: &SocketErrorCode| vec![*code as u8])
    }

    fn recall(refusal: &[u8]) -> Option<Self> {
        // The only one that this host gives.
        (refusal == [SocketErrorCode::AccessDenied as u8]).then(|| SocketErrorCode::AccessDenied.into())
    }
}

impl GuestError for StreamError {
    fn refusal(&self) -> Option<Vec<u8>> {
        match self {
            Self::Closed => Some(vec![0]),
            Self::LastOperationFailed(error) => {
                let mut bytes = vec![1];
                let code = error.downcast_ref().map(|failure: &StreamFailure| failure.code);
                (code, format!("{error:#}")).encode(&mut bytes);
                Some(bytes)
            }
            Self::Trap(_) => None,
        }
    }

    fn recall(refusal: &[u8]) -> Option<Self> {
        match refusal.split_first()? {
            (0, []) => Some(Self::Closed),
            (1, rest) => Some(match decode_all::<(Option<FsErrorCode>, String)>(rest)? {
                (Some(code), text) => StreamFailure { code, text }.into(),
                (None, text) => Self::LastOperationFailed(wasmtime::Error::msg(text)),
            }),
            _ => None,
        }
    }
}

impl GuestError for HttpError {
    fn refusal(&self) -> Option<Vec<u8>> {
        self.downcast_ref().map(|code| {
            let mut bytes = Vec::new();
            crate::hosts::http::encode_error(code, &mut bytes);
            bytes
        })
    }

    fn recall(refusal: &[u8]) -> Option<Self> {
        crate::hosts::http::decode_error(refusal).map(Self::from)
    }
}

impl From<Stop> for FsError {
    fn from(stop: Stop) -> Self {
        Self::trap(stop)
    }
}

impl From<Stop> for SocketError {
    fn from(stop: Stop) -> Self {
        Self::trap(stop)
    }
}

impl From<Stop> for StreamError {
    fn from(stop: Stop) -> Self {
        Self::Trap(stop.into())
    }
}

impl From<Stop> for HttpError {
    fn from(stop: Stop) -> Self {
        Self::trap(stop)
    }
}

impl From<Stop> for HeaderError {
    fn from(stop: Stop) -> Self {
        Self::trap(stop)
    }
}
