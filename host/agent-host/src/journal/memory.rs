//! A journal in memory, for tests: the same promises to runs as the one in a file, as long as this process lives. With something
//! behind it that every change is written to before it counts, it is the journal on the simulated disk.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::digest::Digest;
use agent_core::event::{Event, KINDS_ABOUT_THE_RECORD, KINDS_OF_ANSWERS, Recorded};
use agent_core::file_events::KINDS_ABOUT_FILES;
use agent_core::name::{Name, RunId};
use agent_core::run_events::{Durability, RunStarted};
use agent_core::session::SessionPlace;
use agent_core::units::UnixMillis;
use agent_sandbox::kv::{KvChange, StoreSize};

use super::book::{Book, Change, Entry, KeptRun};
use super::chain::{Chain, Marker, Stored};
use super::error::JournalError;
use super::key::HostKey;
use super::lease::{Holder, Presence, TakeOver};
use super::log::{Durable, Level, RunLog, body_of};
use super::reading::{Each, Reading, Trust, Whole};
use super::runs::{self, CANDIDATES_MAX, Kept, RunSummary, Turns, Wanted};
use super::stores::{Foreign, StoreChanges, StoresHeld, entry_hash};
use super::verify::{Verified, Walk};
use super::{BLOB_BYTES_MAX, Journal};

/// Where changes are written before they count.
pub(super) trait Backing: Send + 'static {
    /// Makes `changes` survive what `level` says. Where it fails with `Full`, nothing of them is there.
    fn commit(&mut self, changes: &[Change], level: Level) -> Result<(), Failed>;
}

/// Why changes were not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// There is no room.
    Full,
    /// What is there now is not known.
    Broken(&'static str),
}

/// Nowhere: they are gone with the process.
pub(super) struct Nowhere;

/// What all processes see that have a journal open.
pub(super) struct Shared<B> {
    pub(super) book: Book,
    pub(super) backing: B,
    held: HashSet<Name>,
    fence: Fence,
}

/// Whether an append is refused to who lost the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    Up,
    /// For the simulation, which has to notice.
    Down,
}

/// A journal in memory, as one process has it open.
pub(super) struct MemoryJournal<B = Nowhere>(Arc<Process<B>>);

/// What the logs of one process share.
struct Process<B> {
    shared: Arc<Mutex<Shared<B>>>,
    marker: Marker,
    holder: Holder,
    poisoned: AtomicBool,
    full: AtomicBool,
}

/// The log of one run in memory.
struct MemoryLog<B: Backing> {
    process: Arc<Process<B>>,
    durability: Durability,
    chain: Mutex<Chain>,
    syncs: AtomicU64,
}

impl Backing for Nowhere {
    fn commit(&mut self, _: &[Change], _: Level) -> Result<(), Failed> {
        Ok(())
    }
}

impl<B> Shared<B> {
    /// What `book` holds, with `backing` behind it.
    pub(super) fn new(book: Book, backing: B, fence: Fence) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { book, backing, held: HashSet::new(), fence }))
    }
}

impl MemoryJournal {
    /// An empty journal that any number of processes can have open.
    pub(super) fn shared() -> Arc<Mutex<Shared<Nowhere>>> {
        Shared::new(Book::default(), Nowhere, Fence::Up)
    }
}

impl<B: Backing> MemoryJournal<B> {
    /// The journal, open in the process `holder` of the host with this key.
    pub(super) fn open(shared: &Arc<Mutex<Shared<B>>>, key: &HostKey, holder: Holder) -> Self {
        let marker = Marker::new(key);
        Self(Arc::new(Process {
            shared: Arc::clone(shared),
            marker,
            holder,
            poisoned: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }))
    }

    /// The same, in the same process.
    pub(super) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// As if the process were killed: from now on it does nothing more, and gives nothing back.
    pub(super) fn kill(&self) {
        self.0.poisoned.store(true, Ordering::Relaxed);
    }
}

