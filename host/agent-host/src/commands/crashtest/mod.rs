//! `agent-host crashtest`: kills a child host at each journal write, sync and gate step of a run, or at as many as it is told to, has each
//! killed run resumed, and shows what became of it. For users: their own agents and tools can be tested with it.
//!
//! `place` is the copy that is worked in, `child` the processes, `judge` and `announced` what must hold, `matrix` what is printed. How
//! the child is told where to end is in `crash_order`.

mod allowed;
mod announced;
mod child;
mod judge;
mod matrix;
mod place;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_core::grant::Access;
use anyhow::{Context, bail, ensure};
use serde_json::Value;

use self::child::{Child, Ended};
use self::judge::{Recorded, Trial};
use self::matrix::Matrix;
use self::place::Place;
use crate::agent::Agent;
use crate::cli::AllowArgs;
use crate::crash_order::Order;
use crate::home::Home;
use crate::operator;
use crate::person::{Person, Question};
use crate::report::text;
use crate::trust::{Standing, TrustStore};

/// Violations that are printed. The first tells most.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// `agent-host crashtest`.
#[derive(Debug, clap::Args)]
pub struct CrashtestArgs {
    /// The agent file.
    agent: PathBuf,
    /// What the agent is asked.
    #[arg(default_value = "go")]
    input: String,
    /// Kill at no more than this many points, spread evenly over the run [default: at each]. A run passes dozens for each call.
    #[arg(long, value_name = "N")]
    points: Option<usize>,
    /// The model [default: the agent file's]. A scripted one costs nothing and always says the same.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Begin without being asked.
    #[arg(long)]
    yes: bool,
    /// Keep the copy that was worked in, and say where it is.
    #[arg(long)]
    keep: bool,
}

/// Tests an agent.
///
/// # Errors
/// Where it cannot be run even without being killed, or a promise is broken.
pub async fn crashtest(args: CrashtestArgs) -> anyhow::Result<ExitCode> {
    let home = Home::open()?;
    let agent = Agent::read(&args.agent)?;
    check_trusted(&home, &agent)?;
    let place = Place::make(&home, &args.agent)?;
    // What was copied, and is trusted there, is what is trusted here.
    let (again, digest) = (Agent::read(&args.agent)?, |agent: &Agent| agent.file.as_ref().map(|file| file.digest));
    ensure!(
        digest(&again) == digest(&agent),
        "the agent's files were changed while they were copied\n  hint: try again"
    );
    consent(&args, &agent, &home, &place).await?;
    let tested = tokio::task::spawn_blocking(move || {
        let verdict = test(&args, &place);
        if args.keep {
            say(&format!("the copy stays in {}", place.keep().display()));
        }
        verdict
    });
    tested.await.context("the test ended with a defect of the host")?
}

/// The copy gets the trust that the file has, never more.
fn check_trusted(home: &Home, agent: &Agent) -> anyhow::Result<()> {
    let source = agent.file.as_ref().context("an agent file is needed")?;
    if TrustStore::open(&home.trust_file())?.standing(source) == Standing::Trusted {
        return Ok(());
    }
    let file = source.path.display();
    bail!("`{file}` is not trusted, so it cannot be run\n  hint: look at it with `agent-host trust {file}`, then again")
}

/// Says what the test does to the world, and asks.
async fn consent(args: &CrashtestArgs, agent: &Agent, home: &Home, place: &Place) -> anyhow::Result<()> {
    let often = match args.points {
        Some(points) => format!("up to {points} times more"),
        None => "once more for each point that it passes, dozens for each call,".to_owned(),
    };
    let title = format!("crashtest runs `{}` undisturbed, then {often} and kills it there:", agent.name);
    let details = does(args, agent, home, place)?;
    if args.yes {
        return Ok(());
    }
    let (who, answers) = (agent.name.to_string(), &[('y', "begin"), ('n', "no")]);
    let question = Question { title, details: details.clone(), who, answers };
    match Person::at_terminal().ask(question).await {
        Some('y') => Ok(()),
        Some(_) => bail!("nothing was done"),
        None => bail!(
            "crashtest does this, and nobody is there to be asked:\n  {}\n  hint: `--yes` begins without being asked",
            details.join("\n  ")
        ),
    }
}

fn does(args: &CrashtestArgs, agent: &Agent, home: &Home, place: &Place) -> anyhow::Result<Vec<String>> {
    let mut details = vec![
        format!("files: it works in a copy, {}; yours stay as they are", place.now().display()),
        format!("the model is asked anew each time: {}", args.model.as_deref().unwrap_or("the agent file's")),
    ];
    let standing = operator::standing_rules(home, &AllowArgs::default())?;
    let rules = standing.iter().chain([&agent.proposal]);
    let mut nets: Vec<String> = Vec::new();
    for rule in rules.flat_map(|rules| &rules.grants) {
        nets.extend(rule.http.iter().filter(|http| http.methods.iter().any(|method| method.is_write())).map(|http| {
            format!("the network: writes to {} are really made, each time, and are not taken back", http.url)
        }));
    }
    nets.dedup();
    details.extend(nets);
    let outside = place.outside.iter().filter(|outside| outside.access == Access::Read);
    details.extend(outside.map(|outside| format!("files: {} is read where it is", outside.path.display())));
    Ok(details)
}

