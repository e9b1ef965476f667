//! Which runs there are: the listing, and how a person's short name for a run becomes its identifier.

use agent_core::event::{Event, Recorded};
use agent_core::name::{Name, RunId};
use agent_core::stop::StopReason;
use agent_core::units::UnixMillis;
use rusqlite::{Connection, Row};

use super::chain;
use super::error::JournalError;
use super::lease::{Holder, Presence};
use super::store::Store;

/// How many of the runs that a prefix could mean are named.
const CANDIDATES_MAX: i64 = 5;

/// A run in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// What the first event says; `None` where it cannot be read.
    pub began: Option<Began>,
    /// How it stands.
    pub status: RunStatus,
    /// Replies of models.
    pub turns: u64,
    /// Tool calls with an outcome.
    pub calls: u64,
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Began {
    /// When.
    pub at: UnixMillis,
    /// The agent.
    pub agent: Name,
    /// The first line of the input.
    pub input: String,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// A living process drives it.
    Running {
        /// The process.
        pid: u32,
    },
    /// Its host ended before it did: it can be resumed.
    Interrupted,
    /// It stopped.
    Stopped(StopReason),
    /// Its first or last event cannot be read.
    Damaged,
}

/// The newest runs, the newest first, at most `count_max`; or only `run`.
pub(super) fn list(
    store: &Store,
    connection: &Connection,
    run: Option<&RunId>,
    count_max: usize,
) -> Result<Vec<RunSummary>, JournalError> {
    let sql = "SELECT r.run, r.holder_pid, r.holder_started, r.holder_place,
            count(*) FILTER (WHERE e.kind = 'ModelReplied'),
            count(*) FILTER (WHERE e.kind = 'ToolFinished' OR e.kind = 'DoubtResolved'
                AND json_extract(CASE WHEN json_valid(e.body) THEN e.body END, '$.resolution') IS NOT 'retry')
        FROM (SELECT * FROM runs WHERE ?1 IS NULL OR run = ?1 ORDER BY number DESC LIMIT ?2) r
            LEFT JOIN events e ON e.run = r.run
        GROUP BY r.number ORDER BY r.number DESC";
    let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
    let rows = || -> rusqlite::Result<Vec<_>> {
        connection.prepare(sql)?.query_map((run.map(RunId::as_str), limit), counted)?.collect()
    };
    let counted = rows().map_err(|error| store.error(error))?;
    counted.into_iter().map(|counted| summarise(store, connection, counted)).collect()
}

/// The identifier of the run that begins with `prefix`, which must be only one; the newest without a prefix.
pub(super) fn find(store: &Store, connection: &Connection, prefix: Option<&str>) -> Result<RunId, JournalError> {
    // `substr` and not `LIKE`, in which some characters are more than themselves.
    let sql = "SELECT run FROM runs WHERE substr(run, 1, length(?1)) = ?1 ORDER BY number DESC LIMIT ?2";
    let wanted = prefix.map(str::to_ascii_lowercase).unwrap_or_default();
    let limit = if prefix.is_some() { CANDIDATES_MAX } else { 1 };
    let rows = || -> rusqlite::Result<Vec<String>> {
        connection.prepare(sql)?.query_map((&wanted, limit), |row| row.get(0))?.collect()
    };
    let found = rows().map_err(|error| store.error(error))?;
    let mut runs = found.iter().map(|text| parse(store, text)).collect::<Result<Vec<_>, _>>()?;
    match (runs.len(), prefix) {
        (1, _) => Ok(runs.remove(0)),
        (0, Some(prefix)) => Err(JournalError::NoSuchRun { prefix: prefix.to_owned() }),
        (_, Some(prefix)) => Err(JournalError::AmbiguousRun { prefix: prefix.to_owned(), runs }),
        (_, None) => Err(JournalError::NoRuns { folder: store.path.parent().unwrap_or(&store.path).to_path_buf() }),
    }
}

struct Counted {
    run: String,
    holder: Option<Holder>,
    turns: u64,
    calls: u64,
}

fn counted(row: &Row<'_>) -> rusqlite::Result<Counted> {
    Ok(Counted {
        run: row.get(0)?,
        holder: Holder::from_row(row, 1)?,
        turns: row.get::<_, i64>(4)?.cast_unsigned(),
        calls: row.get::<_, i64>(5)?.cast_unsigned(),
    })
}

fn summarise(store: &Store, connection: &Connection, counted: Counted) -> Result<RunSummary, JournalError> {
    let run = parse(store, &counted.run)?;
    let ends = chain::read_ends(connection, &run).map_err(|error| store.error(error))?;
    let [first, last] = ends.map(|stored| stored.and_then(|stored| stored.to_recorded(&run).ok()));
    let began = first.and_then(began);
    let held = counted.holder.filter(|holder| holder.presence(&store.holder) != Presence::Gone);
    let status = match (&began, last.map(|last| last.event), held) {
        (None, _, _) | (_, None, _) => RunStatus::Damaged,
        (_, Some(Event::RunEnded(ended)), _) => RunStatus::Stopped(ended.stop),
        (_, Some(_), Some(holder)) => RunStatus::Running { pid: holder.pid },
        (_, Some(_), None) => RunStatus::Interrupted,
    };
    Ok(RunSummary { run, began, status, turns: counted.turns, calls: counted.calls })
}

fn began(first: Recorded) -> Option<Began> {
    let Event::RunStarted(started) = first.event else { return None };
    let input = started.input.lines().next().unwrap_or_default().to_owned();
    Some(Began { at: first.at, agent: started.agent, input })
}

fn parse(store: &Store, text: &str) -> Result<RunId, JournalError> {
    text.parse().map_err(|_| JournalError::StoreCorrupt {
        path: store.path.clone(),
        what: "a run has a name that is none".to_owned(),
    })
}
