//! Saving a person's answer as a rule in the policy of the user's state folder.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use agent_core::config::authority::GrantRule;
use agent_core::config::policy::parse_policy;
use anyhow::Context;

use crate::input;

/// Makes an empty policy of mode 0600 where there is none: the file wall around a run knows files, not names.
///
/// # Errors
/// Where it cannot be made.
pub fn make(file: &Path) -> anyhow::Result<()> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
    made.map(drop).with_context(|| format!("cannot make policy `{}`", file.display()))
}

/// Adds a rule at the end of the policy file, keeping what the person wrote in it. The file as it would then be is checked
/// before. Written in place and at once, since a run may change this one file of the state folder and no other.
///
/// # Errors
/// Where the file cannot be read, would not be understood, or cannot be written.
pub fn append(file: &Path, rule: &GrantRule) -> anyhow::Result<()> {
    let shown = file.display().to_string();
    let before = if input::is_there(file)? { input::read_config(file, &shown)? } else { String::new() };
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    let added = format!("{gap}{}", rule.to_toml());
    let after = format!("{before}{added}");
    let folder = file.parent().and_then(Path::to_str).context("the policy's path is not UTF-8")?;
    parse_policy(&shown, folder, &after).context("the policy with the new rule would not be understood")?;
    let write = || {
        let mut policy = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
        policy.write_all(added.as_bytes())?;
        policy.sync_all()
    };
    write().with_context(|| format!("cannot write `{shown}`"))
}

#[cfg(test)]
mod tests {
    use agent_core::config::host_path::HostPath;
    use agent_core::digest::Digest;
    use agent_core::grant::{Access, RuleSource};

    use super::*;

    #[test]
    fn a_saved_rule_stands_beside_what_the_person_wrote() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, "# mine\n[[approval]]\ntool = \"files.write\"\n")?;
        let host = HostPath::join("/", "/home/me/notes").map_err(anyhow::Error::from)?;
        let source = RuleSource("answered".into());
        let rule = GrantRule::directory_for(&"files.read".parse()?, host, Access::Read, source);
        append(&file, &rule.only_for(Digest::of(b"component")))?;
        insta::assert_snapshot!(std::fs::read_to_string(&file)?, @r#"
        # mine
        [[approval]]
        tool = "files.write"

        [[grant]]
        tool = "files"
        component = "sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa"
        fs = [{ host = "/home/me/notes", access = "read" }]
        "#);
        Ok(())
    }
}
