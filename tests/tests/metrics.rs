//! Metrics on their way to a collector: what each row of the table says, the same whatever is killed when, of few things whatever a
//! stranger names, and nothing of it where a collector takes only traces.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it saw")]

use std::collections::BTreeMap;
use std::thread;

use agent_tests::collector::Collector;
use agent_tests::mcp::Session;
use agent_tests::points::Point;
use agent_tests::server::{Manner, Server};
use agent_tests::traced::{Kill, Traced};
use agent_tests::{World, guest, tool, wait_until};
use serde_json::json;

/// Two requests that fail at first, three calls, and tokens of every kind.
const SCRIPT: &str = r#"
version = 1
[[reply]]
delay = "100ms"
error = { kind = "rate_limited", message = "slowly" }
usage = { input = 1_000, output = 30, cache_read = 600, cache_write = 50 }
calls = [
    { tool = "files.write", arguments = { path = "a.txt", content = "one" } },
    { tool = "no.such", arguments = {} },
]
[[reply]]
delay = "100ms"
usage = { input = 1_200, output = 50, reasoning = 20 }
calls = [{ tool = "files.read", as = "read", arguments = { path = "a.txt", numbered = false } }]
[[reply]]
delay = "100ms"
text = "a.txt holds: {{ read }}"
"#;

const ANSWER: &str = "a.txt holds: one\n";
const CUMULATIVE: &str = "AGGREGATION_TEMPORALITY_CUMULATIVE";

fn arguments(world: &World) -> Vec<String> {
    let script = world.write("replies.toml", SCRIPT).display().to_string();
    let data = world.write("data/old.txt", "old").parent().expect("a folder").display().to_string();
    let (files, model) = (tool("files"), format!("scripted:{script}"));
    ["run", "--tools", &files, "--allow-write", &data, "--model", &model, "go"].map(str::to_owned).to_vec()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

type Key = (String, String, String);

/// What somebody who keeps the last of each point has. None of them ever becomes less, or is told of the same time twice with
/// another number.
fn kept(points: &[Point]) -> BTreeMap<Key, Point> {
    let mut kept: BTreeMap<Key, Point> = BTreeMap::new();
    for point in points {
        assert_eq!(point.temporality, CUMULATIVE, "{point:?}");
        if let Some(before) = kept.insert(point.key(), point.clone()) {
            assert_eq!(before.period.0, point.period.0, "one start: {point:?}");
            assert!(before.period.1 <= point.period.1, "{before:?} and then {point:?}");
            assert!(before.sum <= point.sum && before.count <= point.count, "{before:?} and then {point:?}");
            if before.period.1 == point.period.1 {
                assert_eq!(before, *point, "one time, one number");
            }
        }
    }
    kept
}

fn metric<'p>(kept: &'p BTreeMap<Key, Point>, name: &str) -> Vec<&'p Point> {
    kept.values().filter(|point| point.name == name).collect()
}

/// Each point of a metric in a line: its attributes, and its sum or how many it counts.
fn lines(kept: &BTreeMap<Key, Point>, name: &str) -> Vec<String> {
    let line = |point: &&Point| {
        let value = |value: &String| value.trim_start_matches("Str(").trim_end_matches(')').to_owned();
        let attributes = point.attributes.iter().map(|(key, held)| format!("{key}={}", value(held)));
        let amount = if point.kind == "Sum" { point.sum.to_string() } else { point.count.to_string() };
        format!("{amount} {}", attributes.collect::<Vec<_>>().join(" "))
    };
    metric(kept, name).iter().map(line).collect()
}

/// Waits until a run's last point has come.
fn received(collector: &Collector, runs: usize) -> BTreeMap<Key, Point> {
    let ended = || metric(&kept(&collector.points()), "gen_ai.invoke_agent.duration").len() >= runs;
    wait_until("the metrics arrive", ended);
    kept(&collector.points())
}

const MODEL: &str = "gen_ai.operation.name=chat gen_ai.provider.name=scripted gen_ai.request.model=replies.toml";
const TOKENS: &str = "gen_ai.operation.name=chat gen_ai.provider.name=scripted gen_ai.request.model=replies.toml \
                      gen_ai.token.modality=unknown";

