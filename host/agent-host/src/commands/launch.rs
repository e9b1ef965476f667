//! What `run` and `resume` share: the surroundings of a driver, driving it to a stop with Ctrl-C in hand, and saying how it
//! ended.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use agent_core::budget::{Budget, BudgetChange, Spent};
use agent_core::hardening::{Hardening, Wall};
use agent_core::name::RunId;
use agent_core::run_events::{RunEnded, Strictness};
use agent_core::stop::StopReason;
use agent_core::units::Bytes;
use agent_sandbox::Sandbox;
use agent_sandbox::cache::CacheOptions;
use agent_sandbox::engine::Residue;
use agent_sandbox::sandbox::{ClockGrain, Compiling, SandboxOptions};
use anstyle::{AnsiColor, Style};
use anyhow::Context;
use tracing::Instrument;

use super::failed_model::FailedModel;
use crate::cli::{BudgetArgs, OutputArgs};
use crate::compiler::{CompileLimits, WorkerProcesses};
use crate::driver::ports::Ports;
use crate::driver::{Driven, Driver};
use crate::hardening;
use crate::hardening::kept::{KeeperPipe, Widening, Wish};
use crate::hardening::reach::Reach;
use crate::home::{self, Home};
use crate::journal::key::HostKey;
use crate::learning::Learning;
use crate::person::Person;
use crate::report::list::SHORT_RUN_CHARS;
use crate::report::waiting::{self, Waiting};
use crate::report::{json, text, typed};
use crate::reporter::{Reporter, Voice};
use crate::saved_policy;
use crate::settings;
use crate::signals;
use crate::signing::SigningKey;
use crate::trace::Telemetry;
use crate::unchanging::Unchanging;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default().bold();

/// The sandbox, with the compiled-code cache in the user's state folder.
///
/// # Errors
/// Where the engine cannot be made on this machine.
pub fn sandbox(home: &Home, key: &HostKey, quiet: bool, strictness: Strictness) -> anyhow::Result<Arc<Sandbox>> {
    let on_compile = (!quiet).then_some(Arc::new(announce) as Arc<dyn Fn(&Compiling) + Send + Sync>);
    let (residue, clock) = match strictness {
        Strictness::Standard => (Residue::Kept, ClockGrain::AsAsked),
        Strictness::Strict => (Residue::Wiped, ClockGrain::Millisecond),
    };
    sandbox_of(
        home,
        key,
        &home.code_cache(),
        SandboxOptions { on_compile, residue, clock, ..SandboxOptions::default() },
    )
}

/// The same with a cache of its own, for who wants to see how long compiling takes.
///
/// # Errors
/// Where the engine cannot be made on this machine.
pub fn sandbox_with_cache(home: &Home, key: &HostKey, cache: &Path) -> anyhow::Result<Arc<Sandbox>> {
    sandbox_of(home, key, cache, SandboxOptions::default())
}

fn sandbox_of(home: &Home, key: &HostKey, cache: &Path, options: SandboxOptions) -> anyhow::Result<Arc<Sandbox>> {
    let cache = CacheOptions { directory: cache.to_owned(), key: key.derive("compiled-code") };
    let limits = CompileLimits::of(&settings::read(&home.settings_file())?);
    let compiler = WorkerProcesses::new(limits).context("cannot open this program's own file")?;
    Ok(Arc::new(Sandbox::new(SandboxOptions { cache: Some(cache), compiler: Arc::new(compiler), ..options })?))
}

/// The key that signs the end of each run, where the settings name one. Read before the walls stand, behind which it is out of
/// reach.
///
/// # Errors
/// Where it cannot be read, or others may read it.
pub fn signing_key(home: &Home) -> anyhow::Result<Option<Arc<SigningKey>>> {
    let file = home.settings_file();
    let named = settings::read(&file)?.signing_key;
    named.map(|key| SigningKey::read(&home.root().join(key)).map(Arc::new)).transpose()
}

/// What stands around the process when everything is open that the walls would close: also that no other program looks in.
pub fn sealed(hardening: Hardening) -> Hardening {
    let hardening = Hardening { private_memory: hardening::close_memory(), ..hardening };
    hardening::tell(&hardening);
    hardening
}

/// How a directory that is granted in the middle of the run becomes reachable.
#[must_use]
pub fn widening(hardening: &Hardening, keeper: Option<KeeperPipe>, unchanging: Unchanging) -> Widening {
    match (&hardening.landlock, keeper) {
        (Wall::Down(_), _) => Widening::AtOnce(unchanging),
        (Wall::Up(_), Some(keeper)) => Widening::ByKeeper(keeper),
        (Wall::Up(_), None) => Widening::Never,
    }
}

