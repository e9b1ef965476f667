//! Components that were not made for this host, as text: built against any WASI 0.2, made of several, with types that no JSON has,
//! for WASI 0.3, or no component at all. Listed, called, and refused with the reason. Those of real toolchains are in
//! `foreign_builds`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::{Said, World};
use serde_json::Value;

fn component(world: &World, name: &str, text: &str) {
    world.write(&format!("{name}.wasm"), wat::parse_str(text).expect("a component"));
}

fn list(world: &World, name: &str) -> Said {
    world.run(&["tool", "list", "--tools", &format!("{name}.wasm")])
}

/// The first part of what a call returned.
fn returned(world: &World, name: &str, operation: &str, arguments: &str) -> Value {
    let (path, operation) = (format!("{name}.wasm"), format!("{name}.{operation}"));
    let said = world.run(&["tool", "call", "--json", "--tools", &path, &operation, arguments]);
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let part = &report["outcome"]["returned"]["content"][0];
    part.get("json").or(part.get("text")).cloned().unwrap_or_else(|| panic!("{said:?}"))
}

/// A reactor that asks WASI of this patch for a random number, of which it returns the lowest bit.
fn of_patch(patch: &str) -> String {
    format!(
        r#"(component
            (import "wasi:random/random@0.2.{patch}" (instance $random (export "get-random-u64" (func (result u64)))))
            (core func $get (canon lower (func $random "get-random-u64")))
            (core module $m
                (import "wasi" "get" (func $get (result i64)))
                (func (export "coin") (result i32) (i32.and (i32.wrap_i64 (call $get)) (i32.const 1))))
            (core instance $i (instantiate $m (with "wasi" (instance (export "get" (func $get))))))
            (func (export "coin") (result u8) (canon lift (core func $i "coin"))))"#
    )
}

/// A reactor that asks WASI of this patch twice for the time, and says whether it went on.
fn with_clock_of_patch(patch: &str) -> String {
    format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.{patch}" (instance $clock (export "now" (func (result u64)))))
            (core func $now (canon lower (func $clock "now")))
            (core module $m
                (import "wasi" "now" (func $now (result i64)))
                (func (export "goes-on") (result i32) (i64.le_u (call $now) (call $now))))
            (core instance $i (instantiate $m (with "wasi" (instance (export "now" (func $now))))))
            (func (export "goes-on") (result bool) (canon lift (core func $i "goes-on"))))"#
    )
}

/// Every patch of WASI 0.2, and later ones than this host knows.
const PATCHES: [&str; 14] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "40"];

#[test]
fn components_of_every_patch_of_wasi_0_2_are_called() {
    let world = World::new();
    for patch in PATCHES {
        let (random, clock) = (format!("random{patch}"), format!("clock{patch}"));
        component(&world, &random, &of_patch(patch));
        let coin = returned(&world, &random, "coin", "{}");
        assert!(coin == 0 || coin == 1, "0.2.{patch}: {coin}");
        component(&world, &clock, &with_clock_of_patch(patch));
        assert_eq!(returned(&world, &clock, "goes-on", "{}"), true, "0.2.{patch}");
    }
    for (name, import) in [("random0", "wasi:random/random@0.2.0"), ("clock40", "wasi:clocks/monotonic-clock@0.2.40")] {
        let inspected = world.run(&["tool", "inspect", &format!("{name}.wasm")]).ok();
        assert!(inspected.contains(import), "{inspected}");
    }
    // What stood in drafts of it is not in it.
    for (name, text) in [("draft", of_patch("0-rc-2023-11-10")), ("clock", with_clock_of_patch("0-rc-2023-11-10"))] {
        component(&world, name, &text);
        let said = list(&world, name);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("error[component_invalid]") && said.err.contains("0-rc-2023-11-10"), "{said:?}");
    }
}

