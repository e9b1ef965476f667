//! What is loaded, what is refused and with which advice.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent_sandbox::Sandbox;
use agent_sandbox::sandbox::{Compiling, OnCompile, SandboxOptions};
use agent_tool_docs::stored::{self, Docs};

use crate::support::{guest, load, load_bytes, load_error, options};

fn check(bytes: &[u8], expected: &str) {
    let error = load_error(bytes);
    assert!(error.starts_with(expected), "expected `{expected}`, found `{error}`");
}

fn check_text(text: &str, expected: &str) {
    check(&wat::parse_str(text).unwrap(), expected);
}

#[test]
fn what_is_no_component_is_named_with_advice() {
    check(b"", "component_invalid: this is not a valid component");
    check(b"\x7fnonsense", "component_invalid: this is not a valid component");
    check(&wat::parse_str("(module)").unwrap(), "component_invalid: this is a core module");
    check(b" (component)", "component_invalid: this is WebAssembly text");
    check(&vec![0; (64 << 20) + 1], "component_too_large: the component has 67108865 bytes");
    let engine = wasmtime::Engine::default();
    let compiled = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
    check(&compiled, "component_invalid: this is compiled code");
}

#[test]
fn somebody_hears_of_a_compile_that_takes_long() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&heard);
    let on_compile: OnCompile = Arc::new(move |compiling: &Compiling| tell.lock().unwrap().push(compiling.bytes));
    let sandbox = Sandbox::new(SandboxOptions { on_compile: Some(on_compile), ..options() }).unwrap();
    let small = wat::parse_str(guest("", "")).unwrap();
    let large = wat::parse_str(format!("(component (@custom \"padding\" \"{}\"))", "x".repeat(1 << 20))).unwrap();
    for bytes in [&small, &large] {
        sandbox.load(&"guest".parse().unwrap(), bytes).unwrap();
    }
    assert_eq!(*heard.lock().unwrap(), [large.len()]);
}

#[test]
fn no_truncation_loads_or_panics() {
    /// Time for what is no component, on average: a busy machine may take one load's time away, not that of hundreds.
    const REFUSAL_TIME_MAX: Duration = Duration::from_millis(50);
    let whole = wat::parse_str(guest("(memory 1) (func $f (param i32))", "(call $f (i32.const 1))")).unwrap();
    let (mut refused, mut took) = (0, Duration::ZERO);
    for length in 0..whole.len() {
        let started = Instant::now();
        let error = load_error(&whole[..length]);
        // A cut between two sections may leave a smaller but valid component.
        assert!(error.starts_with("component_invalid: ") || error == "loaded", "{length}: {error}");
        if error != "loaded" {
            (refused, took) = (refused + 1, took + started.elapsed());
        }
    }
    assert!(refused > 100 && took / refused <= REFUSAL_TIME_MAX, "{took:?} for {refused}");
    for place in 8..whole.len() {
        let mut bent = whole.clone();
        bent[place] ^= 0x15;
        let _ = load_error(&bent);
    }
}

