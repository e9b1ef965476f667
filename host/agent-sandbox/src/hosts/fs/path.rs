//! The true path of something below a mount, by which undo entries are kept and names are protected. `walk` makes them.

use std::fmt;

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::hosts::fs::walk::Lost;

/// Longest path and longest name that a guest may say, as on Linux.
pub(crate) const PATH_BYTES_MAX: usize = 4_096;
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Most names in one path below its mount, links resolved: each is held open during the walk.
const DEPTH_MAX: usize = 256;

/// A path below a mount: names joined by `/`, none of them empty, `.` or `..`, none a link. Empty for the mount itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct RelativePath(String);

impl RelativePath {
    /// The path with one more name, if it can still be said as one path: by going down step by step a guest could make
    /// longer ones, which no undo could find again.
    pub(crate) fn join(&self, name: &str) -> Result<Self, Lost> {
        let path = if self.0.is_empty() { name.to_owned() } else { format!("{}/{name}", self.0) };
        if path.split('/').count() >= DEPTH_MAX {
            return Err(Lost::TooDeep);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Lost::Code(ErrorCode::NameTooLong));
        }
        Ok(Self(path))
    }

    /// The path of what it is in; of the mount itself, the mount.
    pub(crate) fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned()))
    }

    /// Where this is once `from` was moved to `to`; `None` where it was not moved along.
    pub(crate) fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let below = self.0.strip_prefix(from.as_str())?;
        (below.is_empty() || below.starts_with('/')).then(|| Self(format!("{}{below}", to.0)))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The names in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a link at `path` to `target` leads out of the mount: a guest could not follow it, but the person might, or a tool
/// that was granted more. Links of guests go up first and then down: after a name, `..` depends on what the name is then.
pub(crate) fn leads_out(path: &RelativePath, target: &str) -> bool {
    let depth = path.names().count().saturating_sub(1);
    let names: Vec<&str> = target.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let up = names.iter().take_while(|name| **name == "..").count();
    target.starts_with('/') || up > depth || names[up..].contains(&"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_out_are_seen() {
        let path = RelativePath("a/link".to_owned());
        for (target, out) in [
            ("b", false),
            ("../b", false),
            ("./..//b", false),
            ("../../b", true),
            ("/etc", true),
            ("b/../../../c", true),
            // Where `b` is itself a link that goes up, this leads out, although its text does not.
            ("b/../../c", true),
            ("b/../c", true),
        ] {
            assert_eq!(leads_out(&path, target), out, "{target}");
        }
    }
}
