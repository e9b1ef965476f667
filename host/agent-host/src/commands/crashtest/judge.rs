//! What must hold after a kill and a resume, told from the journal as it was at the kill and as it is afterwards.

use std::collections::BTreeMap;

use agent_core::name::RunId;
use agent_core::state::State;
use serde_json::Value;

use super::child::Ended;
use super::place::{Files, Place};
use super::{Baseline, allowed, announced};
use crate::home::Home;
use crate::journal::Journal;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;

/// Exit codes of a run that waits for a person: for an approval, a doubt. One that waits for room on the disk shows nothing.
const SUSPENDED: [i32; 2] = [20, 22];

/// A run as its journal has it.
pub(super) struct Recorded {
    pub(super) run: RunId,
    /// Kind and body of each event.
    events: Vec<(&'static str, Value)>,
    /// What it had used; nothing where its events are damaged.
    spent: Value,
    damage: Option<String>,
}

/// The strongest effect that a call had announced: what its recovery depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// No call was under way.
    NoCall,
    /// Nothing was announced: it had computed or read.
    PureOrRead,
    OwnedWrite,
    KeyedWrite,
    OpaqueWrite,
}

/// What became of a call that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    WentOn,
    NotBegun,
    RunAgain,
    UndoneAndRunAgain,
    Replayed,
    ResentWithTheSameKey,
    InDoubt,
    WaitsForAPerson,
    GivenUp,
}

/// One kill and what came of it.
pub(super) struct Trial {
    /// The point at which the host ended.
    pub(super) point: String,
    /// The last point before that is no step of the journal itself: where in its course the run was.
    pub(super) moment: String,
    /// What became of each call that was under way.
    pub(super) fates: Vec<(Class, Fate)>,
    pub(super) problem: Option<String>,
}

impl Trial {
    /// The host was killed before it had recorded the run's beginning.
    pub(super) fn not_begun(killed: &Ended) -> Self {
        Self::at(killed, vec![(Class::NoCall, Fate::NotBegun)], None)
    }

    fn at(killed: &Ended, fates: Vec<(Class, Fate)>, problem: Option<String>) -> Self {
        let own = killed.points.iter().rev().find(|point| !point.starts_with("journal-"));
        let point = killed.points.last().cloned().unwrap_or_default();
        Self { point, moment: own.cloned().unwrap_or_default(), fates, problem }
    }
}

impl Recorded {
    /// The newest run; `None` where none has begun.
    pub(super) fn read(place: &Place) -> anyhow::Result<Option<Self>> {
        let key = HostKey::load_or_create(Home::at(&place.home())?.root())?;
        let Ok(journal) = SqliteJournal::open_existing(&place.runs(), &key) else { return Ok(None) };
        let Ok(run) = journal.find_run(None) else { return Ok(None) };
        let damage = journal.verify(&run)?.damage.map(|damage| damage.to_string());
        let events = journal.events(&run)?;
        let spent = State::fold(&events).ok().flatten().map(|state| serde_json::to_value(&state.spent));
        let event = |recorded: &agent_core::event::Recorded| {
            let body = recorded.event.to_body()?;
            Ok((recorded.event.kind(), serde_json::from_str(&body)?))
        };
        let events = events.iter().map(event).collect::<anyhow::Result<_>>()?;
        Ok(Some(Self { run, events, spent: spent.transpose()?.unwrap_or_default(), damage }))
    }

    /// Whether the run has its answer.
    pub(super) fn is_complete(&self) -> bool {
        self.of("RunEnded").any(|body| body.get("stop").is_some_and(|stop| stop == "completed"))
    }

    /// The turns that its resume may take, where that is more than its budget: a request that was open counts as one.
    pub(super) fn turns(&self) -> Option<u32> {
        let answered = self.of("ModelReplied").count() + self.of("ModelFailed").count();
        let turns = self.of("RunStarted").next()?.pointer("/budget/turns")?.as_u64()?;
        (self.of("ModelRequested").count() > answered).then(|| u32::try_from(turns + 1).unwrap_or(u32::MAX))
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |(of, _)| *of == kind).map(|(_, body)| body)
    }
}

