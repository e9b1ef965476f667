//! Traces on their way to a collector: each span arrives, whatever is killed when; and a collector that is dead, slow or confused
//! changes nothing about a run.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how often spans came twice"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent_tests::collector::{Collector, Seen};
use agent_tests::server::{Manner, Server};
use agent_tests::traced::{Kill, Traced};
use agent_tests::{World, guest, tool, wait_until};

/// How much longer than without a collector a run may take: the time that is left to one at the end, and a busy machine.
const LONGER_MAX: Duration = Duration::from_secs(8);

/// A run of some calls that takes about a second: long enough to be looked at, and killed, in the middle.
const SCRIPT: &str = r#"
version = 1
[[reply]]
delay = "150ms"
calls = [{ tool = "files.write", arguments = { path = "a.txt", content = "one" } }]
[[reply]]
delay = "150ms"
calls = [
    { tool = "files.read", arguments = { path = "a.txt", numbered = false } },
    { tool = "files.read", arguments = { path = "../../etc/passwd", numbered = false } },
    { tool = "no.such", arguments = {} },
]
[[reply]]
delay = "150ms"
[[reply.calls]]
tool = "polite.write_twice"
arguments = { first = "a.txt", second = "b.txt", content = "new", pause_ms = 100 }
[[reply]]
delay = "150ms"
calls = [{ tool = "files.read", as = "read", arguments = { path = "a.txt", numbered = false } }]
[[reply]]
delay = "150ms"
text = "a.txt holds: {{ read }}"
"#;

const ANSWER: &str = "a.txt holds: new\n";

