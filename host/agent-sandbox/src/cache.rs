//! Compiled code on disk. Loading compiled code is running it, so nothing is loaded that this host's key did not
//! authenticate, and the check comes before wasmtime sees a byte. `sandbox` asks here before it compiles.
//!
//! An entry is two files: `<component>-<settings>.entry`, which holds the digest of the code and a MAC over (settings,
//! component, code), and the code under its own digest. Both are written to a temporary name and renamed, the entry last, so
//! that no reader ever sees half of a pair. Other settings (another wasmtime, another processor) have another name: what is
//! stale is simply not found.
//!
//! What remains between check and use: the code file is hashed through the same open file that is then mapped, so exchanging
//! the *name* achieves nothing; changing the *content* in between needs write access to a file of mode 0600 in a directory
//! of mode 0700 that we verified to be ours. Whoever has that is this user already, and could as well change this program.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use agent_core::digest::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::code::VerifiedCode;
use crate::defence::{Defence, is_off};

mod space;

/// Where compiled code is kept, and the key that says it is ours.
#[derive(Clone)]
pub struct CacheOptions {
    /// A directory of the user's own state folder, never one that an agent could ship. Made with mode 0700 if absent.
    pub directory: PathBuf,
    /// Authenticates what was stored. Kept outside `directory`.
    pub key: [u8; 32],
}

/// Why an entry, or the whole directory, was not used. Its stable name is `cache_rejected`. The component is compiled
/// instead: slower, never wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheRejected {
    /// It belongs to somebody else.
    #[error("`{0}` belongs to another user")]
    ForeignOwner(String),
    /// Others may write to it.
    #[error("`{0}` may be changed by other users: `chmod go-w` it")]
    WritableByOthers(String),
    /// A symbolic link, or anything else that is not a plain file or directory.
    #[error("`{0}` is a symbolic link or a special file")]
    NotPlain(String),
    /// The entry was not made with this host's key, or was changed.
    #[error("`{0}` was not written by this host")]
    NotAuthentic(String),
    /// The code is not the code of the entry.
    #[error("`{0}` was damaged or exchanged")]
    Damaged(String),
    /// It could not be read.
    #[error("`{name}` cannot be read: {reason}")]
    Unreadable {
        /// What.
        name: String,
        /// Why.
        reason: String,
    },
}

impl CacheRejected {
    /// The stable name, as stored and shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        "cache_rejected"
    }
}

/// Code up to this size is read and loaded from the very bytes that were checked; larger code is mapped, which saves 40 ms
/// for a JavaScript engine.
const MAPPED_FROM_BYTES: u64 = 1 << 20;

/// Largest code that is considered: far above what a component of the permitted size compiles to.
const CODE_BYTES_MAX: u64 = 1 << 30;

/// All files together. A hundred large components, in two or three versions of the engine.
const DIRECTORY_BYTES_MAX: u64 = 4 << 30;

/// Read buffer for hashing.
const CHUNK_BYTES: usize = 256 << 10;

/// Bits of a mode that let others change a file.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Separates this MAC from any other that the key might make.
const MAC_DOMAIN: &[u8] = b"agent-host compiled code 1";

/// The open directory.
pub(crate) struct CodeCache {
    directory: File,
    key: [u8; 32],
}

/// What one piece of code is for: the component's bytes, compiled under these settings.
#[derive(Clone, Copy)]
pub(crate) struct CodeId {
    pub(crate) component: Digest,
    pub(crate) settings: Digest,
}

impl CodeCache {
    /// Opens the directory, which must be ours alone to change.
    pub(crate) fn open(options: &CacheOptions) -> Result<Self, CacheRejected> {
        let name = options.directory.display().to_string();
        make_directory(&options.directory).map_err(|error| unreadable(&name, &error))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &options.directory, flags, Mode::empty())
            .map_err(|error| open_error(&name, error))?;
        let directory = File::from(directory);
        check_ours(&directory, &name, FileType::Directory)?;
        Ok(Self { directory, key: options.key })
    }

    /// The code of `id`, if it is there and authentic.
    pub(crate) fn load(&self, id: CodeId) -> Result<Option<VerifiedCode>, CacheRejected> {
        let Some(entry) = self.read_entry(id)? else { return Ok(None) };
        let name = code_name(&entry.code);
        let Some(file) = self.open_file(&name)? else { return Ok(None) };
        check(file, &name, &entry).map(Some)
    }

    /// Keeps `code` for `id`.
    pub(crate) fn store(&self, id: CodeId, code: &[u8]) -> io::Result<()> {
        let entry = Entry { code: Digest::of(code), bytes: code.len() as u64 };
        self.write(&code_name(&entry.code), code)?;
        self.write(&entry_name(id), &entry.encode(&self.key, id))?;
        space::make_room(&self.directory, DIRECTORY_BYTES_MAX)
    }

    fn read_entry(&self, id: CodeId) -> Result<Option<Entry>, CacheRejected> {
        let name = entry_name(id);
        let Some(file) = self.open_file(&name)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(Entry::BYTES + 1);
        file.take(Entry::BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&name, &error))?;
        Entry::decode(&bytes, &self.key, id).map(Some).ok_or(CacheRejected::NotAuthentic(name))
    }

    fn open_file(&self, name: &str) -> Result<Option<File>, CacheRejected> {
        // Without NONBLOCK a pipe under this name would wait for a writer for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(open_error(name, error)),
        };
        check_ours(&file, name, FileType::RegularFile)?;
        Ok(Some(file))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // Of a random number: one that a killed process of the same number has left must not be in the way for ever.
        let temporary = format!(".{:016x}.tmp", RandomState::new().hash_one(name));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_data())
            .and_then(|()| Ok(rustix::fs::renameat(&self.directory, &temporary, &self.directory, name)?));
        if written.is_err() {
            // The temporary file is of no use to anybody; that it stays is not worth hiding the first error.
            let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        }
        written
    }
}

