//! Undo: what a call did is taken back, wherever it or the undo is cut off.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use agent_core::digest::Digest;
use agent_core::effect::UndoEntry;
use agent_core::grant::Access;
use agent_core::limits::Limits;
use agent_core::open_file::OpenFile;
use agent_core::path_state::PathMark;

use super::steps::{Step, tree};
use super::support::{Answer, Guest, mount};
use crate::gate::{GateClosed, Undo};
use crate::mount::Mount;
use crate::undo::{Ledger, Restarted, Tell, UndoError, UndoReport, restore};

pub(super) type Tested = Result<(), Box<dyn std::error::Error>>;

/// What a call left, as the journal would know it.
pub(super) struct Aftermath {
    pub(super) mounts: Vec<Mount>,
    pub(super) entries: Vec<Undo>,
    pub(super) marks: Vec<PathMark>,
    pub(super) open: Vec<OpenFile>,
}

impl Aftermath {
    pub(super) async fn of(guest: Guest) -> Result<(Self, tempfile::TempDir), Box<dyn std::error::Error>> {
        guest.state.finish().await;
        let entries = std::mem::take(&mut *guest.gate.undo.lock().map_err(|_| "poisoned")?);
        let marks = std::mem::take(&mut *guest.gate.marks.lock().map_err(|_| "poisoned")?);
        let open = std::mem::take(&mut *guest.gate.open.lock().map_err(|_| "poisoned")?).into_values().collect();
        let mounts = vec![mount(guest.temp.path(), "/data", Access::Write)];
        Ok((Self { mounts, entries, marks, open }, guest.temp))
    }

    /// Undoes, until the journal takes no further word than `room` of them: then as if killed there.
    pub(super) fn undo_within(&mut self, room: usize) -> Option<UndoReport> {
        let mut ledger = Ledger::new(Restarted::No);
        let entries = self.entries.iter().map(|undo| &undo.entry);
        if ledger.follow(&self.mounts, entries.clone(), &self.marks).is_err()
            || ledger.follow_open(&self.mounts, entries, self.open.clone()).is_err()
        {
            return None;
        }
        let (mut said, mut told) = (Vec::new(), 0);
        let mut tell = |marks: Vec<PathMark>, _| {
            if told == room {
                return Err(GateClosed("killed".to_owned()));
            }
            told += 1;
            said.extend(marks);
            Ok(())
        };
        let report = undo_with(&mut ledger, &self.mounts, &self.entries, &mut tell).ok();
        self.marks.extend(said);
        report
    }

    pub(super) fn undo(&mut self) -> UndoReport {
        self.undo_within(usize::MAX).unwrap_or_default()
    }
}

/// Undoes what entries say that have their contents with them.
pub(super) fn undo_with(
    ledger: &mut Ledger,
    mounts: &[Mount],
    kept: &[Undo],
    tell: &mut Tell<'_>,
) -> Result<UndoReport, UndoError> {
    let entries: Vec<UndoEntry> = kept.iter().map(|undo| undo.entry.clone()).collect();
    let contents = |digest: &Digest| {
        Ok(kept.iter().filter_map(|undo| undo.content.as_ref()).find(|content| Digest::of(content) == *digest).cloned())
    };
    restore(ledger, mounts, (&entries, &contents), tell)
}

/// What a tree is like, with which thing is where.
pub(super) fn with_things(dir: &Path) -> io::Result<Vec<String>> {
    let mut lines = tree(dir)?;
    for line in &mut lines {
        let path = line.split([':', ' ']).next().unwrap_or_default().trim_end_matches('/').to_owned();
        line.push_str(&format!(" #{}", fs::symlink_metadata(dir.join(path))?.ino()));
    }
    Ok(lines)
}

