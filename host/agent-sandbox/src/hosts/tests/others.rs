//! Undo beside others: what they changed since a call did is left alone and told, and nothing of theirs is written through.

use std::fs;
use std::io;
use std::path::Path;

use agent_core::effect::{Before, UndoEntry};
use agent_core::grant::Access;
use agent_core::limits::Limits;
use agent_core::path_state::{Becoming, Mark, PathMark};
use agent_core::units::Bytes;

use super::steps::{Step, tree};
use super::support::{Answer, Guest, mount};
use super::undoing::{Aftermath, Tested, check_undo, undo_with, with_things};
use crate::gate::Undo;
use crate::undo::{Ledger, Restarted};

/// Somebody else does something to a path between the call and its undo.
type Outside = fn(&Path) -> io::Result<()>;

#[tokio::test]
async fn what_others_changed_meanwhile_is_left_alone_and_told() -> Tested {
    let cases: [(&str, Step, Outside, &str); 10] = [
        ("edited in place", Step::Write("old", "call"), |dir| fs::write(dir.join("old"), "person"), "old"),
        ("edited to the same length", Step::Write("old", "person"), |dir| fs::write(dir.join("old"), "nosrep"), "old"),
        (
            "saved by an editor",
            Step::Append("old"),
            |dir| {
                fs::write(dir.join("old~"), "person")?;
                fs::rename(dir.join("old~"), dir.join("old"))
            },
            "old",
        ),
        ("removed", Step::Overwrite("old", 0), |dir| fs::remove_file(dir.join("old")), "old"),
        (
            "appended to",
            Step::Append("old"),
            |dir| {
                use std::io::Write;
                fs::File::options().append(true).open(dir.join("old"))?.write_all(b"!")
            },
            "old",
        ),
        ("a new file edited", Step::Write("new", "call"), |dir| fs::write(dir.join("new"), "person"), "new"),
        ("a removed one made again", Step::Remove("old"), |dir| fs::write(dir.join("old"), "person"), "old"),
        ("a moved one edited", Step::Rename("old", "moved"), |dir| fs::write(dir.join("moved"), "person"), "moved"),
        (
            "another link",
            Step::Symlink("old", "new"),
            |dir| {
                fs::remove_file(dir.join("new"))?;
                std::os::unix::fs::symlink("dir", dir.join("new"))
            },
            "new",
        ),
        ("a directory filled", Step::Directory("new"), |dir| fs::write(dir.join("new/file"), "person"), "new"),
    ];
    for (what, step, outside, path) in cases {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        guest.step(&step).await?;
        let (mut after, temp) = Aftermath::of(guest).await?;
        // Clocks of file systems are coarse: a change in the same instant is not claimed to be seen.
        std::thread::sleep(std::time::Duration::from_millis(20));
        outside(temp.path())?;
        let found = with_things(temp.path())?.into_iter().find(|line| line.starts_with(path));
        for round in 0..2 {
            let report = after.undo();
            let left: Vec<_> = report.left.iter().map(|left| left.path.clone()).collect();
            assert_eq!(left, [format!("/data/{path}")], "{what}, round {round}: {report:?}");
            let reason = &report.left[0].reason;
            assert!(reason.contains("the call left") || reason.contains("did not put there"), "{what}: {reason}");
        }
        let now = with_things(temp.path())?.into_iter().find(|line| line.starts_with(path));
        assert_eq!(now, found, "{what}");
    }
    Ok(())
}

