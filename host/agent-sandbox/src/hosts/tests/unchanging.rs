//! What this host loads stays as it is inside a write grant: by its path, by other spellings and names of it, and by moves of what is
//! around it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use agent_core::effect::Decision;
use agent_core::grant::FileIdentity;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};

use super::steps::{Step, existing, tree};
use super::support::{Done, Guest, code};

type Tried = Result<(), Box<dyn std::error::Error>>;

/// Tools in `a/tools`, a policy, a link on the way to more tools, and the second name of a tool.
fn laid_out() -> Result<tempfile::TempDir, std::io::Error> {
    let temp = tempfile::tempdir()?;
    let at = |path: &str| temp.path().join(path);
    fs::create_dir_all(at("a/tools/calc"))?;
    fs::create_dir_all(at("other/tools"))?;
    fs::create_dir_all(at("empty"))?;
    for file in ["a/tools/calc/calc.wasm", "a/tools/calc/tool.toml", "policy.toml", "mine", "other/tools/evil.wasm"] {
        fs::write(at(file), "as it was")?;
    }
    symlink("a", at("link"))?;
    fs::hard_link(at("a/tools/calc/calc.wasm"), at("other/name.wasm"))?;
    Ok(temp)
}

fn guest() -> Result<Guest, std::io::Error> {
    Ok(Guest::without(laid_out()?, &["a/tools", "policy.toml", "link", "gone/tools"]))
}

