//! What a call changes and what an undo would restore. Before the first change of each path, the path's state is announced to
//! the gate; only then may the change happen. Where a grant does without undo, the change itself is announced, as an opaque
//! write.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::digest::Digest;
use agent_core::effect::{Before, EffectRequest, FileOperation, Refusal, UndoEntry};
use agent_core::grant::Recovery;
use agent_core::limits::Limits;
use agent_core::units::Bytes;
use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::effects::{Effects, Permit};
use crate::gate::Undo;
use crate::hosts::fs::FileError;
use crate::hosts::fs::node::Node;
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::quota::{Quotas, over};
use crate::hosts::fs::subtree::{KEPT_ENTRIES_MAX, SEEN_ENTRIES_MAX, walk_tree};
use crate::hosts::fs::walk::{RelativePath, Spot};
use crate::hosts::fs::walls::Walls;
use crate::mount::Mount;
use crate::stop::Stop;

/// Largest file whose content is kept so that a change of it can be undone. A larger one can only be appended to.
pub(crate) const UNDO_FILE_BYTES_MAX: u64 = 16 << 20;

/// Most bytes and paths kept for the undo of one call.
const UNDO_BYTES_MAX: u64 = 256 << 20;
const UNDO_PATHS_MAX: usize = 10_000;

/// Most refusals remembered so that each is recorded once.
const REPORTED_MAX: usize = 100;

/// The changes of one call. Shared with its streams.
pub(crate) struct Changes {
    mounts: Vec<Mount>,
    effects: Arc<Effects>,
    /// How much may be written, read and created.
    pub(crate) quotas: Quotas,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    kept_bytes: u64,
    announced: HashMap<(usize, RelativePath), Announced>,
    /// Refusals of open files that are recorded already: once is enough to know.
    reported: HashSet<(FileOperation, Refusal, String)>,
}

/// How much of a path an undo can restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// Everything.
    Whole,
    /// Its first bytes are still there; the rest is new.
    Length(u64),
}

/// States to announce before a change, and the notes to make once they are.
#[derive(Default)]
pub(crate) struct Intent {
    undo: Vec<Undo>,
    notes: Vec<((usize, RelativePath), Announced)>,
    /// Something changes that is not to be undone.
    opaque: bool,
}

/// The state of a path.
struct State {
    before: Before,
    content: Option<Vec<u8>>,
    modified_ns: Option<i64>,
}

impl Changes {
    /// No changes yet.
    pub(crate) fn new(mounts: Vec<Mount>, limits: &Limits, effects: Arc<Effects>) -> Self {
        Self { mounts, effects, quotas: Quotas::new(limits), book: Mutex::default() }
    }

    /// The call's mounts.
    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// What bounds the paths below a mount.
    pub(crate) fn walls(&self, mount: usize) -> &Walls {
        &self.mounts[mount].walls
    }

    /// Whether two places lose their changes together, so that something can be moved from one to the other.
    pub(crate) fn recover_alike(&self, mount: usize, other: usize) -> bool {
        self.mounts[mount].recovery == self.mounts[other].recovery
    }

