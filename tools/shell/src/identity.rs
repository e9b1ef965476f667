//! Whether two names are of one file, whatever they are: two links, a link and its file, two ways to the same folder. `cp`, `mv`,
//! `uniq` and `test -ef` ask here, for what is read must not be written over.

use std::io;
use std::path::Path;

/// What a file is known by. It says nothing of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// Whether both are there and lead to the same file, after links.
pub(crate) fn are_same(a: &Path, b: &Path) -> bool {
    followed(a).is_ok_and(|a| followed(b).is_ok_and(|b| a == b))
}

/// Whether both are there and are the same, where a link is not what it leads to.
pub(crate) fn are_same_unfollowed(a: &Path, b: &Path) -> bool {
    unfollowed(a).is_ok_and(|a| unfollowed(b).is_ok_and(|b| a == b))
}

#[cfg(unix)]
pub(crate) fn followed(place: &Path) -> io::Result<Identity> {
    std::fs::metadata(place).map(|found| of(&found))
}

#[cfg(unix)]
fn unfollowed(place: &Path) -> io::Result<Identity> {
    std::fs::symlink_metadata(place).map(|found| of(&found))
}

#[cfg(unix)]
fn of(found: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity(found.dev(), found.ino())
}

#[cfg(not(unix))]
pub(crate) fn followed(place: &Path) -> io::Result<Identity> {
    by_hash(place, wasip2::filesystem::types::PathFlags::SYMLINK_FOLLOW)
}

#[cfg(not(unix))]
fn unfollowed(place: &Path) -> io::Result<Identity> {
    by_hash(place, wasip2::filesystem::types::PathFlags::empty())
}

/// The standard library does not tell it for components: what WASI has for this is a hash.
#[cfg(not(unix))]
fn by_hash(place: &Path, flags: wasip2::filesystem::types::PathFlags) -> io::Result<Identity> {
    for (folder, mount) in wasip2::filesystem::preopens::get_directories() {
        let Ok(below) = place.strip_prefix(&mount) else { continue };
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let hash = folder.metadata_hash_at(flags, &below.to_string_lossy());
        let hash = hash.map_err(|code| io::Error::other(code.to_string()))?;
        return Ok(Identity(hash.upper, hash.lower));
    }
    Err(io::ErrorKind::NotFound.into())
}
