//! What a call changes and what an undo would restore. Before the first change of each path, the path's state is announced to
//! the gate; only then may the change happen. Afterwards the gate is told in which state the path was left. Where a grant does
//! without undo, the change itself is announced, as an opaque write.
//!
//! `before` looks at what is there, `kept` bounds what is kept of it, `marks` knows what was said of which path, `follow` keeps up
//! with open files.

use std::collections::HashSet;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::effect::{EffectRequest, FileOperation, Refusal, UndoEntry};
use agent_core::grant::Recovery;
use agent_core::limits::Limits;
use agent_core::path_state::{Becoming, PathMark};
use rustix::fs::FileType;
use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::effects::{Effects, Permit};
use crate::gate::Undo;
use crate::hosts::fs::FileError;
use crate::hosts::fs::before::{State, beyond_undo, special_file};
use crate::hosts::fs::kept::{Announced, Kept, kept_bytes};
use crate::hosts::fs::look::{Looked, Thing, look_at, look_behind};
use crate::hosts::fs::marks::{Marks, Place};
use crate::hosts::fs::node::Node;
use crate::hosts::fs::path::RelativePath;
use crate::hosts::fs::quota::Quotas;
use crate::hosts::fs::renames::Renames;
use crate::hosts::fs::subtree::Tree;
use crate::hosts::fs::walk::Spot;
use crate::hosts::fs::walls::{Kind, Walls};
use crate::mount::Mount;
use crate::stop::Stop;

/// Content that is held in memory before it is announced: a rename changes many files at once. One large file more comes on
/// top; small ones share a sync.
const HELD_BYTES_MAX: u64 = 4 << 20;

/// Most refusals remembered so that each is recorded once.
const REPORTED_MAX: usize = 100;

/// The changes of one call. Shared with its streams.
pub(crate) struct Changes {
    mounts: Vec<Mount>,
    effects: Arc<Effects>,
    /// How much may be written, read and created.
    pub(crate) quotas: Quotas,
    /// Where the call itself moved things to.
    pub(crate) renames: Renames,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    kept: Kept,
    marks: Marks,
    /// Refusals of open files that are recorded already: once is enough to know.
    reported: HashSet<(FileOperation, Refusal, String)>,
}

/// States to announce before a change, and what becomes of the paths.
#[derive(Default)]
pub(crate) struct Intent {
    undo: Vec<Undo>,
    notes: Vec<Note>,
    /// Paths that were announced before and change again.
    again: Vec<(Place, Becoming)>,
    held_bytes: u64,
    /// Something changes that is not to be undone.
    opaque: bool,
}

struct Note {
    place: Place,
    announced: Announced,
    was: Option<Thing>,
}

impl Changes {
    /// No changes yet.
    pub(crate) fn new(mounts: Vec<Mount>, limits: &Limits, effects: Arc<Effects>) -> Self {
        Self { mounts, effects, quotas: Quotas::new(limits), renames: Renames::default(), book: Mutex::default() }
    }

    /// The call's mounts.
    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// One of the call's mounts.
    pub(crate) fn mount(&self, mount: usize) -> &Mount {
        &self.mounts[mount]
    }

    /// What bounds the paths below a mount.
    pub(crate) fn walls(&self, mount: usize) -> &Walls {
        &self.mounts[mount].walls
    }

    /// Whether two places lose their changes together, so that something can be moved from one to the other.
    pub(crate) fn recover_alike(&self, mount: usize, other: usize) -> bool {
        self.mounts[mount].recovery == self.mounts[other].recovery
    }

    /// Whether changes below the mount are undone where their call is stopped.
    pub(crate) fn are_undone(&self, mount: usize) -> bool {
        self.mounts[mount].recovery == Recovery::Undo
    }

    /// Takes what is at a spot into an intent, unless it was announced before.
    pub(crate) fn take_spot(
        &self,
        intent: &mut Intent,
        mount: usize,
        spot: &Spot,
        becoming: Becoming,
    ) -> Result<(), FileError> {
        if spot.found.is_some_and(|found| !can_be_restored(found)) {
            return Err(special_file());
        }
        if self.is_opaque(intent, mount) {
            return Ok(());
        }
        let place = (mount, spot.path.clone());
        if self.is_whole(intent, &place) {
            intent.again.push((place, becoming));
            return Ok(());
        }
        let state = match (spot.found, self.announced(&place)) {
            // What was there before the call appended to it is the beginning of what is there.
            (Some(FileType::RegularFile), Some(Announced::Length(length))) => {
                State::at_length(self.mount(mount), spot, length, &|bytes| self.may_keep(bytes))?
            }
            _ => State::at(self.mount(mount), spot, &|bytes| self.may_keep(bytes))?,
        };
        self.add(intent, place, state, becoming)
    }

