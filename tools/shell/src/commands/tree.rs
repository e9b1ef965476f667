//! A walk through folders, in the order of names, without recursion and without following links below where it begins. Used by `find`, `grep -r`, `ls -R`,
//! `cp -r` and `rm -r`.

use std::fs::{FileType, Metadata};

use crate::files::failed;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};

/// Entries that one walk looks at.
const ENTRIES_MAX: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Kind {
    pub(super) fn of(kind: FileType) -> Self {
        if kind.is_dir() {
            Self::Folder
        } else if kind.is_symlink() {
            Self::Link
        } else if kind.is_file() {
            Self::File
        } else {
            Self::Other
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it is shown: the name that the walk began with, and what is below it.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// 0 for what the walk began with.
    pub(super) depth: usize,
}

impl Entry {
    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        let trimmed = self.path.trim_end_matches('/');
        if trimmed.is_empty() { "/" } else { trimmed.rsplit('/').next().unwrap_or(trimmed) }
    }

    pub(super) fn metadata(&self, shell: &Shell) -> Outcome<Metadata> {
        shell.unfollowed(&self.path).map_err(|error| failed(&self.path, &error))
    }
}

/// What a walk does where it is to begin at a link. A name that ends with `/` is what the link leads to, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// It begins where the link leads to: what is there is only read.
    Followed,
    /// It is about the link.
    AsItIs,
}

pub(super) struct Tree {
    /// What is still to be visited, the next one last.
    pending: Vec<Entry>,
    /// A folder whose entries come next.
    entered: Option<Entry>,
    depth_max: usize,
    seen: usize,
}

impl Tree {
    /// A walk from one place. What is not there is an error.
    pub(super) fn new(shell: &Shell, root: &str, how: Root, depth_max: usize) -> Outcome<Self> {
        let found = match how {
            Root::Followed => shell.metadata(root).or_else(|_| shell.unfollowed(root)),
            Root::AsItIs => shell.unfollowed(root),
        };
        let found = found.map_err(|error| failed(root, &error))?;
        let root = Entry { path: root.to_owned(), kind: Kind::of(found.file_type()), depth: 0 };
        Ok(Self { pending: vec![root], entered: None, depth_max, seen: 0 })
    }

    /// The next entry, a folder before what is in it. An error is about one folder: the walk goes on.
    pub(super) fn next(&mut self, shell: &Shell) -> Outcome<Option<Entry>> {
        if let Some(folder) = self.entered.take() {
            self.push_entries(shell, &folder)?;
        }
        let entry = self.pending.pop();
        self.entered = entry.clone().filter(|entry| entry.kind == Kind::Folder && entry.depth < self.depth_max);
        Ok(entry)
    }

    /// Leaves out what is in the folder that was given last.
    pub(super) fn leave_out(&mut self) {
        self.entered = None;
    }

    fn push_entries(&mut self, shell: &Shell, folder: &Entry) -> Outcome<()> {
        let problem = |error| failed(&folder.path, &error);
        let mut entries = Vec::new();
        for entry in shell.place(&folder.path).and_then(|place| place.read_dir()).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            self.seen += 1;
            if self.seen > ENTRIES_MAX {
                return Err(Stop::Limit(format!("a walk through folders meets more than {ENTRIES_MAX} entries")));
            }
            let kind = Kind::of(entry.file_type().map_err(problem)?);
            let path = joined(&folder.path, &entry.file_name().to_string_lossy());
            entries.push(Entry { path, kind, depth: folder.depth + 1 });
        }
        entries.sort_by(|a, b| b.path.cmp(&a.path));
        self.pending.append(&mut entries);
        Ok(())
    }
}

/// A path and a name below it.
pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.ends_with('/') { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}