impl<B: Backing> Process<B> {
    fn lock(&self) -> MutexGuard<'_, Shared<B>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `changes` and makes them, or does neither.
    fn commit(&self, shared: &mut Shared<B>, changes: Vec<Change>, level: Level) -> Result<(), JournalError> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(JournalError::Poisoned { path: place() });
        }
        match shared.backing.commit(&changes, level) {
            Ok(()) => {}
            Err(Failed::Full) => {
                self.full.store(true, Ordering::Relaxed);
                return Err(JournalError::StoreFull { path: place() });
            }
            Err(Failed::Broken(why)) => {
                self.poisoned.store(true, Ordering::Relaxed);
                return Err(JournalError::Io { path: place(), source: std::io::Error::other(why) });
            }
        }
        changes.into_iter().for_each(|change| shared.book.make(change));
        Ok(())
    }

    fn read(&self, book: &Book, run: &RunId, (trust, each): (Trust, Each<'_>)) -> Result<Whole, JournalError> {
        let mut reading = Reading::begin(run.clone(), &self.marker, trust, each);
        let kept = book.run(run);
        kept.map_or(&[][..], |kept| &kept.events).iter().try_for_each(|stored| reading.see(stored))?;
        reading.end(kept.map(KeptRun::end))
    }

    fn log(self: &Arc<Self>, chain: Chain, durability: Durability) -> Box<dyn RunLog> {
        let (process, chain) = (Arc::clone(self), Mutex::new(chain));
        Box::new(MemoryLog { process, durability, chain, syncs: AtomicU64::new(0) })
    }

    fn change(&self, component: &str, change: &KvChange) -> Change {
        let place = [component.to_owned(), change.store.as_str().to_owned(), change.key.clone()];
        let Some(value) = &change.value else { return Change::Remove { place } };
        let hash = entry_hash([&place[0], &place[1], &place[2]], Digest::of(value).as_bytes());
        Change::Put { place, entry: Entry { value: value.clone(), mark: self.marker.mark(&hash) } }
    }

    fn is_ours(&self, place: &[String; 3], entry: &Entry) -> bool {
        let hash = entry_hash([&place[0], &place[1], &place[2]], Digest::of(&entry.value).as_bytes());
        self.marker.is_ours(&hash, &entry.mark)
    }

    fn session_end(&self, book: &Book, session: &Name) -> Option<(u32, RunId)> {
        let places = book.runs.iter().filter_map(|kept| {
            let at = self.summary(kept).began?.session.filter(|at| at.name == *session)?;
            Some((at.place, kept.run.clone()))
        });
        places.max()
    }

    fn summary(&self, kept: &KeptRun) -> RunSummary {
        let calls = kept.count("ToolFinished", |_| true)
            + kept.count("DoubtResolved", |body| {
                !["retry", "unknown"].iter().any(|word| body.contains(&format!(r#""resolution":"{word}""#)))
            });
        let about_the_run = |stored: &&Stored| {
            let kind = stored.kind.as_str();
            ![KINDS_ABOUT_THE_RECORD, KINDS_ABOUT_FILES, KINDS_OF_ANSWERS].concat().contains(&kind)
        };
        let last = kept.events.iter().rev().find(about_the_run).cloned();
        let ends = [kept.events.first().cloned(), last];
        let mut turns = Turns::default();
        kept.events.iter().for_each(|stored| turns.see(&stored.kind));
        let turns = turns.count;
        Kept { run: kept.run.clone(), holder: kept.holder.clone(), ends, turns, calls }.summary(&self.holder)
    }
}

impl<B: Backing> Journal for MemoryJournal<B> {
    fn start_run(
        &self,
        run: RunId,
        at: UnixMillis,
        body: RunStarted,
    ) -> Result<(Box<dyn RunLog>, Recorded), JournalError> {
        let (durability, session, event) = (body.durability, body.session.clone(), Event::from(body));
        let mut chain = Chain::begin(run.clone());
        let first = chain.next(at, event.kind(), body_of(&event)?, &self.0.marker);
        (chain.seq, chain.head) = (first.seq, first.hash);
        let recorded = Recorded { run: run.clone(), seq: first.seq, epoch: first.epoch, at, event };
        let mut shared = self.0.lock();
        if shared.book.run(&run).is_some() {
            return Err(JournalError::RunExists(run));
        }
        if let Some(SessionPlace { name, place }) = session
            && self.0.session_end(&shared.book, &name).is_some_and(|(last, _)| last >= place)
        {
            return Err(JournalError::SessionTaken { session: name, place });
        }
        let begin = Change::Begin { run, holder: self.0.holder.clone(), first };
        self.0.commit(&mut shared, vec![begin], Level::Written)?;
        Ok((self.0.log(chain, durability), recorded))
    }

    fn resume_into(
        &self,
        run: &RunId,
        take_over: TakeOver,
        each: &mut dyn FnMut(Recorded),
    ) -> Result<Box<dyn RunLog>, JournalError> {
        let mut shared = self.0.lock();
        let kept = shared.book.run(run).ok_or_else(|| JournalError::NoSuchRun { prefix: run.to_string() })?;
        let epoch = kept.epoch + 1;
        match &kept.holder {
            Some(holder) if take_over == TakeOver::IfDead && holder.presence(&self.0.holder) != Presence::Gone => {
                return Err(JournalError::RunLocked { run: run.clone(), holder: holder.clone() });
            }
            Some(_) | None => {}
        }
        let whole = self.0.read(&shared.book, run, (Trust::OursOnly, each))?;
        let durability = whole.durability()?;
        let claim = Change::Claim { run: run.clone(), epoch, holder: self.0.holder.clone() };
        self.0.commit(&mut shared, vec![claim], Level::Written)?;
        Ok(self.0.log(Chain { epoch, ..whole.chain }, durability))
    }

    fn read_into(&self, run: &RunId, each: &mut dyn FnMut(Recorded)) -> Result<(), JournalError> {
        self.0.read(&self.0.lock().book, run, (Trust::Anyones, each)).map(drop)
    }

    fn events_after(&self, run: &RunId, seq: u64, count_max: usize) -> Result<Vec<(Recorded, Digest)>, JournalError> {
        let shared = self.0.lock();
        let events = shared.book.run(run).into_iter().flat_map(|kept| &kept.events);
        events.filter(|stored| stored.seq > seq).take(count_max).map(|stored| stored.to_hashed(run)).collect()
    }

    fn runs(&self, wanted: &Wanted, count_max: usize) -> Result<Vec<RunSummary>, JournalError> {
        let shared = self.0.lock();
        let all = shared.book.runs.iter().rev().map(|kept| self.0.summary(kept));
        Ok(all.filter(|summary| wanted.has(summary)).take(count_max).collect())
    }

    fn begin_from(
        &self,
        run: &RunId,
        (source, upto): (&RunId, u64),
        taken: &mut super::Shared<'_>,
        more: &mut dyn Iterator<Item = (UnixMillis, Event)>,
    ) -> Result<(), JournalError> {
        let mut shared = self.0.lock();
        let mut events = Vec::new();
        let mut each =
            |recorded: Recorded| events.extend(Some(recorded).filter(|one| one.seq <= upto).and_then(&mut *taken));
        self.0.read(&shared.book, source, (Trust::OursOnly, &mut each))?;
        events.extend(more);
        let mut all = chained(run, &events, &self.0.marker)?.into_iter();
        if shared.book.run(run).is_some() {
            return Err(JournalError::RunExists(run.clone()));
        }
        let first = all.next().ok_or_else(|| JournalError::RunEmpty { run: run.clone() })?;
        let begin = Change::Begin { run: run.clone(), holder: self.0.holder.clone(), first };
        let rest = all.map(|next| Change::Append { run: run.clone(), next });
        let changes = std::iter::once(begin).chain(rest).chain([Change::Release { run: run.clone() }]).collect();
        self.0.commit(&mut shared, changes, Level::Synced)
    }

    fn stored_into(&self, run: &RunId, each: &mut dyn FnMut(Stored) -> ControlFlow<()>) -> Result<(), JournalError> {
        let shared = self.0.lock();
        self.0.read(&shared.book, run, (Trust::Anyones, &mut drop))?;
        let events = shared.book.run(run).map_or(&[][..], |kept| &kept.events);
        let _ = events.iter().try_for_each(|stored| each(stored.clone()));
        Ok(())
    }

    fn session_end(&self, session: &Name) -> Result<Option<(u32, RunId)>, JournalError> {
        Ok(self.0.session_end(&self.0.lock().book, session))
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError> {
        let shared = self.0.lock();
        let kept = shared.book.run(run).ok_or_else(|| JournalError::NoSuchRun { prefix: run.to_string() })?;
        Ok(self.0.summary(kept))
    }

    fn find_run(&self, prefix: Option<&str>) -> Result<RunId, JournalError> {
        let wanted = prefix.map(str::to_ascii_lowercase).unwrap_or_default();
        let count = if prefix.is_some() { CANDIDATES_MAX } else { 1 };
        let shared = self.0.lock();
        let names = shared.book.runs.iter().rev().map(|kept| &kept.run);
        let found = names.filter(|run| run.as_str().starts_with(&wanted)).take(count).cloned().collect();
        runs::pick(prefix, found, &place())
    }

    fn verify_telling(&self, run: &RunId, _: &mut dyn FnMut()) -> Result<Verified, JournalError> {
        let shared = self.0.lock();
        let kept = shared.book.run(run).ok_or_else(|| JournalError::NoSuchRun { prefix: run.to_string() })?;
        let mut walk = Walk::begin(run.clone(), &self.0.marker);
        let seen = kept.events.iter().try_for_each(|stored: &Stored| walk.see(stored));
        Ok(walk.end(kept.end(), seen))
    }

    fn put_blob(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: bytes.len(), bytes_max: BLOB_BYTES_MAX });
        }
        let digest = Digest::of(bytes);
        let mut shared = self.0.lock();
        if !shared.book.blobs.contains_key(&digest) {
            self.0.commit(&mut shared, vec![Change::Keep { bytes: bytes.to_vec() }], Level::Written)?;
        }
        Ok(digest)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.0.lock().book.blobs.get(digest).cloned())
    }

    fn store_size(&self, component: &Name, store: &Name) -> Result<StoreSize, JournalError> {
        let shared = self.0.lock();
        let of_it =
            shared.book.entries.iter().filter(|([of, name, _], _)| of == component.as_str() && name == store.as_str());
        let bytes = |([_, _, key], entry): (&[String; 3], &Entry)| (key.len() + entry.value.len()) as u64;
        Ok(of_it.fold(StoreSize::default(), |size, one| StoreSize {
            bytes: size.bytes + bytes(one),
            entries: size.entries + 1,
        }))
    }

    fn store_value(
        &self,
        component: &Name,
        store: &Name,
        key: &str,
    ) -> Result<Result<Option<Vec<u8>>, Foreign>, JournalError> {
        let place = [component.as_str().to_owned(), store.as_str().to_owned(), key.to_owned()];
        Ok(match self.0.lock().book.entries.get(&place) {
            None => Ok(None),
            Some(entry) if self.0.is_ours(&place, entry) => Ok(Some(entry.value.clone())),
            Some(_) => Err(Foreign { key: key.to_owned() }),
        })
    }

    fn store_keys(&self, component: &Name, store: &Name) -> Result<Result<Vec<String>, Foreign>, JournalError> {
        let shared = self.0.lock();
        let of_it =
            shared.book.entries.iter().filter(|([of, name, _], _)| of == component.as_str() && name == store.as_str());
        let ours = |(place, entry): (&[String; 3], &Entry)| {
            let key = place[2].clone();
            if self.0.is_ours(place, entry) { Ok(key) } else { Err(Foreign { key }) }
        };
        Ok(of_it.map(ours).collect())
    }

    fn change_stores(&self, changes: &StoreChanges) -> Result<(), JournalError> {
        let made = changes.changes.iter().map(|change| self.0.change(changes.component.as_str(), change)).collect();
        self.0.commit(&mut self.0.lock(), made, Level::Synced)
    }

    fn ran_out_of_room(&self) -> bool {
        self.0.full.load(Ordering::Relaxed)
    }

    fn try_hold_stores(&self, component: &Name) -> Result<Option<StoresHeld>, JournalError> {
        let taken = self.0.lock().held.insert(component.clone());
        let (process, component) = (Arc::clone(&self.0), component.clone());
        Ok(taken.then(|| StoresHeld::by(Held { process, component })))
    }
}