    /// Takes a directory into an intent once more that was announced before, since all in it is announced now: an undo
    /// makes directories in the reverse order, and this one before what is in it.
    pub(crate) fn take_again(&self, intent: &mut Intent, mount: usize, spot: &Spot) -> Result<(), FileError> {
        let place = (mount, spot.path.clone());
        if self.is_opaque(intent, mount) || self.announced(&place) != Some(Announced::Directory) {
            return self.take_spot(intent, mount, spot, Becoming::Gone);
        }
        let state = State::at(self.mount(mount), spot, &|bytes| self.may_keep(bytes))?;
        self.add(intent, place, state, Becoming::Gone)
    }

    /// Takes what a move puts at a path where nothing is.
    pub(crate) fn take_arrival(
        &self,
        intent: &mut Intent,
        (mount, path): (usize, &RelativePath),
        becoming: Becoming,
    ) -> Result<(), FileError> {
        if self.is_opaque(intent, mount) {
            return Ok(());
        }
        let place = (mount, path.clone());
        if self.is_whole(intent, &place) {
            intent.again.push((place, becoming));
            return Ok(());
        }
        self.add(intent, place, State::absent(), becoming)
    }

    /// Takes an open file into an intent, if bytes from `first_changed` on are about to change.
    pub(crate) fn take_file(&self, intent: &mut Intent, node: &Node, first_changed: u64) -> Result<(), FileError> {
        if self.is_opaque(intent, node.mount) {
            return Ok(());
        }
        let mount = self.mount(node.mount);
        let looked = look_behind(mount, &node.file)?;
        let held = {
            let mut book = self.book();
            book.marks.writes(looked.thing);
            book.marks.holder(looked.thing).cloned()
        };
        // A file without a name any more is at no path that would have to be restored.
        let (place, named) = held.map_or_else(|| ((node.mount, node.path.clone()), false), |place| (place, true));
        let mut go_on = |place| {
            if named {
                intent.again.push((place, Becoming::Itself));
            }
            Ok(())
        };
        let state = match self.announced(&place) {
            Some(Announced::Absent | Announced::Directory | Announced::Whole) => return go_on(place),
            Some(Announced::Length(length)) if first_changed >= length => return go_on(place),
            None if first_changed >= looked.stamp.size.0 => State::of_length(looked),
            Some(Announced::Length(length)) => {
                State::of_content(mount, &node.file, Some(length), &|bytes| self.may_keep(bytes))?
            }
            None => State::of_content(mount, &node.file, None, &|bytes| self.may_keep(bytes))?,
        };
        self.add(intent, place, state, Becoming::Itself)
    }

    /// Whether an intent holds as much as should be in memory at once.
    pub(crate) fn is_full(&self, intent: &Intent) -> bool {
        intent.held_bytes >= HELD_BYTES_MAX
    }