fn arguments(world: &World) -> Vec<String> {
    let script = world.write("replies.toml", SCRIPT).display().to_string();
    let data = world.write("data/a.txt", "old").parent().expect("a folder").display().to_string();
    let (files, polite, model) = (tool("files"), guest("polite"), format!("scripted:{script}"));
    let words = ["run", "--tools", &files, "--tools", &polite, "--allow-write", &data, "--model", &model, "go"];
    words.map(str::to_owned).to_vec()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The spans of a run, as the journal has them: identifier, then name and parent.
fn expected(world: &World, run: &[&str]) -> BTreeMap<String, (String, String)> {
    let printed = world.run(&[&["trace", "--json"], run].concat()).ok();
    let spans = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON lines"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    spans.map(|span| (text(&span["span"]), (text(&span["name"]), text(&span["parent"])))).collect()
}

/// Waits until the collector has said everything that it received.
fn received(collector: &Collector, wanted: usize) -> Vec<Seen> {
    let count = || collector.spans().iter().map(|span| span.id.clone()).collect::<BTreeSet<_>>().len();
    wait_until("the spans arrive", || count() >= wanted);
    collector.spans()
}

/// Each span once: identifier, then name and parent. One that came again is the same to the last attribute.
fn distinct(seen: &[Seen]) -> BTreeMap<String, (String, String)> {
    let mut first: BTreeMap<&str, &Seen> = BTreeMap::new();
    for span in seen {
        assert_eq!(*first.entry(&span.id).or_insert(span), span, "one identifier is one span");
    }
    first.into_values().map(|span| (span.id.clone(), (span.name.clone(), span.parent.clone()))).collect()
}

#[test]
fn every_span_of_a_run_arrives_once_and_as_it_is() {
    let (world, collector) = (World::new(), Collector::start());
    let traced = Traced::to(&world, &collector.url())
        .with("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .with("OTEL_SERVICE_NAME", "tests");
    assert_eq!(traced.run(&words(&arguments(&world))).ok(), ANSWER);
    let expected = expected(&world, &[]);
    let seen = received(&collector, expected.len());
    assert_eq!(distinct(&seen), expected);
    assert_eq!(seen.len(), expected.len(), "none of them twice");

    let find = |name: &str| seen.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {seen:?}"));
    let attribute = |span: &Seen, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
    let run = seen.iter().find(|span| span.parent.is_empty()).expect("a root");
    assert_eq!(attribute(run, "gen_ai.operation.name"), "Str(invoke_agent)");
    assert_eq!(attribute(run, "agenthost.run.stop_reason"), "Str(completed)");
    assert!(attribute(run, "agenthost.journal.head").starts_with("Str(sha256:"), "{run:?}");
    let verified = world.run(&["journal", "verify"]).ok();
    let head = attribute(run, "agenthost.journal.head");
    assert!(verified.contains(head.trim_start_matches("Str(").trim_end_matches(')')), "the head that the journal has");
    let call = find("execute_tool polite.write_twice");
    assert_eq!(attribute(call, "gen_ai.tool.name"), "Str(polite.write_twice)");
    assert_eq!(attribute(call, "agenthost.effect.class"), "Str(owned_write)");
    assert!(attribute(call, "agenthost.fuel.used").starts_with("Int("), "{call:?}");
    assert_eq!(find("execute_tool unknown").status, "STATUS_CODE_ERROR");
    assert_eq!(attribute(find("execute_tool unknown"), "error.type"), "Str(unknown_tool)");
    let refused = seen.iter().find(|span| attribute(span, "error.type") == "Str(fs_denied)");
    assert_eq!(refused.map(|span| span.name.as_str()), Some("file.stat"));
    assert!(seen.iter().all(|span| span.trace == run.trace && span.trace.len() == 32));

    // What was sent is not sent again, by whoever is asked.
    let again = traced.run(&["trace", "--export"]).ok();
    assert!(again.starts_with("sent 0 spans of run "), "{again}");
    assert_eq!(traced.run(&words(&arguments(&world))).ok(), ANSWER);
    let both = received(&collector, 2 * expected.len());
    assert_eq!(both.len(), 2 * expected.len(), "the second run sends its own");
}

#[test]
fn words_arrive_only_where_they_were_asked_for() {
    let wanted = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for (value, arrives) in [("", false), ("true", true)] {
        let (world, collector) = (World::new(), Collector::start());
        let said = Traced::to(&world, &collector.url()).with(wanted, value).run(&words(&arguments(&world))).ok();
        assert_eq!(said, ANSWER);
        let seen = received(&collector, expected(&world, &[]).len());
        let has = |name: &str| seen.iter().any(|span| span.attributes.contains_key(name));
        for name in [
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "gen_ai.system_instructions",
        ] {
            assert_eq!(has(name), arrives, "{name}");
        }
        let all = format!("{seen:?}");
        assert_eq!(all.contains("a.txt holds: new"), arrives, "{all}");
        assert!(all.contains("/data/a.txt"), "which file was touched is told");
    }
}

/// What came of a round.
struct Round {
    /// Spans of the run.
    spans: usize,
    /// How many more arrived than there are.
    again: usize,
    /// Requests that left and whose answer no cursor tells of: a kill fell between the two, or an answer did not come.
    unanswered: usize,
}

/// Runs, kills, resumes, kills, resumes to the end, and asks for the rest.
fn round(kills: [Kill; 2]) -> Round {
    let (world, collector) = (World::new(), Collector::start());
    let points = world.work().join("points.txt");
    let traced = Traced::to(&world, &collector.url()).with("AGENT_HOST_FAILPOINT_LOG", &points.display().to_string());
    traced.killed_twice(&words(&arguments(&world)), kills, ANSWER);
    let expected = expected(&world, &[]);
    let seen = received(&collector, expected.len());
    assert_eq!(distinct(&seen), expected, "{kills:?}");
    let points = std::fs::read_to_string(points).expect("a list of points");
    let hits = |name: &str| points.lines().filter(|line| line.starts_with(name)).count();
    let unanswered = hits("trace-sending ") - hits("trace-advanced ");
    Round { spans: expected.len(), again: seen.len() - expected.len(), unanswered }
}

#[test]
fn whatever_is_killed_when_every_span_arrives() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(7, |now| now.subsec_nanos());
    println!("random moments by seed {seed}");
    let mut dice = u64::from(seed) | 1;
    let mut moment = move || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Kill::After(100 + (dice >> 33) % 1_500)
    };
    let mut rounds: Vec<[Kill; 2]> = vec![
        // Between the collector's answer and the cursor: the one place where spans go twice.
        [Kill::At("trace-sent#1"), Kill::At("trace-sent#1")],
        // Right after the cursor moved.
        [Kill::At("trace-advanced#1"), Kill::At("trace-advanced#1")],
        // Between the journal and anything that would send it.
        [Kill::At("tool-finished#1"), Kill::At("change-intended#2")],
        [Kill::At("model-replied#3"), Kill::At("tool-started#1")],
    ];
    rounds.extend((0..6).map(|_| [moment(), moment()]));
    let handles: Vec<_> = rounds.into_iter().map(|kills| (kills, thread::spawn(move || round(kills)))).collect();
    let (mut spans, mut twice) = (0, 0);
    for (index, (kills, handle)) in handles.into_iter().enumerate() {
        let round = handle.join().expect("the round holds");
        println!("{kills:?}: {} spans, {} came twice, {} unanswered", round.spans, round.again, round.unanswered);
        assert!(
            round.again == 0 || round.unanswered > 0,
            "{kills:?}: {} came twice, and no kill was between the collector and the cursor",
            round.again
        );
        // Killed where the collector has answered and the cursor not moved, it cannot be otherwise.
        assert!(index > 0 || round.again > 0, "{kills:?}: the first round shows that what comes twice is seen");
        spans += round.spans;
        twice += round.again;
    }
    println!("{spans} spans arrived, each of them; {twice} came twice");
}

