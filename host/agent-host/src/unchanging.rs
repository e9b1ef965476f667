//! What no tool may change: the operator's policy and settings, the agent file, and what tools are loaded from. Who writes there grants
//! himself everything, or puts another tool in the place of one, in the next run. So it stays as it is inside a directory that is
//! granted for changes. A grant of one of these folders itself is an error: whoever wrote it expected something that will not happen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agent_core::config::authority::{Authority, DenyRule};
use agent_core::config::host_path::{HostPath, InvalidHostPath};
use agent_core::config::problem::{Problem, ProblemKind, Problems};
use agent_core::config::selector::Selector;
use agent_core::grant::{Access, RuleSource};
use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::real_path;
use crate::rules::Rules;
use crate::tool_folders::{Found, MANIFEST, ManifestAt, Origin};

/// Files and folders that no tool may change. Passed between two processes of one run, never stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unchanging {
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// What it is, for a person: "the policy".
    what: String,
    path: HostPath,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A file, or a link on the way to something.
    File,
    /// The folder of a tool that was named itself.
    Tool,
    /// A folder of tools: a folder right in it would be one more.
    Tools,
    /// The folder around something that no rule can name, and so none can leave out.
    Around,
}

impl Unchanging {
    /// The operator's own files: the policy that this command names, the saved one, and the settings. Those of the state folder
    /// can be granted to nobody; here it is about where a link there leads.
    ///
    /// # Errors
    /// Where the named policy cannot be found.
    pub fn of_operator(home: &Home, policy: Option<&Path>) -> anyhow::Result<Self> {
        let mut kept = Self::default();
        if let Some(policy) = policy {
            policy.canonicalize().with_context(|| format!("cannot find policy `{}`", policy.display()))?;
            kept.add_way("the policy", policy);
        }
        let root = home.root().canonicalize().ok();
        for (what, file) in [("the saved policy", home.policy_file()), ("the settings", home.settings_file())] {
            // One that is not there, or leads nowhere, is told of where it is read.
            if file.canonicalize().is_ok() {
                let elsewhere = |path: &&PathBuf| root.as_ref().is_none_or(|root| !path.starts_with(root));
                real_path::way_to(&file).iter().filter(elsewhere).for_each(|path| kept.add(what, path, Kind::File));
            }
        }
        Ok(kept)
    }

    /// The same with what these tools are loaded from.
    #[must_use]
    pub fn and_tools<'f>(mut self, tools: impl IntoIterator<Item = &'f Found>) -> Self {
        for found in tools {
            let what = format!("the tool `{}`", found.name);
            let folder = here_or(found.wasm.parent().unwrap_or(Path::new("")));
            let is_described = found.manifest_at == ManifestAt::Beside;
            self.add_way(&what, &found.wasm);
            if is_described {
                self.add_way(&what, &folder.join(MANIFEST));
            }
            match (found.origin, is_described) {
                (Origin::InFolder, true) => {
                    // By its name: a folder in it may be a link.
                    let of_tools = here_or(folder.parent().unwrap_or(Path::new("")));
                    self.add_folder("a folder of tools", &of_tools, Kind::Tools);
                }
                (Origin::InFolder, false) => self.add_folder("a folder of tools", &folder, Kind::Tools),
                (Origin::Named, true) => self.add_folder(&what, &folder, Kind::Tool),
                (Origin::Named, false) => {}
            }
        }
        self
    }

    /// The same with the agent file: what it proposes is what a person is asked about next.
    #[must_use]
    pub fn and_agent_file(mut self, file: Option<&Path>) -> Self {
        file.iter().for_each(|file| self.add_way("the agent file", file));
        self
    }

    /// The same with those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        others.places.into_iter().for_each(|place| self.push(place));
        self
    }

    /// Makes sure that no rule lets a tool change one of these, and adds the rule that leaves them out of every grant.
    ///
    /// # Errors
    /// A problem for each directory that would be left with nothing to change, or cannot be left without them.
    pub fn guard(&self, rules: &mut Rules) -> anyhow::Result<()> {
        self.check(rules)?;
        rules.push(self.authority());
        Ok(())
    }

    /// Makes sure that no rule grants one of these itself for changes.
    ///
    /// # Errors
    /// A problem for each directory.
    pub fn check(&self, rules: &[Authority]) -> anyhow::Result<()> {
        let mut problems = Vec::new();
        for rule in rules.iter().flat_map(|rules| &rules.grants) {
            for fs in &rule.fs {
                if let Some(message) = self.refusal(&fs.host, fs.access) {
                    let hint = "grant the directory around it, in which it stays as it is, or directories beside it"
                        .to_owned();
                    let problem = Problem::at_source(ProblemKind::GrantExceedsPolicy, &rule.source, message);
                    problems.push(problem.with_hint(hint));
                }
            }
        }
        Ok(Problems::none_of(problems)?)
    }

    /// The rule that leaves these out of every grant.
    #[must_use]
    pub fn authority(&self) -> Authority {
        let is_folder = |place: &&Place| matches!(place.kind, Kind::Tool | Kind::Tools);
        let holds = |folder: &Place, path: &HostPath| folder.path != *path && folder.path.contains(path);
        let lies_in_one = |path: &HostPath| self.places.iter().filter(is_folder).any(|folder| holds(folder, path));
        let said = self.places.iter().filter(|place| place.kind != Kind::Around).map(|place| &place.path);
        let unchanging: BTreeSet<&HostPath> = said.filter(|path| !lies_in_one(path)).collect();
        // A rule that names nothing would forbid every tool.
        if unchanging.is_empty() {
            return Authority::nothing();
        }
        let source = RuleSource("agent-host, for what it reads tools and rules from,".to_owned());
        let unchanging = unchanging.into_iter().cloned().collect();
        let deny = DenyRule { unchanging, ..DenyRule::of(Selector::Everything, source) };
        Authority { denies: vec![deny], ..Authority::nothing() }
    }

    /// Why no tool may have this directory; `None` where one may.
    #[must_use]
    pub fn refusal(&self, directory: &HostPath, access: Access) -> Option<String> {
        let place = self.places.iter().find(|place| access == Access::Write && place.is_lost_with(directory))?;
        let (what, path) = (&place.what, &place.path);
        Some(match place.kind {
            Kind::File | Kind::Tool => {
                format!("a tool that may change `{directory}` could change {what} in it: `{path}`")
            }
            Kind::Around => format!("a tool that may change `{directory}` could change {what} in it, below `{path}`"),
            Kind::Tools => format!(
                "a tool that may change `{directory}` could add a tool to `{path}`, which tools are loaded from"
            ),
        })
    }

    /// A file, and the links on the way to it: who may change one of those can put another file there.
    fn add_way(&mut self, what: &str, file: &Path) {
        real_path::way_to(file).iter().for_each(|path| self.add(what, path, Kind::File));
    }

    fn add_folder(&mut self, what: &str, folder: &Path, kind: Kind) {
        if let Ok(real) = folder.canonicalize() {
            self.add(what, &real, kind);
        }
    }

    fn add(&mut self, what: &str, path: &Path, kind: Kind) {
        let Some((path, kind)) = sayable(path, kind) else { return };
        self.push(Place { what: what.to_owned(), path, kind });
    }

    fn push(&mut self, place: Place) {
        if !self.places.contains(&place) {
            self.places.push(place);
        }
    }
}

