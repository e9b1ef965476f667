//! The names that a call has looked up. A lookup tells the name to whoever answers for its domain, so under a wildcard grant
//! each new name is a message: their number is bounded.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use url::{Host, Url};

use crate::hosts::http::exchange::Failure;

/// Names of one call, each counted once.
#[derive(Debug)]
pub(crate) struct Lookups {
    names: Mutex<BTreeSet<String>>,
    most: usize,
}

impl Lookups {
    /// Room for `most` names.
    pub(super) fn new(most: usize) -> Self {
        Self { names: Mutex::default(), most }
    }

    /// Lets the host of `url` be looked up, or says that the call has looked up too many. An address needs no lookup.
    pub(super) fn admit(&self, url: &Url) -> Result<(), Failure> {
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return Ok(());
        }
        if names.len() >= self.most {
            return Err(Failure::limit(format!("a call may look up the names of {} hosts", self.most)));
        }
        names.insert(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_counts_once_and_addresses_do_not() -> Result<(), url::ParseError> {
        let lookups = Lookups::new(2);
        let cases = [
            ("https://a.example/", true),
            ("https://b.example/", true),
            ("https://a.example/again", true),
            ("https://c.example/", false),
            ("http://127.0.0.1/", true),
        ];
        for (url, admitted) in cases {
            assert_eq!(lookups.admit(&Url::parse(url)?).is_ok(), admitted, "{url}");
        }
        Ok(())
    }
}
