//! An entry of the desktop's keyring, as the source of a secret names it: `keyring:SERVICE/ACCOUNT`. Only its name: the program
//! around this asks the keyring for the value.

use std::fmt;
use std::str::FromStr;

use crate::hidden::is_hidden;
use crate::pattern::stored_as_text;

/// Longest name of a service or of an account in bytes: longer than any address, and still read in one line.
const NAME_BYTES_MAX: usize = 256;

/// One entry: a service, and whose account it is there. Both become arguments of the desktop's own program, so neither can be
/// taken for an option of it, and neither holds what a person does not see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyringEntry {
    service: String,
    account: String,
}

/// The text names no entry. Shows nothing of it: it may be the secret, typed in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the keyring is `SERVICE/ACCOUNT`: two names, neither of which begins with `-`")]
pub struct InvalidEntry;

impl KeyringEntry {
    /// The service, which may be a URL.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The account. Has no `/`.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }
}

impl FromStr for KeyringEntry {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let (service, account) = text.rsplit_once('/').ok_or(InvalidEntry)?;
        let good = is_name(service) && is_name(account);
        good.then(|| Self { service: service.to_owned(), account: account.to_owned() }).ok_or(InvalidEntry)
    }
}

impl fmt::Display for KeyringEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

stored_as_text!(KeyringEntry);

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.trim() == text
        && !text.starts_with('-')
        && !text.contains(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_names_that_no_program_takes_for_options() {
        for (text, service, account) in [
            ("orders/ada", "orders", "ada"),
            ("https://api.example.com/orders/ada@example.com", "https://api.example.com/orders", "ada@example.com"),
            ("my shop/ada lovelace", "my shop", "ada lovelace"),
            ("it's $HOME/`id`", "it's $HOME", "`id`"),
        ] {
            let entry: Result<KeyringEntry, _> = text.parse();
            let parts = entry.as_ref().map(|entry| (entry.service(), entry.account()));
            assert_eq!(parts, Ok((service, account)));
            assert_eq!(entry.map(|entry| entry.to_string()), Ok(text.to_owned()));
        }
        let long = format!("{}/ada", "a".repeat(NAME_BYTES_MAX + 1));
        for bad in [
            "",
            "/",
            "orders",
            "orders/",
            "/ada",
            "--unlock/ada",
            "orders/-a",
            " orders/ada",
            "orders/ada ",
            "orders/a\nda",
            "ord\u{202e}ers/ada",
            "orders\0/ada",
            &long,
        ] {
            assert_eq!(bad.parse::<KeyringEntry>(), Err(InvalidEntry), "{bad:?}");
        }
    }
}
