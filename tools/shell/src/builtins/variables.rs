//! `export`, `readonly`, `local` and `unset`.

use std::rc::Rc;

use crate::run::{self, Call};
use crate::stop::{Outcome, Stop};
use crate::syntax::is_name;
use crate::variables::Variable;

pub(super) async fn export(call: &mut Call<'_>) -> Outcome<u8> {
    declare(call, |variable| variable.is_exported = true, |variable| variable.is_exported).await
}

pub(super) async fn readonly(call: &mut Call<'_>) -> Outcome<u8> {
    declare(call, |variable| variable.is_readonly = true, |variable| variable.is_readonly).await
}

/// Gives variables a mark, and a value where one is named. Without names, lists those that have the mark.
async fn declare(call: &mut Call<'_>, mark: fn(&mut Variable), has_mark: fn(&Variable) -> bool) -> Outcome<u8> {
    let words: Vec<&String> = call.arguments.iter().filter(|word| !matches!(word.as_str(), "-p" | "--")).collect();
    if words.is_empty() {
        let lines: Vec<String> = call
            .shell
            .variables
            .all()
            .filter(|(_, variable)| has_mark(variable))
            .map(|(name, variable)| line(call.name, name, variable))
            .collect();
        for line in lines {
            call.out.line(line).await?;
        }
        return Ok(0);
    }
    for word in words {
        let (name, value) = parts(word)?;
        if let Some(value) = value {
            call.shell.variables.set(name, value)?;
        }
        call.shell.variables.change(name, mark);
    }
    Ok(0)
}

fn line(command: &str, name: &str, variable: &Variable) -> String {
    match &variable.value {
        Some(value) => format!("{command} {name}={}", run::shown(value)),
        None => format!("{command} {name}"),
    }
}

fn parts(word: &str) -> Outcome<(&str, Option<&str>)> {
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    if is_name(name) {
        return Ok((name, value));
    }
    if name.starts_with('-') {
        return Err(Stop::usage(format!("unknown option `{name}`")));
    }
    Err(Stop::usage(format!("`{name}` is not a name for a variable")))
}

pub(super) async fn local(call: &mut Call<'_>) -> Outcome<u8> {
    for word in call.arguments {
        let (name, value) = parts(word)?;
        let before = call.shell.variables.variable(name).cloned();
        let Some(hidden) = call.shell.hidden.last_mut() else {
            return Err(Stop::usage("there is nothing `local` outside a function"));
        };
        if hidden.iter().all(|(known, _)| known != name) {
            hidden.push((name.to_owned(), before));
            call.shell.variables.change(name, |variable| variable.value = None);
        }
        if let Some(value) = value {
            call.shell.variables.set(name, value)?;
        }
    }
    Ok(0)
}

pub(super) async fn unset(call: &mut Call<'_>) -> Outcome<u8> {
    let (mut are_functions, mut are_variables) = (false, false);
    for word in call.arguments {
        match word.as_str() {
            "-f" => are_functions = true,
            "-v" => are_variables = true,
            "--" => {}
            name if !is_name(name) && !are_functions => {
                return Err(Stop::usage(format!("`{name}` is not a name for a variable")));
            }
            name if are_functions => {
                Rc::make_mut(&mut call.shell.functions).remove(name);
            }
            name => {
                if are_variables || call.shell.variables.variable(name).is_some() {
                    call.shell.variables.unset(name)?;
                } else {
                    Rc::make_mut(&mut call.shell.functions).remove(name);
                }
            }
        }
    }
    Ok(0)
}
