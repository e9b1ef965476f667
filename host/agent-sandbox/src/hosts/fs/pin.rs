//! Opens a name if and only if a regular file is behind it. Called wherever this host opens a file below a mount.
//!
//! To look first and open then would leave a moment in which another thing can take the name, and opening is an act: a device
//! may begin to move, a pipe's other end wakes up. So the name is first given a handle that only points at what is there
//! (`O_PATH`), that handle is looked at, and the very same thing is then opened through it.

use std::fs::File;
use std::thread;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::defence::{self, Defence};
use crate::hosts::fs::handle::open_name;

/// How long a program that holds a lease on a file (a file server, on behalf of its clients) is waited for once it was told to
/// give it up, and how often it is asked. The kernel would wait 45 seconds, and the thread that waits is one of the few that
/// guests run on.
const LEASE_TRIES: u32 = 20;
const LEASE_WAIT: Duration = Duration::from_millis(5);

/// What was behind a name.
pub(crate) enum Pinned {
    /// A regular file, opened.
    Regular(File),
    /// Something else, not opened.
    Other(FileType),
}

/// Opens a regular file.
pub(crate) fn open_regular(dir: &File, name: &str, access: OFlags) -> Result<Pinned, Errno> {
    if defence::is_off(Defence::FsSpecialFile) {
        return Ok(Pinned::Regular(File::from(rustix::fs::openat(dir, name, access, Mode::empty())?)));
    }
    for _ in 1..LEASE_TRIES {
        match open_now(dir, name, access) {
            // To have asked is what makes the holder give its lease up.
            Err(Errno::AGAIN) => thread::sleep(LEASE_WAIT),
            opened => return opened,
        }
    }
    open_now(dir, name, access)
}

fn open_now(dir: &File, name: &str, access: OFlags) -> Result<Pinned, Errno> {
    match open_through_pin(dir, name, access) {
        // No `/proc` to go through.
        Err(Reopen::Unavailable) => open_then_look(dir, name, access),
        Err(Reopen::Failed(errno)) => Err(errno),
        Ok(pinned) => Ok(pinned),
    }
}

/// Why a file could not be opened through its handle.
enum Reopen {
    /// This system has no way to.
    Unavailable,
    /// It did not let itself be opened.
    Failed(Errno),
}

impl From<Errno> for Reopen {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

#[cfg(target_os = "linux")]
fn open_through_pin(dir: &File, name: &str, access: OFlags) -> Result<Pinned, Reopen> {
    use std::os::fd::AsRawFd;
    let pin = open_name(dir, name, OFlags::PATH, Mode::empty())?;
    let found = FileType::from_raw_mode(rustix::fs::fstat(&pin)?.st_mode);
    if found != FileType::RegularFile {
        return Ok(Pinned::Other(found));
    }
    let handles = rustix_linux_procfs::proc_self_fd().map_err(|_| Reopen::Unavailable)?;
    // Without `NONBLOCK`, opening would wait for whoever has a lease on the file.
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(handles, pin.as_raw_fd().to_string(), flags, Mode::empty())?;
    Ok(Pinned::Regular(File::from(opened)))
}

#[cfg(not(target_os = "linux"))]
fn open_through_pin(_: &File, _: &str, _: OFlags) -> Result<Pinned, Reopen> {
    Err(Reopen::Unavailable)
}

/// Opens without blocking and looks at what was opened. Where something took the name of a file that was seen a moment ago,
/// it was opened for that moment; nothing was read from it or written to it.
fn open_then_look(dir: &File, name: &str, access: OFlags) -> Result<Pinned, Errno> {
    let file = File::from(match open_name(dir, name, access, Mode::empty()) {
        // A socket, or a pipe that nobody reads.
        Err(Errno::NXIO) => return Ok(Pinned::Other(FileType::Unknown)),
        opened => opened?,
    });
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(Pinned::Regular(file)),
        other => Ok(Pinned::Other(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use rustix::fs::CWD;

    use super::*;

    fn kind(pinned: Result<Pinned, Errno>) -> Result<Option<FileType>, Errno> {
        pinned.map(|pinned| match pinned {
            Pinned::Regular(_) => None,
            Pinned::Other(other) => Some(other),
        })
    }

    /// Both ways give the same answers, and neither waits for a pipe's other end.
    #[test]
    fn only_regular_files_are_opened() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let at = |name: &str| temp.path().join(name);
        std::fs::write(at("file"), "x")?;
        std::fs::create_dir(at("folder"))?;
        std::os::unix::fs::symlink("file", at("link"))?;
        rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, 0o600.into(), 0)?;
        let _listener = UnixListener::bind(at("socket"))?;
        let dir = File::open(temp.path())?;
        let both = |name: &str, access| {
            let quick = kind(open_through_pin(&dir, name, access).map_err(|why| match why {
                Reopen::Failed(errno) => errno,
                Reopen::Unavailable => Errno::NOSYS,
            }));
            (quick, kind(open_then_look(&dir, name, access)))
        };
        assert_eq!(both("file", OFlags::RDWR), (Ok(None), Ok(None)));
        assert_eq!(both("folder", OFlags::RDONLY), (Ok(Some(FileType::Directory)), Ok(Some(FileType::Directory))));
        assert_eq!(both("pipe", OFlags::RDONLY), (Ok(Some(FileType::Fifo)), Ok(Some(FileType::Fifo))));
        assert_eq!(both("pipe", OFlags::WRONLY), (Ok(Some(FileType::Fifo)), Ok(Some(FileType::Unknown))));
        assert_eq!(both("socket", OFlags::RDONLY), (Ok(Some(FileType::Socket)), Ok(Some(FileType::Unknown))));
        assert_eq!(both("missing", OFlags::RDONLY), (Err(Errno::NOENT), Err(Errno::NOENT)));
        assert_eq!(both("link", OFlags::RDONLY), (Ok(Some(FileType::Symlink)), Err(Errno::LOOP)));
        Ok(())
    }

    /// Another program has a lease on the file and does not give it up: the kernel would wait for it for 45 seconds.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_under_a_lease_is_not_waited_for() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        std::fs::write(temp.path().join("file"), "x")?;
        let Some(mut holder) = lease(&temp.path().join("file"))? else { return Ok(()) };
        let (dir, began) = (File::open(temp.path())?, Instant::now());
        let opened = kind(open_regular(&dir, "file", OFlags::RDWR));
        let took = began.elapsed();
        holder.kill()?;
        holder.wait()?;
        assert_eq!(opened, Err(Errno::AGAIN));
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(kind(open_regular(&dir, "file", OFlags::RDWR)), Ok(None));
        Ok(())
    }

    /// A process that holds a lease, if there is Perl to write it in: no library that we have asks for one.
    #[cfg(target_os = "linux")]
    fn lease(path: &Path) -> io::Result<Option<Child>> {
        const HOLDER: &str = "$SIG{IO} = 'IGNORE'; open(F, '+<', $ARGV[0]) or die; fcntl(F, 1024, 1) or die; \
            $| = 1; print \"held\\n\"; sleep 60";
        let mut perl = Command::new("perl");
        let held = perl.args(["-e", HOLDER]).arg(path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut holder = match held {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            held => held?,
        };
        let mut said = String::new();
        if let Some(out) = holder.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        if said == "held\n" {
            return Ok(Some(holder));
        }
        // A file system without leases.
        holder.wait()?;
        Ok(None)
    }
}
