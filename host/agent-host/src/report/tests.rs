//! What people and scripts read, as snapshots over one run made by hand. The commands run as they do in the program, on a
//! journal on disk, with styles dropped as on a file.

use std::io::Write as _;

use agent_core::run_events::{RunRebased, RunStarted};
use agent_core::trace::Content;
use agent_core::trace::projection::Projection;
use jiff::tz::TimeZone;

use super::{changes, difference, samples, waterfall};
use crate::commands::{ls, show, trace, verify};
use crate::journal::Journal as _;
use crate::journal::key::HostKey;
use crate::journal::log::Durable;
use crate::journal::sqlite::SqliteJournal;

struct Sample {
    _home: tempfile::TempDir,
    journal: SqliteJournal,
}

impl Sample {
    /// A journal with the sample run in it.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = HostKey::load_or_create(home.path()).unwrap();
        let journal = SqliteJournal::create_or_open(&home.path().join(".agent-host"), &key).unwrap();
        let (log, _) = journal.start_run(samples::run_id(1), samples::at(1), samples::started()).unwrap();
        for (index, event) in samples::events().into_iter().enumerate() {
            log.append(samples::at(index as u64 + 2), event, Durable::Later).unwrap();
        }
        for part in samples::kept() {
            journal.put_blob(part.as_bytes()).unwrap();
        }
        Self { _home: home, journal }
    }

    /// Another run of which nothing but the beginning is recorded.
    fn interrupted(&self, number: u64, input: &str) {
        let started = RunStarted { input: input.to_owned(), session: None, ..samples::started() };
        self.journal.start_run(samples::run_id(number), samples::at(number), started).unwrap();
    }

    fn show(&self, run: Option<&str>, effects: bool, json: bool) -> String {
        let args = show::ShowArgs { run: run.map(str::to_owned), effects, json };
        printed(|out| show::run(&args, &self.journal, &TimeZone::UTC, out))
    }

    fn ls(&self, json: bool) -> String {
        let args = ls::LsArgs { limit: 20, session: None, meta: Vec::new(), status: None, all: false, json };
        printed(|out| ls::run(&args, &self.journal, &TimeZone::UTC, out))
    }
}

/// What reaches a file or pipe.
fn printed(print: impl FnOnce(&mut dyn std::io::Write) -> anyhow::Result<()>) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    print(&mut out).unwrap();
    out.flush().unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

#[test]
fn the_sample_follows_the_rules_of_a_run() {
    let state = agent_core::state::State::fold(&samples::recorded()).unwrap().unwrap();
    assert_eq!((state.spent.turns, state.spent.tool_calls), (3, 4));
    let summary = Sample::new().journal.summary(&samples::run_id(1)).unwrap();
    assert_eq!((summary.turns, summary.calls), (3, 4), "the listing counts as the fold does");
}

#[test]
fn show_tells_the_conversation() {
    insta::assert_snapshot!(Sample::new().show(None, false, false));
}

#[test]
fn show_lists_the_effects() {
    insta::assert_snapshot!(Sample::new().show(None, true, false));
}

#[test]
fn show_prints_the_events_for_scripts() {
    let lines = Sample::new().show(None, false, true);
    let kept: Vec<_> =
        lines.lines().filter(|line| !line.contains("\"RunStarted\"") && !line.contains("\"ToolStarted\"")).collect();
    insta::assert_snapshot!(kept.join("\n"));
}

#[test]
fn show_says_how_an_interrupted_run_goes_on() {
    let sample = Sample::new();
    sample.interrupted(2, "One more thing.");
    insta::assert_snapshot!(sample.show(Some(samples::run_id(2).as_str()), false, false));
}

#[test]
fn changes_are_told_by_call() {
    let told = agent_core::file_changes::of_run(&samples::writing()).unwrap();
    let list = |form| {
        printed(|out| {
            let mut listing = changes::Listing::begin(form, out)?;
            told.attempts.iter().try_for_each(|attempt| listing.add(attempt))?;
            listing.end()?;
            Ok(())
        })
    };
    insta::assert_snapshot!(list(changes::Form::Text));
    insta::assert_snapshot!("changes_json", list(changes::Form::Json));
}

