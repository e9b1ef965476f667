//! What journals are kept on, as the contract sees it: something that processes open a journal on, that they are killed on, and
//! that an outsider can reach behind their backs.

use std::sync::{Arc, Mutex};

use agent_core::digest::Digest;

use crate::journal::Journal;
use crate::journal::book::{Book, Change};
use crate::journal::chain::Body;
use crate::journal::key::HostKey;
use crate::journal::lease::Holder;
use crate::journal::memory::{MemoryJournal, Nowhere, Shared};
use crate::journal::simulated::dice::Dice;
use crate::journal::simulated::disk::{Disk, Faults};
use crate::journal::simulated::{Broken, Machine, SimulatedJournal};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::sqlite::tests::Home;

/// What a journal is kept on.
pub(super) trait Medium {
    /// An empty one.
    fn new() -> Self;
    /// The journal, open in one more process of this host.
    fn open(&mut self) -> Box<dyn Journal>;
    /// The journal, open in a process of another host.
    fn open_as_stranger(&mut self) -> Box<dyn Journal>;
    /// The machine ends at once and starts again, with the power gone in between where the medium knows of power.
    fn crash(&mut self);
    /// Somebody changes something behind the journal's back.
    fn tamper(&mut self, tampering: Tampering);
}

/// What an outsider does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tampering {
    /// Takes the mark off this event.
    Unmark(u64),
    /// Changes a number in the body of this event.
    Rewrite(u64),
    /// Sets the value of this key in all stores.
    Set(&'static str, &'static str),
    /// Gives the first key another name.
    Move(&'static str, &'static str),
}

/// A file of SQLite's.
pub(super) struct File(Home);

/// The memory of this process.
pub(super) struct Memory {
    shared: Arc<Mutex<Shared<Nowhere>>>,
    open: Vec<MemoryJournal>,
    boots: u32,
}

/// A simulated disk.
pub(super) struct Simulated {
    machine: Machine,
    open: Vec<SimulatedJournal>,
}

impl Medium for File {
    fn new() -> Self {
        Self(Home::new())
    }

    fn open(&mut self) -> Box<dyn Journal> {
        Box::new(self.0.open())
    }

    fn open_as_stranger(&mut self) -> Box<dyn Journal> {
        let other = HostKey::load_or_create(&self.0.0.path().join("other")).unwrap();
        Box::new(SqliteJournal::open_existing(&self.0.folder(), &other).unwrap())
    }

    fn crash(&mut self) {
        self.0.tamper("UPDATE runs SET holder_place = 'boot before:' || holder_place");
    }

    fn tamper(&mut self, tampering: Tampering) {
        self.0.tamper(&match tampering {
            Tampering::Unmark(seq) => format!("UPDATE events SET mac = NULL WHERE seq = {seq}"),
            Tampering::Rewrite(seq) => format!("UPDATE events SET body = replace(body, '1', '2') WHERE seq = {seq}"),
            Tampering::Set(key, value) => {
                format!("UPDATE entries SET value = CAST('{value}' AS BLOB) WHERE key = '{key}'")
            }
            Tampering::Move(key, to) => format!("UPDATE entries SET key = '{to}' WHERE key = '{key}'"),
        });
    }
}

impl Medium for Memory {
    fn new() -> Self {
        Self { shared: MemoryJournal::shared(), open: Vec::new(), boots: 1 }
    }

    fn open(&mut self) -> Box<dyn Journal> {
        let holder = Holder::this_process().after_boot(self.boots);
        let journal = MemoryJournal::open(&self.shared, &HostKey::of_bytes([7; 32]), holder);
        self.open.push(journal.again());
        Box::new(journal)
    }

    fn open_as_stranger(&mut self) -> Box<dyn Journal> {
        let holder = Holder::this_process().after_boot(self.boots);
        Box::new(MemoryJournal::open(&self.shared, &HostKey::of_bytes([8; 32]), holder))
    }

    fn crash(&mut self) {
        self.open.drain(..).for_each(|journal| journal.kill());
        self.boots += 1;
    }

    fn tamper(&mut self, tampering: Tampering) {
        tampering.with_book(&mut self.shared.lock().unwrap().book);
    }
}

impl Medium for Simulated {
    fn new() -> Self {
        Self { machine: Machine::new(Disk::new(Dice::new(1), Faults::NONE), Broken::Nothing), open: Vec::new() }
    }

    fn open(&mut self) -> Box<dyn Journal> {
        let journal = self.machine.open().unwrap();
        self.open.push(journal.again());
        Box::new(journal)
    }

    fn open_as_stranger(&mut self) -> Box<dyn Journal> {
        Box::new(self.machine.open_as([8; 32]).unwrap())
    }

    fn crash(&mut self) {
        self.open.drain(..).for_each(|journal| journal.kill());
        self.machine.lose_power();
    }

    fn tamper(&mut self, tampering: Tampering) {
        self.machine.with_book(|book: &mut Book| tampering.with_book(book));
    }
}

impl Tampering {
    fn with_book(self, book: &mut Book) {
        match self {
            Self::Unmark(seq) => {
                let events = book.runs.iter_mut().flat_map(|kept| &mut kept.events);
                events.filter(|event| event.seq == seq).for_each(|event| event.mark = None);
            }
            Self::Rewrite(seq) => {
                let events = book.runs.iter_mut().flat_map(|kept| &mut kept.events);
                for event in events.filter(|event| event.seq == seq) {
                    let Body::Text { text, .. } = &event.body else { continue };
                    let text = text.replace('1', "2");
                    event.body = Body::Text { digest: Digest::of(text.as_bytes()), text };
                }
            }
            Self::Set(key, value) => {
                let entries = book.entries.iter_mut().filter(|([.., name], _)| name == key);
                entries.for_each(|(_, entry)| entry.value = value.as_bytes().to_vec());
            }
            Self::Move(key, to) => {
                let place = book.entries.keys().find(|[.., name]| name == key).unwrap().clone();
                let entry = book.entries.remove(&place).unwrap();
                let [component, store, _] = place;
                book.make(Change::Put { place: [component, store, to.to_owned()], entry });
            }
        }
    }
}
