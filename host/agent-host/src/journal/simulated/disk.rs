//! A disk with one file, in memory. Writes are seen at once and survive a power cut only when they were synced; of the others
//! each page keeps what it had, or any of the versions that were written to it, whole or torn, whatever became of its
//! neighbours. It can also be full, write less than asked, fail, and say that it synced when it did not.

use std::collections::BTreeMap;

use super::dice::Dice;

/// What the disk keeps or loses as one. Small, so that even a short record spans several.
const PAGE: usize = 128;

/// The disk.
pub(in crate::journal) struct Disk {
    /// What survives a power cut.
    kept: Vec<u8>,
    /// What is read.
    seen: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Act>,
    dice: Dice,
    /// What it does wrong.
    pub(in crate::journal) faults: Faults,
    power: Power,
    /// How often it was synced.
    pub(in crate::journal) syncs: u64,
}

/// What a disk does wrong.
#[derive(Debug, Clone, Copy)]
pub(in crate::journal) struct Faults {
    /// How many bytes it takes.
    pub(in crate::journal) bytes_max: usize,
    /// Of how many writes one is short; 0 for none.
    pub(in crate::journal) short: usize,
    /// Writes until all of them fail.
    pub(in crate::journal) writes_left: Option<u32>,
    /// Syncs until one fails.
    pub(in crate::journal) syncs_left: Option<u32>,
    /// Whether it says that it synced when it did not.
    pub(in crate::journal) honesty: Honesty,
}

/// What a sync is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) enum Honesty {
    Honest,
    /// Now and then nothing is synced.
    Lies,
}

/// Why the disk did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) enum DiskError {
    /// There is no room.
    Full,
    /// It failed (`EIO`).
    Failed,
    /// The machine has no power.
    NoPower,
}

enum Act {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Copy)]
enum Power {
    On,
    /// For this many acts more.
    For(u32),
    Off,
}

/// When an act happens.
enum Moment {
    Powered,
    /// While the power goes: a write is half done, like everything else that is not synced.
    LastOne,
}

impl Moment {
    /// What is said about the act.
    fn end(self) -> Result<(), DiskError> {
        match self {
            Self::Powered => Ok(()),
            Self::LastOne => Err(DiskError::NoPower),
        }
    }
}

impl Faults {
    /// None.
    pub(in crate::journal) const NONE: Self =
        Self { bytes_max: usize::MAX, short: 0, writes_left: None, syncs_left: None, honesty: Honesty::Honest };
}

impl Disk {
    /// An empty disk.
    pub(in crate::journal) fn new(dice: Dice, faults: Faults) -> Self {
        let (kept, seen, unsynced) = (Vec::new(), Vec::new(), Vec::new());
        Self { kept, seen, unsynced, dice, faults, power: Power::On, syncs: 0 }
    }

    /// A disk with this content.
    pub(in crate::journal) fn holding(bytes: Vec<u8>) -> Self {
        Self { kept: bytes.clone(), seen: bytes, ..Self::new(Dice::new(0), Faults::NONE) }
    }

    /// What is read.
    pub(in crate::journal) fn read(&self) -> &[u8] {
        &self.seen
    }

    /// After this many acts more, the power goes.
    pub(in crate::journal) fn power_for(&mut self, acts: u32) {
        self.power = Power::For(acts);
    }

    /// The power stays.
    pub(in crate::journal) fn power_on(&mut self) {
        self.power = Power::On;
    }

    /// Whether the power went.
    pub(in crate::journal) fn is_off(&self) -> bool {
        matches!(self.power, Power::Off)
    }

