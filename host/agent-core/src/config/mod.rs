//! Files that say what a tool may do and how an agent runs: `tool.toml`, `agent.toml`, `policy.toml`, `settings.toml`, `tests.toml`; and what follows from
//! them: the [`grant::Grant`](crate::grant::Grant) of each tool and the answer to each effect.
//!
//! Text goes in, typed values or a list of [`problem::Problem`]s come out. Nothing here reads a file: the shell passes the
//! text, the name to show in messages, and the directory against which relative paths resolve.

pub mod agent_file;
pub mod authority;
pub mod cases;
pub mod ceiling;
pub mod decide;
pub mod exports;
mod file;
pub mod foreign_name;
pub mod host_path;
pub mod learn;
mod limit;
pub mod manifest;
pub mod mount;
pub mod policy;
pub mod problem;
pub mod quantity;
pub mod reachable;
mod reader;
pub mod refusal;
pub mod resolve;
mod resolve_secrets;
pub mod rule_names;
mod rules;
mod secret_request;
pub mod selector;
pub mod settings;
pub mod widen;

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod learn_tests;
#[cfg(test)]
mod resolve_tests;
