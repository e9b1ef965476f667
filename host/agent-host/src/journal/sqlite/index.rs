//! What runs are found by beside their names: the place in a session, and metadata. The first event of a run says both; these
//! tables only make them quick to find, and see to it that no two runs take one place.

use agent_core::name::{Name, RunId};
use agent_core::run_events::RunStarted;
use rusqlite::{Connection, OptionalExtension as _};

use super::store::Store;
use crate::journal::error::JournalError;

/// Notes what a new run is found by.
pub(super) fn add(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    started: &RunStarted,
) -> Result<(), JournalError> {
    if let Some(session) = &started.session {
        let sql = "INSERT INTO sessions (session, place, run) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let insert = || connection.prepare_cached(sql)?.execute((session.name.as_str(), session.place, run.as_str()));
        if insert().map_err(|error| store.error(error))? == 0 {
            return Err(JournalError::SessionTaken { session: session.name.clone(), place: session.place });
        }
    }
    add_metadata(connection, run, started).map_err(|error| store.error(error))
}

/// Notes the metadata alone.
pub(super) fn add_metadata(connection: &Connection, run: &RunId, started: &RunStarted) -> rusqlite::Result<()> {
    let sql = "INSERT INTO metadata (key, value, run) VALUES (?1, ?2, ?3)";
    for (key, value) in started.meta.iter() {
        connection.prepare_cached(sql)?.execute((key.as_str(), value.as_str(), run.as_str()))?;
    }
    Ok(())
}

/// The last run of a session, and its place.
pub(super) fn session_end(
    store: &Store,
    connection: &Connection,
    session: &Name,
) -> Result<Option<(u32, RunId)>, JournalError> {
    let sql = "SELECT place, run FROM sessions WHERE session = ?1 ORDER BY place DESC LIMIT 1";
    let last = || -> rusqlite::Result<Option<(u32, String)>> {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([session.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    let last = last().map_err(|error| store.error(error))?;
    last.map(|(place, run)| Ok((place, super::listing::parse(store, &run)?))).transpose()
}

/// Forgets a run.
pub(super) fn remove(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    for sql in ["DELETE FROM sessions WHERE run = ?1", "DELETE FROM metadata WHERE run = ?1"] {
        connection.prepare_cached(sql)?.execute([run.as_str()])?;
    }
    Ok(())
}