/// What every verb needs that loads tools. Makes the places that it names, since the file wall knows no names.
///
/// # Errors
/// Where one cannot be made.
pub fn reach(home: &Home) -> anyhow::Result<Reach> {
    home::private_folder(&home.code_cache())?;
    let mut reach = Reach::default();
    reach.write(home.code_cache());
    // The limits of compiling stand there.
    reach.read(home.settings_file());
    Ok(reach)
}

/// The same for a verb that drives a run: also the policy, where somebody can be asked and an answer may be saved. The rest of
/// the state folder, with the key and what is trusted, is read before the wall stands.
///
/// # Errors
/// See [`reach`].
pub fn reach_of_run(home: &Home, person: &Person, runs: &Path) -> anyhow::Result<Reach> {
    let mut reach = reach(home)?;
    reach.write(runs);
    if person.is_there() {
        saved_policy::make(&home.policy_file())?;
        reach.write(home.policy_file());
    }
    Ok(reach)
}

fn announce(compiling: &Compiling) {
    let (name, size) = (&compiling.component, Bytes(compiling.bytes as u64));
    let _ = writeln!(anstream::stderr(), "{DIM}· compiling `{name}` ({size}) for the first time{DIM:#}");
}

/// How much is said on the way.
#[must_use]
pub fn voice(output: &OutputArgs) -> Voice {
    if output.quiet || output.json { Voice::Silent } else { Voice::Lines }
}

/// The budget with what the flags say.
#[must_use]
pub fn budget(budget: &Budget, args: &BudgetArgs) -> Budget {
    let change = BudgetChange {
        turns: args.max_turns,
        tool_calls: args.max_tool_calls,
        tokens: args.max_tokens,
        fuel: args.max_fuel,
        time: args.max_time,
    };
    change.applied_to(budget)
}

/// Drives the run to a stop and says how it ended.
///
/// # Errors
/// Where the run cannot go on in this process.
pub async fn drive(
    ports: Arc<Ports>,
    output: &OutputArgs,
    agent: Option<&Path>,
    learning: Option<Learning>,
    telemetry: Telemetry,
) -> anyhow::Result<ExitCode> {
    let run = ports.recorder.state().run.clone();
    if let Some(bytes) = ports.journal.cut_off() {
        ports.reporter.note(&text::cut_off(bytes));
    }
    telemetry.tell_impossible(|line| ports.reporter.note(line));
    let exporting = telemetry.begin(&run);
    let ended = drive_untraced(&ports, output, agent, learning).await;
    // An answer is out by now. A run that goes on in another process is not kept: that one sends the rest.
    let has_stopped = ports.recorder.state().stopped.is_some();
    if has_stopped {
        exporting.finish(&named(&short(&ports, &run), agent), |line| ports.reporter.note(line)).await;
    }
    ended
}

async fn drive_untraced(
    ports: &Arc<Ports>,
    output: &OutputArgs,
    agent: Option<&Path>,
    learning: Option<Learning>,
) -> anyhow::Result<ExitCode> {
    let run = ports.recorder.state().run.clone();
    signals::stop_run(ports.cancel.clone())?;
    let span = tracing::info_span!("run", run = %run);
    let driven = Driver::new(Arc::clone(ports)).drive().instrument(span).await;
    ports.reporter.finish();
    let named = named(&short(ports, &run), agent);
    let resumes = || format!("run {run} cannot go on here; `agent-host resume {named}` takes it up again");
    let ended = match driven.with_context(resumes)? {
        Driven::Ended(ended) => ended,
        Driven::HandedOver(wish) => return hand_over(&ports.widening, wish).with_context(resumes),
    };
    if let Some(key) = &ports.signing {
        ports.recorder.sign(key).context("the end of the run could not be signed")?;
    }
    let (spent, waits, failed) = {
        let state = ports.recorder.state();
        (state.spent.clone(), waiting::of_run(&state), FailedModel::of(&state))
    };
    tracing::info!(run = %run, stop = %ended.stop, syncs = ports.recorder.syncs(), "run stopped");
    if output.json {
        print_json(&run, &ended, &spent, &waits)?;
    } else {
        print_answer(&ended)?;
        // Whoever wants no talk on the way still wants to know why there is no answer.
        if !output.quiet || ended.stop != StopReason::Completed {
            say_end(&run, &ended, &spent);
            say_cure(&named, &ended, &waits, failed);
        }
    }
    if let Some(lesson) = learning.map(|learning| learning.finish(ports)).transpose()?
        && !output.quiet
    {
        lesson.say();
    }
    Ok(ExitCode::from(ended.stop.exit_code()))
}