/// After any number of these steps, undoing gives back what was there before; twice.
pub(super) async fn check_undo(steps: &[Step]) -> Tested {
    for count in 1..=steps.len() {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let before = tree(guest.temp.path())?;
        for (number, step) in steps.iter().take(count).enumerate() {
            guest.step(step).await.map_err(|error| format!("step {number}: {error}"))?;
        }
        assert!(count < steps.len() || tree(guest.temp.path())? != before);
        let (mut after, temp) = Aftermath::of(guest).await?;
        for round in 0..2 {
            let report = after.undo();
            assert_eq!(report.left, [], "{count} steps, round {round}");
            assert_eq!(tree(temp.path())?, before, "{count} steps, round {round}");
        }
    }
    check_cut_off(steps).await
}

/// The same where the host was killed before or after any word of the call to its journal, and its undo after any word of its
/// own.
async fn check_cut_off(steps: &[Step]) -> Tested {
    for room in 0.. {
        let mut whole = true;
        for cut in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
            let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
            guest.seed()?;
            let before = tree(guest.temp.path())?;
            guest.gate.closes_after(room);
            for step in steps {
                whole &= guest.step(step).await.is_ok();
            }
            let (mut after, temp) = Aftermath::of(guest).await?;
            let report = after.undo_within(cut);
            let again = after.undo();
            assert_eq!(again.left, [], "after {room} records, undone after {cut}");
            assert_eq!(tree(temp.path())?, before, "after {room} records, undone after {cut}");
            if report.is_some() {
                break;
            }
        }
        if whole {
            return Ok(());
        }
    }
    Ok(())
}

#[tokio::test]
async fn contents_are_undone() -> Tested {
    check_undo(&[
        Step::Append("old"),
        Step::Append("old"),
        Step::Overwrite("old", 12),
        Step::Overwrite("old", 3),
        Step::Resize("old", 2),
        Step::Write("old", "all new"),
        Step::Write("link", "through the link"),
        Step::Write("new", "n"),
        Step::Append("new"),
    ])
    .await
}

#[tokio::test]
async fn names_are_undone() -> Tested {
    check_undo(&[
        Step::Rename("dir", "moved"),
        Step::Write("moved/inner/leaf", "changed"),
        Step::Directory("dir"),
        Step::Write("dir/file", "another"),
        Step::Rename("old", "moved/old"),
        Step::Rename("moved/old", "dir/file"),
        Step::Remove("link"),
        Step::Remove("moved/inner/leaf"),
        Step::RemoveDirectory("moved/inner"),
        Step::Symlink("dir/file", "moved/inner"),
        Step::Rename("moved", "again"),
    ])
    .await
}

#[tokio::test]
async fn links_are_undone() -> Tested {
    check_undo(&[
        Step::Link("old", "second"),
        Step::Overwrite("second", 0),
        Step::Remove("old"),
        Step::Symlink("second", "old"),
        Step::Write("old", "through it"),
        Step::Rename("link", "other-link"),
    ])
    .await
}

#[tokio::test]
async fn times_are_undone() -> Tested {
    check_undo(&[Step::Touch("old"), Step::Append("old"), Step::Touch("dir/file"), Step::Overwrite("dir/file", 0)])
        .await?;
    // The mount itself may be touched too, and an undo of that leaves no doubt.
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    assert_eq!(guest.step(&Step::Touch(".")).await, Ok(()));
    assert_eq!(guest.step(&Step::RemoveDirectory(".")).await, Err("busy".to_owned()));
    assert_eq!(guest.step(&Step::Rename(".", "x")).await, Err("busy".to_owned()));
    let (mut after, _temp) = Aftermath::of(guest).await?;
    let report = after.undo();
    assert_eq!((report.restored, report.left), (vec!["/data/".to_owned()], Vec::new()));
    Ok(())
}

