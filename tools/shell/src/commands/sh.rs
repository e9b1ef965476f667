//! `sh`: a script in a shell of its own, from `-c`, a file, or the input.

use std::rc::Rc;

use crate::run::{self, Call, Running};
use crate::stop::{Outcome, Stop};

pub(super) async fn sh(call: &mut Call<'_>) -> Outcome<u8> {
    let mut subshell = call.shell.subshell()?;
    let (mut rest, mut is_text) = (call.arguments, false);
    while let [word, after @ ..] = rest {
        match word.strip_prefix('-') {
            Some("-") => {
                rest = after;
                break;
            }
            Some(letters) if !letters.is_empty() => {
                for letter in letters.chars() {
                    match letter {
                        'c' => is_text = true,
                        'e' => subshell.options.errexit = true,
                        'u' => subshell.options.nounset = true,
                        'x' => subshell.options.xtrace = true,
                        'f' => subshell.options.noglob = true,
                        _ => return Err(Stop::usage(format!("unknown option `-{letter}`; there are -c -e -u -x -f"))),
                    }
                }
                rest = after;
            }
            _ => break,
        }
    }
    let (script, name, arguments) = match (rest, is_text) {
        ([], true) => return Err(Stop::usage("`-c` wants a script")),
        ([text], true) => (text.clone(), call.name, &[][..]),
        ([text, name, arguments @ ..], true) => (text.clone(), name.as_str(), arguments),
        ([name, arguments @ ..], false) => (crate::builtins::read_commands(call, name)?, name.as_str(), arguments),
        ([], false) => {
            let whole = call.shell.streams.input().whole().await?;
            (String::from_utf8_lossy(&whole).into_owned(), call.name, &[][..])
        }
    };
    subshell.variables.keep_exported();
    for (name, value) in [("IFS", " \t\n"), ("OPTIND", "1")] {
        subshell.variables.set(name, value)?;
    }
    subshell.functions = Rc::default();
    subshell.script = Rc::from(name);
    subshell.positional = Rc::new(arguments.to_vec());
    subshell.looked_at = 0;
    subshell.hidden = Vec::new();
    let running: Running<'_> = Box::pin(async move { run::whole(&mut subshell, &script).await });
    running.await
}
