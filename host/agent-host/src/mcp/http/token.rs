//! The token that a client over HTTP shows. Kept in a file of the user's own state folder, so that a client is told of it once;
//! never on a command line, in an address or in a log.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock;

/// Shortest token that is taken: less could be guessed.
const BYTES_MIN: usize = 16;
/// Longest.
const BYTES_MAX: usize = 1_024;

/// A token. Shows nothing, and is compared in a time that says nothing about it.
pub struct Token {
    key: Zeroizing<[u8; 32]>,
    code: Zeroizing<Vec<u8>>,
}

impl Token {
    /// The token in `file`, made with the file where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or made, is not this user's alone, or holds no token.
    pub fn load_or_create(file: &Path) -> anyhow::Result<Self> {
        match create(file) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(error).with_context(|| format!("cannot make the token file `{}`", file.display()))
            }
            // Another server may have been faster.
            Ok(()) | Err(_) => Self::load(file),
        }
    }

    /// The token in `file`.
    ///
    /// # Errors
    /// As [`Token::load_or_create`].
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        // What is looked at is what is read; and nothing waits for whoever writes to a pipe.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits())?;
        let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(file);
        let opened = opened.map_err(|error| {
            anyhow!("cannot open the token file `{shown}`: {error}\n  hint: leave `--token-file` out, and one is made")
        })?;
        let metadata = opened.metadata().with_context(|| format!("cannot look at the token file `{shown}`"))?;
        ensure!(metadata.is_file() && metadata.len() <= BYTES_MAX as u64, "`{shown}` is no file with a token in it");
        if metadata.mode() & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
            bail!("others can read the token in `{shown}`\n  hint: `chmod 600 {shown}`");
        }
        let mut text = Zeroizing::new(String::with_capacity(BYTES_MAX));
        let read = opened.take(BYTES_MAX as u64).read_to_string(&mut text);
        read.with_context(|| format!("cannot read `{shown}`"))?;
        let token = text.trim();
        ensure!(token.len() >= BYTES_MIN, "the token in `{shown}` is shorter than {BYTES_MIN} characters");
        Self::of(token)
    }

    fn of(token: &str) -> anyhow::Result<Self> {
        let key = Zeroizing::new(clock::random::<32>()?);
        let code = Zeroizing::new(code(&key, token).finalize().into_bytes().to_vec());
        Ok(Self { key, code })
    }

    /// Whether this is it.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        code(&self.key, shown).verify_slice(&self.code).is_ok()
    }
}

/// Of equal length whatever is shown, and compared in constant time by the library.
fn code(key: &[u8; 32], token: &str) -> Hmac<Sha256> {
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("any key will do") };
    code.update(token.as_bytes());
    code
}

/// Makes the file whole or not at all, and never in the place of another.
fn create(file: &Path) -> std::io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let random = clock::random::<32>().map_err(std::io::Error::other)?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(random));
    // Its owner's alone, by the library's default.
    let mut made = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))?;
    writeln!(made, "{}", token.as_str())?;
    made.as_file().sync_all()?;
    made.persist_noclobber(file).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_is_the_users_alone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("token");
        let made = Token::load_or_create(&file)?;
        let text = fs::read_to_string(&file)?;
        assert!(made.is(text.trim()) && Token::load_or_create(&file)?.is(text.trim()));
        for wrong in ["", "x", &text, &text.trim()[1..]] {
            assert!(!made.is(wrong), "{wrong}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        let refused = Token::load(&file).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("others can read"), "{refused}");
        let missing = Token::load(&folder.path().join("none")).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(missing.contains("leave `--token-file` out"), "{missing}");
        Ok(())
    }
}
