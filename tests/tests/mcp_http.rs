//! `agent-host mcp --listen`: who is let in, what is bounded, and that the server answers while guests and strangers keep it
//! busy. Family V of the hostile suite, as far as it is about this server; `tests/hostile` names these tests.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured and left out"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use agent_tests::mcp::{Listening, Reply, Session};
use agent_tests::{World, guest, process, wait_until};
use serde_json::json;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn serve(world: &World, more: &[&str]) -> Listening {
    let conformance = guest("conformance");
    Listening::start(world, &[&["--tools", &conformance, "--short-names"], more].concat())
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn health(server: &Listening) -> (Reply, Duration) {
    let begun = Instant::now();
    let reply = server.raw(&format!("GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address));
    (reply, begun.elapsed())
}

/// Calls a tool over a connection of its own and reads the whole answer.
fn call(server: &Listening, session: &[(String, String)], id: u32, tool: &str, arguments: &serde_json::Value) -> Reply {
    let params = json!({ "name": tool, "arguments": arguments });
    let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    server.post(&borrowed(session), &call.to_string())
}

/// V1: a thousand clients that send their head slowly.
#[test]
fn slow_heads_hold_nobody_up() {
    const SLOW: usize = 1_000;
    let world = World::untouched();
    let server = serve(&world, &["--no-token"]);
    let idle = (0..5).map(|_| health(&server).1).max().unwrap_or_default();
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).expect("it listens");
            stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: ").expect("it takes that");
            stream
        })
        .collect();
    let busy = (0..5).map(|_| health(&server)).map(|(reply, took)| {
        assert_eq!(reply.status, 200, "{reply:?}");
        took
    });
    let busy = busy.max().unwrap_or_default();
    println!("health: {idle:?} alone, {busy:?} beside {SLOW} slow clients");
    assert!(busy < Duration::from_secs(1));
    // After five seconds each is gone by itself.
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
}

/// V2: bodies that are too large, have no end, or are shorter than they say.
#[test]
fn bodies_are_bounded() {
    let world = World::untouched();
    let server = serve(&world, &["--no-token"]);
    let large = format!("{}{}", LIST, " ".repeat(1 << 20));
    let refused = server.post(&[], &large);
    assert_eq!((refused.status, refused.error().as_str()), (413, "request_too_large"), "{refused:?}");
    let huge = server.post(&[("Content-Length", "1073741824")], LIST);
    assert_eq!((huge.status, huge.error().as_str()), (413, "request_too_large"), "{huge:?}");
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, "x".repeat(65_536));
    let mut stream = TcpStream::connect(server.address).expect("it listens");
    let head =
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nTransfer-Encoding: chunked";
    write!(stream, "POST /mcp HTTP/1.1\r\nHost: {}\r\n{head}\r\n\r\n", server.address).expect("it takes that");
    let endless = (0..1_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(endless < 1_000, "it reads without end");
    let short = server.post(&[("Content-Length", "1000")], LIST);
    assert!(matches!(short.status, 0 | 400 | 408), "{short:?}");
    assert_eq!(health(&server).0.status, 200);
}

/// V3: more connections than there is room for.
#[test]
fn connections_are_bounded() {
    let world = World::untouched();
    let server = serve(&world, &["--no-token"]);
    let begun = Instant::now();
    let mut many = Vec::new();
    let turned_away = loop {
        assert!(many.len() < 4_000 && begun.elapsed() < Duration::from_secs(30), "{} connections", many.len());
        let Ok(mut stream) = TcpStream::connect(server.address) else { break String::new() };
        stream.set_nonblocking(true).expect("a flag");
        std::thread::sleep(Duration::from_micros(50));
        let mut said = [0; 512];
        match stream.read(&mut said) {
            Ok(length) if length > 0 => break String::from_utf8_lossy(&said[..length]).into_owned(),
            _ => many.push(stream),
        }
    };
    assert!(turned_away.contains("503") && turned_away.contains("overloaded"), "{turned_away}");
    drop(many);
    wait_until("it recovers", || health(&server).0.status == 200);
}

