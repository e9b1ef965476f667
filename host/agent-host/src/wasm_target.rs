//! Finds the standard library of `wasm32-wasip2` for a build command. Where rustc has it, nothing is to do. Else `cargo xtask
//! setup` may have left one in the user's cache folder: built for that very rustc, or with a rustc of its own. The build is
//! pointed there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The target of tools in Rust.
pub const TARGET: &str = "wasm32-wasip2";
/// The folder below the user's cache in which `cargo xtask` puts the target where rustup cannot add it.
const CACHE_FOLDER: &str = "agent-host/wasm-toolchain";
/// The target's libraries within a sysroot.
const LIBRARIES: &str = "lib/rustlib/wasm32-wasip2/lib";
/// Says, within a sysroot from the cache, which rustc it was built for.
const STAMP: &str = "lib/rustlib/wasm32-wasip2/stamp";
/// The variable by which cargo takes flags for the target alone.
const FLAGS: &str = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";

/// How long a rustc may take that only says what it is.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long one may take that a trusted build would have downloaded first.
const DOWNLOAD_TIME: Duration = Duration::from_secs(600);

/// Where rustc is asked what it is. The one of rustup obeys the toolchain file of the working directory and of those around it,
/// which may name a program to start or a toolchain to download: so nobody is asked in a folder that is not trusted.
#[derive(Debug, Clone, Copy)]
pub enum Place<'p> {
    /// In nobody's folder: the user's own rustc, and nothing is downloaded.
    Nowhere,
    /// In a tool's folder whose build command is trusted.
    Trusted(&'p Path),
}

/// Lets `command`, which is trusted and runs in `folder`, find the target's standard library if rustc itself does not have it.
pub async fn prepare(command: &mut Command, folder: &Path) {
    if std::env::var_os(FLAGS).is_some() {
        return;
    }
    if let (Some(rustc), Some(cache)) = (Rustc::ask(Place::Trusted(folder)).await, cache()) {
        command.envs(variables(&rustc, &cache.join(CACHE_FOLDER)));
    }
}

/// What builds tools in Rust on this machine.
pub enum Builder {
    /// This rustc, with the target.
    Ready(String),
    /// This rustc, which lacks the target.
    NoTarget(String),
    /// No rustc.
    NoCompiler,
}

/// Looks for what a build would use.
pub async fn on_this_machine(place: Place<'_>) -> Builder {
    let Some(rustc) = Rustc::ask(place).await else { return Builder::NoCompiler };
    let release = rustc.stamp.split(' ').next().unwrap_or_default();
    let has_own = rustc.sysroot.join(LIBRARIES).is_dir();
    let is_helped = cache().is_some_and(|cache| !variables(&rustc, &cache.join(CACHE_FOLDER)).is_empty());
    let named = format!("rustc {release}");
    if has_own || is_helped || std::env::var_os(FLAGS).is_some() {
        Builder::Ready(named)
    } else {
        Builder::NoTarget(named)
    }
}

/// The rustc on the PATH.
struct Rustc {
    sysroot: PathBuf,
    /// `1.95.0 COMMIT HOST`: what tells this build of rustc from every other.
    stamp: String,
    host: String,
}

impl Rustc {
    /// `None` where there is none: a tool in another language needs none.
    async fn ask(place: Place<'_>) -> Option<Self> {
        let about = said("rustc", &["-vV"], place).await?;
        let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let host = field("host")?.to_owned();
        let stamp = format!("{} {} {host}", field("release")?, field("commit-hash")?);
        Some(Self { sysroot: said("rustc", &["--print", "sysroot"], place).await?.trim().into(), stamp, host })
    }

    /// The linker of wasm modules, which a rustc from the cache does not bring.
    fn linker(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin/gcc-ld/wasm-ld")
    }
}

async fn said(program: &str, arguments: &[&str], place: Place<'_>) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let time = match place {
        Place::Nowhere => {
            command.current_dir("/").env("RUSTUP_AUTO_INSTALL", "0");
            ANSWER_TIME
        }
        Place::Trusted(folder) => {
            command.current_dir(folder);
            DOWNLOAD_TIME
        }
    };
    let output = tokio::time::timeout(time, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The user's cache folder.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
}

/// What has to be set for a cargo that compiles components.
fn variables(rustc: &Rustc, toolchain: &Path) -> Vec<(&'static str, String)> {
    if rustc.sysroot.join(LIBRARIES).is_dir() {
        return Vec::new();
    }
    let sysroot = toolchain.join("sysroot");
    if std::fs::read_to_string(sysroot.join(STAMP)).is_ok_and(|stamp| stamp.trim() == rustc.stamp) {
        return vec![(FLAGS, format!("--sysroot={}", sysroot.display()))];
    }
    let other = toolchain.join("rustc-web");
    if other.join("complete").is_file() {
        let flags = format!("-Clink-arg=--wasm-ld-path={}", rustc.linker().display());
        return vec![("RUSTC", other.join("bin/rustc").display().to_string()), (FLAGS, flags)];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rustc(sysroot: &Path) -> Rustc {
        Rustc { sysroot: sysroot.to_owned(), stamp: "1.95.0 abc host".to_owned(), host: "host".to_owned() }
    }

    fn write(path: PathBuf, text: &str) -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(path, text)
    }

    /// A toolchain file there could name any program, and reading a terminal would wait for somebody.
    #[tokio::test]
    async fn a_compiler_is_not_asked_in_a_strangers_folder() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path().canonicalize()?;
        let here = |said: Option<String>| said.map(|said| PathBuf::from(said.trim()));
        assert_eq!(here(said("pwd", &["-P"], Place::Nowhere).await), Some("/".into()));
        assert_eq!(here(said("pwd", &["-P"], Place::Trusted(&folder)).await), Some(folder));
        assert_eq!(said("cat", &[], Place::Nowhere).await.as_deref(), Some(""));
        Ok(())
    }

    #[test]
    fn a_build_is_pointed_to_what_fits_its_rustc() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (toolchain, own) = (folder.path().join("cache"), folder.path().join("own"));
        let names = |rustc: &Rustc| variables(rustc, &toolchain).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&rustc(&own)), [""; 0], "nothing is there");

        write(toolchain.join("rustc-web/complete"), "")?;
        assert_eq!(names(&rustc(&own)), ["RUSTC", FLAGS], "a rustc of its own");

        write(toolchain.join("sysroot").join(STAMP), "1.94.0 abc host\n")?;
        assert_eq!(names(&rustc(&own)), ["RUSTC", FLAGS], "a library of another rustc fits nobody");

        write(toolchain.join("sysroot").join(STAMP), "1.95.0 abc host\n")?;
        assert_eq!(names(&rustc(&own)), [FLAGS], "a library for this rustc");

        std::fs::create_dir_all(own.join(LIBRARIES))?;
        assert_eq!(names(&rustc(&own)), [""; 0], "rustc has its own");
        Ok(())
    }
}