#[test]
fn a_run_arrives_as_the_table_says() {
    let (world, collector) = (World::new(), Collector::start());
    let said = Traced::to(&world, &collector.url()).run(&words(&arguments(&world)));
    assert_eq!((said.code, said.out.as_str()), (Some(0), ANSWER), "{said:?}");
    let kept = received(&collector, 1);
    let (usage, failed) = ("gen_ai.client.inference.usage", format!("error.type=rate_limited {MODEL}"));
    let expected = [
        ("gen_ai.client.inference.duration", vec![format!("1 {failed}"), format!("3 {MODEL}")]),
        (&format!("{usage}.input_tokens"), vec![format!("2200 {TOKENS}")]),
        (&format!("{usage}.output_tokens"), vec![format!("80 {TOKENS}")]),
        (&format!("{usage}.cache_read.input_tokens"), vec![format!("600 {TOKENS}")]),
        (&format!("{usage}.cache_write.input_tokens"), vec![format!("50 {TOKENS}")]),
        (&format!("{usage}.reasoning.output_tokens"), vec![format!("20 {TOKENS}")]),
        ("gen_ai.client.inference.operation.input_tokens", vec![]),
        ("gen_ai.client.operation.duration", vec![]),
        ("gen_ai.client.token.usage", vec![]),
        ("gen_ai.invoke_agent.duration", vec!["1 gen_ai.agent.name=agent".to_owned()]),
        ("gen_ai.invoke_agent.inference_calls", vec!["1 gen_ai.agent.name=agent".to_owned()]),
        ("gen_ai.invoke_agent.tool_calls", vec!["1 gen_ai.agent.name=agent".to_owned()]),
        (
            "gen_ai.execute_tool.duration",
            vec![
                "1 error.type=unknown_tool gen_ai.tool.name=unknown gen_ai.tool.type=function".to_owned(),
                "1 gen_ai.tool.name=files.read gen_ai.tool.type=function".to_owned(),
                "1 gen_ai.tool.name=files.write gen_ai.tool.type=function".to_owned(),
            ],
        ),
        ("mcp.server.operation.duration", vec![]),
    ];
    for (name, lines_expected) in &expected {
        assert_eq!(lines(&kept, name), *lines_expected, "{name}");
    }
    let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    assert!(kept.values().all(|point| names.contains(&point.name.as_str())), "nothing else");

    let one = |name: &str| metric(&kept, name)[0];
    let duration = metric(&kept, "gen_ai.client.inference.duration")[1];
    assert_eq!((duration.unit.as_str(), duration.kind.as_str()), ("s", "Histogram"));
    let doubled = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    assert_eq!(duration.bounds, doubled);
    assert_eq!(duration.buckets.len(), 15);
    assert!((0.3..10.0).contains(&duration.sum), "three replies of 100 ms: {duration:?}");
    let agent = one("gen_ai.invoke_agent.duration");
    assert_eq!((agent.unit.as_str(), agent.bounds.first(), agent.bounds.last()), ("s", Some(&0.1), Some(&409.6)));
    let calls = one("gen_ai.invoke_agent.inference_calls");
    assert_eq!((calls.unit.as_str(), calls.sum), ("{inference_call}", 4.0));
    assert_eq!(calls.bounds, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);
    let calls = one("gen_ai.invoke_agent.tool_calls");
    assert_eq!((calls.unit.as_str(), calls.sum), ("{tool_call}", 3.0));
    assert_eq!(one(&format!("{usage}.input_tokens")).unit, "{token}");
    assert!(kept.values().all(|point| point.spans.is_empty()), "nobody asked for examples");
    let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
    assert!(kept.values().all(|point| point.instance == format!("Str({run})")), "a source of its own");

    // What was sent is not sent again, by whoever is asked.
    let again = Traced::to(&world, &collector.url()).run(&["trace", "--export"]).ok();
    assert!(again.contains("sent 0 points of metrics of run "), "{again}");
}

