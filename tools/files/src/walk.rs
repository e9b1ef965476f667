//! A walk through a folder in the order of names, without recursion and without following links. Used by `list` and `search`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobMatcher};

/// Entries looked at in one call. A folder with more is looked at in parts.
pub(crate) const ENTRIES_MAX: usize = 20_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// One entry below the folder that the walk began at.
pub(crate) struct Entry {
    /// Relative to that folder, with `/`.
    pub(crate) name: String,
    pub(crate) place: PathBuf,
    pub(crate) kind: Kind,
}

/// The state of a walk: what is still to be visited, the next one last.
pub(crate) struct Walk {
    pending: Vec<(Entry, usize)>,
    depth_max: usize,
    seen: usize,
    /// Whether entries were left out because there are more than [`ENTRIES_MAX`].
    pub(crate) cut: bool,
}

impl Walk {
    /// Begins at a folder. `depth_max` 1 means the folder's own entries only.
    pub(crate) fn new(folder: &Path, depth_max: usize) -> io::Result<Self> {
        let mut walk = Self { pending: Vec::new(), depth_max, seen: 0, cut: false };
        walk.push_entries(folder, "", 1)?;
        Ok(walk)
    }

    fn push_entries(&mut self, folder: &Path, prefix: &str, depth: usize) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            if self.seen >= ENTRIES_MAX {
                self.cut = true;
                break;
            }
            self.seen += 1;
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            entries.push((Entry { name, place: entry.path(), kind: kind(&entry) }, depth));
        }
        entries.sort_by(|(a, _), (b, _)| b.name.cmp(&a.name));
        self.pending.append(&mut entries);
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let (entry, depth) = self.pending.pop()?;
        if entry.kind == Kind::Folder && depth < self.depth_max {
            // A folder that cannot be read is listed, and nothing is below it.
            let _ = self.push_entries(&entry.place, &format!("{}/", entry.name), depth + 1);
        }
        Some(entry)
    }
}

fn kind(entry: &fs::DirEntry) -> Kind {
    match entry.file_type() {
        Ok(kind) if kind.is_file() => Kind::File,
        Ok(kind) if kind.is_dir() => Kind::Folder,
        Ok(kind) if kind.is_symlink() => Kind::Link,
        Ok(_) | Err(_) => Kind::Other,
    }
}

/// A glob over names as [`Entry`] has them. One without `/` is about the last part of the name: `*.md` matches `docs/a.md`.
pub(crate) struct NameFilter(Option<GlobMatcher>);

impl NameFilter {
    pub(crate) fn new(glob: Option<&str>) -> Result<Self, String> {
        let Some(glob) = glob else { return Ok(Self(None)) };
        let anchored = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
        let matcher = Glob::new(&anchored).map_err(|error| format!("`{glob}` is not a glob: {}", error.kind()))?;
        Ok(Self(Some(matcher.compile_matcher())))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|matcher| matcher.is_match(name))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn the_walk_is_ordered_and_as_deep_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        for name in ["a.md", "b/x.md", "b/c/y.md", "z.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |depth| Walk::new(folder.path(), depth).unwrap().map(|entry| entry.name).collect::<Vec<_>>();
        assert_eq!(names(1), ["a.md", "b", "z.md"]);
        assert_eq!(names(9), ["a.md", "b", "b/c", "b/c/y.md", "b/x.md", "z.md"]);
    }

    #[test]
    fn a_glob_without_a_slash_is_about_the_last_part() {
        let matches = |glob, name| NameFilter::new(Some(glob)).unwrap().matches(name);
        assert!(matches("*.md", "docs/a.md") && matches("docs/**/*.md", "docs/x/a.md"));
        assert!(!matches("*.md", "docs/a.txt") && !matches("docs/*.md", "other/a.md"));
        assert!(NameFilter::new(Some("[")).is_err());
    }
}
