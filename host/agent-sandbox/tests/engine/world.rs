//! Components of our own world, written by hand: what they list and what they answer.

use crate::support::{call, load, load_bytes, load_error, shown};

/// A component that lists one tool of this name and schema, and answers each call with this one part.
fn tool(name: &str, schema: &str, list: &str, part: u8, text: &str) -> String {
    let (schema_text, text_bytes) = (wat_string(schema), wat_string(text));
    let (name_len, schema_len, text_len) = (name.len(), schema.len(), text.len());
    format!(
        r#"(component
        (core module $m
            (memory (export "memory") 4)
            (global $free (mut i32) (i32.const 131072))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free) (global.set $free (i32.add (global.get $free) (i32.add (local.get 3) (i32.const 8)))))
            (data (i32.const 256) "{name}")
            (data (i32.const 512) "Echoes.")
            (data (i32.const 1024) "{schema_text}")
            (data (i32.const 65536) "{text_bytes}")
            (func (export "list") (result i32)
                {list}
                (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 1))
                (i32.store (i32.const 8) (i32.const 256)) (i32.store (i32.const 12) (i32.const {name_len}))
                (i32.store (i32.const 16) (i32.const 512)) (i32.store (i32.const 20) (i32.const 7))
                (i32.store (i32.const 24) (i32.const 1024)) (i32.store (i32.const 28) (i32.const {schema_len}))
                (i32.store (i32.const 32) (i32.const 0))
                (i32.const 0))
            (func (export "call") (param i32 i32 i32 i32) (result i32)
                (i32.store (i32.const 64) (i32.const 0))
                (i32.store (i32.const 68) (i32.const 80)) (i32.store (i32.const 72) (i32.const 1))
                (i32.store (i32.const 80) (i32.const {part}))
                (i32.store (i32.const 84) (i32.const 65536)) (i32.store (i32.const 88) (i32.const {text_len}))
                (i32.const 64)))
        (core instance $i (instantiate $m))
        (type $info' (record (field "name" string) (field "description" string) (field "input-schema" string) (field "output-schema" (option string))))
        (type $media' (record (field "mime-type" string) (field "data" (list u8))))
        (type $body' (variant (case "text" string) (case "blob" (list u8))))
        (component $types
            (type $info' (record (field "name" string) (field "description" string) (field "input-schema" string) (field "output-schema" (option string))))
            (type $media' (record (field "mime-type" string) (field "data" (list u8))))
            (type $body' (variant (case "text" string) (case "blob" (list u8))))
            (export $info "tool-info" (type $info'))
            (export $media "media" (type $media'))
            (export $body "resource-body" (type $body'))
            (type $content' (record (field "uri" string) (field "mime-type" (option string)) (field "body" $body)))
            (export $content "resource-content" (type $content'))
            (type $part' (variant (case "text" string) (case "json" string) (case "image" $media) (case "audio" $media) (case "embedded" $content)))
            (export "part" (type $part')))
        (instance $types (instantiate $types))
        (alias export $types "tool-info" (type $info))
        (alias export $types "part" (type $part))
        (func $list (result (list $info)) (canon lift (core func $i "list") (memory (core memory $i "memory"))))
        (func $call (param "name" string) (param "arguments" string) (result (result (list $part) (error string)))
            (canon lift (core func $i "call") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
        (export $types-out "agent-host:tool/types@0.1.0" (instance $types))
        (alias export $types-out "tool-info" (type $info-out))
        (alias export $types-out "part" (type $part-out))
        (instance $tools
            (export "tool-info" (type $info-out)) (export "part" (type $part-out))
            (export "list-tools" (func $list)) (export "call-tool" (func $call)))
        (export "agent-host:tool/tools@0.1.0" (instance $tools)))"#
    )
}

fn wat_string(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

const SCHEMA: &str = r#"{"type":"object","properties":{"x":{"type":"integer"}}}"#;

#[tokio::test]
async fn a_tool_of_our_world_describes_itself_and_answers() {
    let component = load(&tool("echo", SCHEMA, "", 0, "hello"));
    assert_eq!(component.door, agent_sandbox::describe::Door::World);
    let described = &component.tools[0];
    assert_eq!((described.name.to_string().as_str(), described.description.as_str()), ("guest.echo", "Echoes."));
    assert_eq!(described.input_schema.as_str(), SCHEMA);
    assert_eq!(shown(&call(&component, "echo", "{}").await.outcome), "returned \"hello\"");
    assert_eq!(shown(&call(&component, "other", "{}").await.outcome), "unknown_tool: `guest` has no operation `other`");
}

/// Which version the component wants, which this host has.
#[test]
fn a_component_of_another_version_of_our_world_is_told_so() {
    let error = |text: &str| load_error(&wat::parse_str(text).unwrap());
    let own = tool("echo", SCHEMA, "", 0, "");
    let made_for = |interface: &str| {
        format!(
            "component_invalid: the component is made for `agent-host:tool/{interface}`, and this host has `agent-host:tool@0.1.0`"
        )
    };
    assert_eq!(error(&own.replace("@0.1.0", "@0.2.0")), made_for("types@0.2.0"));
    load(&own.replace("@0.1.0", "@0.1.7"));
    let field = "(field \"output-schema\" (option string))";
    let with_a_field = own.replace(field, &format!("{field} (field \"later\" bool)"));
    let newer = error(&with_a_field.replace("@0.1.0", "@0.1.7"));
    assert!(newer.starts_with(&format!("{}: ", made_for("tools@0.1.7"))), "{newer}");
    assert!(newer.contains("expected record of 4 fields, found 5"), "{newer}");
    let same = error(&with_a_field);
    assert!(same.starts_with(&format!("{}, though another state of it: ", made_for("tools@0.1.0"))), "{same}");
}

#[test]
fn an_import_of_another_version_of_our_world_is_told_so() {
    let import = |interface: &str, function: &str| {
        let text = format!(r#"(component (import "agent-host:tool/{interface}" (instance {function})))"#);
        load_error(&wat::parse_str(text).unwrap())
    };
    let later = r#"(export "later" (func))"#;
    let made_for = "component_invalid: the component is made for `agent-host:tool/host@";
    assert!(import("host@0.2.0", later).starts_with(&format!("{made_for}0.2.0`, and this host has")));
    let patch = import("host@0.1.3", later);
    assert!(patch.starts_with(&format!("{made_for}0.1.3`, and this host has")) && patch.contains("`later`"), "{patch}");
    assert_eq!(import("host@0.1.3", ""), "loaded");
}

async fn check_json(text: &str, expected: &str) {
    let component = load(&tool("echo", SCHEMA, "", 1, text));
    let said = shown(&call(&component, "echo", "{}").await.outcome);
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
async fn the_json_of_a_guest_is_kept_as_written_or_refused() {
    check_json(r#"{"n": 18446744073709551616.10}"#, r#"returned {"n": 18446744073709551616.10}"#).await;
    let problem = "result_invalid: the tool's result cannot be used: ";
    check_json("[1e400]", &format!("{problem}the number `1e400` is beyond")).await;
    check_json(&format!("[{}]", "9".repeat(10_000)), &format!("{problem}the number `999")).await;
    check_json(r#"{"a":1,"a":2}"#, &format!("{problem}result: the key `a` occurs twice")).await;
    check_json("{", &format!("{problem}result: ")).await;
    check_json("NaN", &format!("{problem}result: ")).await;
    check_json(&"[".repeat(60_000), &format!("{problem}result")).await;
}

#[test]
fn a_component_that_cannot_describe_itself_is_refused() {
    let error = |text: &str| load_error(&wat::parse_str(text).unwrap());
    let problem = "component_invalid: the component's description of its tools cannot be used: ";
    assert_eq!(error(&tool("Echo", SCHEMA, "", 0, "")), format!("{problem}`Echo` is not a tool name"));
    assert_eq!(
        error(&tool("echo", "[]", "", 0, "")),
        format!("{problem}tool `echo`: its schema is not of type `object`")
    );
    assert!(error(&tool("echo", SCHEMA, "unreachable", 0, "")).starts_with(&format!("{problem}guest_trap: ")));
    assert!(
        error(&tool("echo", SCHEMA, "(loop $l (br $l))", 0, "")).starts_with(&format!("{problem}fuel_exhausted: "))
    );
    load_bytes(&wat::parse_str(tool("echo", SCHEMA, "", 0, "")).unwrap());
}
