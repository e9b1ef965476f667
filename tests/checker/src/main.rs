//! `agent-checker JOURNAL [--acks FILE] [--hits FILE] [--reference JOURNAL] [--host-key FILE]`: says which promise a journal
//! breaks, the first first; exit code 1 where one does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers at a terminal")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_checker::evidence::{Evidence, lines};
use agent_checker::{check, reference_of};

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(mut words: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut journal = None;
    let mut evidence = Evidence::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().map(PathBuf::from).ok_or(format!("`{word}` takes a file"));
        match word.as_str() {
            "--acks" => evidence.acks = lines(&value()?)?,
            "--hits" => evidence.hits = Some(lines(&value()?)?),
            "--reference" => drop(evidence.references.insert(String::new(), reference_of(&value()?)?)),
            "--host-key" => evidence.host_key = Some(host_key(&value()?)?),
            _ if word.starts_with("--") => return Err(format!("there is no `{word}`")),
            _ => journal = Some(PathBuf::from(word)),
        }
    }
    let journal = journal
        .ok_or("usage: agent-checker JOURNAL [--acks FILE] [--hits FILE] [--reference JOURNAL] [--host-key FILE]")?;
    let found = check(&journal, &evidence);
    for violation in &found {
        println!("{violation}");
    }
    if found.is_empty() {
        println!("I1 to I12 hold");
    }
    Ok(found.is_empty())
}

fn host_key(path: &Path) -> Result<[u8; 32], String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    bytes.try_into().map_err(|_| format!("`{}` does not hold 32 bytes", path.display()))
}
