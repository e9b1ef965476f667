//! Clients of `agent-host mcp` that mean no good, or are broken: floods of what is small to send and large to hold, answers that
//! nobody reads, sessions without end, questions answered by somebody else.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it measured")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use agent_tests::mcp::{Listening, VERSION};
use agent_tests::{World, guest, process};
use serde_json::{Value, json};

/// What a flood may cost beyond what the server had.
const MEMORY_KIB: u64 = 48 << 10;

fn serve(world: &World, more: &[&str]) -> Listening {
    let conformance = guest("conformance");
    Listening::start(world, &[&["--tools", &conformance, "--short-names", "--no-token"], more].concat())
}

fn hello(capabilities: &Value) -> String {
    let client = json!({ "name": "harness", "version": "1" });
    let hello = json!({ "protocolVersion": VERSION, "capabilities": capabilities, "clientInfo": client });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }).to_string()
}

/// The most that a process holds while `act` goes on, and what it held before.
fn memory_of(child: u32, act: impl FnOnce()) -> (u64, u64) {
    process::forget_peak(child);
    let before = process::look(child).expect("it lives").rss_kib;
    act();
    let peak = process::look(child).expect("it lives").peak_kib;
    println!("{before} KiB before, {peak} KiB at most");
    (before, peak)
}

/// The head of a POST.
fn head(server: &Listening, more: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{more}\r\n",
        server.address
    )
}

/// A mebibyte of `0,0,0` is half a million values, and each would take some dozens of bytes.
#[test]
fn a_message_of_ever_so_many_values_is_not_taken_apart() {
    let world = World::untouched();
    let server = serve(&world, &[]);
    let zeros = format!("[{}0]", "0,".repeat(500_000));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"wait","arguments":{{"ms":{zeros}}}}}}}"#
    );
    let (before, peak) = memory_of(server.child.id(), || {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let reply = server.post(&[], &body);
                    assert_eq!((reply.status, reply.error().as_str()), (413, "request_too_large"), "{reply:?}");
                });
            }
        });
    });
    assert!(peak < before + MEMORY_KIB, "{before} KiB before, {peak} KiB at most");
}

/// Bodies that come byte by byte, and never come to an end.
#[test]
fn bodies_of_tiny_pieces_take_no_more_room_than_their_bytes() {
    const BODIES: usize = 12;
    let world = World::untouched();
    let server = serve(&world, &[]);
    let pieces = "1\r\n \r\n".repeat(600_000);
    let mut held = Vec::new();
    let (before, peak) = memory_of(server.child.id(), || {
        for _ in 0..BODIES {
            let mut stream = TcpStream::connect(server.address).expect("it listens");
            let head = head(&server, "Transfer-Encoding: chunked\r\n");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(pieces.as_bytes())).expect("it reads");
            held.push(stream);
        }
        std::thread::sleep(Duration::from_millis(500));
    });
    assert!(peak < before + MEMORY_KIB, "{before} KiB before, {peak} KiB at most");
}

/// All bodies together have a bound, and what is beyond is told so.
#[test]
fn bodies_have_a_bound_together() {
    let world = World::untouched();
    let server = serve(&world, &[]);
    let body = format!("{}{}", "{", " ".repeat(1_000_000));
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(server.address).expect("it listens");
        let head = head(&server, "Content-Length: 1048576\r\n");
        // It may answer before it has read all of it.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        held.push(stream);
    }
    // The last ones are those for which there is no room. What they still send may break the connection before they read why.
    let is_refused = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let mut said = [0; 12];
        match stream.read(&mut said) {
            Ok(length) => String::from_utf8_lossy(&said[..length]).contains("503"),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    assert!(held.iter_mut().rev().any(is_refused), "none of them is told");
    drop(held);
    agent_tests::wait_until("there is room again", || server.post(&[], &hello(&json!({}))).status == 200);
}

