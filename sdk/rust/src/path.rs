//! Paths as the model writes them, and file errors as the model should read them.

use std::io;
use std::path::{Path, PathBuf};

/// Where a tool's files appear, unless its manifest or the operator says otherwise.
pub const MOUNT: &str = "/data";

/// Makes a path absolute: a relative one is below the working directory if the host set one, else below [`MOUNT`].
///
/// ```
/// use agent_host_tool::path;
/// assert_eq!(path::resolve("/data/notes.md"), std::path::Path::new("/data/notes.md"));
/// assert!(path::resolve("notes.md").ends_with("notes.md"));
/// ```
#[must_use]
pub fn resolve(path: &str) -> PathBuf {
    resolve_at(MOUNT, path)
}

/// [`resolve`] for a tool whose manifest declares another mount.
#[must_use]
pub fn resolve_at(mount: &str, path: &str) -> PathBuf {
    base(std::env::current_dir().ok(), mount).join(path)
}

/// A guest whose host set no working directory finds itself in `/`, where nothing is.
fn base(working_directory: Option<PathBuf>, mount: &str) -> PathBuf {
    working_directory.filter(|directory| directory != Path::new("/")).unwrap_or_else(|| PathBuf::from(mount))
}

/// A file error in plain words, with what to do about it. `path` is the path as the model wrote it.
///
/// ```
/// let error = std::io::Error::from(std::io::ErrorKind::NotFound);
/// assert_eq!(agent_host_tool::path::problem(&error, "a.md"), "`a.md` does not exist");
/// ```
#[must_use]
pub fn problem(error: &io::Error, path: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if is_outside_every_mount(path) => outside(path),
        io::ErrorKind::PermissionDenied if path.split('/').any(|part| part == "..") => outside(path),
        io::ErrorKind::NotFound => format!("`{path}` does not exist"),
        io::ErrorKind::PermissionDenied if is_of_the_machine(error) => {
            format!("the permissions of `{path}` on this machine do not allow it: no grant changes that")
        }
        io::ErrorKind::PermissionDenied => {
            format!("this tool may not do that to `{path}`: the folder was granted for less, or the operator refused")
        }
        io::ErrorKind::ReadOnlyFilesystem => format!("`{path}` is on a disk that cannot be written to"),
        io::ErrorKind::IsADirectory => format!("`{path}` is a folder, not a file"),
        io::ErrorKind::NotADirectory => format!("a part of `{path}` is a file, not a folder"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("no room is left to write `{path}`"),
        _ => format!("`{path}`: {error}"),
    }
}

/// The host refuses with `EPERM`; what the machine's own permissions forbid is `EACCES`.
fn is_of_the_machine(error: &io::Error) -> bool {
    /// `EACCES` in WASI's numbers, else in those of the systems on which a tool's own tests run.
    const ACCESS: i32 = if cfg!(target_family = "wasm") { 2 } else { 13 };
    error.raw_os_error() == Some(ACCESS)
}

/// A guest sees nothing but its mounts, so that a path outside them is simply not there: nor is any folder on the way to it.
fn is_outside_every_mount(path: &str) -> bool {
    let place = resolve(path);
    cfg!(target_family = "wasm") && !place.ancestors().any(|folder| folder != Path::new("/") && folder.exists())
}

fn outside(path: &str) -> String {
    let mount = resolve("");
    if mount.exists() {
        let mount = mount.display().to_string();
        format!(
            "`{path}` is outside the folder granted to this tool: use a path below `{}`",
            mount.trim_end_matches('/')
        )
    } else {
        "no folder is granted to this tool: the operator grants one with `--allow-read DIR` or `--allow-write DIR`"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_a_permission_of_the_machine_read_differently() {
        let of_the_machine = problem(&io::Error::from_raw_os_error(13), "a.md");
        assert!(of_the_machine.contains("on this machine"), "{of_the_machine}");
        let refused = problem(&io::Error::from_raw_os_error(1), "a.md");
        assert!(refused.contains("granted for less"), "{refused}");
    }

    #[test]
    fn a_relative_path_is_below_the_working_directory_else_the_mount() {
        assert_eq!(base(Some("/work".into()), MOUNT), Path::new("/work"));
        assert_eq!(base(Some("/".into()), MOUNT), Path::new("/data"));
        assert_eq!(base(None, "/docs"), Path::new("/docs"));
    }
}
