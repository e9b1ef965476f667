//! `tool test` and `tool check` where something is wrong, as an author sees it: a check that found nothing would be none. That all is
//! well with tools of every language is in `languages` and `other_languages`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;

use agent_tests::{Said, World, guest, tool};
use serde_json::{Value, json};

/// A bundled tool in a folder of its own, with these cases.
fn with_cases(world: &World, name: &str, cases: &str) {
    for file in ["tool.toml", &format!("{name}.wasm")] {
        world.write(&format!("{name}/{file}"), fs::read(format!("{}/{file}", tool(name))).expect("it is built"));
    }
    world.write(&format!("{name}/tests.toml"), cases);
}

/// A case that writes `a.txt`, with what it says more.
fn writing(name: &str, more: &str) -> String {
    format!(
        "[[case]]\nname = \"{name}\"\ncall = \"write\"\narguments = {{ path = \"a.txt\", content = \"one\\n\" }}\n\
         contains = \"a.txt\"\n{more}\n"
    )
}

/// What `tool test --json` says of each case, by its name.
fn tested(world: &World) -> (Said, Vec<Value>) {
    let said = world.run(&["tool", "test", "--json", "files"]);
    let cases = said.out.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    (said, cases)
}

#[test]
fn a_case_that_expects_other_effects_fails() {
    let world = World::new();
    with_cases(&world, "files", &writing("whatever it does", ""));
    let (said, cases) = tested(&world);
    assert_eq!((said.code, &cases[0]["passed"]), (Some(0), &true.into()), "{said:?}");
    let done: Vec<String> = serde_json::from_value(cases[0]["effects"].clone()).expect("texts");
    assert!(done.iter().any(|effect| effect == "write /data/a.txt"), "{done:?}");
    // All that it does but what it was refused, which counts only where a case names a refusal.
    let done: Vec<_> = done.into_iter().filter(|effect| !effect.starts_with("refused: ")).collect();

    let effects = |effects: &[String]| format!("effects = {effects:?}");
    let (one_less, one_more) = (&done[1..], [&done[..], &["read /data/b.txt".to_owned()]].concat());
    let cases = [
        writing("all of it", &effects(&done)),
        writing("one less", &effects(one_less)),
        writing("one more", &effects(&one_more)),
        writing("nothing", "effects = []"),
    ];
    with_cases(&world, "files", &cases.concat());
    let (said, cases) = tested(&world);
    assert_eq!(said.code, Some(1), "{said:?}");
    let passed: Vec<_> = cases.iter().map(|case| case["passed"] == true).collect();
    assert_eq!(passed, [true, false, false, false], "{said:?}");
    let did = format!("but it did: {}", done.join(", "));
    for (case, expected) in cases[1..].iter().zip([one_less.join(", "), one_more.join(", "), "nothing".to_owned()]) {
        let expected = if expected.is_empty() { "nothing".to_owned() } else { expected };
        assert_eq!(case["wrong"], json!([format!("expected it to do: {expected}"), did]), "{case}");
    }
    let shown = world.run(&["tool", "test", "files"]);
    assert!(shown.code == Some(1) && shown.out.ends_with("1 passed, 3 failed\n"), "{shown:?}");
    assert!(shown.out.contains(&did) && shown.out.contains("tests.toml:"), "{shown:?}");
}

