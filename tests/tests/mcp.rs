//! `agent-host mcp` on standard input and output: what a client sees of a tool, its grants and its refusals, and what is recorded.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use agent_tests::mcp::{Session, VERSION, text};
use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest, tool, wait_until};
use serde_json::{Value, json};

fn kinds(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["kind"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn tools_are_listed_with_what_their_grants_allow() {
    let world = World::new();
    world.write("docs/a.txt", "hello\n");
    let list = |grant: &[&str]| {
        let (calc, files) = (tool("calc"), tool("files"));
        let mut session = Session::start(&world, &[&["--tools", &calc, "--tools", &files][..], grant].concat());
        let listed = session.ask("tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().cloned().expect("tools");
        tools.into_iter().map(|tool| (tool["name"].as_str().unwrap_or_default().to_owned(), tool)).collect::<Vec<_>>()
    };
    let of = |tools: &[(String, Value)], name: &str| {
        let found = tools.iter().find(|(known, _)| known == name);
        found.expect("the tool").1.clone()
    };
    let bare = list(&[]);
    let evaluate = of(&bare, "calc__evaluate");
    assert_eq!(evaluate["annotations"], json!({ "readOnlyHint": true, "openWorldHint": false }), "{evaluate}");
    assert_eq!(evaluate["inputSchema"]["type"], "object");
    assert_eq!(of(&bare, "files__write")["annotations"]["readOnlyHint"], true, "nothing is granted");
    let granted = of(&list(&["--allow-write", "docs"]), "files__write");
    assert_eq!(granted["annotations"]["readOnlyHint"], false);
    assert_eq!(granted["annotations"]["destructiveHint"], true);
}

#[test]
fn a_call_is_recorded_before_it_is_answered() {
    let world = World::new();
    let mut session = Session::start(&world, &["--tools", &tool("calc")]);
    let result = session.call("calc__evaluate", &json!({ "expression": "6 * 7" }));
    assert_eq!((text(&result).as_str(), &result["isError"]), ("42", &json!(false)), "{result}");
    assert_eq!(result["_meta"]["agent-host/call"]["outcome"], "returned");
    // The server lives, and another process reads what it wrote.
    let recorded = world.events(&[]);
    assert_eq!(kinds(&recorded), ["RunStarted", "ToolProposed", "ToolStarted", "ToolFinished"]);
    assert_eq!(recorded[1]["body"]["client"]["name"], "harness");
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(kinds(&world.events(&[])).last().map(String::as_str), Some("RunEnded"));
    let shown = world.run(&["show"]).ok();
    assert!(shown.contains("asked by harness 1") && shown.contains("calc.evaluate"), "{shown}");
}

/// So do programs on Node.js start a server.
#[test]
fn a_client_at_a_socket_is_served_like_one_at_pipes() {
    let world = World::new();
    let (mut ours, theirs) = UnixStream::pair().expect("two sockets");
    let started = |theirs: UnixStream| {
        let mut command = world.command(&["mcp", "--quiet", "--tools", &tool("calc")]);
        command.stdin(OwnedFd::from(theirs.try_clone().expect("its copy"))).stdout(OwnedFd::from(theirs));
        command.spawn().expect("the program starts")
    };
    let mut child = started(theirs);
    let client = json!({ "name": "harness", "version": "1" });
    let hello = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": client });
    let call = json!({ "name": "calc__evaluate", "arguments": { "expression": "6 * 7" } });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call }),
    ] {
        writeln!(ours, "{message}").expect("it listens");
    }
    let mut lines = BufReader::new(ours.try_clone().expect("its copy")).lines();
    let mut answer = || -> Value {
        let line = lines.next().expect("an answer").expect("a line");
        serde_json::from_str(&line).expect("a message")
    };
    assert_eq!(answer()["id"], 1);
    assert_eq!(text(&answer()["result"]), "42");
    ours.shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

#[test]
fn what_was_refused_is_told_to_the_client_and_recorded() {
    let world = World::new();
    world.write("secret.txt", "secret");
    let mut session = Session::start(&world, &["--tools", &tool("files")]);
    let result = session.call("files__read", &json!({ "path": "secret.txt" }));
    assert_eq!(result["isError"], true, "{result}");
    let refused = &result["_meta"]["agent-host/call"]["refused"][0];
    assert_eq!(refused["refusal"], "fs_denied", "{result}");
    assert!(text(&result).contains("--allow-read"), "{result}");
    let (_, said) = session.end();
    assert!(said.contains("fs_denied"), "{said}");
}

#[test]
fn errors_of_each_kind_have_their_form() {
    let world = World::new();
    let mut session = Session::start(&world, &["--tools", &tool("calc"), "--tools", &guest("polite")]);
    let unknown = session.call("calc__nothing", &json!({}));
    assert_eq!(unknown["code"], -32602, "{unknown}");
    let invalid = session.call("calc__evaluate", &json!({ "expression": 7 }));
    assert!(text(&invalid).contains("args_invalid") && invalid["isError"] == true, "{invalid}");
    let failed = session.call("polite__fail", &json!({ "message": "no" }));
    assert_eq!((text(&failed).as_str(), &failed["isError"]), ("no", &json!(true)));
    let stopped = session.call("polite__panic", &json!({ "message": "no" }));
    assert!(text(&stopped).contains("guest_trap") && stopped["isError"] == true, "{stopped}");
    // And the server lives.
    assert_eq!(text(&session.call("calc__evaluate", &json!({ "expression": "1 + 1" }))), "2");
}

#[test]
fn arguments_reach_the_tool_as_they_were_written() {
    let world = World::new();
    let mut session = Session::start(&world, &["--tools", &guest("polite")]);
    let say = |session: &mut Session, id: u64, arguments: &str| {
        session.say_line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"polite__echo","arguments":{arguments}}}}}"#
        ));
        session.answer(id)
    };
    let twice = say(&mut session, 900, r#"{"value":1,"value":2}"#);
    assert!(text(&twice["result"]).contains("args_invalid"), "{twice}");
    let exact = say(&mut session, 901, r#"{"value":18446744073709551615}"#);
    assert_eq!(text(&exact["result"]), "18446744073709551615", "{exact}");
}

/// What a tool says that it returns is what it returns, by another's judgement.
#[test]
fn what_a_tool_returns_is_what_its_schema_says() {
    let world = World::new();
    let (polite, plain, files) = (guest("polite"), guest("plain"), tool("files"));
    world.write("docs/a.txt", "one\ntwo\n");
    let given = ["--tools", &polite, "--tools", &plain, "--tools", &files, "--allow-read", "docs"];
    let mut session = Session::start(&world, &given);
    let listed = session.ask("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().cloned().expect("tools");
    let schema = |name: &str| tools.iter().find(|tool| tool["name"] == name).map(|tool| tool["outputSchema"].clone());
    let drawing = json!({ "name": "d", "at": { "x": 1, "y": 1e300 }, "shape": { "circle": 2.5 }, "colour": "red",
        "style": ["filled", "rounded"], "tags": [["big", "18446744073709551615"], ["small", 3]] });
    for (name, arguments) in [
        ("polite__measure", json!({ "message": "hello" })),
        ("polite__measure", json!({ "message": "" })),
        ("polite__promise", json!({ "n": 7 })),
        ("files__search", json!({ "pattern": "t" })),
        ("plain__move-by", json!({ "drawing": drawing, "by": { "x": 0.1, "y": -1e300 } })),
    ] {
        let schema = schema(name).filter(|schema| !schema.is_null()).expect("an output schema");
        assert_eq!(schema["type"], "object", "{name}: {schema}");
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let result = session.call(name, &arguments);
        assert_eq!(result["isError"], false, "{name}: {result}");
        let problems: Vec<_> = validator.iter_errors(&result["structuredContent"]).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{name}: {problems:?} in {result}");
    }
    let broken = session.call("polite__promise", &json!({ "n": "seven" }));
    assert!(broken["isError"] == true && text(&broken).contains("result_invalid"), "{broken}");
    assert_eq!(schema("polite__echo"), Some(Value::Null), "any value says nothing");
    assert_eq!(schema("plain__greet"), Some(Value::Null), "a text is a text");
}

#[test]
fn a_cancelled_call_leaves_nothing_behind() {
    let world = World::new();
    let mut session = Session::start(&world, &["--tools", &guest("conformance"), "--short-names"]);
    let id = session.send("tools/call", json!({ "name": "wait", "arguments": { "ms": 20_000 } }));
    wait_until("the call has begun", || kinds(&world.events(&[])).iter().any(|kind| kind == "ToolStarted"));
    session.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    wait_until("it has ended", || kinds(&world.events(&[])).iter().any(|kind| kind == "ToolFinished"));
    let events = world.events(&[]);
    let finished = events.iter().find(|event| event["kind"] == "ToolFinished").expect("its end");
    assert_eq!(finished["body"]["outcome"]["faulted"]["fault"], "cancelled", "{finished}");
    assert_eq!(session.end().0, Some(0));
}

#[test]
fn progress_and_logs_come_before_the_answer() {
    let world = World::new();
    let mut session = Session::start(&world, &["--tools", &guest("conformance"), "--short-names"]);
    let call = json!({ "name": "test_tool_with_progress", "arguments": {}, "_meta": { "progressToken": "p" } });
    let answer = session.ask("tools/call", call);
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    let progress = |session: &Session, method: &str| {
        session.unasked.iter().filter(|message| message["method"] == method).cloned().collect::<Vec<_>>()
    };
    let told = progress(&session, "notifications/progress");
    let done: Vec<f64> = told.iter().filter_map(|told| told["params"]["progress"].as_f64()).collect();
    assert_eq!(done, [0.0, 0.5, 1.0], "{told:?}");
    session.call("test_tool_with_logging", &json!({}));
    assert_eq!(progress(&session, "notifications/message").len(), 3, "{:?}", session.unasked);
}

#[test]
fn many_calls_at_once_are_each_answered() {
    let world = World::new();
    let mut session = Session::start(&world, &["--tools", &guest("conformance"), "--short-names"]);
    let call = json!({ "name": "wait", "arguments": { "ms": 30 } });
    let sent: Vec<u64> = (0..40).map(|_| session.send("tools/call", call.clone())).collect();
    let mut open: Vec<u64> = sent;
    while !open.is_empty() {
        let message = session.message().expect("an answer");
        assert_eq!(message["result"]["isError"], false, "{message}");
        open.retain(|id| message["id"] != *id);
    }
    let events = world.events(&[]);
    assert_eq!(kinds(&events).iter().filter(|kind| *kind == "ToolFinished").count(), 40);
}

const ASK_FIRST: &str = "[[approval]]\ntool = \"calc.evaluate\"\n";

#[test]
fn the_person_at_the_client_is_asked_where_a_rule_says_so() {
    let world = World::new();
    let policy = world.write("policy.toml", ASK_FIRST).display().to_string();
    let calc = tool("calc");
    let answers = [
        (json!({ "action": "accept", "content": { "approve": true } }), "2"),
        (json!({ "action": "accept", "content": { "approve": false } }), "said no"),
        (json!({ "action": "accept", "content": {} }), "nobody answered"),
        (json!({ "action": "decline" }), "said no"),
        (json!({ "action": "cancel" }), "nobody answered"),
    ];
    let mut session = Session::start(&world, &["--tools", &calc, "--policy", &policy]);
    for (answer, expected) in answers {
        let call = json!({ "name": "calc__evaluate", "arguments": { "expression": "1 + 1" } });
        let id = session.send("tools/call", call);
        let question = session.message().expect("a question");
        assert_eq!(question["method"], "elicitation/create", "{question}");
        assert!(question["params"]["message"].as_str().is_some_and(|asked| asked.contains("calc.evaluate")));
        session.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }));
        let told = session.answer(id);
        assert!(text(&told["result"]).contains(expected), "{answer}: {told}");
    }
}