#[test]
fn the_next_host_sends_what_a_killed_one_left() {
    let (world, collector) = (World::new(), Collector::start());
    let traced = Traced::to(&world, &collector.url());
    let arguments = arguments(&world);
    traced.killed(&words(&arguments), Kill::At("tool-finished#2"));
    let killed_run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
    assert_eq!(traced.run(&words(&arguments)).ok(), ANSWER, "another run");
    let left = expected(&world, &[&killed_run]);
    let own = expected(&world, &[]);
    let seen = received(&collector, left.len() + own.len());
    let all: BTreeMap<_, _> = left.clone().into_iter().chain(own).collect();
    assert_eq!((distinct(&seen), seen.len()), (all.clone(), all.len()));
    let interrupted = seen.iter().filter(|span| span.attributes.contains_key("agenthost.interrupted")).count();
    assert!(interrupted >= 2, "the killed run and its turn say so: {interrupted}");

    // Resumed, it goes on from there: what the other host sent is not sent again.
    assert_eq!(traced.run(&["resume", &killed_run]).code, Some(0));
    let whole = expected(&world, &[&killed_run]);
    assert!(left.iter().all(|(id, span)| whole.get(id) == Some(span)), "the same spans, before and after");
    let seen = received(&collector, whole.len() + all.len() - left.len());
    assert_eq!(seen.len(), whole.len() + all.len() - left.len(), "none of them twice");
}

/// Neither makes anything happen: what a replay does again has its spans, and what a fork shares is in the other run's trace.
#[test]
fn a_replay_and_a_fork_send_nothing() {
    let (world, collector) = (World::new(), Collector::start());
    let traced = Traced::to(&world, &collector.url());
    let arguments = arguments(&world);
    let in_full = [&["run", "--record", "full"], &words(&arguments)[1..]].concat();
    assert_eq!(traced.run(&in_full).ok(), ANSWER);
    let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
    let mut all = expected(&world, &[]);
    let of_run = received(&collector, all.len()).len();
    assert_eq!(of_run, all.len());
    let points = || collector.points().iter().map(|point| point.instance.clone()).collect::<BTreeSet<_>>().len();
    wait_until("the run is counted", || points() == 1);
    let _ = traced.run(&["journal", "replay", &run]).ok();
    let _ = traced.run(&["journal", "fork", &run, "--at", "2"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&world.run(&["ls", "--json"]).ok()).expect("an array");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "the run and its fork: {listed}");
    // A run after them sends what others left in the folder, and its own spans come last.
    assert_eq!(traced.run(&words(&arguments)).ok(), ANSWER);
    all.extend(expected(&world, &[]));
    let seen = received(&collector, all.len());
    assert_eq!((distinct(&seen), seen.len()), (all.clone(), all.len()));
    wait_until("the second run is counted", || points() >= 2);
    assert_eq!(points(), 2, "and nothing else");
}

