//! A private apt: the mirror and keys that the machine has, but suites, lists and downloads of its own. The machine's apt
//! and its installed packages are not touched, and no root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::places::remove;
use crate::process::{answers, read, run_within};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The lists of one suite have about 10 MB, the largest package 60 MB.
const UPDATE_LIMIT: Duration = Duration::from_secs(180);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// Which of Debian's archives a suite is in.
#[derive(Clone, Copy)]
pub(super) enum Archive {
    Main,
    Security,
}

/// One suite.
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Fetches the lists of `suite` into a folder below `parent`.
    pub(super) fn open(parent: &Path, archive: Archive, suite: &str) -> Result<Self> {
        for program in ["apt-get", "dpkg-deb"] {
            ensure!(answers(&mut Command::new(program)), "`{program}` is not there: this is no Debian");
        }
        let folder = parent.join(suite);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror(archive)?);
        fs::write(folder.join("sources.list"), source)?;
        let apt = Self { folder };
        let mut update = apt.command("apt-get");
        update.arg("update").stdout(std::process::Stdio::null());
        run_within(UPDATE_LIMIT, &mut update).with_context(|| format!("cannot get the package lists of {suite}"))?;
        Ok(apt)
    }

    /// The versions of a package, newest first.
    pub(super) fn versions(&self, package: &str) -> Result<Vec<String>> {
        Ok(versions_in(&read(self.command("apt-cache").args(["madison", package]))?))
    }

    /// The first dependency of a package whose name starts like this.
    pub(super) fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let depends = read(self.command("apt-cache").args(["depends", package]))?;
        let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let found = names.map(str::to_owned).find(|name| name.starts_with(prefix));
        found.with_context(|| format!("Debian's {package} does not depend on any {prefix}"))
    }

    /// Downloads packages, `NAME=VERSION` or `NAME`, and unpacks them into `root` without installing them.
    pub(super) fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        let debs = self.folder.join("debs");
        remove(&debs)?;
        fs::create_dir_all(&debs)?;
        fs::create_dir_all(root)?;
        run_within(DOWNLOAD_LIMIT, self.command("apt-get").arg("download").args(packages).current_dir(&debs))?;
        for deb in debs.read_dir()? {
            read(Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(root))?;
        }
        remove(&debs)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |option: &str, part: &str| format!("{option}={}", self.folder.join(part).display());
        let options = [
            at("Dir::Etc::SourceList", "sources.list"),
            at("Dir::State::Lists", "lists"),
            at("Dir::Cache", "cache"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            // As if nothing were installed, so that nothing that is gets in the way.
            "Dir::State::Status=/dev/null".into(),
            // Root would hand the download to a user who may not write here.
            format!("APT::Sandbox::User={}", user()),
            "Acquire::Languages=none".into(),
            "Acquire::http::Timeout=30".into(),
            "Acquire::https::Timeout=30".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".into(),
        ];
        command.arg("-qq").args(options.iter().flat_map(|option| ["-o", option]));
        command
    }
}

/// The mirror that the machine's own apt uses.
fn mirror(archive: Archive) -> Result<String> {
    let targets =
        read(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]))?;
    let ending = match archive {
        Archive::Main => "/debian",
        Archive::Security => "/debian-security",
    };
    match targets.lines().map(|line| line.trim_end_matches('/')).find(|line| line.ends_with(ending)) {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!("apt's sources name no mirror of Debian that ends in `{ending}`"),
    }
}

fn user() -> String {
    read(Command::new("id").arg("-un")).map_or_else(|_| "root".into(), |name| name.trim().to_owned())
}

fn versions_in(madison: &str) -> Vec<String> {
    madison.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn madison_lists_versions_in_its_second_column() {
        let madison =
            "  rust-src | 1.96.1+dfsg1-1~bpo13+1 | mirror suite/main amd64 Packages\n  rust-src | 1.95.0+dfsg1-2 | x\n";
        assert_eq!(versions_in(madison), ["1.96.1+dfsg1-1~bpo13+1", "1.95.0+dfsg1-2"]);
    }
}
