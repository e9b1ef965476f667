//! Runs a script: lists, pipelines, and the ends of subshells. The files beside it run one command each.
//!
//! Everything is a future, for the stages of a pipeline take turns (see `streams`). Futures that may contain themselves are boxed.

mod call;
mod compound;
mod redirect;
mod simple;
mod test;

use std::pin::Pin;

pub(crate) use call::{Call, Inputs, Program};
pub(crate) use simple::{kind_of, run_words_without_functions, shown};

use crate::shell::Shell;
use crate::stop::{BROKEN_PIPE_STATUS, Outcome, Stop};
use crate::streams::{Bounds, Captured, Input, Output, Stream, all_stages, pipe};
use crate::syntax::{AndOr, Command, Connector, Kind, List, Pipeline, Redirection, Target, parse};

/// Longest output of one `$(…)`.
const SUBSTITUTION_BYTES_MAX: usize = 1 << 20;

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Outcome<u8>> + 'a>>;

/// Reads and runs a text in this shell: a script, what `eval` got, a file of commands.
pub(crate) async fn text(shell: &mut Shell, text: &str) -> Outcome<u8> {
    let script = parse(text).map_err(|error| Stop::Fatal { status: 2, message: error.to_string() })?;
    list(shell, &script).await
}

/// Runs a text to the end of its shell: what `exit` does ends here, and the trap for it runs.
pub(crate) async fn whole(shell: &mut Shell, script: &str) -> Outcome<u8> {
    let ended = text(shell, script).await;
    end_of_shell(shell, ended).await
}

pub(crate) fn list<'a>(shell: &'a mut Shell, list: &'a [AndOr]) -> Running<'a> {
    Box::pin(async move {
        shell.deeper()?;
        let ended = items(shell, list).await;
        shell.shallower();
        ended
    })
}

async fn items(shell: &mut Shell, list: &[AndOr]) -> Outcome<u8> {
    let mut status = 0;
    for item in list {
        status = and_or(shell, item).await?;
    }
    Ok(status)
}

/// Runs commands in a subshell, and gives what they wrote and how they ended.
pub(crate) async fn captured(shell: &mut Shell, script: &List) -> Outcome<(Vec<u8>, u8)> {
    let bounds = Bounds { kept_max: SUBSTITUTION_BYTES_MAX, left_out_max: 0, of: "the output of `$(…)`" };
    let output = Captured::new(bounds);
    let mut subshell = shell.subshell()?;
    subshell.streams.set(1, Stream::Out(Output::Captured(output.clone())));
    let ended = match only_read(script) {
        Some(redirections) => simple::contents(&mut subshell, redirections).await,
        None => list(&mut subshell, script).await,
    };
    let status = end_of_shell(&mut subshell, ended).await?;
    Ok((output.take().0, status))
}

/// The redirection of `$(<file)`, which stands for what is in the file.
fn only_read(script: &List) -> Option<&[Redirection]> {
    let [AndOr { first: Pipeline { is_negated: false, stages }, rest }] = &script[..] else { return None };
    let ([Command { kind: Kind::Simple { assignments, words }, redirections }], []) = (&stages[..], &rest[..]) else {
        return None;
    };
    let reads = matches!(&redirections[..], [Redirection { number: 0, target: Target::Read(_) }]);
    (reads && assignments.is_empty() && words.is_empty()).then_some(redirections)
}

/// The status of a (sub)shell that has ended, however it did. Only a bound of this program goes further out.
async fn end_of_shell(shell: &mut Shell, ended: Outcome<u8>) -> Outcome<u8> {
    let status = status_of_end(shell, ended).await?;
    let Some(trap) = shell.at_exit.take() else { return Ok(status) };
    shell.status = status;
    let trapped = Box::pin(text(shell, &trap)).await;
    match trapped {
        Err(Stop::Exit(status)) => Ok(status),
        other => status_of_end(shell, other).await.map(|_| status),
    }
}

async fn status_of_end(shell: &Shell, ended: Outcome<u8>) -> Outcome<u8> {
    match ended {
        Ok(status) | Err(Stop::Exit(status) | Stop::Return(status)) => Ok(status),
        Err(Stop::BrokenPipe) => Ok(BROKEN_PIPE_STATUS),
        Err(Stop::Break(_) | Stop::Continue(_)) => Ok(shell.status),
        Err(Stop::Failed { status, message } | Stop::Fatal { status, message }) => {
            // Where even that cannot be said, the status tells.
            let _ = shell.complain(&format!("shell: {message}")).await;
            Ok(status)
        }
        Err(limit @ Stop::Limit(_)) => Err(limit),
    }
}

