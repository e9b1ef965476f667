//! Signatures of heads: with a signing key in the settings, the end of each run is signed, and whoever has the public key can
//! tell that nothing before it was changed, without this host's own key. Made when a run stops, checked by `journal verify`.

use std::path::Path;

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::run_events::HeadSigned;
use anyhow::{Context, ensure};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::input;

/// What a signature is over, first of all: a head of this form and no other thing.
const DOMAIN: &[u8] = b"agent-host journal head 1";

/// Longest key file in bytes: one of this kind has about 120.
const KEY_BYTES_MAX: u64 = 16 << 10;

/// A private key that signs heads. It has no `Debug` and is never shown.
pub struct SigningKey(Ed25519KeyPair);

/// Whether a signature is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// By the key that it names, over this head.
    Truly,
    /// By nobody, or over something else.
    Not,
}

impl SigningKey {
    /// Reads the key file: an Ed25519 key in PKCS#8 as PEM, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// Where the file cannot be read, others may read it, or it holds another kind of key.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let hint = "hint: `openssl genpkey -algorithm ed25519 -out FILE && chmod 600 FILE` makes one";
        check_private(file).with_context(|| format!("signing key `{shown}`"))?;
        let pem =
            input::read_bytes(file, KEY_BYTES_MAX).with_context(|| format!("cannot read signing key `{shown}`"))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem)
            .map_err(|_| anyhow::anyhow!("signing key `{shown}` is not a private key in PEM\n  {hint}"))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|_| anyhow::anyhow!("signing key `{shown}` is not an Ed25519 key\n  {hint}"))?;
        Ok(Self(pair))
    }

    /// The public key: 64 hexadecimal digits.
    #[must_use]
    pub fn public(&self) -> String {
        hex::encode(self.0.public_key().as_ref())
    }

    /// Signs the end of a run.
    #[must_use]
    pub fn sign(&self, run: &RunId, seq: u64, head: &Digest) -> HeadSigned {
        let signature = self.0.sign(&message(run, seq, head));
        HeadSigned { key: self.public(), signature: hex::encode(signature.as_ref()) }
    }
}

/// Whether the signature is over this head.
#[must_use]
pub fn check(signed: &HeadSigned, run: &RunId, seq: u64, head: &Digest) -> Signed {
    let (Ok(key), Ok(signature)) = (hex::decode(&signed.key), hex::decode(&signed.signature)) else {
        return Signed::Not;
    };
    match UnparsedPublicKey::new(&ED25519, key).verify(&message(run, seq, head), &signature) {
        Ok(()) => Signed::Truly,
        Err(_) => Signed::Not,
    }
}

fn message(run: &RunId, seq: u64, head: &Digest) -> [u8; 32] {
    *Digest::of_parts(&[DOMAIN, run.as_str().as_bytes(), &seq.to_le_bytes(), head.as_bytes()]).as_bytes()
}

/// Whoever can read the key can sign in its owner's name.
fn check_private(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(file).context("it is not there")?;
    ensure!(found.mode() & 0o077 == 0, "others may read or write it\n  hint: `chmod 600 {}`", file.display());
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use agent_core::units::UnixMillis;
    use std::os::unix::fs::PermissionsExt as _;

    /// Test 1 of RFC 8032, section 7.1, in PKCS#8.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn key_file(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, file)
    }

    #[test]
    fn a_signature_is_over_one_head_of_one_run() {
        let (_folder, file) = key_file(KEY, 0o600);
        let key = SigningKey::read(&file).unwrap();
        assert_eq!(key.public(), PUBLIC);
        let run = |number| RunId::from_parts(UnixMillis(number), [0; 10]);
        let head = Digest::of(b"head");
        let signed = key.sign(&run(1), 7, &head);
        assert_eq!(check(&signed, &run(1), 7, &head), Signed::Truly);
        assert_eq!(check(&signed, &run(2), 7, &head), Signed::Not);
        assert_eq!(check(&signed, &run(1), 8, &head), Signed::Not);
        assert_eq!(check(&signed, &run(1), 7, &Digest::of(b"other")), Signed::Not);
        for broken in ["", "zz", &"0".repeat(64)] {
            let other_key = HeadSigned { key: broken.to_owned(), ..signed.clone() };
            assert_eq!(check(&other_key, &run(1), 7, &head), Signed::Not, "{broken}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_or_of_another_kind_is_refused() {
        let refused = |text: &str, mode| {
            let (_folder, file) = key_file(text, mode);
            format!("{:#}", SigningKey::read(&file).err().unwrap())
        };
        assert!(refused(KEY, 0o640).contains("chmod 600"));
        assert!(refused("hello", 0o600).contains("not a private key in PEM"));
        assert!(refused(&KEY.replace("MC4C", "MC4D"), 0o600).contains("not an Ed25519 key"));
    }
}