/// Judges one trial.
pub(super) fn judge(
    killed: &Ended,
    before: &Recorded,
    after: &Recorded,
    resumed: Option<&Ended>,
    baseline: &Baseline,
    files: &Files,
) -> anyhow::Result<Trial> {
    let open = open_calls(before);
    let new = &after.events[before.events.len().min(after.events.len())..];
    let mut fates: Vec<(Class, Fate)> = open.iter().map(|(call, class)| (*class, fate(*call, new))).collect();
    if fates.is_empty() {
        fates.push((Class::NoCall, Fate::WentOn));
    }
    let problem = problem(before, after, resumed, baseline, files);
    Ok(Trial::at(killed, fates, problem))
}

fn problem(
    before: &Recorded,
    after: &Recorded,
    resumed: Option<&Ended>,
    baseline: &Baseline,
    files: &Files,
) -> Option<String> {
    if let Some(damage) = before.damage.as_ref().or(after.damage.as_ref()) {
        return Some(format!("the journal is damaged at {damage}"));
    }
    if after.run != before.run || !after.events.starts_with(&before.events) {
        return Some("the resumed run does not extend the one that was killed".to_owned());
    }
    let new = &after.events[before.events.len()..];
    if let Some(call) = repeated(before, new) {
        return Some(format!("call {call} had its outcome and was run again"));
    }
    if let Some(call) = outcome_twice(after) {
        return Some(format!("call {call} has two outcomes"));
    }
    if let Some((call, effect)) = announced::again(&after.events) {
        return Some(format!(
            "write {effect} of call {call} may have been sent, and was announced again without anybody's word"
        ));
    }
    if let Some(call) = announced::unseen(&before.events, new) {
        return Some(format!(
            "a write of call {call} may have been sent, and the model was asked before that was said"
        ));
    }
    if let Some(what) = allowed::done_without(&after.events) {
        return Some(what);
    }
    let resumed = resumed?;
    if let Some(what) = forgotten(before, resumed) {
        return Some(format!("the resumed run has used less {what} than the one that was killed"));
    }
    let in_doubt: Vec<u64> = of_kind(new, "ToolInDoubt").map(|body| number(body, "call")).collect();
    let class_of = classes(after);
    let strange = in_doubt.iter().find(|call| class_of.get(call).is_none_or(|class| *class < Class::KeyedWrite));
    if let Some(call) = strange {
        return Some(format!("call {call} is in doubt, though everything that it announced can be undone"));
    }
    match resumed.code {
        Some(0) => {}
        Some(code) if SUSPENDED.contains(&code) => return None,
        _ if resumed.json().is_some_and(|json| json.get("stop").and_then(Value::as_str) == Some(&baseline.stop)) => {}
        _ => return Some(format!("the resume failed: {}", resumed.err)),
    }
    if in_doubt.is_empty() && baseline.answer.is_some() {
        let answer = resumed.json().and_then(|json| json.get("answer").cloned());
        if answer != baseline.answer {
            return Some("the answer is not that of a run without a kill".to_owned());
        }
        if *files != baseline.files {
            let differs = |path: &&std::path::PathBuf| files.get(*path) != baseline.files.get(*path);
            let path = files.keys().chain(baseline.files.keys()).find(differs);
            return Some(format!("the files are not those of a run without a kill: {path:?}"));
        }
    }
    None
}

fn of_kind<'e>(events: &'e [(&'static str, Value)], kind: &'static str) -> impl Iterator<Item = &'e Value> {
    events.iter().filter(move |(of, _)| *of == kind).map(|(_, body)| body)
}