/// There is no second look at a client: what is asked is shown, and as it is.
#[test]
fn a_question_has_all_that_it_is_about() {
    let world = World::new();
    let policy = world.write("policy.toml", "[[approval]]\ntool = \"polite.echo\"\n").display().to_string();
    let polite = guest("polite");
    let mut session = Session::start(&world, &["--tools", &polite, "--policy", &policy]);
    let mut asked = |id: u64, value: &str| {
        session.say_line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"polite__echo","arguments":{{"value":{value}}}}}}}"#
        ));
        let question = session.message().expect("a question");
        session.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } }));
        session.answer(id);
        question["params"]["message"].as_str().unwrap_or_default().to_owned()
    };
    let sting = format!("\"{} and then everything is removed\"", "nothing to see ".repeat(200));
    assert!(asked(900, &sting).contains("and then everything is removed"));
    assert!(asked(901, "12345678901234567890123").contains("12345678901234567890123"));
    let long = asked(902, &format!("\"{} the end\"", "x".repeat(100_000)));
    assert!(long.contains("characters are not shown here") && long.contains("the end"), "{long}");
    assert!(long.len() < 12_000, "{}", long.len());
    let hidden = asked(903, "\"a\\u202eb\"");
    assert!(hidden.contains("\\u{202e}"), "{hidden}");
}