/// The host was killed while the call had a file open and written to. What others did to it since is theirs, even in the next
/// instant and to the same length: the undo must not take that for the call's own work.
#[tokio::test]
async fn what_others_wrote_to_a_file_that_was_open_at_a_kill_is_left_alone_and_told() -> Tested {
    use std::io::Write;
    let kept = || Step::Keep("old", "XX");
    let cases: [(&str, Vec<Step>, Outside, &str); 6] = [
        ("edited in place", vec![kept()], |dir| fs::write(dir.join("old"), "person"), "old"),
        ("edited to the same length", vec![kept()], |dir| fs::write(dir.join("old"), "9876543210"), "old"),
        (
            "appended to",
            vec![kept()],
            |dir| fs::File::options().append(true).open(dir.join("old"))?.write_all(b"a line"),
            "old",
        ),
        ("emptied", vec![kept()], |dir| fs::write(dir.join("old"), ""), "old"),
        (
            "moved by the call, and edited",
            vec![kept(), Step::Rename("old", "moved")],
            |dir| fs::write(dir.join("moved"), "person"),
            "moved",
        ),
        (
            "a new one edited",
            vec![Step::Write("new", "call"), Step::Keep("new", "XX")],
            |dir| fs::write(dir.join("new"), "person"),
            "new",
        ),
    ];
    for (what, steps, outside, path) in cases {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        for step in &steps {
            guest.step(step).await?;
        }
        guest.gate.closes_after(0);
        let (mut after, temp) = Aftermath::of(guest).await?;
        // Clocks of file systems are coarse: a change in the same instant is not claimed to be seen.
        std::thread::sleep(std::time::Duration::from_millis(20));
        outside(temp.path())?;
        let found = fs::read(temp.path().join(path))?;
        for round in 0..2 {
            let report = after.undo();
            assert!(report.left.iter().any(|left| left.path == format!("/data/{path}")), "{what}, {round}: {report:?}");
            assert_eq!(fs::read(temp.path().join(path))?, found, "{what}, {round}");
        }
    }
    Ok(())
}

/// The same in the middle of a single change: the change is the call's own, made or not, and nothing else is.
#[tokio::test]
async fn a_host_that_was_killed_in_the_middle_of_a_change_leaves_only_that() -> Tested {
    for (step, outside) in [
        (Step::Overwrite("old", 8), None),
        (Step::Overwrite("old", 8), Some("0123456789XX")),
        (Step::Resize("old", 4), None),
        (Step::Resize("old", 4), Some("01234")),
    ] {
        // The first word about it is kept, the second is not.
        for room in 0..8 {
            let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
            guest.seed()?;
            let before = tree(guest.temp.path())?;
            guest.gate.closes_after(room);
            let whole = guest.step(&step).await.is_ok();
            let (mut after, temp) = Aftermath::of(guest).await?;
            let Some(text) = outside else {
                assert_eq!(after.undo().left, [], "{room}");
                assert_eq!(tree(temp.path())?, before, "{room}");
                continue;
            };
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(temp.path().join("old"), text)?;
            let left = after.undo().left.len();
            assert_eq!(left, usize::from(!after.entries.is_empty()), "{room}");
            assert_eq!(fs::read_to_string(temp.path().join("old"))?, text, "{room}");
            if whole {
                break;
            }
        }
    }
    Ok(())
}

/// A change that was being made when the host was killed explains what was done in that moment. The same length hours later is
/// somebody else's work, in the very bytes or beside them.
#[tokio::test]
async fn what_was_changed_long_after_a_kill_is_not_the_change_that_was_being_made() -> Tested {
    for (what, step) in [("bytes", Step::Overwrite("old", 8)), ("a length", Step::Resize("old", 4))] {
        let mut cut_off = 0;
        // After one of these words the change is announced and made, and not said to be made.
        for (room, hours) in (0..8).flat_map(|room| [(room, 0), (room, 1)]) {
            let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
            guest.seed()?;
            guest.gate.closes_after(room);
            let _ = guest.step(&step).await;
            let (mut after, _temp) = Aftermath::of(guest).await?;
            if !after.open.iter().any(|word| word.doing.is_some()) {
                continue;
            }
            cut_off += 1;
            after.open.iter_mut().for_each(|word| word.said_ns -= hours * 3_600_000_000_000);
            assert_eq!(after.undo().left.len(), usize::from(hours > 0), "{what}, {room}");
        }
        assert!(cut_off >= 2, "{what}");
    }
    Ok(())
}

/// An undo that writes a file back where it is may be killed in the middle of that, too.
#[tokio::test]
async fn an_undo_that_was_killed_while_it_wrote_is_gone_on_with_unless_others_wrote() -> Tested {
    for (there, left) in [(None, 0), (Some(""), 0), (Some("0123"), 0), (Some("0123x"), 1), (Some("0123456789!"), 1)] {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let before = tree(guest.temp.path())?;
        guest.step(&Step::Write("old", "call")).await?;
        let (mut after, temp) = Aftermath::of(guest).await?;
        after.marks.push(PathMark { entry: 0, is: Mark::Changing(Becoming::Before) });
        if let Some(there) = there {
            fs::write(temp.path().join("old"), there)?;
        }
        assert_eq!(after.undo().left.len(), left, "{there:?}");
        match there.filter(|_| left > 0) {
            None => assert_eq!(tree(temp.path())?, before, "{there:?}"),
            Some(there) => assert_eq!(fs::read_to_string(temp.path().join("old"))?, there),
        }
    }
    Ok(())
}

