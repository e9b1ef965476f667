//! The desktop's own program that asks its keyring: `secret-tool` of libsecret, which GNOME Keyring, KWallet and KeePassXC answer,
//! and `security` on macOS. Where it is found, what it is given, and what its answers mean.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use agent_core::keyring::KeyringEntry;
use agent_core::secret::VALUE_BYTES_MAX;
use anyhow::{Context, anyhow, bail, ensure};
use zeroize::Zeroizing;

use super::process::{Heard, Patience, hear};
use crate::hardening::reach::Reach;
use crate::real_path;
use crate::report::{text, typed};
use crate::secret_values::without_newline;

/// What of this process's environment it is given: how to reach the desktop's bus, and the screen on which a person unlocks.
const PASSED_ON: [&str; 6] =
    ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"];
/// Where it finds what it starts itself.
const PATH: &str = "/usr/bin:/bin";
/// Permission bit that lets everybody change what is in a folder.
const EVERYBODY_WRITES: u32 = 0o002;
/// Longest complaint of it that is shown.
const COMPLAINT_CHARS_MAX: usize = 200;
/// How `security` ends where there is no such entry.
const NOT_FOUND_OF_SECURITY: i32 = 44;
/// An entry that no keyring has.
const NO_ENTRY: &str = "agent-host/doctor";

/// A program that asks the keyring.
pub(super) struct Program {
    path: PathBuf,
    kind: Kind,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of libsecret.
    SecretTool,
    /// Of macOS.
    Security,
}

/// What came of asking for one entry.
enum Answer {
    Value(Zeroizing<String>),
    NoEntry,
}

