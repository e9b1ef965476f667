//! Resolves a path below a directory, name by name.
//!
//! The kernel is only ever given single names, relative to a directory that is held open, and never follows a link: links
//! are read and resolved here, and `..` goes back to a handle that was passed on the way. So a path cannot leave its
//! directory, whatever changes outside meanwhile, and the resolved path is the true one, by which undo entries are kept
//! and names are hidden.

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::defence::{self, Defence};
use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::names::{is_hidden, is_protected};
use crate::hosts::fs::path::{NAME_BYTES_MAX, PATH_BYTES_MAX, RelativePath};
use crate::hosts::fs::walls::{Seen, Walls, see, see_open};
use rustix::fs::FileType;
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// Most links in one path, as on Linux.
const LINKS_MAX: u32 = 40;

/// Most steps of one walk. Every link may bring a whole path of its own, so forty of them could ask for minutes of work.
const STEPS_MAX: u32 = 4_096;

/// Where a path leads: a name in an open directory. There may be nothing of that name.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// The directory.
    pub(crate) dir: Arc<File>,
    /// The name in it; `.` for what is open itself.
    pub(crate) name: String,
    /// The true path below the mount.
    pub(crate) path: RelativePath,
    /// What is there.
    pub(crate) found: Option<FileType>,
    /// The path ended in `/` or `/.`: only a directory will do.
    pub(crate) directory_only: bool,
    /// The name of a link on the way, where guests may change nothing under that name.
    pub(crate) protected_link: Option<String>,
}

impl Spot {
    /// What is there now.
    pub(crate) fn see(&self) -> Result<Option<Seen>, Errno> {
        match self.name.as_str() {
            // No name leads from a file to itself.
            "." => see_open(&self.dir).map(Some),
            name => see(&self.dir, name),
        }
    }
}

/// What to do with a link at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    /// Go where it leads.
    Follow,
    /// It is what is meant; where the path ends in `/`, what it leads to.
    Keep,
    /// It is what is meant, also where the path ends in `/`: what is about a name is never about what a link leads to.
    KeepName,
    /// It is what is meant, and no other link may be on the way: for paths that this host wrote down itself.
    KeepAndRefuseOthers,
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It leaves the directory.
    Escapes,
    /// It names what guests do not see.
    Hidden,
    /// It comes upon another file system that is out of bounds.
    Walled(&'static str),
    /// It has more names than an undo could follow.
    TooDeep,
    /// An ordinary failure.
    Code(ErrorCode),
}

/// Resolves `path` below `base`, whose own path below its mount is `base_path`, within the mount's walls.
pub(crate) fn find(
    walls: &Walls,
    base: &Arc<File>,
    base_path: &RelativePath,
    path: &str,
    last: LastLink,
) -> Result<Spot, Lost> {
    let mut walk = Walk {
        walls,
        stack: vec![(base.clone(), base_path.clone())],
        ahead: Vec::new(),
        links: 0,
        steps: 0,
        protected_link: None,
        last: if wants_directory(path) && last == LastLink::Keep { LastLink::Follow } else { last },
    };
    walk.put_ahead(path)?;
    let mut spot = walk.run()?;
    spot.directory_only = wants_directory(path);
    spot.protected_link = walk.protected_link;
    Ok(spot)
}

/// Whether only a directory will do at the end of a path.
fn wants_directory(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

struct Walk<'w> {
    walls: &'w Walls,
    /// The directories on the way, each with its path. Never empty: the first is where the walk began.
    stack: Vec<(Arc<File>, RelativePath)>,
    /// The names still to go, the next one last.
    ahead: Vec<String>,
    links: u32,
    steps: u32,
    protected_link: Option<String>,
    last: LastLink,
}

