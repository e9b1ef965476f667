//! The wasm target: how components are compiled on this machine, and the routes by which a machine without the target
//! gets it. Each route is a file; this one decides their order.

mod apt;
mod debian_source;
mod probe;
mod rustc;
mod rustc_web;
mod rustup;
mod standard_library;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, anyhow};

use self::rustc::Rustc;
use crate::places::{Places, lock};
use crate::talk::say;

/// The target of every component: WASI 0.2.
pub(crate) const TARGET: &str = "wasm32-wasip2";
/// The variable by which cargo takes flags for the target alone.
const FLAGS_VARIABLE: &str = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";

/// How components are compiled on this machine.
pub(crate) enum WasmTarget {
    /// By rustc, as it is.
    Toolchain,
    /// By rustc, with a standard library from this folder.
    Sysroot(PathBuf),
    /// By another rustc, that brings its own standard library.
    OtherRustc {
        /// That rustc.
        rustc: PathBuf,
        /// Its linker, which it does not bring.
        linker: PathBuf,
    },
}

impl WasmTarget {
    /// Finds the target, or makes it.
    pub(crate) fn set_up(places: &Places) -> Result<Self> {
        let rustc = Rustc::ask()?;
        match Self::find(places, &rustc) {
            Some(target) => Ok(target),
            None => Self::make(places, &rustc),
        }
    }

    /// Compiles components with `command`, a cargo.
    ///
    /// By variables and not by a `.cargo/config.toml`: cargo adds the flags of both up, `agent-host tool build` sets the
    /// variable too, and rustc refuses a second `--sysroot`.
    pub(crate) fn prepare(&self, command: &mut Command) {
        if self.flags().is_some() {
            // These replace the flags of a target, and the sysroot with them.
            command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        command.envs(self.variables());
    }

    /// Whether components are compiled by another rustc than all else.
    pub(crate) fn is_of_another_rustc(&self) -> bool {
        matches!(self, Self::OtherRustc { .. })
    }

    /// What has to be set for a cargo that compiles components.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let flags = self.flags().map(|flags| (FLAGS_VARIABLE, flags));
        let rustc = match self {
            Self::OtherRustc { rustc, .. } => Some(("RUSTC", rustc.display().to_string())),
            Self::Toolchain | Self::Sysroot(_) => None,
        };
        flags.into_iter().chain(rustc).collect()
    }

    /// The one flag that rustc needs for the target.
    fn flags(&self) -> Option<String> {
        match self {
            Self::Toolchain => None,
            Self::Sysroot(sysroot) => Some(format!("--sysroot={}", sysroot.display())),
            Self::OtherRustc { linker, .. } => Some(format!("-Clink-arg=--wasm-ld-path={}", linker.display())),
        }
    }

    fn find(places: &Places, rustc: &Rustc) -> Option<Self> {
        if rustc.has_target() {
            return Some(Self::Toolchain);
        }
        standard_library::find(places, rustc).or_else(|| rustc_web::find(places, rustc))
    }

    fn make(places: &Places, rustc: &Rustc) -> Result<Self> {
        let _lock = lock(&places.wasm_toolchain)?;
        if let Some(made_meanwhile) = Self::find(places, rustc) {
            return Ok(made_meanwhile);
        }
        let mut failures = String::new();
        for (name, route) in ROUTES {
            say(&format!("{TARGET} is missing; trying {name}"));
            match route(places, rustc) {
                Ok(target) => return Ok(target),
                Err(error) => {
                    say(&format!("that did not work: {error:#}"));
                    failures.push_str(&format!("\n  {name}: {error:#}"));
                }
            }
        }
        Err(no_route(&failures))
    }
}

type Route = fn(&Places, &Rustc) -> Result<WasmTarget>;

const ROUTES: [(&str, Route); 3] = [
    ("rustup", rustup::add_target),
    ("Debian's source of the standard library", debian_source::build),
    ("Debian's own rustc", rustc_web::build),
];

fn no_route(failures: &str) -> anyhow::Error {
    anyhow!(
        "no way to get the {TARGET} target on this machine:{failures}\n  hint: install rustup (https://rustup.rs), run \
         `rustup target add {TARGET}` where the network allows it, and try again"
    )
}

impl fmt::Display for WasmTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toolchain => write!(f, "rustc has it"),
            Self::Sysroot(sysroot) => write!(f, "rustc uses the standard library in {}", sysroot.display()),
            Self::OtherRustc { rustc, .. } => write!(f, "components are compiled by {}", rustc.display()),
        }
    }
}
