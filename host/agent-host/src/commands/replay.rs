//! `agent-host journal replay`: makes the recorded calls of a run again, told what they were told then, and compares what comes
//! of them. Nothing is touched: no file, no network, no journal. A proof that the record is all that the calls depended on, and a
//! way to look into them.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use agent_core::digest::Digest;
use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling};
use agent_core::event::{Event, ToolFinished};
use agent_core::hardening::Hardening;
use agent_core::limits::Limits;
use agent_core::name::{CallNumber, RunId};
use agent_core::outcome::{Fault, MeteredFuel, ToolOutcome};
use agent_core::run_events::Record;
use agent_core::state::State;
use agent_core::state::folding::Folding;
use agent_core::units::{Fuel, Millis};
use agent_sandbox::Sandbox;
use agent_sandbox::call::{Call, CallReport};
use agent_sandbox::component::Component;
use agent_sandbox::gate::{self, ChangeIntent, EffectGate, GateClosed, IdempotencyKey, SendIntent};
use agent_sandbox::kv::NoStores;
use agent_sandbox::replay::{Answered, Replay, ReplayEnd};
use agent_sandbox::transcript::Transcript;
use anyhow::{Context, bail};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::progress::Progress;
use super::{launch, resume, scout};
use crate::arguments::Schemas;
use crate::cli::OfRuns;
use crate::components::Components;
use crate::driver::{engine, granted_environment};
use crate::home::Home;
use crate::journal::Journal;
use crate::journal::key::HostKey;
use crate::journal::pages::Pages;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::Marks;
use crate::keyring::Keyring;
use crate::recorded_calls::{Following, Made, RecordedCall};
use crate::report::text;
use crate::reporter::Voice;
use crate::results;
use crate::secret_values::SecretValues;

/// How long one call may take. It waits for nothing, so what it does is bounded by its fuel; this is for a busy machine.
const DEADLINE: Millis = Millis(3_600_000);

/// Longest words about a difference.
const DIFFERENCE_CHARS_MAX: usize = 400;

/// Makes the calls of a run again, without touching anything, and compares.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The run, or the beginning of its name [default: the latest]
    pub run: Option<String>,
    /// Only the call of this number
    #[arg(long, value_name = "N")]
    pub call: Option<u32>,
    /// Print a JSON array instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Finds out what is needed to make the calls again. The journal is opened behind the walls.
///
/// # Errors
/// Where there is no such place.
pub async fn prepare(of: OfRuns<ReplayArgs>) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let runs = resume::runs_folder(of.agent.as_deref())?;
    let mut reach = launch::reach(&home)?;
    reach.write(&runs);
    let needs = scout::needs(&home, &runs, of.args.run.as_deref());
    needs.add_secrets(&mut reach);
    let keyring = Keyring::ask(&needs.keyring, &reach, if of.args.json { Voice::Silent } else { Voice::Lines });
    Ok(Confined::new(reach, move |hardening| async move {
        let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open_existing(&runs, &key)?);
        replay(&of.args, (&home, &key), journal, &keyring, hardening).await
    }))
}

