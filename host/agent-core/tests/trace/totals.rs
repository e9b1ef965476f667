//! What spans add up to: by the table, the same however often, and of few things however many a stranger names.

use std::collections::BTreeSet;

use agent_core::client_events::{Client, ToolProposed};
use agent_core::event::{ModelFailed, ModelReplied, Suspension, ToolSuspended};
use agent_core::model::{ModelFailure, ModelFailureKind, TokenUsage};
use agent_core::name::CallNumber;
use agent_core::outcome::{Metering, ToolOutcome};
use agent_core::stop::StopReason;
use agent_core::trace::instruments::{self, Family, Instrument, Kind};
use agent_core::trace::names::{self, Holds, Level, Subject};
use agent_core::trace::projection::Projection;
use agent_core::trace::totals::{Series, Totals};
use agent_core::trace::{Content, Value};

use super::run::{ANSWER, Run, ended, finished, replied, requested, resumed, returned, started};

pub(crate) fn totals(run: &Run) -> Totals {
    let mut totals = Totals::default();
    run.spans().iter().for_each(|span| totals.count(span));
    totals
}

/// What every point must be, whatever the run.
pub(crate) fn check(series: &Series) -> Result<(), String> {
    let Series { instrument, labels, spread, sum } = series;
    let name = instrument.name;
    if labels.as_slice() == [("otel.metric.overflow", Value::Flag(true))] {
        return Ok(());
    }
    for (attribute, level) in instrument.by() {
        let value = labels.iter().find(|(key, _)| *key == attribute.name).map(|(_, value)| value);
        let fits = match (attribute.holds, value) {
            (_, None) => *level == Level::Sometimes,
            (Holds::Text, Some(Value::Text(text))) => text.len() <= 128,
            (Holds::Integer, Some(Value::Integer(_))) => true,
            (Holds::Text | Holds::Texts | Holds::Integer | Holds::Real | Holds::Flag, Some(_)) => false,
        };
        if !fits {
            return Err(format!("{name} has {} as {value:?}", attribute.name));
        }
    }
    let known: BTreeSet<&str> = instrument.by().map(|(attribute, _)| attribute.name).collect();
    let keys: BTreeSet<&str> = labels.iter().map(|(key, _)| *key).collect();
    if keys.len() != labels.len() || !keys.is_subset(&known) {
        return Err(format!("{name} has {keys:?}"));
    }
    match (instrument.kind, spread) {
        (Kind::Counter, None) => Ok(()),
        (Kind::Histogram(bounds), Some(spread)) => {
            let is_whole = spread.buckets.len() == bounds.len() + 1
                && spread.buckets.iter().sum::<u64>() == spread.count
                && spread.min <= spread.max
                && (spread.min..=spread.count * spread.max).contains(sum);
            if is_whole { Ok(()) } else { Err(format!("{name}: {series:?}")) }
        }
        (Kind::Counter, Some(_)) | (Kind::Histogram(_), None) => Err(format!("{name} is of another kind")),
    }
}

fn shown(totals: &Totals) -> Vec<String> {
    let label = |(key, value): &(&str, Value)| match value {
        Value::Text(text) => format!("{}={text}", key.rsplit('.').next().unwrap()),
        Value::Integer(number) => format!("{}={number}", key.rsplit('.').next().unwrap()),
        Value::Texts(_) | Value::Thousandths(_) | Value::Flag(_) => format!("{key}={value:?}"),
    };
    let line = |series: &Series| {
        let labels: Vec<String> = series.labels.iter().map(label).collect();
        let count = series.spread.as_ref().map(|spread| format!(" of {}", spread.count)).unwrap_or_default();
        format!("{} {}{count} {}", series.instrument.name, series.sum, labels.join(" "))
    };
    totals.series().map(line).collect()
}

