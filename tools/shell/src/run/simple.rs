//! Runs a simple command: assignments, expansion, redirections, and then a function, a builtin or a command of this shell.

use std::rc::Rc;

use super::call::{Call, Program};
use super::{Running, compound, redirect};
use crate::builtins;
use crate::commands;
use crate::expand;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::syntax::{Assignment, Command, Redirection, Word};
use crate::variables::Variable;

/// The status of a command that is not there, as shells have it.
const NOT_FOUND_STATUS: u8 = 127;

pub(super) async fn run(
    shell: &mut Shell,
    assignments: &[Assignment],
    words: &[Word],
    redirections: &[Redirection],
) -> Outcome<u8> {
    shell.substituted = None;
    let words = expand::words(shell, words).await?;
    if words.is_empty() {
        return assign_all(shell, assignments, redirections).await;
    }
    if words[0] == "exec" {
        return exec(shell, &words[1..], redirections).await;
    }
    let before = shell.streams.clone();
    let ended = with_assignments(shell, assignments, &words, redirections).await;
    shell.streams = before;
    ended
}

/// `$(<file)`: what is in the file, in a shell of its own.
pub(super) async fn contents(shell: &mut Shell, redirections: &[Redirection]) -> Outcome<u8> {
    shell.count_command()?;
    redirect::apply(shell, redirections).await?;
    run_words_without_functions(shell, &["cat".to_owned()]).await
}

/// A command of assignments alone: they stay.
async fn assign_all(shell: &mut Shell, assignments: &[Assignment], redirections: &[Redirection]) -> Outcome<u8> {
    for assignment in assignments {
        let value = value_of(shell, assignment).await?;
        if shell.options.xtrace {
            shell.complain(&format!("+ {}={}", assignment.name, shown(&value))).await?;
        }
        shell.assign(&assignment.name, &value)?;
    }
    let before = shell.streams.clone();
    let redirected = redirect::apply(shell, redirections).await;
    shell.streams = before;
    redirected?;
    Ok(shell.substituted.unwrap_or(0))
}

async fn value_of(shell: &mut Shell, assignment: &Assignment) -> Outcome<String> {
    let value = expand::text(shell, &assignment.value).await?;
    if !assignment.is_appended {
        return Ok(value);
    }
    let before = shell.variables.get(&assignment.name).unwrap_or_default();
    Ok(format!("{before}{value}"))
}

/// `exec`: its redirections stay; a command after it is the last of this shell.
async fn exec(shell: &mut Shell, words: &[String], redirections: &[Redirection]) -> Outcome<u8> {
    redirect::apply(shell, redirections).await?;
    if words.is_empty() {
        return Ok(0);
    }
    let status = run_words(shell, words).await?;
    Err(Stop::Exit(status))
}

/// Assignments before a command hold while it runs; before a special builtin they stay.
async fn with_assignments(
    shell: &mut Shell,
    assignments: &[Assignment],
    words: &[String],
    redirections: &[Redirection],
) -> Outcome<u8> {
    redirect::apply(shell, redirections).await?;
    let mut hidden: Vec<(&str, Option<Variable>)> = Vec::new();
    for assignment in assignments {
        let value = value_of(shell, assignment).await?;
        hidden.push((&assignment.name, shell.variables.variable(&assignment.name).cloned()));
        shell.assign(&assignment.name, &value)?;
        shell.variables.change(&assignment.name, |variable| variable.is_exported = true);
    }
    trace(shell, words).await?;
    let ended = run_words(shell, words).await;
    if !builtins::is_special(&words[0]) {
        for (name, variable) in hidden.into_iter().rev() {
            shell.variables.put_back(name, variable);
        }
    }
    ended
}

/// `set -x`
async fn trace(shell: &Shell, words: &[String]) -> Outcome<()> {
    if !shell.options.xtrace {
        return Ok(());
    }
    let shown: Vec<String> = words.iter().map(|word| shown(word)).collect();
    shell.complain(&format!("+ {}", shown.join(" "))).await
}