#[tokio::test]
async fn what_is_loaded_is_not_changed_in_any_way() -> Tried {
    let mut guest = guest()?;
    let before = tree(guest.temp.path())?;
    let steps = [
        // The files themselves.
        Step::Write("a/tools/calc/calc.wasm", "evil"),
        Step::Overwrite("a/tools/calc/tool.toml", 0),
        Step::Append("policy.toml"),
        Step::Resize("policy.toml", 0),
        Step::Remove("policy.toml"),
        Step::Touch("a/tools/calc/tool.toml"),
        // More beside them.
        Step::Write("a/tools/evil.wasm", "evil"),
        Step::Directory("a/tools/evil"),
        Step::Rename("mine", "a/tools/evil.wasm"),
        Step::Rename("empty", "a/tools/evil"),
        Step::Rename("mine", "policy.toml"),
        Step::Link("mine", "a/tools/evil.wasm"),
        Step::Symlink("../../mine", "a/tools/evil.wasm"),
        // Away with them, or with what they are in.
        Step::Rename("a/tools/calc", "calc"),
        Step::Rename("a/tools", "tools"),
        Step::Rename("a", "b"),
        Step::Rename("a", "other/a"),
        Step::RemoveDirectory("a/tools"),
        Step::RemoveDirectory("a"),
        // In their place.
        Step::Rename("other/tools", "a/tools"),
        Step::Rename("other", "a"),
        Step::Rename("link", "elsewhere"),
        Step::Remove("link"),
        Step::Rename("other", "gone"),
        Step::Symlink("other", "gone"),
        Step::Directory("gone/tools"),
        // By other ways and names.
        Step::Write("link/tools/evil.wasm", "evil"),
        Step::Link("a/tools/calc/calc.wasm", "mine.wasm"),
        Step::Link("policy.toml", "mine.toml"),
        Step::Overwrite("other/name.wasm", 0),
        Step::Write("other/name.wasm", "evil"),
        Step::Append("other/name.wasm"),
        // As a file system would read them that does not mind case, or has short names.
        Step::Directory("A"),
        Step::Write("POLICY.toml", "evil"),
        Step::Directory("a/TOOLS"),
        Step::Directory("a/tools."),
    ];
    for (number, step) in steps.iter().enumerate() {
        let came = guest.step(step).await;
        // A new folder that would be around one of them harms nobody.
        let expected = match step {
            Step::Directory("A") => Ok(()),
            Step::Directory("gone/tools") => Err("no-entry".to_owned()),
            _ => Err("not-permitted".to_owned()),
        };
        assert_eq!(came, expected, "step {number}");
    }
    fs::remove_dir(guest.temp.path().join("A"))?;
    assert_eq!(tree(guest.temp.path())?, before);
    let refused = guest.state.finish().await.effects;
    let rule = |text: &str| {
        refused.iter().any(|effect| matches!(&effect.decision, Decision::Deny { rule, .. } if rule.contains(text)))
    };
    assert!(rule("`a/tools` is read-only inside a write grant"), "{refused:?}");
    assert!(rule("it holds `a/tools`"), "{refused:?}");
    assert!(rule("another name of a file"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn what_lies_beside_is_a_guests_to_change() -> Tried {
    let mut guest = guest()?;
    for step in [
        Step::Write("a/notes", "x"),
        Step::Write("a/toolsmith", "x"),
        Step::Directory("a/tool"),
        Step::Directory("gone"),
        Step::Rename("mine", "a/mine"),
        Step::Rename("other/tools", "a/more"),
        // Without its other name the file is nobody else's.
        Step::Rename("other/name.wasm", "name.wasm"),
        Step::Remove("name.wasm"),
    ] {
        assert_eq!(guest.step(&step).await, Ok(()));
    }
    assert!(guest.open("a/tools/calc/calc.wasm", existing(), false).await.is_ok());
    assert_eq!(guest.names("a/tools").await?, ["calc"]);
    // The folder around a place that is not there yet was made; the place itself is not.
    assert_eq!(guest.step(&Step::Directory("gone/tools")).await, Err("not-permitted".to_owned()));
    assert_eq!(guest.step(&Step::Symlink("../other", "gone/tools")).await, Err("not-permitted".to_owned()));
    Ok(())
}

/// Whoever holds a folder open reaches it under whatever name it has meanwhile, and it is still the same folder.
#[tokio::test]
async fn a_folder_that_somebody_else_moved_is_still_known() -> Tried {
    let mut guest = guest()?;
    fs::rename(guest.temp.path().join("a"), guest.temp.path().join("moved"))?;
    assert_eq!(guest.step(&Step::Write("moved/tools/evil.wasm", "evil")).await, Err("not-permitted".to_owned()));
    assert_eq!(guest.step(&Step::Write("moved/tools/calc/evil", "evil")).await, Err("not-permitted".to_owned()));
    assert_eq!(guest.step(&Step::Rename("moved", "again")).await, Err("not-permitted".to_owned()));
    Ok(())
}

/// The times of a file are its own under each of its names, and through each handle of it.
#[tokio::test]
async fn the_times_of_what_is_loaded_are_not_set_through_a_handle() -> Tried {
    let mut guest = guest()?;
    let before = tree(guest.temp.path())?;
    for (path, expected) in [
        ("a/tools/calc/calc.wasm", Err("not-permitted".to_owned())),
        ("other/name.wasm", Err("not-permitted".to_owned())),
        ("mine", Ok(())),
    ] {
        let file = guest.open(path, existing(), false).await?;
        let set = guest.state.set_times(file, NewTimestamp::Now, NewTimestamp::NoChange).await.map_err(code);
        assert_eq!(set, expected, "{path}");
    }
    assert_eq!(tree(guest.temp.path())?, before);
    Ok(())
}

/// What is loaded lies in no directory that is granted; a second name of it does.
#[tokio::test]
async fn a_file_from_elsewhere_is_known_by_what_it_is() -> Tried {
    let (temp, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let file = elsewhere.path().join("calc.wasm");
    for name in [&file, &temp.path().join("mine")] {
        fs::write(name, "as it was")?;
    }
    fs::hard_link(&file, temp.path().join("second"))?;
    fs::hard_link(temp.path().join("mine"), temp.path().join("other"))?;
    let metadata = fs::metadata(&file)?;
    let device = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    let mut guest = Guest::keeping(temp, &[], &[], &[FileIdentity { device, inode: metadata.ino() }]);
    for step in [Step::Overwrite("second", 0), Step::Write("second", "evil"), Step::Touch("second")] {
        assert_eq!(guest.step(&step).await, Err("not-permitted".to_owned()));
    }
    for step in [Step::Overwrite("other", 0), Step::Write("new", "x"), Step::Remove("second")] {
        assert_eq!(guest.step(&step).await, Ok(()));
    }
    assert_eq!(fs::read_to_string(&file)?, "as it was");
    Ok(())
}

/// By a path with `..` the host goes through a folder and out of it again: another folder in its place would lead elsewhere.
#[tokio::test]
async fn a_folder_on_the_way_stays_where_it_is_and_is_a_guests_to_change() -> Tried {
    let temp = laid_out()?;
    fs::create_dir_all(temp.path().join("build/out"))?;
    let mut guest = Guest::keeping(temp, &["a/tools"], &["build/out", "later"], &[]);
    for step in [
        Step::Rename("build/out", "moved"),
        Step::Rename("build", "moved"),
        Step::RemoveDirectory("build/out"),
        Step::Rename("empty", "build/out"),
        Step::Symlink("other", "later"),
        Step::Rename("empty", "later"),
    ] {
        assert_eq!(guest.step(&step).await, Err("not-permitted".to_owned()));
    }
    for step in [
        Step::Write("build/out/made", "x"),
        Step::Directory("build/out/deep"),
        Step::Rename("build/out/deep", "build/deep"),
        Step::Touch("build/out"),
        Step::Remove("build/out/made"),
        Step::Directory("later"),
    ] {
        assert_eq!(guest.step(&step).await, Ok(()));
    }
    Ok(())
}

/// A directory is granted, and one in it as well: what is moved by a path of the one is elsewhere by those of the other.
#[tokio::test]
async fn what_was_moved_through_another_mount_is_not_changed_through_its_handle() -> Tried {
    let temp = tempfile::tempdir()?;
    fs::create_dir_all(temp.path().join("inner/x/d"))?;
    fs::create_dir_all(temp.path().join("inner/still"))?;
    let (mut guest, inner) = Guest::nested(temp, "inner");
    let moves = guest.open("inner/x/d", OpenFlags::DIRECTORY, false).await?;
    let stays = guest.open("inner/still", OpenFlags::DIRECTORY, false).await?;
    let (from, to) = (Resource::new_borrow(inner.rep()), Resource::new_borrow(inner.rep()));
    guest.state.rename_at(from, "x".to_owned(), to, "y".to_owned()).await.map_err(code)?;
    for part in ["HEAD", "config"] {
        assert_eq!(guest.make_in(&moves, part).await, Err("not-permitted".to_owned()));
    }
    for part in ["objects", "refs"] {
        let made = guest.state.create_directory_at(Resource::new_borrow(moves.rep()), part.to_owned()).await;
        assert_eq!(made.map_err(code), Err("not-permitted".to_owned()));
    }
    assert_eq!(guest.make_in(&stays, "made").await, Ok(()));
    assert_eq!(fs::read_dir(guest.temp.path().join("inner/y/d"))?.count(), 0);
    // By a path that leads there it can be changed.
    assert_eq!(guest.step(&Step::Write("inner/y/d/made", "x")).await, Ok(()));
    Ok(())
}

/// What is gone is told as such.
#[tokio::test]
async fn in_a_directory_that_was_removed_there_is_nothing_to_change() -> Tried {
    let mut guest = guest()?;
    let removed = guest.open("empty", OpenFlags::DIRECTORY, false).await?;
    guest.step(&Step::RemoveDirectory("empty")).await?;
    assert_eq!(guest.make_in(&removed, "made").await, Err("no-entry".to_owned()));
    Ok(())
}

impl Guest {
    /// Makes a file in an open directory.
    async fn make_in(&mut self, directory: &Resource<Descriptor>, name: &str) -> Done {
        let (create, write) = (OpenFlags::CREATE, DescriptorFlags::WRITE);
        let directory = Resource::new_borrow(directory.rep());
        let made = self.state.open_at(directory, PathFlags::empty(), name.to_owned(), create, write).await;
        made.map(drop).map_err(code)
    }
}