    /// Writes a beginning of `bytes` at `at`, and says how much.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) -> Result<usize, DiskError> {
        let moment = self.act()?;
        if let Some(left) = &mut self.faults.writes_left {
            *left = left.checked_sub(1).ok_or(DiskError::Failed)?;
        }
        let room = self.faults.bytes_max.saturating_sub(at);
        if room == 0 {
            return Err(DiskError::Full);
        }
        let short = self.faults.short > 0 && self.dice.once_in(self.faults.short);
        let asked = if short { 1 + self.dice.below(bytes.len()) } else { bytes.len() };
        let bytes = &bytes[..asked.min(room)];
        self.take(Act::Write { at, bytes: bytes.to_vec() });
        moment.end().map(|()| bytes.len())
    }

    /// Makes the file this long.
    pub(super) fn set_length(&mut self, length: usize) -> Result<(), DiskError> {
        let moment = self.act()?;
        self.take(Act::Length(length));
        moment.end()
    }

    /// Makes everything that was written survive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), DiskError> {
        self.act()?.end()?;
        if let Some(left) = &mut self.faults.syncs_left {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return self.fail_sync(),
            }
        }
        if self.faults.honesty == Honesty::Lies && self.dice.once_in(3) {
            return Ok(());
        }
        // Only what was not tried before: what a failed sync was for stays lost.
        for act in self.unsynced.drain(..) {
            apply(&mut self.kept, &act);
        }
        self.syncs += 1;
        Ok(())
    }

    /// As Linux does: what could not be written counts as written from then on, so that the next sync says that all is well.
    fn fail_sync(&mut self) -> Result<(), DiskError> {
        self.faults.syncs_left = None;
        self.settle();
        Err(DiskError::Failed)
    }

    /// The power goes and comes again.
    pub(super) fn lose_power(&mut self) {
        self.settle();
        self.seen.clone_from(&self.kept);
        self.power = Power::On;
    }

    fn act(&mut self) -> Result<Moment, DiskError> {
        match self.power {
            Power::On => return Ok(Moment::Powered),
            Power::Off => return Err(DiskError::NoPower),
            Power::For(0) => self.power = Power::Off,
            Power::For(acts) => self.power = Power::For(acts - 1),
        }
        Ok(if self.is_off() { Moment::LastOne } else { Moment::Powered })
    }

    fn take(&mut self, act: Act) {
        apply(&mut self.seen, &act);
        self.unsynced.push(act);
    }

    /// Decides page by page what becomes of everything that was not synced.
    fn settle(&mut self) {
        let mut lengths = vec![self.kept.len()];
        let mut versions: BTreeMap<usize, Vec<[u8; PAGE]>> = BTreeMap::new();
        let mut image = self.kept.clone();
        for act in std::mem::take(&mut self.unsynced) {
            let touched = match &act {
                Act::Write { at, bytes } => at / PAGE..(at + bytes.len()).div_ceil(PAGE),
                // What was cut off is gone from the page that the end is in.
                Act::Length(length) => length / PAGE..length / PAGE + 1,
            };
            for number in touched.clone() {
                versions.entry(number).or_insert_with(|| vec![page(&image, number)]);
            }
            apply(&mut image, &act);
            lengths.push(image.len());
            for number in touched {
                versions.entry(number).or_default().push(page(&image, number));
            }
        }
        let length = lengths[self.dice.below(lengths.len())];
        self.kept.resize(length, 0);
        for (number, versions) in versions {
            let version = self.one_of(&versions);
            let start = number * PAGE;
            if start < length {
                let end = (start + PAGE).min(length);
                self.kept[start..end].copy_from_slice(&version[..end - start]);
            }
        }
    }

    /// One version of a page, or the beginning of one and the rest of the one before.
    fn one_of(&mut self, versions: &[[u8; PAGE]]) -> [u8; PAGE] {
        let chosen = self.dice.below(versions.len());
        let mut page = versions[chosen];
        if chosen > 0 && self.dice.once_in(4) {
            let torn_at = self.dice.below(PAGE);
            page[torn_at..].copy_from_slice(&versions[chosen - 1][torn_at..]);
        }
        page
    }
}

fn apply(image: &mut Vec<u8>, act: &Act) {
    match act {
        Act::Write { at, bytes } => {
            let end = at + bytes.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*at..end].copy_from_slice(bytes);
        }
        Act::Length(length) => image.resize(*length, 0),
    }
}

fn page(image: &[u8], number: usize) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    let start = (number * PAGE).min(image.len());
    let end = (start + PAGE).min(image.len());
    page[..end - start].copy_from_slice(&image[start..end]);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> Disk {
        Disk::new(Dice::new(seed), Faults::NONE)
    }

    #[test]
    fn what_was_synced_is_kept_and_the_rest_is_kept_page_by_page() -> Result<(), DiskError> {
        let (mut all, mut none, mut some) = (0, 0, 0);
        for seed in 0..200 {
            let mut disk = disk(seed);
            disk.write(0, &[1; 4 * PAGE])?;
            disk.sync()?;
            disk.write(PAGE, &[2; 2 * PAGE])?;
            disk.lose_power();
            assert_eq!(disk.read().len(), 4 * PAGE);
            assert!(disk.read()[..PAGE].iter().all(|byte| *byte == 1), "a page that was not written to again is kept");
            match disk.read()[PAGE..3 * PAGE].iter().filter(|byte| **byte == 2).count() {
                0 => none += 1,
                count if count == 2 * PAGE => all += 1,
                _ => some += 1,
            }
        }
        assert!(all > 10 && none > 10 && some > 10, "{all} {none} {some}");
        Ok(())
    }

    #[test]
    fn a_failed_sync_loses_what_it_was_for() {
        let lost = (0..100).any(|seed| {
            let mut disk = disk(seed);
            disk.faults.syncs_left = Some(0);
            let written = disk.write(0, &[1; PAGE]);
            let failed = disk.sync();
            let again = disk.sync();
            disk.lose_power();
            assert_eq!((written, failed, again), (Ok(PAGE), Err(DiskError::Failed), Ok(())));
            disk.read() != [1; PAGE]
        });
        assert!(lost);
    }

    #[test]
    fn the_power_goes_when_it_should() {
        let mut disk = disk(1);
        disk.power_for(1);
        assert_eq!(disk.write(0, b"kept?"), Ok(5));
        assert_eq!(disk.sync(), Err(DiskError::NoPower));
        assert_eq!(disk.write(5, b"!"), Err(DiskError::NoPower));
        assert!(disk.is_off());
    }
}