/// A place as rules can name it: itself, or the folder around it. `None` where no rule can grant what it lies in, and where it is
/// below a name that is kept from every tool.
fn sayable(path: &Path, kind: Kind) -> Option<(HostPath, Kind)> {
    match path.to_str().map(str::parse::<HostPath>) {
        Some(Ok(path)) => Some((path, kind)),
        Some(Err(
            InvalidHostPath::Root
            | InvalidHostPath::Kernel { .. }
            | InvalidHostPath::Control { .. }
            | InvalidHostPath::Empty,
        )) => None,
        Some(Err(
            InvalidHostPath::Parent(_)
            | InvalidHostPath::Home(_)
            | InvalidHostPath::Variable(_)
            | InvalidHostPath::Wildcard(_)
            | InvalidHostPath::Character(_)
            | InvalidHostPath::NotAbsolute(_),
        ))
        | None => {
            let around = path.ancestors().skip(1).find_map(|folder| folder.to_str()?.parse().ok())?;
            Some((around, Kind::Around))
        }
    }
}

impl Place {
    /// Whether a tool that may change this directory could change the place, or nothing else.
    fn is_lost_with(&self, directory: &HostPath) -> bool {
        let is_entry = || Path::new(directory.as_str()).parent() == Some(Path::new(self.path.as_str()));
        match self.kind {
            // It is no directory.
            Kind::File => false,
            Kind::Tool => *directory == self.path,
            Kind::Tools => *directory == self.path || is_entry(),
            Kind::Around => directory.contains(&self.path),
        }
    }
}

