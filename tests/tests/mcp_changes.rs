//! Tools of `agent-host mcp` that come, change and go while clients call: whoever does not call them notices nothing, and what was
//! taken away is not called again.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use agent_tests::mcp::{Session, text};
use agent_tests::{World, guest, wait_until};
use serde_json::{Value, json};

/// A call that is under way while everything else in a test happens, on a busy machine.
const LONG_MS: u64 = 12_000;

/// A world with these guests as tools, each by its name in the folder `tools`.
fn with_tools(tools: &[(&str, &str)]) -> World {
    let world = World::new();
    std::fs::create_dir(world.work().join("tools")).expect("a folder");
    tools.iter().for_each(|(name, from)| put(&world, name, from));
    world
}

/// Puts a guest into the folder, in the place of one that is there.
fn put(world: &World, name: &str, from: &str) {
    let folder = world.work().join("tools");
    let partial = folder.join("partial");
    std::fs::copy(guest(from), &partial).expect("a copy");
    std::fs::rename(partial, folder.join(format!("{name}.wasm"))).expect("a tool");
}

/// How often an event of this kind is in the latest run.
fn count(world: &World, kind: &str) -> usize {
    world.events(&[]).iter().filter(|event| event["kind"] == kind).count()
}

/// Waits until the client is told that the tools have changed; what else came meanwhile is kept.
fn told(session: &mut Session) {
    let news = |message: &Value| message["method"] == "notifications/tools/list_changed";
    while !session.unasked.iter().any(news) {
        let message = session.message().expect("news");
        session.unasked.push(message);
    }
    session.unasked.retain(|message| !news(message));
}

/// The answer to a request, which may have come while something else was waited for.
fn answered(session: &mut Session, id: u64) -> Value {
    let came = session.unasked.iter().position(|message| message["id"] == id);
    match came {
        Some(came) => session.unasked.remove(came),
        None => session.answer(id),
    }
}

fn begin_long(world: &World, session: &mut Session) -> u64 {
    let id = session.send("tools/call", json!({ "name": "one__wait", "arguments": { "ms": LONG_MS } }));
    wait_until("the call has begun", || count(world, "ToolStarted") == 1);
    id
}

#[test]
fn nobody_waits_for_a_long_call_while_tools_change() {
    let world = with_tools(&[("one", "conformance"), ("two", "polite")]);
    let mut session = Session::start(&world, &["--tools", "tools"]);
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 1 }))), "1");
    let (long, begun) =
        (session.send("tools/call", json!({ "name": "one__wait", "arguments": { "ms": LONG_MS } })), Instant::now());
    wait_until("the call has begun", || count(&world, "ToolStarted") == 2);
    put(&world, "three", "plain");
    told(&mut session);
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 2 }))), "2");
    assert_eq!(text(&session.call("three__greet", &json!({ "name": "you" }))), "hello, you");
    assert!(session.ask("tools/list", json!({})).to_string().contains("three__greet"));
    assert!(begun.elapsed() < Duration::from_millis(LONG_MS), "{:?}", begun.elapsed());
    assert!(!session.unasked.iter().any(|message| message["id"] == long), "it goes on");
    assert_eq!(text(&answered(&mut session, long)["result"]), "waited");
    let (code, said) = session.end();
    assert_eq!(code, Some(0), "{said}");
    let listed = world.run(&["ls"]).ok();
    assert_eq!(listed.matches("completed").count(), 2, "each of the two runs has its end: {listed}");
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
}

/// The run in which the first one began is left by then: they take turns all the same.
#[test]
fn calls_that_share_files_take_turns_though_tools_change_between_them() {
    let world = with_tools(&[("one", "polite")]);
    world.write("docs/a.txt", "old");
    let mut session = Session::start(&world, &["--tools", "tools", "--allow-write", "docs"]);
    let twice = json!({ "first": "a.txt", "second": "b.txt", "content": "first", "pause_ms": LONG_MS });
    let first = session.send("tools/call", json!({ "name": "one__write_twice", "arguments": twice }));
    wait_until("its first write", || world.read("docs/a.txt").as_deref() == Some("first"));
    put(&world, "two", "plain");
    told(&mut session);
    let second = json!({ "name": "one__append_file", "arguments": { "path": "b.txt", "content": ", then second" } });
    let second = session.send("tools/call", second);
    assert_eq!(text(&session.call("two__greet", &json!({ "name": "you" }))), "hello, you", "this one shares nothing");
    assert!(!session.unasked.iter().any(|message| message["id"] == first || message["id"] == second));
    assert_eq!(answered(&mut session, second)["result"]["isError"], false);
    assert!(session.unasked.iter().any(|message| message["id"] == first), "the first one was answered before");
    assert_eq!(world.read("docs/b.txt").as_deref(), Some("first, then second"));
}

