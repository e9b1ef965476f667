//! The route that everybody else takes: `rustup target add`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Rustc, TARGET, WasmTarget};
use crate::places::Places;
use crate::process::{answers, run_within};

/// The download has 20 MB. Where nothing answers, rustup tries for much longer than anyone wants to wait.
const LIMIT: Duration = Duration::from_secs(180);

/// Asks rustup for the target.
pub(super) fn add_target(_places: &Places, rustc: &Rustc) -> Result<WasmTarget> {
    ensure!(answers(&mut Command::new("rustup")), "rustup is not installed");
    run_within(LIMIT, Command::new("rustup").args(["target", "add", TARGET]))?;
    // The rustc that is used may be another one than rustup's.
    ensure!(rustc.has_target(), "rustup added it to another rustc than the one in {}", rustc.sysroot.display());
    Ok(WasmTarget::Toolchain)
}