#[test]
fn older_names_more_metrics_and_examples_come_where_they_are_asked_for() {
    let (world, collector) = (World::new(), Collector::start());
    let opted = "gen_ai.client.inference.operation.input_tokens,gen_ai.client.inference.operation.output_tokens";
    let both = Traced::to(&world, &collector.url())
        .with("AGENT_HOST_SEMCONV", "both")
        .with("AGENT_HOST_METRICS_OPT_IN", opted)
        .with("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based");
    assert_eq!(both.run(&words(&arguments(&world))).ok(), ANSWER);
    let points = received(&collector, 1);
    let of = |name: &str| lines(&points, name);
    let failed = format!("1 error.type=rate_limited {MODEL}");
    assert_eq!(of("gen_ai.client.operation.duration"), [failed, format!("3 {MODEL}")]);
    assert_eq!(of("gen_ai.client.inference.duration").len(), 2);
    assert_eq!(of("gen_ai.client.inference.operation.input_tokens"), [format!("2 {MODEL}")]);
    assert_eq!(of("gen_ai.client.inference.operation.output_tokens"), [format!("2 {MODEL}")]);
    let usage = ["input", "output"].map(|kind| format!("2 {MODEL} gen_ai.token.type={kind}"));
    assert_eq!(of("gen_ai.client.token.usage"), usage);
    let tokens = metric(&points, "gen_ai.client.token.usage")[0];
    assert_eq!((tokens.unit.as_str(), tokens.sum, tokens.bounds.last()), ("{token}", 2_200.0, Some(&67_108_864.0)));

    let spans: Vec<String> = collector.spans().iter().map(|span| span.id.clone()).collect();
    let named: Vec<&String> = points.values().flat_map(|point| &point.spans).collect();
    assert!(!named.is_empty() && named.iter().all(|span| spans.contains(span)), "{named:?}");
    let names = |kind: &str| points.values().filter(|point| point.kind == kind).all(|point| point.spans.is_empty());
    assert!(names("Sum") && !names("Histogram"));
    let cached = collector.spans().into_iter().find(|span| {
        span.attributes.get("gen_ai.usage.cache_write.input_tokens").is_some_and(|count| count == "Int(50)")
    });
    let older = cached.expect("the reply").attributes.get("gen_ai.usage.cache_creation.input_tokens").cloned();
    assert_eq!(older.as_deref(), Some("Int(50)"), "by its older name, too");

    let other = World::new();
    let older = Traced::to(&other, &collector.url()).with("AGENT_HOST_SEMCONV", "1.41");
    assert_eq!(older.run(&words(&arguments(&other))).ok(), ANSWER);
    let points = received(&collector, 2);
    let run = format!("Str({})", other.events(&[])[0]["run"].as_str().expect("a run"));
    let names: Vec<&str> =
        points.values().filter(|point| point.instance == run).map(|point| point.name.as_str()).collect();
    assert!(names.contains(&"gen_ai.client.token.usage") && names.contains(&"gen_ai.execute_tool.duration"));
    assert!(!names.iter().any(|name| name.contains(".inference.")), "{names:?}");
}

/// Runs, kills, resumes, kills, resumes to the end. Gives what somebody who keeps the last of each point has of the run.
fn round(kills: [Kill; 2]) -> BTreeMap<Key, Point> {
    let (world, collector) = (World::new(), Collector::start());
    let traced = Traced::to(&world, &collector.url()).with("OTEL_METRIC_EXPORT_INTERVAL", "1000");
    traced.killed_twice(&words(&arguments(&world)), kills, ANSWER);
    // What the journal says, by the spans that it is drawn from.
    let printed = world.run(&["trace", "--json"]).ok();
    let spans = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON lines"));
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for span in spans {
        *counts.entry(span["attributes"]["gen_ai.operation.name"].to_string()).or_default() += 1;
    }
    let drives = counts.get("\"invoke_agent\"").copied().unwrap_or(0);
    let arrived =
        |kept: &BTreeMap<Key, Point>, name: &str| metric(kept, name).iter().map(|point| point.count).sum::<u64>();
    let complete = || arrived(&kept(&collector.points()), "gen_ai.invoke_agent.duration") >= drives;
    wait_until("each drive is counted", complete);
    let kept = kept(&collector.points());
    for (operation, name) in [
        ("\"invoke_agent\"", "gen_ai.invoke_agent.duration"),
        ("\"chat\"", "gen_ai.client.inference.duration"),
        ("\"execute_tool\"", "gen_ai.execute_tool.duration"),
    ] {
        assert_eq!(Some(arrived(&kept, name)), counts.get(operation).copied(), "{kills:?}: {name}");
    }
    kept
}

#[test]
fn whatever_is_killed_when_everything_is_counted_once() {
    let rounds = [
        // Between the collector's answer and the cursor, where the same goes twice.
        [Kill::At("metrics-sent#1"), Kill::At("metrics-sent#1")],
        [Kill::At("metrics-advanced#1"), Kill::At("metrics-advanced#1")],
        [Kill::At("tool-finished#1"), Kill::At("model-replied#1")],
        [Kill::At("model-replied#2"), Kill::At("tool-started#1")],
        [Kill::After(300), Kill::After(500)],
        [Kill::After(1_200), Kill::After(1_400)],
    ];
    let handles: Vec<_> = rounds.into_iter().map(|kills| (kills, thread::spawn(move || round(kills)))).collect();
    for (kills, handle) in handles {
        let kept = handle.join().expect("the round holds");
        println!("{kills:?}: {:?}", lines(&kept, "gen_ai.client.inference.duration"));
        // Whoever was killed, the replies that the journal has are counted with their tokens, and each once.
        let tokens = lines(&kept, "gen_ai.client.inference.usage.input_tokens");
        assert_eq!(tokens, [format!("2200 {TOKENS}")], "{kills:?}");
    }
}