#[test]
fn what_nobody_can_be_asked_about_is_refused() {
    let world = World::new();
    let policy = world.write("policy.toml", ASK_FIRST).display().to_string();
    let calc = tool("calc");
    let given = ["--tools", &calc, "--policy", &policy];
    let refused = |mut session: Session| text(&session.call("calc__evaluate", &json!({ "expression": "1 + 1" })));
    let mute = refused(Session::start_as(&world, &given, json!({})));
    assert!(mute.contains("approval_denied") && mute.contains("cannot ask"), "{mute}");
    let nobody = refused(Session::start(&world, &[&given[..], &["--ask", "nobody"]].concat()));
    assert!(nobody.contains("approval_denied") && nobody.contains("ask nobody"), "{nobody}");
}

/// An `async` tool asks for several pages at once: the server answers none before all have asked.
#[test]
fn a_tool_waits_for_several_answers_at_once() {
    let world = World::new();
    let pages = Server::start(Manner::Together(5, "here"));
    let polite = guest("polite");
    let mut session = Session::start(&world, &["--tools", &polite, "--allow-net", &pages.url()]);
    let urls: Vec<String> = (0..5).map(|page| format!("{}/{page}", pages.url())).collect();
    let told = session.call("polite__statuses", &json!({ "urls": urls }));
    assert_eq!(text(&told), "[200,200,200,200,200]", "{told}");
    let refused = session.call("polite__statuses", &json!({ "urls": ["http://127.0.0.1:1/"] }));
    assert!(refused["isError"] == true && text(&refused).contains("not granted"), "{refused}");
}

