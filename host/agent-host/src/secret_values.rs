//! The values of secrets: read once, from where the operator says, before a run starts or goes on; so that one which is
//! missing or cannot be used is an error before anything happens. Handed to the sandbox, and to nothing that is stored. What the
//! desktop's keyring has was asked for earlier, by `keyring`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use agent_core::effect::EffectRequest;
use agent_core::grant::{Grant, SecretGrant};
use agent_core::redact::Redactor;
use agent_core::secret::{SecretSource, SecretValue, VALUE_BYTES_MAX};
use agent_sandbox::secrets::CallSecrets;
use anyhow::{Context, bail, ensure};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::keyring::Keyring;
use crate::named;

/// Permission bits that let others than its owner at a file.
const OTHERS: u32 = 0o077;

/// The secrets of a run.
#[derive(Default)]
pub struct SecretValues {
    by_source: BTreeMap<String, Arc<SecretValue>>,
    redactor: Redactor,
}

impl SecretValues {
    /// Reads the value of every secret of these grants, or takes it from what the keyring answered.
    ///
    /// # Errors
    /// Where one is missing or cannot be used, with what to do about it.
    pub fn read<'g>(grants: impl IntoIterator<Item = &'g Grant>, keyring: &Keyring) -> anyhow::Result<Self> {
        let mut by_source = BTreeMap::new();
        for secret in grants.into_iter().flat_map(|grant| &grant.secrets) {
            if let Entry::Vacant(unread) = by_source.entry(secret.from.to_string()) {
                unread.insert(Arc::new(value(secret, keyring)?));
            }
        }
        let redactor = Redactor::new(by_source.values().map(AsRef::as_ref));
        Ok(Self { by_source, redactor })
    }

    /// What a call under `grant` may use. The redactor is that of all secrets, whoever holds them.
    #[must_use]
    pub fn of(&self, grant: &Grant) -> CallSecrets {
        let value = |secret: &SecretGrant| {
            let value = self.by_source.get(&secret.from.to_string())?;
            Some((secret.name.clone(), Arc::clone(value)))
        };
        CallSecrets::new(grant.secrets.iter().filter_map(value).collect(), self.redactor.clone())
    }

    /// A request as it may be recorded and shown to a person.
    #[must_use]
    pub fn without_secrets(&self, request: &EffectRequest) -> EffectRequest {
        CallSecrets::new(Vec::new(), self.redactor.clone()).without_secrets(request.clone())
    }
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_source.keys()).finish()
    }
}

fn value(secret: &SecretGrant, keyring: &Keyring) -> anyhow::Result<SecretValue> {
    let (name, from) = (&secret.name, &secret.from);
    let read = match from {
        SecretSource::Env(variable) => of_variable(variable.as_str()),
        SecretSource::File(file) => of_file(Path::new(file.as_str())),
        SecretSource::Keyring(entry) => keyring.value(entry).map(str::to_owned),
    };
    let blocked = |message: String| anyhow::Error::from(named::Name::SecretBlocked.because(message));
    let text = read.map_err(|error| blocked(format!("the secret `{name}` has no value: {error:#}")))?;
    SecretValue::new(text).map_err(|weak| blocked(format!("the secret `{name}` from `{from}` cannot be used: {weak}")))
}

fn of_variable(variable: &str) -> anyhow::Result<String> {
    let elsewhere = "`--secret NAME=env:OTHER`, `NAME=file:PATH` or `NAME=keyring:SERVICE/ACCOUNT`";
    let hint = format!("`export {variable}=…`, or say where else it is: {elsewhere}");
    let value = std::env::var_os(variable);
    let value = value.with_context(|| format!("the environment variable `{variable}` is not set\n  hint: {hint}"))?;
    // Not the error of the conversion: it holds the value.
    value.into_string().ok().with_context(|| format!("the environment variable `{variable}` is no text"))
}