impl Walk<'_> {
    fn put_ahead(&mut self, path: &str) -> Result<(), Lost> {
        match path {
            "" => return Err(Lost::Code(ErrorCode::NoEntry)),
            path if path.len() > PATH_BYTES_MAX => return Err(Lost::Code(ErrorCode::NameTooLong)),
            path if path.starts_with('/') => return Err(Lost::Escapes),
            path if path.contains('\0') => return Err(Lost::Code(ErrorCode::Invalid)),
            path => {
                let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
                self.ahead.extend(names.rev().map(str::to_owned));
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Spot, Lost> {
        while let Some(name) = self.ahead.pop() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(Lost::Code(ErrorCode::Loop));
            }
            if name == ".." {
                self.go_back()?;
            } else if let Some(spot) = self.enter(name)? {
                return Ok(spot);
            }
        }
        let (dir, path) = self.here();
        Ok(Spot {
            dir,
            name: ".".to_owned(),
            path,
            found: Some(FileType::Directory),
            directory_only: true,
            protected_link: None,
        })
    }

    fn here(&self) -> (Arc<File>, RelativePath) {
        self.stack.last().cloned().unwrap_or_else(|| unreachable!("the walk never leaves its first directory"))
    }

    fn go_back(&mut self) -> Result<(), Lost> {
        if self.stack.len() == 1 {
            return if defence::is_off(Defence::FsDenied) { self.leave() } else { Err(Lost::Escapes) };
        }
        self.stack.pop();
        Ok(())
    }

    /// What must never happen: only a build whose defences can be switched off ever comes here.
    fn leave(&mut self) -> Result<(), Lost> {
        let (dir, path) = self.here();
        let above = open_directory(&dir, "..", Handle::Pass).map_err(|errno| Lost::Code(code(errno)))?;
        self.stack = vec![(Arc::new(above), path)];
        Ok(())
    }

    /// Goes one name further; returns the spot if the path ends there.
    fn enter(&mut self, name: String) -> Result<Option<Spot>, Lost> {
        check_name(&name)?;
        let (dir, path) = self.here();
        let seen = see(&dir, &name).map_err(|errno| Lost::Code(code(errno)))?;
        if let Some(why) = seen.and_then(|seen| self.walls.why_not(seen.device)) {
            return Err(Lost::Walled(why));
        }
        let found = seen.map(|seen| seen.file_type);
        let is_last = self.ahead.is_empty();
        match found {
            Some(FileType::Symlink) if !is_last || self.last == LastLink::Follow => {
                self.follow(&dir, &name)?;
                Ok(None)
            }
            _ if is_last => {
                let path = path.join(&name)?;
                Ok(Some(Spot { dir, name, path, found, directory_only: false, protected_link: None }))
            }
            None => Err(Lost::Code(ErrorCode::NoEntry)),
            Some(FileType::Directory) => {
                self.descend(&dir, &name, &path)?;
                Ok(None)
            }
            Some(_) => Err(Lost::Code(ErrorCode::NotDirectory)),
        }
    }

    fn descend(&mut self, dir: &File, name: &str, path: &RelativePath) -> Result<(), Lost> {
        let inner_path = path.join(name)?;
        let inner = open_directory(dir, name, Handle::Pass).map_err(|errno| Lost::Code(code(errno)))?;
        self.stack.push((Arc::new(inner), inner_path));
        Ok(())
    }

    fn follow(&mut self, dir: &File, name: &str) -> Result<(), Lost> {
        self.links += 1;
        if self.links > LINKS_MAX || self.last == LastLink::KeepAndRefuseOthers {
            return Err(Lost::Code(ErrorCode::Loop));
        }
        if is_protected(name) {
            self.protected_link = Some(name.to_owned());
        }
        self.put_ahead(&read_link(dir, name)?)
    }
}

/// Reads a link. One that leads out of any mount is not even shown: it may name a folder of the host.
pub(crate) fn read_link(dir: &File, name: &str) -> Result<String, Lost> {
    let target = rustix::fs::readlinkat(dir, name, Vec::new()).map_err(|errno| Lost::Code(code(errno)))?;
    let target = target.into_string().map_err(|_| Lost::Code(ErrorCode::IllegalByteSequence))?;
    if target.starts_with('/') { Err(Lost::Escapes) } else { Ok(target) }
}

