//! Every change behind the journal's back is noticed, and named by the first event that it touches.

use agent_core::units::Bytes;

use super::*;
use crate::journal::chain::{Damage, DamageKind};
use crate::journal::log::Level;

/// Where `sql`, run behind the journal's back, is found to have done damage.
fn found_after(sql: &str) -> Option<Damage> {
    let home = Home::new();
    record_run(&home.open(), &run_id(1));
    home.tamper(sql);
    let journal = home.open();
    let damage = journal.verify(&run_id(1)).unwrap().damage;
    match journal.events(&run_id(1)) {
        Err(JournalError::RunDamaged { damage: read, .. }) => assert_eq!(Some(read), damage, "read and verify agree"),
        Err(other) => panic!("{other}"),
        Ok(_) => assert_eq!(damage, None),
    }
    damage
}

#[test]
fn every_column_is_covered_by_the_chain() {
    let cases = [
        ("UPDATE events SET at = at + 1 WHERE seq = 2", 2, DamageKind::Changed),
        ("UPDATE events SET kind = 'ModelFailed' WHERE seq = 2", 2, DamageKind::Changed),
        ("UPDATE events SET version = 2 WHERE seq = 2", 2, DamageKind::Changed),
        ("UPDATE events SET epoch = 2 WHERE seq = 2", 2, DamageKind::Changed),
        (
            "UPDATE events SET body = replace(body, '\"attempt\":1', '\"attempt\":2') WHERE seq = 2",
            2,
            DamageKind::Changed,
        ),
        ("UPDATE events SET prev_hash = zeroblob(32) WHERE seq = 2", 2, DamageKind::Changed),
        ("UPDATE events SET hash = zeroblob(32) WHERE seq = 2", 2, DamageKind::Changed),
        ("DELETE FROM events WHERE seq = 1", 1, DamageKind::Missing),
        ("DELETE FROM events WHERE seq = 2", 2, DamageKind::Missing),
        ("DELETE FROM events WHERE seq = 4", 4, DamageKind::EndMissing),
        ("DELETE FROM events", 1, DamageKind::EndMissing),
        ("UPDATE events SET seq = 5 WHERE seq = 4", 4, DamageKind::Missing),
        (
            "UPDATE blobs SET bytes = CAST(replace(CAST(bytes AS TEXT), 'four', 'five') AS BLOB) WHERE CAST(bytes AS TEXT) LIKE '%four%'",
            3,
            DamageKind::BodyChanged,
        ),
        ("DELETE FROM blobs WHERE CAST(bytes AS TEXT) LIKE '%four%'", 3, DamageKind::BodyMissing),
        ("UPDATE runs SET head = zeroblob(32)", 4, DamageKind::OutOfChain),
        ("UPDATE runs SET seq = 3", 4, DamageKind::OutOfChain),
        ("PRAGMA ignore_check_constraints = ON; UPDATE events SET seq = 0 WHERE seq = 4", 1, DamageKind::Missing),
        ("PRAGMA ignore_check_constraints = ON; UPDATE events SET seq = -1 WHERE seq = 4", 1, DamageKind::Missing),
    ];
    for (sql, seq, kind) in cases {
        assert_eq!(found_after(sql), Some(Damage { seq, kind }), "{sql}");
    }
    assert_eq!(found_after("UPDATE events SET mac = NULL"), None, "a mark says whose, not whether");
}

#[test]
fn an_event_that_cannot_follow_is_named() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    log.append(at(2), ended(), Durable::Later).unwrap();
    log.append(at(3), requested(1), Durable::Later).unwrap();
    let damage = journal.verify(&run_id(1)).unwrap().damage.unwrap();
    assert_eq!(
        damage.to_string(),
        "event 3: it is intact but cannot follow: event 3 `ModelRequested` does not follow: the run has stopped"
    );
}

/// One bit in a thousand places, one at a time: the run is read as it was written, or the damage is named; never read wrong.
#[test]
fn a_flipped_bit_anywhere_in_the_file_is_never_read_as_truth() {
    let home = Home::new();
    let journal = home.open();
    let written = record_run(&journal, &run_id(1));
    drop(journal);
    let sound = std::fs::read(home.file()).unwrap();
    let (mut unharmed, mut named) = (0, 0);
    for place in (0..sound.len()).step_by(sound.len() / 1_000) {
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(home.file(), bytes).unwrap();
        match home.try_open().and_then(|journal| Ok((journal.events(&run_id(1))?, journal.verify(&run_id(1))?))) {
            Ok((read, verified)) => {
                assert_eq!((read, verified.damage), (written.clone(), None), "byte {place}");
                unharmed += 1;
            }
            Err(_) => named += 1,
        }
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(home.folder().join(format!("journal.db{suffix}")));
        }
    }
    assert!(unharmed > 0 && named > 0, "free space is harmless, content is not: {unharmed} and {named}");
}

#[test]
fn a_changed_blob_is_not_handed_out() {
    let home = Home::new();
    let journal = home.open();
    let digest = journal.put_blob(b"some bytes").unwrap();
    home.tamper("UPDATE blobs SET bytes = x'00'");
    assert!(matches!(journal.blob(&digest), Err(JournalError::StoreCorrupt { .. })));
}

