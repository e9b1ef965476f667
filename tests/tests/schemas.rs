//! What every bundled tool tells models of itself, those in other languages too: names, descriptions, and schemas of arguments and
//! results, by another's word on what a schema is and by what providers document. Others are built by `cargo xtask languages`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use agent_tests::{World, given, guest};
use serde_json::Value;

/// Every bundled tool, as `tool list` tells of it, and the guest that exports every WIT type.
fn listed() -> Vec<Value> {
    let tools = given("AGENT_HOST_TEST_TOOLS");
    let (own, others) = (tools.display().to_string(), tools.join("other-languages").display().to_string());
    let plain = guest("plain");
    let said = World::new().run(&["tool", "list", "--json", "--tools", &own, "--tools", &others, "--tools", &plain]);
    serde_json::from_str(&said.ok()).expect("a JSON array")
}

fn name(tool: &Value) -> &str {
    tool["name"].as_str().expect("a name")
}

/// The folders with a `tool.toml`: none of the bundled tools is left out because it is not built.
fn bundled() -> BTreeSet<String> {
    let tools = given("AGENT_HOST_TEST_TOOLS");
    let mut names = BTreeSet::new();
    for folder in [tools.clone(), tools.join("other-languages")] {
        for entry in folder.read_dir().expect("a folder of tools").flatten() {
            if entry.path().join("tool.toml").is_file() {
                names.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    names
}

#[test]
fn every_bundled_tool_describes_itself_to_a_model() {
    let mut listed = listed();
    listed.retain(|tool| !name(tool).starts_with("plain."));
    let components: BTreeSet<_> = listed.iter().filter_map(|tool| name(tool).split('.').next()).collect();
    assert_eq!(components, bundled().iter().map(String::as_str).collect());
    let mut names: Vec<_> = listed.iter().map(name).collect();
    names.sort_unstable();
    let expected = [
        "archive.extract",
        "archive.list",
        "archive.read",
        "calc.evaluate",
        "fetch.get",
        "files.edit",
        "files.list",
        "files.read",
        "files.search",
        "files.write",
        "javascript.run",
        "notes.forget",
        "notes.list",
        "notes.recall",
        "notes.remember",
        "notes.search",
        "python.run",
        "python.run-file",
        "shell.run",
        "table.describe",
        "table.query",
    ];
    assert_eq!(names, expected);
    for tool in &listed {
        let said = tool["description"].as_str().unwrap_or_default();
        // Words, and not what is made up of a signature where nothing is said.
        assert!(said.len() > 10 && !said.contains("->") && said.contains(' '), "{tool}");
        assert_eq!(
            (&tool["input_schema"]["type"], &tool["input_schema"]["additionalProperties"]),
            (&"object".into(), &false.into())
        );
        let wire = tool["wire_name"].as_str().expect("a wire name");
        let in_alphabet = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(wire.len() <= 64 && wire.chars().all(in_alphabet), "{wire}");
    }
}

#[test]
fn every_schema_keeps_to_what_model_providers_accept() {
    let listed = listed();
    check_results(&listed);
    for tool in &listed {
        let (name, schema) = (name(tool), &tool["input_schema"]);
        is_a_schema(name, schema);
        assert_eq!(schema["type"], "object", "{name}: providers take an object only");
        for keyword in ["anyOf", "oneOf", "allOf", "not", "enum"] {
            assert!(schema.get(keyword).is_none(), "{name}: `{keyword}` at the outermost level is refused");
        }
        let mut properties = 0;
        check_schema(schema, name, 0, &mut properties);
        assert!(properties <= 5_000, "{name}: {properties} properties");
    }
}

/// What a tool returns goes to programs, by MCP: no provider bounds it.
fn check_results(listed: &[Value]) {
    let with_result: Vec<_> = listed.iter().filter(|tool| !tool["output_schema"].is_null()).collect();
    for tool in &with_result {
        is_a_schema(name(tool), &tool["output_schema"]);
    }
    // Of each way to have one: a component that lists its tools itself, and exported functions.
    for wanted in ["files.", "plain.", "archive."] {
        assert!(with_result.iter().any(|tool| name(tool).starts_with(wanted)), "{wanted} has none");
    }
}

fn is_a_schema(name: &str, schema: &Value) {
    if let Err(problem) = jsonschema::draft202012::meta::validate(schema) {
        panic!("{name}: no JSON Schema 2020-12: {problem}: {schema}");
    }
}

/// The rules that OpenAI and Anthropic document for schemas of tools; where they differ, the narrower.
fn check_schema(schema: &Value, name: &str, depth: usize, properties: &mut usize) {
    const KEYWORDS: [&str; 19] = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maximum",
        "maxItems",
        "minimum",
        "minItems",
        "pattern",
        "properties",
        "required",
        "type",
    ];
    assert!(depth <= 10, "{name}: nested deeper than is accepted");
    let members = schema.as_object().unwrap_or_else(|| panic!("{name}: {schema} is no object"));
    for (keyword, value) in members {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{name}: `{keyword}` is not accepted everywhere");
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => {
                for (key, schema) in named {
                    *properties += 1;
                    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
                    assert!((1..=64).contains(&key.len()) && key.chars().all(plain), "{name}: property `{key}`");
                    check_schema(schema, name, depth + 1, properties);
                }
            }
            ("items", schema) => check_schema(schema, name, depth + 1, properties),
            ("additionalProperties", Value::Object(_)) => check_schema(value, name, depth + 1, properties),
            ("anyOf", Value::Array(schemas)) => {
                schemas.iter().for_each(|schema| check_schema(schema, name, depth, properties));
            }
            ("enum", Value::Array(values)) => assert!(values.len() <= 1_000, "{name}: {} values", values.len()),
            _ => {}
        }
    }
    if members.get("type").is_some_and(|ty| ty == "array") {
        assert!(members.contains_key("items"), "{name}: an array without `items` is refused");
    }
}