#[test]
fn a_run_adds_up_by_the_table() {
    let mut answer = replied(2, ANSWER, &[]);
    let usage = TokenUsage { cache_read: Some(80), cache_write: Some(5), reasoning: Some(3), ..TokenUsage::of(100, 7) };
    answer.reply.usage = usage;
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(ModelFailed { turn: 1, failure: ModelFailure::new(ModelFailureKind::RateLimited, "x") })
        .with(requested(1, 2, 0))
        .with(replied(1, "", &["orders__look-up", "private__name"]))
        .with(started(1, 1))
        .with(finished(2, ToolOutcome::Failed { message: "x".into() }, Vec::new()))
        .with(finished(1, returned("x"), Vec::new()))
        .with(requested(2, 1, 0))
        .with(answer)
        .with(ended(StopReason::Completed));
    let model = "name=chat name=gcp.gemini model=flash";
    let (server, answered) = ("address=localhost port=8080", "model=flash-001");
    let expected = [
        format!("gen_ai.client.inference.duration 100 of 1 {model} {server} type=rate_limited"),
        format!("gen_ai.client.inference.duration 200 of 2 {model} {answered} {server}"),
        format!("gen_ai.client.inference.operation.input_tokens 200 of 2 {model} {answered} {server}"),
        format!("gen_ai.client.inference.operation.output_tokens 14 of 2 {model} {answered} {server}"),
        format!(
            "gen_ai.client.inference.usage.cache_read.input_tokens 80 {model} {answered} {server} modality=unknown"
        ),
        format!(
            "gen_ai.client.inference.usage.cache_write.input_tokens 5 {model} {answered} {server} modality=unknown"
        ),
        format!("gen_ai.client.inference.usage.input_tokens 0 {model} {server} modality=unknown"),
        format!("gen_ai.client.inference.usage.input_tokens 200 {model} {answered} {server} modality=unknown"),
        format!("gen_ai.client.inference.usage.output_tokens 0 {model} {server} modality=unknown"),
        format!("gen_ai.client.inference.usage.output_tokens 14 {model} {answered} {server} modality=unknown"),
        format!("gen_ai.client.inference.usage.reasoning.output_tokens 3 {model} {answered} {server} modality=unknown"),
        format!("gen_ai.client.operation.duration 100 of 1 {model} {server} type=rate_limited"),
        format!("gen_ai.client.operation.duration 200 of 2 {model} {answered} {server}"),
        format!("gen_ai.client.token.usage 200 of 2 {model} {answered} {server} type=input"),
        format!("gen_ai.client.token.usage 14 of 2 {model} {answered} {server} type=output"),
        "gen_ai.execute_tool.duration 200 of 1 name=orders.look-up type=function".to_owned(),
        "gen_ai.execute_tool.duration 0 of 1 name=unknown type=function type=failed".to_owned(),
        "gen_ai.invoke_agent.duration 1000 of 1 name=support".to_owned(),
        "gen_ai.invoke_agent.inference_calls 3 of 1 name=support".to_owned(),
        "gen_ai.invoke_agent.tool_calls 2 of 1 name=support".to_owned(),
    ];
    let mut shown = shown(&totals(&run));
    let mut expected = expected.to_vec();
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
}

/// The name, the unit and the buckets of each metric, as they are known to who reads them.
#[test]
fn the_table_is_what_it_is() {
    let line = |instrument: &&Instrument| {
        let kind = match instrument.kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Histogram(bounds) => {
                let parts = instrument.unit.parts();
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let bound = |bound: u64| bound as f64 / parts as f64;
                let (first, last) = (bound(bounds[0]), bound(bounds[bounds.len() - 1]));
                assert!(bounds.is_sorted_by(|one, next| one < next));
                format!("histogram {first}..{last} in {}", bounds.len())
            }
        };
        format!("{} {} {kind}", instrument.name, instrument.unit.name())
    };
    let shown: Vec<String> = instruments::ALL.iter().map(line).collect();
    assert_eq!(
        shown,
        [
            "gen_ai.client.inference.duration s histogram 0.01..81.92 in 14",
            "gen_ai.client.inference.usage.input_tokens {token} counter",
            "gen_ai.client.inference.usage.output_tokens {token} counter",
            "gen_ai.client.inference.usage.cache_read.input_tokens {token} counter",
            "gen_ai.client.inference.usage.cache_write.input_tokens {token} counter",
            "gen_ai.client.inference.usage.reasoning.output_tokens {token} counter",
            "gen_ai.client.inference.operation.input_tokens {token} histogram 1..67108864 in 14",
            "gen_ai.client.inference.operation.output_tokens {token} histogram 1..67108864 in 14",
            "gen_ai.client.operation.duration s histogram 0.01..81.92 in 14",
            "gen_ai.client.token.usage {token} histogram 1..67108864 in 14",
            "gen_ai.invoke_agent.duration s histogram 0.1..409.6 in 13",
            "gen_ai.invoke_agent.inference_calls {inference_call} histogram 1..128 in 8",
            "gen_ai.invoke_agent.tool_calls {tool_call} histogram 1..128 in 8",
            "gen_ai.execute_tool.duration s histogram 0.01..81.92 in 14",
            "mcp.server.operation.duration s histogram 0.01..300 in 14",
        ]
    );
    for instrument in instruments::ALL {
        for (attribute, _) in instrument.by() {
            assert!(names::ALL.contains(attribute), "{}", attribute.name);
        }
        let older = ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"].contains(&instrument.name);
        assert_eq!(instrument.family == Family::Older, older, "{}", instrument.name);
    }
}