/// What a call made and took away again is nothing to undo, whatever others put there since.
#[tokio::test]
async fn what_a_call_took_back_itself_is_no_matter_of_its_undo() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.step(&Step::Write("lock", "")).await?;
    guest.step(&Step::Remove("lock")).await?;
    let (mut after, temp) = Aftermath::of(guest).await?;
    fs::write(temp.path().join("lock"), "of a person")?;
    assert_eq!(after.undo().left, []);
    assert_eq!(fs::read_to_string(temp.path().join("lock"))?, "of a person");
    Ok(())
}

/// Another directory that took the place of the granted one is nobody's to undo in.
#[tokio::test]
async fn another_directory_at_the_same_place_is_left_alone() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.step(&Step::Write("new", "call")).await?;
    let (mut after, _temp) = Aftermath::of(guest).await?;
    let other = tempfile::tempdir()?;
    fs::write(other.path().join("new"), "call")?;
    after.mounts = vec![mount(other.path(), "/data", Access::Write)];
    assert!(after.undo().left[0].reason.contains("another one now"));
    assert!(other.path().join("new").exists());
    Ok(())
}

/// Removed, then the name given to another file: to write the first one back must not go through to the other.
#[tokio::test]
async fn no_file_is_written_through_a_name_that_it_shares() -> Tested {
    check_undo(&[Step::Remove("old"), Step::Link("dir/file", "old")]).await?;
    // The other name may be outside of what the call knows.
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let outside = tempfile::tempdir_in(guest.temp.path().parent().ok_or("no parent")?)?;
    fs::hard_link(guest.temp.path().join("dir/file"), outside.path().join("shared"))?;
    let before = tree(guest.temp.path())?;
    guest.step(&Step::Rename("dir/file", "old")).await?;
    let (mut after, temp) = Aftermath::of(guest).await?;
    assert_eq!(after.undo().left, []);
    assert_eq!(tree(temp.path())?, before);
    assert_eq!(fs::read_to_string(outside.path().join("shared"))?, "in dir");
    Ok(())
}

/// A file that was written to must not lose the name by which an undo finds it, while it lives on under another.
#[tokio::test]
async fn what_was_written_does_not_live_on_under_another_name() -> Tested {
    for step in [Step::Remove("old"), Step::Rename("dir/file", "old")] {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let outside = tempfile::tempdir_in(guest.temp.path().parent().ok_or("no parent")?)?;
        fs::hard_link(guest.temp.path().join("old"), outside.path().join("shared"))?;
        let before = tree(guest.temp.path())?;
        guest.step(&Step::Overwrite("old", 0)).await?;
        assert_eq!(guest.step(&step).await, Err("quota".to_owned()));
        let (mut after, temp) = Aftermath::of(guest).await?;
        assert_eq!(after.undo().left, []);
        assert_eq!(tree(temp.path())?, before);
        assert_eq!(fs::read_to_string(outside.path().join("shared"))?, "0123456789");
    }
    // A name that was not written to may go.
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    fs::hard_link(guest.temp.path().join("old"), guest.temp.path().join("second"))?;
    assert_eq!(guest.step(&Step::Remove("old")).await, Ok(()));
    Ok(())
}

/// A journal may lose what a file contained. That file stays as it is, and keeps no other from what it was.
#[tokio::test]
async fn a_file_whose_content_is_lost_is_left_alone_and_told() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    guest.step(&Step::Write("old", "call")).await?;
    guest.step(&Step::Write("dir/file", "call")).await?;
    let (mut after, temp) = Aftermath::of(guest).await?;
    after.entries.iter_mut().filter(|undo| undo.entry.path == "old").for_each(|undo| undo.content = None);
    let report = after.undo();
    let left: Vec<_> = report.left.iter().map(|left| (left.path.as_str(), left.reason.as_str())).collect();
    assert_eq!(left, [("/data/old", "what it contained before is lost")]);
    assert_eq!(report.restored, ["/data/dir/file"]);
    assert_eq!(fs::read_to_string(temp.path().join("old"))?, "call");
    assert_eq!(fs::read_to_string(temp.path().join("dir/file"))?, "in dir");
    Ok(())
}