fn test(args: &CrashtestArgs, place: &Place) -> anyhow::Result<ExitCode> {
    let child = Child::new(place, args)?;
    let (baseline, ended) = undisturbed(&child, place)?;
    let passed = ended.points.len();
    let chosen = spread(passed, args.points);
    say(&format!("without a kill: {}, {passed} points; killing at {}", baseline.stop, chosen.len()));
    let (mut matrix, mut problems) = (Matrix::default(), Vec::new());
    for (done, point) in chosen.iter().enumerate() {
        let trial = kill_at(&child, place, *point, &baseline)?;
        if let Some(problem) = &trial.problem {
            problems.push(format!("killed at point {point}, `{}`: {problem}", trial.point));
        }
        matrix.add(&trial);
        if (done + 1) % 25 == 0 {
            say(&format!("{} of {} points, {} problems", done + 1, chosen.len(), problems.len()));
        }
    }
    let mut out = anstream::stdout();
    matrix.write(&mut out)?;
    if problems.is_empty() {
        let tried = tried(chosen.len(), passed);
        writeln!(out, "\nheld {tried}: nothing acknowledged was lost, nothing was repeated silently")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "\nBROKEN at {} of {} points:", problems.len(), chosen.len())?;
    for problem in problems.iter().take(PROBLEMS_SHOWN_MAX) {
        writeln!(out, "  {}", text::lines(problem))?;
    }
    Ok(ExitCode::FAILURE)
}

/// How much of the run was tried: what holds at a few points says nothing of the others.
fn tried(chosen: usize, passed: usize) -> String {
    if chosen == passed { format!("at all {passed} points") } else { format!("at {chosen} of {passed} points") }
}

/// Which of `passed` points are tried: all, where nobody wants fewer.
fn spread(passed: usize, wanted: Option<usize>) -> Vec<u64> {
    let count = wanted.map_or(passed, |wanted| wanted.min(passed));
    (0..count).map(|index| (index * passed / count) as u64 + 1).collect()
}

/// What comes of the run when nobody kills it.
struct Baseline {
    stop: String,
    answer: Option<Value>,
    files: place::Files,
}

fn undisturbed(child: &Child, place: &Place) -> anyhow::Result<(Baseline, Ended)> {
    let mut last = None;
    // Twice: the first compiles what it loads.
    for _ in 0..2 {
        place.lay_out()?;
        let ended = child.run(Order::List)?;
        let json =
            ended.json().with_context(|| format!("the agent does not run even without a kill: {}", ended.err))?;
        let stop = json.get("stop").and_then(Value::as_str).unwrap_or_default().to_owned();
        let answer = json.get("answer").cloned().filter(|_| child.is_scripted);
        last = Some((Baseline { stop, answer, files: place.files()? }, ended));
    }
    let (baseline, ended) = last.context("no run was made")?;
    ensure!(!ended.points.is_empty(), "the child did not say which points it passes: crashtest needs Linux");
    Ok((baseline, ended))
}

fn kill_at(child: &Child, place: &Place, point: u64, baseline: &Baseline) -> anyhow::Result<Trial> {
    place.lay_out()?;
    let killed = child.run(Order::KillAt(point))?;
    let before = Recorded::read(place)?;
    let Some(before) = before else { return Ok(Trial::not_begun(&killed)) };
    // It may have been killed when everything was recorded: then there is nothing to go on with.
    let resumed = if before.is_complete() { None } else { Some(child.resume(&before.run, before.turns())?) };
    let after = Recorded::read(place)?.context("the journal is gone after the resume")?;
    judge::judge(&killed, &before, &after, resumed.as_ref(), baseline, &place.files()?)
}

fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "· {}", text::whole(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_spread_over_the_whole_run() {
        assert_eq!(spread(3, Some(200)), [1, 2, 3]);
        assert_eq!(spread(10, Some(5)), [1, 3, 5, 7, 9]);
        assert_eq!(spread(0, Some(5)), Vec::<u64>::new());
        assert_eq!(spread(1_000, None), (1..=1_000).collect::<Vec<_>>(), "nobody asked for fewer");
    }

    #[test]
    fn what_was_not_tried_is_not_said_to_hold() {
        assert_eq!((tried(3, 40), tried(40, 40)), ("at 3 of 40 points".to_owned(), "at all 40 points".to_owned()));
    }
}
