//! The file itself: whose it is, what format it has, and what happens when it cannot be written.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use agent_core::event::ModelFailed;
use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::run_events::{Durability, RunStarted};

use super::*;
use crate::journal::runs::Wanted;
use crate::journal::tests::started;

/// The first line of the refusal to open.
fn refusal(home: &Home) -> String {
    let folder = home.0.path().canonicalize().unwrap();
    let error = home.try_open().err().expect("must be refused");
    let text =
        error.to_string().replace(&*folder.to_string_lossy(), "~").replace(&*home.0.path().to_string_lossy(), "~");
    assert!(text.contains("\n  hint: "), "a refusal names its cure: {text}");
    text.lines().next().unwrap().to_owned()
}

#[test]
fn folder_and_files_are_private() {
    let home = Home::new();
    let journal = home.open();
    let _log = begin_run(&journal, &run_id(1));
    let mode = |path: PathBuf| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(home.folder()), 0o700);
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        assert_eq!(mode(home.folder().join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_folder_without_a_journal_is_named() {
    let home = Home::new();
    let error = SqliteJournal::open_existing(&home.folder(), &home.key()).err().unwrap();
    assert!(matches!(&error, JournalError::NoJournal { folder } if *folder == home.folder()), "{error}");
}

#[test]
fn a_linked_folder_or_file_is_refused() {
    let home = Home::new();
    let elsewhere = home.0.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.folder()).unwrap();
    assert_eq!(refusal(&home), "`~/.agent-host` cannot hold a journal or a key: it is a symbolic link");

    let home = Home::new();
    home.open();
    std::fs::rename(home.file(), home.0.path().join("moved.db")).unwrap();
    std::os::unix::fs::symlink(home.0.path().join("moved.db"), home.file()).unwrap();
    assert_eq!(refusal(&home), "`~/.agent-host/journal.db` cannot hold a journal or a key: it is a symbolic link");
}

/// A stranger's archive can hold a pipe or a link in the place of each file that lies beside the journal.
#[test]
fn what_is_shipped_beside_the_journal_is_neither_followed_nor_waited_for() {
    let pipe = |path: &std::path::Path| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let home = Home::new();
    let journal = home.open();
    pipe(&home.folder().join("at-work.lock"));
    pipe(&home.folder().join("kv-notes.lock"));
    pipe(&home.folder().join("journal.reserve"));
    let why = |error: JournalError| error.to_string().lines().next().unwrap_or_default().to_owned();
    for refused in [
        journal.put_blob(b"x").map(drop),
        journal.start_run(run_id(1), at(1), started()).map(drop),
        journal.try_hold_stores(&"notes".parse().unwrap()).map(drop),
    ] {
        let said = why(refused.unwrap_err());
        assert!(said.ends_with("it is not a plain file"), "{said}");
    }
    std::fs::remove_file(home.folder().join("at-work.lock")).unwrap();
    drop(journal.start_run(run_id(1), at(1), started()).unwrap());
}

/// Each of many events can name one large blob, and whoever follows a run holds a page of them.
#[test]
fn a_page_ends_where_it_holds_enough() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    let failed = ModelFailed {
        turn: 1,
        failure: ModelFailure { kind: ModelFailureKind::ServerError, message: "x".repeat(5 << 20), retry_after: None },
    };
    for number in 2..9 {
        log.append(at(number), failed.clone().into(), Durable::Later).unwrap();
    }
    let pages = std::iter::successors(Some(0), |seq| {
        journal.events_after(&run_id(1), *seq, 64).unwrap().last().map(|(recorded, _)| recorded.seq)
    });
    assert_eq!(pages.collect::<Vec<_>>(), [0, 3, 5, 7, 8]);
}

#[test]
fn a_newer_format_is_refused() {
    let home = Home::new();
    record_run(&home.open(), &run_id(1));
    home.tamper("PRAGMA user_version = 3");
    assert_eq!(
        refusal(&home),
        "the journal `~/.agent-host/journal.db` has format 3, this agent-host knows formats up to 2"
    );
}

#[test]
fn another_database_is_refused_and_left_alone() {
    let home = Home::new();
    std::fs::create_dir(home.folder()).unwrap();
    home.tamper("CREATE TABLE mine (x)");
    assert_eq!(refusal(&home), "`~/.agent-host/journal.db` is not a journal: it is another kind of database");
    home.tamper("INSERT INTO mine VALUES (1)");

    std::fs::write(home.file(), "dear diary, ".repeat(1_000)).unwrap();
    assert_eq!(refusal(&home), "the journal `~/.agent-host/journal.db` is damaged: it is not a database file");
}