pub(super) fn number(body: &Value, name: &str) -> u64 {
    body.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// The strongest effect that each call had announced.
fn classes(recorded: &Recorded) -> BTreeMap<u64, Class> {
    let mut classes = BTreeMap::new();
    for body in recorded.of("ToolStarted") {
        classes.entry(number(body, "call")).or_insert(Class::PureOrRead);
    }
    for body in recorded.of("EffectIntended") {
        let class = match body.get("class").and_then(Value::as_str) {
            Some("opaque_write") => Class::OpaqueWrite,
            Some("keyed_write") => Class::KeyedWrite,
            Some("owned_write") => Class::OwnedWrite,
            Some(_) | None => Class::PureOrRead,
        };
        let strongest = classes.entry(number(body, "call")).or_insert(class);
        *strongest = class.max(*strongest);
    }
    classes
}

/// Calls that had started and had no outcome.
fn open_calls(before: &Recorded) -> Vec<(u64, Class)> {
    let over: Vec<u64> = before.of("ToolFinished").map(|body| number(body, "call")).collect();
    classes(before).into_iter().filter(|(call, _)| !over.contains(call)).collect()
}

fn fate(call: u64, new: &[(&'static str, Value)]) -> Fate {
    let has = |kind| of_kind(new, kind).any(|body| number(body, "call") == call);
    let started = of_kind(new, "ToolStarted").find(|body| number(body, "call") == call);
    let resent = |started: &Value| {
        let attempt = number(started, "attempt");
        let again = |body: &Value| number(body, "call") == call && number(body, "attempt") == attempt;
        of_kind(new, "EffectIntended")
            .any(|body| again(body) && body.get("idempotency_key").is_some_and(Value::is_string))
    };
    match started {
        _ if has("ToolInDoubt") => Fate::InDoubt,
        Some(started) if started.get("continues").is_some_and(|continues| !continues.is_null()) => {
            if resent(started) {
                Fate::ResentWithTheSameKey
            } else {
                Fate::Replayed
            }
        }
        Some(_) if has("CallUndone") => Fate::UndoneAndRunAgain,
        Some(_) => Fate::RunAgain,
        None if has("ToolFinished") => Fate::GivenUp,
        None => Fate::WaitsForAPerson,
    }
}

/// A call with an outcome that was started once more.
fn repeated(before: &Recorded, new: &[(&'static str, Value)]) -> Option<u64> {
    let over: Vec<u64> = before.of("ToolFinished").map(|body| number(body, "call")).collect();
    of_kind(new, "ToolStarted").map(|body| number(body, "call")).find(|call| over.contains(call))
}

fn outcome_twice(after: &Recorded) -> Option<u64> {
    let mut seen = std::collections::BTreeSet::new();
    after.of("ToolFinished").map(|body| number(body, "call")).find(|call| !seen.insert(*call))
}

/// What of the run's budget was used at the kill and is not any more, by what the resumed host says.
fn forgotten(before: &Recorded, resumed: &Ended) -> Option<&'static str> {
    const COUNTED: [(&str, &str); 6] = [
        ("turns", "turns"),
        ("tool_calls", "tool calls"),
        ("input_tokens", "input tokens"),
        ("output_tokens", "output tokens"),
        ("fuel", "fuel"),
        ("time", "time"),
    ];
    let told = resumed.json()?.get("spent")?.clone();
    let less = |(name, _): &&(&str, &str)| {
        let of = |spent: &Value| spent.get(*name).and_then(Value::as_u64);
        of(&told) < of(&before.spent)
    };
    COUNTED.iter().find(less).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_used_is_not_forgotten() {
        let said = |spent: Value| Ended {
            code: Some(0),
            out: json!({ "spent": spent }).to_string(),
            err: String::new(),
            points: Vec::new(),
        };
        let run = RunId::from_parts(agent_core::units::UnixMillis(0), [0; 10]);
        let before = Recorded { run, events: Vec::new(), spent: json!({"turns": 2, "fuel": 5}), damage: None };
        assert_eq!(forgotten(&before, &said(json!({"turns": 2, "fuel": 6}))), None);
        assert_eq!(forgotten(&before, &said(json!({"turns": 1, "fuel": 6}))), Some("turns"));
        assert_eq!(forgotten(&before, &said(json!({"turns": 2, "fuel": 4}))), Some("fuel"));
    }
}
