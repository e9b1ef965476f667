//! The host key: 32 random bytes that only this user's host has. With it the host marks the events it wrote, and whatever
//! else it must recognise as its own. It lives in the user's state folder, never in a folder that an agent could ship.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::error::JournalError;
use super::{draft, folder};

const FILE: &str = "host.key";
const BYTES: usize = 32;

/// The secret of this host. It has no `Debug`, is never shown, and leaves only as a derived key.
pub struct HostKey([u8; BYTES]);

impl HostKey {
    /// Reads the key from the user's state folder. The first use makes it.
    ///
    /// # Errors
    /// Where the folder or file cannot be used, is not safely this user's, or does not hold a key.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, JournalError> {
        let path = folder::prepare_folder(state_dir)?.join(FILE);
        if let Some(key) = load(&path)? {
            return Ok(key);
        }
        create(&path)?;
        // Read back, since another process may have been first.
        load(&path)?.ok_or(JournalError::StoreGone { path })
    }

    /// A key that is in no file.
    #[cfg(test)]
    pub(super) fn of_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The key for one purpose. Keys of different purposes say nothing about each other.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; BYTES] {
        keyed(&self.0).chain_update(b"agent-host derive 1\0").chain_update(purpose).finalize().into_bytes().into()
    }
}

/// An HMAC that is ready for its message.
pub(super) fn keyed(key: &[u8; BYTES]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        Err(error) => unreachable!("HMAC takes a key of any length: {error}"),
    }
}

fn load(path: &Path) -> Result<Option<HostKey>, JournalError> {
    match folder::check_file(path) {
        Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        checked => checked?,
    };
    let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path).map_err(JournalError::io(path))?;
    let mut bytes = Vec::with_capacity(BYTES + 1);
    file.take(BYTES as u64 + 1).read_to_end(&mut bytes).map_err(JournalError::io(path))?;
    match bytes.try_into() {
        Ok(key) => Ok(Some(HostKey(key))),
        Err(_) => Err(JournalError::Unsafe { path: path.to_path_buf(), why: "it does not hold 32 bytes" }),
    }
}

/// Written under another name first and then renamed, so that nobody ever reads half a key, and the first one wins. It has one
/// name at every moment: another process that looks, or finds what is left of this one, sees no key or the whole of it.
fn create(path: &Path) -> Result<(), JournalError> {
    let mut key = [0; BYTES];
    getrandom::fill(&mut key).map_err(JournalError::Random)?;
    let draft = draft::name(path)?;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(&key)?;
        file.sync_all()?;
        draft::put_in_place(&draft, path)
    });
    if let Err(error) = written {
        let removed = std::fs::remove_file(&draft);
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(JournalError::io(path)(error));
        }
        removed.map_err(JournalError::io(path))?;
    }
    folder::sync_folder(path.parent())
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_key_is_made_once_and_kept() {
        let state = tempfile::tempdir().unwrap();
        let first = HostKey::load_or_create(state.path()).unwrap();
        let again = HostKey::load_or_create(state.path()).unwrap();
        assert_eq!(first.0, again.0);
        assert_ne!(first.0, [0; BYTES]);
        let names: Vec<_> = std::fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["host.key"], "no draft is left");
        let mode = state.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn many_at_once_agree_on_one_key() {
        for _ in 0..50 {
            let state = tempfile::tempdir().unwrap();
            let keys: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| HostKey::load_or_create(state.path()).map(|key| key.0))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
            });
            assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    /// Whoever is killed while it makes the key leaves a draft, and nothing that others stumble over.
    #[test]
    fn a_draft_that_was_left_is_in_nobodys_way() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("host.0011223344556677"), [1; BYTES]).unwrap();
        let first = HostKey::load_or_create(state.path()).unwrap();
        assert_ne!(first.0, [1; BYTES]);
        assert_eq!(first.0, HostKey::load_or_create(state.path()).unwrap().0);
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join(FILE), "short").unwrap();
        assert!(matches!(HostKey::load_or_create(state.path()), Err(JournalError::Unsafe { .. })));
        assert_eq!(std::fs::read(state.path().join(FILE)).unwrap(), b"short");
    }

    #[test]
    fn purposes_have_different_keys() {
        let key = HostKey([7; BYTES]);
        assert_ne!(key.derive("journal"), key.derive("code cache"));
        assert_eq!(key.derive("journal"), HostKey([7; BYTES]).derive("journal"));
    }
}