/// A tool that writes a new file and gives it the place of the old one, again and again; and one that makes and removes the
/// same file more often than is followed.
#[tokio::test]
async fn files_that_change_places_are_undone() -> Tested {
    let save = [Step::Write("old.new", "saved"), Step::Rename("old.new", "old")];
    check_undo(&save).await?;
    check_undo(&[
        Step::Rename("old", "old~"),
        Step::Write("old", "anew"),
        Step::Rename("dir/file", "old~"),
        Step::Rename("old", "dir/file"),
    ])
    .await?;
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let before = tree(guest.temp.path())?;
    for _ in 0..300 {
        guest.step(&Step::Write("lock", "")).await?;
        guest.step(&Step::Append("old")).await?;
        guest.step(&Step::Remove("lock")).await?;
    }
    let (mut after, temp) = Aftermath::of(guest).await?;
    assert!(after.marks.len() < 1_000, "{}", after.marks.len());
    assert_eq!(after.undo().left, []);
    assert_eq!(tree(temp.path())?, before);
    Ok(())
}

/// What was only moved is the same file again, with all that belongs to it; so is what was changed where it was.
#[tokio::test]
async fn a_file_keeps_what_belongs_to_it() -> Tested {
    for steps in [
        vec![Step::Rename("dir", "moved"), Step::Write("moved/inner/leaf", "changed"), Step::Append("moved/file")],
        vec![Step::Rename("old", "dir/old"), Step::Write("old", "anew"), Step::Overwrite("dir/old", 0)],
        vec![Step::Directory("new"), Step::Rename("dir/inner/leaf", "new/leaf"), Step::RemoveDirectory("dir/inner")],
        vec![Step::Link("old", "second"), Step::Remove("old"), Step::Overwrite("second", 0)],
        vec![Step::Write("old", "other"), Step::Touch("dir/file")],
    ] {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let files = |lines: Vec<String>| -> Vec<String> {
            lines.into_iter().filter(|line| !line.contains("inner/ ")).collect()
        };
        let before = files(with_things(guest.temp.path())?);
        for step in &steps {
            guest.step(step).await?;
        }
        let (mut after, temp) = Aftermath::of(guest).await?;
        assert_eq!(after.undo().left, []);
        assert_eq!(files(with_things(temp.path())?), before);
    }
    Ok(())
}

/// A file that has to be made anew gets its attributes, and its owner where this process may say so.
#[tokio::test]
async fn a_file_made_anew_gets_its_attributes_and_its_owner() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let old = guest.temp.path().join("old");
    let file = fs::File::open(&old)?;
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::fsetxattr(&file, "user.comment", b"kept", flags).is_err() {
        return Ok(());
    }
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&old, Some(1234), Some(4321))?;
    }
    guest.step(&Step::Remove("old")).await?;
    let (mut after, _temp) = Aftermath::of(guest).await?;
    let report = after.undo();
    assert_eq!((report.left, report.missing), (Vec::new(), Vec::new()));
    let mut value = [0_u8; 16];
    let length = rustix::fs::getxattr(&old, "user.comment", &mut value[..])?;
    assert_eq!(&value[..length], b"kept");
    let metadata = fs::metadata(&old)?;
    assert!(!root || (metadata.uid(), metadata.gid()) == (1234, 4321));
    Ok(())
}

/// A directory that was announced by itself before everything in it was.
#[tokio::test]
async fn a_directory_that_was_touched_first_is_moved_back_whole() -> Tested {
    check_undo(&[Step::Touch("dir"), Step::Rename("dir", "moved")]).await?;
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let before = tree(guest.temp.path())?;
    assert_eq!(guest.step(&Step::RemoveDirectory("dir")).await, Err("not-empty".to_owned()));
    guest.step(&Step::Rename("dir", "moved")).await?;
    let (mut after, temp) = Aftermath::of(guest).await?;
    assert_eq!(after.undo().left, []);
    assert_eq!(tree(temp.path())?, before);
    // Nor is anything lost where the move itself cannot be undone.
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    for step in [Step::Touch("dir"), Step::Rename("dir", "moved")] {
        guest.step(&step).await?;
    }
    let (mut after, temp) = Aftermath::of(guest).await?;
    let (moved, aside) = (temp.path().join("moved"), temp.path().join("aside"));
    fs::rename(&moved, &aside)?;
    fs::create_dir_all(moved.join("inner"))?;
    let report = after.undo();
    assert!(!report.left.is_empty());
    assert_eq!(fs::read_to_string(aside.join("inner/leaf"))?, "leaf");
    assert_eq!(fs::read_to_string(temp.path().join("dir/inner/leaf"))?, "leaf");
    Ok(())
}

