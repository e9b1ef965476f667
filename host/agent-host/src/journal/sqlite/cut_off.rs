//! What stands in the write-ahead log behind its last whole transaction: the beginning of one that a kill or a power loss cut off. SQLite
//! drops it without a word. `store` looks before the first thing that it writes, with the write lock held: in a log that another
//! process writes, the same would be a write under way.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use agent_core::units::Bytes;

/// The longest log that is looked at: a moment's work. The journal begins a log anew after 16 MiB, unless somebody reads all the time or one
/// transaction is larger.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// What each log begins with. The last bit says that the sums are over words with the large end first.
const MAGIC: u32 = 0x377f_0682;

/// The header of a log, and of each page in it.
const HEADER_BYTES: usize = 32;
const PAGE_HEADER_BYTES: usize = 24;

/// How much of the log at `path` belongs to a transaction that was cut off; `None` where it ends with a whole one, or cannot be read here.
pub(super) fn of_log(path: &Path) -> Option<Bytes> {
    let log = File::open(path).ok()?;
    if log.metadata().ok()?.len() > LOG_BYTES_MAX {
        return None;
    }
    let bytes = bytes_of(&mut BufReader::new(log.take(LOG_BYTES_MAX))).ok()?;
    (bytes > 0).then_some(Bytes(bytes))
}

fn bytes_of(log: &mut impl Read) -> io::Result<u64> {
    let mut piece = Vec::new();
    read(log, HEADER_BYTES, &mut piece)?;
    let Some(mut pages) = Pages::after(&piece) else { return Ok(piece.len() as u64) };
    let (mut behind, mut cut_off) = (0, 0);
    loop {
        read(log, pages.piece_bytes, &mut piece)?;
        if piece.is_empty() {
            return Ok(cut_off);
        }
        behind += piece.len() as u64;
        match pages.see(&piece) {
            Page::Last => (behind, cut_off) = (0, 0),
            Page::OfTransaction => cut_off = behind,
            Page::Older => {}
        }
    }
}

/// What the next piece of a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// The last of a transaction, which is whole.
    Last,
    /// One of a transaction whose last page did not come yet, or what is left of such a page.
    OfTransaction,
    /// Of a time before the log was begun anew: it was brought into the file, and is written over when the log comes to it.
    Older,
}

/// The pages of a log, as far as they follow on each other.
struct Pages {
    /// What a page takes, with its header.
    piece_bytes: usize,
    /// Two numbers that every page has which was written since the log was begun anew.
    salts: [u32; 2],
    order: Order,
    /// The sums up to here; `None` behind the first page that does not fit, where nothing counts any more.
    sums: Option<[u32; 2]>,
}

/// Which end of a word is first where it is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    LargeFirst,
    SmallFirst,
}

impl Pages {
    /// `None` where that is no header: SQLite then reads nothing of the log.
    fn after(header: &[u8]) -> Option<Self> {
        let magic = word(header, 0);
        let order = if magic & 1 == 1 { Order::LargeFirst } else { Order::SmallFirst };
        let page_bytes = usize::try_from(word(header, 8)).ok()?;
        let sums = add([0; 2], header.get(..24)?, order);
        let is_header = magic & !1 == MAGIC
            && header.len() == HEADER_BYTES
            && page_bytes.is_power_of_two()
            && (512..=65_536).contains(&page_bytes)
            && sums == [word(header, 24), word(header, 28)];
        let salts = [word(header, 16), word(header, 20)];
        is_header.then_some(Self { piece_bytes: PAGE_HEADER_BYTES + page_bytes, salts, order, sums: Some(sums) })
    }

    fn see(&mut self, piece: &[u8]) -> Page {
        // No page of any time has number 0: there the disk did not keep what was written.
        let is_of_now = piece.len() < 16 || [word(piece, 8), word(piece, 12)] == self.salts || word(piece, 0) == 0;
        if !is_of_now {
            self.sums = None;
            return Page::Older;
        }
        self.sums = self.sums.and_then(|sums| self.follow(sums, piece));
        // The size of the file after the transaction stands in its last page alone.
        if self.sums.is_some() && word(piece, 4) != 0 { Page::Last } else { Page::OfTransaction }
    }

