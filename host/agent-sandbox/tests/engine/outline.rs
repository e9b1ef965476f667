//! What a component says it exports is bounded before anything is made of it: names, types and functions that a few kilobytes
//! spell out without measure.

use std::fmt::Write as _;

use crate::support::{echo, load, load_error};

fn reasons(text: &str) -> Vec<String> {
    load(text).unsupported.iter().map(|item| item.reason.clone()).collect()
}

/// An enum of two names, the first this long, exported as `$e`.
fn long_name(bytes: usize) -> String {
    format!(r#"(type $e' (enum "n{}" "b")) (export $e "e" (type $e'))"#, "a".repeat(bytes - 1))
}

fn record_of(member: &str, count: usize) -> String {
    let fields = (0..count).fold(String::new(), |mut fields, index| {
        let _ = write!(fields, r#"(field "f{index}" {member})"#);
        fields
    });
    format!(r#"(type $r' (record {fields})) (export $r "r" (type $r'))"#)
}

#[test]
fn a_long_name_is_counted_wherever_it_is_used() {
    let types = format!("{} {}", long_name(50_000), record_of("$e", 200));
    let reason = "the names in its types, written out, have more than 262144 bytes";
    assert_eq!(reasons(&echo(&types, "$r")), [reason]);
    let types = format!("{} {}", long_name(500), record_of("$e", 100));
    assert_eq!(reasons(&echo(&types, "$r")), [""; 0]);
}

#[test]
fn a_type_has_no_more_members_than_anybody_looks_through() {
    assert_eq!(
        reasons(&echo(&record_of("u8", 1_001), "$r")),
        ["one of its types has more than 1000 fields, cases or names"]
    );
    let names = (0..1_001).fold(String::new(), |names, index| format!("{names} \"n{index}\""));
    let types = format!(r#"(type $e' (enum {names})) (export $e "e" (type $e'))"#);
    let one = functions(&types, "(list $e)", "(param i32 i32)", 1);
    assert_eq!(reasons(&one), ["one of its types has more than 1000 fields, cases or names"]);
}

/// Functions without results, all of one type.
fn functions(types: &str, parameter: &str, core: &str, count: usize) -> String {
    let functions = (0..count).fold(String::new(), |mut functions, index| {
        let _ = write!(
            functions,
            r#"(func (export "f{index}") (param "x" {parameter}) (canon lift (core func $i "f")
                (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#
        );
        functions
    });
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "f") {core}))
            (core instance $i (instantiate $m))
            {types} {functions})"#
    )
}

/// Each within its own bound, and together more than a host wants to hold.
#[test]
fn functions_share_what_their_types_may_spell_out() {
    let component = load(&functions(&record_of("string", 900), "(list $r)", "(param i32 i32)", 150));
    let too_large = "the types of the functions before it are as large as those of one component may be";
    assert!(component.tools.len() > 90 && component.tools.len() < 150, "{}", component.tools.len());
    assert_eq!(component.tools.len() + component.unsupported.len(), 150);
    assert!(component.unsupported.iter().all(|item| item.reason == too_large), "{:?}", component.unsupported[0]);
}

#[test]
fn functions_are_not_without_number() {
    let many = functions("", "u8", "(param i32)", 1_001);
    let error = load_error(&wat::parse_str(many).unwrap());
    assert!(error.ends_with("it exports more than 1000 functions"), "{error}");
}

/// All of a schema goes to the model.
#[test]
fn a_schema_is_no_larger_than_one_that_a_component_wrote() {
    let types = format!("{} {}", long_name(200), record_of("$e", 300));
    let component = load(&echo(&types, "$r"));
    assert_eq!(component.tools.len(), 0);
    assert_eq!(component.unsupported[0].reason, "the schema of its arguments is larger than 65536 bytes");
}
