//! The files that a run changed, call by call, from its events alone: what `agent-host changes` shows, and what it undoes.

use std::collections::HashMap;

use crate::effect::{Before, EffectClass, EffectRequest, UndoEntry};
use crate::event::{EffectIntended, Event, Recorded, ToolStarted};
use crate::grant::Grant;
use crate::name::{CallNumber, RunId};
use crate::path_state::{Mark, PathKind, PathMark, Stamp};
use crate::state::folding::Folding;
use crate::state::{State, Unexpected};
use crate::units::{Bytes, UnixMillis};

/// What a run changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunChanges {
    /// Its attempts that changed something, in the order in which they began to.
    pub attempts: Vec<AttemptChanges>,
    /// Everything that was said of their paths, in order: by the attempts themselves, and by what undid them.
    pub said: Vec<Said>,
    /// The run that this one was forked from. What that one had changed before is its own, and undone there.
    pub forked_from: Option<RunId>,
    /// Attempts that changed nothing so far and may still do so: most of a long run never do.
    begun: Vec<AttemptChanges>,
    /// Which of the attempts belong to calls without outcome.
    open: Vec<usize>,
}

/// One thing said of a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The attempt: its place in [`RunChanges::attempts`].
    pub attempt: usize,
    /// What was said of which of its entries.
    pub mark: PathMark,
}

/// What one attempt of a call changed.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptChanges {
    /// The call.
    pub call: CallNumber,
    /// The attempt.
    pub attempt: u32,
    /// When it began, or the attempt that it goes on from.
    pub began: UnixMillis,
    /// The tool, as the model names it.
    pub tool: String,
    /// What the tool held at that time.
    pub grant: Grant,
    /// What was there before, in the order in which it was taken.
    pub entries: Vec<UndoEntry>,
    /// What was said of these paths before the call had its outcome, in order.
    pub marks: Vec<PathMark>,
    /// Under which start of the machine the first of it was said.
    pub boot: Option<u32>,
    /// Paths below grants that do without undo, which nobody can give back.
    pub opaque: Vec<String>,
    /// Whether it is undone.
    pub undone: Undone,
    ended: bool,
}

/// Whether an attempt was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// It was not.
    No,
    /// By the host, since the call was stopped.
    ByHost,
    /// By a person's word, but for these of its paths: places of undo entries.
    ByPerson(Vec<u32>),
}

/// What became of one path in an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// As the guest sees it.
    pub path: String,
    /// What happened to it.
    pub change: Change,
    /// Where it was before, if it was moved.
    pub from: Option<String>,
    /// What it is, or was.
    pub kind: PathKind,
    /// Its length before, of a file.
    pub before: Option<Bytes>,
    /// Its length as the attempt left it, of a file.
    pub after: Option<Bytes>,
    /// The place of its first undo entry.
    pub entry: u32,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It has another content, or other times.
    Changed,
    /// It is gone.
    Removed,
    /// It has another name.
    Moved,
    /// It was being changed when the record ends.
    Unclear,
}

/// What the attempts of a run changed, fed event by event: what does not change files is not held.
#[derive(Debug)]
pub struct Following {
    changes: RunChanges,
    folding: Folding,
    /// The epoch of what is copied from another run. Whoever goes on with a fork takes it over first.
    copied: Option<u64>,
}

/// What the attempts of a run changed.
///
/// # Errors
/// Where an event does not follow.
pub fn of_run(events: &[Recorded]) -> Result<RunChanges, Unexpected> {
    let mut following = Following::default();
    events.iter().for_each(|recorded| following.see(recorded));
    following.end().map(|(changes, _)| changes)
}

impl Default for Following {
    fn default() -> Self {
        Self { changes: RunChanges::default(), folding: Folding::without_conversation(), copied: None }
    }
}

impl Following {
    /// Takes the next event. After one that does not follow, nothing more is taken.
    pub fn see(&mut self, recorded: &Recorded) {
        if let Event::RunStarted(started) = &recorded.event {
            self.changes.forked_from = started.forked_from.as_ref().map(|from| from.run.clone());
            self.copied = started.forked_from.as_ref().map(|_| recorded.epoch);
        }
        if let Some(state) = self.folding.state().filter(|_| self.copied != Some(recorded.epoch)) {
            self.changes.see(state, &recorded.event);
        }
        self.folding.see(recorded);
    }