/// After a power loss the disk may hold an earlier state of a file than the journal's last word of it.
#[tokio::test]
async fn an_earlier_state_after_a_restart_is_the_calls_own() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let before = tree(guest.temp.path())?;
    guest.step(&Step::Write("old", "more than the disk holds")).await?;
    let (mut after, temp) = Aftermath::of(guest).await?;
    // As if the last change had come later than what is found.
    for mark in &mut after.marks {
        if let Mark::Left(Some(stamp)) = &mut mark.is {
            (stamp.changed_ns, stamp.modified_ns, stamp.size) = (i64::MAX, i64::MAX, Bytes(99));
        }
    }
    assert_eq!(after.undo().left.len(), 1);
    // What is found was changed before the call began: by somebody whose clock was behind.
    let since_ns = i64::MAX - 1;
    let mut ledger = Ledger::new(Restarted::Yes { since_ns });
    ledger.follow(&after.mounts, after.entries.iter().map(|undo| &undo.entry), &after.marks)?;
    assert_eq!(undo_with(&mut ledger, &after.mounts, &after.entries, &mut |_, _| Ok(()))?.left.len(), 1);
    let mut ledger = Ledger::new(Restarted::Yes { since_ns: 0 });
    ledger.follow(&after.mounts, after.entries.iter().map(|undo| &undo.entry), &after.marks)?;
    let report = undo_with(&mut ledger, &after.mounts, &after.entries, &mut |_, _| Ok(()))?;
    assert_eq!(report.left, []);
    assert_eq!(tree(temp.path())?, before);
    Ok(())
}

/// With the power goes what was kept of open files. What is on the disk then is some state of the call's, unless it was changed
/// after the machine was started again.
#[tokio::test]
async fn a_file_that_was_written_to_when_the_power_went_is_restored_unless_it_was_changed_since() -> Tested {
    for (since_ns, up_since_ns, left) in [(0, i64::MAX, 0), (0, 0, 1), (i64::MAX - 1, i64::MAX, 1)] {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let before = tree(guest.temp.path())?;
        guest.step(&Step::Keep("old", "XX")).await?;
        guest.gate.closes_after(0);
        let (after, temp) = Aftermath::of(guest).await?;
        for (restarted, left) in
            [(Restarted::Yes { since_ns }, 1), (Restarted::PowerLost { since_ns, up_since_ns }, left)]
        {
            let mut ledger = Ledger::new(restarted);
            ledger.follow(&after.mounts, after.entries.iter().map(|undo| &undo.entry), &after.marks)?;
            let report = undo_with(&mut ledger, &after.mounts, &after.entries, &mut |_, _| Ok(()))?;
            assert_eq!(report.left.len(), left, "{restarted:?}");
        }
        assert_eq!(tree(temp.path())? == before, left == 0);
    }
    Ok(())
}

/// The journal was written by this host, yet an entry may name what is not there any more.
#[tokio::test]
async fn a_link_on_the_way_is_not_followed() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    guest.step(&Step::Write("dir/inner/leaf", "call")).await?;
    let (mut after, temp) = Aftermath::of(guest).await?;
    let outside = tempfile::tempdir()?;
    fs::write(outside.path().join("leaf"), "call")?;
    fs::rename(temp.path().join("dir/inner"), temp.path().join("dir/aside"))?;
    std::os::unix::fs::symlink(outside.path(), temp.path().join("dir/inner"))?;
    assert_eq!(after.undo().left[0].reason, "the path leads elsewhere now");
    assert_eq!(fs::read_to_string(outside.path().join("leaf"))?, "call");
    let unknown = Undo { entry: entry("/other", "x"), content: None };
    after.entries.push(unknown);
    assert!(after.undo_within(usize::MAX).is_none());
    Ok(())
}

fn entry(mount: &str, path: &str) -> UndoEntry {
    UndoEntry {
        mount: mount.to_owned(),
        root: 0,
        path: path.to_owned(),
        before: Before::Absent,
        was: None,
        owner: None,
        attributes: Vec::new(),
        becoming: Becoming::New,
    }
}
