//! The fuzz targets in one program, so that it is linked once: `AGENT_HOST_FUZZ_TARGET` chooses. `cargo xtask fuzz` builds it
//! with coverage counters, runs it and reports. A target panics where its subject does something that it must never do.

#![no_main]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a target fails by panicking")]

mod agent_file;
mod component;
mod manifest;
mod planted;
mod problems;
mod redactor;
mod url_pattern;
mod value;

use std::sync::OnceLock;

/// What is done with each input.
type Target = fn(&[u8]);

/// Chosen once: each input must go to the same one.
static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: { CHOSEN.get_or_init(chosen); }, |bytes: &[u8]| {
    CHOSEN.get_or_init(chosen)(bytes);
});

fn chosen() -> Target {
    let name = std::env::var("AGENT_HOST_FUZZ_TARGET").unwrap_or_default();
    match name.as_str() {
        "manifest" => manifest::run,
        "agent_file" => agent_file::run,
        "url_pattern" => url_pattern::run,
        "component" => component::run,
        "value" => value::run,
        "redactor" => redactor::run,
        "planted" => planted::run,
        _ => panic!("AGENT_HOST_FUZZ_TARGET names no target: `{name}`"),
    }
}
