//! Where a guest sees a directory: absolute paths of the guest, and the rule by which a path lies below one.

use std::fmt;
use std::str::FromStr;

use crate::pattern::stored_as_text;

/// An absolute path of the guest without `.`, `..`, empty segments or a slash at its end: `/data`. A mount at `/` is
/// allowed, and then it is the only one: mounts never overlap, since it would be the guest's C library that decides which
/// of two a path belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount(String);

/// The mount of a directory that was granted without one, where the tool does not declare exactly one of its own.
pub const DEFAULT_MOUNT: &str = "/data";

/// Longest mount in bytes.
const MOUNT_BYTES_MAX: usize = 255;

/// The text is not a mount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mount is an absolute path without `.`, `..`, `//`, or a slash at its end, for instance `/data`")]
pub struct InvalidMount;

impl Mount {
    /// [`DEFAULT_MOUNT`].
    #[must_use]
    pub fn standard() -> Self {
        Self(DEFAULT_MOUNT.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of the two lies at or below the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        is_at_or_below(&self.0, &other.0) || is_at_or_below(&other.0, &self.0)
    }
}

/// Whether `path` is `directory` or lies below it. Both are clean absolute paths; anything else lies nowhere.
pub(super) fn is_at_or_below(path: &str, directory: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || directory == "/" || rest.starts_with('/');
    is_clean(path) && path.strip_prefix(directory).is_some_and(below)
}

/// Whether a path is absolute and spelled in the one way that is compared.
pub(super) fn is_clean(path: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..");
    path == "/" || (path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain)) && !path.contains('\0'))
}

impl FromStr for Mount {
    type Err = InvalidMount;

    fn from_str(text: &str) -> Result<Self, InvalidMount> {
        let printable = !text.chars().any(|c| c.is_control() || c == '\\' || crate::hidden::is_invisible(c));
        let good = is_clean(text) && printable && text.len() <= MOUNT_BYTES_MAX;
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidMount) }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

stored_as_text!(Mount);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_absolute_and_clean() {
        for good in ["/", "/data", "/data/in", "/..data"] {
            assert!(good.parse::<Mount>().is_ok(), "{good}");
        }
        for bad in ["", "data", "./data", "/data/", "//data", "/a//b", "/a/../b", "/a/.", "/a\\b", "/a\nb", "/a\0"] {
            assert!(bad.parse::<Mount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_lies_below_a_mount_at_a_segment_boundary() {
        let cases = [
            ("/data", "/data", true),
            ("/data/a", "/data", true),
            ("/database", "/data", false),
            ("/data/../etc", "/data", false),
            ("/data//a", "/data", false),
            ("data/a", "/data", false),
            ("", "/data", false),
            ("/a", "/", true),
        ];
        for (path, mount, below) in cases {
            assert_eq!(is_at_or_below(path, mount), below, "{path} below {mount}");
        }
    }
}
