//! Components that nobody would write down: too large, too many, too deep. Each has a name and a size, which a case states.

use std::fmt::Write as _;

use crate::bombs;

/// The bytes of a component.
pub(crate) fn generate(name: &str, count: u64) -> Result<Vec<u8>, String> {
    if let Some(bomb) = bombs::generate(name, count) {
        return bomb;
    }
    let text = match name {
        "core_instances" => core_instances(count),
        "nested_type" => nested_type(count),
        "flags" => flags(count),
        "large_frame" => large_frame(count),
        _ => return Err(format!("there is no generator `{name}`")),
    };
    wat::parse_str(text).map_err(|error| error.to_string())
}

/// An exported function `run` that does nothing, and these definitions.
fn with_run(definitions: &str) -> String {
    format!(
        r#"(component
            {definitions}
            (core module $run (func (export "run")))
            (core instance $run (instantiate $run))
            (func (export "run") (canon lift (core func $run "run"))))"#
    )
}

/// As many core instances of an empty module.
fn core_instances(count: u64) -> String {
    let instances: String = (0..count).map(|_| "(core instance (instantiate $empty))\n").collect();
    with_run(&format!("(core module $empty)\n{instances}"))
}

/// A function that takes a list of a list of a list, as deep as that.
fn nested_type(count: u64) -> String {
    let mut types = "(type $t0 (list u8))\n".to_owned();
    for level in 1..count {
        // Writing into a string cannot fail.
        let _ = writeln!(types, "(type $t{level} (list $t{}))", level - 1);
    }
    takes(&types, &format!("$t{}", count.saturating_sub(1)))
}

/// A function that takes one of so many flags.
fn flags(count: u64) -> String {
    let names: String = (0..count).map(|number| format!(" \"f{number}\"")).collect();
    takes(&format!("(type $flags (flags{names}))"), "$flags")
}

/// A function that calls itself and has this many vectors to keep meanwhile: its frame is 16 times as many bytes.
fn large_frame(count: u64) -> String {
    let locals = "(local v128)".repeat(usize::try_from(count).unwrap_or(usize::MAX));
    let loads: String = (0..count).map(|n| format!("(local.set {n} (v128.load (i32.const {})))", n * 16)).collect();
    let stores: String = (0..count).map(|n| format!("(v128.store (i32.const {}) (local.get {n}))", n * 16)).collect();
    format!(
        r#"(component
            (core module $m (memory 12) (func $f (export "run") {locals} {loads} (call $f) {stores}))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

fn takes(types: &str, parameter: &str) -> String {
    format!(
        r#"(component
            {types}
            (export $shown "shown" (type {parameter}))
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "run") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "run") (param "x" $shown)
                (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    )
}