/// What lies in a folder that somebody shipped is not sent with the operator's own headers, and not in the trace of any run that its
/// author likes; and nothing that is broken there keeps the trace of the next run back.
#[test]
fn what_is_damaged_or_a_strangers_is_not_sent_and_keeps_nothing_back() {
    let (world, collector) = (World::new(), Collector::start());
    let traced = Traced::to(&world, &collector.url());
    let arguments = arguments(&world);
    assert_eq!(traced.run(&words(&arguments)).ok(), ANSWER);
    let mut all = expected(&world, &[]);
    let traces = world.work().join(".agent-host/traces");
    let endpoint = std::fs::read_dir(traces).expect("a folder").flatten().next().expect("the endpoint's").path();
    let [damaged, foreign, intact] = [(); 3].map(|()| {
        assert_eq!(world.run(&words(&arguments)).ok(), ANSWER);
        let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
        std::fs::write(endpoint.join(&run), "").expect("a cursor");
        run
    });
    all.extend(expected(&world, &[&intact]));
    let journal = rusqlite::Connection::open(world.work().join(".agent-host/journal.db")).expect("the journal");
    // Not a blob: the next run may say the same, and what is the same is kept once.
    let body = "UPDATE events SET body = '' WHERE run = ?1 AND seq = (SELECT max(seq) FROM events WHERE run = ?1 AND body IS NOT NULL)";
    assert_eq!(journal.execute(body, [&damaged]).expect("a body"), 1);
    assert!(journal.execute("UPDATE events SET mac = NULL WHERE run = ?1", [&foreign]).expect("its marks") > 1);
    drop(journal);
    let said = traced.run(&words(&arguments));
    assert!(said.code == Some(0) && !said.err.contains("the trace is not complete"), "{said:?}");
    all.extend(expected(&world, &[]));
    assert_eq!(distinct(&received(&collector, all.len())), all);
    for (run, sent) in [(&intact, true), (&damaged, false), (&foreign, false)] {
        assert_eq!(endpoint.join(format!("{run}.sent")).exists(), sent, "{run}");
    }
}

/// A server that answers every request with these bytes.
fn answering(bytes: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let mut asked = [0; 4096];
                while stream.read(&mut asked).is_ok_and(|read| read > 0) {}
                let _ = stream.write_all(bytes.as_bytes());
            });
        }
    });
    url
}

#[test]
fn a_collector_that_is_dead_slow_or_confused_changes_nothing_about_a_run() {
    let world = World::new();
    let started = Instant::now();
    let without = world.run(&words(&arguments(&world)));
    let usual = started.elapsed();
    assert_eq!((without.code, without.out.as_str()), (Some(0), ANSWER));
    let silent = Server::start(Manner::Silent);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let cases = [
        ("dead", closed, Some("it cannot be reached")),
        ("hanging", silent.url(), Some("it does not answer in time")),
        ("failing", answering("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops"), Some("500")),
        ("busy", answering("HTTP/1.1 503 Busy\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"), Some("503")),
        (
            "no collector",
            answering("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi"),
            Some("as no collector does"),
        ),
        ("no server", answering("SSH-2.0-OpenSSH_9.6\r\n"), Some("the connection broke")),
        (
            "moved",
            answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
            Some("302"),
        ),
        ("not spoken", "grpc://127.0.0.1:4317".to_owned(), Some("the trace is not sent")),
        ("unwilling", answering("HTTP/1.1 400 Bad\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nno"), None),
    ];
    for (name, endpoint, complaint) in cases {
        let world = World::new();
        let started = Instant::now();
        let said = Traced::to(&world, &endpoint).run(&words(&arguments(&world)));
        let took = started.elapsed();
        println!("{name}: {took:?}, usually {usual:?}");
        assert_eq!((said.code, said.out.as_str()), (Some(0), ANSWER), "{name}: {said:?}");
        assert!(took < usual + LONGER_MAX, "{name}: {took:?}, usually {usual:?}");
        match complaint {
            Some(complaint) => assert!(said.err.contains(complaint), "{name}: {}", said.err),
            None => assert!(said.err.contains("spans were not wanted"), "{name}: {}", said.err),
        }
        let kinds: Vec<_> = world.events(&[]).iter().map(|event| event["kind"].clone()).collect();
        assert_eq!(kinds.last(), Some(&"RunEnded".into()), "{name}");
    }
}

