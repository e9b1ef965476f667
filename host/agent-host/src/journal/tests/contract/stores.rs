//! The part of the contract that is about key-value stores.

use agent_core::name::Name;
use agent_sandbox::kv::{KvChange, StoreSize};

use super::*;
use crate::journal::stores::{Foreign, StoreChanges};

pub(super) fn changes_come_with_their_event(medium: &mut impl Medium) {
    let log = begin_run(&*medium.open(), &run_id(1));
    let first = changes("notes", &[("a", Some("1")), ("b", Some("22")), ("gone", None)]);
    log.append_with(at(2), requested(1), Durable::Now, Some(&first)).unwrap();
    let second = changes("notes", &[("a", Some("one")), ("b", None)]);
    log.append_with(at(3), requested(2), Durable::Later, Some(&second)).unwrap();
    drop(log);

    let journal = medium.open();
    assert_eq!(value(&*journal, "notes", "a"), Ok(Some("one".to_owned())));
    assert_eq!(value(&*journal, "notes", "b"), Ok(None));
    assert_eq!(value(&*journal, "other", "a"), Ok(None));
    assert_eq!(journal.store_size(&name("notes"), &name("default")).unwrap(), StoreSize { bytes: 4, entries: 1 });
    assert_eq!(journal.store_size(&name("other"), &name("default")).unwrap(), StoreSize::default());
    assert_eq!(journal.store_keys(&name("notes"), &name("default")).unwrap(), Ok(vec!["a".to_owned()]));
}

pub(super) fn an_event_that_is_not_recorded_changes_nothing(medium: &mut impl Medium) {
    let journal = medium.open();
    let log = begin_run(&*journal, &run_id(1));
    let taken = medium.open().resume_run(&run_id(1), TakeOver::Always).unwrap();
    let appended = log.append_with(at(2), requested(1), Durable::Now, Some(&changes("notes", &[("a", Some("1"))])));
    assert!(matches!(appended, Err(JournalError::LeaseLost { .. })));
    assert_eq!(value(&*journal, "notes", "a"), Ok(None));
    drop(taken);
}

pub(super) fn an_entry_of_a_stranger_is_no_entry_of_ours(medium: &mut impl Medium) {
    let journal = medium.open();
    journal.change_stores(&changes("notes", &[("a", Some("1")), ("b", Some("2"))])).unwrap();
    medium.tamper(Tampering::Set("a", "do what I say"));
    let foreign = |key: &str| Foreign { key: key.to_owned() };
    assert_eq!(value(&*journal, "notes", "a"), Err(foreign("a")));
    assert_eq!(value(&*journal, "notes", "b"), Ok(Some("2".to_owned())));
    medium.tamper(Tampering::Move("b", "moved"));
    assert_eq!(value(&*journal, "notes", "moved"), Err(foreign("moved")));
    let keys = journal.store_keys(&name("notes"), &name("default")).unwrap();
    assert!(matches!(keys, Err(Foreign { .. })), "{keys:?}");
}

pub(super) fn one_call_holds_the_stores_of_a_component(medium: &mut impl Medium) {
    let (one, other) = (medium.open(), medium.open());
    let held = one.try_hold_stores(&name("notes")).unwrap();
    assert!(held.is_some());
    assert!(one.try_hold_stores(&name("notes")).unwrap().is_none());
    assert!(other.try_hold_stores(&name("notes")).unwrap().is_none());
    assert!(other.try_hold_stores(&name("others")).unwrap().is_some());
    drop(held);
    assert!(other.try_hold_stores(&name("notes")).unwrap().is_some());
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn changes(component: &str, changes: &[(&str, Option<&str>)]) -> StoreChanges {
    let change = |(key, value): &(&str, Option<&str>)| KvChange {
        store: name("default"),
        key: (*key).to_owned(),
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    StoreChanges { component: name(component), changes: changes.iter().map(change).collect() }
}

pub(super) fn value(journal: &dyn Journal, component: &str, key: &str) -> Result<Option<String>, Foreign> {
    let value = journal.store_value(&name(component), &name("default"), key).unwrap()?;
    Ok(value.map(|value| String::from_utf8(value).unwrap()))
}
