//! Directories of the host as rules name them. This is about text only: the shell opens the directory once, resolves links,
//! and compares what it opened with what was trusted.

use std::fmt;
use std::str::FromStr;

use super::mount::{is_at_or_below, is_clean};
use crate::pattern::stored_as_text;

/// An absolute path of the host without `.`, `..` or empty segments, outside the places that are never granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPath(String);

/// Why a text is not a directory that a rule can name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHostPath {
    /// Nothing.
    #[error("a directory is missing: write `.` for the directory of this file")]
    Empty,
    /// `..`.
    #[error("`..` in `{0}` is refused: name the directory by its absolute path, or move the file above it")]
    Parent(String),
    /// `~`.
    #[error("`~` in `{0}` is not expanded: write the absolute path")]
    Home(String),
    /// `$HOME`.
    #[error("`$` in `{0}` is not expanded: write the absolute path")]
    Variable(String),
    /// `*`, `?`, `[`, `{`.
    #[error("`{0}` holds a wildcard: grant the directory itself")]
    Wildcard(String),
    /// A backslash or control character.
    #[error("`{}` holds a backslash or control character", super::problem::shown(.0))]
    Character(String),
    /// Not absolute where nothing says relative to what.
    #[error("`{0}` is not an absolute path without `.` and `..`")]
    NotAbsolute(String),
    /// `/`.
    #[error("`/` is the whole machine and cannot be granted: name a directory in it")]
    Root,
    /// Below `/proc` and its like.
    #[error("`{path}` lies in `{place}`, where files reach into the kernel and other processes: it cannot be granted")]
    Kernel {
        /// The path.
        path: String,
        /// The place that is never granted.
        place: &'static str,
    },
    /// In a directory whose content makes the host or other programs act.
    #[error("`{path}` lies in a `{name}` directory, which cannot be granted")]
    Control {
        /// The path.
        path: String,
        /// The directory's name.
        name: &'static str,
    },
}

const KERNEL_PLACES: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// The host's own journal, and hooks that run by themselves. Inside a granted directory the sandbox guards these names.
const CONTROL_DIRECTORIES: [&str; 2] = [".agent-host", ".git"];

impl HostPath {
    /// The directory that a rule in a file in `base_dir`, an absolute path, calls `text`.
    ///
    /// # Errors
    /// What a rule cannot name.
    pub fn join(base_dir: &str, text: &str) -> Result<Self, InvalidHostPath> {
        refuse_patterns(text)?;
        let base = if text.starts_with('/') { "" } else { base_dir };
        let segments = base.split('/').chain(text.split('/'));
        let segments: Vec<&str> = segments.filter(|segment| !matches!(*segment, "" | ".")).collect();
        if segments.contains(&"..") {
            return Err(InvalidHostPath::Parent(text.to_owned()));
        }
        if !text.starts_with('/') && !base_dir.starts_with('/') {
            return Err(InvalidHostPath::NotAbsolute(text.to_owned()));
        }
        format!("/{}", segments.join("/")).parse()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this directory or lies in it, by its text.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        is_at_or_below(&other.0, &self.0)
    }
}

fn refuse_patterns(text: &str) -> Result<(), InvalidHostPath> {
    let owned = || text.to_owned();
    if text.is_empty() {
        Err(InvalidHostPath::Empty)
    } else if text.contains(|c: char| c == '\\' || c.is_control()) {
        Err(InvalidHostPath::Character(owned()))
    } else if text.starts_with('~') {
        Err(InvalidHostPath::Home(owned()))
    } else if text.contains('$') {
        Err(InvalidHostPath::Variable(owned()))
    } else if text.contains(['*', '?', '[', '{']) {
        Err(InvalidHostPath::Wildcard(owned()))
    } else {
        Ok(())
    }
}

impl FromStr for HostPath {
    type Err = InvalidHostPath;

    /// Reads a path that is already absolute and clean, as stored or as the shell resolved it.
    fn from_str(text: &str) -> Result<Self, InvalidHostPath> {
        let path = text.to_owned();
        if !is_clean(text) {
            return Err(InvalidHostPath::NotAbsolute(path));
        }
        if text == "/" {
            return Err(InvalidHostPath::Root);
        }
        if let Some(place) = KERNEL_PLACES.into_iter().find(|place| is_at_or_below(text, place)) {
            return Err(InvalidHostPath::Kernel { path, place });
        }
        if let Some(name) = CONTROL_DIRECTORIES.into_iter().find(|name| text.split('/').any(|part| part == *name)) {
            return Err(InvalidHostPath::Control { path, name });
        }
        Ok(Self(path))
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

stored_as_text!(HostPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_resolves_against_the_file_that_states_it() {
        let cases = [
            ("./docs", "/home/ada/[x]/docs"),
            ("docs/", "/home/ada/[x]/docs"),
            (".", "/home/ada/[x]"),
            ("/srv//data/.", "/srv/data"),
            ("/devices", "/devices"),
            ("..docs", "/home/ada/[x]/..docs"),
        ];
        for (text, path) in cases {
            let joined = HostPath::join("/home/ada/[x]", text).map(|path| path.to_string());
            assert_eq!(joined.as_deref(), Ok(path), "{text}");
            assert_eq!(path.parse::<HostPath>().map(|path| path.to_string()).as_deref(), Ok(path));
        }
    }

    #[test]
    fn what_a_rule_cannot_name_is_refused_with_the_reason() {
        let cases = [
            ("", "missing"),
            ("../docs", "`..`"),
            ("/srv/../etc", "`..`"),
            ("~/docs", "`~`"),
            ("$HOME/docs", "`$`"),
            ("docs/*", "wildcard"),
            ("doc?", "wildcard"),
            ("{a,b}", "wildcard"),
            ("C:\\docs", "backslash"),
            ("a\0b", "control character"),
            ("/", "whole machine"),
            ("/proc", "`/proc`"),
            ("/proc/self/root", "`/proc`"),
            ("/dev/shm", "`/dev`"),
            ("/sys", "`/sys`"),
            ("/run/user/1000", "`/run`"),
            (".git", "`.git`"),
            (".git/hooks", "`.git`"),
            ("sub/.agent-host", "`.agent-host`"),
        ];
        for (text, part) in cases {
            let problem = HostPath::join("/home/ada", text).map_err(|error| error.to_string());
            assert!(problem.as_ref().is_err_and(|message| message.contains(part)), "{text}: {problem:?}");
        }
        assert!(HostPath::join("relative", "docs").is_err());
    }
}
