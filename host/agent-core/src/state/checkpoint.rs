//! A checkpoint: the fold of a run as it is stored, so that who takes up a long run need not read all of it. Only ever an
//! optimisation: the events are the truth, and what comes of a checkpoint is the state that folding them gives. The journal keeps the
//! last one of each run.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Asking, Conversation, Phase, Repeats, State, descriptors, places};
use crate::budget::{Budget, Spent};
use crate::config::resolve::ToolAuthority;
use crate::digest::Digest;
use crate::message::Message;
use crate::name::RunId;
use crate::run_events::RunStarted;
use crate::units::UnixMillis;

/// Which fold a checkpoint is of: the program's version, and a number. Whoever changes what folding the same events gives, or the
/// form below, raises the number: a checkpoint of another fold is passed over.
pub const FOLD: &str = concat!(env!("CARGO_PKG_VERSION"), "/1");

/// Events after which the first checkpoint is due, and the next one at the earliest: some milliseconds of reading.
const EVENTS_MIN: u64 = 2_000;

/// And the part of what came before: a checkpoint is as long as the conversation, so that one after each so many events would make
/// long runs quadratic.
const PART: u64 = 4;

/// Whether a run with events up to number `seq` should have a new checkpoint after that of number `last`, which is 0 where there is
/// none. What is left to read is then at most a fifth of a long run.
#[must_use]
pub fn is_due(last: u64, seq: u64) -> bool {
    seq.saturating_sub(last) >= EVENTS_MIN.max(last / PART)
}

/// The stored form of a state at rest. Whoever kept it says whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint<'s> {
    seq: u64,
    epoch: u64,
    at: UnixMillis,
    started: Cow<'s, RunStarted>,
    authorities: Cow<'s, [ToolAuthority]>,
    /// Without what was said in earlier runs of its session: they are kept elsewhere.
    messages: Cow<'s, [Message]>,
    rest: Rest,
    budget: Cow<'s, Budget>,
    spent: Cow<'s, Spent>,
    repeated: Option<Digest>,
    repeats: u32,
    failures_in_row: u32,
    replies: u32,
    next_call: u32,
    has_asked: bool,
    copied: Option<u64>,
}

/// A phase in which nothing is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Rest {
    /// The turn of that number begins.
    Turn(u32),
    /// Clients may ask for calls, and none is pending.
    Serving,
}

impl Checkpoint<'_> {
    /// The number of the last event that is in it.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The state of that run.
    #[must_use]
    pub fn into_state(self, run: RunId) -> State {
        let started = self.started.into_owned();
        State {
            run,
            authorities: self.authorities.into_owned(),
            descriptors: descriptors(&started.tools),
            places: places(&started.tools),
            messages: Arc::new(self.messages.into_owned()),
            phase: match self.rest {
                Rest::Turn(turn) => Phase::Asking(Asking::turn(turn)),
                Rest::Serving => Phase::Serving(Vec::new()),
            },
            stopped: None,
            budget: self.budget.into_owned(),
            spent: self.spent.into_owned(),
            repeats: Repeats { digest: self.repeated, count: self.repeats },
            failures_in_row: self.failures_in_row,
            seq: self.seq,
            replies: self.replies,
            next_call: self.next_call,
            last_at: self.at,
            last_epoch: self.epoch,
            has_asked: self.has_asked,
            copied: self.copied,
            carried: 0,
            conversation: Conversation::Kept,
            started,
        }
    }
}

impl State {
    /// Its stored form. `None` while something is going on, which is soon over: what a call has announced is not stored.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint<'_>> {
        let rest = self.rest()?;
        Some(Checkpoint {
            seq: self.seq,
            epoch: self.last_epoch,
            at: self.last_at,
            started: Cow::Borrowed(&self.started),
            authorities: Cow::Borrowed(&self.authorities),
            messages: Cow::Borrowed(self.messages.get(self.carried..)?),
            rest,
            budget: Cow::Borrowed(&self.budget),
            spent: Cow::Borrowed(&self.spent),
            repeated: self.repeats.digest,
            repeats: self.repeats.count,
            failures_in_row: self.failures_in_row,
            replies: self.replies,
            next_call: self.next_call,
            has_asked: self.has_asked,
            copied: self.copied,
        })
    }

    fn rest(&self) -> Option<Rest> {
        // Where nothing of the conversation before could be carried, the model is told so in the run's own first message.
        let is_told_in_own = self.carried == 0 && self.started.earlier.left_out > 0;
        if self.stopped.is_some() || self.conversation == Conversation::LeftOut || is_told_in_own {
            return None;
        }
        match &self.phase {
            Phase::Asking(asking) if *asking == Asking::turn(asking.turn) => Some(Rest::Turn(asking.turn)),
            Phase::Serving(calls) if calls.is_empty() => Some(Rest::Serving),
            Phase::Asking(_) | Phase::Serving(_) | Phase::Acting(_) | Phase::Answered(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many checkpoints a run of that many events has, and the most events that stand after one.
    fn kept(events: u64) -> (u32, u64) {
        let (mut last, mut count, mut longest) = (0, 0, 0);
        for seq in 1..=events {
            longest = longest.max(seq - last);
            if is_due(last, seq) {
                (last, count) = (seq, count + 1);
            }
        }
        (count, longest)
    }

    #[test]
    fn a_long_run_has_few_checkpoints_and_little_after_the_last() {
        assert_eq!(kept(1_999), (0, 1_999));
        assert_eq!(kept(10_000), (5, 2_000));
        let (count, longest) = kept(1_000_000);
        assert!(count < 30 && longest <= 200_000, "{count}, {longest}");
    }
}