    /// Takes the attempts so far, where none of them can change anything more: whoever only lists them holds no more than is
    /// open. Nothing that comes later is said of them, neither that they were undone.
    pub fn take_ended(&mut self) -> Vec<AttemptChanges> {
        if !self.changes.open.is_empty() {
            return Vec::new();
        }
        self.changes.said.clear();
        std::mem::take(&mut self.changes.attempts)
    }

    /// What was changed, and the run's state, without what was said in it.
    ///
    /// # Errors
    /// Where an event does not follow.
    pub fn end(self) -> Result<(RunChanges, Option<State>), Unexpected> {
        Ok((self.changes, self.folding.end()?))
    }
}

impl AttemptChanges {
    /// Whether it changed anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.opaque.is_empty()
    }

    /// Each path with what became of it. What is as it was is left out, and so is what only moved along with its directory.
    #[must_use]
    pub fn paths(&self) -> Vec<PathChange> {
        let lives = self.lives();
        let mut found: Vec<PathChange> = lives.iter().filter_map(|life| life.change(&lives)).collect();
        let moved: Vec<(String, String)> = found
            .iter()
            .filter(|change| change.kind == PathKind::Directory)
            .filter_map(|change| Some((format!("{}/", change.from.as_ref()?), format!("{}/", change.path))))
            .collect();
        found.retain(|change| {
            let from = change.from.as_deref().unwrap_or_default();
            let along = |(old, new): &(String, String)| {
                change.path.strip_prefix(new).is_some_and(|below| from.strip_prefix(old) == Some(below))
            };
            !moved.iter().any(along)
        });
        found
    }

    /// The entry that keeps all that was at a path: whoever kept only the length at first may have had more to keep later.
    #[must_use]
    pub fn whole_entry(&self, first: u32) -> Option<&UndoEntry> {
        let named = self.entries.get(first as usize)?;
        let same = |entry: &&UndoEntry| (&entry.mount, &entry.path) == (&named.mount, &named.path);
        let mut all = self.entries[first as usize..].iter().filter(same);
        let is_whole = |entry: &&UndoEntry| !matches!(entry.before, Before::Length(_));
        all.find(is_whole).or(Some(named))
    }

    fn lives(&self) -> Vec<Life<'_>> {
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        let mut lives: Vec<Life<'_>> = Vec::new();
        let mut of_entry = Vec::with_capacity(self.entries.len());
        for (number, entry) in self.entries.iter().enumerate() {
            let place = *places.entry((&entry.mount, &entry.path)).or_insert_with(|| {
                lives.push(Life { first: entry, entry: u32::try_from(number).unwrap_or(u32::MAX), last: None });
                lives.len() - 1
            });
            of_entry.push(place);
        }
        for mark in &self.marks {
            if let Some(place) = of_entry.get(mark.entry as usize) {
                lives[*place].last = Some(&mark.is);
            }
        }
        lives
    }
}

/// One path from the first entry to the last mark.
struct Life<'a> {
    first: &'a UndoEntry,
    entry: u32,
    last: Option<&'a Mark>,
}

impl Life<'_> {
    fn change(&self, all: &[Life<'_>]) -> Option<PathChange> {
        let was = self.first.was;
        let (change, left) = match (was, self.last) {
            (_, Some(Mark::Changing(_)) | None) => (Change::Unclear, None),
            (None, Some(Mark::Left(None))) => return None,
            (Some(_), Some(Mark::Left(None))) if all.iter().any(|life| life.came_from(self)) => return None,
            (Some(_), Some(Mark::Left(None))) => (Change::Removed, None),
            (None, Some(Mark::Left(Some(left)))) => (Change::Created, Some(*left)),
            (Some(was), Some(Mark::Left(Some(left)))) if was.is_same_state(left) => return None,
            (Some(_), Some(Mark::Left(Some(left)))) => (Change::Changed, Some(*left)),
        };
        let origin = all.iter().find(|life| self.came_from(life));
        let before = if change == Change::Created { origin.and_then(|origin| origin.first.was) } else { was };
        Some(PathChange {
            path: guest_path(self.first),
            change: if origin.is_some() && change == Change::Created { Change::Moved } else { change },
            from: origin.map(|origin| guest_path(origin.first)),
            kind: left.or(was).map_or(PathKind::File, |stamp| stamp.kind),
            before: length(before),
            after: length(left),
            entry: self.entry,
        })
    }

    /// Whether what is here now was at that other path before, which is empty or taken by something else since.
    fn came_from(&self, other: &Life<'_>) -> bool {
        let (Some(Mark::Left(Some(left))), None, Some(was)) = (self.last, self.first.was, other.first.was) else {
            return false;
        };
        let is_it = |stamp: &Stamp| (stamp.device, stamp.inode) == (was.device, was.inode);
        let stays = matches!(other.last, Some(Mark::Left(Some(there))) if is_it(there));
        is_it(left) && !stays && self.first.mount == other.first.mount
    }
}

