//! Where the directories that rules name really are. A rule is text, and a link in it could lead anywhere, today here and
//! tomorrow there; so links are resolved once, before anything is decided, shown or trusted, and what is granted is the
//! directory itself. The sandbox then refuses a granted directory whose path leads through a link after all.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agent_core::config::authority::Authority;
use agent_core::config::host_path::HostPath;
use anyhow::{Context, anyhow};

/// The rules with every directory by its real path. A denied directory keeps its written name beside the real one: both are
/// out of bounds.
///
/// # Errors
/// Where a granted directory leads to one that is never granted, or cannot be looked at.
pub fn resolved(mut authority: Authority) -> anyhow::Result<Authority> {
    for grant in &mut authority.grants {
        for fs in &mut grant.fs {
            let (written, source) = (&fs.host, &grant.source);
            let real = real(written).with_context(|| format!("{source}: cannot grant `{written}`"))?;
            fs.host = real;
        }
    }
    for deny in &mut authority.denies {
        let real: Vec<HostPath> = deny.fs.iter().filter_map(|path| real(path).ok()).collect();
        let new: Vec<HostPath> = real.into_iter().filter(|path| !deny.fs.contains(path)).collect();
        deny.fs.extend(new);
    }
    Ok(authority)
}

/// A path without links, as far as it exists.
///
/// # Errors
/// Where it leads to what no rule can name, or cannot be looked at.
pub fn real(written: &HostPath) -> anyhow::Result<HostPath> {
    let real = deepest_real(Path::new(written.as_str()))?;
    let text = real.to_str().context("the path that it leads to is not UTF-8")?;
    if text == written.as_str() {
        return Ok(written.clone());
    }
    text.parse().map_err(|error| anyhow!("it leads to `{text}`: {error}"))
}

/// What of `path` exists, without links, and the rest as it is.
///
/// # Errors
/// Where it cannot be looked at, or a link in it leads nowhere.
pub fn deepest_real(path: &Path) -> anyhow::Result<PathBuf> {
    for existing in path.ancestors() {
        match existing.canonicalize() {
            // Joining nothing would add a slash.
            Ok(real) if existing == path => return Ok(real),
            Ok(real) => return Ok(real.join(path.strip_prefix(existing)?)),
            // A link whose target is missing may one day lead anywhere.
            Err(error) if error.kind() == ErrorKind::NotFound && !existing.is_symlink() => {}
            Err(error) => return Err(error).with_context(|| format!("cannot look at `{}`", existing.display())),
        }
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use agent_core::config::policy::parse_policy;

    use super::*;

    /// The directories that the rules in `text`, of a file in `folder`, grant and deny; without the folder's own path.
    fn directories(folder: &Path, text: &str) -> anyhow::Result<Vec<String>> {
        let base = folder.to_str().context("UTF-8")?;
        let rules = resolved(parse_policy("policy.toml", base, text)?)?;
        let granted = rules.grants.iter().flat_map(|rule| rule.fs.iter().map(|fs| fs.host.to_string()));
        let denied = rules.denies.iter().flat_map(|rule| rule.fs.iter().map(ToString::to_string));
        Ok(granted.chain(denied).map(|path| path.trim_start_matches(base).to_owned()).collect())
    }

    #[test]
    fn a_rule_speaks_of_the_directory_that_its_links_lead_to() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        std::fs::create_dir_all(folder.join("private/keys"))?;
        symlink("private", folder.join("docs"))?;
        symlink("nowhere", folder.join("dangling"))?;
        symlink("/proc/self", folder.join("process"))?;
        let grant = |host: &str| format!("[[grant]]\ntool = \"*\"\nfs = [{{ host = \"{host}\", access = \"read\" }}]");
        assert_eq!(directories(&folder, &grant("./docs"))?, ["/private"]);
        assert_eq!(directories(&folder, &grant("./docs/keys"))?, ["/private/keys"]);
        assert_eq!(directories(&folder, &grant("./docs/later"))?, ["/private/later"]);
        assert_eq!(directories(&folder, &grant("./private"))?, ["/private"]);
        assert_eq!(directories(&folder, "[[deny]]\nfs = [\"./docs\"]")?, ["/docs", "/private"]);
        for refused in ["./dangling", "./process"] {
            assert!(directories(&folder, &grant(refused)).is_err(), "{refused}");
        }
        Ok(())
    }
}
