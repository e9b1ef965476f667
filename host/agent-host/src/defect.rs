//! Planted defects: what a test build does wrong on request, `AGENT_HOST_DEFECT=NAME`, so that the crash harness is seen to
//! catch it. A build without the feature `failpoints` has none.

use agent_core::event::EffectIntended;
use agent_core::state::State;

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Nothing is ever synced.
    SkipSync,
    /// What a call wrote is not synced before its end is recorded.
    SkipFileSync,
    /// A resumed run forgets that its calls had announced writes.
    #[cfg(feature = "failpoints")]
    RepeatDoubt,
    /// A resumed run takes every announced write for one that a key makes safe to send again.
    #[cfg(feature = "failpoints")]
    ResendDoubt,
    /// A resumed run forgets the turns and tokens that it had used.
    #[cfg(feature = "failpoints")]
    Refund,
    /// A write is announced when it has been answered.
    #[cfg(feature = "failpoints")]
    ActBeforeRecord,
    /// A host that lost its lease writes on.
    IgnoreEpoch,
}

/// Whether the test asked for it.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn is_planted(defect: Defect) -> bool {
    static PLANTED: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("AGENT_HOST_DEFECT").unwrap_or_default());
    let name = match defect {
        Defect::SkipSync => "skip-sync",
        Defect::SkipFileSync => "skip-file-sync",
        Defect::RepeatDoubt => "repeat-doubt",
        Defect::ResendDoubt => "resend-doubt",
        Defect::Refund => "refund",
        Defect::ActBeforeRecord => "act-before-record",
        Defect::IgnoreEpoch => "ignore-epoch",
    };
    *PLANTED == name
}

/// Never, in a build for use.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub const fn is_planted(_defect: Defect) -> bool {
    false
}

/// [`Defect::ActBeforeRecord`]: whether this announcement is put off until the answer is there.
#[cfg(feature = "failpoints")]
pub fn puts_off(event: &EffectIntended) -> bool {
    if is_planted(Defect::ActBeforeRecord) {
        let mut events = PUT_OFF.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        events.push(event.clone());
        return true;
    }
    false
}

/// What was put off until now.
#[cfg(feature = "failpoints")]
pub fn put_off() -> Vec<EffectIntended> {
    std::mem::take(&mut PUT_OFF.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

#[cfg(feature = "failpoints")]
static PUT_OFF: std::sync::Mutex<Vec<EffectIntended>> = std::sync::Mutex::new(Vec::new());

/// [`Defect::RepeatDoubt`]: takes back every announcement of a write that has no result. [`Defect::ResendDoubt`]: gives each of them
/// the class of one that may be sent again. [`Defect::Refund`]: as if nothing had been asked of a model.
#[cfg(feature = "failpoints")]
pub fn misread(state: &mut State) {
    use agent_core::effect::EffectClass;
    use agent_core::pending::CallStatus;
    use agent_core::state::Phase;
    if is_planted(Defect::Refund) {
        (state.spent.turns, state.spent.input_tokens, state.spent.output_tokens) = (0, 0, 0);
    }
    let Phase::Acting(calls) = &mut state.phase else { return };
    let (forgets, resends) = (is_planted(Defect::RepeatDoubt), is_planted(Defect::ResendDoubt));
    for call in calls {
        if let CallStatus::Running(attempt) | CallStatus::Interrupted(attempt) = &mut call.status {
            attempt.sends.retain(|send| !forgets || send.result().is_some());
            attempt.sends.iter_mut().filter(|_| resends).for_each(|send| send.class = EffectClass::KeyedWrite);
        }
    }
}

/// Never, in a build for use.
#[cfg(not(feature = "failpoints"))]
pub const fn puts_off(_event: &EffectIntended) -> bool {
    false
}

/// Nothing, in a build for use.
#[cfg(not(feature = "failpoints"))]
pub const fn put_off() -> [EffectIntended; 0] {
    []
}

/// Nothing, in a build for use.
#[cfg(not(feature = "failpoints"))]
pub const fn misread(_state: &mut State) {}