async fn replay(
    args: &ReplayArgs,
    (home, key): (&Home, &HostKey),
    journal: Arc<dyn Journal>,
    keyring: &Keyring,
    hardening: Hardening,
) -> anyhow::Result<ExitCode> {
    let run = journal.find_run(args.run.as_deref())?;
    let Look { state, adopted_at, last_call } = look(&*journal, &run)?;
    if state.started.record != Record::Full {
        bail!(
            "run {run} was not recorded in full, so its calls cannot be made again\n  hint: record the next one with \
             `agent-host run --record full`, or `record = \"full\"` in its agent file"
        );
    }
    let ours_after = match journal.verify(&run)?.marks {
        Marks::Ours => adopted_at,
        Marks::NotOursFrom(_) => u64::MAX,
    };
    let secrets = if last_call > ours_after {
        // What it needs to tell secrets apart may be gone by now; then it is compared with what is written of them.
        SecretValues::read(state.authorities.iter().map(|authority| &authority.grant), keyring).unwrap_or_default()
    } else {
        SecretValues::default()
    };
    launch::sealed(hardening);
    let sandbox = launch::sandbox(home, key, args.json, state.started.strictness)?;
    let components = Components::of_run(journal.as_ref(), &sandbox, &state.started.tools)?;
    let replayer = Replayer { journal, sandbox, components, schemas: Schemas::default(), secrets, ours_after };
    let rows = replayer.rows(&state, args.call.map(CallNumber)).await?;
    if let (Some(number), []) = (args.call, rows.as_slice()) {
        bail!("run {run} has no call {number} that has ended");
    }
    let mut out = anstream::stdout().lock();
    if args.json {
        write_json(&rows, &mut out)?;
    } else {
        write_table(&rows, &mut out)?;
    }
    let all_same = rows.iter().all(|row| row.verdict.is_good());
    Ok(if all_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a first look at a run tells.
struct Look {
    /// Its state, without what was said in it.
    state: State,
    /// The event up to which another host recorded it.
    adopted_at: u64,
    /// The event with which its last call ended.
    last_call: u64,
}

fn look(journal: &dyn Journal, run: &RunId) -> anyhow::Result<Look> {
    let (mut folding, mut adopted_at, mut last_call) = (Folding::without_conversation(), 0, 0);
    let mut progress = Progress::new("reading events");
    journal.read_into(run, &mut |recorded| {
        progress.step();
        match &recorded.event {
            Event::RunAdopted(_) => adopted_at = recorded.seq,
            Event::ToolFinished(_) => last_call = recorded.seq,
            _ => {}
        }
        folding.see(&recorded);
    })?;
    let state = folding.end()?.context("the run has no events")?;
    Ok(Look { state, adopted_at, last_call })
}

/// What makes calls again.
struct Replayer {
    journal: Arc<dyn Journal>,
    sandbox: Arc<Sandbox>,
    components: Components,
    schemas: Schemas,
    secrets: SecretValues,
    /// This host made the calls that ended after this event. What a stranger says that a call held is not given to it: the
    /// variables and secrets here are not those that it was given there, and would come out with what it says now.
    ours_after: u64,
}

/// What came of one call.
struct Row {
    call: CallNumber,
    tool: String,
    /// Answers that it was told.
    answers: u64,
    fuel: Fuel,
    verdict: Verdict,
}

/// How a call that was made again compares.
enum Verdict {
    /// The same outcome, the same words, the same fuel.
    Same,
    /// The same up to where it was stopped by something outside it.
    SameUntilStopped,
    /// It was not made then either.
    NotMade,
    /// It cannot be made again here.
    Unable(String),
    /// Something else came of it.
    Differs(String),
}

impl Verdict {
    fn is_good(&self) -> bool {
        match self {
            Self::Same | Self::SameUntilStopped | Self::NotMade => true,
            Self::Unable(_) | Self::Differs(_) => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::SameUntilStopped => "same until stopped",
            Self::NotMade => "not made",
            Self::Unable(_) => "not possible",
            Self::Differs(_) => "differs",
        }
    }

    fn detail(&self) -> Option<&str> {
        match self {
            Self::Same | Self::SameUntilStopped | Self::NotMade => None,
            Self::Unable(why) | Self::Differs(why) => Some(why),
        }
    }
}

impl Replayer {
    /// Makes the calls again, one by one as they are read: those of the run as it was at first, which may go on meanwhile.
    async fn rows(&self, state: &State, only: Option<CallNumber>) -> anyhow::Result<Vec<Row>> {
        let (mut following, mut rows) = (Following::default(), Vec::new());
        let mut progress = Progress::new("making calls again: events");
        for recorded in Pages::of(&*self.journal, &state.run, state.seq) {
            progress.step();
            let ended = following.see(&recorded?)?;
            if let Some(call) = ended.filter(|call| only.is_none_or(|only| call.finished.call == only)) {
                rows.push(self.row(&call).await?);
            }
        }
        Ok(rows)
    }

    async fn row(&self, recorded: &RecordedCall) -> anyhow::Result<Row> {
        let finished = &recorded.finished;
        let (answers, verdict) = match (&recorded.made, &finished.transcript) {
            (Some(made), Some(transcript)) => {
                let transcript = self.transcript(transcript)?;
                (transcript.len(), self.verdict(recorded, made, transcript).await?)
            }
            (None, _) | (Some(_), None) if matches!(finished.outcome, ToolOutcome::Refused { .. }) => {
                (0, Verdict::NotMade)
            }
            (None, _) => (0, Verdict::NotMade),
            (Some(_), None) => (0, Verdict::Unable("what it was told is not recorded".to_owned())),
        };
        let (call, tool) = (finished.call, recorded.asked.tool.replacen("__", ".", 1));
        Ok(Row { call, tool, answers, fuel: finished.metering.fuel.counted(), verdict })
    }

    async fn verdict(&self, recorded: &RecordedCall, made: &Made, transcript: Transcript) -> anyhow::Result<Verdict> {
        let here = engine(&self.sandbox);
        if made.started.engine != here {
            let then = &made.started.engine;
            return Ok(Verdict::Unable(format!("replay_diverged: it ran on `{then}`, this host has `{here}`")));
        }
        if !transcript.is_complete() {
            return Ok(Verdict::Unable("it was told more than is kept of one call".to_owned()));
        }
        let told = transcript.len();
        let component = self.components.of_tool(&made.locked)?;
        let report = self.sandbox.call(component, self.call(component, recorded, made, transcript).await?).await?;
        let report = results::held(report, component, &made.locked.descriptor, &self.schemas, DEADLINE).await;
        let verdict = compare(&recorded.finished, &report, told);
        Ok(if self.is_ours(recorded) { verdict } else { without_its_values(verdict, made) })
    }

    fn is_ours(&self, recorded: &RecordedCall) -> bool {
        recorded.seq > self.ours_after
    }

    async fn call(
        &self,
        component: &Component,
        recorded: &RecordedCall,
        made: &Made,
        transcript: Transcript,
    ) -> anyhow::Result<Call> {
        let descriptor = &made.locked.descriptor;
        let (text, time) = (&recorded.asked.arguments, DEADLINE.to_duration());
        let arguments = self.schemas.check_for(component, text, descriptor, time).await.map_err(anyhow::Error::msg)?;
        let mut seed = [0; 32];
        hex::decode_to_slice(&made.started.seed, &mut seed).context("the seed of a recorded call is none")?;
        let limits = Limits { fuel: made.started.fuel, deadline: DEADLINE, ..made.grant.limits.clone() };
        let answers = made.answers.iter().map(|(number, (effect, digest))| {
            let answer = self.blob(digest)?;
            anyhow::Ok((*number, Answered { effect: effect.clone(), answer }))
        });
        let answers = answers.collect::<anyhow::Result<_>>()?;
        let end = ReplayEnd::StayOffline { effects: recorded.finished.effects.clone() };
        let (env, secrets) = match self.is_ours(recorded) {
            true => (granted_environment(&made.grant), self.secrets.of(&made.grant)),
            false => (Vec::new(), SecretValues::default().of(&made.grant)),
        };
        Ok(Call {
            operation: made.locked.descriptor.name.operation.clone(),
            arguments,
            mounts: Vec::new(),
            stores: Arc::new(NoStores),
            env,
            secrets,
            limits,
            seed,
            clock_start: made.started.clock_start,
            gate: Arc::new(NoGate),
            replay: Some(Replay { transcript, answers, end }),
            cancel: CancellationToken::new(),
        })
    }

    fn transcript(&self, digest: &Digest) -> anyhow::Result<Transcript> {
        Transcript::from_bytes(&self.blob(digest)?).context("a transcript in the journal cannot be read")
    }

    fn blob(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        self.journal.blob(digest)?.context("the journal lacks what a call was told")
    }
}

/// Why a call may differ that another host made.
fn without_its_values(verdict: Verdict, made: &Made) -> Verdict {
    let held = made.grant.env.len() + made.grant.secrets.len();
    match verdict {
        Verdict::Differs(difference) if held > 0 => Verdict::Differs(format!(
            "it held {held} variables or secrets of the host that made it, and is not given yours: {difference}"
        )),
        verdict => verdict,
    }
}

fn compare(then: &ToolFinished, now: &CallReport, told: u64) -> Verdict {
    if stopped_from_outside(&then.outcome) {
        return match now.transcript.len() == told {
            true => Verdict::SameUntilStopped,
            false => Verdict::Differs(difference("it was told", &told, &now.transcript.len())),
        };
    }
    if then.outcome != now.outcome {
        return Verdict::Differs(difference("its outcome was", &then.outcome, &now.outcome));
    }
    if then.said != now.said {
        return Verdict::Differs(difference("it said", &then.said, &now.said));
    }
    match (then.metering.fuel, now.metering.fuel) {
        // After a trap the counter is only a lower bound.
        (MeteredFuel::AtLeast(_), MeteredFuel::AtLeast(_)) => Verdict::Same,
        (then, now) if then == now => Verdict::Same,
        (then, now) => Verdict::Differs(difference("its fuel was", &then.counted(), &now.counted())),
    }
}

/// Whether what ended the call is no part of it: it would have gone on.
fn stopped_from_outside(outcome: &ToolOutcome) -> bool {
    let ToolOutcome::Faulted { fault, .. } = outcome else { return false };
    matches!(fault, Fault::DeadlineExceeded | Fault::Cancelled | Fault::Interrupted | Fault::ReplayDiverged)
}

fn difference(what: &str, then: &dyn std::fmt::Debug, now: &dyn std::fmt::Debug) -> String {
    let half = DIFFERENCE_CHARS_MAX / 2;
    let (then, now) = (text::line(&format!("{then:?}"), half), text::line(&format!("{now:?}"), half));
    format!("{what} {then}, and is now {now}")
}

fn write_table(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    let tool = rows.iter().map(|row| row.tool.chars().count()).max().unwrap_or(0).max(4);
    writeln!(out, "{:>4}  {:tool$}  {:>7}  {:>16}  RESULT", "CALL", "TOOL", "ANSWERS", "FUEL")?;
    for row in rows {
        let (fuel, name) = (row.fuel.to_string(), text::line(&row.tool, tool));
        let (call, answers, verdict) = (row.call.to_string(), row.answers, row.verdict.name());
        writeln!(out, "{call:>4}  {name:tool$}  {answers:>7}  {fuel:>16}  {verdict}")?;
        if let Some(detail) = row.verdict.detail() {
            writeln!(out, "      {}", text::line(detail, DIFFERENCE_CHARS_MAX * 2))?;
        }
    }
    Ok(())
}

fn write_json(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "call": row.call,
                "tool": row.tool,
                "answers": row.answers,
                "fuel": row.fuel,
                "result": row.verdict.name().replace(' ', "_"),
                "detail": row.verdict.detail(),
            })
        })
        .collect();
    writeln!(out, "{}", text::json(&serde_json::Value::from(rows).to_string()))
}

/// The gate of a call that touches nothing: nobody comes by.
struct NoGate;

#[async_trait]
impl EffectGate for NoGate {
    async fn decide(&self, _: u32, request: &EffectRequest) -> Ruling {
        let (refusal, rule) = (Refusal::FsDenied, "nothing is touched in a replay".to_owned());
        Ruling::plain(Decision::Deny { refusal, rule, hint: None }, request.class(false))
    }

    async fn intend_change(&self, _: ChangeIntent) -> Result<(), GateClosed> {
        Err(nothing())
    }

    async fn intend_send(&self, _: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Err(nothing())
    }

    async fn done(&self, _: &Effect) -> Result<(), GateClosed> {
        Err(nothing())
    }

    fn progress(&self, _: gate::Progress) {}
}

fn nothing() -> GateClosed {
    GateClosed("nothing is touched in a replay".to_owned())
}