impl Program {
    /// The one of this system: from a place that the operator put into `PATH`, else from where systems have it. Not from where tools
    /// may write, which `reach` says.
    ///
    /// # Errors
    /// Where there is none, or no desktop whose keyring it could ask.
    pub(super) fn find(reach: &Reach) -> anyhow::Result<Self> {
        let kind = if cfg!(target_os = "macos") { Kind::Security } else { Kind::SecretTool };
        kind.check_session(|name| std::env::var_os(name).filter(|value| !value.is_empty()))?;
        let path = kind.find(&std::env::var_os("PATH").unwrap_or_default())?;
        let stops = real_path::way_to(&path).stops;
        if let Some(written) = stops.iter().find_map(|stop| reach.writable_around(stop)) {
            bail!(
                "`{}` lies where tools may write: `{}`\n  hint: put the folder with another `{}` first in `PATH`",
                path.display(),
                written.display(),
                kind.name()
            );
        }
        Ok(Self { path, kind })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of an entry.
    ///
    /// # Errors
    /// Where it is not to be had, with what to do about it.
    pub(super) fn ask(&self, entry: &KeyringEntry, patience: &mut Patience) -> anyhow::Result<Zeroizing<String>> {
        match self.answer(entry, patience)? {
            Answer::Value(value) => Ok(value),
            Answer::NoEntry => bail!(
                "the keyring has no entry `{entry}`, or was not unlocked for it\n  hint: to store it: `{}`",
                self.kind.storing(entry)
            ),
        }
    }

    /// Asks for an entry that it does not have.
    ///
    /// # Errors
    /// Where no keyring answers.
    pub(super) fn look(&self, patience: &mut Patience) -> anyhow::Result<()> {
        self.answer(&NO_ENTRY.parse()?, patience).map(drop)
    }

    fn answer(&self, entry: &KeyringEntry, patience: &mut Patience) -> anyhow::Result<Answer> {
        let too_late = "the keyring did not answer in time\n  hint: unlock it, and try again";
        ensure!(!patience.is_over(), too_late);
        let heard = hear(&mut self.command(entry), VALUE_BYTES_MAX + 2, patience);
        match heard.with_context(|| format!("cannot ask the keyring by `{}`", self.path.display()))? {
            Heard::TooLate => bail!(too_late),
            Heard::TooLong => {
                bail!("what the keyring has is longer than the {VALUE_BYTES_MAX} bytes that a header may have")
            }
            Heard::Ended { mut said, status, .. } if status.success() => {
                let value = without_newline(&mut said).context("what the keyring has is not text")?;
                Ok(Answer::Value(Zeroizing::new(value.to_owned())))
            }
            Heard::Ended { status, complaint, .. } => self.kind.refusal(status, &complaint),
        }
    }

    /// Without a shell, and with nothing of this process's surroundings but what it needs.
    fn command(&self, entry: &KeyringEntry) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.kind.arguments(entry)).current_dir("/").env_clear().env("PATH", PATH);
        // What it complains about is read for a word or two.
        command.env("LC_ALL", "C");
        command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::SecretTool => "secret-tool",
            Self::Security => "security",
        }
    }

    fn places(self) -> &'static [&'static str] {
        match self {
            Self::SecretTool => &["/usr/bin", "/usr/local/bin", "/run/current-system/sw/bin"],
            Self::Security => &["/usr/bin"],
        }
    }

    fn arguments(self, entry: &KeyringEntry) -> Vec<&str> {
        let (service, account) = (entry.service(), entry.account());
        match self {
            Self::SecretTool => vec!["lookup", "service", service, "account", account],
            Self::Security => vec!["find-generic-password", "-w", "-s", service, "-a", account],
        }
    }

    /// The command by which a person stores the entry. It asks for the value.
    fn storing(self, entry: &KeyringEntry) -> String {
        let (service, account) = (typed::word(entry.service()), typed::word(entry.account()));
        match self {
            Self::SecretTool => {
                format!("secret-tool store --label={service} service {service} account {account}")
            }
            Self::Security => format!("security add-generic-password -s {service} -a {account} -w"),
        }
    }

    /// A keyring belongs to a desktop. Without one the program would say so in words of its own.
    fn check_session(self, variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<()> {
        let bus = || variable("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).join("bus").exists());
        let has_session = match self {
            Self::SecretTool => {
                variable("DBUS_SESSION_BUS_ADDRESS").is_some() || bus() || variable("DISPLAY").is_some()
            }
            Self::Security => true,
        };
        ensure!(
            has_session,
            "there is no desktop here whose keyring could be asked: `DBUS_SESSION_BUS_ADDRESS` is not set\n  hint: take the \
             value from elsewhere: `env:NAME`, `file:PATH`"
        );
        Ok(())
    }

    fn find(self, path: &OsStr) -> anyhow::Result<PathBuf> {
        let path = match self {
            Self::SecretTool => path,
            // Its name is a common word, and every macOS has it in one place.
            Self::Security => OsStr::new(""),
        };
        let users = std::env::split_paths(path).filter(|place| place.is_absolute() && !is_everybodys(place));
        self.first_of(users.chain(self.places().iter().map(PathBuf::from)))
    }

    fn first_of(self, places: impl Iterator<Item = PathBuf>) -> anyhow::Result<PathBuf> {
        let mut programs = places.map(|place| place.join(self.name()));
        programs.find(|program| is_program(program)).ok_or_else(|| match self {
            Self::SecretTool => anyhow!(
                "the program `secret-tool`, which asks the desktop's keyring, is missing\n  hint: install it: the package is \
                 called `libsecret-tools` on Debian and Ubuntu, `libsecret` elsewhere"
            ),
            Self::Security => anyhow!("the program `/usr/bin/security`, which asks the keychain, is missing"),
        })
    }

    /// What it means that no value came.
    fn refusal(self, status: ExitStatus, complaint: &str) -> anyhow::Result<Answer> {
        let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let has_none = match self {
            Self::SecretTool => first.is_empty() && status.code() == Some(1),
            Self::Security => status.code() == Some(NOT_FOUND_OF_SECURITY),
        };
        if has_none {
            return Ok(Answer::NoEntry);
        }
        let said = if first.is_empty() { status.to_string() } else { text::line(first, COMPLAINT_CHARS_MAX) };
        // The name by which every keyring of a Linux desktop is asked.
        let hint = if first.contains("org.freedesktop.secrets") {
            "start a keyring on this desktop: GNOME Keyring, KWallet or KeePassXC"
        } else {
            "unlock the keyring, or take the value from elsewhere: `env:NAME`, `file:PATH`"
        };
        bail!("the keyring gives nothing: {said}\n  hint: {hint}")
    }
}

/// Whether everybody may put a program there.
fn is_everybodys(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & EVERYBODY_WRITES != 0)
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::process::ExitStatusExt;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::reporter::Voice;

    fn stand_in(folder: &Path, script: &str) -> std::io::Result<Program> {
        let path = folder.join("secret-tool");
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Program { path, kind: Kind::SecretTool })
    }

    fn said(program: &Program, wait: Duration) -> anyhow::Result<String> {
        let mut patience = Patience::until(Instant::now() + wait, Voice::Silent);
        let asked = program.ask(&"https://api.example.com/ada".parse()?, &mut patience);
        Ok(asked.map_or_else(|why| format!("{why:#}"), |value| format!("value: {}", *value)))
    }

    #[test]
    fn what_the_program_says_is_a_value_or_a_reason() -> anyhow::Result<()> {
        const LONG: Duration = Duration::from_secs(20);
        let folder = tempfile::tempdir()?;
        let answer = |script: &str| said(&stand_in(folder.path(), script)?, LONG);
        assert_eq!(answer("printf tok-7f3Qx9Zw")?, "value: tok-7f3Qx9Zw");
        assert_eq!(answer("printf 'tok-7f3Qx9Zw\\r\\n'")?, "value: tok-7f3Qx9Zw");
        assert_eq!(
            answer("printf '%s ' \"$0\" \"$@\"")?.replace(&folder.path().display().to_string(), "[FOLDER]"),
            "value: [FOLDER]/secret-tool lookup service https://api.example.com account ada "
        );
        assert_eq!(answer("cat; pwd -P; exit 0")?, "value: /");
        insta::assert_snapshot!(answer("exit 1")?, @"
        the keyring has no entry `https://api.example.com/ada`, or was not unlocked for it
          hint: to store it: `secret-tool store --label=https://api.example.com service https://api.example.com account ada`
        ");
        let none = "secret-tool: The name org.freedesktop.secrets was not provided by any .service files";
        insta::assert_snapshot!(answer(&format!("echo '{none}' >&2; exit 1"))?, @"
        the keyring gives nothing: secret-tool: The name org.freedesktop.secrets was not provided by any .service files
          hint: start a keyring on this desktop: GNOME Keyring, KWallet or KeePassXC
        ");
        insta::assert_snapshot!(answer("printf '\\033]0;mine\\007' >&2; exit 1")?, @r"
        the keyring gives nothing: \u{1b}]0;mine\u{7}
          hint: unlock the keyring, or take the value from elsewhere: `env:NAME`, `file:PATH`
        ");
        assert!(answer("kill -9 $$")?.starts_with("the keyring gives nothing: signal: 9"));
        assert!(answer("printf '\\377\\376tok-7f3Qx9Zw'")?.contains("is not text"));
        assert!(answer("exec head -c 1048576 /dev/zero")?.contains("longer than the 4096 bytes"));
        Ok(())
    }

    /// What it holds open itself, and what another process holds open for it.
    #[test]
    fn a_program_that_does_not_answer_is_ended() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let pid = folder.path().join("pid");
        let script = format!("echo $$ > '{}'; exec sleep 600", pid.display());
        let program = stand_in(folder.path(), &script)?;
        let begun = Instant::now();
        assert!(said(&program, Duration::from_secs(2))?.starts_with("the keyring did not answer in time"));
        assert!(begun.elapsed() < Duration::from_secs(20));
        let process = Path::new("/proc").join(fs::read_to_string(&pid)?.trim());
        assert!(!process.exists(), "it was waited for");
        let held = stand_in(folder.path(), "sleep 600 >/dev/null & printf tok-7f3Qx9Zw; echo $! >'PID'")?;
        let script = fs::read_to_string(&held.path)?.replace("PID", &pid.display().to_string());
        fs::write(&held.path, script)?;
        let begun = Instant::now();
        assert_eq!(said(&held, Duration::from_secs(20))?, "value: tok-7f3Qx9Zw");
        assert!(begun.elapsed() < Duration::from_secs(10));
        let left = fs::read_to_string(&pid)?.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(left.context("a process")?, rustix::process::Signal::KILL)?;
        // No patience is left for the next entry: it is not started.
        let started = folder.path().join("started");
        let late = stand_in(folder.path(), &format!("touch '{}'", started.display()))?;
        assert!(said(&late, Duration::ZERO)?.contains("did not answer in time"));
        assert!(!started.exists());
        Ok(())
    }

    #[test]
    fn it_is_found_where_the_operator_put_it_and_not_where_everybody_or_a_tool_can() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path().canonicalize()?;
        let place = |name: &str, mode: u32| -> anyhow::Result<PathBuf> {
            let place = folder.join(name);
            fs::create_dir_all(&place)?;
            stand_in(&place, "exit 0")?;
            fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
            Ok(place)
        };
        let (everybodys, own, other) = (place("all", 0o777)?, place("own", 0o755)?, place("other", 0o700)?);
        fs::set_permissions(other.join("secret-tool"), fs::Permissions::from_mode(0o600))?;
        let path = std::env::join_paths([Path::new("."), &everybodys, &other, &own])?;
        let found = Kind::SecretTool.find(&path)?;
        assert_eq!(found, own.join("secret-tool"));
        let missing = Kind::SecretTool.first_of(std::iter::once(folder.clone()));
        insta::assert_snapshot!(missing.err().map(|why| why.to_string()).unwrap_or_default(), @"
        the program `secret-tool`, which asks the desktop's keyring, is missing
          hint: install it: the package is called `libsecret-tools` on Debian and Ubuntu, `libsecret` elsewhere
        ");

        let mut reach = Reach::default();
        let around = |reach: &Reach, program: &Path| {
            real_path::way_to(program).stops.iter().find_map(|stop| reach.writable_around(stop).map(Path::to_owned))
        };
        reach.write(&everybodys);
        assert_eq!(around(&reach, &found), None);
        symlink(&everybodys, folder.join("link"))?;
        assert_eq!(around(&reach, &folder.join("link/secret-tool")), Some(everybodys));
        reach.write(&folder);
        assert!(around(&reach, &found).is_some());
        Ok(())
    }

    #[test]
    fn each_system_has_its_own_program() -> anyhow::Result<()> {
        let entry: KeyringEntry = "my shop/ada".parse()?;
        assert_eq!(Kind::SecretTool.arguments(&entry), ["lookup", "service", "my shop", "account", "ada"]);
        assert_eq!(Kind::Security.arguments(&entry), ["find-generic-password", "-w", "-s", "my shop", "-a", "ada"]);
        assert_eq!(
            Kind::SecretTool.storing(&entry),
            "secret-tool store --label='my shop' service 'my shop' account ada"
        );
        assert_eq!(Kind::Security.storing(&entry), "security add-generic-password -s 'my shop' -a ada -w");
        let not_found = ExitStatus::from_raw(NOT_FOUND_OF_SECURITY << 8);
        let said = "security: SecKeychainSearchCopyNext: The specified item could not be found in the keychain.";
        assert!(matches!(Kind::Security.refusal(not_found, said), Ok(Answer::NoEntry)));
        Ok(())
    }

    #[test]
    fn without_a_desktop_that_is_what_is_said() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let runtime = folder.path().as_os_str().to_owned();
        let of_desktop = |set: &'static str, value: &OsString| {
            let value = value.clone();
            Kind::SecretTool.check_session(move |name| (name == set).then(|| value.clone())).is_ok()
        };
        let bus = "unix:path=/run/user/1000/bus".into();
        assert!(of_desktop("DBUS_SESSION_BUS_ADDRESS", &bus) && of_desktop("DISPLAY", &":0".into()));
        assert!(!of_desktop("XDG_RUNTIME_DIR", &runtime) && !of_desktop("HOME", &runtime));
        fs::write(folder.path().join("bus"), "")?;
        assert!(of_desktop("XDG_RUNTIME_DIR", &runtime));
        let nowhere = Kind::SecretTool.check_session(|_| None).err().map(|why| why.to_string()).unwrap_or_default();
        insta::assert_snapshot!(nowhere, @"
        there is no desktop here whose keyring could be asked: `DBUS_SESSION_BUS_ADDRESS` is not set
          hint: take the value from elsewhere: `env:NAME`, `file:PATH`
        ");
        Ok(())
    }
}
