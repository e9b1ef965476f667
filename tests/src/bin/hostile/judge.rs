//! Compares what was seen with what a case expects. Each difference is one line; none means that the host held.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::attack::{Seen, is_back};
use crate::case::{CallForm, Case, LoadForm, Without};
use crate::record::{Record, calls};
use crate::script::CANARY;
use crate::table::each_once;

/// Time that a deadline may be late.
const DEADLINE_SLACK_MS: u64 = 200;

/// A canary after the attack takes at most this. Twice its idle time is the aim, and noise can break it: printed.
const CANARY_MS_MAX: u64 = 1_000;

/// Longest text of what was seen in one line.
const SHOWN_CHARS_MAX: usize = 400;

/// What the table shows of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// How the attack ended.
    pub(crate) outcome: String,
    /// How long it took.
    pub(crate) took_ms: Option<u64>,
    /// Resident memory over what the guests had.
    pub(crate) over_mib: Option<f64>,
    /// The canary's time after the attack by that before.
    pub(crate) canary: Option<f64>,
}

/// The figures of a run.
pub(crate) fn figures(seen: &Seen) -> Figures {
    let calls = calls(&seen.events);
    let canaries: Vec<&Record> = calls.iter().filter(|call| is_canary(call)).collect();
    let attacks: Vec<&Record> = calls.iter().filter(|call| !is_canary(call)).collect();
    // A canary that takes less than a millisecond took one.
    let canary_ms = |index: usize| canaries.get(index)?.took_ms().map(|took| took.max(1) as f64);
    Figures {
        outcome: each_once(attacks.iter().map(|call| call.outcome())),
        took_ms: attacks.iter().filter_map(|call| call.took_ms()).max(),
        over_mib: over_kib(seen, &attacks).map(|kib| kib as f64 / 1024.0),
        canary: canary_ms(1).zip(canary_ms(0)).map(|(after, before)| after / before),
    }
}

fn is_canary(call: &Record) -> bool {
    call.tool.starts_with(CANARY)
}

/// How much the host's peak rose above its idle memory and what the guests had.
fn over_kib(seen: &Seen, attacks: &[&Record]) -> Option<u64> {
    let rose = seen.after?.peak_kib.saturating_sub(seen.before?.rss_kib);
    Some(rose.saturating_sub(guests_kib(attacks)))
}

/// The most that guests had at once: those of one reply are under way together, and the next reply's get the same memory again.
fn guests_kib(attacks: &[&Record]) -> u64 {
    let mut of_replies: BTreeMap<usize, u64> = BTreeMap::new();
    for call in attacks {
        *of_replies.entry(call.reply).or_default() += call.memory_peak() >> 10;
    }
    of_replies.into_values().max().unwrap_or(0)
}

/// Everything in which `seen` is not as the case says.
pub(crate) fn judge(case: &Case, seen: &Seen) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(why) = &seen.killed {
        problems.push(format!("the host had to be killed: {why}"));
    }
    match &case.form.load {
        Some(load) => judge_load(load, seen, &mut problems),
        None => judge_run(case, seen, &mut problems),
    }
    if !seen.changed.is_empty() {
        problems.push(format!("outside the grants there are changes at {:?}", seen.changed));
    }
    for (server, visits) in case.form.server.iter().zip(&seen.visits) {
        problems.extend(server.problems(visits));
    }
    judge_output(case, seen, &mut problems);
    problems
}

fn judge_load(load: &LoadForm, seen: &Seen, problems: &mut Vec<String>) {
    if seen.code == Some(0) || seen.code.is_none() {
        problems.push(format!("the command ended with {:?}, not with an error of its own", seen.code));
    }
    for text in std::iter::once(&load.problem).chain(&load.says) {
        if !seen.err.contains(text) {
            problems.push(format!("`{text}` is not in: {}", shown(&seen.err)));
        }
    }
    if !seen.next_command_works {
        problems.push("a benign tool cannot be called afterwards".to_owned());
    }
}

fn judge_run(case: &Case, seen: &Seen, problems: &mut Vec<String>) {
    let calls = calls(&seen.events);
    let (canaries, attacks): (Vec<&Record>, Vec<&Record>) = calls.iter().partition(|call| is_canary(call));
    let expected: Vec<&CallForm> =
        case.form.call.iter().flat_map(|call| std::iter::repeat_n(call, call.calls())).collect();
    if attacks.len() != expected.len() {
        problems.push(format!("{} calls are recorded, not {}: {}", attacks.len(), expected.len(), shown(&seen.err)));
    }
    for (form, call) in expected.iter().zip(&attacks) {
        judge_call(form, call, problems);
        judge_time(case, call, problems);
    }
    judge_host(case, seen, &attacks, problems);
    judge_canaries(&canaries, seen, problems);
}

