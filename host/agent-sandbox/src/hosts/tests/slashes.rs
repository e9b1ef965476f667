//! Paths that end in `/`: only a directory will do, and what removes or moves a name never takes what a link leads to. As the
//! system does it.

use std::error::Error;
use std::os::unix::fs::symlink;

use agent_core::grant::Access;
use agent_core::limits::Limits;

use super::steps::{Step, tree};
use super::support::{Answer, Guest};

#[tokio::test]
async fn a_path_that_ends_in_a_slash_names_a_directory_or_nothing() -> Result<(), Box<dyn Error>> {
    let mut guest = Guest::new(Access::Write, Answer::Allow, Limits::STANDARD);
    guest.seed()?;
    symlink("dir", guest.temp.path().join("way"))?;
    let before = tree(guest.temp.path())?;
    for (step, said) in [
        (Step::Rename("old", "new/"), "not-directory"),
        (Step::Rename("old", "dir/file/"), "not-directory"),
        (Step::Rename("old", "dir/"), "not-directory"),
        (Step::Rename("old/", "new"), "not-directory"),
        (Step::Rename("way/", "new"), "not-directory"),
        (Step::Rename("way/.", "new"), "not-directory"),
        (Step::Rename("dir", "way/"), "not-directory"),
        (Step::Rename("none/", "new"), "no-entry"),
        (Step::Remove("old/"), "not-directory"),
        (Step::Remove("old/."), "not-directory"),
        (Step::Remove("way/"), "not-directory"),
        (Step::RemoveDirectory("way/"), "not-directory"),
        (Step::Link("old/", "new"), "not-directory"),
        (Step::Link("old", "new/"), "no-entry"),
        (Step::Symlink("old", "new/"), "no-entry"),
    ] {
        assert_eq!(guest.step(&step).await, Err(said.to_owned()), "{}", shown(&step));
        assert_eq!(tree(guest.temp.path())?, before, "{}", shown(&step));
    }
    for step in [
        Step::Directory("made/"),
        Step::Rename("made/", "again/"),
        Step::RemoveDirectory("again/"),
        Step::Rename("way", "other"),
        Step::Remove("other"),
    ] {
        assert_eq!(guest.step(&step).await, Ok(()), "{}", shown(&step));
    }
    Ok(())
}

fn shown(step: &Step) -> String {
    match step {
        Step::Rename(from, to) | Step::Link(from, to) | Step::Symlink(from, to) => format!("{from} {to}"),
        Step::Directory(path) | Step::Remove(path) | Step::RemoveDirectory(path) => (*path).to_owned(),
        Step::Write(..)
        | Step::Overwrite(..)
        | Step::Append(_)
        | Step::Resize(..)
        | Step::Touch(_)
        | Step::Keep(..) => String::new(),
    }
}