/// The run goes on in another process: this one has said its last word.
fn hand_over(widening: &Widening, wish: Wish) -> anyhow::Result<ExitCode> {
    match widening {
        Widening::ByKeeper(keeper) => keeper.say_wish(wish).map(|()| ExitCode::SUCCESS),
        Widening::AtOnce(_) | Widening::Never => unreachable!("only a keeper is wished for a directory"),
    }
}

/// The beginning of the run's name that tells it from all others: what a person types.
fn short(ports: &Ports, run: &RunId) -> String {
    let lengths = SHORT_RUN_CHARS..run.as_str().len();
    let beginnings = lengths.filter_map(|length| run.as_str().get(..length));
    let unique = |beginning: &&str| ports.journal.find_run(Some(beginning)).is_ok_and(|found| found == *run);
    beginnings.into_iter().find(unique).unwrap_or(run.as_str()).to_owned()
}

/// The run as a command line names it: runs live beside their agent file, so one without the other is not found.
fn named(run: &str, agent: Option<&Path>) -> String {
    agent.map_or_else(|| run.to_owned(), |file| format!("{run} --agent {}", typed::path(file)))
}

fn print_answer(ended: &RunEnded) -> anyhow::Result<()> {
    if let Some(answer) = &ended.answer {
        text::print(answer.trim_end()).context("cannot write the answer")?;
    }
    Ok(())
}

fn print_json(run: &RunId, ended: &RunEnded, spent: &Spent, waits: &[Waiting]) -> anyhow::Result<()> {
    let object = serde_json::json!({
        "run": run,
        "stop": ended.stop,
        "answer": ended.answer,
        "detail": ended.detail,
        "spent": spent,
        "waits": json::waits(waits),
    });
    writeln!(std::io::stdout(), "{}", text::json(&object.to_string())).context("cannot write the result")
}

fn say_end(run: &RunId, ended: &RunEnded, spent: &Spent) {
    let mut err = anstream::stderr();
    let calls = if spent.tool_calls == 1 { "call" } else { "calls" };
    let turns = if spent.turns == 1 { "turn" } else { "turns" };
    let used = format!("{} {turns} · {} {calls} · {} fuel · {}", spent.turns, spent.tool_calls, spent.fuel, spent.time);
    let _ = match ended.stop {
        StopReason::Completed => writeln!(err, "{GOOD}✓ completed{GOOD:#} {DIM}{used} · run {run}{DIM:#}"),
        stop => {
            let detail = ended.detail.as_deref().map(|detail| format!(": {}", text::whole(detail))).unwrap_or_default();
            writeln!(err, "{WARN}! {stop}{WARN:#}{detail}").and_then(|()| writeln!(err, "  {DIM}{used}{DIM:#}"))
        }
    };
}

/// Calls whose commands are written out at the end of a run; a list has the rest.
const CURES_SHOWN: usize = 5;

fn say_cure(named: &str, ended: &RunEnded, waits: &[Waiting], failed: Option<FailedModel>) {
    let mut err = anstream::stderr();
    if ended.stop.is_resumable() {
        let of_model = failed.filter(|_| ended.stop == StopReason::Error).and_then(|failed| failed.cure(named));
        let _ = writeln!(err, "  hint: {}", of_model.unwrap_or_else(|| cure(ended.stop, named)));
    }
    for waiting in waits.iter().take(CURES_SHOWN) {
        for command in waiting.commands(named) {
            let _ = writeln!(err, "    {command}");
        }
    }
}

fn cure(stop: StopReason, run: &str) -> String {
    match stop {
        StopReason::Completed => String::new(),
        StopReason::MaxTurns => format!("go on with `agent-host resume {run} --max-turns N`"),
        StopReason::MaxToolCalls => format!("go on with `agent-host resume {run} --max-tool-calls N`"),
        StopReason::TokenBudget => format!("go on with `agent-host resume {run} --max-tokens N`"),
        StopReason::TimeBudget => format!("go on with `agent-host resume {run} --max-time TIME`"),
        StopReason::FuelBudget => format!("go on with `agent-host resume {run} --max-fuel FUEL`"),
        StopReason::SuspendedApproval => {
            format!("`agent-host approve {run}` lists what waits; decide by these, then `agent-host resume {run}`")
        }
        StopReason::SuspendedDoubt => {
            format!("look with `agent-host show {run}`, say what happened, then `agent-host resume {run}`")
        }
        StopReason::StoreFull => format!("nothing is lost: free some space, then `agent-host resume {run}`"),
        StopReason::OutputInvalid
        | StopReason::LoopDetected
        | StopReason::ToolErrors
        | StopReason::Cancelled
        | StopReason::Error => format!("look with `agent-host show {run}`, go on with `agent-host resume {run}`"),
    }
}

/// A reporter for this output.
#[must_use]
pub fn reporter(output: &OutputArgs) -> Reporter {
    Reporter::new(voice(output))
}
