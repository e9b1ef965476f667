//! What a call changes: how much it may write, read and create, and what an undo would restore. Before the first change of
//! each path, the path's state is announced to the gate; only then may the change happen.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::digest::Digest;
use agent_core::effect::{Before, EffectRequest, FileOperation, Refusal, UndoEntry};
use agent_core::limits::Limits;
use agent_core::units::Bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::effects::{Effects, Permit};
use crate::gate::Undo;
use crate::hosts::fs::FileError;
use crate::hosts::fs::names::is_hidden;
use crate::hosts::fs::node::Node;
use crate::hosts::fs::walk::{LastLink, Lost, RelativePath, Spot, find, leads_out, open_name};
use crate::mount::Mount;
use crate::stop::Stop;

/// Largest file whose content is kept so that a change of it can be undone. A larger one can only be appended to.
pub(crate) const UNDO_FILE_BYTES_MAX: u64 = 16 << 20;

/// Most bytes and paths kept for the undo of one call.
const UNDO_BYTES_MAX: u64 = 256 << 20;
const UNDO_PATHS_MAX: usize = 10_000;

/// Most entries of a directory that is renamed: each is kept for the undo.
const TREE_ENTRIES_MAX: usize = 1_000;

/// The changes of one call. Shared with its streams.
pub(crate) struct Changes {
    mounts: Vec<Mount>,
    effects: Arc<Effects>,
    limits: FileLimits,
    book: Mutex<Book>,
}

struct FileLimits {
    write_bytes: u64,
    read_bytes: u64,
    files: u64,
}

#[derive(Default)]
struct Book {
    written: u64,
    read: u64,
    created: u64,
    kept_bytes: u64,
    announced: HashMap<(usize, RelativePath), Announced>,
    /// Quotas whose refusal is recorded already: once is enough to know.
    reported: HashSet<Quota>,
}

