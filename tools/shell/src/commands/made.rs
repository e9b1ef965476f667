//! What one call of `cp` or `mv` has made. `mv a/x b/x folder` would make the second take the place of the first, which is gone then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::normal;
use crate::stop::{Outcome, Stop};

/// What was made, each with what it was made of.
#[derive(Default)]
pub(super) struct Made(BTreeMap<PathBuf, PathBuf>);

impl Made {
    pub(super) fn add(&mut self, from: &Path, into: &Path) {
        self.0.insert(normal(into), normal(from));
    }

    /// Whether just this was done already: the same source was named twice.
    pub(super) fn has(&self, from: &Path, into: &Path) -> bool {
        self.0.get(&normal(into)) == Some(&normal(from))
    }

    pub(super) fn refuse(&self, source: &str, to: &str, into: &Path) -> Outcome<()> {
        if self.0.contains_key(&normal(into)) {
            return Err(Stop::failed(format!("will not overwrite just-created '{to}' with '{source}'")));
        }
        Ok(())
    }
}