fn judge_call(form: &CallForm, call: &Record, problems: &mut Vec<String>) {
    let text = call.text();
    if call.ends != 1 {
        problems.push(format!("the call has {} outcomes in the journal, not 1", call.ends));
    }
    if call.outcome() != form.outcome {
        problems.push(format!("it ended with `{}`, not `{}`: {}", call.outcome(), form.outcome, shown(&text)));
    }
    problems.extend(
        form.says
            .iter()
            .filter(|said| !text.contains(*said))
            .map(|said| format!("`{said}` is not in: {}", shown(&text))),
    );
    problems.extend(
        form.never_says
            .iter()
            .filter(|said| text.contains(*said))
            .map(|said| format!("`{said}` is in: {}", shown(&text))),
    );
    let mut refusals = form.refusals.clone();
    refusals.sort();
    if call.refusals() != refusals {
        problems.push(format!("the refusals among its effects are {:?}, not {refusals:?}", call.refusals()));
    }
    judge_report(form, call, problems);
    judge_metering(form, call, problems);
}

fn judge_report(form: &CallForm, call: &Record, problems: &mut Vec<String>) {
    let reported = call.reported();
    for (pointer, expected) in &form.reported {
        if reported.pointer(pointer) != Some(expected) {
            problems
                .push(format!("the guest does not report {expected} at `{pointer}`: {}", shown(&reported.to_string())));
        }
    }
    for (pointer, part) in &form.reported_has {
        let there = reported.pointer(pointer).map(Value::to_string).unwrap_or_default();
        if !there.contains(part) {
            problems.push(format!(
                "`{part}` is not in what the guest reports at `{pointer}`: {}",
                shown(&reported.to_string())
            ));
        }
    }
}

/// The record has what the call used, whatever its end.
fn judge_metering(form: &CallForm, call: &Record, problems: &mut Vec<String>) {
    let fuel = ["/fuel/exact", "/fuel/at_least"].iter().find_map(|pointer| call.metered(pointer));
    if fuel.and_then(Value::as_u64).is_none() || call.metered("/host_calls").is_none() {
        problems.push(format!("the record lacks what the call used: {}", call.finished["metering"]));
    }
    for effect in call.finished["effects"].as_array().into_iter().flatten() {
        if effect["bytes_in"].as_u64().is_none() || effect["bytes_out"].as_u64().is_none() {
            problems.push(format!("an effect lacks its bytes: {effect}"));
        }
    }
    let figure = |pointer: &str| call.metered(pointer).cloned().unwrap_or_default();
    let mut differs = |pointer: &str, wanted: String| {
        problems.push(format!("metered `{pointer}` is {}, not {wanted}", figure(pointer)));
    };
    for (pointer, expected) in form.metered.iter().filter(|(pointer, expected)| figure(pointer) != **expected) {
        differs(pointer, expected.to_string());
    }
    for (pointer, least) in
        form.metered_least.iter().filter(|(at, least)| figure(at).as_u64().is_none_or(|n| n < **least))
    {
        differs(pointer, format!("at least {least}"));
    }
    for (pointer, most) in form.metered_most.iter().filter(|(at, most)| figure(at).as_u64().is_none_or(|n| n > **most))
    {
        differs(pointer, format!("at most {most}"));
    }
}

fn judge_time(case: &Case, call: &Record, problems: &mut Vec<String>) {
    let bound = case.form.bounds.wall_ms.or_else(|| Some(call.deadline_ms? + DEADLINE_SLACK_MS));
    if let (Some(took), Some(bound)) = (call.took_ms(), bound)
        && took > bound
    {
        problems.push(format!("the call took {took} ms, more than {bound}"));
    }
}

/// Memory, processor time, threads and descriptors of the host.
fn judge_host(case: &Case, seen: &Seen, attacks: &[&Record], problems: &mut Vec<String>) {
    let (Some(before), Some(after)) = (seen.before, seen.after) else {
        problems.push(format!("the host did not get as far as the second canary: {}", shown(&seen.err)));
        return;
    };
    let over = over_kib(seen, attacks).unwrap_or(0) >> 10;
    if over > case.form.bounds.rss_delta_mib {
        problems.push(format!(
            "resident memory rose by {over} MiB over what the guests had, more than {}",
            case.form.bounds.rss_delta_mib
        ));
    }
    let stayed = seen.settled.map_or(0, |settled| settled.rss_kib.saturating_sub(before.rss_kib) >> 10);
    if case.form.bounds.rss_back_mib.is_some_and(|bound| stayed > bound) {
        problems.push(format!("{stayed} MiB of resident memory stay after the attack"));
    }
    let deadlines: u64 = attacks.iter().filter_map(|call| call.deadline_ms).sum();
    let bound = case.form.bounds.cpu_ms.unwrap_or(deadlines + deadlines / 5 + DEADLINE_SLACK_MS);
    let used = after.cpu_ms.saturating_sub(before.cpu_ms);
    if used > bound {
        problems.push(format!("the host used {used} ms of processor time, more than {bound}"));
    }
    if !seen.settled.is_some_and(|settled| is_back(settled, before)) {
        problems.push(format!("threads and descriptors are not back within a second: {before:?}, {:?}", seen.settled));
    }
}

