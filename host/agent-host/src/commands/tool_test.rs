//! `agent-host tool test`: calls a tool as its cases say, each in a folder of its own, and compares what came of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
use crate::authoring::trial::{self, Tried};
use crate::home::{self, Home};
use crate::input;
use crate::journal::key::HostKey;
use crate::report::text;
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

The clock and random numbers are the same each time. `net = [\"https://…\"]` lets a case really send requests there.

Exit codes:
  0 every case is as expected, 1 one is not, or an error, 2 wrong command line";

/// `agent-host tool test`.
#[derive(Debug, clap::Args)]
pub struct ToolTestArgs {
    /// The tool's folder, or several.
    #[arg(default_value = ".", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
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
    Ok(Confined::new(reach, move |hardening| test(args, home, key, tested, place, hardening)))
}

/// A folder for the folders of cases. Below one of ours, so that it can be removed behind the wall.
///
/// # Errors
/// Where it cannot be made.
pub fn place(home: &Home) -> anyhow::Result<TempDir> {
    home::private_folder(&home.trials())?;
    tempfile::tempdir_in(home.trials()).context("cannot make a folder for the cases")
}

fn read(folder: &Path, only: Option<&str>, place: &TempDir) -> anyhow::Result<Tested> {
    let cases = cases(folder)?;
    let mut found = toolset::find(&[folder.to_owned()])?;
    let (Some(found), true) = (found.pop(), found.is_empty()) else {
        bail!("`{}` holds several tools: name their folders", folder.display())
    };
    let parent = place.path().canonicalize()?.join(found.name.as_str());
    std::fs::create_dir(&parent).with_context(|| format!("`{}` is there twice", found.name))?;
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

async fn test(
    args: ToolTestArgs,
    home: Home,
    key: HostKey,
    tested: Vec<Tested>,
    place: TempDir,
    hardening: Hardening,
) -> anyhow::Result<ExitCode> {
    let sandbox = launch::sandbox(&home, &key, args.json, Strictness::Standard)?;
    launch::sealed(hardening);
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for Tested { tool, cases } in tested {
        let loaded = toolset::load(&sandbox, tool)?;
        for (case, folder) in &cases {
            let tried = trial::call(&sandbox, &loaded, case, folder).await?;
            let wrong = judge::judge(case, &tried, &trial::left_otherwise(case, folder));
            let count = if wrong.is_empty() { &mut passed } else { &mut failed };
            *count += 1;
            if args.json { print_json(&loaded, case, &tried, &wrong) } else { print(&loaded, case, &tried, &wrong) }?;
        }
    }
    place.close().context("cannot remove the folder of the cases")?;
    if !args.json {
        writeln!(anstream::stdout(), "{passed} passed, {failed} failed")?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(loaded: &Loaded, case: &Case, tried: &Tried, wrong: &[String]) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let name = format!("{}.{}: {}", loaded.found.name, case.call, text::whole(&case.name));
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
    writeln!(out, "    {DIM}the case is at {}{DIM:#}", text::whole(&case.source.to_string()))
}

fn print_json(loaded: &Loaded, case: &Case, tried: &Tried, wrong: &[String]) -> std::io::Result<()> {
    let object = json!({
        "tool": loaded.found.name,
        "case": case.name,
        "call": case.call,
        "passed": wrong.is_empty(),
        "wrong": wrong,
        "outcome": tried.outcome,
        "effects": tried.effects.iter().map(judge::said).collect::<Vec<_>>(),
        "metering": tried.metering,
        "said": tried.said,
        "at": case.source,
    });
    writeln!(std::io::stdout(), "{object}")
}
