//! Checkpoints of runs, as rows: the last one of each. A checkpoint takes the place of events only where this host kept it for the
//! very events that are there; any other is passed over, and the run is read from its beginning.

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::state::State;
use agent_core::state::checkpoint::{Checkpoint, FOLD};
use rusqlite::{Connection, OptionalExtension as _};

use super::rows;
use super::store::Store;
use crate::journal::chain::{Chain, Marker};
use crate::journal::error::JournalError;

/// What a mark is over, first of all: a checkpoint of this form and no other thing.
const DOMAIN: &[u8] = b"agent-host checkpoint 1";

/// The longest stored state: a run with a longer conversation is read from its beginning.
pub(super) const STATE_BYTES_MAX: usize = 64 << 20;

/// A row.
struct Row {
    seq: u64,
    head: Digest,
    state: String,
    mark: [u8; 32],
}

/// Keeps `state`, which is the fold of the run that ends with `chain`, in the place of the one before. Does nothing where another host
/// has the run by now.
pub(super) fn keep(store: &Store, connection: &Connection, chain: &Chain, state: &str) -> Result<(), JournalError> {
    let mark = store.marker.mark(&hash(chain, state));
    let put = || {
        let sql = "INSERT INTO checkpoints (run, seq, head, fold, state, mac)
            SELECT run, seq, head, ?1, ?2, ?3 FROM runs WHERE run = ?4 AND epoch = ?5 AND seq = ?6 AND head = ?7
            ON CONFLICT (run) DO UPDATE SET
            seq = excluded.seq, head = excluded.head, fold = excluded.fold, state = excluded.state, mac = excluded.mac";
        let (epoch, seq) = (chain.epoch.cast_signed(), chain.seq.cast_signed());
        let values = (FOLD, state, mark, chain.run.as_str(), epoch, seq, chain.head.as_bytes());
        connection.prepare_cached(sql)?.execute(values)
    };
    put().map(drop).map_err(|error| store.error(error))
}

/// The state that is kept of a run, and the end of the events that are in it.
pub(super) fn find(marker: &Marker, connection: &Connection, run: &RunId) -> Option<(State, Chain)> {
    let row = match read(connection, run) {
        Ok(row) => row?,
        Err(error) => {
            tracing::debug!(%run, %error, "the checkpoint of the run cannot be read");
            return None;
        }
    };
    let found = checked(marker, connection, run, &row);
    if found.is_none() {
        tracing::debug!(%run, seq = row.seq, "the checkpoint of the run is not one of its events");
    }
    found
}

/// Forgets a run.
pub(super) fn remove(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM checkpoints WHERE run = ?1")?.execute([run.as_str()]).map(drop)
}

fn read(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<Row>> {
    let sql = "SELECT seq, head, state, mac FROM checkpoints
        WHERE run = ?1 AND fold = ?2 AND octet_length(state) <= ?3";
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            head: Digest::from_bytes(row.get(1)?),
            state: row.get(2)?,
            mark: row.get(3)?,
        })
    };
    let longest = i64::try_from(STATE_BYTES_MAX).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.query_row((run.as_str(), FOLD, longest), row).optional()
}

fn checked(marker: &Marker, connection: &Connection, run: &RunId, row: &Row) -> Option<(State, Chain)> {
    let upto = Chain { run: run.clone(), seq: row.seq, epoch: 0, head: row.head };
    if !marker.is_ours(&hash(&upto, &row.state), &row.mark) {
        return None;
    }
    let checkpoint: Checkpoint<'static> = serde_json::from_str(&row.state).ok()?;
    let last = rows::read_at(connection, run, row.seq).ok()??;
    let is_of_events = last.is_ours(run, marker) && last.hash == row.head && checkpoint.seq() == row.seq;
    let chain = Chain { epoch: last.epoch, ..upto };
    is_of_events.then(|| (checkpoint.into_state(run.clone()), chain))
}

/// What the mark is over. The lease is that of the last event.
fn hash(upto: &Chain, state: &str) -> Digest {
    let state = Digest::of(state.as_bytes());
    let (seq, head) = (upto.seq.to_le_bytes(), upto.head.as_bytes());
    Digest::of_parts(&[DOMAIN, upto.run.as_str().as_bytes(), &seq, head, FOLD.as_bytes(), state.as_bytes()])
}