    /// Takes what is at a spot into an intent, unless it was announced before.
    pub(crate) fn take_spot(&self, intent: &mut Intent, mount: usize, spot: &Spot) -> Result<(), FileError> {
        if spot.found.is_some_and(|found| !can_be_restored(found)) {
            return Err(special_file());
        }
        if self.is_opaque(intent, mount) || self.is_whole(mount, &spot.path) {
            return Ok(());
        }
        let state = match spot.found {
            None => State { before: Before::Absent, content: None, modified_ns: None },
            Some(FileType::RegularFile) => match open_regular(&spot.dir, &spot.name, OFlags::RDONLY)? {
                Pinned::Regular(file) => self.content_before(mount, &spot.path, &file)?,
                Pinned::Other(found) => return Err(not_regular(found)),
            },
            Some(found) => {
                let stat = rustix::fs::statat(&spot.dir, spot.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
                let before = match found {
                    FileType::Symlink => Before::Symlink(link_target(spot)?),
                    _ => Before::Directory { mode: permissions(&stat) },
                };
                State {
                    before,
                    content: None,
                    modified_ns: Some(modified_ns(stat.st_mtime, stat.st_mtime_nsec as i64)),
                }
            }
        };
        self.add(intent, mount, &spot.path, state)
    }

    /// Takes an open file into an intent, if bytes from `first_changed` on are about to change.
    pub(crate) fn take_file(&self, intent: &mut Intent, node: &Node, first_changed: u64) -> Result<(), FileError> {
        if self.is_opaque(intent, node.mount) {
            return Ok(());
        }
        let announced = self.book().announced.get(&(node.mount, node.path.clone())).copied();
        let metadata = node.file.metadata()?;
        let state = match announced {
            Some(Announced::Whole) => return Ok(()),
            Some(Announced::Length(length)) if first_changed >= length => return Ok(()),
            None if first_changed >= metadata.len() => State {
                before: Before::Length(Bytes(metadata.len())),
                content: None,
                modified_ns: Some(modified_ns(metadata.mtime(), metadata.mtime_nsec())),
            },
            Some(Announced::Length(_)) | None => self.content_before(node.mount, &node.path, &node.file)?,
        };
        self.add(intent, node.mount, &node.path, state)
    }

    /// Takes a file or a directory with everything in it, and the same paths below `to`, as a rename changes them. In an
    /// order whose reverse works: what is at `to` goes from the leaves up, what was at `from` comes back from the root down.
    pub(crate) fn take_tree(
        &self,
        intent: &mut Intent,
        (mount, from): (usize, &Spot),
        (to_mount, to): (usize, &RelativePath),
    ) -> Result<(), FileError> {
        let keeps = !self.is_opaque(intent, mount);
        let entries_max = if keeps { KEPT_ENTRIES_MAX } else { SEEN_ENTRIES_MAX };
        let tree = walk_tree(self.walls(mount), from, to, entries_max)?;
        if !keeps {
            return Ok(());
        }
        for (spot, _) in tree.iter().rev() {
            self.take_spot(intent, mount, spot)?;
        }
        for (_, to) in &tree {
            if !self.is_whole(to_mount, to) && !intent.holds(to_mount, to) {
                let absent = State { before: Before::Absent, content: None, modified_ns: None };
                self.add(intent, to_mount, to, absent)?;
            }
        }
        Ok(())
    }

    /// Announces an intent. The change may happen once this has returned `Ok`.
    pub(crate) async fn announce(&self, number: u32, request: EffectRequest, intent: Intent) -> Result<(), FileError> {
        if !intent.undo.is_empty() {
            self.effects.intend_change(number, request.clone(), intent.undo).await.map_err(Stop::from)?;
            self.book().announced.extend(intent.notes);
        }
        if intent.opaque {
            self.effects.intend_opaque_change(number, request).await.map_err(Stop::from)?;
        }
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

    /// Announces that the times of what is at a path are about to change.
    pub(crate) async fn announce_touch(&self, permit: &Permit, mount: usize, spot: &Spot) -> Result<(), FileError> {
        let mut intent = Intent::default();
        match spot.found {
            Some(FileType::RegularFile) => {
                let known = self.book().announced.contains_key(&(mount, spot.path.clone()));
                if !self.is_opaque(&mut intent, mount) && !known {
                    let stat = rustix::fs::statat(&spot.dir, spot.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
                    let before = Before::Length(Bytes(u64::try_from(stat.st_size).unwrap_or(0)));
                    let modified_ns = Some(modified_ns(stat.st_mtime, stat.st_mtime_nsec as i64));
                    self.add(&mut intent, mount, &spot.path, State { before, content: None, modified_ns })?;
                }
            }
            Some(_) => self.take_spot(&mut intent, mount, spot)?,
            None => return Err(ErrorCode::NoEntry.into()),
        }
        self.announce(permit.number, permit.request.clone(), intent).await
    }

    /// Announces that bytes of an open file from `first_changed` on are about to change.
    pub(crate) async fn announce_write(&self, node: &Node, first_changed: u64) -> Result<(), FileError> {
        let mut intent = Intent::default();
        self.take_file(&mut intent, node, first_changed)?;
        self.announce(node.effect.unwrap_or(0), self.request(node, FileOperation::Write), intent).await
    }

    /// Counts bytes that were written to an open file, or read from it, with the effect that opened it.
    pub(crate) fn count(&self, node: &Node, bytes_out: u64, bytes_in: u64) {
        self.effects.count(node.effect.unwrap_or(0), bytes_out, bytes_in);
    }

    /// Records a refusal to read or change an open file, the first time that it happens for this reason. What opened the file
    /// is an effect of its own and was allowed.
    pub(crate) fn reported<T>(
        &self,
        node: &Node,
        operation: FileOperation,
        result: Result<T, FileError>,
    ) -> Result<T, FileError> {
        if let Err(FileError::Refused { refusal, rule, .. }) = &result {
            let mut book = self.book();
            let new = book.reported.len() < REPORTED_MAX && book.reported.insert((operation, *refusal, rule.clone()));
            drop(book);
            if new {
                self.effects.refuse(self.request(node, operation), *refusal, rule, None);
            }
        }
        result
    }

    fn request(&self, node: &Node, operation: FileOperation) -> EffectRequest {
        let root = self.mounts.get(node.mount).map_or("", |mount| mount.guest.trim_end_matches('/'));
        EffectRequest::File { operation, path: format!("{root}/{}", node.path), to: None }
    }

    fn content_before(&self, mount: usize, path: &RelativePath, file: &File) -> Result<State, FileError> {
        let metadata = file.metadata()?;
        let mut content = whole_content(file, metadata.len())?;
        // Where the call has appended to the file already, what was there before is the beginning.
        if let Some(Announced::Length(length)) = self.book().announced.get(&(mount, path.clone())) {
            content.truncate(usize::try_from(*length).unwrap_or(usize::MAX));
        }
        let before = Before::Content { digest: Digest::of(&content), mode: metadata.mode() & 0o7777 };
        let modified_ns = Some(modified_ns(metadata.mtime(), metadata.mtime_nsec()));
        Ok(State { before, content: Some(content), modified_ns })
    }

    fn add(&self, intent: &mut Intent, mount: usize, path: &RelativePath, state: State) -> Result<(), FileError> {
        let State { before, content, modified_ns } = state;
        let mut book = self.book();
        book.kept_bytes = book.kept_bytes.saturating_add(content.as_ref().map_or(0, |content| content.len() as u64));
        if book.kept_bytes > UNDO_BYTES_MAX || book.announced.len() + intent.notes.len() >= UNDO_PATHS_MAX {
            return Err(beyond_undo("the call changes more than can be kept for an undo"));
        }
        let note = match before {
            Before::Length(Bytes(length)) => Announced::Length(length),
            Before::Absent | Before::Directory { .. } | Before::Content { .. } | Before::Symlink(_) => Announced::Whole,
        };
        let guest = self.mounts.get(mount).map_or_else(String::new, |mount| mount.guest.clone());
        let entry = UndoEntry { mount: guest, path: path.as_str().to_owned(), before, modified_ns };
        intent.undo.push(Undo { entry, content });
        intent.notes.push(((mount, path.clone()), note));
        Ok(())
    }

    /// Whether changes below the mount are not undone; notes it.
    fn is_opaque(&self, intent: &mut Intent, mount: usize) -> bool {
        let opaque = self.mounts.get(mount).is_some_and(|mount| mount.recovery == Recovery::Doubt);
        intent.opaque |= opaque;
        opaque
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

/// A refusal of what is no regular file, directory or link.
pub(crate) fn special_file() -> FileError {
    let rule = "only regular files and directories can be used".to_owned();
    FileError::Refused { refusal: Refusal::FsSpecialFile, rule, code: ErrorCode::NotPermitted }
}

/// Why what was opened as a regular file is none: something took its place.
pub(crate) fn not_regular(found: FileType) -> FileError {
    match found {
        FileType::Directory => ErrorCode::IsDirectory.into(),
        FileType::Symlink => ErrorCode::Loop.into(),
        _ => special_file(),
    }
}

/// A refusal of what an undo could not restore.
pub(crate) fn beyond_undo(what: &str) -> FileError {
    over(format!("{what}; a grant with `undo = false` allows it, and then nothing there is undone"))
}

/// The target of a link.
pub(crate) fn link_target(spot: &Spot) -> Result<String, FileError> {
    let target = rustix::fs::readlinkat(&spot.dir, spot.name.as_str(), Vec::new())?;
    target.into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
}

fn can_be_restored(found: FileType) -> bool {
    matches!(found, FileType::RegularFile | FileType::Directory | FileType::Symlink)
}

/// The content of a file, if it is small enough to be kept.
fn whole_content(file: &File, length: u64) -> Result<Vec<u8>, FileError> {
    if length > UNDO_FILE_BYTES_MAX {
        return Err(beyond_undo(&format!("a file of {} is too large to undo a change of it", Bytes(length))));
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

#[expect(clippy::unnecessary_cast, reason = "the mode has different widths on different systems")]
fn permissions(stat: &Stat) -> u32 {
    stat.st_mode as u32 & 0o7777
}

/// Nanoseconds since 1970.
fn modified_ns(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}
