//! The corpus: scripts in `corpus/*.sh`, with what each must write and how it must end in `corpus/*.expected`. This shell is held to
//! it; and so are the shells of the machine with their coreutils, so that what is expected is what others do.
//!
//! What stands before a line `----` is done by a shell of the machine for all of them: it makes what this shell cannot, such as links.
//!
//! `SHELL_CORPUS=bless` writes the expectations anew, by the first of the machine's shells: read the difference before it is kept.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and says what it compared with")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::tool::ended;

/// A shell of the machine, and the files of the corpus that it is held to.
const OTHERS: [(&str, &[&str]); 2] = [
    ("bash", &["language", "bash", "text", "grep", "sed", "files", "safety", "snippets"]),
    ("dash", &["language", "text", "grep", "sed", "files", "safety"]),
];

/// What a script wrote, and its status.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Came {
    status: u8,
    stdout: String,
}

impl Came {
    fn shown(&self, name: &str) -> String {
        let end = if self.stdout.is_empty() || self.stdout.ends_with('\n') { "" } else { "<no end>\n" };
        format!("#### {name}\n{}{end}==== {}\n", self.stdout, self.status)
    }
}

struct Case {
    name: String,
    preparation: String,
    script: String,
}

/// The scripts of a file, in order.
fn cases(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let cases = text.split("#### ").skip(1).map(|case| case.split_once('\n').unwrap());
    let case = |(name, script): (&str, &str)| {
        let (preparation, script) = script.split_once("----\n").unwrap_or(("", script));
        Case { name: name.to_owned(), preparation: preparation.to_owned(), script: script.to_owned() }
    };
    cases.map(case).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// A folder to run a script in.
fn prepared(case: &Case) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if !case.preparation.is_empty() {
        let ended = machine_shell("sh", &case.preparation, folder.path()).unwrap();
        assert!(ended.status.success(), "{}: {ended:?}", case.name);
    }
    folder
}

fn machine_shell(shell: &str, script: &str, folder: &Path) -> Option<Output> {
    Command::new(shell)
        .args(["-c", script])
        .current_dir(folder)
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()
        .ok()
}

fn by_this_shell(case: &Case) -> Came {
    let folder = prepared(case);
    let ended = serde_value(ended(folder.path().canonicalize().unwrap(), &case.script, Vec::new()));
    Came { status: ended.0, stdout: ended.1 }
}

fn serde_value(ended: crate::tool::Ended) -> (u8, String) {
    assert!(ended.notes.is_empty(), "{ended:?}");
    (ended.status, ended.stdout)
}

fn by_another(shell: &str, case: &Case) -> Came {
    let folder = prepared(case);
    let output = machine_shell(shell, &case.script, folder.path()).unwrap();
    let status = u8::try_from(output.status.code().unwrap()).unwrap();
    Came { status, stdout: String::from_utf8_lossy(&output.stdout).into_owned() }
}

fn all() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".sh").map(ToOwned::to_owned)).collect();
    names.sort();
    names
}

fn expected(name: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join(format!("{name}.expected"))).unwrap();
    let cases = text.split("#### ").skip(1);
    cases.map(|case| (case.split_once('\n').unwrap().0.to_owned(), format!("#### {case}"))).collect()
}

#[test]
fn this_shell_does_what_the_corpus_says() {
    let mut wrong = Vec::new();
    for file in all() {
        let expected = expected(&file);
        let cases = cases(&folder().join(format!("{file}.sh")));
        assert_eq!(cases.len(), expected.len(), "{file}: bless it");
        for case in cases {
            let came = by_this_shell(&case).shown(&case.name);
            if came != expected[&case.name] {
                wrong.push(format!("{file}: expected\n{}came\n{came}", expected[&case.name]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn other_shells_do_what_the_corpus_says() {
    let is_blessing = std::env::var("SHELL_CORPUS").is_ok_and(|value| value == "bless");
    let there: Vec<_> =
        OTHERS.into_iter().filter(|(shell, _)| machine_shell(shell, ":", Path::new("/")).is_some()).collect();
    let names: Vec<&str> = there.iter().map(|(shell, _)| *shell).collect();
    println!("compared with: {names:?} of {:?}", OTHERS.map(|(shell, _)| shell));
    assert!(!there.is_empty(), "this machine has no shell to compare with");
    let mut wrong = Vec::new();
    for (number, (shell, files)) in there.into_iter().enumerate() {
        for file in files {
            let came: Vec<String> = cases(&folder().join(format!("{file}.sh")))
                .into_iter()
                .map(|case| by_another(shell, &case).shown(&case.name))
                .collect();
            if is_blessing && number == 0 {
                fs::write(folder().join(format!("{file}.expected")), came.concat()).unwrap();
            }
            let expected = expected(file);
            for came in came {
                let name = came.lines().next().unwrap().trim_start_matches("#### ").to_owned();
                if Some(&came) != expected.get(&name) {
                    wrong.push(format!(
                        "{shell}, {file}: expected\n{}came\n{came}",
                        expected.get(&name).cloned().unwrap_or_default()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
