//! `cargo xtask soak`: hostile and polite calls side by side for many minutes. `cargo xtask test` has a quarter of a minute of it.

use anyhow::{Context, Result, bail};

use crate::check::host;
use crate::places::Places;
use crate::process::run_shown;
use crate::tools;
use crate::wasm_target::WasmTarget;

pub(crate) const HELP: &str = "\
cargo xtask soak [--minutes N]

Lets hostile guests attack without pause for N minutes (20 unless said otherwise) while a polite one is called and timed, all in
one process, in a release build. Prints how resident memory grows, whether descriptors and threads come back to what they were,
and how long polite calls take beside the attacks and on an idle host. Fails where something does not come back, memory grows by
more than a mebibyte a minute (judged from nine minutes on), or a call ends as it should not. Close other programs first.";

const MINUTES: u32 = 20;

/// A day.
const MINUTES_MAX: u32 = 1_440;

/// The verb.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<()> {
    let minutes = match arguments {
        [] => MINUTES,
        [flag, minutes] if flag == "--minutes" => {
            let minutes = minutes.parse().ok().filter(|minutes| (1..=MINUTES_MAX).contains(minutes));
            minutes.with_context(|| format!("`--minutes` takes a number from 1 to {MINUTES_MAX}"))?
        }
        _ => bail!("unknown arguments\n  hint: `cargo xtask soak --minutes N`"),
    };
    tools::build(places, &WasmTarget::set_up(places)?)?;
    let mut soak = host(places);
    soak.env("AGENT_HOST_TEST_GUESTS", &places.guests);
    run_shown(soak.args(["run", "--locked", "--release", "--bin", "agent-soak", "--", &minutes.to_string()]))
}