    /// Whether a name may go for which something else comes, or nothing: not where what was written to the file would live
    /// on under a name that no undo knows of.
    pub(crate) fn may_lose_a_name(&self, mount: usize, spot: &Spot) -> Result<(), FileError> {
        if spot.found != Some(FileType::RegularFile) || !self.are_undone(mount) {
            return Ok(());
        }
        match look_at(self.mount(mount), spot)? {
            Some(now) if !self.book().marks.may_lose_a_name(&now) => {
                Err(beyond_undo("the file was changed and has other names, where an undo would not find it"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Announces an intent. The change may happen once this has returned `Ok`.
    pub(crate) async fn announce(&self, number: u32, request: EffectRequest, intent: Intent) -> Result<(), FileError> {
        let Intent { undo, notes, again, opaque, .. } = intent;
        if !undo.is_empty() {
            self.effects.intend_change(number, request.clone(), undo).await.map_err(Stop::from)?;
            let mut book = self.book();
            for Note { place, announced, was } in notes {
                book.marks.announced(&place, was);
                book.kept.announced(place, announced);
            }
        }
        let marks: Vec<PathMark> = {
            let mut book = self.book();
            again.iter().filter_map(|(place, becoming)| book.marks.begin(place, becoming)).collect()
        };
        self.tell(marks)?;
        if opaque {
            self.effects.intend_opaque_change(number, request).await.map_err(Stop::from)?;
        }
        Ok(())
    }

    /// Announces what a permitted change touches, each with what becomes of it.
    pub(crate) async fn announce_spots(
        &self,
        permit: &Permit,
        spots: &[(usize, &Spot, Becoming)],
    ) -> Result<(), FileError> {
        let mut intent = Intent::default();
        for (mount, spot, becoming) in spots {
            self.take_spot(&mut intent, *mount, spot, becoming.clone())?;
        }
        self.announce(permit.number, permit.request.clone(), intent).await
    }

    /// Announces that the times of what is at a path are about to change.
    pub(crate) async fn announce_touch(&self, permit: &Permit, mount: usize, spot: &Spot) -> Result<(), FileError> {
        let mut intent = Intent::default();
        let place = (mount, spot.path.clone());
        match spot.found {
            Some(FileType::RegularFile) if self.announced(&place).is_none() => {
                if !self.is_opaque(&mut intent, mount) {
                    let looked = look_at(self.mount(mount), spot)?.ok_or(ErrorCode::NoEntry)?;
                    self.add(&mut intent, place, State::of_length(looked), Becoming::Itself)?;
                }
            }
            Some(FileType::RegularFile) => {
                self.is_opaque(&mut intent, mount);
                intent.again.push((place, Becoming::Itself));
            }
            Some(_) => self.take_spot(&mut intent, mount, spot, Becoming::Itself)?,
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

    /// Says how what is at a spot was left. What an operation was to put there and did not is somebody else's.
    pub(crate) fn left_at(&self, mount: usize, spot: &Spot) -> Result<(), FileError> {
        if !self.are_undone(mount) {
            return Ok(());
        }
        let now = look_at(self.mount(mount), spot)?;
        let mark = self.book().marks.left(&(mount, spot.path.clone()), now);
        self.tell(mark.into_iter().collect())
    }

    /// Says that the call left nothing at these paths.
    pub(crate) fn left_nothing(&self, places: &[Place]) -> Result<(), FileError> {
        let marks = {
            let mut book = self.book();
            places.iter().filter_map(|place| book.marks.left(place, None)).collect()
        };
        self.tell(marks)
    }

    /// Says what a move of a tree to a spot put there.
    pub(crate) fn arrived(&self, mount: usize, moved: &Tree, to: &Spot) -> Result<(), FileError> {
        if !self.are_undone(mount) {
            return Ok(());
        }
        let mut marks = Vec::new();
        for entry in moved.entries() {
            let spot = Tree::at_moved(self.walls(mount), to, entry)?;
            let now = look_at(self.mount(mount), &spot)?;
            marks.extend(self.book().marks.left(&(mount, entry.to.clone()), now));
        }
        self.tell(marks)
    }

    /// A file was opened so that it can be changed from now on.
    pub(crate) fn opened(&self, thing: Thing) {
        self.book().marks.opened(thing);
    }

    /// Says which file the call made at a path.
    pub(crate) fn made(&self, mount: usize, path: &RelativePath, looked: Looked) -> Result<(), FileError> {
        if !self.are_undone(mount) {
            return Ok(());
        }
        let mark = self.book().marks.left(&(mount, path.clone()), Some(looked));
        self.tell(mark.into_iter().collect())
    }

    /// Says how an operation left a spot where it was to make something. What is there though it failed is somebody else's.
    pub(crate) fn made_at(&self, mount: usize, spot: &Spot, done: Result<(), Errno>) -> Result<(), FileError> {
        match done {
            Ok(()) => self.left_at(mount, spot),
            Err(errno) => {
                self.left_nothing(&[(mount, spot.path.clone())])?;
                Err(errno.into())
            }
        }
    }

    /// Says that an operation which failed left what was there.
    pub(crate) fn stayed_at(&self, mount: usize, spot: &Spot) -> Result<(), FileError> {
        if !self.are_undone(mount) {
            return Ok(());
        }
        let place = (mount, spot.path.clone());
        let now = look_at(self.mount(mount), spot)?;
        let same = now.map(|now| now.thing) == self.book().marks.thing_at(&place);
        if same { self.left_at(mount, spot) } else { Ok(()) }
    }

    /// A handle is closed that could change a file: if it was the last one, says how the file was left. What cannot be said
    /// leaves the undo with less to go by.
    pub(crate) fn closed(&self, mount: usize, thing: Thing, file: &File) {
        if self.walls(mount).kind() == Kind::Distant && self.effects.has_ended() {
            // Nobody watches any more whether such a file system answers.
            return;
        }
        let Some(place) = self.book().marks.closed(thing) else { return };
        let settled = self.settle(mount, &place, file);
        if let Err(FileError::Stop(stop)) = settled {
            tracing::debug!(%stop, "the state of a file was not recorded");
        }
    }

    /// Says how an open file was left.
    pub(crate) fn left_open(&self, node: &Node) -> Result<(), FileError> {
        if !self.are_undone(node.mount) {
            return Ok(());
        }
        let thing = look_behind(self.mount(node.mount), &node.file)?.thing;
        let place = self.book().marks.holder(thing).cloned();
        place.map_or(Ok(()), |place| self.settle(node.mount, &place, &node.file))
    }

    /// Says what is still to be said of files once nothing of the call can change one any more.
    pub(crate) fn end(&self) {
        let rest = self.book().marks.rest();
        if let Err(FileError::Stop(stop)) = self.tell(rest) {
            tracing::debug!(%stop, "the state of a file was not recorded");
        }
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

    fn settle(&self, mount: usize, place: &Place, file: &File) -> Result<(), FileError> {
        if self.walls(mount).kind() == Kind::Distant {
            // Another machine sets the times, and knows of them once it has the bytes.
            file.sync_all()?;
        }
        let now = look_behind(self.mount(mount), file)?;
        let mark = self.book().marks.left(place, Some(now));
        self.tell(mark.into_iter().collect())
    }

    fn tell(&self, marks: Vec<PathMark>) -> Result<(), FileError> {
        if marks.is_empty() {
            return Ok(());
        }
        self.effects.mark_changes(marks).map_err(|closed| Stop::from(closed).into())
    }

    fn request(&self, node: &Node, operation: FileOperation) -> EffectRequest {
        let root = self.mounts.get(node.mount).map_or("", |mount| mount.guest.trim_end_matches('/'));
        EffectRequest::File { operation, path: format!("{root}/{}", node.path), to: None }
    }

    /// Asked before content is read to be kept. Reading and hashing it is work like any other, and is charged.
    fn may_keep(&self, bytes: u64) -> Result<(), FileError> {
        self.book().kept.has_room(bytes)?;
        self.effects.owe(bytes);
        Ok(())
    }

    fn add(&self, intent: &mut Intent, place: Place, state: State, becoming: Becoming) -> Result<(), FileError> {
        let (was, owner, stamp) = (state.looked.map(|looked| looked.thing), state.owner(), state.stamp());
        let State { before, content, attributes, .. } = state;
        let announced = Announced::of(&before);
        let mount = self.mount(place.0);
        let (guest, root, path) = (mount.guest.clone(), mount.identity.inode, place.1.as_str().to_owned());
        let entry = UndoEntry { mount: guest, root, path, before, was: stamp, owner, attributes, becoming };
        let undo = Undo { entry, content };
        let bytes = kept_bytes(&undo);
        self.book().kept.keep(bytes)?;
        intent.undo.push(undo);
        intent.held_bytes = intent.held_bytes.saturating_add(bytes);
        intent.notes.push(Note { place, announced, was });
        Ok(())
    }

    /// Whether changes below the mount are not undone; notes it.
    fn is_opaque(&self, intent: &mut Intent, mount: usize) -> bool {
        let opaque = !self.are_undone(mount);
        intent.opaque |= opaque;
        opaque
    }

    fn is_whole(&self, intent: &Intent, place: &Place) -> bool {
        let whole = |announced| !matches!(announced, Announced::Length(_));
        self.announced(place).is_some_and(whole) || intent.notes.iter().any(|note| note.place == *place)
    }

    fn announced(&self, place: &Place) -> Option<Announced> {
        self.book().kept.of(place)
    }

    pub(super) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The entry of the path that a thing is at, and the number of the next word about it.
    pub(super) fn turn(&self, thing: Thing) -> Option<(u32, u64)> {
        self.book().marks.turn(thing)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn can_be_restored(found: FileType) -> bool {
    matches!(found, FileType::RegularFile | FileType::Directory | FileType::Symlink)
}
