//! A digest of a folder with all in it, to see that nobody changed anything there.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Bytes of one file that are read: a case may lay out a sparse file of a terabyte.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Every path below `root` with a digest of what is there, without following links. `left_out` are paths below `root`.
#[must_use]
pub fn digests(root: &Path, left_out: &[PathBuf]) -> BTreeMap<PathBuf, u64> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = open.pop() {
        let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
        if left_out.contains(&relative) {
            continue;
        }
        found.insert(relative, digest(&path));
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        }
    }
    found
}

/// The paths at which two looks differ.
#[must_use]
pub fn differences(before: &BTreeMap<PathBuf, u64>, after: &BTreeMap<PathBuf, u64>) -> Vec<PathBuf> {
    let all = before.keys().chain(after.keys());
    let mut differing: Vec<PathBuf> = all.filter(|path| before.get(*path) != after.get(*path)).cloned().collect();
    differing.sort();
    differing.dedup();
    differing
}

fn digest(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    let kind = metadata.file_type();
    (metadata.mode(), metadata.uid(), kind.is_fifo(), kind.is_socket()).hash(&mut hasher);
    if kind.is_file() {
        (metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
        let mut content = Vec::new();
        let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut content));
        (read.is_ok(), content).hash(&mut hasher);
    } else if kind.is_symlink() {
        fs::read_link(path).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b"))?;
        fs::write(at("a/kept"), "1")?;
        fs::write(at("a/changed"), "1")?;
        fs::write(at("a/b/gone"), "1")?;
        let left_out = [PathBuf::from("free")];
        let before = digests(folder.path(), &left_out);
        fs::write(at("a/changed"), "2")?;
        fs::remove_file(at("a/b/gone"))?;
        std::os::unix::fs::symlink("kept", at("a/new"))?;
        fs::create_dir(at("free"))?;
        fs::write(at("free/x"), "1")?;
        let changed: Vec<_> = differences(&before, &digests(folder.path(), &left_out));
        assert_eq!(changed, ["a/b/gone", "a/changed", "a/new"].map(PathBuf::from));
        Ok(())
    }
}
