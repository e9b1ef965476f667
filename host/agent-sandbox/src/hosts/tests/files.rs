//! Files: announced, counted, confined.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use agent_core::effect::Decision;
use agent_core::grant::Access;
use agent_core::limits::Limits;
use agent_core::units::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{HostDescriptor, OpenFlags};

use super::steps::{Step, existing, tree};
use super::support::{Answer, Guest, code, mount, notes, shown, state};

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

/// Of several times the shortest: a busy machine makes a walk long, not short.
#[tokio::test]
async fn links_without_end_are_followed_for_a_moment() -> Result<(), Box<dyn std::error::Error>> {
    const TIME_MAX: Duration = Duration::from_millis(10);
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    let root = guest.temp.path().to_owned();
    symlink("ring", root.join("ring"))?;
    for link in 0..41 {
        symlink(format!("l{}", link + 1), root.join(format!("l{link}")))?;
    }
    symlink(vec!["d"; 2_000].join("/"), root.join("long"))?;
    for (path, expected) in [("ring", "loop"), ("l0", "loop"), ("long", "no-entry")] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let started = Instant::now();
            assert_eq!(guest.open(path, existing(), false).await.map(|_| ()), Err(expected.to_owned()), "{path}");
            times.push(started.elapsed());
        }
        assert!(times.iter().any(|took| *took <= TIME_MAX), "{path}: {times:?}");
    }
    Ok(())
}

/// A bare repository has no name by which it could be known: git takes any folder for one that holds what one holds.
#[tokio::test]
async fn no_git_repository_is_made_changed_or_moved() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let root = guest.temp.path().to_owned();
    for folder in ["bare/objects", "bare/refs", "bare/hooks", "outer/bare/objects", "outer/bare/refs", "new/refs"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for head in ["bare/HEAD", "outer/bare/HEAD", "new/HEAD", "plain"] {
        fs::write(root.join(head), "ref: refs/heads/main")?;
    }
    let before = tree(&root)?;
    for step in [
        Step::Write("bare/config", "[core] fsmonitor = evil"),
        Step::Overwrite("bare/HEAD", 0),
        Step::Write("bare/hooks/post-checkout", "evil"),
        Step::Directory("bare/info"),
        Step::Remove("bare/HEAD"),
        Step::Rename("bare", "elsewhere"),
        Step::Rename("outer", "elsewhere"),
        Step::Rename("old", "bare/config"),
        Step::Rename("bare/HEAD", "head"),
        Step::Link("old", "bare/config"),
        Step::Directory("new/objects"),
        Step::Directory("new/OBJECTS"),
        Step::Rename("dir", "new/objects"),
        Step::Symlink("refs", "new/objects"),
        Step::Write("new/commondir", "../bare"),
        Step::Link("plain", "new/commondir"),
    ] {
        assert_eq!(guest.step(&step).await, Err("not-permitted".to_owned()));
    }
    assert_eq!(tree(&root)?, before);
    for step in [Step::Write("new/config", "a"), Step::Overwrite("new/HEAD", 0), Step::Directory("objects")] {
        guest.step(&step).await?;
    }
    let effects = shown(&guest.state.finish().await.effects);
    assert_eq!(effects[0], "1 write /data/bare/config: fs_denied, refused");
    Ok(())
}

/// What is protected stays where it is, and whoever wanted to move it is told what else can be done.
#[tokio::test]
async fn a_folder_with_what_is_protected_is_not_moved_and_says_why() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    fs::create_dir_all(guest.temp.path().join("project/.git/hooks"))?;
    assert_eq!(guest.step(&Step::Rename("project", "renamed")).await, Err("not-permitted".to_owned()));
    let effects = guest.state.finish().await.effects;
    let Decision::Deny { rule, .. } = &effects[0].decision else { return Err("allowed".into()) };
    assert_eq!(
        rule,
        "it holds `.git`, which is read-only inside a write grant and stays where it is; move what is beside it, or have a \
         person move the whole"
    );
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