fn entry_name(id: CodeId) -> String {
    format!("{}-{}.entry", id.component.to_hex(), id.settings.to_hex())
}

fn code_name(code: &Digest) -> String {
    format!("{}.code", code.to_hex())
}

fn make_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn check_ours(file: &File, name: &str, expected: FileType) -> Result<(), CacheRejected> {
    let stat = rustix::fs::fstat(file).map_err(|error| unreadable(name, &error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != expected {
        return Err(CacheRejected::NotPlain(name.to_owned()));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(CacheRejected::ForeignOwner(name.to_owned()));
    }
    if stat.st_mode & WRITABLE_BY_OTHERS != 0 {
        return Err(CacheRejected::WritableByOthers(name.to_owned()));
    }
    Ok(())
}

fn open_error(name: &str, error: Errno) -> CacheRejected {
    // What NOFOLLOW and DIRECTORY say of a symbolic link.
    if matches!(error, Errno::LOOP | Errno::NOTDIR) {
        return CacheRejected::NotPlain(name.to_owned());
    }
    unreadable(name, &error.into())
}

fn unreadable(name: &str, error: &io::Error) -> CacheRejected {
    CacheRejected::Unreadable { name: name.to_owned(), reason: error.to_string() }
}

/// The content of an entry file: which code, and how long it is.
struct Entry {
    code: Digest,
    bytes: u64,
}

impl Entry {
    /// Digest, length, MAC.
    const BYTES: usize = 32 + 8 + 32;

    fn encode(&self, key: &[u8; 32], id: CodeId) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.extend_from_slice(self.code.as_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&mac(key, id, &out).finalize().into_bytes());
        out
    }

    /// Nothing unless the MAC is right.
    fn decode(bytes: &[u8], key: &[u8; 32], id: CodeId) -> Option<Self> {
        let (body, tag) = bytes.split_at_checked(Self::BYTES - 32)?;
        // Compares in constant time.
        let authentic = mac(key, id, body).verify_slice(tag).is_ok();
        if !authentic && !is_off(Defence::CachedCode) {
            return None;
        }
        let (code, length) = body.split_first_chunk::<32>()?;
        Some(Self { code: Digest::from_bytes(*code), bytes: u64::from_le_bytes(length.try_into().ok()?) })
    }
}

fn mac(key: &[u8; 32], id: CodeId, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(error) => unreachable!("HMAC takes keys of any length: {error}"),
    };
    // Every part has a fixed length, so no two lists of parts run into each other.
    for part in [MAC_DOMAIN, id.settings.as_bytes(), id.component.as_bytes(), body] {
        mac.update(part);
    }
    mac
}

/// The code in `file`, if it is the one that the authentic `entry` names.
fn check(mut file: File, name: &str, entry: &Entry) -> Result<VerifiedCode, CacheRejected> {
    let length = file.metadata().map_err(|error| unreadable(name, &error))?.len();
    if length != entry.bytes || length > CODE_BYTES_MAX {
        return Err(CacheRejected::Damaged(name.to_owned()));
    }
    let (code, digest) = if length < MAPPED_FROM_BYTES {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&file).take(length).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error))?;
        let digest = Digest::of(&bytes);
        (VerifiedCode::Bytes(bytes), digest)
    } else {
        let digest = digest_of_file(&mut file).map_err(|error| unreadable(name, &error))?;
        (VerifiedCode::File(file), digest)
    };
    if digest == entry.code { Ok(code) } else { Err(CacheRejected::Damaged(name.to_owned())) }
}

fn digest_of_file(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = CODE_BYTES_MAX;
    while left > 0 {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        hasher.update(&chunk[..count]);
        left = left.saturating_sub(count as u64);
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}
