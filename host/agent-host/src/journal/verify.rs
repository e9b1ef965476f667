//! What can be proved about a run from its journal alone: `agent-host journal verify`.

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::state::State;
use rusqlite::{Connection, OptionalExtension as _};

use super::chain::{self, Chain, Damage, DamageKind, Stored};
use super::error::JournalError;
use super::store::Store;

/// What was proved about a run. `docs/journal.md` says what each part is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The run.
    pub run: RunId,
    /// Events from the first on that are complete, unchanged, and in their order.
    pub intact: u64,
    /// The hash of the last of them. Kept elsewhere, it proves later that nothing up to here was changed.
    pub head: Option<Digest>,
    /// Whether this host wrote them.
    pub marks: Marks,
    /// The first event that is not intact.
    pub damage: Option<Damage>,
}

/// Whose marks the intact events carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// Every one was written by this host, or by one with its key.
    Ours,
    /// From this event on, they may have been written by anybody.
    NotOursFrom(u64),
}

impl Verified {
    /// Whether nothing is damaged. Whose the run is, is another question.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.is_none()
    }
}

pub(super) fn verify(store: &Store, connection: &Connection, run: &RunId) -> Result<Verified, JournalError> {
    let Some(end) = end_of(store, connection, run)? else {
        return Err(JournalError::NoSuchRun { prefix: run.to_string() });
    };
    let mut walk = Walk { store, chain: Chain::begin(run.clone()), marks: Marks::Ours, state: None };
    let damage = match chain::read(connection, run, |stored| walk.see(&stored)) {
        Ok(Ok(())) => end_damage(&walk.chain, end),
        Ok(Err(damage)) => Some(damage),
        Err((seq, error)) => Some(Damage { seq, kind: DamageKind::Unreadable(error.to_string()) }),
    };
    let head = (walk.chain.seq > 0).then_some(walk.chain.head);
    Ok(Verified { run: run.clone(), intact: walk.chain.seq, head, marks: walk.marks, damage })
}

/// Where the run ends, by its row: the number and hash of its last event.
pub(super) fn end_of(
    store: &Store,
    connection: &Connection,
    run: &RunId,
) -> Result<Option<(u64, Digest)>, JournalError> {
    connection
        .query_row("SELECT seq, head FROM runs WHERE run = ?1", [run.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), Digest::from_bytes(row.get(1)?)))
        })
        .optional()
        .map_err(|error| store.error(error))
}

struct Walk<'a> {
    store: &'a Store,
    chain: Chain,
    marks: Marks,
    state: Option<State>,
}

impl Walk<'_> {
    fn see(&mut self, stored: &Stored) -> Result<(), Damage> {
        let mut chain = self.chain.clone();
        chain.follow(stored)?;
        self.fold(stored).map_err(|why| Damage { seq: stored.seq, kind: DamageKind::DoesNotFollow(why) })?;
        self.chain = chain;
        let ours = stored.mark.is_some_and(|mark| self.store.marker.is_ours(&stored.hash, &mark));
        if !ours && self.marks == Marks::Ours {
            self.marks = Marks::NotOursFrom(stored.seq);
        }
        Ok(())
    }

    fn fold(&mut self, stored: &Stored) -> Result<(), String> {
        let recorded = stored.to_recorded(&self.chain.run).map_err(|error| error.to_string())?;
        match &mut self.state {
            None => self.state = Some(State::begin(&recorded).map_err(|error| error.to_string())?),
            Some(state) => state.apply(&recorded).map_err(|error| error.to_string())?,
        }
        Ok(())
    }
}

/// Whether `chain`, read to its last event, ends where the run's row says.
pub(super) fn end_damage(chain: &Chain, (seq, head): (u64, Digest)) -> Option<Damage> {
    if chain.seq < seq {
        return Some(Damage { seq: chain.seq + 1, kind: DamageKind::EndMissing });
    }
    let ends_there = chain.seq == seq && chain.head == head;
    (!ends_there).then_some(Damage { seq: chain.seq, kind: DamageKind::OutOfChain })
}
