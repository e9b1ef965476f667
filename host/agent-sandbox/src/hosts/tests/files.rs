//! Files: announced, counted, confined, undone.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use agent_core::grant::Access;
use agent_core::limits::Limits;
use agent_core::units::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    HostDescriptor, HostDirectoryEntryStream, NewTimestamp, OpenFlags, PathFlags,
};

use super::support::{Answer, Done, Guest, code, mount, notes, shown, state};
use crate::undo::restore;

/// Opens what is there.
fn existing() -> OpenFlags {
    OpenFlags::empty()
}

/// A step of a guest.
enum Step {
    Write(&'static str, &'static str),
    Overwrite(&'static str, u64),
    Append(&'static str),
    Resize(&'static str, u64),
    Directory(&'static str),
    Remove(&'static str),
    RemoveDirectory(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Touch(&'static str),
}

impl Guest {
    async fn step(&mut self, step: &Step) -> Done {
        let (fd, follow) = (self.fd(), PathFlags::empty());
        let state = &mut self.state;
        let done = match *step {
            Step::Write(path, text) => {
                let open = OpenFlags::CREATE | OpenFlags::TRUNCATE;
                return self.write(path, open, Some(0), text.as_bytes()).await;
            }
            Step::Overwrite(path, at) => return self.write(path, existing(), Some(at), b"XX").await,
            Step::Append(path) => return self.write(path, existing(), None, b"+more").await,
            Step::Resize(path, size) => {
                let file = self.open(path, existing(), true).await?;
                self.state.set_size(file, size).await
            }
            Step::Directory(path) => state.create_directory_at(fd, path.to_owned()).await,
            Step::Remove(path) => state.unlink_file_at(fd, path.to_owned()).await,
            Step::RemoveDirectory(path) => state.remove_directory_at(fd, path.to_owned()).await,
            Step::Rename(from, to) => {
                let to_fd = Resource::new_borrow(fd.rep());
                state.rename_at(fd, from.to_owned(), to_fd, to.to_owned()).await
            }
            Step::Link(from, to) => {
                let to_fd = Resource::new_borrow(fd.rep());
                state.link_at(fd, follow, from.to_owned(), to_fd, to.to_owned()).await
            }
            Step::Symlink(target, path) => state.symlink_at(fd, target.to_owned(), path.to_owned()).await,
            Step::Touch(path) => {
                state.set_times_at(fd, follow, path.to_owned(), NewTimestamp::Now, NewTimestamp::Now).await
            }
        };
        done.map_err(code)
    }

    /// The names in a folder, sorted.
    async fn names(&mut self, path: &str) -> Result<Vec<String>, String> {
        let fd = match path {
            "." => self.fd(),
            path => self.open(path, OpenFlags::DIRECTORY, false).await?,
        };
        let listing = self.state.read_directory(fd).await.map_err(code)?;
        let mut names = Vec::new();
        while let Some(entry) =
            self.state.read_directory_entry(Resource::new_borrow(listing.rep())).await.map_err(code)?
        {
            names.push(entry.name);
        }
        names.sort();
        Ok(names)
    }

    fn seed(&self) -> io::Result<()> {
        let root = self.temp.path();
        fs::create_dir_all(root.join("dir/inner"))?;
        fs::write(root.join("old"), "0123456789")?;
        fs::write(root.join("dir/file"), "in dir")?;
        fs::write(root.join("dir/inner/leaf"), "leaf")?;
        fs::set_permissions(root.join("dir/inner"), fs::Permissions::from_mode(0o750))?;
        fs::set_permissions(root.join("dir/file"), fs::Permissions::from_mode(0o640))?;
        symlink("old", root.join("link"))
    }
}

/// Every path below a directory with what is there, sorted.
fn tree(dir: &Path) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut ahead = vec![dir.to_owned()];
    while let Some(path) = ahead.pop() {
        for entry in fs::read_dir(&path)? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?.file_type();
            let shown = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
            if kind.is_symlink() {
                lines.push(format!("{shown} -> {}", fs::read_link(&path)?.display()));
            } else if kind.is_dir() {
                lines.push(format!("{shown}/ {:o}", fs::symlink_metadata(&path)?.mode()));
                ahead.push(path);
            } else {
                let metadata = fs::symlink_metadata(&path)?;
                let (mode, time) = (metadata.mode(), (metadata.mtime(), metadata.mtime_nsec()));
                lines.push(format!("{shown}: {mode:o} {time:?} {}", fs::read_to_string(&path)?));
            }
        }
    }
    lines.sort();
    Ok(lines)
}

/// After any number of these steps, undoing gives back what was there before; twice.
async fn check_undo(steps: &[Step]) -> Result<(), Box<dyn std::error::Error>> {
    for count in 1..=steps.len() {
        let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
        guest.seed()?;
        let before = tree(guest.temp.path())?;
        for (number, step) in steps.iter().take(count).enumerate() {
            guest.step(step).await.map_err(|error| format!("step {number}: {error}"))?;
        }
        assert_ne!(tree(guest.temp.path())?, before);
        guest.state.finish().await;
        let entries = std::mem::take(&mut *guest.gate.undo.lock().map_err(|_| "poisoned")?);
        let mounts = [mount(guest.temp.path(), "/data", Access::Write)];
        for round in 0..2 {
            let report = restore(&mounts, &entries)?;
            assert_eq!(report.left, [], "{count} steps, round {round}");
            assert_eq!(tree(guest.temp.path())?, before, "{count} steps, round {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn contents_are_undone() -> Result<(), Box<dyn std::error::Error>> {
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
async fn names_are_undone() -> Result<(), Box<dyn std::error::Error>> {
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
async fn links_are_undone() -> Result<(), Box<dyn std::error::Error>> {
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
async fn times_are_undone() -> Result<(), Box<dyn std::error::Error>> {
    check_undo(&[Step::Touch("old"), Step::Append("old"), Step::Touch("dir/file"), Step::Overwrite("dir/file", 0)])
        .await?;
    // The mount itself may be touched too, and an undo of that leaves no doubt.
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    assert_eq!(guest.step(&Step::Touch(".")).await, Ok(()));
    assert_eq!(guest.step(&Step::RemoveDirectory(".")).await, Err("busy".to_owned()));
    assert_eq!(guest.step(&Step::Rename(".", "x")).await, Err("busy".to_owned()));
    let effects = shown(&guest.state.finish().await.effects);
    assert_eq!(effects[1], "2 remove /data: fs_denied, refused");
    let entries = std::mem::take(&mut *guest.gate.undo.lock().map_err(|_| "poisoned")?);
    let report = restore(&[mount(guest.temp.path(), "/data", Access::Write)], &entries)?;
    assert_eq!((report.restored, report.left), (vec!["/data/".to_owned()], Vec::new()));
    Ok(())
}

/// Twenty million bytes are too many to keep: such a file can be appended to, and no more, unless the grant does without undo.
#[tokio::test]
async fn what_cannot_be_undone_is_refused_or_announced() -> Result<(), Box<dyn std::error::Error>> {
    let steps = [Step::Append("huge"), Step::Overwrite("huge", 0), Step::Rename("huge", "other"), Step::Remove("huge")];
    let huge =
        |guest: &Guest| fs::File::create(guest.temp.path().join("huge")).and_then(|file| file.set_len(20_000_000));
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    huge(&guest)?;
    let mut came = Vec::new();
    for step in &steps {
        came.push(guest.step(step).await.err().unwrap_or_default());
    }
    assert_eq!(came[0], "");
    assert!(came[1].contains("too large to undo") && came[1].contains("undo = false"), "{came:?}");
    assert_eq!(came[2..], ["quota", "quota"]);
    let effects = shown(&guest.state.finish().await.effects);
    assert_eq!(effects.iter().filter(|line| line.ends_with("fs_quota, refused")).count(), 3, "{effects:?}");

    let mut guest = Guest::without_undo();
    huge(&guest)?;
    assert_eq!(guest.step(&steps[0]).await, Ok(()));
    assert_eq!(guest.step(&steps[1]).await, Ok(()));
    assert_eq!(guest.step(&Step::Directory("huge")).await, Err("exist".to_owned()));
    assert_eq!(guest.step(&steps[2]).await, Ok(()));
    assert_eq!(guest.step(&steps[3]).await, Err("no-entry".to_owned()));
    let effects = guest.state.effects.clone();
    assert_eq!(guest.gate.lines(), ["send 1 OpaqueWrite", "send 2 OpaqueWrite", "send 4 OpaqueWrite"]);
    let account = guest.state.finish().await;
    effects.clear_doubts(&account.effects).await?;
    assert_eq!(guest.gate.lines()[3..], ["done 1: done", "done 2: done", "done 4: done"]);
    assert!(guest.gate.undo.lock().map_err(|_| "poisoned")?.is_empty());
    Ok(())
}

/// One bad name in a folder does not hide the others.
#[tokio::test]
async fn a_name_that_is_no_text_is_left_out() -> Result<(), Box<dyn std::error::Error>> {
    use std::os::unix::ffi::OsStrExt;
    let mut guest = Guest::new(Access::Read, Answer::Allow, Limits::STANDARD);
    fs::write(guest.temp.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "")?;
    fs::write(guest.temp.path().join("good"), "")?;
    assert_eq!(guest.names(".").await?, ["good"]);
    Ok(())
}

/// What the machine's own permissions forbid is an error like any other, and not the one of a refusal.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_permission_of_the_machine_is_an_ordinary_error() -> Result<(), Box<dyn std::error::Error>> {
    // Root may do everything until it says otherwise.
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: rustix::thread::CapabilitySet::empty(),
            permitted: rustix::thread::CapabilitySet::empty(),
            inheritable: rustix::thread::CapabilitySet::empty(),
        },
    )?;
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    let at = |name: &str| guest.temp.path().join(name);
    fs::create_dir_all(at("blind/inner"))?;
    fs::write(at("blind/file"), "seen")?;
    fs::write(at("closed"), "")?;
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o000))?;
    fs::set_permissions(at("blind"), fs::Permissions::from_mode(0o311))?;
    let refused = Err("access".to_owned());
    assert_eq!(guest.open("closed", existing(), false).await.map(|_| ()), refused);
    assert_eq!(guest.names("blind").await, Err("access".to_owned()));
    assert!(guest.open("blind/file", existing(), false).await.is_ok());
    // The same of a mount: a guest that asks for its mounts is answered.
    let (gate, blind) = (notes(Answer::Allow), mount(&guest.temp.path().join("blind"), "/data", Access::Read));
    let mut state = state(&gate, vec![blind], Limits::STANDARD);
    let mut directories = state.get_directories()?;
    let (root, _) = directories.pop().ok_or("no mount")?;
    assert_eq!(state.read_directory(root).await.map(|_| ()).map_err(code), refused);
    let effects = shown(&state.finish().await.effects);
    assert_eq!(effects, ["1 read /data: failed: access"]);
    Ok(())
}

#[tokio::test]
async fn a_read_grant_changes_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = Guest::new(Access::Read, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let before = tree(guest.temp.path())?;
    let steps = [
        Step::Write("new", ""),
        Step::Write("old", ""),
        Step::Append("old"),
        Step::Resize("old", 0),
        Step::Directory("d"),
        Step::Remove("old"),
        Step::RemoveDirectory("dir"),
        Step::Rename("old", "x"),
        Step::Link("old", "x"),
        Step::Symlink("old", "x"),
        Step::Touch("old"),
    ];
    for (number, step) in steps.iter().enumerate() {
        assert_eq!(guest.step(step).await, Err("not-permitted".to_owned()), "step {number}");
    }
    let truncate = guest.open("old", OpenFlags::TRUNCATE, false).await;
    assert_eq!(truncate.map(|_| ()), Err("not-permitted".to_owned()));
    assert_eq!(tree(guest.temp.path())?, before);
    let account = guest.state.finish().await;
    assert!(
        account.effects.len() == 12 && shown(&account.effects).iter().all(|line| line.ends_with("fs_denied, refused"))
    );
    assert_eq!(guest.gate.lines(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_guests_stays_out_of_reach() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    let root = guest.temp.path().to_owned();
    fs::create_dir_all(root.join(".agent-host"))?;
    fs::create_dir_all(root.join("repo/.git/hooks"))?;
    fs::write(root.join(".agent-host/journal"), "j")?;
    symlink("/etc/passwd", root.join("out"))?;
    let pipe = root.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)?;
    let create = OpenFlags::CREATE;
    for (path, open, write, expected) in [
        ("../x", existing(), false, "not-permitted"),
        ("out", existing(), false, "not-permitted"),
        (".agent-host/journal", existing(), false, "no-entry"),
        (".agent-host/new", create, true, "no-entry"),
        ("repo/.git/hooks/pre-commit", create, true, "not-permitted"),
        (".bashrc", create, true, "not-permitted"),
        ("pipe", existing(), false, "not-permitted"),
        ("pipe", existing(), true, "not-permitted"),
    ] {
        assert_eq!(guest.open(path, open, write).await.map(|_| ()), Err(expected.to_owned()), "{path}");
    }
    let lead_out = guest.step(&Step::Symlink("../../x", "repo/up")).await;
    assert_eq!(lead_out, Err("not-permitted".to_owned()));
    assert_eq!(guest.names(".").await?, ["out", "pipe", "repo"]);
    let effects = shown(&guest.state.finish().await.effects);
    assert_eq!(effects[0], "1 read /data/../x: fs_denied, refused");
    assert_eq!(effects[6], "7 read /data/pipe: fs_special_file, refused");
    assert_eq!(effects[9], "10 read /data: done");
    Ok(())
}

/// A link that a guest could make where it is deep, and then move up until it leads to somebody's file.
#[tokio::test]
async fn no_move_makes_a_link_lead_out() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    guest.step(&Step::Symlink("../../old", "dir/inner/up")).await?;
    guest.step(&Step::Symlink("..", "dir/inner/one-up")).await?;
    let before = tree(guest.temp.path())?;
    let refused = Err("not-permitted".to_owned());
    for step in [
        Step::Rename("dir/inner/up", "up"),
        Step::Rename("dir/inner/up", "dir/up"),
        Step::Rename("dir/inner", "inner"),
        // Only its text stays inside: the first name is a link that goes up.
        Step::Symlink("one-up/../../old", "dir/inner/twice"),
    ] {
        assert_eq!(guest.step(&step).await, refused);
    }
    assert_eq!(tree(guest.temp.path())?, before);
    assert_eq!(guest.step(&Step::Rename("dir/inner", "dir/other")).await, Ok(()));
    assert_eq!(guest.step(&Step::Write("dir/other/up", "inside")).await, Ok(()));
    Ok(())
}

/// What a call did is kept whole until it ends, and a guest chooses how long the names are.
#[tokio::test]
async fn a_call_that_fills_its_own_record_ends() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    let deep: Vec<String> = (0..15).map(|_| "d".repeat(250)).collect();
    fs::create_dir_all(guest.temp.path().join(deep.join("/")))?;
    let mut ended = None;
    for round in 0..100_000 {
        let (path, fd) = (format!("{}/{round}", deep.join("/")), guest.fd());
        let removed = guest.state.unlink_file_at(fd, path).await.map_err(code);
        if removed != Err("no-entry".to_owned()) {
            ended = removed.err();
            break;
        }
    }
    assert!(ended.is_some_and(|text| text.contains("more than can be recorded")));
    let effects = guest.state.finish().await.effects;
    assert!((3_000..5_000).contains(&effects.len()), "{}", effects.len());
    Ok(())
}

#[tokio::test]
async fn quotas_are_refusals_with_a_reason() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits { fs_write_bytes: Bytes(8), fs_read_bytes: Bytes(4), fs_files: 2, ..Limits::STANDARD };
    let mut guest = Guest::new(Access::Write, Answer::Allow, limits);
    assert_eq!(guest.step(&Step::Write("a", "12345")).await, Ok(()));
    let over = Err("a call may write 8 B".to_owned());
    assert_eq!(guest.step(&Step::Append("a")).await, over);
    assert_eq!(guest.step(&Step::Resize("a", 1 << 40)).await, Err("quota".to_owned()));
    assert_eq!(guest.step(&Step::Overwrite("a", 1 << 40)).await, over);
    assert_eq!(guest.step(&Step::Directory("b")).await, Ok(()));
    assert_eq!(guest.step(&Step::Directory("c")).await, Err("quota".to_owned()));
    let file = guest.open("a", existing(), false).await?;
    let read = guest.state.read(Resource::new_borrow(file.rep()), 100, 0).await.map_err(code)?;
    assert_eq!(read, (b"1234".to_vec(), false));
    assert_eq!(guest.state.read(file, 100, 4).await.map_err(code), Err("quota".to_owned()));
    let effects = shown(&guest.state.finish().await.effects);
    let refused: Vec<_> = effects.iter().filter(|line| line.contains("fs_quota")).collect();
    assert_eq!(refused.len(), 3, "{effects:?}");
    Ok(())
}

#[tokio::test]
async fn a_denied_path_and_an_unrecorded_change_do_not_happen() -> Result<(), Box<dyn std::error::Error>> {
    let mut denied = Guest::new(Access::Write, Answer::Deny, Limits::STANDARD);
    assert_eq!(denied.step(&Step::Write("a", "x")).await, Err("not-permitted".to_owned()));
    let mut closed = Guest::new(Access::Write, Answer::Closed, Limits::STANDARD);
    let trap = Err("trap: the effect could not be recorded: disk full".to_owned());
    assert_eq!(closed.step(&Step::Write("a", "x")).await, trap);
    // Not the next host call either.
    assert_eq!(closed.step(&Step::Directory("b")).await, trap);
    assert_eq!(tree(denied.temp.path())?, Vec::<String>::new());
    assert_eq!(tree(closed.temp.path())?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn without_a_mount_there_is_one_refusal() -> Result<(), Box<dyn std::error::Error>> {
    let mut state = state(&notes(Answer::Allow), Vec::new(), Limits::STANDARD);
    assert!(state.get_directories()?.is_empty() && state.get_directories()?.is_empty());
    let account = state.finish().await;
    assert_eq!(shown(&account.effects), ["1 read any file: fs_denied, refused"]);
    Ok(())
}