fn length(stamp: Option<Stamp>) -> Option<Bytes> {
    stamp.filter(|stamp| stamp.kind == PathKind::File).map(|stamp| stamp.size)
}

fn guest_path(entry: &UndoEntry) -> String {
    format!("{}/{}", entry.mount.trim_end_matches('/'), entry.path)
}

/// Whether it announces something that is told here.
fn is_change(body: &EffectIntended) -> bool {
    let is_opaque = body.class == EffectClass::OpaqueWrite && matches!(body.request, EffectRequest::File { .. });
    is_opaque || !body.undo.is_empty()
}

fn begun(state: &State, started: &ToolStarted) -> Option<AttemptChanges> {
    let ToolStarted { call, attempt, clock_start, .. } = *started;
    let pending = state.call(call)?;
    let grant = state.authorities[pending.tool?].grant.clone();
    Some(AttemptChanges {
        call,
        attempt,
        began: clock_start,
        tool: pending.call.tool.clone(),
        grant,
        entries: Vec::new(),
        marks: Vec::new(),
        boot: None,
        opaque: Vec::new(),
        undone: Undone::No,
        ended: false,
    })
}

impl RunChanges {
    fn see(&mut self, state: &State, event: &Event) {
        if let Event::ToolStarted(started) = event
            && let Some(begun) = begun(state, started)
        {
            self.begun.retain(|other| other.call != started.call);
            self.begun.push(begun);
        }
        self.follow(event);
    }

    fn follow(&mut self, event: &Event) {
        if let Event::EffectIntended(body) = event
            && is_change(body)
            && let Some(found) = self.find_or_begin(body.call, body.attempt)
        {
            self.announce(found, body);
        } else if let Event::PathsMarked(body) = event
            && let Some(found) = self.find(body.call, body.attempt)
        {
            self.attempts[found].boot.get_or_insert(body.boot);
            for mark in &body.marks {
                self.say(found, mark.clone());
            }
        } else if let Event::ToolFinished(body) = event {
            self.end(body.call);
        } else if let Event::ToolInDoubt(body) = event {
            self.end(body.call);
        } else if let Event::CallUndone(body) = event
            && let Some(found) = self.find(body.call, body.attempt)
        {
            self.attempts[found].undone = Undone::ByHost;
        } else if let Event::ChangesUndone(body) = event {
            for undone in &body.attempts {
                if let Some(found) = self.find(undone.call, undone.attempt) {
                    self.attempts[found].undone = Undone::ByPerson(undone.left.clone());
                }
            }
        }
    }

    fn find(&self, call: CallNumber, attempt: u32) -> Option<usize> {
        self.attempts.iter().rposition(|found| (found.call, found.attempt) == (call, attempt))
    }

    fn find_or_begin(&mut self, call: CallNumber, attempt: u32) -> Option<usize> {
        if let Some(begun) = self.begun.iter().position(|begun| (begun.call, begun.attempt) == (call, attempt)) {
            self.open.push(self.attempts.len());
            self.attempts.push(self.begun.swap_remove(begun));
        }
        self.find(call, attempt)
    }

    fn end(&mut self, call: CallNumber) {
        self.begun.retain(|begun| begun.call != call);
        let attempts = &mut self.attempts;
        self.open.retain(|number| {
            let attempt = &mut attempts[*number];
            attempt.ended |= attempt.call == call;
            !attempt.ended
        });
    }

    fn say(&mut self, attempt: usize, mark: PathMark) {
        if !self.attempts[attempt].ended {
            self.attempts[attempt].marks.push(mark.clone());
        }
        self.said.push(Said { attempt, mark });
    }

