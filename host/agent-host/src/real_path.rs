//! Where the directories that rules name really are. A rule is text, and a link in it could lead anywhere, today here and
//! tomorrow there; so links are resolved once, before anything is decided, shown or trusted, and what is granted is the
//! directory itself. The sandbox then refuses a granted directory whose path leads through a link after all.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

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

/// Most links of one path, as on Linux: no file is opened by more.
const LINKS_MAX: usize = 40;

/// What is gone through on the way to a path. Who may exchange one of these leads elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The links, by where they stand, and last what is reached.
    pub stops: Vec<PathBuf>,
    /// Folders that are gone into and left again by `..`: by a link in the place of one it would be left for another folder.
    pub left: BTreeSet<PathBuf>,
}

/// The way to a path. No longer than the system would go: a link has as many names as a path.
#[must_use]
pub fn way_to(path: &Path) -> Way {
    // Without a working directory nothing was found by a relative path either.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut ahead: Vec<OsString> = names(&absolute);
    let (mut here, mut way) = (PathBuf::from("/"), Way::default());
    while let Some(name) = ahead.pop() {
        if name == ".." {
            if here.parent().is_some() {
                way.left.insert(here.clone());
            }
            here.pop();
            continue;
        }
        let place = here.join(name);
        match place.read_link() {
            Ok(target) if way.stops.len() < LINKS_MAX => {
                way.stops.push(place);
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                ahead.extend(names(&target));
            }
            Ok(_) | Err(_) => here = place,
        }
    }
    way.stops.push(here);
    way
}

/// The names of a path, the last one first; `..` is one of them.
fn names(path: &Path) -> Vec<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).rev().collect()
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

    #[test]
    fn all_that_is_on_the_way_is_known() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        std::fs::create_dir_all(folder.join("real/inner"))?;
        symlink("../real", folder.join("real/again"))?;
        symlink("real/again/../real", folder.join("first"))?;
        symlink("loop", folder.join("loop"))?;
        let way = |path: &str| -> (Vec<String>, Vec<String>) {
            let relative =
                |path: &PathBuf| path.strip_prefix(&folder).map(|path| path.display().to_string()).unwrap_or_default();
            let Way { stops, left } = way_to(&folder.join(path));
            (stops.iter().map(relative).collect(), left.iter().map(relative).collect())
        };
        let nothing = || Vec::<String>::new();
        assert_eq!(way("real/inner/file"), (vec!["real/inner/file".to_owned()], nothing()));
        let stops = ["first", "real/again", "real/inner"].map(str::to_owned).to_vec();
        assert_eq!(way("first/./inner"), (stops, vec!["real".to_owned()]));
        let left = ["real/inner", "scripts"].map(str::to_owned).to_vec();
        assert_eq!(way("scripts/../real/inner/../file"), (vec!["real/file".to_owned()], left));
        assert_eq!(way("loop").0.len(), LINKS_MAX + 1);
        assert_eq!(way_to(Path::new("/../..")), Way { stops: vec![PathBuf::from("/")], left: BTreeSet::new() });
        Ok(())
    }
}
