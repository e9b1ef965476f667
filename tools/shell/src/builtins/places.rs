//! `cd` and `pwd`. The folder is the shell's own: nothing of the process changes.

use std::path::PathBuf;

use crate::files;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

pub(super) async fn cd(call: &mut Call<'_>) -> Outcome<u8> {
    let arguments: Vec<&String> =
        call.arguments.iter().filter(|argument| !matches!(argument.as_str(), "-L" | "-P" | "--")).collect();
    let shell = &mut *call.shell;
    let (name, is_back) = match arguments[..] {
        [] => (shell.variables.get("HOME").unwrap_or_default().to_string(), false),
        [back] if back == "-" => match shell.variables.get("OLDPWD") {
            Some(before) => (before.to_string(), true),
            None => return Err(Stop::usage("OLDPWD not set")),
        },
        [name] => (name.clone(), false),
        _ => return Err(Stop::usage("too many arguments")),
    };
    let folder = files::normal(&files::place(&shell.directory, &name));
    let is_folder = std::fs::metadata(&folder).map_err(|error| failed(&name, &error))?.is_dir();
    if !is_folder || name.is_empty() {
        return Err(failed(&name, &std::io::ErrorKind::NotADirectory.into()));
    }
    enter(call, folder)?;
    if is_back {
        let line = call.shell.directory.display().to_string();
        call.out.line(line).await?;
    }
    Ok(0)
}

fn failed(name: &str, error: &std::io::Error) -> Stop {
    Stop::usage(format!("can't cd to {name}: {}", files::reason(error)))
}

fn enter(call: &mut Call<'_>, folder: PathBuf) -> Outcome<()> {
    let shell = &mut *call.shell;
    let before = std::mem::replace(&mut shell.directory, folder);
    shell.variables.set("OLDPWD", &before.display().to_string())?;
    shell.variables.set("PWD", &shell.directory.display().to_string())
}

pub(super) async fn pwd(call: &mut Call<'_>) -> Outcome<u8> {
    let line = call.shell.directory.display().to_string();
    call.out.line(line).await?;
    Ok(0)
}