#[test]
fn an_undo_says_what_it_left_alone() {
    let about = |path: &str, reason: &str| changes::Told {
        call: agent_core::name::CallNumber(1),
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let told = changes::Undoing {
        restored: ["/data/a".to_owned(), "/data/b\u{1b}[2J".to_owned()].into(),
        left: vec![about("/data/c", "the call left a file of 3 B, there is now nothing")],
        missing: vec![about("/data/a", "its owner 0:0 could not be given back: Operation not permitted")],
    };
    for (name, form) in [("undone", changes::Form::Text), ("undone_json", changes::Form::Json)] {
        insta::assert_snapshot!(name, printed(|out| Ok(changes::write_undone(&samples::run_id(2), &told, form, out)?)));
    }
}

#[test]
fn ls_lists_the_newest_first() {
    let sample = Sample::new();
    sample.interrupted(2, "A \u{1b}]0;title\u{7} in a very long input that is going to be cut somewhere around here");
    insta::assert_snapshot!(sample.ls(false));
    insta::assert_snapshot!("ls_json", sample.ls(true));
}

/// A picture without trailing spaces, as a terminal shows it.
fn drawn(width: usize, effects: waterfall::Effects) -> String {
    let mut projection = Projection::new(Content::Brief);
    let spans: Vec<_> = samples::recorded().iter().flat_map(|event| projection.follow(event, None)).collect();
    printed(|out| Ok(waterfall::write(&spans, width, effects, out)?))
}

#[test]
fn trace_draws_a_run_over_time() {
    let narrow = drawn(80, waterfall::Effects::Some);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    insta::assert_snapshot!(narrow);
    insta::assert_snapshot!("trace_is_wider_where_there_is_room", drawn(120, waterfall::Effects::All));
    for width in [0, 72, 79, 81, 1_000] {
        let drawn = drawn(width, waterfall::Effects::All);
        assert!(drawn.lines().all(|line| line.chars().count() <= width.clamp(72, 200)), "{width}: {drawn}");
    }
}

#[test]
fn trace_draws_what_goes_on_and_prints_it_for_scripts() {
    let sample = Sample::new();
    sample.interrupted(2, "One more thing.");
    let args = |run: u64, json| trace::TraceArgs {
        run: Some(samples::run_id(run).as_str().to_owned()),
        effects: false,
        json,
        export: false,
    };
    let interrupted = printed(|out| trace::run(&args(2, false), &sample.journal, out));
    insta::assert_snapshot!("trace_of_an_interrupted_run", interrupted);
    let lines = printed(|out| trace::run(&args(1, true), &sample.journal, out));
    let spans: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(spans.len(), 18);
    insta::assert_snapshot!("trace_json", serde_json::to_string_pretty(&spans[2]).unwrap());
}

#[test]
fn verify_says_what_it_proved() {
    let sample = Sample::new();
    let proved =
        printed(|out| verify::run(&verify::VerifyArgs { run: None, file: None, json: false }, &sample.journal, out));
    // The hash of the last event changes with every stored type.
    let (proved, head) = proved.split_once("sha256:").unwrap();
    assert_eq!(head.trim().len(), 64);
    insta::assert_snapshot!(proved);
}

#[test]
fn a_rebase_shows_what_it_changes_and_nothing_else() {
    let before = samples::started();
    let held: Vec<_> = before.tools.iter().map(|tool| tool.authority.clone()).collect();
    let RunStarted { agent, agent_file, instructions, models, tools, .. } = before.clone();
    let same = RunRebased { agent, agent_file, instructions, models, tools };
    assert_eq!(difference::lines(&before, &held, &same), Vec::<String>::new());

    let mut other = same;
    other.instructions = "Help.\nBe brief.\u{1b}[2J".to_owned();
    other.models.remove(1);
    other.tools.remove(2);
    other.tools[1].component = agent_core::digest::Digest::of(b"rebuilt");
    other.tools[0].authority.grant.limits.fuel = agent_core::units::Fuel(1);
    other.tools.push(samples::tool("calc.evaluate"));
    insta::assert_snapshot!(difference::lines(&before, &held, &other).join("\n"));
}

#[test]
fn a_removed_run_is_listed_by_its_tombstone() {
    let sample = Sample::new();
    sample.journal.remove_run(&samples::run_id(1), samples::at(99)).unwrap();
    let args = |json| ls::LsArgs { limit: 20, session: None, meta: Vec::new(), status: None, all: true, json };
    let listed = |json| printed(|out| ls::run(&args(json), &sample.journal, &TimeZone::UTC, out));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[HASH]");
    settings.bind(|| insta::assert_snapshot!(format!("{}{}", listed(false), listed(true))));
}