    /// The sums after this page, if it is the next one, and whole.
    fn follow(&self, sums: [u32; 2], piece: &[u8]) -> Option<[u32; 2]> {
        let (header, page) = piece.split_at_checked(PAGE_HEADER_BYTES)?;
        let sums = add(add(sums, header.get(..8)?, self.order), page, self.order);
        let fits =
            piece.len() == self.piece_bytes && word(header, 0) != 0 && sums == [word(header, 16), word(header, 20)];
        fits.then_some(sums)
    }
}

fn add([mut first, mut second]: [u32; 2], bytes: &[u8], order: Order) -> [u32; 2] {
    let value = |bytes: &[u8; 4]| match order {
        Order::LargeFirst => u32::from_be_bytes(*bytes),
        Order::SmallFirst => u32::from_le_bytes(*bytes),
    };
    for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        first = first.wrapping_add(value(&pair[0])).wrapping_add(second);
        second = second.wrapping_add(value(&pair[1])).wrapping_add(first);
    }
    [first, second]
}

/// The word at this place; 0 where there is none.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_be_bytes(*word))
}

/// The next bytes, fewer at the end.
fn read(log: &mut impl Read, bytes: usize, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.clear();
    log.take(bytes as u64).read_to_end(piece).map(drop)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    /// A small log as SQLite writes it.
    struct Log {
        folder: TempDir,
        connection: Connection,
    }

    impl Log {
        fn begin() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let connection = Connection::open(folder.path().join("file")).unwrap();
            let layout = "PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE kept (bytes BLOB) STRICT;
                PRAGMA wal_checkpoint(TRUNCATE)";
            connection.execute_batch(layout).unwrap();
            Self { folder, connection }
        }

        /// Where the log ends after a transaction of this size.
        fn put(&self, bytes: usize) -> usize {
            self.connection.execute("INSERT INTO kept VALUES (?1)", [vec![7_u8; bytes]]).unwrap();
            self.bytes().len()
        }

        fn begin_anew(&self) {
            self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        }

        fn bytes(&self) -> Vec<u8> {
            std::fs::read(self.folder.path().join("file-wal")).unwrap()
        }
    }

    fn cut_off(mut log: &[u8]) -> usize {
        usize::try_from(bytes_of(&mut log).unwrap()).unwrap()
    }

    #[test]
    fn a_log_that_is_cut_at_any_byte_has_lost_what_is_behind_its_last_transaction() {
        let log = Log::begin();
        let ends = [HEADER_BYTES, log.put(10), log.put(1_500), log.put(20), log.put(900)];
        let bytes = log.bytes();
        assert_eq!(ends[4], bytes.len());
        for end in 0..=bytes.len() {
            let whole = ends.iter().rev().find(|whole| **whole <= end).copied().unwrap_or(0);
            assert_eq!(cut_off(&bytes[..end]), end - whole, "cut at {end}");
        }
    }

    #[test]
    fn what_is_left_of_a_time_before_is_not_taken_for_something_lost() {
        let log = Log::begin();
        let before = log.put(3_000);
        log.begin_anew();
        log.put(10);
        let bytes = log.bytes();
        assert_eq!((bytes.len(), cut_off(&bytes)), (before, 0));
        // A power loss may keep the end of a transaction and not its middle.
        log.begin_anew();
        log.put(1_200);
        let (mut bytes, page) = (log.bytes(), PAGE_HEADER_BYTES + 512);
        assert_eq!(cut_off(&bytes), 0);
        bytes[HEADER_BYTES + page + page / 2] ^= 1;
        assert!(cut_off(&bytes) > 2 * page, "{}", cut_off(&bytes));
    }

    #[test]
    fn a_page_that_the_disk_did_not_keep_is_one_that_was_lost() {
        let log = Log::begin();
        let (first, second) = (log.put(10), log.put(10));
        let mut bytes = log.bytes();
        bytes[first..second].fill(0);
        assert_eq!(cut_off(&bytes), second - first);
        // Nor its header: nothing of that log is read.
        bytes.fill(0);
        assert_eq!(cut_off(&bytes), HEADER_BYTES);
    }
}
