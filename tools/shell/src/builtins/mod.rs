//! Commands that change the shell itself, or that shells have built in. Found by name before those of `commands`.

pub(crate) mod condition;
mod control;
pub(crate) use control::read_commands;
mod echo;
mod getopts;
mod names;
mod places;
mod printf;
mod read;
mod set;
mod variables;

use crate::run::{Call, Program, Running};

/// A table of commands: each name with the function that runs it.
macro_rules! programs {
    ($($($name:literal)|+ => $function:path,)*) => {
        /// The command of that name.
        pub(crate) fn find(name: &str) -> Option<Program> {
            match name {
                $($($name)|+ => {
                    fn program<'a>(call: &'a mut Call<'_>) -> Running<'a> {
                        Box::pin($function(call))
                    }
                    Some(program)
                })*
                _ => None,
            }
        }

        /// All names, for `help`.
        pub(crate) const NAMES: &[&str] = &[$($($name),+),*];
    };
}
pub(crate) use programs;

programs! {
    ":" | "true" => control::succeed,
    "false" => control::fail,
    "exit" => control::exit,
    "return" => control::leave_function,
    "break" => control::leave_loop,
    "continue" => control::next_turn,
    "eval" => control::eval,
    "." | "source" => control::source,
    "trap" => control::trap,
    "shift" => control::shift,
    "cd" => places::cd,
    "pwd" => places::pwd,
    "echo" => echo::echo,
    "printf" => printf::printf,
    "test" | "[" => condition::test,
    "read" => read::read,
    "set" => set::set,
    "export" => variables::export,
    "readonly" => variables::readonly,
    "local" => variables::local,
    "unset" => variables::unset,
    "getopts" => getopts::getopts,
    "command" => names::command,
    "type" => names::type_of,
    "which" => names::which,
    "help" => names::help,
}

/// Builtins before which assignments stay, as POSIX says.
pub(crate) fn is_special(name: &str) -> bool {
    matches!(
        name,
        ":" | "."
            | "break"
            | "continue"
            | "eval"
            | "exec"
            | "exit"
            | "export"
            | "readonly"
            | "return"
            | "set"
            | "shift"
            | "trap"
            | "unset"
    )
}