/// As many sessions as fit, however many begin at once.
#[test]
fn sessions_are_bounded_though_many_begin_at_once() {
    const AT_ONCE: usize = 150;
    let world = World::untouched();
    let server = serve(&world, &[]);
    let hello = hello(&json!({}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let begun: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| server.post(&[], &hello).status)).collect();
        begun.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(503)), (64, AT_ONCE - 64), "{statuses:?}");
}

/// Reads an event stream until a message satisfies `wanted`.
fn message(stream: &mut impl BufRead, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).expect("it can be read") > 0, "the stream ends");
        let said = line.strip_prefix("data:").and_then(|data| serde_json::from_str::<Value>(data.trim()).ok());
        if let Some(said) = said.filter(&wanted) {
            return said;
        }
    }
}

/// A question belongs to the session in which it is put: no other one answers it.
#[test]
fn nobody_else_answers_a_question() {
    let world = World::untouched();
    let policy = world.write("policy.toml", "[[approval]]\ntool = \"conformance.test_simple_text\"\n");
    let server = serve(&world, &["--policy", &policy.display().to_string()]);
    let session = || {
        let reply = server.post(&[], &hello(&json!({ "elicitation": {} })));
        reply.header("mcp-session-id").expect("a session")
    };
    let (own, other) = (session(), session());
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "test_simple_text" } });
    let (call, headers) = (call.to_string(), format!("Mcp-Session-Id: {own}\r\n"));
    let mut stream = TcpStream::connect(server.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let head = head(&server, &format!("{headers}Content-Length: {}\r\n", call.len()));
    stream.write_all(format!("{head}{call}").as_bytes()).expect("it takes that");
    let mut events = BufReader::new(stream);
    let question = message(&mut events, |said| said["method"] == "elicitation/create");
    let answer = |approve: bool| {
        let content = json!({ "action": "accept", "content": { "approve": approve } });
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": content }).to_string()
    };
    // Another session, one that does not exist, and none.
    let in_session = |session: &str, answer: &str| server.post(&[("Mcp-Session-Id", session)], answer).status;
    assert_eq!(in_session(&other, &answer(true)), 202);
    assert_eq!(in_session("4e0b6d1c-0000-4000-8000-000000000000", &answer(true)), 404);
    assert!(server.post(&[], &answer(true)).status >= 400);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(in_session(&own, &answer(false)), 202);
    let told = message(&mut events, |said| said["id"] == 7 && said.get("result").is_some());
    assert!(told.to_string().contains("said no"), "{told}");
    let decided = world.events(&[]).into_iter().filter(|event| event["kind"] == "ApprovalDecided").count();
    assert_eq!(decided, 1);
}

/// A client at standard input that asks and asks, and never reads.
#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    const REQUESTS: usize = 40_000;
    let world = World::new();
    let conformance = guest("conformance");
    let mut command = world.command(&["mcp", "--tools", &conformance, "--short-names", "--quiet"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut input = child.stdin.take().expect("its input");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    writeln!(input, "{}", hello(&json!({}))).expect("it reads");
    let mut line = String::new();
    output.read_line(&mut line).expect("it answers");
    writeln!(input, r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#).expect("it reads");
    let before = process::look(child.id()).expect("it lives").rss_kib;
    let begun = Instant::now();
    let flood = std::thread::spawn(move || {
        for id in 1..=REQUESTS {
            if writeln!(input, r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#).is_err() {
                return;
            }
        }
    });
    while !flood.is_finished() && begun.elapsed() < Duration::from_secs(6) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let after = process::look(child.id()).expect("it lives").rss_kib;
    let took_all = flood.is_finished();
    println!("{before} KiB before, {after} KiB after, all taken: {took_all}");
    let _ = child.kill();
    let _ = child.wait();
    assert!(after < before + MEMORY_KIB && !took_all, "{before} KiB before, {after} KiB after, all taken: {took_all}");
}