/// V4: no token, a wrong one, one in the address; and none of it in what the server says.
#[test]
fn nobody_comes_in_without_the_token() {
    let world = World::untouched();
    let server = serve(&world, &["--log", "debug"]);
    let token = Listening::token(&world);
    let bearer = format!("Bearer {token}");
    let wrong = format!("Bearer {}x", &token[..token.len() - 1]);
    for headers in [
        vec![],
        vec![("Authorization", wrong.as_str())],
        vec![("Authorization", token.as_str())],
        vec![("Authorization", "Basic dXNlcjpwYXNz")],
        vec![("Authorization", bearer.as_str()), ("Authorization", wrong.as_str())],
    ] {
        let reply = server.post(&headers, LIST);
        assert_eq!((reply.status, reply.error().as_str()), (401, "unauthorized"), "{headers:?}: {reply:?}");
    }
    let address = server.address;
    let in_address = server.raw(&format!(
        "GET /mcp?token={token}&access_token={token} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(in_address.status, 401, "{in_address:?}");
    let session = server.session(&token);
    let listed = server.post(&borrowed(&session), LIST);
    assert!(listed.status == 200 && listed.body.contains("test_simple_text"), "{listed:?}");
    let said = server.said();
    assert!(!said.iter().any(|line| line.contains(&token)), "{said:?}");
}

/// V4: a tool sees nothing of the token that its client shows.
#[test]
fn a_clients_token_goes_no_further() {
    let world = World::untouched();
    let server = serve(&world, &[]);
    let token = Listening::token(&world);
    let session = server.session(&token);
    let reply =
        call(&server, &session, 5, "json_schema_2020_12_tool", &json!({ "phone": "1", "contactMethod": "phone" }));
    assert!(reply.status == 200 && !reply.body.contains(&token), "{reply:?}");
    let events = world.events(&[]);
    assert!(!events.iter().any(|event| event.to_string().contains(&token)));
}

/// V5: what a page of a stranger can send without being asked first.
#[test]
fn a_strangers_page_is_refused() {
    let world = World::untouched();
    let server = serve(&world, &["--no-token", "--allow-origin", "https://app.example.org"]);
    let own = format!("http://localhost:{}", server.address.port());
    for (origin, expected) in [
        ("https://evil.example", 403),
        ("null", 403),
        ("https://app.example.org.evil.example", 403),
        ("http://app.example.org", 403),
    ] {
        let reply = server.post(&[("Origin", origin)], LIST);
        assert_eq!((reply.status, reply.error().as_str()), (expected, "origin_denied"), "{origin}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": { "name": "page", "version": "1" } } });
    for origin in ["https://app.example.org", own.as_str()] {
        assert_eq!(server.post(&[("Origin", origin)], &hello.to_string()).status, 200, "{origin}");
    }
    let plain = server.post(&[("Content-Type", "text/plain")], LIST);
    assert_eq!(plain.status, 415, "{plain:?}");
    let address = server.address;
    let preflight = format!(
        "OPTIONS /mcp HTTP/1.1\r\nHost: {address}\r\nOrigin: https://evil.example\r\n\
        Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
    );
    let preflight = server.raw(&preflight);
    assert!(preflight.status >= 400 && !preflight.head.to_lowercase().contains("access-control"), "{preflight:?}");
}

/// V6: a name that its owner points at this machine.
#[test]
fn a_strangers_name_does_not_lead_here() {
    let world = World::untouched();
    let server = serve(&world, &["--no-token", "--allow-host", "tools.example.org"]);
    let port = server.address.port();
    for host in [
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("localhost:{}", port ^ 1),
        "localhost".to_owned(),
        format!("user@localhost:{port}"),
    ] {
        let reply = server.post(&[("Host", &host)], LIST);
        assert!(matches!(reply.status, 400 | 403), "{host}: {reply:?}");
    }
    let two = server.raw(&format!(
        "GET /health HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(two.status, 400, "{two:?}");
    let whole = server.raw(&format!(
        "GET http://evil.example/health HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    ));
    assert!(matches!(whole.status, 400 | 403), "{whole:?}");
    for host in [format!("localhost:{port}"), format!("[::1]:{port}"), "tools.example.org".to_owned()] {
        let reply = server.raw(&format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert_eq!(reply.status, 200, "{host}: {reply:?}");
    }
}

/// V7 and V9: no path but two leads anywhere, and no answer is for a page.
#[test]
fn only_two_paths_lead_anywhere() {
    let world = World::untouched();
    let server = serve(&world, &["--no-token"]);
    let address = server.address;
    for path in
        ["/", "/mcp/", "/MCP", "/%2e%2e/etc/passwd", "/..;/mcp", "/mcp/../health", "//health", "/health%00", "*"]
    {
        let reply = server.raw(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
    let (reply, _) = health(&server);
    let policy = reply.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{reply:?}");
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

/// V8: a client that never reads what it asked for.
#[test]
fn who_never_reads_holds_nothing_up() {
    let world = World::untouched();
    let server = serve(&world, &["--no-token"]);
    let session = server.session("none");
    let before = process::look(server.child.id()).expect("it lives");
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "test_tool_with_progress", "arguments": {}, "_meta": { "progressToken": "p" } } })
    .to_string();
    let mut silent = Vec::new();
    for id in 0..20 {
        let mut stream = TcpStream::connect(server.address).expect("it listens");
        let body = body.replace("\"id\":7", &format!("\"id\":{}", 100 + id));
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nMcp-Session-Id: {}\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            server.address,
            session[1].1,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it takes that");
        silent.push(stream);
    }
    // Each call is recorded, though nobody reads of it.
    let finished = || world.events(&[]).iter().filter(|event| event["kind"] == "ToolFinished").count();
    wait_until("the calls have ended", || finished() == 20);
    assert_eq!(health(&server).0.status, 200);
    let after = process::look(server.child.id()).expect("it lives");
    assert!(after.rss_kib < before.rss_kib + 32 * 1024, "{before:?} {after:?}");
}

/// V11: what is no message, comes twice, or is too long, on standard input.
#[test]
fn what_is_no_message_gets_an_error_and_the_next_is_read() {
    let world = World::untouched();
    let mut session = Session::start(&world, &["--tools", &guest("conformance"), "--short-names"]);
    let said = |session: &mut Session, line: &str| {
        session.say_line(line);
        session.message().expect("an answer")
    };
    let unknown = session.ask("tools/explode", json!({}));
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    assert_eq!(said(&mut session, "no JSON")["error"]["code"], -32700);
    let batch = format!("[{}]", vec![LIST; 10_000].join(","));
    assert_eq!(said(&mut session, &batch)["error"]["code"], -32600);
    assert_eq!(said(&mut session, r#"{"jsonrpc":"2.0","id":70,"method":7}"#)["error"]["code"], -32600);
    let long = said(&mut session, &"x".repeat((1 << 20) + 1));
    assert!(long["error"]["message"].as_str().is_some_and(|text| text.contains("request_too_large")), "{long}");
    let wait = r#"{"jsonrpc":"2.0","id":80,"method":"tools/call","params":{"name":"wait","arguments":{"ms":300}}}"#;
    session.say_line(wait);
    let again = said(&mut session, wait);
    assert_eq!((&again["id"], &again["error"]["code"]), (&json!(80), &json!(-32600)), "{again}");
    assert_eq!(session.answer(80)["result"]["isError"], false);
    assert_eq!(session.end().0, Some(0));
}

/// V12: no descriptor is left.
#[test]
fn the_server_recovers_when_descriptors_run_out() {
    /// What a server at rest has open, and a few more.
    const DESCRIPTORS: u32 = 48;
    let world = World::untouched();
    let conformance = guest("conformance");
    let given = ["--tools", &conformance, "--short-names", "--no-token"];
    let server = Listening::start_with_few(&world, DESCRIPTORS, &given);
    let cpu = process::cpu_ms(server.child.id()).expect("it lives");
    let many: Vec<_> = (0..64).filter_map(|_| TcpStream::connect(server.address).ok()).collect();
    std::thread::sleep(Duration::from_secs(2));
    let spent = process::cpu_ms(server.child.id()).expect("it lives") - cpu;
    assert!(spent < 1_000, "it is busy with nothing: {spent} ms");
    drop(many);
    wait_until("it recovers", || health(&server).0.status == 200);
}

/// C16: every processor is busy with guests.
#[test]
fn health_is_answered_while_guests_compute() {
    const CALLS: u32 = 32;
    let world = World::untouched();
    let server = serve(&world, &["--no-token"]);
    let session = server.session("none");
    std::thread::scope(|scope| {
        for id in 0..CALLS {
            let (server, session) = (&server, &session);
            scope.spawn(move || call(server, session, 200 + id, "busy", &json!({ "ms": 2_000 })));
        }
        wait_until("calls are taken", || health(&server).0.body.contains("\"calls\":32"));
        let worst = (0..20).map(|_| health(&server)).map(|(reply, took)| {
            assert_eq!(reply.status, 200);
            std::thread::sleep(Duration::from_millis(10));
            took
        });
        let worst = worst.max().unwrap_or_default();
        println!("health beside {CALLS} busy calls: {worst:?} at worst");
        // A tenth of a second is what is promised on an idle machine; tests share theirs.
        assert!(worst < Duration::from_secs(1), "{worst:?}");
    });
    let finished = world.events(&[]).iter().filter(|event| event["kind"] == "ToolFinished").count();
    assert_eq!(finished, CALLS as usize);
}

/// V10: a call is given up at the moment at which it is approved: it has one end, whichever that is.
#[test]
fn a_call_that_is_given_up_and_approved_at_once_ends_once() {
    const ROUNDS: usize = 20;
    let world = World::untouched();
    let policy =
        world.write("policy.toml", "[[approval]]\ntool = \"conformance.test-simple-text\"\n".replace('-', "_"));
    let (conformance, policy) = (guest("conformance"), policy.display().to_string());
    let mut session = Session::start(&world, &["--tools", &conformance, "--short-names", "--policy", &policy]);
    for _ in 0..ROUNDS {
        let id = session.send("tools/call", json!({ "name": "test_simple_text", "arguments": {} }));
        let question = loop {
            let message = session.message().expect("a question");
            if message["method"] == "elicitation/create" {
                break message;
            }
        };
        let yes = json!({ "action": "accept", "content": { "approve": true } });
        session.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": yes }));
        let given_up = json!({ "requestId": id });
        session.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": given_up }));
    }
    assert_eq!(session.end().0, Some(0));
    let events = world.events(&[]);
    let mut ended: Vec<_> =
        events.iter().filter(|event| event["kind"] == "ToolFinished").map(|e| &e["body"]["call"]).collect();
    let all = ended.len();
    ended.dedup();
    assert_eq!((all, ended.len()), (ROUNDS, ROUNDS), "each ends once");
}