#[test]
fn a_journal_with_a_trigger_is_refused() {
    let home = Home::new();
    record_run(&home.open(), &run_id(1));
    home.tamper("CREATE TRIGGER quiet AFTER INSERT ON events BEGIN DELETE FROM events WHERE seq = new.seq; END");
    assert_eq!(refusal(&home), "`~/.agent-host/journal.db` is not a journal: its tables are not those of a journal");
}

#[test]
fn a_full_store_refuses_the_event_and_goes_on_when_there_is_room() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    limit_pages(&journal, 1);
    let refused = log.append(at(2), replied(&"long ".repeat(10_000)), Durable::Now);
    assert!(matches!(refused, Err(JournalError::StoreFull { .. })), "{refused:?}");
    limit_pages(&journal, 1_000_000);
    let next = log.append(at(2), requested(1), Durable::Now).unwrap();
    assert_eq!(next.seq, 2, "the refused event left no gap");
    assert!(journal.verify(&run_id(1)).unwrap().is_intact());
}

fn limit_pages(journal: &SqliteJournal, pages: u32) {
    let limit = |connection: &Connection| {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        Ok(())
    };
    journal.store.read(limit).unwrap();
}

#[test]
fn a_deleted_file_is_noticed_before_anything_depends_on_it() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    std::fs::remove_file(home.file()).unwrap();
    assert!(matches!(log.append(at(2), requested(1), Durable::Now), Err(JournalError::StoreGone { .. })));
    assert!(matches!(log.append(at(2), requested(1), Durable::Later), Err(JournalError::Poisoned { .. })));
}

/// Also in a run that never syncs, which would otherwise write into nothing to its end.
#[test]
fn whatever_takes_the_file_away_stops_the_run_cleanly() {
    type Act = fn(&Home);
    let acts: [Act; 4] = [
        |home| std::fs::remove_dir_all(home.folder()).unwrap(),
        |home| std::fs::rename(home.folder(), home.0.path().join("elsewhere")).unwrap(),
        |home| std::fs::rename(home.file(), home.folder().join("kept.db")).unwrap(),
        |home| {
            std::fs::copy(home.file(), home.folder().join("copy.db")).unwrap();
            std::fs::rename(home.folder().join("copy.db"), home.file()).unwrap();
        },
    ];
    for act in acts {
        let home = Home::new();
        let journal = home.open();
        let relaxed = RunStarted { durability: Durability::Relaxed, ..started() };
        let (log, _) = journal.start_run(run_id(1), at(1), relaxed).unwrap();
        act(&home);
        let refused = log.append(at(2), requested(1), Durable::Later).unwrap_err();
        assert!(matches!(refused, JournalError::StoreGone { .. }), "{refused}");
        assert_eq!(refused.name(), Some("store_gone"));
        assert!(matches!(log.append(at(2), requested(1), Durable::Later), Err(JournalError::Poisoned { .. })));
    }
}

/// Who has it open keeps what it may do with it; the next one is told.
#[test]
fn a_journal_that_becomes_read_only_keeps_what_is_recorded() {
    let home = Home::new();
    let journal = home.open();
    let log = begin_run(&journal, &run_id(1));
    std::fs::set_permissions(home.file(), Permissions::from_mode(0o400)).unwrap();
    log.append(at(2), requested(1), Durable::Now).unwrap();
    drop(log);
    assert_eq!(home.open().events(&run_id(1)).unwrap().len(), 2);
}

#[test]
fn a_read_only_folder_is_named() {
    let home = Home::new();
    record_run(&home.open(), &run_id(1));
    if rustix::process::geteuid().is_root() {
        // Permissions do not bind root: a read-only connection stands in for a read-only disk.
        let journal = home.open();
        let query_only = |connection: &Connection| {
            connection.pragma_update(None, "query_only", true).unwrap();
            Ok(())
        };
        journal.store.read(query_only).unwrap();
        assert!(matches!(journal.put_blob(b"x"), Err(JournalError::NotWritable { .. })));
        return;
    }
    std::fs::set_permissions(home.file(), Permissions::from_mode(0o400)).unwrap();
    std::fs::set_permissions(home.folder(), Permissions::from_mode(0o500)).unwrap();
    let refused = home.try_open().and_then(|journal| journal.put_blob(b"x"));
    std::fs::set_permissions(home.folder(), Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(refused, Err(JournalError::NotWritable { .. })), "{refused:?}");
}

#[test]
fn many_processes_may_begin_one_journal_at_once() {
    let home = Home::new();
    home.key();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let home = &home;
            scope.spawn(move || record_run(&home.open(), &run_id(number)));
        }
    });
    assert_eq!(home.open().runs(&Wanted::default(), 100).unwrap().len(), 8);
}