#[test]
fn what_is_on_a_bound_is_below_it_and_each_bucket_has_an_example() {
    let run = Run::new().with(requested(1, 1, 0)).with(replied(1, ANSWER, &[])).with(ended(StopReason::Completed));
    let mut spans = run.spans();
    let mut span = spans.remove(0);
    assert_eq!(span.subject, Subject::Model);
    let mut totals = Totals::default();
    for took in [0, 10, 11, 81_920, 81_921] {
        span.end.0 = span.start.0 + took;
        totals.count(&span);
    }
    let series = totals.series().find(|series| series.instrument == &instruments::INFERENCE_DURATION).unwrap();
    let spread = series.spread.as_ref().unwrap();
    assert_eq!((spread.buckets[0], spread.buckets[1], spread.buckets[13], spread.buckets[14]), (2, 1, 1, 1));
    assert_eq!((spread.min, spread.max, series.sum), (0, 81_921, 163_862));
    let examples: Vec<u64> = spread.examples.iter().flatten().map(|example| example.amount).collect();
    assert_eq!(examples, [10, 11, 81_920, 81_921]);
    assert!(spread.examples.iter().flatten().all(|example| example.span == span.id && example.trace == span.trace));
}

#[test]
fn a_server_that_calls_its_model_differently_each_time_makes_few_points() {
    let mut run = Run::new();
    for turn in 1..=1_000 {
        let mut reply: ModelReplied = replied(turn, "", &["made__up"]);
        reply.reply.model = format!("{turn}-{}", "x".repeat(1_000));
        run = run.with(requested(turn, 1, 0)).with(reply);
        run = run.with(finished(turn, ToolOutcome::Failed { message: "x".into() }, Vec::new()));
    }
    let totals = totals(&run);
    let durations: Vec<&Series> =
        totals.series().filter(|series| series.instrument == &instruments::INFERENCE_DURATION).collect();
    assert_eq!(durations.len(), 201);
    let counts = durations.iter().map(|series| series.spread.as_ref().map_or(0, |spread| spread.count));
    assert_eq!(counts.sum::<u64>(), 1_000, "each is counted, if not by its name");
    assert!(totals.series().all(|series| check(series).is_ok()));
    let tools = totals.series().filter(|series| series.instrument == &instruments::TOOL_DURATION).count();
    assert_eq!(tools, 1, "what a model makes up is `unknown`");
}

/// A client's call counts from when it was asked for, and there is no agent.
#[test]
fn calls_of_clients_count_as_what_a_server_did() {
    let run = Run::new().beginning(|started| started.models = Vec::new());
    let client = Client { name: "c".into(), version: "1".into(), protocol: None };
    let proposed =
        |tool: &str| ToolProposed { tool: tool.into(), arguments: "{}".into(), client: client.clone(), request: None };
    let run = run
        .with(proposed("orders__look-up"))
        .with(proposed("files__write"))
        .with(started(1, 1))
        .with(finished(1, returned("x"), Vec::new()))
        .with(started(2, 1))
        .with(finished(2, ToolOutcome::Failed { message: "x".into() }, Vec::new()))
        .with(ended(StopReason::Completed));
    let shown = shown(&totals(&run));
    assert_eq!(
        shown,
        [
            "gen_ai.execute_tool.duration 100 of 1 name=files.write type=function type=failed",
            "gen_ai.execute_tool.duration 100 of 1 name=orders.look-up type=function",
            "mcp.server.operation.duration 400 of 1 name=tools/call name=execute_tool name=files.write type=tool_error",
            "mcp.server.operation.duration 300 of 1 name=tools/call name=execute_tool name=orders.look-up",
        ]
    );
}

#[test]
fn what_was_set_aside_is_counted_when_it_has_an_outcome() {
    let suspended = ToolSuspended {
        call: CallNumber(1),
        attempt: 1,
        reason: Suspension::Approval,
        metering: Metering::nothing(),
        effects: Vec::new(),
    };
    let run = Run::new()
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["orders__look-up"]))
        .with(started(1, 1))
        .with(suspended)
        .with(ended(StopReason::SuspendedApproval))
        .with(resumed())
        .with(started(1, 2))
        .with(finished(1, returned("x"), Vec::new()));
    let shown = shown(&totals(&run));
    let calls: Vec<&String> = shown.iter().filter(|line| line.starts_with("gen_ai.execute_tool")).collect();
    assert_eq!(calls, ["gen_ai.execute_tool.duration 100 of 1 name=orders.look-up type=function"]);
}

/// Where a projection begins, it covers the same time; and it never covers the same time twice with different numbers.
#[test]
fn the_time_that_is_covered_grows_with_each_event() {
    let mut run = Run::new().with(requested(1, 1, 0)).with(replied(1, ANSWER, &[])).with(ended(StopReason::Completed));
    run.events.iter_mut().for_each(|event| event.at.0 = 5);
    run.events[2].at.0 = 3;
    let mut projection = Projection::new(Content::LeftOut);
    assert_eq!(projection.period(), None);
    let mut before = 0;
    for event in &run.events {
        projection.follow(event, None);
        let period = projection.period().unwrap();
        assert_eq!(period.start, 5_000_000);
        assert!(period.end > before && period.broken_off().end > period.end, "{period:?}");
        before = period.broken_off().end;
    }
}