#[test]
fn imports_that_nobody_provides_are_all_named() {
    check_text(
        r#"(component (import "acme:db/query@1.0.0" (instance)) (import "acme:log/sink" (instance)) (import "f" (func)))"#,
        "import_denied: the component imports `acme:db/query@1.0.0`, `acme:log/sink`, `f`, which this host does not provide",
    );
    let newer = wat::parse_str(r#"(component (import "wasi:quantum/bits@0.3.0" (instance)))"#).unwrap();
    assert!(load_error(&newer).ends_with("built for another WASI than 0.2; build it for `wasm32-wasip2`"));
}

#[test]
fn a_known_interface_with_an_unknown_function_is_a_version_problem() {
    check_text(
        r#"(component (import "wasi:random/random@0.2.99" (instance (export "get-dice" (func (result u8))))))"#,
        "component_invalid: the component does not fit this host's interfaces, perhaps it was built for a newer WASI 0.2",
    );
}

#[test]
fn a_newer_patch_of_wasi_links() {
    load(
        r#"(component (import "wasi:random/random@0.2.99" (instance (export "get-random-u64" (func (result u64))))))"#,
    );
}

#[test]
fn features_outside_the_first_tier_are_refused() {
    let core = |module: &str| format!("(component (core module {module}))");
    for module in [
        "(memory 1) (memory 1)",
        "(import \"a\" \"m\" (memory 1)) (import \"a\" \"n\" (memory 1))",
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(func (return_call 0))",
        "(tag)",
        "(type (struct))",
        "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))",
    ] {
        check_text(&core(module), "component_invalid: this is not a valid component");
    }
}

#[test]
fn too_many_parts_are_refused_before_they_are_made() {
    let instances = "(core instance (instantiate $m))".repeat(33);
    check_text(&format!("(component (core module $m) {instances})"), "instance_limit: ");
    let thousands = "(core instance (instantiate $m))".repeat(10_000);
    let thousands = wat::parse_str(format!("(component (core module $m) {thousands})")).unwrap();
    // Of several times the shortest: a busy machine makes a look long, not short.
    let look = || {
        let started = Instant::now();
        check(&thousands, "instance_limit: ");
        started.elapsed()
    };
    assert!((0..5).map(|_| look()).min().unwrap() <= Duration::from_secs(2));
    let memories = "(core instance (instantiate $m))".repeat(9);
    check_text(&format!("(component (core module $m (memory 1)) {memories})"), "instance_limit: ");
    let modules = "(core module)".repeat(300);
    check_text(
        &format!("(component {modules})"),
        "component_invalid: this is not a valid component: it has more than 256",
    );
    let nested = format!("{}{}", "(component ".repeat(20), ")".repeat(20));
    check_text(&nested, "component_invalid: this is not a valid component: it has more than 16 levels of nesting");
    let name = "a".repeat(600);
    check_text(
        &format!(
            "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) (func (export \"{name}\") (canon lift (core func $i \"f\"))))"
        ),
        "component_invalid: this is not a valid component: it has more than 512 bytes in one name",
    );
}

#[test]
fn monstrous_types_are_refused_or_not_callable() {
    let mut deep = "(type $t0 (tuple u8))".to_owned();
    for level in 1..1_000 {
        write!(deep, "(type $t{level} (tuple $t{}))", level - 1).unwrap();
    }
    let deep = format!(
        r#"(component {deep} (core module $m (func (export "f") (param i32))) (core instance $i (instantiate $m))
            (func (export "f") (param "x" $t999) (canon lift (core func $i "f"))))"#
    );
    check_text(&deep, "component_invalid: this is not a valid component");

    let mut wide = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..30 {
        write!(wide, "(type $t{level} (tuple $t{0} $t{0}))", level - 1).unwrap();
    }
    let wide = format!(
        r#"(component {wide} (core module $m (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0)) (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" $t29) (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r")))))"#
    );
    check_text(&wide, "component_invalid: this is not a valid component");

    let flags: String = (0..40).map(|index| format!("\"f{index}\" ")).collect();
    check_text(&format!("(component (type (flags {flags})))"), "component_invalid: ");
}

#[test]
fn what_json_cannot_carry_is_listed_with_its_reason() {
    let component = load(
        r#"(component
            (type $r' (resource (rep i32)))
            (export $r "handle" (type $r'))
            (core module $m (func (export "f") (param i32)) (func (export "g")))
            (core instance $i (instantiate $m))
            (func (export "use-it") (param "h" (own $r)) (canon lift (core func $i "f")))
            (func (export "run") (canon lift (core func $i "g"))))"#,
    );
    let tools: Vec<_> = component.tools.iter().map(|tool| tool.name.to_string()).collect();
    assert_eq!(tools, ["guest.run"]);
    let unsupported: Vec<_> =
        component.unsupported.iter().map(|item| format!("{}: {}", item.export, item.reason)).collect();
    assert_eq!(unsupported, ["use-it: it uses a resource, which only lives inside one call"]);
}

#[test]
fn descriptions_come_from_the_docs_section_or_from_the_signature() {
    let bytes = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func $f (param "count" u8) (param "sure" bool) (canon lift (core func $i "f")))
            (instance $tools (export "set" (func $f)))
            (export "local:demo/tools@0.1.0" (instance $tools)))"#,
    )
    .unwrap();
    let plain = load_bytes(&bytes);
    assert_eq!(plain.tools[0].description, "set(count: u8, sure: bool) of local:demo/tools@0.1.0");
    let set = || "local:demo/tools@0.1.0#set".to_owned();
    let parts = [("count".to_owned(), "How many.".to_owned())].into();
    let docs = Docs { functions: [(set(), "Sets it.".to_owned())].into(), parts: [(set(), parts)].into() };
    let documented = load_bytes(&stored::append(&bytes, &docs));
    assert_eq!(documented.tools[0].description, "Sets it.");
    let schema = documented.tools[0].input_schema.to_value().unwrap();
    assert_eq!(schema["properties"]["count"]["description"], "How many.");
    assert_ne!(plain.digest, documented.digest);

    let docs = Docs { functions: [(set(), "x".repeat(2049))].into(), ..Docs::default() };
    check(&stored::append(&bytes, &docs), "component_invalid: the component's description of its tools");
}

#[test]
fn imports_are_listed_with_their_capability() {
    let component = load(
        r#"(component (import "wasi:random/random@0.2.0" (instance)) (import "wasi:http/types@0.2.0" (instance)))"#,
    );
    let imports: Vec<_> =
        component.imports.iter().map(|import| format!("{} {:?}", import.name, import.capability)).collect();
    assert_eq!(imports, ["wasi:random/random@0.2.0 Random", "wasi:http/types@0.2.0 Http"]);
}
