//! What no tool may change: the operator's policy and settings, and what tools are loaded from. Who writes there grants himself
//! everything, or puts another tool in the place of one, in the next run. A grant that would allow it is an error, not cut down:
//! whoever wrote it expected something that will not happen.

use std::path::{Path, PathBuf};

use agent_core::config::authority::Authority;
use agent_core::config::host_path::HostPath;
use agent_core::config::problem::{Problem, ProblemKind, Problems};
use agent_core::grant::Access;
use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::home::Home;
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
    File,
    /// A folder of tools: a folder right in it would be one more.
    Tools,
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
            let cannot = || format!("cannot find policy `{}`", policy.display());
            kept.add("the policy", &policy.canonicalize().with_context(cannot)?, Kind::File);
            kept.add_named("the policy", policy);
        }
        for (what, file) in [("the saved policy", home.policy_file()), ("the settings", home.settings_file())] {
            // One that is not there, or leads nowhere, is told of where it is read.
            let Ok(real) = file.canonicalize() else { continue };
            if !home.root().canonicalize().is_ok_and(|root| real.starts_with(root)) {
                kept.add(what, &real, Kind::File);
            }
        }
        Ok(kept)
    }

    /// The same with what these tools are loaded from.
    #[must_use]
    pub fn and_tools<'f>(mut self, tools: impl IntoIterator<Item = &'f Found>) -> Self {
        for found in tools {
            let what = format!("the tool `{}`", found.name);
            let folder = found.wasm.parent().unwrap_or(Path::new(""));
            let manifest = (found.manifest_at == ManifestAt::Beside).then(|| folder.join(MANIFEST));
            for file in [found.wasm.clone()].into_iter().chain(manifest.clone()) {
                self.add_named(&what, &file);
                if let Ok(real) = file.canonicalize() {
                    self.add(&what, &real, Kind::File);
                }
            }
            let of_tools = if manifest.is_some() { folder.join("..") } else { here_or(folder) };
            if let (Origin::InFolder, Ok(real)) = (found.origin, of_tools.canonicalize()) {
                self.add("a folder of tools", &real, Kind::Tools);
            }
        }
        self
    }

    /// Where a path stands, be it a link: who may change that folder can put another file there.
    fn add_named(&mut self, what: &str, path: &Path) {
        let folder = here_or(path.parent().unwrap_or(Path::new(""))).canonicalize();
        if let (Ok(folder), Some(name)) = (folder, path.file_name()) {
            self.add(what, &folder.join(name), Kind::File);
        }
    }

    fn add(&mut self, what: &str, path: &Path, kind: Kind) {
        // A path that no rule could name lies in no directory that one does.
        let Some(path) = path.to_str().and_then(|path| path.parse::<HostPath>().ok()) else { return };
        let place = Place { what: what.to_owned(), path, kind };
        if !self.places.contains(&place) {
            self.places.push(place);
        }
    }

    /// Makes sure that no rule lets a tool change one of these.
    ///
    /// # Errors
    /// A problem for each directory that would.
    pub fn check(&self, rules: &[Authority]) -> anyhow::Result<()> {
        let mut problems = Vec::new();
        for rule in rules.iter().flat_map(|rules| &rules.grants) {
            for fs in &rule.fs {
                if let Some(message) = self.refusal(&fs.host, fs.access) {
                    let hint = "keep it in another folder, or grant the directories beside it one by one".to_owned();
                    let problem = Problem::at_source(ProblemKind::GrantExceedsPolicy, &rule.source, message);
                    problems.push(problem.with_hint(hint));
                }
            }
        }
        Ok(Problems::none_of(problems)?)
    }

    /// Why no tool may have this directory; `None` where one may.
    #[must_use]
    pub fn refusal(&self, directory: &HostPath, access: Access) -> Option<String> {
        let place = self.places.iter().find(|place| access == Access::Write && place.is_changed_through(directory))?;
        let (what, path) = (&place.what, &place.path);
        Some(match place.kind {
            Kind::File => format!("a tool that may change `{directory}` could change {what} in it: `{path}`"),
            Kind::Tools => format!(
                "a tool that may change `{directory}` could add a tool to `{path}`, which tools are loaded from"
            ),
        })
    }
}

impl Place {
    fn is_changed_through(&self, directory: &HostPath) -> bool {
        let is_entry = || Path::new(directory.as_str()).parent() == Some(Path::new(self.path.as_str()));
        directory.contains(&self.path) || (self.kind == Kind::Tools && is_entry())
    }
}

fn here_or(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool_folders::find;

    /// What a tool writes there is loaded in the next run, with the grants that go by name.
    #[test]
    fn tools_are_not_loaded_from_where_tools_write() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        for name in ["work/tools/calc", "work/tools/data/deep", "work/docs", "elsewhere"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let component = b"\0asm\x0d\0\x01\0";
        std::fs::write(folder.join("work/tools/calc/calc.wasm"), component)?;
        std::fs::write(folder.join("elsewhere/far.wasm"), component)?;
        std::os::unix::fs::symlink("../../elsewhere/far.wasm", folder.join("work/tools/near.wasm"))?;
        let manifest = "[tool]\nname = \"calc\"\nversion = \"1\"\ndescription = \"Calculate.\"\n";
        std::fs::write(folder.join("work/tools/calc/tool.toml"), manifest)?;
        let refused = |tools: &str, directory: &str, access: Access| -> anyhow::Result<bool> {
            let kept = Unchanging::default().and_tools(&find(&[folder.join(tools)])?);
            let directory = folder.join(directory).display().to_string().parse().map_err(anyhow::Error::from)?;
            Ok(kept.refusal(&directory, access).is_some())
        };
        for directory in ["work", "work/tools", "work/tools/calc", "work/tools/data", "work/tools/new", "elsewhere"] {
            assert!(refused("work/tools", directory, Access::Write)?, "{directory}");
            assert!(!refused("work/tools", directory, Access::Read)?, "{directory}");
        }
        for directory in ["work/docs", "work/tools/data/deep"] {
            assert!(!refused("work/tools", directory, Access::Write)?, "{directory}");
        }
        // One that was named itself: what lies beside it is not loaded.
        assert!(refused("work/tools/calc", "work/tools", Access::Write)?);
        assert!(!refused("work/tools/calc", "work/tools/data", Access::Write)?);
        Ok(())
    }

    /// Dotfiles are often links.
    #[test]
    fn the_operators_files_are_kept_where_links_lead() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        std::fs::create_dir(folder.join("dotfiles"))?;
        let home = Home::at(&folder.join("state"))?;
        let refused = || -> anyhow::Result<Option<String>> {
            let directory = folder.join("dotfiles").display().to_string().parse().map_err(anyhow::Error::from)?;
            Ok(Unchanging::of_operator(&home, None)?.refusal(&directory, Access::Write))
        };
        assert_eq!(refused()?, None);
        for (file, what) in [(home.policy_file(), "the saved policy"), (home.settings_file(), "the settings")] {
            std::fs::write(folder.join("dotfiles/file.toml"), "")?;
            std::os::unix::fs::symlink("../dotfiles/file.toml", &file)?;
            assert!(refused()?.is_some_and(|message| message.contains(what)), "{what}");
            std::fs::remove_file(&file)?;
        }
        Ok(())
    }
}
