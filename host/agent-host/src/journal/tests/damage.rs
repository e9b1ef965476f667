//! A disk that was cut or changed somewhere, byte by byte: what is read is a beginning of what was written, or the damage is named.
//! The same over a file of SQLite's, which is too slow for every byte, is beside that.

use super::*;
use crate::journal::error::JournalError;
use crate::journal::simulated::disk::Disk;
use crate::journal::simulated::{Broken, Machine};

/// A disk with a run on it, and the run's events.
fn written() -> (Vec<u8>, Vec<Recorded>) {
    let mut machine = Machine::new(Disk::holding(Vec::new()), Broken::Nothing);
    let events = record_run(&machine.open().unwrap(), &run_id(1));
    (machine.with_disk(|disk| disk.read().to_vec()), events)
}

/// What a host reads on a disk of this content.
fn read(bytes: Vec<u8>) -> Result<Vec<Recorded>, JournalError> {
    let journal = Machine::new(Disk::holding(bytes), Broken::Nothing).open()?;
    match journal.events(&run_id(1)) {
        Err(JournalError::NoSuchRun { .. }) => Ok(Vec::new()),
        events => events,
    }
}

#[test]
fn a_disk_that_is_cut_anywhere_holds_a_beginning() {
    let (bytes, events) = written();
    let mut whole = 0;
    for length in 0..=bytes.len() {
        let found = read(bytes[..length].to_vec()).unwrap();
        assert!(events.starts_with(&found), "cut at byte {length}");
        assert!(found.len() >= whole, "a longer disk holds as much: byte {length}");
        whole = found.len();
    }
    assert_eq!(whole, events.len());
}

#[test]
fn a_changed_byte_anywhere_is_named_or_ends_what_is_read() {
    let (bytes, events) = written();
    let mut named = 0;
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        match read(changed) {
            Ok(found) => assert!(events.starts_with(&found) && found.len() + 2 >= events.len(), "byte {place}"),
            Err(JournalError::StoreCorrupt { .. }) => named += 1,
            Err(other) => panic!("byte {place}: {other}"),
        }
    }
    assert!(named > bytes.len() / 3, "whatever stands before a sync is missed when it is gone: {named}");
}

#[test]
fn what_was_dropped_does_not_come_back() {
    let (bytes, _) = written();
    let mut machine = Machine::new(Disk::holding(bytes[..bytes.len() - 1].to_vec()), Broken::Nothing);
    let (before, log) =
        machine.open().unwrap().resume_run(&run_id(1), crate::journal::lease::TakeOver::Always).unwrap();
    let next = log.append(at(9), requested(9), Durable::Now).unwrap();
    drop(log);
    machine.restart();
    let after = machine.open().unwrap().events(&run_id(1)).unwrap();
    assert_eq!(after, [&before[..], &[next]].concat());
}