/// From the moment at which the change is seen, and however long it takes to load what is there now.
#[test]
fn what_was_replaced_is_not_called_while_its_successor_is_loaded() {
    let world = with_tools(&[("one", "conformance"), ("two", "polite")]);
    let log = world.work().join("points").display().to_string();
    let points = [("AGENT_HOST_FAILPOINT", "tools-withheld#1=hang"), ("AGENT_HOST_FAILPOINT_LOG", log.as_str())];
    let mut session = Session::told(&world, &["--tools", "tools"], &points);
    let long = begin_long(&world, &mut session);
    put(&world, "one", "polite");
    wait_until("the change is seen", || world.read("points").is_some_and(|log| log.contains("tools-withheld")));
    let waits = session.send("tools/call", json!({ "name": "one__wait", "arguments": { "ms": 1 } }));
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 1 }))), "1", "others are called");
    assert!(session.ask("tools/list", json!({})).to_string().contains("one__wait"));
    assert_eq!(text(&answered(&mut session, long)["result"]), "waited", "it ends with what it began with");
    assert_eq!(count(&world, "ToolStarted"), 2, "the second call of it has not begun");
    session.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": waits } }));
    wait_until("who gives it up is heard", || count(&world, "ToolFinished") == 3);
    assert_eq!(count(&world, "ToolStarted"), 2);
}

#[test]
fn tools_that_change_are_served_and_clients_are_told() {
    let world = World::new();
    std::fs::create_dir(world.work().join("tools")).expect("a folder");
    std::fs::copy(guest("conformance"), world.work().join("tools/one.wasm")).expect("a tool");
    let mut session = Session::start(&world, &["--tools", "tools"]);
    assert_eq!(session.call("one__wait", &json!({}))["isError"], false);
    std::fs::copy(guest("polite"), world.work().join("tools/two.wasm")).expect("a tool");
    let told = session.message().expect("news");
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    let listed = session.ask("tools/list", json!({}));
    assert!(listed.to_string().contains("two__echo") && listed.to_string().contains("one__wait"), "{listed}");
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 1 }))), "1");
    // What cannot be loaded changes nothing.
    world.write("tools/three.wasm", "no component");
    thread::sleep(Duration::from_secs(3));
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 2 }))), "2");
}

/// What its operator takes away is not served any more, whatever is wrong with the rest.
#[test]
fn a_tool_that_is_taken_away_is_gone_though_another_cannot_be_used() {
    let world = World::new();
    std::fs::create_dir(world.work().join("tools")).expect("a folder");
    let put = |from: &str, name: &str| {
        std::fs::copy(guest(from), world.work().join("tools").join(name)).expect("a tool");
    };
    put("conformance", "one.wasm");
    put("polite", "two.wasm");
    let mut session = Session::start(&world, &["--tools", "tools"]);
    assert_eq!(session.call("one__wait", &json!({}))["isError"], false);
    // Two that look alike are never both there, so that nothing of the folder can be loaded as it is.
    put("plain", "calc.wasm");
    put("plain", "ca1c.wasm");
    std::fs::remove_file(world.work().join("tools/one.wasm")).expect("it goes");
    let told = session.message().expect("news");
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    let listed = session.ask("tools/list", json!({})).to_string();
    assert!(!listed.contains("one__") && listed.contains("two__echo") && !listed.contains("calc__"), "{listed}");
    assert_eq!(session.call("one__wait", &json!({}))["code"], -32602);
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 1 }))), "1");
    // And the last one.
    for name in ["two.wasm", "calc.wasm", "ca1c.wasm"] {
        std::fs::remove_file(world.work().join("tools").join(name)).expect("it goes");
    }
    session.message().expect("news");
    assert_eq!(session.ask("tools/list", json!({}))["result"]["tools"], json!([]));
}

