//! A tool in each language that `tool new` knows: begun, built, checked, tested and called, as its author types it. The compilers
//! are those that `cargo xtask languages` put into the user's cache folder; a missing one is a failure.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use agent_tests::{Said, World};
use serde_json::Value;

/// The verbs with the user's own compilers.
struct Author(World);

impl Author {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(arguments);
        for name in ["HOME", "XDG_CACHE_HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.0.said(&self.command(arguments).output().expect("the program starts"))
    }
}

/// Begins a tool and does with it all that its README says. Gives back what `tool check` found out.
fn from_nothing(language: &str, call: &[&str], expected: &str) -> Value {
    let author = Author(World::new());
    let name = format!("my-{language}");
    let made = author.run(&["tool", "new", &name, "--lang", language]).ok();
    assert!(made.contains(&format!("agent-host tool build {name}")), "{made}");
    let again = author.run(&["tool", "new", &name, "--lang", language]);
    assert!(again.err.contains("is there already"), "{again:?}");
    let built = author.run(&["tool", "build", "--yes", &name]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let tested = author.run(&["tool", "test", &name]);
    assert!(tested.code == Some(0) && tested.out.ends_with("5 passed, 0 failed\n"), "{tested:?}");
    let first = author.run(&first_call(&made));
    assert_eq!(first.code, Some(0), "{made}: {first:?}");
    let called = author.run(&[&["tool", "call", "--quiet", "--tools", &name], call].concat());
    assert_eq!((called.code, called.out.trim()), (Some(0), expected), "{called:?}");
    let checked = author.run(&["tool", "check", "--json", &name]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    serde_json::from_str(&checked.out).expect("a JSON object")
}

/// The call that `tool new` says is next, as a shell would take it apart.
fn first_call(made: &str) -> Vec<&str> {
    let line = made.lines().find_map(|line| line.trim().strip_prefix("agent-host tool call ")).expect("a call");
    let (words, arguments) = line.split_once(" '").expect("arguments in quotes");
    ["tool", "call"].into_iter().chain(words.split(' ')).chain([arguments.trim_end_matches('\'')]).collect()
}

/// The four whose tool counts words in files.
fn counts_words(language: &str) -> Value {
    let arguments = r#"{"path": "tests.toml"}"#;
    let file = include_str!("../../host/agent-host/src/authoring/templates/file-words/tests.toml");
    let (lines, words, bytes) = (file.lines().count(), file.split_ascii_whitespace().count(), file.len());
    let expected = format!(r#"{{"lines":{lines},"words":{words},"bytes":{bytes}}}"#);
    let (folder, operation) = (format!("my-{language}"), format!("my-{language}.count"));
    let checked = from_nothing(language, &["--allow-read", &folder, &operation, arguments], &expected);
    let tool = &checked["tools"][0];
    assert_eq!(tool["input_schema"]["required"], serde_json::json!(["path"]), "{checked}");
    assert!(tool["description"].as_str().is_some_and(|text| text.starts_with("Counts the lines")), "{checked}");
    let words = &tool["output_schema"]["properties"]["words"]["description"];
    assert!(words.as_str().is_some_and(|text| text.starts_with("Words: what stands between")), "{checked}");
    checked
}

/// The two whose tool finds matches.
fn finds_matches(language: &str) -> Value {
    let arguments = r#"{"text": "12 or 345", "pattern": "\\d+"}"#;
    let expected = r#"[{"line":1,"text":"12","groups":[]},{"line":1,"text":"345","groups":[]}]"#;
    from_nothing(language, &[&format!("my-{language}.find"), arguments], expected)
}

/// How large a component is at most, in bytes.
fn is_at_most(checked: &Value, bytes: u64) {
    assert!(checked["bytes"].as_u64().is_some_and(|found| found <= bytes), "{}", checked["bytes"]);
}

#[test]
fn rust() {
    is_at_most(&counts_words("rust"), 200_000);
}

#[test]
fn python() {
    is_at_most(&counts_words("python"), 25_000_000);
}

#[test]
fn go() {
    is_at_most(&counts_words("go"), 5_000_000);
}

#[test]
fn c() {
    is_at_most(&counts_words("c"), 200_000);
}

#[test]
fn javascript() {
    is_at_most(&finds_matches("js"), 15_000_000);
}

#[test]
fn typescript() {
    is_at_most(&finds_matches("ts"), 15_000_000);
}

#[test]
fn a_compiler_that_is_not_there_is_named_with_what_installs_it() {
    let author = Author(World::new());
    let bare = |arguments: &[&str]| {
        let mut command = author.command(arguments);
        command.env("HOME", author.0.work()).env_remove("XDG_CACHE_HOME").env("PATH", "/usr/bin-of-nobody");
        author.0.said(&command.output().expect("the program starts"))
    };
    let made = bare(&["tool", "new", "counter", "--lang", "c"]).ok();
    insta::assert_snapshot!("a_new_tool_without_its_compilers", made);
    let built = bare(&["tool", "build", "--yes", "counter"]);
    assert_eq!(built.code, Some(1));
    insta::assert_snapshot!("a_build_without_its_compilers", built.err);
}