#[test]
fn calls_of_clients_are_counted_with_their_method() {
    let (world, collector) = (World::new(), Collector::start());
    let mut session = Session::start(&world, &["--tools", &tool("calc")]);
    let result = session.call("calc__evaluate", &json!({ "expression": "6 * 7" }));
    assert_eq!(result["isError"], json!(false), "{result}");
    let result = session.call("calc__evaluate", &json!({ "expression": "6 *" }));
    assert_eq!(result["isError"], json!(true), "{result}");
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    let sent = Traced::to(&world, &collector.url()).run(&["trace", "--export"]).ok();
    assert!(sent.contains(" points of metrics of run "), "{sent}");
    let arrived = || !metric(&kept(&collector.points()), "mcp.server.operation.duration").is_empty();
    wait_until("the metrics arrive", arrived);
    let kept = kept(&collector.points());
    let of = "gen_ai.operation.name=execute_tool gen_ai.tool.name=calc.evaluate mcp.method.name=tools/call";
    assert_eq!(
        lines(&kept, "mcp.server.operation.duration"),
        [format!("1 error.type=tool_error {of}"), format!("1 {of}")]
    );
    let duration = metric(&kept, "mcp.server.operation.duration")[0];
    let bounds = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
    assert_eq!((duration.unit.as_str(), duration.bounds.as_slice()), ("s", &bounds[..]));
    assert!(metric(&kept, "gen_ai.invoke_agent.duration").is_empty(), "a server is no agent");
}

/// Two thousand names that a model makes up are one; and what it says is nowhere.
#[test]
fn what_a_model_makes_up_makes_no_points() {
    const CALLS: usize = 2_000;
    let (world, collector) = (World::new(), Collector::start());
    let calls: Vec<String> =
        (0..CALLS).map(|number| format!("{{ tool = \"made.up-{number}\", arguments = {{}} }}")).collect();
    let script = format!("version = 1\n[[reply]]\ncalls = [{}]\n[[reply]]\ntext = \"done\"\n", calls.join(","));
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let polite = guest("polite");
    let traced =
        Traced::to(&world, &collector.url()).with("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    let said =
        traced.run(&["run", "--tools", &polite, "--max-tool-calls", "10000", "--model", &model, "private words"]);
    println!("{:?}", said.code);
    let kept = received(&collector, 1);
    let calls = metric(&kept, "gen_ai.execute_tool.duration");
    assert_eq!(calls.iter().map(|point| point.count).sum::<u64>(), CALLS as u64, "each is counted");
    assert!(calls.len() < 5 && kept.len() < 50, "{calls:?}");
    let all = format!("{kept:?}");
    assert!(!all.contains("made.up") && !all.contains("private"), "{all}");
}

#[test]
fn a_collector_of_traces_alone_is_no_trouble() {
    let (world, collector) = (World::new(), Collector::start());
    let traces = format!("{}/v1/traces", collector.url());
    let nowhere = Server::start(Manner::NotFound);
    let general = Traced::to(&world, &nowhere.url()).with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces);
    let said = general.run(&words(&arguments(&world)));
    assert_eq!((said.code, said.out.as_str()), (Some(0), ANSWER));
    assert!(!said.err.contains("metrics"), "nobody said that it takes metrics: {}", said.err);
    assert!(nowhere.requests().iter().any(|head| head.starts_with("POST /v1/metrics ")), "it was asked");

    let named = format!("{}/v1/metrics", nowhere.url());
    let said = general.with("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &named).run(&words(&arguments(&world)));
    assert_eq!((said.code, said.out.as_str()), (Some(0), ANSWER));
    assert!(said.err.contains("the metrics are not complete") && said.err.contains("404"), "{}", said.err);
}

#[test]
fn what_cannot_be_done_as_it_is_asked_is_told_and_not_done() {
    let (world, collector) = (World::new(), Collector::start());
    let delta = Traced::to(&world, &collector.url())
        .with("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .run(&words(&arguments(&world)));
    assert_eq!((delta.code, delta.out.as_str()), (Some(0), ANSWER));
    assert!(delta.err.contains("no metrics are sent: ") && delta.err.contains("count twice"), "{}", delta.err);
    wait_until("the trace arrives", || !collector.spans().is_empty());
    assert!(collector.points().is_empty());
}