fn here_or(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::tool_folders::find;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MANIFEST_TEXT: &str = "[tool]\nname = \"calc\"\nversion = \"1\"\ndescription = \"Calculate.\"\n";

    /// A working folder with tools, links to some, and folders beside.
    fn work() -> anyhow::Result<(tempfile::TempDir, PathBuf)> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        for name in ["work/tools/calc", "work/tools/data/deep", "work/docs", "elsewhere"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        std::fs::write(folder.join("work/tools/calc/calc.wasm"), COMPONENT)?;
        std::fs::write(folder.join("elsewhere/far.wasm"), COMPONENT)?;
        std::os::unix::fs::symlink("../../elsewhere/far.wasm", folder.join("work/tools/near.wasm"))?;
        std::os::unix::fs::symlink("work/tools", folder.join("linked"))?;
        std::fs::create_dir(folder.join("elsewhere/more"))?;
        std::fs::write(folder.join("elsewhere/more/more.wasm"), COMPONENT)?;
        std::fs::write(folder.join("elsewhere/more/tool.toml"), MANIFEST_TEXT.replace("calc", "more"))?;
        std::os::unix::fs::symlink("../../elsewhere/more", folder.join("work/tools/more"))?;
        std::fs::write(folder.join("work/tools/calc/tool.toml"), MANIFEST_TEXT)?;
        Ok((temp, folder))
    }

    fn directory(folder: &Path, name: &str) -> anyhow::Result<HostPath> {
        Ok(folder.join(name).display().to_string().parse()?)
    }

    /// What a tool writes there is loaded in the next run, with the grants that go by name.
    #[test]
    fn tools_are_not_loaded_from_where_tools_write() -> anyhow::Result<()> {
        let (_temp, folder) = work()?;
        let refused = |tools: &str, name: &str, access: Access| -> anyhow::Result<bool> {
            let kept = Unchanging::default().and_tools(&find(&[folder.join(tools)])?);
            Ok(kept.refusal(&directory(&folder, name)?, access).is_some())
        };
        for name in ["work/tools", "work/tools/calc", "work/tools/data", "work/tools/new"] {
            assert!(refused("work/tools", name, Access::Write)?, "{name}");
            assert!(!refused("work/tools", name, Access::Read)?, "{name}");
        }
        for name in ["work", "work/docs", "work/tools/data/deep", "elsewhere"] {
            assert!(!refused("work/tools", name, Access::Write)?, "{name}");
        }
        // One that was named itself: what lies beside it is not loaded.
        assert!(refused("work/tools/calc", "work/tools/calc", Access::Write)?);
        for name in ["work/tools", "work/tools/data", "work/tools/calc/notes"] {
            assert!(!refused("work/tools/calc", name, Access::Write)?, "{name}");
        }
        Ok(())
    }

    /// Folders whole, each file outside of them, and every link on the way.
    #[test]
    fn a_wider_grant_is_without_what_is_loaded() -> anyhow::Result<()> {
        let (_temp, folder) = work()?;
        let kept = |tools: &str| -> anyhow::Result<Vec<String>> {
            let authority = Unchanging::default().and_tools(&find(&[folder.join(tools)])?).authority();
            let paths = authority.denies.iter().flat_map(|deny| &deny.unchanging);
            let relative =
                |path: &HostPath| Path::new(path.as_str()).strip_prefix(&folder).map(|path| path.display().to_string());
            let mut paths: Vec<String> = paths.map(relative).collect::<Result<_, _>>()?;
            paths.sort();
            Ok(paths)
        };
        let outside = ["elsewhere/far.wasm", "elsewhere/more/more.wasm", "elsewhere/more/tool.toml"];
        assert_eq!(kept("work/tools")?, [&outside[..], &["work/tools"]].concat());
        assert_eq!(kept("linked")?, [&outside[..], &["linked", "work/tools"]].concat());
        assert_eq!(kept("linked/calc")?, ["linked", "work/tools/calc"]);
        assert_eq!(kept("work/tools/near.wasm")?, ["elsewhere/far.wasm", "work/tools/near.wasm"]);
        Ok(())
    }

    /// A rule that names nothing would forbid every tool.
    #[test]
    fn nothing_to_keep_is_no_rule() {
        assert_eq!(Unchanging::default().authority(), Authority::nothing());
    }

    /// No rule can leave out what none can name.
    #[test]
    fn tools_in_a_folder_that_no_rule_can_name_keep_what_is_around_it() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        let unsayable = folder.join("work").join(OsStr::from_bytes(b"a\xff"));
        std::fs::create_dir_all(&unsayable)?;
        std::fs::create_dir_all(folder.join("work/docs"))?;
        std::fs::write(unsayable.join("calc.wasm"), COMPONENT)?;
        let kept = Unchanging::default().and_tools(&find(&[unsayable])?);
        assert!(kept.refusal(&directory(&folder, "work")?, Access::Write).is_some());
        assert!(kept.refusal(&directory(&folder, "work/docs")?, Access::Write).is_none());
        Ok(())
    }

    /// Dotfiles are often links.
    #[test]
    fn the_operators_files_are_kept_where_links_lead() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        std::fs::create_dir(folder.join("dotfiles"))?;
        let home = Home::at(&folder.join("state"))?;
        let kept = || -> anyhow::Result<Vec<HostPath>> {
            let authority = Unchanging::of_operator(&home, None)?.authority();
            Ok(authority.denies.into_iter().flat_map(|deny| deny.unchanging).collect())
        };
        assert_eq!(kept()?, Vec::new());
        for file in [home.policy_file(), home.settings_file()] {
            std::fs::write(folder.join("dotfiles/file.toml"), "")?;
            std::os::unix::fs::symlink("../dotfiles/file.toml", &file)?;
            assert_eq!(kept()?, [directory(&folder, "dotfiles/file.toml")?]);
            std::fs::remove_file(&file)?;
        }
        Ok(())
    }
}
