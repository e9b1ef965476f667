//! What no tool may change: the operator's policy and settings, the agent file, and what tools are loaded from. Who writes there grants
//! himself everything, or puts another tool in the place of one, in the next run. So it stays as it is inside a directory that is
//! granted for changes. A grant of one of these folders itself is an error: whoever wrote it expected something that will not happen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agent_core::config::authority::{Authority, DenyRule};
use agent_core::config::host_path::{HostPath, InvalidHostPath};
use agent_core::config::problem::{Problem, ProblemKind, Problems};
use agent_core::config::selector::Selector;
use agent_core::grant::{Access, FileIdentity, RuleSource};
use agent_sandbox::mount::file_of_several_names;
use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::real_path::{self, Way};
use crate::rules::Rules;
use crate::tool_places::{ToolPlace, tool_places};

/// Files and folders that no tool may change. Passed between two processes of one run, never stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unchanging {
    places: BTreeSet<Place>,
    /// Those of the files that have several names: the others may be in any directory.
    linked: BTreeSet<FileIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: HostPath,
    kind: Kind,
    /// What it is, for a person: "the policy".
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A file, or a link on the way to something.
    File,
    /// The folder of a tool that was named itself.
    Tool,
    /// A folder of tools: a folder right in it would be one more.
    Tools,
    /// A folder that a link in a folder of tools leads to: a manifest in it would make it one.
    Linked,
    /// A folder on the way that is left again by `..`: it stays where it is, and what is in it may change.
    Passed,
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
                let mut way = real_path::way_to(&file);
                let elsewhere = |path: &PathBuf| root.as_ref().is_none_or(|root| !path.starts_with(root));
                way.stops.retain(elsewhere);
                way.left.retain(elsewhere);
                kept.add_stops(what, &way);
            }
        }
        Ok(kept)
    }

    /// The same with what tools are, or would be, loaded from at these paths.
    ///
    /// # Errors
    /// Where a folder of them cannot be looked through.
    pub fn and_tools(mut self, paths: &[PathBuf]) -> anyhow::Result<Self> {
        for place in tool_places(paths)? {
            match place {
                ToolPlace::Path(path) => self.add_way("what tools are loaded from", &path),
                ToolPlace::File(file) => self.linked.extend(file_of_several_names(&file)),
                ToolPlace::Tool(folder, Some(name)) => {
                    self.add_folder(&format!("the tool `{name}`"), &folder, Kind::Tool);
                }
                ToolPlace::Tool(folder, None) => self.add_folder("a tool", &folder, Kind::Tool),
                ToolPlace::Tools(folder) => self.add_folder("a folder of tools", &folder, Kind::Tools),
                ToolPlace::Linked(folder) => self.add_folder("what may become a tool", &folder, Kind::Linked),
            }
        }
        Ok(self)
    }

    /// The same with the agent file: what it proposes is what a person is asked about next.
    #[must_use]
    pub fn and_agent_file(mut self, file: Option<&Path>) -> Self {
        file.iter().for_each(|file| self.add_way("the agent file", file));
        self
    }

    /// The same with the file that the token of clients is in.
    #[must_use]
    pub fn and_token(mut self, file: &Path) -> Self {
        self.add_way("the token of clients", file);
        self
    }

    /// The same with those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.places.extend(others.places);
        self.linked.extend(others.linked);
        self
    }

    /// Makes sure that no rule lets a tool change one of these, and adds the rule that leaves them out of every grant.
    ///
    /// # Errors
    /// A problem for each directory that would be left with nothing to change, or cannot be left without them.
    pub fn guard(&self, rules: &mut Rules) -> anyhow::Result<()> {
        self.check(rules)?;
        let authority = self.authority();
        if !rules.contains(&authority) {
            rules.push(authority);
        }
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
        let (mut unchanging, mut unmoved) = (BTreeSet::new(), BTreeSet::new());
        for Place { path, kind, .. } in &self.places {
            match kind {
                Kind::File | Kind::Tool | Kind::Tools | Kind::Linked => {
                    unchanging.insert(path);
                }
                Kind::Passed => {
                    unmoved.insert(path);
                }
                Kind::Around => {}
            }
        }
        unchanging.retain(|path| !self.is_kept_around(path));
        // A rule that names nothing would forbid every tool.
        if unchanging.is_empty() && unmoved.is_empty() && self.linked.is_empty() {
            return Authority::nothing();
        }
        let source = RuleSource("agent-host, for what it reads tools and rules from,".to_owned());
        let owned = |paths: BTreeSet<&HostPath>| paths.into_iter().cloned().collect();
        let (unchanging, unmoved) = (owned(unchanging), owned(unmoved));
        let linked = self.linked.iter().copied().collect();
        let deny = DenyRule { unchanging, unmoved, linked, ..DenyRule::of(Selector::Everything, source) };
        Authority { denies: vec![deny], ..Authority::nothing() }
    }

    /// Why no tool may have this directory; `None` where one may.
    #[must_use]
    pub fn refusal(&self, directory: &HostPath, access: Access) -> Option<String> {
        let place = self.places.iter().find(|place| access == Access::Write && place.is_lost_with(directory))?;
        let (what, path) = (&place.what, &place.path);
        Some(match place.kind {
            Kind::File | Kind::Tool | Kind::Passed => {
                format!("a tool that may change `{directory}` could change {what} in it: `{path}`")
            }
            Kind::Linked => format!(
                "a tool that may change `{directory}` could make a tool of it: a link in a folder of tools leads there"
            ),
            Kind::Around => format!("a tool that may change `{directory}` could change {what} in it, below `{path}`"),
            Kind::Tools => format!(
                "a tool that may change `{directory}` could add a tool to `{path}`, which tools are loaded from"
            ),
        })
    }

    /// Whether a path is kept by every grant with the folder that it is right in, since none is of that folder itself. What lies deeper
    /// has to be named: a directory between may be granted.
    fn is_kept_around(&self, path: &HostPath) -> bool {
        let folder = parent(path.as_str());
        let outer = folder.and_then(parent);
        self.places.iter().any(|place| {
            let is_it = |folder: Option<&str>| folder == Some(place.path.as_str());
            match place.kind {
                Kind::Tool | Kind::Linked => is_it(folder),
                Kind::Tools => is_it(folder) || is_it(outer),
                Kind::File | Kind::Passed | Kind::Around => false,
            }
        })
    }

    /// A file, and what is on the way to it: who may change one of those can put another file there.
    fn add_way(&mut self, what: &str, file: &Path) {
        self.add_stops(what, &real_path::way_to(file));
    }

    fn add_stops(&mut self, what: &str, way: &Way) {
        way.stops.iter().for_each(|path| self.add(what, path, Kind::File));
        way.left.iter().for_each(|path| self.add(what, path, Kind::Passed));
        self.linked.extend(way.stops.last().and_then(|file| file_of_several_names(file)));
    }

    fn add_folder(&mut self, what: &str, folder: &Path, kind: Kind) {
        if let Ok(real) = folder.canonicalize() {
            self.add(what, &real, kind);
        }
    }

    fn add(&mut self, what: &str, path: &Path, kind: Kind) {
        let Some((path, kind)) = sayable(path, kind) else { return };
        self.places.insert(Place { path, kind, what: what.to_owned() });
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
            // It is no directory; or it is one that nobody moves who may change it.
            Kind::File | Kind::Passed => false,
            Kind::Tool | Kind::Linked => *directory == self.path,
            Kind::Tools => *directory == self.path || is_entry(),
            Kind::Around => directory.contains(&self.path),
        }
    }
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

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
            let kept = Unchanging::default().and_tools(&[folder.join(tools)])?;
            Ok(kept.refusal(&directory(&folder, name)?, access).is_some())
        };
        for name in ["work/tools", "work/tools/calc", "work/tools/data", "work/tools/new", "elsewhere/more"] {
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

    /// What the rule names, without the folder that all of it is in: what stays as it is, and what stays where it is.
    fn kept(kept: &Unchanging, folder: &Path) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let denies = kept.authority().denies;
        let relative = |path: &HostPath| -> anyhow::Result<String> {
            Ok(Path::new(path.as_str()).strip_prefix(folder)?.display().to_string())
        };
        let listed =
            |paths: &mut dyn Iterator<Item = &HostPath>| paths.map(relative).collect::<anyhow::Result<Vec<_>>>();
        let unchanging = listed(&mut denies.iter().flat_map(|deny| &deny.unchanging))?;
        // What is around the temporary folder is passed, too, where a link goes as far up.
        let inside = |path: &&HostPath| Path::new(path.as_str()).starts_with(folder);
        Ok((unchanging, listed(&mut denies.iter().flat_map(|deny| &deny.unmoved).filter(inside))?))
    }

    /// Folders whole, each file outside of them, and every link on the way.
    #[test]
    fn a_wider_grant_is_without_what_is_loaded() -> anyhow::Result<()> {
        let (_temp, folder) = work()?;
        let kept = |tools: &str| kept(&Unchanging::default().and_tools(&[folder.join(tools)])?, &folder);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let passed = || names(&["work", "work/tools"]);
        assert_eq!(kept("work/tools")?, (names(&["elsewhere/far.wasm", "elsewhere/more", "work/tools"]), passed()));
        let linked = ["elsewhere/far.wasm", "elsewhere/more", "linked", "work/tools"];
        assert_eq!(kept("linked")?, (names(&linked), passed()));
        assert_eq!(kept("linked/calc")?, (names(&["linked", "work/tools/calc"]), names(&[])));
        assert_eq!(kept("work/tools/near.wasm")?, (names(&["elsewhere/far.wasm", "work/tools/near.wasm"]), passed()));
        assert_eq!(kept("work/docs/../tools/calc")?, (names(&["work/tools/calc"]), names(&["work/docs"])));
        Ok(())
    }

    /// A link that leads to no tool yet is a tool as soon as somebody writes there.
    #[test]
    fn where_a_link_in_a_folder_of_tools_leads_no_tool_writes() -> anyhow::Result<()> {
        let (_temp, folder) = work()?;
        for (target, link) in [
            ("../docs", "work/tools/docs"),
            ("../out/x.wasm", "work/tools/x.wasm"),
            ("../later", "work/tools/later"),
            ("../../later.toml", "work/tools/data/tool.toml"),
        ] {
            std::os::unix::fs::symlink(target, folder.join(link))?;
        }
        let kept_now = || Unchanging::default().and_tools(&[folder.join("work/tools")]);
        let (unchanging, _) = kept(&kept_now()?, &folder)?;
        for name in ["work/docs", "work/out/x.wasm", "work/later", "work/later.toml"] {
            assert!(unchanging.iter().any(|path| path == name), "{name}: {unchanging:?}");
        }
        assert!(kept_now()?.refusal(&directory(&folder, "work/docs")?, Access::Write).is_some());
        assert!(kept_now()?.refusal(&directory(&folder, "work")?, Access::Write).is_none());
        Ok(())
    }

    /// A second name may be in any directory, also in one that is granted alone.
    #[test]
    fn what_is_loaded_is_known_under_other_names() -> anyhow::Result<()> {
        let (_temp, folder) = work()?;
        let linked = |tools: &str| -> anyhow::Result<Vec<u64>> {
            let rule = Unchanging::default().and_tools(&[folder.join(tools)])?.authority();
            Ok(rule.denies.iter().flat_map(|deny| &deny.linked).map(|file| file.inode).collect())
        };
        assert!(linked("work/tools")?.is_empty());
        let loaded = ["work/tools/calc/calc.wasm", "work/tools/calc/tool.toml", "elsewhere/far.wasm"];
        let mut inodes = Vec::new();
        for (number, name) in loaded.iter().enumerate() {
            std::fs::hard_link(folder.join(name), folder.join(format!("work/docs/{number}")))?;
            inodes.push(std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(folder.join(name))?));
        }
        inodes.sort_unstable();
        for tools in ["work/tools", "linked"] {
            let mut found = linked(tools)?;
            found.sort_unstable();
            assert_eq!(found, inodes, "{tools}");
        }
        assert_eq!(linked("work/tools/near.wasm")?.len(), 1);
        assert_eq!(linked("work/tools/calc")?.len(), 2);
        Ok(())
    }

    /// A directory deep in the folder of a tool may be granted; what the tool is loaded from there stays as it is.
    #[test]
    fn what_is_loaded_from_deep_in_a_folder_of_tools_is_named() -> anyhow::Result<()> {
        let (_temp, folder) = work()?;
        let component = folder.join("work/tools/calc/calc.wasm");
        std::fs::create_dir_all(folder.join("work/tools/calc/target/release"))?;
        std::fs::rename(&component, folder.join("work/tools/calc/target/release/calc.wasm"))?;
        std::os::unix::fs::symlink("target/release/calc.wasm", &component)?;
        std::fs::write(folder.join("work/tools/data/deep/agent.toml"), "")?;
        let agent = folder.join("work/tools/data/deep/agent.toml");
        let (deep, built) = ("work/tools/data/deep/agent.toml", "work/tools/calc/target/release/calc.wasm");
        let all = Unchanging::default().and_tools(&[folder.join("work/tools")])?.and_agent_file(Some(&agent));
        let (unchanging, _) = kept(&all, &folder)?;
        assert!(
            [deep, built, "work/tools"].iter().all(|name| unchanging.iter().any(|path| path == name)),
            "{unchanging:?}"
        );
        let (named, _) = kept(&Unchanging::default().and_tools(&[folder.join("work/tools/calc")])?, &folder)?;
        assert_eq!(named, ["work/tools/calc", built]);
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
        let kept = Unchanging::default().and_tools(&[unsayable])?;
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