/// A word as a shell would read it again.
pub(crate) fn shown(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=+,%@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What a name stands for.
enum Meaning {
    Function(Rc<Command>),
    Program(Program),
    /// A file of commands, by a name with `/`.
    File,
    Nothing,
}

fn meaning(shell: &Shell, name: &str) -> Meaning {
    if let Some(body) = shell.functions.get(name) {
        return Meaning::Function(Rc::clone(body));
    }
    meaning_without_functions(shell, name)
}

fn meaning_without_functions(shell: &Shell, name: &str) -> Meaning {
    // `/bin/cat` means the same as `cat`: there is one of each.
    let base = ["/bin/", "/usr/bin/"].iter().find_map(|folder| name.strip_prefix(folder)).unwrap_or(name);
    if let Some(program) = builtins::find(base).or_else(|| commands::find(base)) {
        return Meaning::Program(program);
    }
    if name.contains('/') && shell.metadata(name).is_ok() { Meaning::File } else { Meaning::Nothing }
}

/// Runs a command with its arguments, whatever it is.
fn run_words<'a>(shell: &'a mut Shell, words: &'a [String]) -> Running<'a> {
    Box::pin(async move {
        let Some(name) = words.first() else { return Ok(0) };
        let meaning = meaning(shell, name);
        run_meaning(shell, meaning, words).await
    })
}

/// [`run_words`] for commands that call others, as `xargs` does: functions are not seen by them.
pub(crate) fn run_words_without_functions<'a>(shell: &'a mut Shell, words: &'a [String]) -> Running<'a> {
    Box::pin(async move {
        let Some(name) = words.first() else { return Ok(0) };
        shell.count_command()?;
        let meaning = meaning_without_functions(shell, name);
        run_meaning(shell, meaning, words).await
    })
}

async fn run_meaning(shell: &mut Shell, meaning: Meaning, words: &[String]) -> Outcome<u8> {
    shell.deeper()?;
    let ended = call(shell, meaning, words).await;
    shell.shallower();
    ended
}

async fn call(shell: &mut Shell, meaning: Meaning, words: &[String]) -> Outcome<u8> {
    let (name, arguments) = (&words[0], &words[1..]);
    match meaning {
        Meaning::Function(body) => compound::call_function(shell, body, arguments).await,
        Meaning::Program(program) => run_program(shell, program, name, arguments).await,
        Meaning::File => {
            let words = [vec!["sh".to_owned(), name.clone()], arguments.to_vec()].concat();
            match commands::find("sh") {
                Some(program) => run_program(shell, program, "sh", &words[1..]).await,
                None => Ok(NOT_FOUND_STATUS),
            }
        }
        Meaning::Nothing => {
            let cure = "this shell starts no programs, it has only commands of its own: `help` lists them";
            shell.complain(&format!("shell: {name}: not found ({cure})")).await?;
            Ok(NOT_FOUND_STATUS)
        }
    }
}

async fn run_program(shell: &mut Shell, program: Program, name: &str, arguments: &[String]) -> Outcome<u8> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut call = Call::new(shell, name, arguments);
    let ended = program(&mut call).await;
    let flushed = call.out.flush().await;
    match (ended, flushed) {
        (Err(Stop::Failed { status, message }), _) => {
            shell.complain(&format!("{name}: {message}")).await?;
            Ok(status)
        }
        (Ok(_), Err(Stop::Failed { status, message })) => {
            shell.complain(&format!("{name}: {message}")).await?;
            Ok(status)
        }
        (Ok(_), Err(stop)) | (Err(stop), _) => Err(stop),
        (Ok(status), Ok(())) => Ok(status),
    }
}

/// What `type` and `command -v` say of a name.
pub(crate) fn kind_of(shell: &Shell, name: &str) -> Option<&'static str> {
    match meaning(shell, name) {
        Meaning::Function(_) => Some("a function"),
        Meaning::Program(_) if builtins::find(name).is_some() => Some("a shell builtin"),
        Meaning::Program(_) => Some("a command of this shell"),
        Meaning::File => Some("a file"),
        Meaning::Nothing => None,
    }
}