/// The guest's error code for an error of the system. `not-permitted` is what this host itself refuses; what the machine's
/// own permissions forbid is `access`, so that a guest can tell the two apart.
pub(crate) fn code(errno: Errno) -> ErrorCode {
    match errno {
        Errno::PERM | Errno::ACCESS => ErrorCode::Access,
        Errno::XDEV => ErrorCode::CrossDevice,
        Errno::ROFS => ErrorCode::ReadOnly,
        Errno::TXTBSY => ErrorCode::TextFileBusy,
        Errno::DQUOT => ErrorCode::Quota,
        Errno::NXIO | Errno::NODEV => ErrorCode::NoSuchDevice,
        other => ErrorCode::from(io::Error::from(other)),
    }
}

/// As [`code`], for an error of the standard library.
pub(crate) fn io_code(error: &io::Error) -> ErrorCode {
    Errno::from_io_error(error).map_or(ErrorCode::Io, code)
}

fn check_name(name: &str) -> Result<(), Lost> {
    match name {
        name if is_hidden(name) => Err(Lost::Hidden),
        name if name.len() > NAME_BYTES_MAX => Err(Lost::Code(ErrorCode::NameTooLong)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{Mode, OFlags};

    use super::*;
    use crate::hosts::fs::handle::open_name;

    /// No walls.
    fn free() -> Walls {
        Walls::around((0, 0), crate::hosts::fs::walls::Kind::Distant)
    }

    /// A directory with files, links and a neighbour outside of it.
    fn tree() -> io::Result<(tempfile::TempDir, Arc<File>)> {
        let temp = tempfile::tempdir()?;
        let root = temp.path().join("root");
        std::fs::create_dir_all(root.join("a/b"))?;
        std::fs::create_dir_all(root.join(".agent-host"))?;
        std::fs::write(temp.path().join("secret"), "s")?;
        std::fs::write(root.join("a/b/file"), "f")?;
        for (target, link) in [
            ("a/b", "inside"),
            ("../secret", "outside"),
            ("/etc/passwd", "absolute"),
            ("loop", "loop"),
            ("a/missing", "dangling"),
            (".agent-host", "own"),
            ("../../a/b/file", "a/b/round"),
        ] {
            symlink(target, root.join(link))?;
        }
        Ok((temp, Arc::new(File::open(&root)?)))
    }

    #[test]
    fn paths_lead_where_they_should_and_nowhere_else() -> io::Result<()> {
        let (_temp, root) = tree()?;
        let long = "n".repeat(256);
        let found = |path: &str| Ok(path.to_owned());
        let code = |code| Err(Lost::Code(code));
        let cases = [
            ("a/b/file", found("a/b/file")),
            ("./a//b/./file", found("a/b/file")),
            ("a/b/../../a/b/file", found("a/b/file")),
            ("inside/file", found("a/b/file")),
            ("a/b/round", found("a/b/file")),
            ("dangling", found("a/missing")),
            ("a/b/..", found("a")),
            (".", found("")),
            ("a/new", found("a/new")),
            ("..", Err(Lost::Escapes)),
            ("../secret", Err(Lost::Escapes)),
            ("a/../../secret", Err(Lost::Escapes)),
            ("././.././secret", Err(Lost::Escapes)),
            ("outside", Err(Lost::Escapes)),
            ("absolute", Err(Lost::Escapes)),
            ("/etc/passwd", Err(Lost::Escapes)),
            (".agent-host", Err(Lost::Hidden)),
            (".Agent-Host/runs", Err(Lost::Hidden)),
            ("own", Err(Lost::Hidden)),
            ("own/runs", Err(Lost::Hidden)),
            ("loop", code(ErrorCode::Loop)),
            ("missing/x", code(ErrorCode::NoEntry)),
            ("a/b/file/x", code(ErrorCode::NotDirectory)),
            ("", code(ErrorCode::NoEntry)),
            ("nul\0byte", code(ErrorCode::Invalid)),
            (&long, code(ErrorCode::NameTooLong)),
        ];
        for (path, expected) in cases {
            let spot = find(&free(), &root, &RelativePath::default(), path, LastLink::Follow);
            assert_eq!(spot.map(|spot| spot.path.as_str().to_owned()), expected, "{path}");
        }
        Ok(())
    }

    /// Forty links, each with as many names as a path can hold, would be eighty thousand steps.
    #[test]
    fn a_chain_of_long_links_ends_soon() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        std::fs::create_dir(temp.path().join("a"))?;
        for link in 0..LINKS_MAX {
            let target = format!("{}l{}", "a/../".repeat(800), link + 1);
            symlink(target, temp.path().join(format!("l{link}")))?;
        }
        let root = Arc::new(File::open(temp.path())?);
        let spot = find(&free(), &root, &RelativePath::default(), "l0", LastLink::Follow);
        assert_eq!(spot.map(|spot| spot.path), Err(Lost::Code(ErrorCode::Loop)));
        Ok(())
    }

    /// An undo finds a path by its text, from the mount on.
    #[test]
    fn no_path_is_longer_than_can_be_said_at_once() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let name = "n".repeat(NAME_BYTES_MAX);
        let mut here = (Arc::new(File::open(temp.path())?), RelativePath::default());
        let mut made = 0;
        let ended = loop {
            let spot = match find(&free(), &here.0, &here.1, &name, LastLink::Keep) {
                Ok(spot) => spot,
                Err(lost) => break lost,
            };
            rustix::fs::mkdirat(&spot.dir, spot.name.as_str(), Mode::RWXU)?;
            let dir = open_name(&spot.dir, &spot.name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            here = (Arc::new(File::from(dir)), spot.path);
            made += 1;
        };
        assert_eq!((made, ended), (16, Lost::Code(ErrorCode::NameTooLong)));
        let root = Arc::new(File::open(temp.path())?);
        assert!(find(&free(), &root, &RelativePath::default(), here.1.as_str(), LastLink::KeepAndRefuseOthers).is_ok());
        Ok(())
    }

    #[test]
    fn a_link_can_be_meant_itself() -> io::Result<()> {
        let (_temp, root) = tree()?;
        let spot = find(&free(), &root, &RelativePath::default(), "outside", LastLink::Keep);
        assert_eq!(
            spot.map(|spot| (spot.path.as_str().to_owned(), spot.found)),
            Ok(("outside".to_owned(), Some(FileType::Symlink)))
        );
        let slash = find(&free(), &root, &RelativePath::default(), "inside/", LastLink::Keep);
        assert_eq!(slash.map(|spot| spot.path.as_str().to_owned()), Ok("a/b".to_owned()));
        let name = find(&free(), &root, &RelativePath::default(), "inside/", LastLink::KeepName);
        assert_eq!(
            name.map(|spot| (spot.path.as_str().to_owned(), spot.found, spot.directory_only)),
            Ok(("inside".to_owned(), Some(FileType::Symlink), true))
        );
        let strict = find(&free(), &root, &RelativePath::default(), "inside/file", LastLink::KeepAndRefuseOthers);
        assert_eq!(strict.map(|spot| spot.path.as_str().to_owned()), Err(Lost::Code(ErrorCode::Loop)));
        Ok(())
    }

    /// Outside of any guest, a directory turns into a link that leads out, and back, all the time.
    #[test]
    fn a_directory_that_turns_into_a_link_leads_nowhere_else() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(at("root/real"))?;
        std::fs::create_dir_all(at("outside"))?;
        std::fs::write(at("root/real/file"), "inside")?;
        std::fs::write(at("outside/file"), "outside")?;
        symlink("../outside", at("root/link"))?;
        let root = Arc::new(File::open(at("root"))?);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(order) {
                    for (from, to) in [("real", "dir"), ("dir", "real"), ("link", "dir"), ("dir", "link")] {
                        let _ = std::fs::rename(at("root").join(from), at("root").join(to));
                    }
                }
            });
            let mut read = 0;
            for _ in 0..20_000 {
                let Ok(spot) = find(&free(), &root, &RelativePath::default(), "dir/file", LastLink::Follow) else {
                    continue;
                };
                let Ok(file) = open_name(&spot.dir, &spot.name, OFlags::RDONLY, Mode::empty()) else { continue };
                assert_eq!(io::read_to_string(File::from(file)).ok().as_deref(), Some("inside"));
                read += 1;
            }
            stop.store(true, order);
            assert!(read > 0);
        });
        Ok(())
    }
}
