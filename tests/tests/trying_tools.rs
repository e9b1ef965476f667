//! `tool test` and `tool check` where something is wrong, as an author sees it: a check that found nothing would be none. That all is
//! well with tools of every language is in `languages` and `other_languages`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use agent_tests::{Said, World, tool};
use serde_json::Value;

/// The tool `files` in a folder of its own, with these cases.
fn with_cases(world: &World, cases: &str) {
    for name in ["tool.toml", "files.wasm"] {
        world.write(&format!("files/{name}"), fs::read(format!("{}/{name}", tool("files"))).expect("it is built"));
    }
    world.write("files/tests.toml", cases);
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
    with_cases(&world, &writing("whatever it does", ""));
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
    with_cases(&world, &cases.concat());
    let (said, cases) = tested(&world);
    assert_eq!(said.code, Some(1), "{said:?}");
    let passed: Vec<_> = cases.iter().map(|case| case["passed"] == true).collect();
    assert_eq!(passed, [true, false, false, false], "{said:?}");
    let did = format!("but it did: {}", done.join(", "));
    for (case, expected) in cases[1..].iter().zip([one_less.join(", "), one_more.join(", "), "nothing".to_owned()]) {
        let expected = if expected.is_empty() { "nothing".to_owned() } else { expected };
        assert_eq!(case["wrong"], serde_json::json!([format!("expected it to do: {expected}"), did]), "{case}");
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
    with_cases(&world, &cases.concat());
    let (said, cases) = tested(&world);
    assert_eq!(said.code, Some(1), "{said:?}");
    let wrong: Vec<_> = cases.iter().map(|case| &case["wrong"]).collect();
    let expected = serde_json::json!([[], ["it left another `a.txt`: \"one\\n\""], ["it left no file `b.txt`"]]);
    assert_eq!(serde_json::json!(wrong), expected, "{said:?}");
}
