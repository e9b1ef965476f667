//! The `shell` tool: runs POSIX-like shell scripts over the granted folder, without a process, a thread or a network.
//!
//! `syntax` reads a script into a tree, `expand` makes words of it, `run` walks it, `builtins` and `commands` are what it can call.
//! `streams` is what they read and write: pipes are bounded buffers, and the stages of a pipeline are futures that take turns.
//! `tool` is the one operation that a model sees.

mod builtins;
mod commands;
#[cfg(test)]
mod corpus;
mod expand;
mod files;
#[cfg(test)]
mod hostile;
mod identity;
mod run;
mod shell;
mod stop;
mod streams;
mod syntax;
mod tool;
mod variables;

agent_host_tool::export!(tool::run);
