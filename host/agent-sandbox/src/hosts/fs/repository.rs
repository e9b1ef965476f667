//! Directories that git takes for a repository though none of their names says so: bare ones. Whoever runs git in one runs what
//! its `config` names and what lies in its `hooks`, so guests may neither change one nor make one. Asked before each change,
//! before a directory is renamed, and when one is granted for writing.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::hosts::fs::handle::{Handle, open_directory};
use crate::hosts::fs::names::is_name_of;
use crate::hosts::fs::path::RelativePath;
use crate::hosts::fs::walls::see;

/// What makes a directory a repository: `HEAD`, and beside it the rest, or word of where the rest is.
const HEAD: &str = "HEAD";
const OBJECTS: &str = "objects";
const REFS: &str = "refs";
const ELSEWHERE: &str = "commondir";

/// Whether git would take a directory for a repository. That what is in `HEAD` must make sense is left out: it can be mended
/// later.
pub(crate) fn is_repository(dir: impl AsFd) -> bool {
    is_one_with(dir, None)
}

/// Whether a directory would be one, had it something of this name.
pub(crate) fn becomes_repository(dir: impl AsFd, name: &str) -> bool {
    let part = [HEAD, OBJECTS, REFS, ELSEWHERE].into_iter().find(|part| is_name_of(name, part));
    part.is_some_and(|part| is_one_with(dir, Some(part)))
}

/// What a path below a mount is in.
#[derive(Debug)]
pub(crate) enum Around {
    /// A repository, by its path: empty for the mount itself.
    Repository(String),
    /// None: this is the directory that its last name is in.
    Plain(File),
}

/// Looks from a mount on whether a path is in a repository. The last name is not looked at.
pub(crate) fn around(root: impl AsFd, path: &RelativePath) -> Result<Around, Errno> {
    let mut here = open_directory(root, ".", Handle::Pass)?;
    let mut names = path.names().peekable();
    let mut way = String::new();
    loop {
        if is_repository(&here) {
            return Ok(Around::Repository(way));
        }
        let Some(name) = names.next().filter(|_| names.peek().is_some()) else {
            return Ok(Around::Plain(here));
        };
        here = open_directory(&here, name, Handle::Pass)?;
        way = if way.is_empty() { name.to_owned() } else { format!("{way}/{name}") };
    }
}

fn is_one_with(dir: impl AsFd, coming: Option<&str>) -> bool {
    // What cannot be looked at counts as there.
    let has = |name| coming == Some(name) || see(dir.as_fd(), name).map_or(true, |seen| seen.is_some());
    has(HEAD) && (has(ELSEWHERE) || has(OBJECTS) && has(REFS))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_repository_is_known_by_what_is_in_it() -> io::Result<()> {
        for (parts, is, becomes) in [
            (&[][..], false, &[][..]),
            (&["HEAD"], false, &["commondir", "CommonDir"]),
            (&["objects", "refs"], false, &["HEAD", "head", "HEAD."]),
            (&["HEAD", "refs", "config"], false, &["objects", "OBJECTS", "commondir", "CommonDir"]),
            (&["HEAD", "objects", "refs"], true, &["HEAD", "objects", "refs", "commondir"]),
            (&["HEAD", "commondir"], true, &["HEAD", "objects", "refs", "commondir"]),
        ] {
            let temp = tempfile::tempdir()?;
            for part in parts {
                std::fs::create_dir(temp.path().join(part))?;
            }
            let dir = File::open(temp.path())?;
            assert_eq!(is_repository(&dir), is, "{parts:?}");
            let names = ["HEAD", "head", "HEAD.", "objects", "OBJECTS", "refs", "commondir", "CommonDir", "other"];
            for name in names {
                let expected = becomes.contains(&name) || is && !matches!(name, "other");
                assert_eq!(becomes_repository(&dir, name), expected, "{parts:?} and {name}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_below_one_is_in_it() -> io::Result<()> {
        let temp = tempfile::tempdir()?;
        for part in ["a/b/HEAD", "a/b/objects", "a/b/refs", "a/b/hooks/c"] {
            std::fs::create_dir_all(temp.path().join(part))?;
        }
        let root = File::open(temp.path())?;
        for (names, found) in [
            (&["a"][..], None),
            (&["a", "b"], None),
            (&["a", "b", "config"], Some("a/b")),
            (&["a", "b", "hooks", "c"], Some("a/b")),
        ] {
            let path = names.iter().try_fold(RelativePath::default(), |path, name| path.join(name));
            let path = path.map_err(|lost| io::Error::other(format!("{lost:?}")))?;
            let is_in = match around(&root, &path)? {
                Around::Repository(path) => Some(path),
                Around::Plain(_) => None,
            };
            assert_eq!(is_in.as_deref(), found, "{names:?}");
        }
        Ok(())
    }
}
