//! The corpus: scripts in `corpus/*.sh`, with what each must write and how it must end in `corpus/*.expected`. This shell is held to
//! it; and so are the shells of the machine with their coreutils, so that what is expected is what others do.
//!
//! `SHELL_CORPUS=bless` writes the expectations anew, by the first of the machine's shells: read the difference before it is kept.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and says what it compared with")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::ended;

/// A shell of the machine, and the files of the corpus that it is held to.
const OTHERS: [(&str, &[&str]); 2] = [
    ("bash", &["language", "bash", "text", "grep", "sed", "files"]),
    ("dash", &["language", "text", "grep", "sed", "files"]),
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

/// The scripts of a file, by name and in order.
fn cases(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let cases = text.split("#### ").skip(1);
    cases
        .map(|case| case.split_once('\n').unwrap())
        .map(|(name, script)| (name.to_owned(), script.to_owned()))
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn by_this_shell(script: &str) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let ended = serde_value(ended(folder.path().canonicalize().unwrap(), script, Vec::new()));
    Came { status: ended.0, stdout: ended.1 }
}

fn serde_value(ended: crate::tool::Ended) -> (u8, String) {
    assert!(ended.notes.is_empty(), "{ended:?}");
    (ended.status, ended.stdout)
}

fn by_another(shell: &str, script: &str) -> Option<Came> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(shell)
        .args(["-c", script])
        .current_dir(folder.path())
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
        .env("HOME", folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .ok()?;
    let status = u8::try_from(output.status.code().unwrap()).unwrap();
    Some(Came { status, stdout: String::from_utf8_lossy(&output.stdout).into_owned() })
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
        for (name, script) in cases {
            let came = by_this_shell(&script).shown(&name);
            if came != expected[&name] {
                wrong.push(format!("{file}: expected\n{}came\n{came}", expected[&name]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn other_shells_do_what_the_corpus_says() {
    let is_blessing = std::env::var("SHELL_CORPUS").is_ok_and(|value| value == "bless");
    let there: Vec<_> = OTHERS.into_iter().filter(|(shell, _)| by_another(shell, ":").is_some()).collect();
    let names: Vec<&str> = there.iter().map(|(shell, _)| *shell).collect();
    println!("compared with: {names:?} of {:?}", OTHERS.map(|(shell, _)| shell));
    assert!(!there.is_empty(), "this machine has no shell to compare with");
    let mut wrong = Vec::new();
    for (number, (shell, files)) in there.into_iter().enumerate() {
        for file in files {
            let came: Vec<String> = cases(&folder().join(format!("{file}.sh")))
                .into_iter()
                .map(|(name, script)| by_another(shell, &script).unwrap().shown(&name))
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
