//! The pure core of agent-host: it decides, and never acts.
//!
//! Everything here is data and functions over data. There is no clock, no randomness, no input or output, no async and
//! no wasmtime: a test reads the dependency tree and keeps it so. The program around it (`agent-host`) does what
//! [`machine::next`] says and reports back facts as [`event::Event`]s; the sandbox (`agent-sandbox`) speaks of
//! [`effect`]s, [`grant`]s and [`outcome`]s in the words defined here.

#![warn(unreachable_pub)]

pub mod adoption;
pub mod answer_events;
pub mod approval;
pub mod budget;
pub mod client_events;
pub mod config;
pub mod digest;
pub mod doubt;
pub mod effect;
pub mod event;
pub mod file_changes;
pub mod file_events;
pub mod grant;
pub mod hardening;
pub mod hidden;
pub mod json;
pub mod kept;
pub mod keyring;
pub mod limits;
pub mod machine;
pub mod message;
pub mod metadata;
pub mod model;
pub mod name;
pub mod once;
pub mod open_file;
pub mod outcome;
pub mod path_state;
pub mod pattern;
pub mod pending;
pub mod redact;
pub mod run_events;
pub mod secret;
pub mod serving;
pub mod session;
pub mod settled;
pub mod state;
pub mod stop;
pub mod tool;
pub mod trace;
pub mod units;