fn judge_canaries(canaries: &[&Record], seen: &Seen, problems: &mut Vec<String>) {
    let worked = |call: &&&Record| call.outcome() == "returned" && call.reported() == 42;
    if canaries.len() != 2 || canaries.iter().filter(worked).count() != 2 {
        problems.push(format!("the canary did not sing before and after: {}", shown(&seen.err)));
    }
    if let Some(took) = canaries.get(1).and_then(|canary| canary.took_ms()).filter(|took| *took > CANARY_MS_MAX) {
        problems.push(format!("the canary took {took} ms after the attack"));
    }
    if seen.killed.is_none() && (seen.code != Some(0) || seen.out != "42\n") {
        problems.push(format!(
            "the run ended with {:?} and the answer {:?}: {}",
            seen.code,
            seen.out,
            shown(&seen.err)
        ));
    }
}

fn judge_output(case: &Case, seen: &Seen, problems: &mut Vec<String>) {
    let everywhere = [&seen.out, &seen.err, &seen.shown, &seen.recorded];
    for text in &case.form.output.present {
        if !everywhere.iter().any(|place| place.contains(text)) {
            problems.push(format!("`{text}` is nowhere in the output: {}", shown(&seen.err)));
        }
    }
    for text in &case.form.output.unseen {
        if everywhere.iter().any(|place| place.contains(text)) {
            problems.push(format!("`{}` is in the output", text.escape_unicode()));
        }
    }
    for text in &case.form.output.absent {
        let stored = seen.state.windows(text.len().max(1)).any(|window| window == text.as_bytes());
        if stored || everywhere.iter().any(|place| place.contains(text)) {
            problems
                .push(format!("`{text}` is in the output{}", if stored { " and in a file of the host" } else { "" }));
        }
    }
}

/// What does not show that the defences were missing, though they were off.
pub(crate) fn judge_without(case: &Case, without: &Without, seen: &Seen) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            problems.push(format!("without {}, {what}: {}", without.defence.join(" and "), shown(&seen.err)));
        }
    };
    let calls = calls(&seen.events);
    let attacks: Vec<&Record> = calls.iter().filter(|call| !is_canary(call)).collect();
    let last = attacks.last();
    let outcome = last.map_or("nothing", |call| call.outcome());
    if let Some(expected) = &without.outcome {
        must(outcome == expected, format!("it ended with `{outcome}`, not `{expected}`"));
    }
    for text in &without.present {
        let there = seen.recorded.contains(text) || seen.err.contains(text);
        must(there, format!("`{}` is not in the record or the output", text.escape_unicode()));
    }
    if let Some(name) = &without.reaches {
        must(
            seen.visits.iter().any(|visits| visits.server == *name && visits.connections > 0),
            format!("server `{name}` was not reached"),
        );
    }
    if let Some(mib) = without.peak_over_mib {
        let peak = last.map_or(0, |call| call.memory_peak() >> 20);
        must(peak > mib, format!("the guest got {peak} MiB, not more than {mib}"));
    }
    if let Some(mib) = without.rss_over_mib {
        let over = over_kib(seen, &attacks).unwrap_or(0) >> 10;
        must(over > mib, format!("resident memory rose by {over} MiB, not more than {mib}"));
    }
    if let Some(units) = without.host_calls_over {
        let made = last.and_then(|call| call.metered("/host_calls")?.as_u64()).unwrap_or(0);
        must(made > units, format!("{made} weighted host calls were made, not more than {units}"));
    }
    must(without.outlives_ms.is_none() || seen.killed.is_some(), "it did not go on".to_owned());
    must(!without.crashes || (seen.code.is_none() && seen.killed.is_none()), "the host did not crash".to_owned());
    must(!without.changes || !seen.changed.is_empty(), "nothing outside the grants changed".to_owned());
    must(!without.loads || seen.code == Some(0), "the tool did not load".to_owned());
    if judge(case, seen).is_empty() {
        problems.push("the case passes without the defence: it proves nothing".to_owned());
    }
    problems
}

fn shown(text: &str) -> String {
    let line: String = text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    line.replace('\n', " ⏎ ")
}

#[cfg(test)]
mod tests {
    use agent_tests::process::Look;
    use serde_json::json;

    use super::*;

    /// A thousand calls one after the other, of 8 MiB each, do not excuse a host that grew by 8,000.
    #[test]
    fn what_guests_had_one_after_the_other_is_not_added_up() {
        let call = |reply: usize, mib: u64| {
            let mut call = Record::default();
            (call.reply, call.finished) = (reply, json!({"metering": {"memory_peak": mib << 20}}));
            call
        };
        let calls: Vec<Record> =
            (0..1_000).map(|reply| call(reply, 8)).chain([call(1_000, 8), call(1_000, 9)]).collect();
        let calls: Vec<&Record> = calls.iter().collect();
        assert_eq!((guests_kib(&calls[..1_000]), guests_kib(&calls), guests_kib(&[])), (8 << 10, 17 << 10, 0));
        let look = |rss_kib, peak_kib| Some(Look { rss_kib, peak_kib, ..Look::default() });
        let seen = Seen { before: look(50 << 10, 50 << 10), after: look(60 << 10, 100 << 10), ..Seen::default() };
        assert_eq!(over_kib(&seen, &calls), Some(33 << 10));
    }
}
