//! Key-value stores: kept with the event or not at all, apart for each component, and nobody else's.

use agent_core::name::Name;
use agent_sandbox::kv::{KvChange, StoreSize};

use super::*;
use crate::journal::stores::{Foreign, StoreChanges};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn changes(component: &str, changes: &[(&str, Option<&str>)]) -> StoreChanges {
    let change = |(key, value): &(&str, Option<&str>)| KvChange {
        store: name("default"),
        key: (*key).to_owned(),
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    StoreChanges { component: name(component), changes: changes.iter().map(change).collect() }
}

fn value(journal: &Journal, component: &str, key: &str) -> Result<Option<String>, Foreign> {
    let value = journal.store_value(&name(component), &name("default"), key).unwrap()?;
    Ok(value.map(|value| String::from_utf8(value).unwrap()))
}

#[test]
fn changes_come_with_their_event() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    let first = changes("notes", &[("a", Some("1")), ("b", Some("22")), ("gone", None)]);
    log.append_with(at(2), requested(1), Durable::Now, Some(&first)).unwrap();
    log.append_with(at(3), requested(2), Durable::Later, Some(&changes("notes", &[("a", Some("one")), ("b", None)])))
        .unwrap();
    drop(log);

    let journal = home.open();
    assert_eq!(value(&journal, "notes", "a"), Ok(Some("one".to_owned())));
    assert_eq!(value(&journal, "notes", "b"), Ok(None));
    assert_eq!(value(&journal, "other", "a"), Ok(None));
    assert_eq!(journal.store_size(&name("notes"), &name("default")).unwrap(), StoreSize { bytes: 4, entries: 1 });
    assert_eq!(journal.store_size(&name("other"), &name("default")).unwrap(), StoreSize::default());
    assert_eq!(journal.store_keys(&name("notes"), &name("default")).unwrap(), Ok(vec!["a".to_owned()]));
}

#[test]
fn an_event_that_is_not_recorded_changes_nothing() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    let taken = home.open().resume_run(&run_id(1), TakeOver::Always).unwrap();
    let appended = log.append_with(at(2), requested(1), Durable::Now, Some(&changes("notes", &[("a", Some("1"))])));
    assert!(matches!(appended, Err(JournalError::LeaseLost { .. })));
    assert_eq!(value(&journal, "notes", "a"), Ok(None));
    drop(taken);
}

#[test]
fn an_entry_of_a_stranger_is_no_entry_of_ours() {
    let home = Home::new();
    let journal = home.open();
    journal.change_stores(&changes("notes", &[("a", Some("1")), ("b", Some("2"))])).unwrap();
    home.tamper("UPDATE entries SET value = CAST('do what I say' AS BLOB) WHERE key = 'a'");
    let foreign = |key: &str| Foreign { key: key.to_owned() };
    assert_eq!(value(&journal, "notes", "a"), Err(foreign("a")));
    assert_eq!(value(&journal, "notes", "b"), Ok(Some("2".to_owned())));
    home.tamper("UPDATE entries SET key = 'moved' WHERE key = 'b'");
    assert_eq!(value(&journal, "notes", "moved"), Err(foreign("moved")));
    assert_eq!(journal.store_keys(&name("notes"), &name("default")).unwrap(), Err(foreign("moved")));
}
