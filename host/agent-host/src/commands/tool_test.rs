//! `agent-host tool test`: calls a tool as its cases say, each in a folder of its own, and compares what came of it.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agent_core::config::cases::{Case, parse_cases};
use agent_core::hardening::Hardening;
use agent_core::run_events::Strictness;
use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use serde_json::json;
use tempfile::TempDir;

use super::confined::Confined;
use super::launch;
use crate::authoring::judge;
use crate::authoring::outside::Outside;
use crate::authoring::trial::{self, Trial, Tried};
use crate::home::{self, Home};
use crate::input;
use crate::journal::key::HostKey;
use crate::report::text;
use crate::tool_folders;
use crate::toolset::{self, Loaded, Unloaded};

/// The file of cases beside a manifest.
pub const CASES: &str = "tests.toml";
/// Widest line of what a tool said.
const LINE_CHARS_MAX: usize = 300;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What `--help` says after the options.
pub const HELP: &str = "\
A case is one call, in a folder of its own:

  [[case]]
  name = \"a poem\"
  call = \"count\"                            # the operation
  arguments = { path = \"sea.txt\" }          # or the text of a JSON object, where null is needed
  files = { \"sea.txt\" = \"The sea\\n\" }       # what lies in the folder that the tool is granted
  env = { TZ = \"UTC\" }                      # what it finds in its environment
  returns = { lines = 1, words = 2 }        # or `contains = \"…\"`, `fails = \"…\"`, `ends = \"guest_trap\"`
  effects = [\"read /data/sea.txt\"]          # all that it does, in order
  leaves = { \"out.txt\" = \"done\\n\" }         # files that are there afterwards

The clock and random numbers are the same each time. A case with `net = [\"https://…\"]` really sends requests there: it is
called only where `--allow-net` covers that.

Exit codes:
  0 every case is as expected, 1 one is not or may not be called, or an error, 2 wrong command line";

/// `agent-host tool test`.
#[derive(Debug, clap::Args)]
pub struct ToolTestArgs {
    /// The tool's folder, or several.
    #[arg(default_value = ".", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Let cases that say so send requests to a host by HTTPS, or to a URL such as `http://127.0.0.1:8080`.
    #[arg(long, value_name = "HOST", help_heading = "Grants")]
    pub allow_net: Vec<String>,
    /// Print one JSON object per case.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// A tool with its cases.
struct Tested {
    tool: Unloaded,
    cases: Vec<(Case, PathBuf)>,
}

/// Reads tools and cases, and makes the folders of the cases.
///
/// # Errors
/// Where there is no tool or no case, or a file has problems.
pub async fn prepare(args: ToolTestArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let outside = Outside::read(&home, &args.allow_net)?;
    let place = place(&home)?;
    let mut tested = Vec::new();
    for folder in &args.folders {
        tested.push(read(folder, args.only.as_deref(), &place)?);
    }
    if tested.iter().all(|tested| tested.cases.is_empty()) {
        bail!("no case has `{}` in its name", args.only.as_deref().unwrap_or_default());
    }
    let mut reach = launch::reach(&home)?;
    reach.write(home.trials());
    let asked = Asked { json: args.json, home, key, tested, place, outside };
    Ok(Confined::new(reach, move |hardening| asked.test(hardening)))
}

/// Cases that are to be called.
struct Asked {
    json: bool,
    home: Home,
    key: HostKey,
    tested: Vec<Tested>,
    place: TempDir,
    outside: Outside,
}

/// After this long a folder of cases belongs to nobody any more: whoever made it was stopped before it could be removed.
const PLACE_TIME: Duration = Duration::from_secs(24 * 3_600);
/// Entries of the folder of such folders that are looked at for it.
const PLACES_MAX: usize = 1_000;

/// A folder for the folders of cases. Below one of ours, so that it can be removed behind the wall.
///
/// # Errors
/// Where it cannot be made.
pub fn place(home: &Home) -> anyhow::Result<TempDir> {
    home::private_folder(&home.trials())?;
    remove_left(&home.trials());
    tempfile::tempdir_in(home.trials()).context("cannot make a folder for the cases")
}

/// Removes what was left behind, as far as that can be done: it takes room, and does no harm.
fn remove_left(trials: &Path) {
    let is_old = |entry: &fs::DirEntry| {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|made| made.elapsed());
        age.is_ok_and(|age| age.is_ok_and(|age| age > PLACE_TIME))
    };
    let entries = fs::read_dir(trials).into_iter().flatten().take(PLACES_MAX).flatten();
    for old in entries.filter(is_old) {
        let _ = fs::remove_dir_all(old.path());
    }
}

fn read(folder: &Path, only: Option<&str>, place: &TempDir) -> anyhow::Result<Tested> {
    let cases = cases(folder)?;
    let mut found = tool_folders::find(&[folder.to_owned()])?;
    let (Some(found), true) = (found.pop(), found.is_empty()) else {
        bail!("`{}` holds several tools: name their folders", folder.display())
    };
    let parent = place.path().canonicalize()?.join(found.name.as_str());
    fs::create_dir(&parent)
        .with_context(|| format!("`{}` is named twice, or another tool is called so", found.name))?;
    let wanted = cases.into_iter().filter(|case| only.is_none_or(|only| case.name.contains(only)));
    let cases = wanted
        .enumerate()
        .map(|(number, case)| trial::make_folder(&parent, number, &case).map(|folder| (case, folder)))
        .collect::<anyhow::Result<_>>()?;
    Ok(Tested { tool: toolset::read(found)?, cases })
}

/// The cases of the tool in a folder.
///
/// # Errors
/// Where there are none, or they have problems.
pub fn cases(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let file = folder.join(CASES);
    let shown = file.display().to_string();
    if !file.is_file() {
        bail!("there is no `{shown}`\n  hint: `agent-host tool test --help` shows what a case looks like");
    }
    Ok(parse_cases(&shown, &input::read_config(&file, &shown)?)?)
}

impl Asked {
    async fn test(self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let Self { json, home, key, tested, place, outside } = self;
        let sandbox = launch::sandbox(&home, &key, json, Strictness::Standard)?;
        launch::sealed(hardening);
        let mut count = Count::default();
        for Tested { tool, cases } in tested {
            let loaded = toolset::load(&sandbox, tool)?;
            for (case, folder) in &cases {
                let trial = trial::call(&sandbox, &loaded, case, folder, &outside).await?;
                let judged = judged(case, folder, trial);
                *count.of(&judged) += 1;
                if json { print_json(&loaded, case, &judged) } else { print(&loaded, case, &judged) }?;
            }
        }
        place.close().context("cannot remove the folder of the cases")?;
        if !json {
            writeln!(anstream::stdout(), "{count}")?;
        }
        Ok(if count.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A case, and what is to be said of it.
enum Judged {
    /// It was called. Nothing is wrong where it is as expected.
    Called { tried: Box<Tried>, wrong: Vec<String> },
    /// It may not be called, and why not.
    NotAllowed(String),
}

fn judged(case: &Case, folder: &Path, trial: Trial) -> Judged {
    match trial {
        Trial::NotAllowed(why) => Judged::NotAllowed(why),
        Trial::Made(tried) => {
            let wrong = judge::judge(case, &tried, &trial::left_otherwise(case, folder));
            Judged::Called { tried, wrong }
        }
    }
}

/// How many cases came out how.
#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    not_called: usize,
}

impl Count {
    fn of(&mut self, judged: &Judged) -> &mut usize {
        match judged {
            Judged::Called { wrong, .. } if wrong.is_empty() => &mut self.passed,
            Judged::Called { .. } => &mut self.failed,
            Judged::NotAllowed(_) => &mut self.not_called,
        }
    }

    /// Nobody knows whether a case that was not called is as expected.
    fn is_good(&self) -> bool {
        self.failed == 0 && self.not_called == 0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.not_called > 0 {
            write!(f, ", {} not called", self.not_called)?;
        }
        Ok(())
    }
}

fn print(loaded: &Loaded, case: &Case, judged: &Judged) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let name = format!("{}.{}: {}", loaded.found.name, case.call, text::whole(&case.name));
    let (tried, wrong) = match judged {
        Judged::NotAllowed(why) => {
            writeln!(out, "{BAD}!{BAD:#} {name}")?;
            writeln!(out, "    it was not called: {}", text::line(why, LINE_CHARS_MAX))?;
            return print_place(case, &mut out);
        }
        Judged::Called { tried, wrong } => (tried, wrong),
    };
    let used = format!("{DIM}{} · {} fuel{DIM:#}", tried.metering.duration, tried.metering.fuel.counted());
    if wrong.is_empty() {
        return writeln!(out, "{GOOD}✓{GOOD:#} {name}  {used}");
    }
    writeln!(out, "{BAD}✗{BAD:#} {name}  {used}")?;
    for line in wrong {
        writeln!(out, "    {}", text::line(line, LINE_CHARS_MAX))?;
    }
    for printed in [&tried.said.stdout, &tried.said.stderr] {
        for line in text::block(&printed.text, 20, LINE_CHARS_MAX) {
            writeln!(out, "    {DIM}it printed:{DIM:#} {line}")?;
        }
    }
    print_place(case, &mut out)
}

fn print_place(case: &Case, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "    {DIM}the case is at {}{DIM:#}", text::whole(&case.source.to_string()))
}

fn print_json(loaded: &Loaded, case: &Case, judged: &Judged) -> io::Result<()> {
    let (tool, at) = (&loaded.found.name, &case.source);
    let object = match judged {
        Judged::NotAllowed(why) => json!({
            "tool": tool, "case": case.name, "call": case.call, "passed": false, "not_called": why, "at": at,
        }),
        Judged::Called { tried, wrong } => json!({
            "tool": tool,
            "case": case.name,
            "call": case.call,
            "passed": wrong.is_empty(),
            "wrong": wrong,
            "outcome": tried.outcome,
            "effects": tried.effects.iter().map(judge::said).collect::<Vec<_>>(),
            "metering": tried.metering,
            "said": tried.said,
            "at": at,
        }),
    };
    writeln!(io::stdout(), "{}", text::json(&object.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stopped_test_left_is_removed_by_a_later_one() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let (old, new) = (temp.path().join("old"), temp.path().join("new"));
        for folder in [&old, &new] {
            fs::create_dir_all(folder.join("calc/case-1"))?;
        }
        let long_ago = std::time::SystemTime::now() - PLACE_TIME * 2;
        fs::File::open(&old)?.set_modified(long_ago)?;
        remove_left(temp.path());
        assert_eq!((old.exists(), new.exists()), (false, true));
        Ok(())
    }
}
