//! Which runs are in the file, and which of them a person means.

use agent_core::name::RunId;
use rusqlite::{Connection, Row};

use super::rows;
use super::store::Store;
use crate::journal::error::JournalError;
use crate::journal::lease::Holder;
use crate::journal::runs::{self, CANDIDATES_MAX, Kept, RunSummary};

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
    let limit = if prefix.is_some() { i64::try_from(CANDIDATES_MAX).unwrap_or(i64::MAX) } else { 1 };
    let rows = || -> rusqlite::Result<Vec<String>> {
        connection.prepare(sql)?.query_map((&wanted, limit), |row| row.get(0))?.collect()
    };
    let found = rows().map_err(|error| store.error(error))?;
    let found = found.iter().map(|text| parse(store, text)).collect::<Result<Vec<_>, _>>()?;
    runs::pick(prefix, found, store.folder())
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
        holder: rows::holder(row, 1)?,
        turns: row.get::<_, i64>(4)?.cast_unsigned(),
        calls: row.get::<_, i64>(5)?.cast_unsigned(),
    })
}

fn summarise(store: &Store, connection: &Connection, counted: Counted) -> Result<RunSummary, JournalError> {
    let Counted { run, holder, turns, calls } = counted;
    let run = parse(store, &run)?;
    let ends = rows::read_ends(connection, &run).map_err(|error| store.error(error))?;
    Ok(Kept { run, holder, ends, turns, calls }.summary(&store.holder))
}

fn parse(store: &Store, text: &str) -> Result<RunId, JournalError> {
    text.parse().map_err(|_| JournalError::StoreCorrupt {
        path: store.path.clone(),
        what: "a run has a name that is none".to_owned(),
    })
}
