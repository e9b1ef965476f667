//! Diagnostics for developers: `tracing` on stderr, off unless asked for. The journal, not the log, is the record.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts diagnostics by `filter`, such as `info` or `agent_host=debug`; none where there is no filter.
///
/// # Errors
/// Where the filter is not understood.
pub fn start(filter: Option<&str>) -> anyhow::Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("`--log {filter}` is not a filter such as `info`"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Said by a macro that panics where nobody reads stderr any more: a run must not end by that.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