#[test]
fn a_case_that_expects_other_files_afterwards_fails() {
    let world = World::new();
    let cases = [
        writing("as it is", r#"leaves = { "a.txt" = "one\n" }"#),
        writing("another text", r#"leaves = { "a.txt" = "two\n" }"#),
        writing("another file", r#"leaves = { "b.txt" = "one\n" }"#),
    ];
    with_cases(&world, "files", &cases.concat());
    let (said, cases) = tested(&world);
    assert_eq!(said.code, Some(1), "{said:?}");
    let wrong: Vec<_> = cases.iter().map(|case| &case["wrong"]).collect();
    let expected = json!([[], ["it left another `a.txt`: \"one\\n\""], ["it left no file `b.txt`"]]);
    assert_eq!(json!(wrong), expected, "{said:?}");
}

/// What `tool check --json` finds out, and how it ended.
fn checked(world: &World, path: &str) -> (Option<i32>, Value) {
    let said = world.run(&["tool", "check", "--json", path]);
    let found = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (said.code, found)
}

#[test]
fn a_check_measures_compiling_loading_and_calls() {
    let world = World::new();
    let case =
        "[[case]]\nname = \"a sum\"\ncall = \"evaluate\"\narguments = { expression = \"1 + 2\" }\nreturns = \"3\"\n";
    with_cases(&world, "calc", case);
    let (code, found) = checked(&world, "calc");
    assert_eq!((code, &found["problems"]), (Some(0), &json!([])), "{found}");
    let timing = &found["timing"];
    assert_eq!((&timing["call"], &timing["ended"]), (&json!("calc.evaluate, a sum"), &json!("returned")), "{timing}");
    let ms = |key: &str| timing[key].as_f64().unwrap_or_else(|| panic!("{key}: {timing}"));
    let parts = ["compile_ms", "load_ms", "first_call_ms"].map(ms);
    assert!(parts.iter().chain([&ms("warm_call_ms")]).all(|part| *part > 0.0), "{timing}");
    assert!((ms("cold_call_ms") - parts.iter().sum::<f64>()).abs() < 0.001, "{timing}");
    // It is compiled for each check, whatever the cache of this machine has.
    assert!(ms("cold_call_ms") > ms("warm_call_ms") && ms("compile_ms") > ms("load_ms"), "{timing}");
    let shown = world.run(&["tool", "check", "calc"]).ok();
    for line in ["  cold  ", "  warm  ", "  of    calc.evaluate, a sum (returned)"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

/// A function without a comment, one with a resource, and an import that nobody declared.
const UNFINISHED: &str = r#"(component
    (import "wasi:cli/environment@0.2.3" (instance (export "initial-cwd" (func (result (option string))))))
    (type $r' (resource (rep i32)))
    (export $r "handle" (type $r'))
    (core module $m (func (export "f") (param i32)) (func (export "g") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "use-it") (param "h" (own $r)) (canon lift (core func $i "f")))
    (func (export "seven") (result u8) (canon lift (core func $i "g"))))"#;

#[test]
fn a_check_finds_what_is_wrong() {
    let world = World::new();
    world.write("unfinished/unfinished.wasm", wat::parse_str(UNFINISHED).expect("a component"));
    let manifest = "[tool]\nname = \"unfinished\"\nversion = \"1\"\ndescription = \"Not done.\"\n\
                    [[capabilities.fs]]\nmount = \"/data\"\naccess = \"read\"\n";
    world.write("unfinished/tool.toml", manifest);
    world.write("nothing.wasm", wat::parse_str("(component)").expect("a component"));
    let (code, found) = checked(&world, "unfinished");
    let words = |key: &str| -> Vec<String> { serde_json::from_value(found[key].clone()).expect("texts") };
    let (problems, notes) = (words("problems"), words("notes"));
    assert_eq!(code, Some(1), "{found}");
    let expected =
        ["`tool.toml` asks for files, and the component imports nothing", "unfinished.seven has no description"];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    assert!(problems.iter().zip(expected).all(|(said, expected)| said.starts_with(expected)), "{problems:?}");
    let expected = ["it imports variables and does not ask for them", "`use-it` is not offered: it uses a resource"];
    assert_eq!(notes.len(), expected.len(), "{notes:?}");
    assert!(notes.iter().zip(expected).all(|(said, expected)| said.starts_with(expected)), "{notes:?}");
    let shown = world.run(&["tool", "check", "unfinished"]);
    let lines = |begin: &str| shown.out.lines().filter(|line| line.starts_with(begin)).count();
    assert_eq!((shown.code, lines("problem: "), lines("note: ")), (Some(1), 2, 2), "{shown:?}");

    let (code, found) = checked(&world, "nothing.wasm");
    assert_eq!(code, Some(1), "{found}");
    assert_eq!(found["problems"], json!(["it exports nothing that can be a tool"]));
}

/// Two tools of this guest write into their schemas what types do not bring about.
#[test]
fn a_schema_that_a_model_provider_refuses_is_found() {
    let (code, found) = checked(&World::new(), &guest("conformance"));
    let problems: BTreeSet<String> = serde_json::from_value(found["problems"].clone()).expect("texts");
    let why = "not every model provider accepts the schema of its arguments";
    let expected = [
        ("json_schema_2020_12_tool", "`$defs.address`: the keyword `$anchor`"),
        ("json_schema_2020_12_tool", "`allOf` at the outermost level"),
        ("json_schema_2020_12_tool", "the keyword `else`"),
        ("json_schema_2020_12_tool", "the keyword `if`"),
        ("json_schema_2020_12_tool", "the keyword `then`"),
        ("test_region", "`region`: the keyword `x-mcp-header`"),
    ];
    assert_eq!(problems, expected.map(|(tool, problem)| format!("conformance.{tool}: {why}: {problem}")).into());
    assert_eq!(code, Some(1));
}
