//! The calls of a server on their way to a collector, while the server lives; and a collector that is dead or slow, of which no
//! client notices anything.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use agent_tests::collector::{Collector, Seen};
use agent_tests::mcp::{Session, text};
use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest, tool, wait_until};
use serde_json::json;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const DURATION: &str = "mcp.server.operation.duration";

/// More than a call of a calculator takes on a busy machine, and less than any wait for a collector.
const AT_ONCE: Duration = Duration::from_millis(1_500);
/// How long a server may take to end: what a collector is given at the end, and a busy machine.
const END_MAX: Duration = Duration::from_secs(10);

fn answer(session: &mut Session) -> String {
    text(&session.call("calc__evaluate", &json!({ "expression": "6 * 7" })))
}

fn calls(collector: &Collector) -> Vec<Seen> {
    collector.spans().into_iter().filter(|span| span.name.starts_with("execute_tool ")).collect()
}

/// How many calls the last point of each server's duration counts.
fn counted(collector: &Collector) -> u64 {
    let mut points = collector.points().into_iter().filter(|point| point.name == DURATION);
    points.next_back().map_or(0, |point| point.count)
}

#[test]
fn calls_arrive_while_the_server_lives() {
    let (world, collector) = (World::new(), Collector::start());
    let told = [(ENDPOINT, collector.url()), (INTERVAL, "1000".to_owned())];
    let told = told.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut session = Session::told(&world, &["--tools", &tool("calc")], &told);
    assert_eq!(answer(&mut session), "42");
    wait_until("the span of the first call arrives", || calls(&collector).len() == 1);
    let call = calls(&collector).remove(0);
    assert_eq!(call.name, "execute_tool calc.evaluate");
    assert_eq!(call.attributes.get("mcp.method.name").map(String::as_str), Some("Str(tools/call)"), "{call:?}");
    let of = |name: &str| call.attributes.get(name).map_or("", String::as_str);
    assert!(of("mcp.protocol.version").starts_with("Str(20"), "{call:?}");
    assert!(of("jsonrpc.request.id").starts_with("Str("), "{call:?}");
    wait_until("it is counted", || counted(&collector) == 1);
    assert_eq!(answer(&mut session), "42");
    wait_until("the second one, too", || calls(&collector).len() == 2 && counted(&collector) == 2);
    assert_eq!(calls(&collector)[1].trace, call.trace, "one run, which goes on");
    let root = || collector.spans().into_iter().find(|span| span.parent.is_empty());
    assert_eq!(root(), None, "its own span has not ended");
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    wait_until("the run's own span arrives", || root().is_some_and(|root| root.trace == call.trace));
}

/// What is not due yet when a server ends goes at once; what a run has left when the next one begins, beside that.
#[test]
fn the_end_of_each_run_sends_the_rest() {
    let (world, collector) = (World::new(), Collector::start());
    std::fs::create_dir(world.work().join("tools")).expect("a folder");
    let put = |name: &str| std::fs::copy(guest("polite"), world.work().join("tools").join(name)).expect("a tool");
    put("one.wasm");
    let url = collector.url();
    let mut session = Session::told(&world, &["--tools", "tools"], &[(ENDPOINT, &url)]);
    assert_eq!(text(&session.call("one__echo", &json!({ "value": 1 }))), "1");
    put("two.wasm");
    session.message().expect("news");
    wait_until("the first run is counted at its end", || counted(&collector) == 1);
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 2 }))), "2");
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    let points = || collector.points().into_iter().filter(|point| point.name == DURATION).collect::<Vec<_>>();
    wait_until("the second run is counted, too", || {
        points().iter().map(|point| point.instance.clone()).collect::<std::collections::BTreeSet<_>>().len() == 2
    });
    wait_until("every span is there", || {
        let roots = collector.spans().into_iter().filter(|span| span.parent.is_empty()).count();
        roots == 2 && calls(&collector).len() == 2
    });
}

#[test]
fn no_client_notices_a_collector_that_is_dead_or_slow() {
    let silent = Server::start(Manner::Silent);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    for url in [closed, silent.url(), "grpc://127.0.0.1:4317".to_owned()] {
        let world = World::new();
        let told = [(ENDPOINT, url.as_str()), (INTERVAL, "1000")];
        let mut session = Session::told(&world, &["--tools", &tool("calc")], &told);
        // The first one may be compiled.
        assert_eq!(answer(&mut session), "42");
        for _ in 0..20 {
            let started = Instant::now();
            assert_eq!(answer(&mut session), "42");
            assert!(started.elapsed() < AT_ONCE, "{url}: {:?}", started.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
        let started = Instant::now();
        let (code, said) = session.end();
        assert!(code == Some(0) && started.elapsed() < END_MAX, "{url}: {:?}: {said}", started.elapsed());
        assert!(said.contains("the trace is not "), "{url}: {said}");
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
    }
}
