//! Which runs are in the file, and which of them a person means.

use agent_core::metadata::Entry;
use agent_core::name::RunId;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::rows;
use super::store::Store;
use crate::journal::error::JournalError;
use crate::journal::lease::Holder;
use crate::journal::runs::{self, CANDIDATES_MAX, KINDS_OF_TURNS, Kept, RunStatus, RunSummary, Turns, Wanted};

/// The newest runs of those wanted, the newest first, at most `count_max`. Only the runs that are listed are counted through;
/// of the others at most their ends are looked at.
pub(super) fn list(
    store: &Store,
    connection: &Connection,
    wanted: &Wanted,
    count_max: usize,
) -> Result<Vec<RunSummary>, JournalError> {
    let sqlite = |error| store.error(error);
    let (sql, values) = candidates(wanted);
    let mut statement = connection.prepare(&sql).map_err(sqlite)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(sqlite)?;
    let mut listed = Vec::new();
    while listed.len() < count_max {
        let Some(row) = rows.next().map_err(sqlite)? else { break };
        let (run, holder) = (row.get::<_, String>(0).map_err(sqlite)?, rows::holder(row, 1).map_err(sqlite)?);
        let run = parse(store, &run)?;
        if !could_stand_like(store, connection, wanted, (&run, holder.as_ref()))? {
            continue;
        }
        let summary = at_its_ends(store, connection, run, holder)?;
        // The index only narrows down: what a run is found by, its first event says.
        if wanted.has(&summary) {
            listed.push(counted(store, connection, summary)?);
        }
    }
    Ok(listed)
}

/// One run.
pub(super) fn one(store: &Store, connection: &Connection, run: &RunId) -> Result<RunSummary, JournalError> {
    let sql = "SELECT holder_pid, holder_started, holder_place FROM runs WHERE run = ?1";
    let holder = connection.query_row(sql, [run.as_str()], |row| rows::holder(row, 0)).optional();
    let holder = holder.map_err(|error| store.error(error))?;
    let holder = holder.ok_or_else(|| JournalError::NoSuchRun { prefix: run.to_string() })?;
    let summary = at_its_ends(store, connection, run.clone(), holder)?;
    counted(store, connection, summary)
}

fn candidates(wanted: &Wanted) -> (String, Vec<String>) {
    let mut sql = "SELECT run, holder_pid, holder_started, holder_place FROM runs WHERE 1".to_owned();
    let mut values = Vec::new();
    if let Some(session) = &wanted.session {
        sql.push_str(" AND run IN (SELECT run FROM sessions WHERE session = ?)");
        values.push(session.to_string());
    }
    for Entry { key, value } in &wanted.meta {
        sql.push_str(" AND run IN (SELECT run FROM metadata WHERE key = ? AND value = ?)");
        values.extend([key.to_string(), value.to_string()]);
    }
    sql.push_str(" ORDER BY number DESC");
    (sql, values)
}

/// Whether the last event leaves it possible that the run stands as wanted. The first one is read only then: it is by far the
/// longer one.
fn could_stand_like(
    store: &Store,
    connection: &Connection,
    wanted: &Wanted,
    (run, holder): (&RunId, Option<&Holder>),
) -> Result<bool, JournalError> {
    let Some(status) = wanted.status.filter(|status| *status != RunStatus::Damaged.name()) else { return Ok(true) };
    let last = rows::read_last(connection, run).map_err(|error| store.error(error))?;
    let last = last.and_then(|stored| stored.to_recorded(run).ok());
    Ok(runs::status(last, holder.cloned(), &store.holder).name() == status)
}

fn at_its_ends(
    store: &Store,
    connection: &Connection,
    run: RunId,
    holder: Option<Holder>,
) -> Result<RunSummary, JournalError> {
    let ends = rows::read_ends(connection, &run).map_err(|error| store.error(error))?;
    Ok(Kept { run, holder, ends, turns: 0, calls: 0 }.summary(&store.holder))
}

fn counted(store: &Store, connection: &Connection, summary: RunSummary) -> Result<RunSummary, JournalError> {
    let sqlite = |error| store.error(error);
    let turns = turns(connection, &summary.run).map_err(sqlite)?;
    let calls = calls(connection, &summary.run).map_err(sqlite)?;
    Ok(RunSummary { turns, calls, ..summary })
}

fn turns(connection: &Connection, run: &RunId) -> rusqlite::Result<u64> {
    let sql = "SELECT kind FROM events WHERE run = ?1 AND kind IN (?2, ?3, ?4, ?5) ORDER BY seq";
    let [first, second, third, fourth] = KINDS_OF_TURNS;
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([run.as_str(), first, second, third, fourth])?;
    let mut turns = Turns::default();
    while let Some(row) = rows.next()? {
        turns.see(row.get_ref(0)?.as_str()?);
    }
    Ok(turns.count)
}

fn calls(connection: &Connection, run: &RunId) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FILTER (WHERE kind = 'ToolFinished' OR kind = 'DoubtResolved'
                AND ifnull(json_extract(coalesce(CASE WHEN json_valid(body) THEN body END,
                    (SELECT CAST(bytes AS TEXT) FROM blobs WHERE digest = blob AND json_valid(CAST(bytes AS TEXT)))),
                    '$.resolution'), '') NOT IN ('retry', 'unknown'))
        FROM events WHERE run = ?1";
    let count: i64 = connection.prepare_cached(sql)?.query_row([run.as_str()], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// The identifier of the run that begins with `prefix`, which must be only one; the newest without a prefix.
pub(super) fn find(store: &Store, connection: &Connection, prefix: Option<&str>) -> Result<RunId, JournalError> {
    // `substr` and not `LIKE`, in which some characters are more than themselves.
    let sql = "SELECT run FROM runs WHERE substr(run, 1, length(?1)) = ?1 ORDER BY number DESC LIMIT ?2";
    let wanted = prefix.map(str::to_ascii_lowercase).unwrap_or_default();
    let limit = if prefix.is_some() { i64::try_from(CANDIDATES_MAX).unwrap_or(i64::MAX) } else { 1 };
    let rows = || -> rusqlite::Result<Vec<String>> {
        connection.prepare(sql)?.query_map((&wanted, limit), |row| row.get(0))?.collect()
    };
    let found = rows().map_err(|error| store.error(error))?;
    let found = found.iter().map(|text| parse(store, text)).collect::<Result<Vec<_>, _>>()?;
    runs::pick(prefix, found, store.folder())
}

pub(super) fn parse(store: &Store, text: &str) -> Result<RunId, JournalError> {
    text.parse().map_err(|_| JournalError::StoreCorrupt {
        path: store.path.clone(),
        what: "a run has a name that is none".to_owned(),
    })
}
