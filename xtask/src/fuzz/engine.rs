//! The built fuzz program: one run of one target, within its bounds, and what libFuzzer said about it.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Target, instrument};
use crate::at_once;
use crate::check::host;
use crate::places::Places;
use crate::process::{run, run_shown};

/// The variable by which the program is told its target.
const CHOICE: &str = "AGENT_HOST_FUZZ_TARGET";

/// Longest that one input may take. Each takes well below a millisecond, or some when a component is compiled.
const INPUT_SECONDS_MAX: u32 = 10;

/// Most memory of the process. The largest input has a few KiB, and the program itself takes 100 MiB.
const MEMORY_MIB_MAX: u32 = 1_024;

/// How long the planted bug may stay hidden. It is found in ten seconds.
const PLANTED_SECONDS_MAX: u32 = 60;

/// Its inputs.
const PLANTED: Target = Target { name: "planted", input_bytes_max: 16 };

/// Beyond its own time, a run that does not end by itself is ended.
const GRACE: Duration = Duration::from_secs(60);

/// Last lines of a log that tell what broke.
const LOG_LINES_SHOWN: usize = 60;

/// The fuzz program.
pub(super) struct Engine {
    program: PathBuf,
    /// What was learned, what broke and what was said, for each target.
    folder: PathBuf,
    /// The committed corpus and the words that libFuzzer may use.
    committed: PathBuf,
}

/// How a run ended.
pub(super) enum Ended {
    InTime(Figures),
    Broken { log: Vec<String>, input: Option<PathBuf> },
}

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    inputs: u64,
    /// Edges of the code that inputs have reached: with the corpus alone, and in the end.
    reached_first: u64,
    reached: u64,
}

impl Engine {
    /// Builds the program. Features are those of the whole workspace, so that no dependency is compiled once more.
    pub(super) fn build(places: &Places) -> Result<Self> {
        let mut build = host(places);
        at_once::lint(places, &mut build);
        build.args(["build", "--locked", "--workspace", "--bin", "fuzz", "--features", "agent-fuzz/engine"]);
        run_shown(build.env("RUSTC_WORKSPACE_WRAPPER", instrument::wrapper(places)?))?;
        Ok(Self {
            program: places.target.join("debug/fuzz"),
            folder: places.target.join("fuzz"),
            committed: places.repo.join("tests/fuzz"),
        })
    }

    /// Runs a target for a time.
    pub(super) fn search(&self, target: &Target, seconds: u32) -> Result<Ended> {
        let (corpus, broken) = (self.folder.join("corpus").join(target.name), self.folder.join("broken"));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&broken)?;
        let mut command = self.command(target);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/{}-", broken.display(), target.name));
        let words = self.committed.join("dictionaries").join(target.name);
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        // What is new goes into the first folder.
        command.arg(corpus);
        let committed = self.committed.join("corpus").join(target.name);
        if committed.is_dir() {
            command.arg(committed);
        }
        let log = self.folder.join(format!("{}.log", target.name));
        let status = ended_within(Duration::from_secs(seconds.into()) + GRACE, &mut command, &log)?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if status.success() {
            return Ok(Ended::InTime(Figures::from_log(&said)));
        }
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].to_vec();
        Ok(Ended::Broken { log: shown, input: kept_input(&said) })
    }

    /// Gives a target one input.
    pub(super) fn play(&self, target: &str, file: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        run(command.env(CHOICE, target).arg(format!("-timeout={INPUT_SECONDS_MAX}")).arg(file))
    }

    /// Whether a search finds what is there: the planted bug within its time, and again from the file that it left.
    pub(super) fn find_the_planted_bug(&self) -> Result<String> {
        let started = Instant::now();
        // Nothing learned earlier may help.
        let _ = fs::remove_dir_all(self.folder.join("corpus").join(PLANTED.name));
        match self.search(&PLANTED, PLANTED_SECONDS_MAX)? {
            Ended::InTime(figures) => bail!("the planted bug was not found, so no other would be: {figures}"),
            Ended::Broken { log, input } => {
                let input = input.with_context(|| format!("the planted bug left no file: {}", log.join("\n")))?;
                let mut again = Command::new(&self.program);
                let status = again.env(CHOICE, PLANTED.name).arg(&input).stderr(Stdio::null()).status()?;
                ensure!(!status.success(), "`{}` does not show the planted bug again", input.display());
                Ok(format!("found after {:.1} s", started.elapsed().as_secs_f64()))
            }
        }
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        command.env(CHOICE, target.name);
        command.arg(format!("-max_len={}", target.input_bytes_max));
        command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
        command.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
        command.arg("-print_final_stats=1");
        command
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inputs, reached_first, reached } = self;
        write!(f, "ok: {inputs} inputs, {reached_first} edges reached at first and {reached} in the end")
    }
}

impl Figures {
    /// Reads what libFuzzer prints: `#123 INITED cov: 45 ft: …`, and `stat::number_of_executed_units: 678` at the end.
    fn from_log(log: &str) -> Self {
        let after = |line: &str, word: &str| -> Option<u64> {
            line.split_once(word)?.1.split_whitespace().next()?.parse().ok()
        };
        let mut figures = Self::default();
        for line in log.lines() {
            if let Some(reached) = after(line, "cov: ") {
                figures.reached = reached;
                if line.contains("INITED") {
                    figures.reached_first = reached;
                }
            }
            if let Some(inputs) = after(line, "stat::number_of_executed_units: ") {
                figures.inputs = inputs;
            }
        }
        figures
    }
}

/// Runs it with all that it says in a file, and ends it where it does not end.
fn ended_within(limit: Duration, command: &mut Command, log: &Path) -> Result<ExitStatus> {
    const POLL: Duration = Duration::from_millis(50);
    let file = File::create(log).with_context(|| format!("cannot create `{}`", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().context("cannot start the fuzz program")?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("the fuzz program did not end in time; it said in `{}` what it did last", log.display());
        }
        std::thread::sleep(POLL);
    }
}

/// The file of the input that broke something.
fn kept_input(log: &str) -> Option<PathBuf> {
    log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
#12\tINITED cov: 345 ft: 400 corp: 12/1234b exec/s: 0 rss: 60Mb
#512\tNEW    cov: 350 ft: 412 corp: 13/1250b lim: 4 exec/s: 0 rss: 60Mb L: 3/9 MS: 1 ChangeBit-
#4096\tDONE   cov: 377 ft: 500 corp: 20/2000b lim: 40 exec/s: 409 rss: 61Mb
stat::number_of_executed_units: 4096
";

    #[test]
    fn a_log_tells_what_was_reached() {
        let figures = Figures { inputs: 4_096, reached_first: 345, reached: 377 };
        assert_eq!(Figures::from_log(LOG), figures);
        assert_eq!(kept_input(LOG), None);
    }

    #[test]
    fn a_log_tells_where_the_input_is() {
        let log = "==7== ERROR: libFuzzer: deadly signal\nartifact_prefix='b/'; Test unit written to b/value-crash-0a\nBase64: YQ==\n";
        assert_eq!(kept_input(log), Some("b/value-crash-0a".into()));
    }
}