/// A server that kills itself at a point, while a client waits for a call.
fn killed_at(world: &World, given: &[&str], point: &str, (tool, arguments): (&str, Value)) {
    let mut session = Session::killed_at(world, given, point);
    session.send("tools/call", json!({ "name": tool, "arguments": arguments }));
    while session.message().is_some() {}
    let status = session.child.wait().expect("it ends");
    assert_eq!(status.code(), None, "{point}: it was killed");
}

/// Nobody waits for its calls any more: what they changed is undone, and nothing is made again.
#[test]
fn what_a_killed_servers_call_had_changed_is_undone_by_the_next_server() {
    let world = World::new();
    world.write("docs/a.txt", "old");
    let polite = guest("polite");
    let given = ["--tools", &polite, "--allow-write", "docs"];
    let twice = json!({ "first": "a.txt", "second": "b.txt", "content": "new", "pause_ms": 5 });
    killed_at(&world, &given, "change-intended#2", ("polite__write_twice", twice));
    assert_eq!(world.read("docs/a.txt").as_deref(), Some("new"), "the first write had happened");
    let mut session = Session::start(&world, &given);
    assert_eq!(world.read("docs/a.txt").as_deref(), Some("old"), "it is undone");
    assert_eq!(session.call("polite__echo", &json!({ "value": 1 }))["isError"], false);
    assert_eq!(session.end().0, Some(0));
    assert_eq!(world.read("docs/b.txt"), None, "nothing was made again");
    let listed = world.run(&["ls"]).ok();
    assert_eq!(listed.matches("completed").count(), 2, "{listed}");
}

/// What that takes is looked up before the walls stand: it is in no grant of the next server.
#[test]
fn it_is_undone_by_a_server_that_is_granted_nothing() {
    let world = World::new();
    world.write("docs/a.txt", "old");
    let polite = guest("polite");
    let twice = json!({ "first": "a.txt", "second": "b.txt", "content": "new", "pause_ms": 5 });
    let given = ["--tools", &polite, "--allow-write", "docs"];
    killed_at(&world, &given, "change-intended#2", ("polite__write_twice", twice));
    assert_eq!(world.read("docs/a.txt").as_deref(), Some("new"));
    let (code, said) = Session::start(&world, &["--tools", &polite]).end();
    assert_eq!((code, world.read("docs/a.txt").as_deref()), (Some(0), Some("old")), "{said}");
}

/// The payment was made, and neither client nor record heard of it.
#[test]
fn a_write_whose_fate_is_unknown_is_in_doubt_and_never_repeated() {
    let world = World::new();
    let payments = Server::start(Manner::Answer("paid"));
    let polite = guest("polite");
    let given = ["--tools", &polite, "--allow-net", &payments.url()];
    let pay = json!({ "method": "POST", "url": payments.url(), "body": "1" });
    killed_at(&world, &given, "send-answered#1", ("polite__http", pay));
    assert_eq!(payments.hits(), 1);
    let (code, said) = Session::start(&world, &given).end();
    assert_eq!((code, payments.hits()), (Some(0), 1), "{said}");
    assert!(said.contains("suspended-doubt"), "{said}");
    let listed = world.run(&["ls", "--status", "suspended-doubt"]).ok();
    let run =
        listed.split_whitespace().find(|word| word.len() > 5 && word.starts_with("01")).unwrap_or_default().to_owned();
    let resolved = world.run(&["journal", "resolve", &run, "1", "--did-not"]);
    assert_eq!(resolved.code, Some(0), "{listed}: {resolved:?}");
    let ended = world.run(&["resume", &run]);
    assert_eq!((ended.code, payments.hits()), (Some(0), 1), "{ended:?}");
}
