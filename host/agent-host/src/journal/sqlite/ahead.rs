//! Reads a whole run on two processors: this thread takes rows out of the file and hashes their bodies, another follows the chain,
//! parses each event and hands it on. Which of the two takes longer depends on the events; together they take half.

use std::mem;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

use agent_core::event::Recorded;
use agent_core::name::RunId;
use rusqlite::Connection;

use super::rows;
use super::store::Store;
use crate::journal::chain::Stored;
use crate::journal::error::JournalError;
use crate::journal::reading::Reading;

/// A batch goes over with so many events, or with so many bytes. One is filled while one is checked, and none waits between them:
/// a stranger's events may have large bodies.
const BATCH_EVENTS_MAX: usize = 256;
const BATCH_BYTES_MAX: u64 = 1 << 20;

/// Hands each event of a run to `reading`, in order, until one is not as it should be.
pub(super) fn read<F: FnMut(Recorded) + Send>(
    store: &Store,
    connection: &Connection,
    run: &RunId,
    reading: &mut Reading<'_, F>,
) -> Result<(), JournalError> {
    thread::scope(|scope| {
        let (send, receive) = sync_channel::<Vec<Stored>>(0);
        let checking = scope.spawn(move || receive.iter().flatten().try_for_each(|stored| reading.see(&stored)));
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let read = rows::read(connection, run, |stored| {
            bytes += stored.bytes();
            batch.push(stored);
            if batch.len() < BATCH_EVENTS_MAX && bytes < BATCH_BYTES_MAX {
                return Ok(());
            }
            bytes = 0;
            // Nobody takes it any more where an event was not as it should be: what that was is known below.
            send.send(mem::take(&mut batch)).map_err(drop)
        });
        // What was read before the file could be read no further is checked as well: it comes first.
        let _ = send.send(batch);
        drop(send);
        checking.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        read.map_err(|(_, error)| store.error(error)).map(|_| ())
    })
}
