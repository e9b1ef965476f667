//! What a guest does with files, step by step, and what is there then.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    HostDescriptor, HostDirectoryEntryStream, NewTimestamp, OpenFlags, PathFlags,
};

use super::support::{Done, Guest, code};

/// Opens what is there.
pub(super) fn existing() -> OpenFlags {
    OpenFlags::empty()
}

/// A step of a guest.
pub(super) enum Step {
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
    /// A file is opened for writing and written to; the handle stays open.
    Keep(&'static str, &'static str),
}

impl Guest {
    pub(super) async fn step(&mut self, step: &Step) -> Done {
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
            Step::Keep(path, text) => {
                let file = self.open(path, existing(), true).await?;
                // Nobody closes it but the end of the call.
                self.state.write(file, text.as_bytes().to_vec(), 0).await.map(drop)
            }
            Step::Touch(path) => {
                state.set_times_at(fd, follow, path.to_owned(), NewTimestamp::Now, NewTimestamp::Now).await
            }
        };
        done.map_err(code)
    }

    /// The names in a folder, sorted.
    pub(super) async fn names(&mut self, path: &str) -> Result<Vec<String>, String> {
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

    pub(super) fn seed(&self) -> io::Result<()> {
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
pub(super) fn tree(dir: &Path) -> io::Result<Vec<String>> {
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