    fn announce(&mut self, number: usize, body: &EffectIntended) {
        for entry in &body.undo {
            let place = u32::try_from(self.attempts[number].entries.len()).unwrap_or(u32::MAX);
            self.attempts[number].entries.push(entry.clone());
            self.say(number, PathMark { entry: place, is: Mark::Changing(entry.becoming.clone()) });
        }
        let opaque = &mut self.attempts[number].opaque;
        if let (EffectClass::OpaqueWrite, EffectRequest::File { path, to, .. }) = (body.class, &body.request) {
            for path in [path].into_iter().chain(to) {
                if !opaque.contains(path) {
                    opaque.push(path.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path_state::Becoming;

    fn stamp(kind: PathKind, inode: u64, size: u64) -> Stamp {
        Stamp { kind, device: None, inode, size: Bytes(size), modified_ns: 1, changed_ns: 1 }
    }

    fn attempt(paths: &[(&str, Option<Stamp>, Mark)]) -> AttemptChanges {
        let entry = |(path, was, _): &(&str, Option<Stamp>, Mark)| UndoEntry {
            mount: "/data".to_owned(),
            root: 1,
            path: (*path).to_owned(),
            before: was.map_or(Before::Absent, |was| Before::Length(was.size)),
            was: *was,
            owner: None,
            attributes: Vec::new(),
            becoming: Becoming::Itself,
        };
        let mark = |(entry, (_, _, is)): (u32, &(&str, Option<Stamp>, Mark))| PathMark { entry, is: is.clone() };
        AttemptChanges {
            call: CallNumber(1),
            attempt: 1,
            began: UnixMillis(0),
            tool: "files__write".to_owned(),
            grant: Grant::nothing(),
            entries: paths.iter().map(entry).collect(),
            marks: (0..).zip(paths).map(mark).collect(),
            boot: None,
            opaque: Vec::new(),
            undone: Undone::No,
            ended: false,
        }
    }

    fn shown(paths: &[(&str, Option<Stamp>, Mark)]) -> Vec<String> {
        let line = |change: PathChange| {
            let from = change.from.map(|from| format!(" from {from}")).unwrap_or_default();
            let sizes =
                [change.before, change.after].map(|size| size.map_or("-".to_owned(), |size| size.0.to_string()));
            format!("{:?} {}{from} {}", change.change, change.path, sizes.join(" "))
        };
        attempt(paths).paths().into_iter().map(line).collect()
    }

    #[test]
    fn each_path_is_told_by_what_became_of_it() {
        let (file, directory) = (PathKind::File, PathKind::Directory);
        let left = |stamp| Mark::Left(Some(stamp));
        let gone = Mark::Left(None);
        assert_eq!(
            shown(&[
                ("new", None, left(stamp(file, 9, 3))),
                ("changed", Some(stamp(file, 1, 5)), left(stamp(file, 1, 8))),
                ("saved", Some(stamp(file, 2, 5)), left(stamp(file, 10, 5))),
                ("gone", Some(stamp(file, 3, 7)), gone.clone()),
                ("lock", None, gone.clone()),
                ("looked-at", Some(stamp(file, 4, 1)), left(stamp(file, 4, 1))),
                ("cut-off", Some(stamp(file, 5, 1)), Mark::Changing(Becoming::Itself)),
            ]),
            [
                "Created /data/new - 3",
                "Changed /data/changed 5 8",
                "Changed /data/saved 5 5",
                "Removed /data/gone 7 -",
                "Unclear /data/cut-off 1 -",
            ]
        );
        // What moves along with its directory is not told by itself, unless it became another.
        assert_eq!(
            shown(&[
                ("dir/kept", Some(stamp(file, 1, 1)), gone.clone()),
                ("dir/out", Some(stamp(file, 2, 2)), gone.clone()),
                ("dir", Some(stamp(directory, 3, 0)), gone),
                ("moved", None, left(stamp(directory, 3, 0))),
                ("moved/kept", None, left(stamp(file, 1, 1))),
                ("elsewhere", None, left(stamp(file, 2, 5))),
            ]),
            ["Moved /data/moved from /data/dir - -", "Moved /data/elsewhere from /data/dir/out 2 5"]
        );
    }
}
