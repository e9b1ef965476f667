//! JSON in, JSON out, through real components.

use agent_core::limits::Limits;
use agent_sandbox::Sandbox;
use agent_sandbox::engine::Residue;
use agent_sandbox::sandbox::SandboxOptions;
use serde_json::json;

use crate::support::{call, echo, load, options, request, shown};

/// More than sixteen flat values, so that parameters and results both travel through memory.
const ORDER: &str = r#"
    (type $color' (enum "red" "green"))           (export $color "color" (type $color'))
    (type $marks' (flags "new" "sold" "rare"))    (export $marks "marks" (type $marks'))
    (type $size' (variant (case "none") (case "some" u32) (case "named" string)))  (export $size "size" (type $size'))
    (type $order' (record
        (field "id" u64) (field "delta" s64) (field "small" s8) (field "letter" char) (field "share" float32)
        (field "price" float64) (field "title" string) (field "note" (option string)) (field "color" $color)
        (field "marks" $marks) (field "size" $size) (field "pair" (tuple bool u16)) (field "items" (list u8))
        (field "sure" bool) (field "outcome" (result string (error u8)))))
    (export $order "order" (type $order'))"#;

async fn check_order(change: &str, expected: &str) {
    let component = load(&echo(ORDER, "$order"));
    let mut order = order();
    let (key, value) = change.split_once('=').unwrap_or(("", "null"));
    if !key.is_empty() {
        order[key] = serde_json::from_str(value).unwrap();
    }
    let said = shown(&call(&component, "echo", &order.to_string()).await.outcome);
    if expected.is_empty() {
        assert_eq!(said, format!("returned {order}"));
    } else {
        assert_eq!(said, expected);
    }
}

fn order() -> serde_json::Value {
    json!({
        "id": u64::MAX.to_string(), "delta": i64::MIN.to_string(), "small": -128, "letter": "ß", "share": 0.1, "price": 1e300, "title": "a \"b\"\n",
        "note": null, "color": "green", "marks": ["new", "rare"], "size": { "named": "XL" }, "pair": [true, 65535],
        "items": "AP8=", "sure": false, "outcome": { "err": 7 },
    })
}

#[tokio::test]
async fn every_kind_of_value_goes_in_and_comes_out_the_same() {
    check_order("", "").await;
    check_order("size=\"none\"", "").await;
    check_order("note=\"x\"", "").await;
    check_order("outcome={\"ok\":\"fine\"}", "").await;
}

#[tokio::test]
async fn wrong_arguments_never_reach_the_guest() {
    check_order(
        "pair=[true,65536]",
        "args_invalid: arguments.pair[1]: expected an integer from 0 to 65535, found `65536`",
    )
    .await;
    check_order("colour=1", "args_invalid: arguments.colour: unknown field; expected `id`, `delta`, `small`, `letter`, `share`, `price`, `title`, …`").await;
    check_order(
        "marks=[\"old\"]",
        "args_invalid: arguments.marks[0]: expected one of `new`, `sold`, `rare`, found `old`",
    )
    .await;
    let component = load(&echo(ORDER, "$order"));
    let report = call(&component, "echo", "[]").await;
    assert_eq!(shown(&report.outcome), "args_invalid: arguments: expected an object, found an array");
    assert_eq!(report.metering, agent_core::outcome::Metering::nothing());
    let report = call(&component, "ecco", "{}").await;
    assert_eq!(shown(&report.outcome), "unknown_tool: `guest` has no operation `ecco`");
}

#[test]
fn a_function_of_one_record_takes_its_fields() {
    let component = load(&echo(ORDER, "$order"));
    let schema = component.tools[0].input_schema.to_value().unwrap();
    assert_eq!(schema["properties"]["note"], json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }));
    assert_eq!(schema["required"].as_array().unwrap().len(), 14);
    assert!(schema["properties"].get("value").is_none());
}