/// The server ended, for every client and every tool.
#[test]
fn while_a_secret_cannot_be_read_what_was_served_before_goes_on() {
    let world = with_tools(&[("two", "polite")]);
    let manifest = "[tool]\nname = \"paying\"\nversion = \"1\"\ndescription = \"Pays.\"\n\
         [[capabilities.http]]\nurl = \"https://api.example.org\"\nmethods = [\"GET\"]\n\
         [[capabilities.secrets]]\nname = \"API_TOKEN\"\nurl = \"https://api.example.org\"\n";
    world.write("tools/paying/paying.wasm", std::fs::read(guest("hostile")).expect("the guest"));
    world.write("tools/paying/tool.toml", manifest);
    let token = world.write("token", "tok-7f3Qx9Zw");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let granted = format!("secrets = [{{ name = \"API_TOKEN\", from = \"file:{}\" }}]", token.display());
    world.write("policy.toml", format!("[[grant]]\ntool = \"paying\"\n{granted}\n"));
    let mut session = Session::start(&world, &["--tools", "tools", "--policy", "policy.toml"]);
    std::fs::remove_file(&token).expect("it goes");
    put(&world, "three", "plain");
    // Tools are looked at every two seconds.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        assert_eq!(text(&session.call("two__echo", &json!({ "value": 1 }))), "1");
        thread::sleep(Duration::from_millis(50));
    }
    let listed = session.ask("tools/list", json!({})).to_string();
    assert!(!listed.contains("three__") && listed.contains("paying__"), "{listed}");
    let (code, said) = session.end();
    assert!(code == Some(0) && said.contains("are not served") && said.contains("API_TOKEN"), "{said}");
}

/// Else a tool could put another one there, which would be served in the next moment.
#[test]
fn no_tool_writes_where_a_link_among_the_tools_leads() {
    let world = with_tools(&[("one", "polite")]);
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, world.work().join("tools").join(name)).expect("a link");
    };
    for folder in ["early", "late", "free"] {
        std::fs::create_dir(world.work().join(folder)).expect("a folder");
    }
    link("../early", "early");
    link("../early.wasm", "later.wasm");
    let mut session = Session::start(&world, &["--tools", "tools", "--allow-write", "."]);
    let write = |session: &mut Session, path: &str| {
        let refused = session.call("one__append_file", &json!({ "path": path, "content": "evil" }))["isError"] == true;
        assert_eq!(world.read(path).is_none(), refused, "{path}");
        refused
    };
    for (path, refused) in [("early/tool.toml", true), ("early.wasm", true), ("late/tool.toml", false)] {
        assert_eq!(write(&mut session, path), refused, "{path}");
    }
    std::fs::remove_file(world.work().join("late/tool.toml")).expect("it was written");
    // It leads to no tool yet.
    link("../late", "late");
    told(&mut session);
    for (path, refused) in [("late/tool.toml", true), ("early/tool.toml", true), ("free/tool.toml", false)] {
        assert_eq!(write(&mut session, path), refused, "{path}");
    }
    // Of a directory that is granted itself nothing would be left: nothing is served then.
    link("..", "all");
    told(&mut session);
    assert_eq!(session.ask("tools/list", json!({}))["result"]["tools"], json!([]));
}

/// A component that is built again under the same name.
#[test]
fn a_component_that_is_built_again_is_the_one_that_is_called() {
    let world = World::new();
    std::fs::create_dir(world.work().join("tools")).expect("a folder");
    let place = world.work().join("tools/tool.wasm");
    std::fs::copy(guest("conformance"), &place).expect("a tool");
    let mut session = Session::start(&world, &["--tools", "tools"]);
    let id = session.send("tools/call", json!({ "name": "tool__wait", "arguments": { "ms": 4_000 } }));
    wait_until("the call has begun", || count(&world, "ToolStarted") > 0);
    std::fs::copy(guest("polite"), &place).expect("another one");
    // Who only lists waits for no call.
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(2_500));
    session.ask("tools/list", json!({}));
    assert!(begun.elapsed() < Duration::from_millis(3_900), "{:?}", begun.elapsed());
    assert_eq!(text(&session.answer(id)["result"]), "waited", "it ends with what it began with");
    while !session.unasked.iter().any(|said| said["method"] == "notifications/tools/list_changed") {
        let said = session.message().expect("news");
        session.unasked.push(said);
    }
    assert_eq!(text(&session.call("tool__echo", &json!({ "value": 7 }))), "7");
}

/// Under short names, who comes later takes nobody's.
#[test]
fn short_names_are_for_operations_that_only_one_tool_has() {
    let world = World::new();
    std::fs::create_dir(world.work().join("tools")).expect("a folder");
    let put = |name: &str| {
        std::fs::copy(guest("polite"), world.work().join("tools").join(name)).expect("a tool");
    };
    put("one.wasm");
    let mut session = Session::start(&world, &["--tools", "tools", "--short-names"]);
    assert_eq!(text(&session.call("echo", &json!({ "value": 1 }))), "1");
    put("two.wasm");
    session.message().expect("news");
    assert_eq!(session.call("echo", &json!({ "value": 1 }))["code"], -32602);
    assert_eq!(text(&session.call("one__echo", &json!({ "value": 1 }))), "1");
    assert_eq!(text(&session.call("two__echo", &json!({ "value": 2 }))), "2");
}