async fn and_or(shell: &mut Shell, item: &AndOr) -> Outcome<u8> {
    let mut status = pipeline(shell, &item.first, item.rest.is_empty()).await?;
    for (number, (connector, next)) in item.rest.iter().enumerate() {
        let wanted = match connector {
            Connector::And => status == 0,
            Connector::Or => status != 0,
        };
        if wanted {
            status = pipeline(shell, next, number + 1 == item.rest.len()).await?;
        }
    }
    Ok(status)
}

/// `is_last`: nobody looks at how it ends, so that `set -e` does.
async fn pipeline(shell: &mut Shell, pipeline: &Pipeline, is_last: bool) -> Outcome<u8> {
    let is_looked_at = pipeline.is_negated || !is_last;
    shell.looked_at += u32::from(is_looked_at);
    let ended = match &pipeline.stages[..] {
        [only] => command(shell, only).await,
        stages => several(shell, stages).await,
    };
    shell.looked_at -= u32::from(is_looked_at);
    let status = ended?;
    let status = if pipeline.is_negated { u8::from(status == 0) } else { status };
    shell.status = status;
    if status != 0 && shell.options.errexit && shell.looked_at == 0 && !is_looked_at && is_checked(pipeline) {
        return Err(Stop::Exit(status));
    }
    Ok(status)
}

/// Whether `set -e` looks at how it ends. Of a compound command, it has looked at what is in it.
fn is_checked(pipeline: &Pipeline) -> bool {
    match &pipeline.stages[..] {
        [only] => match only.kind {
            Kind::Simple { .. } | Kind::Subshell(_) | Kind::Arithmetic(_) | Kind::Test(_) => true,
            Kind::Group(_)
            | Kind::If { .. }
            | Kind::Loop { .. }
            | Kind::For { .. }
            | Kind::Counting { .. }
            | Kind::Case { .. }
            | Kind::Function { .. } => false,
        },
        _ => true,
    }
}

/// The stages of a pipeline, each in a subshell.
async fn several(shell: &mut Shell, stages: &[Command]) -> Outcome<u8> {
    let mut running: Vec<Running<'_>> = Vec::with_capacity(stages.len());
    let mut input = None;
    for (number, stage) in stages.iter().enumerate() {
        let mut subshell = shell.subshell()?;
        if let Some(input) = input.take() {
            subshell.streams.set(0, Stream::In(input));
        }
        if number + 1 < stages.len() {
            let (writer, reader) = pipe(&shell.progress);
            subshell.streams.set(1, Stream::Out(Output::Pipe(writer)));
            input = Some(Input::pipe(reader));
        }
        running.push(Box::pin(async move {
            let ended = command(&mut subshell, stage).await;
            end_of_shell(&mut subshell, ended).await
        }));
    }
    let mut status = 0;
    let mut failed = 0;
    for ended in all_stages(&shell.progress.clone(), running).await {
        status = ended?;
        if status != 0 {
            failed = status;
        }
    }
    Ok(if shell.options.pipefail { failed } else { status })
}

/// Runs one command, and tells why it failed if it did.
pub(crate) async fn command(shell: &mut Shell, command: &Command) -> Outcome<u8> {
    shell.count_command()?;
    let ended = match &command.kind {
        Kind::Simple { assignments, words } => simple::run(shell, assignments, words, &command.redirections).await,
        _ if command.redirections.is_empty() => compound::run(shell, &command.kind).await,
        _ => redirected(shell, command).await,
    };
    match ended {
        Err(Stop::Failed { status, message }) => {
            shell.complain(&format!("shell: {message}")).await?;
            Ok(status)
        }
        Err(Stop::Fatal { status, message }) => {
            shell.complain(&format!("shell: {message}")).await?;
            Err(Stop::Exit(status))
        }
        other => other,
    }
}

async fn redirected(shell: &mut Shell, command: &Command) -> Outcome<u8> {
    let before = shell.streams.clone();
    let applied = redirect::apply(shell, &command.redirections).await;
    let ended = match &applied {
        Ok(()) => compound::run(shell, &command.kind).await,
        Err(_) => Ok(0),
    };
    shell.streams = before;
    match applied {
        Ok(()) => ended,
        // Of what is in a compound command `set -e` looks at each; this failed before any of it.
        Err(Stop::Failed { status, message }) if shell.options.errexit && shell.looked_at == 0 => {
            Err(Stop::Fatal { status, message })
        }
        Err(stop) => Err(stop),
    }
}
