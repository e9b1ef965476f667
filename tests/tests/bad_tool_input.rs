//! Bad input on its way to a tool and back, given to the built program as a person, a script or a model gives it: each is a clear
//! error that names the place, costs a bounded amount of memory, and leaves the rest working. What attacks the sandbox itself is in
//! `tests/hostile`; what is wrong in files that people write, in `bad_input`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::Stdio;

use agent_tests::{Said, World, guest, process};
use serde_json::Value;

/// Exit code of a call that ended otherwise than by returning.
const NOT_RETURNED: Option<i32> = Some(3);

/// Resident memory of the host at most: that of a benign call in an unoptimised build, and four times the largest arguments.
const PEAK_KIB_MAX: u64 = 256 << 10;

/// A call whose arguments come on standard input, with the most memory that the host was seen to hold.
fn call_with(world: &World, path: &str, operation: &str, arguments: &[u8]) -> (Said, u64) {
    let mut command = world.command(&["tool", "call", "--tools", path, operation, "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (pid, mut stdin, arguments) = (child.id(), child.stdin.take().expect("a pipe"), arguments.to_vec());
    // It need not read to the end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&arguments)));
    let reader = std::thread::spawn(move || child.wait_with_output().expect("it ended"));
    let mut peak = 0;
    while !reader.is_finished() {
        peak = peak.max(process::look(pid).map_or(0, |look| look.peak_kib));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    writer.join().expect("a thread");
    (world.said(&reader.join().expect("a thread")), peak)
}

fn refused(world: &World, operation: &str, arguments: &str, words: &str) {
    let (said, peak) = call_with(world, &guest("plain"), operation, arguments.as_bytes());
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.err.contains(words), "expected `{words}`: {said:?}");
    assert!(said.err.len() < 2_000, "{} bytes of words", said.err.len());
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}

#[test]
fn arguments_on_standard_input_are_arguments() {
    let world = World::new();
    // More than fits on a command line.
    let text = "x".repeat(200_000);
    let (said, _) = call_with(&world, &guest("plain"), "plain.greet", format!(r#"{{"name": "{text}"}}"#).as_bytes());
    assert!(said.code == Some(0) && said.out.contains(&text), "{:?}", said.code);
}

#[test]
fn arguments_of_ten_megabytes_are_refused() {
    let world = World::new();
    let words = "the arguments on standard input are longer than 1048576 bytes";
    refused(&world, "plain.greet", &format!(r#"{{"name": "{}"}}"#, "x".repeat(10 << 20)), words);
    refused(&world, "plain.add", &"[".repeat(10 << 20), words);
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let (said, _) = call_with(&World::new(), &guest("plain"), "plain.greet", b"{\"name\": \"\xff\xfe\"}");
    assert!(said.code == Some(1) && said.err.contains("standard input are not UTF-8 text"), "{said:?}");
}

#[test]
fn arguments_ten_thousand_levels_deep_are_refused_with_their_place() {
    let world = World::new();
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    refused(&world, "plain.area", &format!(r#"{{"shape": {}}}"#, deep("[", "]")), "arguments.shape");
    refused(&world, "plain.area", &deep("{\"shape\": ", "}"), "arguments.shape");
    refused(&world, "plain.greet", &format!(r#"{{"name": {}}}"#, deep("[", "]")), "nested deeper than 64");
}

#[test]
fn arguments_of_a_wrong_kind_are_refused_with_their_place() {
    let world = World::new();
    for (operation, arguments, words) in [
        ("plain.add", r#"{"a": "one", "b": 1}"#, "arguments.a: expected an integer"),
        ("plain.add", r#"{"a": 1.5, "b": 1}"#, "arguments.a: expected an integer"),
        ("plain.add", r#"{"a": -1, "b": 1}"#, "arguments.a: expected an integer from 0 to 18446744073709551615"),
        ("plain.add", r#"{"a": 18446744073709551616, "b": 1}"#, "arguments.a: expected an integer from 0 to"),
        ("plain.add", r#"{"a": 1e400, "b": 1}"#, "arguments.a: expected an integer"),
        ("plain.add", r#"{"a": 1}"#, "arguments.b"),
        ("plain.add", r#"{"a": 1, "b": 1, "c": 1}"#, "arguments.c: unknown field"),
        ("plain.add", r#"{"a": 1, "a": 2, "b": 1}"#, "the key `a` occurs twice"),
        ("plain.add", "[1, 2]", "expected an object"),
        ("plain.add", r#"{"a": 1,"#, "not JSON"),
        ("plain.greet", r#"{"name": 7}"#, "arguments.name: expected a string"),
        ("plain.area", r#"{"shape": {"polygon": [{"x": 0, "y": "up"}]}}"#, "arguments.shape.polygon[0].y"),
        ("plain.area", r#"{"shape": {"square": 1}}"#, "arguments.shape"),
        ("plain.area", r#"{"shape": "circle"}"#, "arguments.shape"),
        ("plain.move-by", r#"{"drawing": {"name": "x", "style": ["wavy"]}, "by": {}}"#, "arguments.drawing"),
    ] {
        refused(&world, operation, arguments, words);
    }
}

/// A component whose result is a string of these bytes.
fn saying(bytes: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 64) "{bytes}")
                (func (export "say") (result i32)
                    (i32.store (i32.const 0) (i32.const 64))
                    (i32.store (i32.const 4) (i32.const 4))
                    (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "say") (result string) (canon lift (core func $i "say") (memory (core memory $i "memory")))))"#
    );
    wat::parse_str(text).expect("a component")
}

#[test]
fn a_result_that_is_no_text_is_a_fault_and_the_run_goes_on() {
    let world = World::new();
    world.write("garbled.wasm", saying(r"a\ff\feb"));
    let said = world.run(&["tool", "call", "--json", "--tools", "garbled.wasm", "garbled.say"]);
    assert_eq!(said.code, NOT_RETURNED, "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let faulted = &report["outcome"]["faulted"];
    assert_eq!(faulted["fault"], "guest_trap", "{report}");
    assert!(faulted["message"].as_str().is_some_and(|message| message.contains("utf-8")), "{report}");

    let script = "version = 1\n[[reply]]\ncalls = [{ tool = \"garbled.say\", arguments = {} }]\n[[reply]]\ntext = \"it failed\"\n";
    world.write("replies.toml", script);
    let ran = world.run(&["run", "--tools", "garbled.wasm", "--model", "scripted:replies.toml", "go"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "it failed\n"), "{ran:?}");
}

#[test]
fn a_model_is_told_where_its_arguments_are_wrong() {
    let world = World::new();
    let deep = format!("{{\\\"shape\\\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [\n{{ tool = \"plain.area\", arguments = {{ shape = {{ circle = \"wide\" }} }} }},\n\
         {{ tool = \"plain.area\", arguments = \"{deep}\" }},\n]\n[[reply]]\ntext = \"sorry\"\n"
    );
    world.write("replies.toml", script);
    let ran = world.run(&["run", "--tools", &guest("plain"), "--model", "scripted:replies.toml", "go"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "sorry\n"), "{ran:?}");
    let finished = world.events(&[]).into_iter().filter(|event| event["kind"] == "ToolFinished");
    let outcomes: Vec<_> = finished.map(|event| event["body"]["outcome"]["refused"].clone()).collect();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    for (outcome, place) in outcomes.iter().zip(["arguments.shape.circle", "arguments.shape"]) {
        assert_eq!(outcome["reason"], "args_invalid");
        assert!(outcome["message"].as_str().is_some_and(|message| message.contains(place)), "{outcome}");
    }
}

#[test]
fn a_truncated_component_is_named_and_the_others_of_its_folder_work() {
    let world = World::new();
    let whole = std::fs::read(guest("plain")).expect("a guest");
    for length in [0, 4, 9, 100, whole.len() / 2, whole.len() - 1] {
        world.write("cut.wasm", &whole[..length]);
        for words in [
            &["tool", "list", "--tools", "cut.wasm"] as &[&str],
            &["tool", "call", "--tools", "cut.wasm", "cut.add", r#"{"a": 1, "b": 2}"#],
            &["tool", "inspect", "cut.wasm"],
        ] {
            let said = world.run(words);
            assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{length}: {said:?}");
            let expected = "error[component_invalid]: cannot load `cut.wasm`: this is not a valid component";
            assert!(said.err.contains(expected), "{length}: {said:?}");
        }
    }
    world.write("tools/cut.wasm", &whole[..whole.len() / 2]);
    world.write("tools/plain.wasm", &whole);
    let said = world.run(&["tool", "call", "--tools", "tools", "plain.add", r#"{"a": 1, "b": 2}"#]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "3\n"), "{said:?}");
    let script = "version = 1\n[[reply]]\ntext = \"hi\"\n";
    world.write("replies.toml", script);
    let ran = world.run(&["run", "--tools", "tools", "--model", "scripted:replies.toml", "go"]);
    assert!(ran.code == Some(0) && ran.err.contains("`tools/cut.wasm` is left out"), "{ran:?}");
}

#[test]
fn two_components_of_one_name_are_never_both_there() {
    let world = World::new();
    let bytes = saying("same");
    let (one, two) = (world.write("one/same.wasm", &bytes), world.write("two/same.wasm", &bytes));
    for words in [
        &["tool", "list", "--tools", "one", "--tools", "two"] as &[&str],
        &["tool", "call", "--tools", "one", "--tools", "two", "same.say"],
    ] {
        let said = world.run(words);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains("error[duplicate_tool]") && said.err.contains("hint: rename one"), "{said:?}");
        assert!(said.err.contains("one/same.wasm") && said.err.contains("two/same.wasm"), "{said:?} {one:?} {two:?}");
    }
}

#[test]
fn a_build_that_fails_shows_its_output_and_leaves_what_was_there() {
    let world = World::new();
    let manifest = "[tool]\nname = \"mine\"\nversion = \"0.1.0\"\ndescription = \"x\"\n[build]\ncommand = \"echo to standard output; echo \
                    what is wrong >&2; exit 7\"\nartifact = \"build/mine.wasm\"\n";
    world.write("mine/tool.toml", manifest);
    let before = saying("good");
    world.write("mine/mine.wasm", &before);
    let said = world.run(&["tool", "build", "--yes", "mine"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    for words in ["to standard output\n", "what is wrong\n", "building `mine` failed (exit status: 7)"] {
        assert!(said.err.contains(words), "{said:?}");
    }
    assert_eq!(std::fs::read(world.work().join("mine/mine.wasm")).expect("it is there"), before);
}

#[test]
fn a_build_that_leaves_no_component_is_refused_and_leaves_what_was_there() {
    let world = World::new();
    let manifest = "[tool]\nname = \"mine\"\nversion = \"0.1.0\"\ndescription = \"x\"\n[build]\ncommand = \"cp ../left made.wasm || true\"\n\
                    artifact = \"made.wasm\"\n";
    world.write("mine/tool.toml", manifest);
    let before = saying("good");
    world.write("mine/mine.wasm", &before);
    let build = || world.run(&["tool", "build", "--yes", "mine"]);
    let nothing = build();
    assert!(nothing.code == Some(1) && nothing.err.contains("hint: correct `artifact` in `tool.toml`"), "{nothing:?}");
    for (left, words) in [
        (&b"a log of the compiler"[..], "cannot be a tool: this is not a valid component"),
        (&before[..before.len() / 2], "cannot be a tool: this is not a valid component"),
        (&b"\0asm\x01\0\0\0"[..], "cannot be a tool: this is a core module, not a component"),
    ] {
        world.write("left", left);
        let said = build();
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains(words), "{words}: {said:?}");
        assert_eq!(std::fs::read(world.work().join("mine/mine.wasm")).expect("it is there"), before);
    }
    let better = saying("best");
    world.write("left", &better);
    let said = build();
    assert!(said.code == Some(0) && said.out.ends_with("mine/mine.wasm\n"), "{said:?}");
    assert_eq!(std::fs::read(world.work().join("mine/mine.wasm")).expect("it is there"), better);
}
