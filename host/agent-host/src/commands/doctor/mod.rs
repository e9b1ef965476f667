//! `agent-host doctor`: what works here and what does not, why, and what to do about it. Looks, and changes nothing.

mod machine;
mod state;
mod work;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::confined::Confined;
use crate::hardening;
use crate::hardening::reach::Reach;
use crate::home::RUNS_FOLDER;
use crate::report::text;

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const MISSING: Style = AnsiColor::Yellow.on_default().bold();
const BROKEN: Style = AnsiColor::Red.on_default().bold();

/// `agent-host doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    /// It works.
    Ok,
    /// It is not there, and the host works without it, less well.
    Missing,
    /// The host does not work with it, or is not safe.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    health: Health,
    /// What was found.
    detail: String,
    /// What to do, where something is to be done.
    cure: Option<String>,
}

/// Findings about one part.
#[derive(Debug, Serialize)]
struct Part {
    title: &'static str,
    findings: Vec<Finding>,
}

/// Looks at everything but the journal, which may be a stranger's and is opened behind the walls.
pub async fn prepare(args: DoctorArgs) -> Confined {
    let DoctorArgs { json } = args;
    let (mut files, key) = state::look();
    let (walls, machine) = (walls(), machine::look());
    let work = work::look().await;
    let runs = PathBuf::from(RUNS_FOLDER);
    Confined::new(Reach::of_journal(&runs), move |hardening| async move {
        let _ = hardening::close_memory();
        hardening::tell(&hardening);
        files.push(state::journal(&runs, key.as_ref()));
        say(
            &[
                Part { title: "walls around the host", findings: walls },
                Part { title: "this machine", findings: machine },
                Part { title: "agent-host's own files", findings: files },
                Part { title: "models and tools", findings: work },
            ],
            json,
        )
    })
}

/// Says what was found. The exit code says whether anything is broken.
fn say(parts: &[Part], json: bool) -> anyhow::Result<ExitCode> {
    let healthy = parts.iter().flat_map(|part| &part.findings).all(|finding| finding.health != Health::Broken);
    let mut out = anstream::stdout().lock();
    if json {
        let object = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "healthy": healthy, "parts": parts });
        writeln!(out, "{}", text::json(&format!("{object:#}")))?;
    } else {
        print(parts, healthy, &mut out)?;
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn walls() -> Vec<Finding> {
    use agent_core::hardening::Wall;
    let survey = hardening::survey();
    let cure = |name: &str| match name {
        "landlock" => "Linux 5.13 or newer with `landlock` among its security modules (boot option `lsm=`)",
        "seccomp" => "a kernel with seccomp filters; a container may forbid them",
        _ => "Linux",
    };
    let finding = |(name, wall): (&'static str, &Wall)| match wall {
        Wall::Up(detail) if detail.is_empty() => Finding::ok(name, what_it_does(name)),
        Wall::Up(detail) => Finding::ok(name, format!("{}, {detail}", what_it_does(name))),
        Wall::Down(reason) => Finding::missing(name, reason.as_str(), cure(name)),
    };
    survey.walls().map(finding).into()
}

fn what_it_does(wall: &str) -> &'static str {
    match wall {
        "landlock" => "a run reaches only files that were granted, and its own",
        "seccomp" => "system calls that no run needs are refused",
        "no new privileges" => "nothing that a run starts gets more rights",
        _ => "no other program looks into a run, and a crash leaves no core",
    }
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, health: Health::Ok, detail: detail.into(), cure: None }
    }

    fn missing(name: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, health: Health::Missing, detail: detail.into(), cure: Some(cure.into()) }
    }

    fn broken(name: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, health: Health::Broken, detail: detail.into(), cure: Some(cure.into()) }
    }
}

fn print(parts: &[Part], healthy: bool, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{HEADING}agent-host {}{HEADING:#}", env!("CARGO_PKG_VERSION"))?;
    let width = parts.iter().flat_map(|part| &part.findings).map(|finding| finding.name.len()).max().unwrap_or(0);
    for part in parts {
        writeln!(out, "\n{HEADING}{}{HEADING:#}", part.title)?;
        part.findings.iter().try_for_each(|finding| print_finding(finding, width, out))?;
    }
    let count =
        |health| parts.iter().flat_map(|part| &part.findings).filter(|finding| finding.health == health).count();
    let (missing, broken) = (count(Health::Missing), count(Health::Broken));
    match (healthy, missing) {
        (true, 0) => writeln!(out, "\n{GOOD}everything is there{GOOD:#}"),
        (true, missing) => writeln!(out, "\n{GOOD}it works{GOOD:#}, without {missing} of these"),
        (false, _) => writeln!(out, "\n{BROKEN}{broken} to be mended{BROKEN:#}"),
    }
}

fn print_finding(finding: &Finding, width: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let (style, word) = match finding.health {
        Health::Ok => (GOOD, "ok"),
        Health::Missing => (MISSING, "missing"),
        Health::Broken => (BROKEN, "broken"),
    };
    let (name, detail) = (finding.name, text::whole(&finding.detail));
    writeln!(out, "  {style}{word:<7}{style:#}  {name:<width$}  {detail}")?;
    match &finding.cure {
        Some(cure) => writeln!(out, "           {:<width$}  cure: {}", "", text::whole(cure)),
        None => Ok(()),
    }
}
