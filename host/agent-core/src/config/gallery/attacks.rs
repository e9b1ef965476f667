//! Files that attack who reads them: by their words on a terminal, by their size, or by no form that anybody has thought of.

use proptest::prelude::*;

use super::super::manifest::Manifest;
use super::super::problem::{ProblemKind, Problems};
use super::{of_agent, of_manifest, of_policy};

/// A file by somebody else is shown on the operator's terminal before anything in it is trusted.
#[test]
fn no_message_obeys_the_file_that_it_is_about() {
    let text = "[tool]\nname = \"a\\u001b[2J\\tb\"\nversion = \"1\"\ndescription = \"d\"\n[limits]\ndeadline = \"\\u202e1s\"\n";
    insta::assert_snapshot!(of_manifest(text), @r"
    tool.toml:2:8: `name`: `a\u{1b}[2J\u{9}b` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter
    tool.toml:6:12: `deadline`: `\u{202e}1s` does not begin with a whole number such as `20` or `200_000`
    ");
    let long = format!("[tool]\nname = \"{}\"\nversion = \"1\"\ndescription = \"d\"\n", "x".repeat(100_000));
    assert!(of_manifest(&long).len() < 1_000);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let problems = Manifest::parse("tool.toml", &"#".repeat((1 << 20) + 1)).map_err(Problems::into_vec);
    let problems = problems.err().unwrap_or_default();
    assert_eq!(problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::RequestTooLarge]);
}

#[test]
fn bombs_are_refused() {
    let nested = "[".repeat(100_000);
    let dotted = format!("{}a = 1", "a.".repeat(100_000));
    let tables = "[[capabilities.fs]]\n".repeat(50_000);
    let keys: String = (0..100_000).map(|number| format!("k{number}=1\n")).collect();
    let mounts: String = (0..20_000).map(|number| format!("{{mount=\"/a{number}\",access=\"read\"}},")).collect();
    let mounts = format!("capabilities.fs = [{mounts}]");
    for text in [format!("a = {nested}"), dotted, tables, keys, mounts, "=\n".repeat(500_000)] {
        let problems = Manifest::parse("tool.toml", &text).map_err(Problems::into_vec).err().unwrap_or_default();
        assert!((1..=51).contains(&problems.len()), "{} problems of {} bytes", problems.len(), text.len());
    }
}

const PARTS: [&str; 26] = [
    "[agent]\n",
    "[tool]\n",
    "[[grant]]\n",
    "[[approval]]\n",
    "[[deny]]\n",
    "[limits]\n",
    "[budget]\n",
    "[build]\n",
    "[[capabilities.fs]]\n",
    "[[capabilities.http]]\n",
    "[[capabilities.env]]\n",
    "[[capabilities.secrets]]\n",
    "secrets = [{ name = \"A\", from = \"env:A\" }]\n",
    "tool = \"files\"\n",
    "name = \"a\"\n",
    "instructions = \"Be brief.\"\n",
    "effect = \"http\"\n",
    "methods = [\"POST\"]\n",
    "http = [\"example.org\"]\n",
    "fs = [{ host = \"a\", access = \"read\" }]\n",
    "url = \"https://*\"\n",
    "mount = \"/data\"\n",
    "access = \"write\"\n",
    "deadline = \"1s\"\n",
    "turns = 1\n",
    "version = 1\n",
];

proptest! {
    #[test]
    fn any_file_is_read_or_refused(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..12), noise in "\\PC{0,4}", at in 0_usize..200,
    ) {
        let mut text = parts.concat();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &noise);
        for said in [of_manifest(&text), of_agent(&text), of_policy(&text)] {
            prop_assert!(!said.is_empty());
        }
    }
}
