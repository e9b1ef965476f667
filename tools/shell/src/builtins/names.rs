//! What names stand for: `command`, `type`, `which`, `help`.

use crate::commands;
use crate::run::{self, Call};
use crate::stop::{Outcome, Stop};

pub(super) async fn command(call: &mut Call<'_>) -> Outcome<u8> {
    match call.arguments {
        [option, names @ ..] if option == "-v" => found(call, names).await,
        [option, names @ ..] if option == "-V" => explained(call, names).await,
        [option, ..] if option.len() > 1 && option.starts_with('-') && option != "--" => {
            Err(Stop::usage(format!("unknown option `{option}`; there are -v -V")))
        }
        [dashes, words @ ..] if dashes == "--" => run::run_words_without_functions(call.shell, words).await,
        words => run::run_words_without_functions(call.shell, words).await,
    }
}

pub(super) async fn which(call: &mut Call<'_>) -> Outcome<u8> {
    let names = call.arguments;
    found(call, names).await
}

async fn found(call: &mut Call<'_>, names: &[String]) -> Outcome<u8> {
    let mut status = 0;
    for name in names {
        match run::kind_of(call.shell, name) {
            Some(_) => call.out.line(name).await?,
            None => status = 1,
        }
    }
    Ok(status)
}

pub(super) async fn type_of(call: &mut Call<'_>) -> Outcome<u8> {
    let names = call.arguments;
    explained(call, names).await
}

async fn explained(call: &mut Call<'_>, names: &[String]) -> Outcome<u8> {
    let mut status = 0;
    for name in names {
        match run::kind_of(call.shell, name) {
            Some(kind) => call.out.line(format!("{name} is {kind}")).await?,
            None => {
                call.complain(&format!("{name}: not found")).await?;
                status = 127;
            }
        }
    }
    Ok(status)
}

pub(super) async fn help(call: &mut Call<'_>) -> Outcome<u8> {
    call.out.line(format!("Builtins: {}", super::NAMES.join(" "))).await?;
    call.out.line(format!("Commands: {}", commands::NAMES.join(" "))).await?;
    call.out.line("A command names the options that it has where it is given another: `sort --help`.").await?;
    Ok(0)
}