/// How much of a path an undo can restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// Everything.
    Whole,
    /// Its first bytes are still there; the rest is new.
    Length(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Quota {
    Write,
    Read,
}

/// States to announce before a change, and the notes to make once they are.
#[derive(Default)]
pub(crate) struct Intent {
    undo: Vec<Undo>,
    notes: Vec<((usize, RelativePath), Announced)>,
}

impl Changes {
    /// No changes yet.
    pub(crate) fn new(mounts: Vec<Mount>, limits: &Limits, effects: Arc<Effects>) -> Self {
        let limits = FileLimits {
            write_bytes: limits.fs_write_bytes.0,
            read_bytes: limits.fs_read_bytes.0,
            files: limits.fs_files,
        };
        Self { mounts, effects, limits, book: Mutex::default() }
    }

    /// The call's mounts.
    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Takes what is at a spot into an intent, unless it was announced before.
    pub(crate) fn take_spot(&self, intent: &mut Intent, mount: usize, spot: &Spot) -> Result<(), FileError> {
        if self.is_whole(mount, &spot.path) {
            return Ok(());
        }
        let (before, content) = match spot.found {
            None => (Before::Absent, None),
            Some(FileType::Directory) => (Before::Directory, None),
            Some(FileType::Symlink) => (Before::Symlink(link_target(spot)?), None),
            Some(FileType::RegularFile) => {
                let file = open_name(&spot.dir, &spot.name, OFlags::RDONLY, Mode::empty())?;
                let (before, content) = self.content_before(mount, &spot.path, &File::from(file))?;
                (before, Some(content))
            }
            Some(_) => return Err(special_file()),
        };
        self.add(intent, mount, &spot.path, before, content)
    }

    /// Takes an open file into an intent, if bytes from `first_changed` on are about to change.
    pub(crate) fn take_file(&self, intent: &mut Intent, node: &Node, first_changed: u64) -> Result<(), FileError> {
        let announced = self.book().announced.get(&(node.mount, node.path.clone())).copied();
        let length = match announced {
            Some(Announced::Whole) => return Ok(()),
            Some(Announced::Length(length)) if first_changed >= length => return Ok(()),
            Some(Announced::Length(_)) => None,
            None => Some(node.file.metadata()?.len()).filter(|length| first_changed >= *length),
        };
        match length {
            Some(length) => self.add(intent, node.mount, &node.path, Before::Length(Bytes(length)), None),
            None => {
                let (before, content) = self.content_before(node.mount, &node.path, &node.file)?;
                self.add(intent, node.mount, &node.path, before, Some(content))
            }
        }
    }

    /// Takes a file or a directory with everything in it, and the same paths below `to`, as a rename changes them. In an
    /// order whose reverse works: what is at `to` goes from the leaves up, what was at `from` comes back from the root down.
    pub(crate) fn take_tree(
        &self,
        intent: &mut Intent,
        (mount, from): (usize, &Spot),
        (to_mount, to): (usize, &RelativePath),
    ) -> Result<(), FileError> {
        let tree = walk_tree(from, to)?;
        for (spot, _) in tree.iter().rev() {
            self.take_spot(intent, mount, spot)?;
        }
        for (_, to) in &tree {
            if !self.is_whole(to_mount, to) && !intent.holds(to_mount, to) {
                self.add(intent, to_mount, to, Before::Absent, None)?;
            }
        }
        Ok(())
    }

    /// Announces an intent. The change may happen once this has returned `Ok`.
    pub(crate) async fn announce(&self, number: u32, request: EffectRequest, intent: Intent) -> Result<(), FileError> {
        if intent.undo.is_empty() {
            return Ok(());
        }
        self.effects.intend_change(number, request, intent.undo).await.map_err(Stop::from)?;
        self.book().announced.extend(intent.notes);
        Ok(())
    }

    /// Announces what a permitted change touches.
    pub(crate) async fn announce_spots(&self, permit: &Permit, spots: &[(usize, &Spot)]) -> Result<(), FileError> {
        let mut intent = Intent::default();
        for (mount, spot) in spots {
            self.take_spot(&mut intent, *mount, spot)?;
        }
        self.announce(permit.number, permit.request.clone(), intent).await
    }

    /// Announces that times are about to change. An undo leaves them as they are then; that they were touched is recorded.
    pub(crate) async fn announce_touch(&self, permit: &Permit, mount: usize, spot: &Spot) -> Result<(), FileError> {
        let mut intent = Intent::default();
        let known = self.book().announced.contains_key(&(mount, spot.path.clone()));
        match spot.found {
            Some(FileType::RegularFile) if !known => {
                let size = rustix::fs::statat(&spot.dir, spot.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?.st_size;
                let before = Before::Length(Bytes(u64::try_from(size).unwrap_or(0)));
                self.add(&mut intent, mount, &spot.path, before, None)?;
            }
            Some(FileType::Directory | FileType::Symlink) => self.take_spot(&mut intent, mount, spot)?,
            Some(FileType::RegularFile) => {}
            None => return Err(ErrorCode::NoEntry.into()),
            Some(_) => return Err(special_file()),
        }
        self.announce(permit.number, permit.request.clone(), intent).await
    }

    /// Announces that bytes of an open file from `first_changed` on are about to change.
    pub(crate) async fn announce_write(&self, node: &Node, first_changed: u64) -> Result<(), FileError> {
        let mut intent = Intent::default();
        self.take_file(&mut intent, node, first_changed)?;
        self.announce(node.effect.unwrap_or(0), self.write_request(node), intent).await
    }

    /// Counts bytes to be written, and how far they make the file grow: a hole counts like data.
    pub(crate) fn count_write(&self, node: &Node, offset: u64, bytes: u64) -> Result<(), FileError> {
        let length = node.file.metadata()?.len();
        let growth = offset.saturating_add(bytes).saturating_sub(length);
        let mut book = self.book();
        let written = book.written.saturating_add(growth.max(bytes));
        if written > self.limits.write_bytes {
            let rule = format!("a call may write {}", Bytes(self.limits.write_bytes));
            return Err(self.quota(book, Quota::Write, node, rule));
        }
        book.written = written;
        drop(book);
        self.effects.count(node.effect.unwrap_or(0), bytes, 0);
        Ok(())
    }

    /// Says how many of `wanted` bytes may still be read.
    pub(crate) fn may_read(&self, node: &Node, wanted: usize) -> Result<usize, FileError> {
        let book = self.book();
        let left = self.limits.read_bytes - book.read;
        if left == 0 && wanted > 0 {
            let rule = format!("a call may read {}", Bytes(self.limits.read_bytes));
            return Err(self.quota(book, Quota::Read, node, rule));
        }
        Ok(usize::try_from(left).unwrap_or(usize::MAX).min(wanted))
    }

    /// Counts bytes that were read.
    pub(crate) fn count_read(&self, node: &Node, bytes: usize) {
        let mut book = self.book();
        book.read = book.read.saturating_add(bytes as u64).min(self.limits.read_bytes);
        drop(book);
        self.effects.count(node.effect.unwrap_or(0), 0, bytes as u64);
    }

    /// Counts a file or directory that is about to be created.
    pub(crate) fn count_created(&self) -> Result<(), FileError> {
        let mut book = self.book();
        if book.created >= self.limits.files {
            let rule = format!("a call may create {} files and directories", self.limits.files);
            let code = ErrorCode::Quota;
            return Err(FileError::Refused { refusal: Refusal::FsQuota, rule, code });
        }
        book.created += 1;
        Ok(())
    }

    fn write_request(&self, node: &Node) -> EffectRequest {
        let root = self.mounts.get(node.mount).map_or("", |mount| mount.guest.trim_end_matches('/'));
        EffectRequest::File { operation: FileOperation::Write, path: format!("{root}/{}", node.path), to: None }
    }

    /// Records that a quota was met, the first time, and makes the error.
    fn quota(&self, mut book: MutexGuard<'_, Book>, quota: Quota, node: &Node, rule: String) -> FileError {
        let first = book.reported.insert(quota);
        drop(book);
        if first {
            let mut request = self.write_request(node);
            if let (Quota::Read, EffectRequest::File { operation, .. }) = (quota, &mut request) {
                *operation = FileOperation::Read;
            }
            self.effects.refuse(request, Refusal::FsQuota, &rule, None);
        }
        FileError::Refused { refusal: Refusal::FsQuota, rule, code: ErrorCode::Quota }
    }

    fn content_before(&self, mount: usize, path: &RelativePath, file: &File) -> Result<(Before, Vec<u8>), FileError> {
        let (mut content, mode) = content_and_mode(file)?;
        // Where the call has appended to the file already, what was there before is the beginning.
        if let Some(Announced::Length(length)) = self.book().announced.get(&(mount, path.clone())) {
            content.truncate(usize::try_from(*length).unwrap_or(usize::MAX));
        }
        Ok((Before::Content { digest: Digest::of(&content), mode }, content))
    }

    fn add(
        &self,
        intent: &mut Intent,
        mount: usize,
        path: &RelativePath,
        before: Before,
        content: Option<Vec<u8>>,
    ) -> Result<(), FileError> {
        let mut book = self.book();
        book.kept_bytes = book.kept_bytes.saturating_add(content.as_ref().map_or(0, |content| content.len() as u64));
        if book.kept_bytes > UNDO_BYTES_MAX || book.announced.len() + intent.notes.len() >= UNDO_PATHS_MAX {
            return Err(beyond_undo("the call changes more than can be kept for an undo".to_owned()));
        }
        let note = match before {
            Before::Length(Bytes(length)) => Announced::Length(length),
            Before::Absent | Before::Directory | Before::Content { .. } | Before::Symlink(_) => Announced::Whole,
        };
        let guest = self.mounts.get(mount).map_or_else(String::new, |mount| mount.guest.clone());
        let entry = UndoEntry { mount: guest, path: path.as_str().to_owned(), before };
        intent.undo.push(Undo { entry, content });
        intent.notes.push(((mount, path.clone()), note));
        Ok(())
    }

    fn is_whole(&self, mount: usize, path: &RelativePath) -> bool {
        self.book().announced.get(&(mount, path.clone())) == Some(&Announced::Whole)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intent {
    fn holds(&self, mount: usize, path: &RelativePath) -> bool {
        self.notes.iter().any(|((own, known), _)| *own == mount && known == path)
    }
}

/// The content of a file and its permission bits, if it is small enough to be kept.
pub(crate) fn content_and_mode(file: &File) -> Result<(Vec<u8>, u32), FileError> {
    let metadata = file.metadata()?;
    if metadata.len() > UNDO_FILE_BYTES_MAX {
        let rule = format!("a file of {} is too large to undo a change of it", Bytes(metadata.len()));
        return Err(beyond_undo(rule));
    }
    let mut content = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok((content, metadata.permissions().mode() & 0o7777))
}

/// A refusal of what is no regular file, directory or link.
pub(crate) fn special_file() -> FileError {
    let rule = "only regular files and directories can be used".to_owned();
    FileError::Refused { refusal: Refusal::FsSpecialFile, rule, code: ErrorCode::NotPermitted }
}

fn beyond_undo(rule: String) -> FileError {
    FileError::Refused { refusal: Refusal::FsQuota, rule, code: ErrorCode::Quota }
}

impl From<Lost> for FileError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Code(code) => code.into(),
            Lost::Escapes | Lost::Hidden => ErrorCode::NotPermitted.into(),
        }
    }
}

fn link_target(spot: &Spot) -> Result<String, FileError> {
    let target = rustix::fs::readlinkat(&spot.dir, spot.name.as_str(), Vec::new())?;
    target.into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
}

/// A file or directory and everything in it, parents first, each with its place after the whole was moved to `to`.
fn walk_tree(from: &Spot, to: &RelativePath) -> Result<Vec<(Spot, RelativePath)>, FileError> {
    let mut tree = vec![(from.clone(), to.clone())];
    let mut next = 0;
    while let Some((spot, to)) = tree.get(next).cloned() {
        if tree.len() > TREE_ENTRIES_MAX {
            return Err(beyond_undo(format!("more than {TREE_ENTRIES_MAX} entries are too many to undo")));
        }
        match spot.found {
            Some(FileType::Directory) => tree.extend(children(&spot, &to)?),
            Some(FileType::Symlink) => check_moved_link(&spot, &to)?,
            Some(_) | None => {}
        }
        next += 1;
    }
    Ok(tree)
}

/// A relative link means something else at another depth: one that was fine where it was made could be moved until it leads
/// out of the mount.
fn check_moved_link(spot: &Spot, to: &RelativePath) -> Result<(), FileError> {
    let target = link_target(spot)?;
    if target.starts_with('/') || !leads_out(to, &target) {
        return Ok(());
    }
    let rule = "a link in it would lead out of the mount".to_owned();
    Err(FileError::Refused { refusal: Refusal::FsDenied, rule, code: ErrorCode::NotPermitted })
}

/// The entries of a directory, each with its place after the directory was moved to `to`.
fn children(spot: &Spot, to: &RelativePath) -> Result<Vec<(Spot, RelativePath)>, FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let dir = Arc::new(File::from(open_name(&spot.dir, &spot.name, flags, Mode::empty())?));
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir)?.take(TREE_ENTRIES_MAX + 3) {
        let entry = entry?;
        let name = entry.file_name().to_str().map_err(|_| ErrorCode::IllegalByteSequence)?;
        if matches!(name, "." | "..") {
            continue;
        }
        if is_hidden(name) {
            return Err(ErrorCode::NotPermitted.into());
        }
        let child = find(&dir, &spot.path, name, LastLink::Keep).map_err(|_| ErrorCode::NotPermitted)?;
        found.push((child, to.join(name)?));
    }
    Ok(found)
}
