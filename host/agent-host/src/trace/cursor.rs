//! How far the trace of a run is with a collector: one small file for each run and endpoint, beside the journal and not in it.
//! A run has such a file once somebody began to send it. While the file has the bare name of the run, there is more to send;
//! `.sent` after the name says that there is not.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use agent_core::digest::Digest;
use agent_core::name::RunId;
use serde::{Deserialize, Serialize};

use crate::journal::error::JournalError;
use crate::journal::folder::{open_own, prepare_folder};

/// What is behind the name of a run of which everything was sent.
const SENT: &str = ".sent";
/// The form of the files.
const VERSION: u32 = 2;
/// The longest file that is read. Ours have less than two hundred bytes.
const FILE_BYTES_MAX: u64 = 1 << 10;

/// A place in a trace: after so many of the spans that one event ends, and all spans of the events before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The event. The one after the last stands for the end of a host that nothing tells of yet.
    pub(super) seq: u64,
    /// How many of its spans.
    pub(super) spans: u32,
}

/// How much of a run was read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    /// Its events up to this number.
    UpTo(u64),
    /// All that there are.
    All,
}

/// The cursor of one run, held by this process alone.
pub(super) struct Cursor {
    file: File,
    path: PathBuf,
    at: Position,
    standing: Standing,
}

/// Whether the journal still has the events of which the collector has the spans. What was read is not always on the disk, so after
/// a power loss a run may go on from an event before the one that its cursor stands at, and have others from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has.
    Firm,
    /// It has if the last event that was read for the cursor has this hash: the hash is over all events before it, too.
    Unseen(Digest),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    seq: u64,
    spans: u32,
    head: Digest,
}

impl Cursor {
    /// Takes the cursor of `run` in `folder`, and makes both where there is none yet. `None` while another process has it. A
    /// stranger may have shipped what is there: neither the folder nor the file is one that a link leads to.
    pub(super) fn take(folder: &Path, run: &RunId) -> Result<Option<Self>, JournalError> {
        let path = prepare_folder(folder)?.join(run.as_str());
        if !path.exists() {
            match std::fs::rename(sent(&path), &path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(JournalError::io(&path)(error)),
                Ok(()) | Err(_) => {}
            }
        }
        let file = open_own(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(JournalError::io(&path)(error)),
        }
        // Whoever had it until now may have put it away meanwhile.
        let is_there = std::fs::symlink_metadata(&path).is_ok_and(|found| same(&found, &file));
        if !is_there {
            return Ok(None);
        }
        let (at, standing) = match read(&file) {
            Some(Stored { seq, spans, head, .. }) => (Position { seq, spans }, Standing::Unseen(head)),
            None => (Position::default(), Standing::Firm),
        };
        Ok(Some(Self { file, path, at, standing }))
    }

    /// How far the collector has the trace.
    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// The journal has an event with this hash.
    pub(super) fn see(&mut self, hash: &Digest) {
        if self.standing == Standing::Unseen(*hash) {
            self.standing = Standing::Firm;
        }
    }

    /// Whether, as far as its events were `read`, the journal has others than those that the cursor is of: goes back to the
    /// beginning then.
    pub(super) fn is_of_others(&mut self, read: Extent) -> bool {
        let is_past = match read {
            Extent::UpTo(seq) => seq >= self.at.seq,
            Extent::All => true,
        };
        let is_of_others = self.standing != Standing::Firm && is_past;
        if is_of_others {
            (self.at, self.standing) = (Position::default(), Standing::Firm);
        }
        is_of_others
    }

    /// Goes on to `at`, where the last event that was read for it has the hash `head`. In one write of a fixed length, so that a
    /// killed process leaves the old place or the new one.
    pub(super) fn advance(&mut self, at: Position, head: &Digest) -> io::Result<()> {
        let Position { seq, spans } = at;
        let text = format!("{{\"version\":{VERSION},\"seq\":{seq:>20},\"spans\":{spans:>10},\"head\":\"{head}\"}}\n");
        self.file.write_all_at(text.as_bytes(), 0)?;
        (self.at, self.standing) = (at, Standing::Firm);
        Ok(())
    }

    /// There is nothing more to send.
    pub(super) fn put_away(self) -> io::Result<()> {
        std::fs::rename(&self.path, sent(&self.path))
    }
}

