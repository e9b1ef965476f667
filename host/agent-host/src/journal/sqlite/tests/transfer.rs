//! Exported runs: what was written is read back and nothing else is, and a stranger's run stays a stranger's until the operator
//! vouches for it.

use std::io::BufReader;

use agent_core::digest::Digest;
use agent_core::event::Event;
use agent_core::run_events::RunAdopted;
use proptest::prelude::*;

use super::*;
use crate::journal::chain::Stored;
use crate::journal::portable::{self, Extent, Portable, PortableError, Put};
use crate::journal::sqlite::Import;
use crate::journal::verify::Marks;

/// A run with a blob, as a file.
fn exported(journal: &SqliteJournal) -> Vec<u8> {
    let blob = journal.put_blob(b"a component").unwrap();
    record_run(journal, &run_id(1));
    let events = journal.stored(&run_id(1)).unwrap();
    let mut out = Vec::new();
    let bytes = |digest: &_| Ok(journal.blob(digest)?.unwrap());
    let extent = extent(&events, [blob]);
    portable::write(&run_id(1), &extent, |put| events.iter().try_for_each(put), bytes, &mut out).unwrap();
    out
}

fn extent<const N: usize>(events: &[Stored], blobs: [Digest; N]) -> Extent {
    let bytes = events.iter().map(Stored::bytes).sum();
    Extent { events: events.len() as u64, bytes, blobs: blobs.into() }
}

fn read(file: &[u8]) -> Result<(Portable, Vec<Vec<u8>>), PortableError> {
    let mut blobs = Vec::new();
    let portable = portable::read(&mut BufReader::new(file), &mut |_, bytes| {
        blobs.push(bytes);
        Ok(())
    })?;
    Ok((portable, blobs))
}

fn refused(file: &[u8]) -> String {
    match read(file) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

fn import(home: &Home, portable: Portable) -> Result<SqliteJournal, JournalError> {
    let journal = home.open();
    let recorded = portable.events[0].to_recorded(&portable.run).unwrap();
    let Event::RunStarted(started) = recorded.event else { panic!("a run begins with its start") };
    journal.import(&Import { run: portable.run, started, events: portable.events })?;
    Ok(journal)
}

#[test]
fn what_was_exported_is_read_back_as_it_was() {
    let home = Home::new();
    let journal = home.open();
    let file = exported(&journal);
    let (portable, blobs) = read(&file).unwrap();
    assert_eq!((&portable.run, &portable.events), (&run_id(1), &journal.stored(&run_id(1)).unwrap()));
    assert_eq!(blobs, [b"a component"]);
}

#[test]
fn a_strangers_run_is_looked_at_and_goes_on_once_it_is_adopted() {
    let (here, elsewhere) = (Home::new(), Home::new());
    let (portable, _) = read(&exported(&elsewhere.open())).unwrap();
    let journal = import(&here, portable).unwrap();
    assert_eq!(journal.events(&run_id(1)).unwrap(), elsewhere.open().events(&run_id(1)).unwrap());
    let head = |home: &Home| home.open().verify(&run_id(1)).unwrap().head;
    assert_eq!(head(&here), head(&elsewhere));
    assert_eq!(journal.verify(&run_id(1)).unwrap().marks, Marks::NotOursFrom(1));
    let refused = journal.resume_run(&run_id(1), TakeOver::IfDead);
    assert!(matches!(refused, Err(JournalError::NotOurs { seq: 1, .. })));
    let adopted = || RunAdopted { file: Digest::of(b"file"), authorities: Vec::new() };
    journal.adopt(&run_id(1), at(9), adopted()).unwrap();
    assert_eq!(journal.verify(&run_id(1)).unwrap().marks, Marks::Ours);
    let (events, _log) = journal.resume_run(&run_id(1), TakeOver::IfDead).unwrap();
    let last = events.last().unwrap();
    assert_eq!((last.seq, last.epoch, last.event.clone()), (5, 2, adopted().into()), "and is the word for the others");
}

#[test]
fn a_run_comes_in_once_and_not_after_it_was_removed() {
    let home = Home::new();
    let journal = home.open();
    let file = exported(&journal);
    let again = || import(&home, read(&file).unwrap().0).map(drop);
    assert!(matches!(again(), Err(JournalError::RunExists(_))));
    journal.remove_run(&run_id(1), at(9)).unwrap();
    assert!(matches!(again(), Err(JournalError::RunRemoved { .. })));
}

#[test]
fn what_is_no_exported_run_is_refused_by_its_line() {
    let home = Home::new();
    let good = String::from_utf8(exported(&home.open())).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n") + "\n"
    };
    let cases = [
        (String::new(), "the file is not an exported run"),
        ("{}\n".to_owned(), "the file is not an exported run"),
        ("\u{0}\u{1}\u{2}".repeat(5000), "the file is not an exported run"),
        (
            with(1, &lines[0].replace(":1,", ":2,")),
            "the exported run has format 2, this agent-host knows formats up to 1",
        ),
        (
            with(1, &lines[0].replace("\"events\":4", "\"events\":4000000000")),
            "the exported run has 4000000000 events, more than the 1000000 that are read",
        ),
        (lines[..3].join("\n") + "\n", "the exported run was cut short at line 4"),
        (
            with(6, &lines[5].replace("YSBj", "YSBk")),
            "line 6 of the exported run holds bytes that do not have their digest",
        ),
        (with(6, &lines[5].replace("YSBj", "****")), "line 6 of the exported run is not base64"),
        (with(7, "{\"end\":\"sha256:00\"}"), "line 7 of the exported run cannot be understood: not a digest"),
        (
            with(3, &lines[2].replace("ModelRequested", &"x".repeat(65))),
            "line 3 of the exported run has a kind that is none",
        ),
        (format!("{good}more\n"), "line 7 of the exported run is followed by more"),
        (
            with(3, &lines[2].replace("\"at\":", "\"at\":9")),
            "line 7 of the exported run does not have the digest of the lines before it",
        ),
    ];
    for (file, said) in cases {
        let refused = refused(file.as_bytes());
        assert!(refused.starts_with(said), "{refused}");
    }
}

/// An export that no import takes is no backup.
#[test]
fn what_would_not_be_read_is_not_written() {
    let home = Home::new();
    let journal = home.open();
    record_run(&journal, &run_id(1));
    let mut events = journal.stored(&run_id(1)).unwrap();
    // Untouched memory, which takes no room.
    let large = || String::from_utf8(vec![0; 64 << 20]).unwrap();
    let stored = |text: String| {
        let body = crate::journal::chain::Body::Text { text, digest: Digest::of(b"") };
        Stored { body, ..events[1].clone() }
    };
    let many: Vec<_> = (0..9).map(|_| stored(large())).collect();
    events.extend(many);
    let mut out = Vec::new();
    let extent = extent(&events, []);
    let all = |put: &mut Put<'_>| events.iter().try_for_each(put);
    let refused = portable::write(&run_id(1), &extent, all, |_| Ok(Vec::new()), &mut out).unwrap_err();
    assert_eq!(refused.to_string(), "the exported run has events of more than 536870912 bytes");
    assert!(out.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut anywhere or with any byte changed, a file is refused before anything of it counts.
    #[test]
    fn a_damaged_file_is_refused(place in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let home = Home::new();
        let file = exported(&home.open());
        let place = place.index(file.len());
        prop_assert_ne!(refused(&file[..place]), "nothing");
        let mut changed = file.clone();
        changed[place] ^= change;
        prop_assert_ne!(refused(&changed), "nothing");
    }
}