/// A model that names a hundred thousand keys, and a tool with more effects than anybody would read: a trace has attributes that
/// this host chose, each with a bound, and so many spans of a call.
#[test]
fn what_a_model_and_a_tool_blow_up_stays_small_in_a_trace() {
    const KEYS: usize = 100_000;
    const SPANS_MAX: usize = 300;
    const ATTRIBUTES_MAX: usize = 64;
    const ATTRIBUTE_BYTES_MAX: usize = 70 << 10;
    let (world, collector) = (World::new(), Collector::start());
    // As short as they can be: a script has at most 1 MiB.
    let keys: Vec<String> = (0..KEYS).map(|number| format!("\"{number}\":0")).collect();
    let files = r#"{"steps":[{"act":"create_many","at":"/data/many","count":900}]}"#;
    let script = format!(
        "version = 1\n[[reply]]\n[[reply.calls]]\ntool = \"no.such\"\narguments = '{{{}}}'\n[[reply]]\n[[reply.calls]]\ntool = \
         \"hostile.fs_steps\"\narguments = '{files}'\n[[reply]]\ntext = \"done\"\n",
        keys.join(",")
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let data = world.write("data/many/first", "").ancestors().nth(2).expect("a folder").display().to_string();
    let hostile = guest("hostile");
    let traced =
        Traced::to(&world, &collector.url()).with("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    let begun = Instant::now();
    let said = traced.run(&["run", "--tools", &hostile, "--allow-write", &data, "--model", &model, "go"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "done\n"), "{}", said.err);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let expected = expected(&world, &[]).len();
    let seen = received(&collector, expected);
    assert!(seen.len() <= SPANS_MAX && seen.len() > 250, "{}", seen.len());
    for span in &seen {
        assert!(span.attributes.len() <= ATTRIBUTES_MAX, "{}: {}", span.name, span.attributes.len());
        for (name, value) in &span.attributes {
            assert!(value.len() <= ATTRIBUTE_BYTES_MAX, "{}: {name} has {} bytes", span.name, value.len());
        }
    }
}

#[test]
fn what_a_dead_collector_missed_is_sent_when_it_is_asked_for() {
    let (world, collector) = (World::new(), Collector::start());
    // Not this one: it is off, and nothing of the run is sent.
    assert_eq!(world.run(&words(&arguments(&world))).ok(), ANSWER);
    let sent = Traced::to(&world, &collector.url()).run(&["trace", "--export"]).ok();
    let expected = expected(&world, &[]);
    assert!(sent.starts_with(&format!("sent {} spans", expected.len())), "{sent}");
    assert_eq!(distinct(&received(&collector, expected.len())), expected);
    let unnamed = world.run(&["trace", "--export"]);
    assert_eq!(unnamed.code, Some(1));
    assert!(unnamed.err.contains("no collector is named"), "{}", unnamed.err);
}

#[test]
fn an_endpoint_opens_nothing_to_guests_and_its_headers_stay_with_the_host() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("hello")));
    let call = format!("{{ method = \"GET\", url = \"{}/stolen\" }}", server.url());
    let environment = "{ name = \"OTEL_EXPORTER_OTLP_HEADERS\" }";
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.http\", arguments = {call} }}]\n[[reply]]\ncalls = [{{ tool = \
         \"polite.env\", arguments = {environment} }}]\n[[reply]]\ntext = \"tried\"\n"
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let polite = guest("polite");
    let traced =
        Traced::to(&world, &server.url()).with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20top-secret-key");
    let said = traced.run(&["--log", "trace", "run", "--tools", &polite, "--model", &model, "try"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "tried\n"), "{said:?}");
    let requests = server.requests();
    assert!(
        requests.iter().all(|head| head.starts_with("POST /v1/traces ") || head.starts_with("POST /v1/metrics ")),
        "{requests:?}"
    );
    assert!(requests.iter().any(|head| head.contains("Bearer top-secret-key")), "the collector gets it: {requests:?}");
    let events = world.events(&[]);
    let told = serde_json::to_string(&events).expect("JSON");
    assert!(told.contains("net_denied"), "{told}");
    assert!(!told.contains("top-secret-key") && !said.err.contains("top-secret-key"), "{}", said.err);
    let kept = world.work().join(".agent-host");
    let mut open = vec![kept];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            assert!(!bytes.windows(14).any(|window| window == b"top-secret-key"), "{}", path.display());
        }
    }
}
