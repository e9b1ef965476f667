//! `policy.toml`: the operator's own rules, in the user's configuration or named by `--policy`. It has no other tables than
//! the rules, so it reads as an [`Authority`].

use super::authority::Authority;
use super::file::read_file;
use super::problem::{ProblemKind, Problems};
use super::rules::{Speaker, read_authority};

/// Reads the text of a policy. `file` is its name in messages; `base_dir` is the absolute directory against which relative
/// directories resolve.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_policy(file: &str, base_dir: &str, text: &str) -> Result<Authority, Problems> {
    read_file(ProblemKind::PolicyInvalid, file, text, |root| Some(read_authority(root, base_dir, Speaker::Operator)))
}
