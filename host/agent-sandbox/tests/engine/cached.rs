//! The cache of compiled code: what is taken from it, and what is refused before wasmtime sees it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use agent_sandbox::Sandbox;
use agent_sandbox::cache::{CacheOptions, CacheRejected};
use agent_sandbox::component::CodeOrigin;
use agent_sandbox::sandbox::SandboxOptions;

use crate::support::{guest, options};

const KEY: [u8; 32] = [42; 32];

fn sandbox(directory: &Path, key: [u8; 32]) -> Sandbox {
    let cache = Some(CacheOptions { directory: directory.to_owned(), key });
    Sandbox::new(SandboxOptions { cache, ..options() }).unwrap()
}

/// Loads the same component and says where its code came from: `cached`, `compiled`, or why the cache was rejected.
fn origin(sandbox: &Sandbox) -> String {
    let bytes = wat::parse_str(guest("(memory 1)", "")).unwrap();
    match &sandbox.load(&"guest".parse().unwrap(), &bytes).unwrap().code {
        CodeOrigin::Cached => "cached".to_owned(),
        CodeOrigin::Compiled { rejected: None, .. } => "compiled".to_owned(),
        CodeOrigin::Compiled { rejected: Some(rejected), .. } => {
            format!("{rejected:?}").split('(').next().unwrap().to_owned()
        }
    }
}

/// A directory in which the component is cached, and its files by extension.
fn filled() -> (tempfile::TempDir, PathBuf, impl Fn(&str) -> PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("code");
    assert_eq!(origin(&sandbox(&directory, KEY)), "compiled");
    assert_eq!(origin(&sandbox(&directory, KEY)), "cached");
    let place = directory.clone();
    let find = move |extension: &str| {
        let mut files = fs::read_dir(&place).unwrap().map(|file| file.unwrap().path());
        files.find(|file| file.extension().is_some_and(|found| found == extension)).unwrap()
    };
    (root, directory, find)
}

#[test]
fn code_is_compiled_once_and_private() {
    let (_root, directory, find) = filled();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(find("code")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "no temporary file stays");
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_mended() {
    for extension in ["code", "entry"] {
        let (_root, directory, find) = filled();
        let length = fs::read(find(extension)).unwrap().len();
        for place in [0, length / 3, length / 2, length - 1] {
            let file = find(extension);
            let mut bytes = fs::read(&file).unwrap();
            bytes[place] ^= 1;
            fs::write(&file, bytes).unwrap();
            let expected = if extension == "code" { "Damaged" } else { "NotAuthentic" };
            assert_eq!(origin(&sandbox(&directory, KEY)), expected, "{extension} at {place}");
            assert_eq!(origin(&sandbox(&directory, KEY)), "cached");
        }
    }
}

#[test]
fn code_of_another_key_or_another_component_is_not_ours() {
    let (_root, directory, find) = filled();
    assert_eq!(origin(&sandbox(&directory, [43; 32])), "NotAuthentic");
    // The other host has replaced the entry, so ours is now the foreign one.
    assert_eq!(origin(&sandbox(&directory, KEY)), "NotAuthentic");
    let entry = find("entry");
    let other = wat::parse_str(guest("(memory 2)", "")).unwrap();
    sandbox(&directory, KEY).load(&"guest".parse().unwrap(), &other).unwrap();
    let entries: Vec<_> = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    let other_entry =
        entries.iter().find(|path| path.extension().is_some_and(|e| e == "entry") && **path != entry).unwrap();
    let (ours, theirs) = (fs::read(&entry).unwrap(), fs::read(other_entry).unwrap());
    fs::write(&entry, &theirs).unwrap();
    fs::write(other_entry, &ours).unwrap();
    assert_eq!(origin(&sandbox(&directory, KEY)), "NotAuthentic");
}

#[test]
fn links_foreign_owners_and_open_directories_are_refused() {
    let (root, directory, find) = filled();
    let (code, away) = (find("code"), root.path().join("away"));
    fs::rename(&code, &away).unwrap();
    symlink(&away, &code).unwrap();
    assert_eq!(origin(&sandbox(&directory, KEY)), "NotPlain");
    assert_eq!(origin(&sandbox(&directory, KEY)), "cached", "the link was replaced by the code");

    let link = root.path().join("link");
    symlink(&directory, &link).unwrap();
    assert_eq!(origin(&sandbox(&link, KEY)), "NotPlain");

    fs::set_permissions(find("entry"), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(origin(&sandbox(&directory, KEY)), "WritableByOthers");

    fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(origin(&sandbox(&directory, KEY)), "WritableByOthers");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();

    // Only root can give files away; elsewhere this part has nothing to show.
    if std::os::unix::fs::chown(find("code"), Some(12_345), None).is_ok() {
        assert_eq!(origin(&sandbox(&directory, KEY)), "ForeignOwner");
    }
}

#[test]
fn a_pipe_in_place_of_an_entry_blocks_nobody() {
    let (_root, directory, find) = filled();
    let entry = find("entry");
    fs::remove_file(&entry).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &entry, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(origin(&sandbox(&directory, KEY)), "NotPlain");
}

#[test]
fn an_unusable_directory_only_costs_time() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let sandbox = sandbox(&file.join("code"), KEY);
    let bytes = wat::parse_str(guest("", "")).unwrap();
    let component = sandbox.load(&"guest".parse().unwrap(), &bytes).unwrap();
    assert!(matches!(&component.code, CodeOrigin::Compiled { rejected: Some(CacheRejected::Unreadable { .. }), .. }));
}