impl<B: Backing> RunLog for MemoryLog<B> {
    fn append_with(
        &self,
        at: UnixMillis,
        event: Event,
        durable: Durable,
        changes: Option<&StoreChanges>,
    ) -> Result<Recorded, JournalError> {
        let (process, level) = (&self.process, Level::of(self.durability, durable));
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let next = chain.next(at, event.kind(), body_of(&event)?, &process.marker);
        let mut shared = process.lock();
        let is_held = |kept: &KeptRun| kept.epoch == chain.epoch && kept.end().0 == chain.seq;
        if shared.fence == Fence::Up && !shared.book.run(&chain.run).is_some_and(is_held) {
            return Err(JournalError::LeaseLost { run: chain.run.clone() });
        }
        let ((seq, epoch), head) = ((next.seq, next.epoch), next.hash);
        let mut made = vec![Change::Append { run: chain.run.clone(), next }];
        if let Some(StoreChanges { component, changes }) = changes {
            made.extend(changes.iter().map(|change| process.change(component.as_str(), change)));
        }
        process.commit(&mut shared, made, level)?;
        if level != Level::Written {
            self.syncs.fetch_add(1, Ordering::Relaxed);
        }
        (chain.seq, chain.head) = (seq, head);
        Ok(Recorded { run: chain.run.clone(), seq, epoch, at, event })
    }

