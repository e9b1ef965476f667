//! What leaves, repeats, or runs text: `exit`, `return`, `break`, `continue`, `eval`, `.`, `trap`, `shift`.

use std::rc::Rc;

use crate::files;
use crate::run::{self, Call, Running};
use crate::stop::{Outcome, Stop};

/// Largest file of commands that `.` and `sh` read.
const FILE_BYTES_MAX: u64 = 256 * 1024;

pub(super) async fn succeed(_: &mut Call<'_>) -> Outcome<u8> {
    Ok(0)
}

pub(super) async fn fail(_: &mut Call<'_>) -> Outcome<u8> {
    Ok(1)
}

pub(super) async fn exit(call: &mut Call<'_>) -> Outcome<u8> {
    Err(Stop::Exit(status_argument(call)?))
}

pub(super) async fn leave_function(call: &mut Call<'_>) -> Outcome<u8> {
    Err(Stop::Return(status_argument(call)?))
}

/// The status that was asked for, else the last one. Shells keep eight bits of it.
fn status_argument(call: &Call<'_>) -> Outcome<u8> {
    let Some(argument) = call.arguments.first() else { return Ok(call.shell.status) };
    let number: i64 = argument.parse().map_err(|_| Stop::usage(format!("`{argument}` is not a number")))?;
    Ok(u8::try_from(number.rem_euclid(256)).unwrap_or(0))
}

pub(super) async fn leave_loop(call: &mut Call<'_>) -> Outcome<u8> {
    loops_argument(call).map(Stop::Break).and_then(|stop| in_loop(call, stop))
}

pub(super) async fn next_turn(call: &mut Call<'_>) -> Outcome<u8> {
    loops_argument(call).map(Stop::Continue).and_then(|stop| in_loop(call, stop))
}

fn loops_argument(call: &Call<'_>) -> Outcome<u32> {
    let Some(argument) = call.arguments.first() else { return Ok(1) };
    let loops = argument.parse().ok().filter(|loops| *loops > 0);
    let loops: u32 = loops.ok_or_else(|| Stop::usage(format!("`{argument}` is not a number of loops")))?;
    Ok(loops.min(call.shell.loops))
}

/// Outside any loop there is nothing to leave.
fn in_loop(call: &Call<'_>, stop: Stop) -> Outcome<u8> {
    if call.shell.loops == 0 { Ok(0) } else { Err(stop) }
}

pub(super) async fn eval(call: &mut Call<'_>) -> Outcome<u8> {
    let text = call.arguments.join(" ");
    run_text(call, text).await
}

/// Runs a text in this shell, one level deeper.
async fn run_text(call: &mut Call<'_>, text: String) -> Outcome<u8> {
    call.shell.deeper()?;
    let shell = &mut *call.shell;
    let running: Running<'_> = Box::pin(async move { run::text(shell, &text).await });
    let ended = running.await;
    call.shell.shallower();
    ended
}

pub(super) async fn source(call: &mut Call<'_>) -> Outcome<u8> {
    let Some((name, arguments)) = call.arguments.split_first() else {
        return Err(Stop::usage("a file is expected"));
    };
    let text = read_commands(call, name)?;
    let before =
        (!arguments.is_empty()).then(|| std::mem::replace(&mut call.shell.positional, Rc::new(arguments.to_vec())));
    let ended = run_text(call, text).await;
    if let Some(before) = before {
        call.shell.positional = before;
    }
    match ended {
        Err(Stop::Return(status)) => Ok(status),
        other => other,
    }
}

/// The text of a file of commands.
pub(crate) fn read_commands(call: &Call<'_>, name: &str) -> Outcome<String> {
    let failed = |error| files::failed(name, &error);
    let metadata = call.shell.metadata(name).map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        let message = format!("{name}: a file of commands may have {FILE_BYTES_MAX} bytes, it has {}", metadata.len());
        return Err(Stop::failed(message));
    }
    let bytes = call.shell.place(name).and_then(std::fs::read).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| Stop::failed(format!("{name}: is not text")))
}

pub(super) async fn trap(call: &mut Call<'_>) -> Outcome<u8> {
    let arguments = call.arguments.strip_prefix(&["--".to_owned()]).unwrap_or(call.arguments);
    let Some((action, signals)) = arguments.split_first() else {
        if let Some(action) = call.shell.at_exit.clone() {
            call.out.line(format!("trap -- {} EXIT", run::shown(&action))).await?;
        }
        return Ok(0);
    };
    for signal in signals {
        if !matches!(signal.as_str(), "EXIT" | "0") {
            // Nothing can send one: what would run then never does, here as in any shell that gets none.
            continue;
        }
        call.shell.at_exit = (action != "-").then(|| Rc::from(action.as_str()));
    }
    Ok(0)
}

pub(super) async fn shift(call: &mut Call<'_>) -> Outcome<u8> {
    let count = match call.arguments.first() {
        Some(argument) => argument.parse().map_err(|_| Stop::usage(format!("`{argument}` is not a number")))?,
        None => 1_usize,
    };
    if count > call.shell.positional.len() {
        let message = "can't shift that many".to_owned();
        return Err(Stop::Fatal { status: 2, message });
    }
    Rc::make_mut(&mut call.shell.positional).drain(..count);
    Ok(0)
}