/// A reactor as it comes from WASI 0.3: an asynchronous export in an interface, by the instance that toolchains make for it.
const WASI_0_3: &str = r#"(component
    (import "wasi:clocks/monotonic-clock@0.3.2" (instance (export "wait-for" (func async (param "how-long" u64)))))
    (core module $m
        (memory (export "memory") 1)
        (func (export "run") (result i32) (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func $run async (canon lift (core func $i "run") async (callback (core func $i "callback"))))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.3.2" (instance $run)))"#;

/// Plain functions, of which one takes a stream.
const STREAMS: &str = r#"(component
    (core module $m (func (export "f") (param i32)) (func (export "g")))
    (core instance $i (instantiate $m))
    (type $bytes (stream u8))
    (func (export "count") (param "from" $bytes) (canon lift (core func $i "f")))
    (func (export "plain") (canon lift (core func $i "g"))))"#;

#[test]
fn what_only_wasi_0_3_has_is_refused_by_name() {
    let world = World::new();
    component(&world, "later", WASI_0_3);
    component(&world, "streaming", STREAMS);
    component(&world, "fixed", &STREAMS.replace("(stream u8)", "(list u8 1)"));
    component(&world, "tools/later", WASI_0_3);
    component(&world, "tools/coin", &of_patch("3"));
    let expected = [
        (
            "later",
            "needs WASI 0.3, for import `wasi:clocks/monotonic-clock@0.3.2` (`async`), export `wasi:cli/run@0.3.2#run` (`async`): \
             this host runs 0.2",
        ),
        ("streaming", "needs WASI 0.3, for export `count` (`stream`): this host runs 0.2"),
        ("fixed", "has lists of fixed length, in export `count` (`list<T, N>`)"),
    ];
    for (name, words) in expected {
        let path = format!("{name}.wasm");
        let operation = format!("{name}.run");
        for verb in [&["tool", "list", "--tools", &path] as &[&str], &["tool", "call", "--tools", &path, &operation]] {
            let said = world.run(verb);
            assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
            assert!(said.err.contains("error[component_invalid]") && said.err.contains(words), "{said:?}");
        }
    }
    // In a folder it is left out, and the others work.
    let listed = world.run(&["tool", "list", "--tools", "tools"]);
    assert!(listed.code == Some(0) && listed.out.starts_with("coin.coin "), "{listed:?}");
    assert!(
        listed.err.contains("`tools/later.wasm` is left out") && listed.err.contains("run@0.3.2#run`"),
        "{listed:?}"
    );
}

#[test]
fn functions_with_resources_are_listed_with_the_reason() {
    let world = World::new();
    let text = r#"(component
        (type $r' (resource (rep i32)))
        (export $r "handle" (type $r'))
        (core module $m (func (export "f") (param i32)) (func (export "g") (result i32) (i32.const 7)))
        (core instance $i (instantiate $m))
        (func (export "use-it") (param "h" (own $r)) (canon lift (core func $i "f")))
        (func (export "seven") (result u8) (canon lift (core func $i "g"))))"#;
    component(&world, "mixed", text);
    let listed = list(&world, "mixed").ok();
    assert!(listed.contains("not offered: use-it: it uses a resource, which only lives inside one call"), "{listed}");
    let json = world.run(&["tool", "list", "--json", "--tools", "mixed.wasm"]);
    assert!(json.err.contains("note: `use-it` of `mixed` is not offered: it uses a resource"), "{json:?}");
    assert_eq!(serde_json::from_str::<Value>(&json.out).expect("JSON").as_array().map(Vec::len), Some(1));
    assert_eq!(returned(&world, "mixed", "seven", "{}"), 7);
    let refused = world.run(&["tool", "call", "--tools", "mixed.wasm", "mixed.use-it"]);
    assert!(refused.code == Some(1) && refused.err.contains("there are: mixed.seven"), "{refused:?}");
}

#[test]
fn components_that_export_one_name_are_told_apart() {
    let world = World::new();
    component(&world, "tools/one", &of_patch("0"));
    component(&world, "tools/two", &of_patch("1"));
    let listed = world.run(&["tool", "list", "--tools", "tools"]).ok();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["one.coin", "two.coin"]);
    let said = world.run(&["tool", "call", "--tools", "tools", "two.coin"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// A program of WASI preview 1: writes a word to standard output and exits.
const PREVIEW_1: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "hello\n")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 6))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $exit (i32.const 0))))"#;

#[test]
fn a_core_module_is_refused_with_what_makes_a_component_of_it() {
    let world = World::new();
    component(&world, "hello", PREVIEW_1);
    let refused = list(&world, "hello");
    assert!(refused.code == Some(1) && refused.err.contains("`agent-host tool adapt`"), "{refused:?}");
    assert_eq!(world.run(&["tool", "adapt", "hello.wasm"]).ok(), "hello-component.wasm\n");
    assert_eq!(returned(&world, "hello-component", "run", "{}"), "hello\n");
    let again = world.run(&["tool", "adapt", "hello-component.wasm"]);
    assert!(again.code == Some(1) && again.err.contains("it is a component already"), "{again:?}");
}

#[test]
fn a_core_module_of_another_kind_cannot_be_adapted() {
    let world = World::new();
    component(&world, "page", r#"(module (import "env" "emscripten_resize_heap" (func)) (func (export "_start")))"#);
    component(&world, "library", r#"(module (func (export "add") (param i32 i32) (result i32) (local.get 0)))"#);
    world.write("torn.wasm", b"\0asm\x01\0\0\0\x01\xff");
    for (name, words) in [
        ("page", "it imports `env.emscripten_resize_heap`, which no adapter provides"),
        ("library", "it exports neither `_start` nor a world"),
        ("torn", "it is not a valid core module"),
    ] {
        let said = world.run(&["tool", "adapt", &format!("{name}.wasm"), "--output", "made.wasm"]);
        assert!(said.code == Some(1) && said.err.contains(words), "{said:?}");
        assert!(!world.work().join("made.wasm").exists(), "{name}");
    }
    let nowhere = world.run(&["tool", "adapt", "nowhere.wasm"]);
    assert!(nowhere.code == Some(1) && nowhere.err.contains("cannot read `nowhere.wasm`"), "{nowhere:?}");
}
