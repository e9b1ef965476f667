//! Handles and names that change while a guest holds them or a person is asked.

use std::fs;

use agent_core::grant::Access;
use agent_core::limits::Limits;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, HostDescriptor, OpenFlags, PathFlags};

use super::steps::{Step, tree};
use super::support::{Answer, Guest, code};
use super::undoing::{Aftermath, Tested};

impl Guest {
    async fn directory(&mut self, path: &str) -> Result<Resource<Descriptor>, String> {
        self.open(path, OpenFlags::DIRECTORY, false).await
    }
}

/// What is made through a directory's handle is undone where the directory is, and not where it was when it was opened.
#[tokio::test]
async fn a_directory_that_moves_is_followed_by_its_handle() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let before = tree(guest.temp.path())?;
    guest.step(&Step::Rename("dir", "elsewhere")).await?;
    let handle = guest.directory("elsewhere").await?;
    guest.step(&Step::Rename("elsewhere", "dir")).await?;
    let (create, write) = (OpenFlags::CREATE, DescriptorFlags::WRITE);
    let borrowed = Resource::new_borrow(handle.rep());
    let made =
        guest.state.open_at(borrowed, PathFlags::empty(), "made".to_owned(), create, write).await.map_err(code)?;
    guest.state.write(made, b"new".to_vec(), 0).await.map_err(code)?;
    let (from, to) = (Resource::new_borrow(handle.rep()), Resource::new_borrow(handle.rep()));
    guest.state.rename_at(from, "file".to_owned(), to, "other".to_owned()).await.map_err(code)?;
    assert!(guest.temp.path().join("dir/made").exists() && guest.temp.path().join("dir/other").exists());
    let (mut after, temp) = Aftermath::of(guest).await?;
    assert_eq!(after.undo().left, []);
    assert_eq!(tree(temp.path())?, before);
    Ok(())
}

/// A link that is fine where a directory was would lead out from where it is.
#[tokio::test]
async fn a_link_is_judged_by_where_its_directory_is() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    for path in ["a", "a/b", "a/b/c"] {
        guest.step(&Step::Directory(path)).await?;
    }
    let handle = guest.directory("a/b/c").await?;
    guest.step(&Step::Rename("a/b/c", "s")).await?;
    let link = guest.state.symlink_at(handle, "../../../x".to_owned(), "l".to_owned()).await.map_err(code);
    assert_eq!(link, Err("not-permitted".to_owned()));
    Ok(())
}

/// A file that appears where nothing was, while a person is asked about the rename, is not what was announced.
#[tokio::test]
async fn a_rename_replaces_nothing_that_was_not_there() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    let target = guest.temp.path().join("target");
    let appears = target.clone();
    let meanwhile = move || drop(fs::write(&appears, "of a person"));
    *guest.gate.meanwhile.lock().map_err(|_| "poisoned")? = Some(Box::new(meanwhile));
    assert_eq!(guest.step(&Step::Rename("old", "target")).await, Err("exist".to_owned()));
    assert_eq!(fs::read_to_string(&target)?, "of a person");
    let (mut after, temp) = Aftermath::of(guest).await?;
    assert_eq!(after.undo().left, []);
    assert_eq!(fs::read_to_string(&target)?, "of a person");
    assert_eq!(fs::read_to_string(temp.path().join("old"))?, "0123456789");
    Ok(())
}

/// What a rename keeps of many files is handed over piece by piece, and not held all at once.
#[tokio::test]
async fn a_rename_of_much_is_announced_in_parts() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    fs::create_dir(guest.temp.path().join("much"))?;
    for number in 0..4 {
        fs::write(guest.temp.path().join(format!("much/{number}")), vec![number; 10 << 20])?;
    }
    guest.step(&Step::Rename("much", "moved")).await?;
    assert_eq!(guest.gate.lines().len(), 5, "each file, then the rest");
    let (mut after, temp) = Aftermath::of(guest).await?;
    assert_eq!(after.undo().left, []);
    assert_eq!(fs::read(temp.path().join("much/3"))?[..4], [3; 4]);
    Ok(())
}

/// More entries than are kept are not even looked at.
#[tokio::test]
async fn a_rename_of_too_many_is_refused_early() -> Tested {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    fs::create_dir(guest.temp.path().join("many"))?;
    for number in 0..1_001 {
        fs::write(guest.temp.path().join(format!("many/{number}")), "")?;
    }
    assert_eq!(guest.step(&Step::Rename("many", "moved")).await, Err("quota".to_owned()));
    assert!(guest.gate.lines().is_empty());
    Ok(())
}