/// What an open file is written to is restored wherever the file is by then.
#[tokio::test]
async fn a_file_that_stays_open_is_followed() -> Tested {
    check_undo(&[Step::Keep("old", "XX"), Step::Rename("old", "dir/old"), Step::Link("dir/old", "dir/again")]).await?;
    check_undo(&[Step::Keep("old", "XX"), Step::Remove("old"), Step::Write("old", "new")]).await?;
    check_undo(&[Step::Keep("old", "XX"), Step::Rename("dir", "moved"), Step::Rename("old", "moved/file")]).await
}

/// A file that its owner may not write to, a directory that takes no new file: as an ordinary user meets them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_and_directories_that_are_read_only_are_undone() -> Tested {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for (step, closed) in [
        (Step::Rename("dir/file", "moved"), "dir/file"),
        (Step::Remove("dir/file"), "dir/file"),
        (Step::Overwrite("dir/inner/leaf", 0), "dir/inner"),
        (Step::Append("dir/inner/leaf"), "dir/inner"),
        (Step::Touch("dir/file"), "dir/file"),
    ] {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let closed = guest.temp.path().join(closed);
        mode(&closed, if closed.is_dir() { 0o555 } else { 0o444 })?;
        let before = tree(guest.temp.path())?;
        guest.step(&step).await?;
        let (mut after, temp) = Aftermath::of(guest).await?;
        for _ in 0..2 {
            assert_eq!(after.undo().left, []);
            assert_eq!(tree(temp.path())?, before);
        }
        mode(&temp.path().join("dir/inner"), 0o755)?;
    }
    Ok(())
}

/// Somebody takes the rights at directories away in which the call made something, also at one that it made itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn directories_that_were_closed_since_are_undone() -> Tested {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for closed in [0o555, 0o600, 0o000] {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let before = tree(guest.temp.path())?;
        for step in [
            Step::Directory("new"),
            Step::Directory("new/inner"),
            Step::Write("new/inner/file", "n"),
            Step::Write("dir/fresh", "f"),
            Step::Rename("dir/inner", "moved"),
            Step::Remove("dir/file"),
        ] {
            guest.step(&step).await?;
        }
        for folder in ["new/inner", "new", "moved", "dir"] {
            mode(&guest.temp.path().join(folder), closed)?;
        }
        let (mut after, temp) = Aftermath::of(guest).await?;
        assert_eq!(after.undo().left, [], "{closed:o}");
        let dir = temp.path().join("dir");
        // The call changed nothing about this one itself: it stays as somebody wanted it.
        assert_eq!(fs::metadata(&dir)?.permissions().mode() & 0o777, closed);
        mode(&dir, 0o755)?;
        assert_eq!(tree(temp.path())?, before, "{closed:o}");
    }
    Ok(())
}

/// To move a folder, no handle of each folder in it is held.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_tree_with_many_folders_is_moved_with_few_handles() -> Tested {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    for number in 0..900 {
        fs::create_dir_all(guest.temp.path().join(format!("tree/{number}")))?;
    }
    let before = tree(guest.temp.path())?;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum })?;
    let moved = guest.step(&Step::Rename("tree", "moved")).await;
    let aftermath = Aftermath::of(guest).await;
    let undone = aftermath.map(|(mut after, temp)| (after.undo(), temp));
    setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    moved?;
    let (report, temp) = undone?;
    assert_eq!(report.left, []);
    assert_eq!(tree(temp.path())?, before);
    Ok(())
}
