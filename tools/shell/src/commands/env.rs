//! `env` and `printenv`: variables that are exported, and a command with others. Nothing of the host's environment is among them.

use crate::run::{self, Call};
use crate::stop::{Outcome, Stop};
use crate::syntax::is_name;

pub(super) async fn env(call: &mut Call<'_>) -> Outcome<u8> {
    if call.name == "printenv" && !call.arguments.is_empty() {
        return named(call).await;
    }
    let mut rest = call.arguments;
    let before = call.shell.variables.clone();
    while let [word, after @ ..] = rest {
        match (word.as_str(), word.split_once('=')) {
            ("-i" | "-", _) => unexport_all(call),
            ("-u", _) => {
                let [name, after @ ..] = after else { return Err(Stop::failed("`-u` wants a name")) };
                call.shell.variables.unset(name)?;
                rest = after;
                continue;
            }
            (_, Some((name, value))) if is_name(name) => {
                call.shell.variables.set(name, value)?;
                call.shell.variables.change(name, |variable| variable.is_exported = true);
            }
            (option, None) if option.starts_with('-') => {
                return Err(Stop::failed(format!("unknown option `{option}`; there are -i -u NAME")));
            }
            (_, _) => break,
        }
        rest = after;
    }
    let ended = if rest.is_empty() {
        let lines: Vec<String> = call
            .shell
            .variables
            .all()
            .filter(|(_, variable)| variable.is_exported)
            .filter_map(|(name, variable)| variable.value.as_ref().map(|value| format!("{name}={value}")))
            .collect();
        for line in lines {
            call.out.line(line).await?;
        }
        Ok(0)
    } else {
        run::run_words_without_functions(call.shell, rest).await
    };
    call.shell.variables = before;
    ended
}

fn unexport_all(call: &mut Call<'_>) {
    let names: Vec<String> = call
        .shell
        .variables
        .all()
        .filter(|(_, variable)| variable.is_exported)
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in names {
        call.shell.variables.change(&name, |variable| variable.is_exported = false);
    }
}

async fn named(call: &mut Call<'_>) -> Outcome<u8> {
    let mut status = 0;
    for name in call.arguments {
        let exported = call.shell.variables.variable(name).filter(|variable| variable.is_exported);
        match exported.and_then(|variable| variable.value.clone()) {
            Some(value) => call.out.line(value.as_bytes()).await?,
            None => status = 1,
        }
    }
    Ok(status)
}