/// The runs of which there may be more to send, the oldest first, at most `count_max`.
pub(super) fn unsent(folder: &Path, count_max: usize) -> Vec<RunId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<RunId> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    runs.sort();
    runs.truncate(count_max);
    runs
}

fn sent(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SENT);
    name.into()
}

fn same(found: &std::fs::Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (found.dev(), found.ino()))
}

/// What cannot be read, such as a file that a power loss cut, means the beginning: a span that comes twice is the same span.
fn read(file: &File) -> Option<Stored> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str::<Stored>(&text).ok().filter(|stored| stored.version == VERSION)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use agent_core::units::UnixMillis;

    fn run(number: u64) -> RunId {
        RunId::from_parts(UnixMillis(number), [1; 10])
    }

    fn hash(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    #[test]
    fn a_cursor_keeps_its_place_and_one_holder() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("collector");
        let mut cursor = Cursor::take(&folder, &run(1)).unwrap().unwrap();
        assert_eq!(cursor.at(), Position::default());
        cursor.advance(Position { seq: 1_000_000, spans: 17 }, &hash("a")).unwrap();
        cursor.advance(Position { seq: u64::MAX, spans: 3 }, &hash("b")).unwrap();
        assert!(Cursor::take(&folder, &run(1)).unwrap().is_none(), "it is held");
        drop(cursor);
        assert_eq!(Cursor::take(&folder, &run(1)).unwrap().unwrap().at(), Position { seq: u64::MAX, spans: 3 });
    }

    #[test]
    fn what_was_sent_is_not_listed_until_somebody_takes_it_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        for number in [3, 1, 2] {
            Cursor::take(folder, &run(number))
                .unwrap()
                .unwrap()
                .advance(Position { seq: number, spans: 1 }, &hash("a"))
                .unwrap();
        }
        assert_eq!(unsent(folder, 2), [run(1), run(2)]);
        Cursor::take(folder, &run(1)).unwrap().unwrap().put_away().unwrap();
        assert_eq!(unsent(folder, 9), [run(2), run(3)]);
        assert_eq!(Cursor::take(folder, &run(1)).unwrap().unwrap().at(), Position { seq: 1, spans: 1 });
        assert_eq!(unsent(folder, 9), [run(1), run(2), run(3)]);
    }

    #[test]
    fn a_cursor_of_other_events_goes_back_to_the_beginning() {
        let home = tempfile::tempdir().unwrap();
        let place = Position { seq: 7, spans: 1 };
        let taken = || {
            let mut cursor = Cursor::take(home.path(), &run(1)).unwrap().unwrap();
            cursor.see(&hash("six"));
            cursor
        };
        taken().advance(place, &hash("seven")).unwrap();
        for (seen, read, is_of_others) in [
            ("seven", Extent::UpTo(7), false),
            ("seven", Extent::All, false),
            ("five", Extent::UpTo(5), false),
            ("five", Extent::All, true),
            ("another seven", Extent::UpTo(7), true),
        ] {
            let mut cursor = taken();
            cursor.see(&hash(seen));
            assert_eq!(cursor.is_of_others(read), is_of_others, "{seen} {read:?}");
            assert_eq!(cursor.at(), if is_of_others { Position::default() } else { place });
            assert!(!is_of_others || !cursor.is_of_others(read), "the beginning is of any");
        }
    }

    #[test]
    fn a_broken_file_means_the_beginning_and_a_link_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let newer = format!("{{\"version\":3,\"seq\":4,\"spans\":1,\"head\":\"{}\"}}", hash("a"));
        for text in ["", "{\"version\":2,\"seq\":", "{\"version\":2,\"seq\":4,\"spans\":1}", &newer, "\0\0\0"] {
            std::fs::write(home.path().join(run(1).as_str()), text).unwrap();
            assert_eq!(Cursor::take(home.path(), &run(1)).unwrap().unwrap().at(), Position::default(), "{text:?}");
        }
        std::os::unix::fs::symlink("/etc/passwd", home.path().join(run(2).as_str())).unwrap();
        assert!(Cursor::take(home.path(), &run(2)).is_err());
        std::os::unix::fs::symlink(home.path(), home.path().join("elsewhere")).unwrap();
        assert!(
            Cursor::take(&home.path().join("elsewhere"), &run(3)).is_err(),
            "nothing is written where a link leads"
        );
        assert_eq!(unsent(home.path(), 9), [run(1), run(2)]);
    }
}
