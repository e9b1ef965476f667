//! The floor under every recorded turn: SQLite alone, appending to a file of the disk that the runs are measured on.

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

/// Appends in one measurement, enough for a few checkpoints of the log.
const APPENDS: u32 = 400;

/// About what an event and its row take.
const BYTES: usize = 512;

/// What an append waits for.
#[derive(Clone, Copy)]
pub enum Sync {
    /// The disk.
    Full,
    /// The system only.
    Normal,
}

/// Microseconds for one append, checkpoints included.
pub fn measure(folder: &Path, sync: Sync) -> f64 {
    let connection = open(folder, sync);
    let mut insert = connection.prepare("INSERT INTO log (body) VALUES (?1)").expect("a statement");
    let body = [7_u8; BYTES];
    let started = Instant::now();
    for _ in 0..APPENDS {
        insert.execute([&body[..]]).expect("an append");
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(APPENDS)
}

fn open(folder: &Path, sync: Sync) -> Connection {
    let level = match sync {
        Sync::Full => "FULL",
        Sync::Normal => "NORMAL",
    };
    let connection = Connection::open(folder.join(format!("append-{level}.db"))).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
    connection.pragma_update(None, "synchronous", level).expect("a level");
    connection.execute_batch("CREATE TABLE log (number INTEGER PRIMARY KEY, body BLOB)").expect("a table");
    connection
}
