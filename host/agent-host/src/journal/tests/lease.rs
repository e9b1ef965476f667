//! One writer at a time, and only this host's runs are resumed.

use super::*;
use crate::journal::verify::Marks;

#[test]
fn a_held_run_is_locked_and_a_dropped_one_free() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    let refused = home.open().resume_run(&run_id(1), TakeOver::IfDead);
    assert!(matches!(refused, Err(JournalError::RunLocked { holder, .. }) if holder.pid == std::process::id()));
    drop(log);
    let (events, log) = home.open().resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    let next = log.append(at(2), requested(1), Durable::Now).unwrap();
    assert_eq!((events.len(), next.seq, next.epoch), (1, 2, 2));
}

#[test]
fn who_lost_the_lease_cannot_write() {
    let home = Home::new();
    let (paused, taker) = (home.open(), home.open());
    let lost = begin_run(&paused, &run_id(1));
    let (_, log) = taker.resume_run(&run_id(1), TakeOver::Always).unwrap();
    let refused = lost.append(at(2), requested(1), Durable::Now);
    assert!(matches!(refused, Err(JournalError::LeaseLost { .. })));
    log.append(at(3), requested(1), Durable::Now).unwrap();
    // Dropping the one that lost must not free what the other holds.
    drop(lost);
    assert!(matches!(paused.resume_run(&run_id(1), TakeOver::IfDead), Err(JournalError::RunLocked { .. })));
    assert_eq!(taker.events(&run_id(1)).unwrap().iter().map(|event| event.epoch).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_lease_of_an_earlier_boot_is_taken_over() {
    let home = Home::new();
    let journal = home.open();
    let lost = begin_run(&journal, &run_id(1));
    home.tamper("UPDATE runs SET holder_place = 'another boot:' || holder_place");
    let (_, log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    assert_eq!(log.append(at(2), requested(1), Durable::Later).unwrap().epoch, 2);
    assert!(matches!(lost.append(at(2), requested(1), Durable::Later), Err(JournalError::LeaseLost { .. })));
}

#[test]
fn a_strangers_run_is_shown_and_not_resumed() {
    let home = Home::new();
    let written = record_run(&home.open(), &run_id(1));
    let other = HostKey::load_or_create(&home.0.path().join("other")).unwrap();
    let journal = Journal::open_existing(&home.folder(), &other).unwrap();
    assert_eq!(journal.events(&run_id(1)).unwrap(), written);
    let verified = journal.verify(&run_id(1)).unwrap();
    assert_eq!((verified.intact, verified.marks, verified.damage), (4, Marks::NotOursFrom(1), None));
    let refused = journal.resume_run(&run_id(1), TakeOver::Always);
    assert!(matches!(refused, Err(JournalError::NotOurs { seq: 1, .. })));
}

#[test]
fn one_event_without_a_mark_is_enough_to_refuse() {
    let home = Home::new();
    let journal = home.open();
    record_run(&journal, &run_id(1));
    home.tamper("UPDATE events SET mac = NULL WHERE seq = 3");
    assert!(matches!(journal.resume_run(&run_id(1), TakeOver::IfDead), Err(JournalError::NotOurs { seq: 3, .. })));
    assert_eq!(journal.verify(&run_id(1)).unwrap().marks, Marks::NotOursFrom(3));
}