    fn end(&self) -> (u64, Digest) {
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        (chain.seq, chain.head)
    }

    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

impl<B: Backing> Drop for MemoryLog<B> {
    fn drop(&mut self) {
        let chain = self.chain.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut shared = self.process.lock();
        if shared.book.run(&chain.run).is_some_and(|kept| kept.epoch == chain.epoch) {
            let released = Change::Release { run: chain.run.clone() };
            let _ = self.process.commit(&mut shared, vec![released], Level::Written);
        }
    }
}

/// The stores of a component, for one call.
struct Held<B> {
    process: Arc<Process<B>>,
    component: Name,
}

impl<B> Drop for Held<B> {
    fn drop(&mut self) {
        self.process.shared.lock().unwrap_or_else(PoisonError::into_inner).held.remove(&self.component);
    }
}

/// What errors name instead of a file.
fn place() -> PathBuf {
    PathBuf::from("memory")
}

/// These events as a new run begins with them, complete with hashes and marks.
fn chained(run: &RunId, events: &[(UnixMillis, Event)], marker: &Marker) -> Result<Vec<Stored>, JournalError> {
    let mut chain = Chain::begin(run.clone());
    let mut all = Vec::with_capacity(events.len());
    for (at, event) in events {
        let next = chain.next(*at, event.kind(), body_of(event)?, marker);
        (chain.seq, chain.head) = (next.seq, next.hash);
        all.push(next);
    }
    Ok(all)
}