/// The text of a file that nobody but this user reads, without the newline at its end.
fn of_file(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    // Without `NONBLOCK`, opening a pipe would wait for whoever writes to it.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path);
    let file = file.with_context(|| format!("cannot open `{shown}`"))?;
    let metadata = file.metadata().with_context(|| format!("cannot look at `{shown}`"))?;
    ensure!(metadata.is_file(), "`{shown}` is not a regular file");
    ensure!(metadata.uid() == rustix::process::geteuid().as_raw(), "`{shown}` belongs to another user");
    let others = metadata.mode() & OTHERS;
    ensure!(
        others == 0,
        "others than you can get at `{shown}` (mode {:04o})\n  hint: `chmod 600 {shown}`",
        metadata.mode() & 0o7777
    );
    // Room for all of it at once: what a growing vector leaves behind would not be wiped.
    let most = VALUE_BYTES_MAX + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read `{shown}`"))?;
    ensure!(bytes.len() <= most, "`{shown}` is longer than the {VALUE_BYTES_MAX} bytes that a header may have");
    match without_newline(&mut bytes) {
        Some(text) => Ok(text.to_owned()),
        None => bail!("`{shown}` is not text"),
    }
}

/// The text without the newline at its end; `None` where it is no text.
#[must_use]
pub fn without_newline(bytes: &mut Vec<u8>) -> Option<&str> {
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use agent_core::grant::RuleSource;

    use super::*;

    fn grant(from: &str) -> anyhow::Result<Grant> {
        let secret = SecretGrant {
            name: "API_TOKEN".parse()?,
            url: "https://api.example.com".parse()?,
            header: "authorization".parse()?,
            format: "{}".parse()?,
            from: from.parse()?,
            source: RuleSource("test".to_owned()),
        };
        Ok(Grant { secrets: vec![secret], ..Grant::nothing() })
    }

    fn said(from: &str) -> anyhow::Result<String> {
        let read = SecretValues::read([&grant(from)?], &Keyring::default());
        Ok(read.map_or_else(|error| format!("{error:#}"), |values| format!("{values:?}")))
    }

    #[test]
    fn a_file_is_read_only_if_it_is_its_owners_alone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("token");
        let from = format!("file:{}", path.display());
        let cut = |text: String| text.replace(&folder.path().display().to_string(), "[FOLDER]");
        insta::assert_snapshot!(cut(said(&from)?), @"the secret `API_TOKEN` has no value: cannot open `[FOLDER]/token`: No such file or directory (os error 2)");
        fs::write(&path, "tok-7f3Qx9Zw\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
        insta::assert_snapshot!(cut(said(&from)?), @"
        the secret `API_TOKEN` has no value: others than you can get at `[FOLDER]/token` (mode 0640)
          hint: `chmod 600 [FOLDER]/token`
        ");
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            assert_eq!(cut(said(&from)?), r#"["file:[FOLDER]/token"]"#);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        for (content, why) in
            [("short\n", "fewer than 8"), ("password\n", "common word"), ("two-lines-1\nof-it-2\n", "control")]
        {
            fs::write(&path, content)?;
            let said = said(&from)?;
            assert!(said.contains(why) && !said.contains(content.trim()), "{said}");
        }
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)?;
        assert!(said(&format!("file:{}", pipe.display()))?.contains("not a regular file"));
        Ok(())
    }

    #[test]
    fn a_variable_that_is_missing_says_what_to_do() -> anyhow::Result<()> {
        insta::assert_snapshot!(said("env:NO_SUCH_TOKEN_HERE")?, @"
        the secret `API_TOKEN` has no value: the environment variable `NO_SUCH_TOKEN_HERE` is not set
          hint: `export NO_SUCH_TOKEN_HERE=…`, or say where else it is: `--secret NAME=env:OTHER`, `NAME=file:PATH` or `NAME=keyring:SERVICE/ACCOUNT`
        ");
        Ok(())
    }

    #[test]
    fn an_entry_that_the_keyring_was_not_asked_for_says_what_to_do() -> anyhow::Result<()> {
        insta::assert_snapshot!(said("keyring:orders/ada")?, @"
        the secret `API_TOKEN` has no value: the keyring was not asked for `orders/ada` when this began
          hint: start it again
        ");
        Ok(())
    }
}