/// Else a later undo or record would depend on what somebody else put under that digest.
#[test]
fn what_is_kept_anew_takes_the_place_of_a_damaged_blob() {
    let home = Home::new();
    let journal = home.open();
    journal.put_blob(b"some bytes").unwrap();
    home.tamper("UPDATE blobs SET bytes = x'00'");
    let digest = journal.put_blob(b"some bytes").unwrap();
    assert_eq!(journal.blob(&digest).unwrap().as_deref(), Some(&b"some bytes"[..]));
}

/// A copy of the folder as a power cut leaves it: the file, and a write-ahead log of which only `log` is there.
fn with_log(file: &[u8], log: &[u8]) -> Home {
    let home = Home::new();
    std::fs::create_dir(home.folder()).unwrap();
    std::fs::write(home.file(), file).unwrap();
    std::fs::write(log_of(&home), log).unwrap();
    home
}

fn log_of(home: &Home) -> PathBuf {
    home.folder().join("journal.db-wal")
}

/// How many events are there, and what was dropped behind them.
fn read_with_log(file: &[u8], log: &[u8]) -> Result<(usize, Option<Bytes>), JournalError> {
    let home = with_log(file, log);
    let journal = home.try_open()?;
    let count = match journal.events(&run_id(1)) {
        Err(JournalError::NoSuchRun { .. }) => 0,
        events => {
            let verified = journal.verify(&run_id(1))?;
            assert_eq!(verified.damage, None);
            events?.len()
        }
    };
    journal.store.write(Level::Written, |_| Ok(()))?;
    Ok((count, journal.cut_off()))
}

/// Cut at each end of a page and around it, and changed there: the run is read up to some event, intact, or the damage named; and what
/// is dropped behind that event is told.
#[test]
fn a_log_that_is_cut_or_changed_holds_a_beginning() {
    let home = Home::new();
    drop(home.open());
    let journal = home.open();
    let _log = begin_run(&journal, &run_id(1));
    let length = || usize::try_from(log_of(&home).metadata().unwrap().len()).unwrap();
    let mut whole = vec![0, 32, length()];
    for attempt in 1..6 {
        _log.append(at(u64::from(attempt)), requested(attempt), Durable::Now).unwrap();
        whole.push(length());
    }
    let file = std::fs::read(home.file()).unwrap();
    let wal = std::fs::read(log_of(&home)).unwrap();
    assert_eq!(read_with_log(&file, &wal).unwrap(), (6, None));
    let mut longest = 0;
    let ends = (0..wal.len()).step_by(512).flat_map(|end| [end, end + 1, end + 31]).filter(|end| *end <= wal.len());
    for end in ends {
        let (count, cut_off) = read_with_log(&file, &wal[..end]).unwrap();
        assert!(count >= longest, "cut at {end}: {count} events after {longest}");
        longest = count;
        let behind = whole.iter().filter_map(|whole| end.checked_sub(*whole)).min().unwrap() as u64;
        assert_eq!(cut_off, (behind > 0).then_some(Bytes(behind)), "cut at {end}");
        let mut changed = wal.clone();
        changed[end.min(wal.len() - 1)] ^= 1;
        match read_with_log(&file, &changed) {
            Ok((count, _)) => assert!(count <= 6),
            Err(error) => assert!(error.name().is_some(), "changed at {end}: {error}"),
        }
    }
}

/// Who looks on meanwhile would bring the log into the file at its end, and nothing would tell any more.
#[test]
fn who_reads_leaves_a_log_that_was_cut_to_who_writes() {
    let home = Home::new();
    drop(home.open());
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    log.append(at(2), requested(1), Durable::Now).unwrap();
    let (file, wal) = (std::fs::read(home.file()).unwrap(), std::fs::read(log_of(&home)).unwrap());
    let home = with_log(&file, &wal[..wal.len() - 100]);
    for _ in 0..2 {
        let reader = home.open();
        assert_eq!((reader.events(&run_id(1)).unwrap().len(), reader.cut_off()), (1, None));
    }
    assert_eq!(std::fs::read(log_of(&home)).unwrap().len(), wal.len() - 100);
    let writer = home.open();
    writer.put_blob(b"something").unwrap();
    assert!(writer.cut_off().is_some_and(|bytes| bytes.0 > 4_000), "{:?}", writer.cut_off());
    drop(writer);
    assert!(!log_of(&home).exists(), "who wrote leaves none");
    let next = home.open();
    next.put_blob(b"something else").unwrap();
    assert_eq!(next.cut_off(), None, "it is told once");
}

#[test]
fn a_cut_file_is_named_as_damaged() {
    let home = Home::new();
    record_run(&home.open(), &run_id(1));
    let sound = std::fs::read(home.file()).unwrap();
    for length in [1, 99, 512, 4_096, 5_000, sound.len() - 4_096, sound.len() - 1] {
        std::fs::write(home.file(), &sound[..length]).unwrap();
        let read = home.try_open().and_then(|journal| journal.events(&run_id(1)));
        let error = read.expect_err("a cut file must not read well");
        assert!(
            matches!(error, JournalError::StoreCorrupt { .. } | JournalError::RunDamaged { .. }),
            "{length}: {error:?}"
        );
    }
}
