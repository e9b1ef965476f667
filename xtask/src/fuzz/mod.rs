//! `cargo xtask fuzz`: builds the fuzz targets with coverage counters (`instrument`), runs each for a time (`engine`) and
//! reports. A step of `cargo xtask test`, too, with less time.

mod engine;
pub(crate) mod instrument;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use self::engine::{Ended, Engine};
use crate::places::Places;
use crate::report::Report;
use crate::talk::{print, relay, say};
use crate::tally::Tally;

pub(crate) const HELP: &str = "\
cargo xtask fuzz [TARGET…] [--seconds N]
cargo xtask fuzz TARGET FILE

Feeds made-up input to everything that reads what a stranger wrote: each target for N seconds, 60 unless said otherwise; all
targets unless some are named. First it makes sure that it finds a bug that was planted. What it learns is kept in the target
folder, beside the corpus in tests/fuzz/corpus. An input that breaks something is kept too; the second form plays one again.

  targets   manifest, agent_file, url_pattern, component, value, redactor";

/// For each target, unless `--seconds` says otherwise.
const SECONDS: u32 = 60;

/// For each target in `cargo xtask test`.
pub(crate) const SECONDS_IN_TEST: u32 = 10;

/// The longest that can be asked for: a day.
const SECONDS_MAX: u32 = 86_400;

/// A target, and how long its inputs may be: long enough for what real files hold, short enough for thousands a second.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) input_bytes_max: u32,
}

pub(super) const TARGETS: [Target; 6] = [
    Target { name: "manifest", input_bytes_max: 2_048 },
    Target { name: "agent_file", input_bytes_max: 2_048 },
    Target { name: "url_pattern", input_bytes_max: 256 },
    Target { name: "component", input_bytes_max: 4_096 },
    Target { name: "value", input_bytes_max: 512 },
    Target { name: "redactor", input_bytes_max: 512 },
];

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Search { targets: Vec<usize>, seconds: u32 },
    PlayAgain { target: usize, file: PathBuf },
}

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    match read(arguments)? {
        Wish::Search { targets, seconds } => search(places, &targets, seconds, &mut Tally::default()),
        Wish::PlayAgain { target, file } => {
            let file = std::path::absolute(&file)?;
            ensure!(file.is_file(), "there is no file `{}`", file.display());
            Engine::build(places)?.play(TARGETS[target].name, &file)
        }
    }
}

/// Whether there is a compiler for what the fuzz targets are linked with, which is C++. Asked before an hour of other steps.
///
/// # Errors
/// Where there is none.
pub(crate) fn check_compiler() -> Result<()> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut asked = Command::new(&compiler);
    let answers =
        asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
    ensure!(
        answers,
        "the fuzz targets need a compiler for C++, and `{compiler}` is none\n  hint: install `g++` or `clang++`, or name one in `CXX`"
    );
    Ok(())
}

/// The step of `cargo xtask test`.
pub(crate) fn step(places: &Places, report: &mut Report) -> Result<()> {
    let all: Vec<usize> = (0..TARGETS.len()).collect();
    report.counted("fuzz targets", |tally| search(places, &all, SECONDS_IN_TEST, tally))
}

fn read(arguments: &[String]) -> Result<Wish> {
    let (mut targets, mut seconds, mut file) = (Vec::new(), SECONDS, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), TARGETS.iter().position(|target| target.name == word)) {
            ("--seconds", _) => seconds = read_seconds(words.next())?,
            (_, Some(target)) => targets.push(target),
            (_, None) if targets.len() == 1 && file.is_none() && !word.starts_with('-') => file = Some(word.into()),
            (_, None) => bail!("no target is called `{word}`\n  hint: `cargo xtask fuzz --help` lists them"),
        }
    }
    match (file, targets.as_slice()) {
        (Some(file), [target]) => Ok(Wish::PlayAgain { target: *target, file }),
        (Some(_), _) => bail!("a file is played by one target\n  hint: `cargo xtask fuzz TARGET FILE`"),
        (None, []) => Ok(Wish::Search { targets: (0..TARGETS.len()).collect(), seconds }),
        (None, _) => Ok(Wish::Search { targets, seconds }),
    }
}

fn read_seconds(word: Option<&String>) -> Result<u32> {
    let seconds = word.and_then(|word| word.parse().ok()).filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    seconds.with_context(|| format!("`--seconds` takes a number from 1 to {SECONDS_MAX}"))
}

/// Counts each target, and the planted bug, as one test.
fn search(places: &Places, targets: &[usize], seconds: u32, tally: &mut Tally) -> Result<()> {
    let engine = Engine::build(places)?;
    let found = engine.find_the_planted_bug();
    tally.count(found.is_ok());
    print(&format!("  planted      {}", found?));
    let broken = in_parallel(&engine, targets, seconds, tally)?;
    ensure!(broken.is_empty(), "an input breaks {}", broken.join(", "));
    Ok(())
}

/// As many at once as there are processors. Returns the targets that broke.
fn in_parallel(engine: &Engine, targets: &[usize], seconds: u32, tally: &mut Tally) -> Result<Vec<&'static str>> {
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(targets.len());
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    say(&format!("{} targets, {seconds} s each, {workers} at once", targets.len()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(index) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let target = &TARGETS[*index];
                    let result = engine.search(target, seconds);
                    if let Ok(mut ended) = ended.lock() {
                        ended.push((target.name, result));
                    }
                }
            });
        }
    });
    let mut broken = Vec::new();
    for (name, result) in ended.into_inner().unwrap_or_default() {
        let ended = result?;
        tally.count(matches!(ended, Ended::InTime(_)));
        match ended {
            Ended::InTime(figures) => print(&format!("  {name:<12} {figures}")),
            Ended::Broken { log, input } => {
                broken.push(name);
                show(name, &log, input.as_deref());
            }
        }
    }
    Ok(broken)
}

fn show(name: &str, log: &[String], input: Option<&Path>) {
    print(&format!("  {name:<12} BROKEN"));
    log.iter().for_each(|line| relay(line));
    if let Some(input) = input {
        print(&format!("  play it again: cargo xtask fuzz {name} {}", input.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> Result<Wish> {
        read(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_say_what_to_search_or_what_to_play() -> Result<()> {
        assert_eq!(said("")?, Wish::Search { targets: vec![0, 1, 2, 3, 4, 5], seconds: 60 });
        assert_eq!(said("value --seconds 5 manifest")?, Wish::Search { targets: vec![4, 0], seconds: 5 });
        assert_eq!(said("value crash-1")?, Wish::PlayAgain { target: 4, file: "crash-1".into() });
        for wrong in ["valve", "--seconds", "--seconds 0", "--seconds x", "value --minutes", "value manifest crash-1"] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn every_target_has_a_corpus_and_is_in_the_help() -> Result<()> {
        // Cargo's word at run time: clones may share a target folder, and with it this program.
        let manifest = std::env::var("CARGO_MANIFEST_DIR")?;
        let corpus = Path::new(&manifest).join("../tests/fuzz/corpus");
        for target in TARGETS {
            let seeds = std::fs::read_dir(corpus.join(target.name)).map(Iterator::count);
            assert!(seeds.is_ok_and(|seeds| seeds > 0), "{}", target.name);
            assert!(HELP.contains(target.name), "{}", target.name);
        }
        Ok(())
    }
}