/// A component whose function returns `(result string (error string))`, depending on its parameter.
const FALLIBLE: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (data (i32.const 100) "all wrong")
        (func (export "run") (param i32) (result i32)
            (i32.store (i32.const 0) (local.get 0))
            (i32.store (i32.const 4) (i32.const 100))
            (i32.store (i32.const 8) (i32.const 9))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "run") (param "fail" bool) (result (result string (error string)))
        (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#;

#[tokio::test]
async fn an_error_of_the_tool_is_a_failure_not_a_fault() {
    let component = load(FALLIBLE);
    assert_eq!(shown(&call(&component, "run", r#"{"fail":true}"#).await.outcome), "failed all wrong");
    assert_eq!(shown(&call(&component, "run", r#"{"fail":false}"#).await.outcome), "returned \"all wrong\"");
}

#[tokio::test]
async fn a_float_that_json_cannot_say_is_said_in_words() {
    let component = load(
        r#"(component
            (core module $m (func (export "run") (result f64) (f64.div (f64.const 0) (f64.const 0))))
            (core instance $i (instantiate $m))
            (func (export "run") (result float64) (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(shown(&call(&component, "run", "{}").await.outcome), "returned \"NaN\"");
}

/// Takes bytes and a text, and gives back the bytes or, where there are none, the text as its error.
const BYTES: &str = r#"(component
    (core module $m
        (memory (export "memory") 64)
        (global $free (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))
        (func (export "run") (param $bytes i32) (param $count i32) (param $text i32) (param $length i32) (result i32)
            (i32.store (i32.const 0) (i32.eqz (local.get $count)))
            (i32.store (i32.const 4) (select (local.get $bytes) (local.get $text) (local.get $count)))
            (i32.store (i32.const 8) (select (local.get $count) (local.get $length) (local.get $count)))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "run") (param "bytes" (list u8)) (param "text" string) (result (result (list u8) (error string)))
        (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;

#[tokio::test]
async fn many_bytes_go_in_and_out_as_base64() {
    let component = load(BYTES);
    let base64 = "AAECAwQF".repeat(80_000);
    let arguments = format!(r#"{{"bytes":"{base64}","text":""}}"#);
    assert_eq!(shown(&call(&component, "run", &arguments).await.outcome), format!("returned \"{base64}\""));
    let none = r#"{"text":"no bytes","bytes":[]}"#;
    assert_eq!(shown(&call(&component, "run", none).await.outcome), "failed no bytes");
    let wrong = shown(&call(&component, "run", r#"{"text":1,"bytes":""}"#).await.outcome);
    assert_eq!(wrong, "args_invalid: arguments.text: expected a string, found `1`");
    let missing = shown(&call(&component, "run", r#"{"text":""}"#).await.outcome);
    assert_eq!(missing, "args_invalid: arguments.bytes: missing; expected a string of base64");
}

/// A text that is none: its two bytes are no UTF-8.
const NO_TEXT: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (data (i32.const 8) "\c3\28")
        (func (export "run") (result i32)
            (i32.store (i32.const 0) (i32.const 8))
            (i32.store (i32.const 4) (i32.const 2))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "run") (result string) (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#;

#[tokio::test]
async fn a_text_that_is_no_utf_8_is_a_fault_of_the_tool() {
    let said = shown(&call(&load(NO_TEXT), "run", "{}").await.outcome);
    assert!(said.contains("utf-8"), "{said}");
}

#[tokio::test]
async fn arguments_that_are_too_much_are_refused_before_the_guest_starts() {
    let component = load(BYTES);
    let large = format!(r#"{{"bytes":"","text":"{}"}}"#, "x".repeat(10 << 20));
    let said = shown(&call(&component, "run", &large).await.outcome);
    assert_eq!(said, "args_invalid: arguments: larger than 1048576 bytes");
    let deep = format!(r#"{{"bytes":"","text":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let said = shown(&call(&component, "run", &deep).await.outcome);
    assert!(said.starts_with("args_invalid: arguments.text[0]") && said.ends_with("nested deeper than 64"), "{said}");
}

/// Returns the disjunction of all its memory, plus how often it was called in this instance; then fills its memory.
const TENANT: &str = r#"(component
    (core module $m
        (memory 4)
        (global $count (mut i32) (i32.const 0))
        (func (export "run") (result i32)
            (local $at i32) (local $sum i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (loop $l
                (local.set $sum (i32.or (local.get $sum) (i32.load (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (br_if $l (i32.lt_u (local.get $at) (i32.const 262144))))
            (memory.fill (i32.const 0) (i32.const 255) (i32.const 262144))
            (i32.add (local.get $sum) (global.get $count))))
    (core instance $i (instantiate $m))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;

#[tokio::test]
async fn nothing_of_one_call_is_left_for_the_next() {
    for residue in [Residue::Kept, Residue::Wiped] {
        let sandbox = Sandbox::new(SandboxOptions { residue, ..options() }).unwrap();
        let component = sandbox.load(&"guest".parse().unwrap(), &wat::parse_str(TENANT).unwrap()).unwrap();
        for _ in 0..20 {
            let report = sandbox.call(&component, request("run", "{}", Limits::STANDARD)).await.unwrap();
            assert_eq!(shown(&report.outcome), "returned 1", "{residue:?}");
        }
    }
}

/// Two components in one, each with a memory of its own, that pass texts to each other: what composition tools make.
const COMPOSED: &str = r#"(component
    (component $inner
        (core module $m
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3))))
            (func (export "twice") (param $at i32) (param $length i32) (result i32)
                (memory.copy (i32.const 8192) (local.get $at) (local.get $length))
                (memory.copy (i32.add (i32.const 8192) (local.get $length)) (local.get $at) (local.get $length))
                (i32.store (i32.const 0) (i32.const 8192))
                (i32.store (i32.const 4) (i32.shl (local.get $length) (i32.const 1)))
                (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "twice") (param "text" string) (result string)
            (canon lift (core func $i "twice") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
    (component $outer
        (import "twice" (func $twice (param "text" string) (result string)))
        (core module $libc
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3)))))
        (core instance $libc (instantiate $libc))
        (core func $twice' (canon lower (func $twice)
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "twice" (func $twice (param i32 i32 i32)))
            (func (export "run") (param i32 i32) (result i32)
                (call $twice (local.get 0) (local.get 1) (i32.const 16))
                (i32.const 16)))
        (core instance $i (instantiate $m (with "" (instance (export "twice" (func $twice'))))))
        (func (export "run") (param "text" string) (result string)
            (canon lift (core func $i "run")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
    (instance $inner (instantiate $inner))
    (instance $outer (instantiate $outer (with "twice" (func $inner "twice"))))
    (export "run" (func $outer "run")))"#;

#[tokio::test]
async fn a_component_made_of_components_is_called() {
    let said = shown(&call(&load(COMPOSED), "run", r#"{"text":"aß"}"#).await.outcome);
    assert_eq!(said, "returned \"aßaß\"");
}
