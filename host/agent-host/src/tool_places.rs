//! Where the paths that somebody named for tools lead: what is loaded from there, and what would be as soon as it is there. A link in
//! a folder of tools may lead to nothing yet, or to a folder that is no tool; whoever writes there makes a tool of it. Asked by
//! `unchanging`, which keeps all of it; `tool_folders` says which tools there are.

use std::path::{Path, PathBuf};

use agent_core::name::Name;
use anyhow::Context;

use crate::named;
use crate::report::text;
use crate::tool_folders::{ENTRIES_MAX, MANIFEST, read_manifest};

/// Links in folders of tools. Where each leads is told to every tool of a run.
const LINKS_MAX: usize = 1_000;

/// A place that tools are, or would be, loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolPlace {
    /// A path that was named, or a link right in the folder of tools or in that of a tool, by where it stands.
    Path(PathBuf),
    /// A file right in such a folder, which may have other names elsewhere.
    File(PathBuf),
    /// The folder of a tool that was named itself, and what the tool is called where that can be read.
    Tool(PathBuf, Option<Name>),
    /// A folder of tools: a folder right in it would be one more.
    Tools(PathBuf),
    /// A folder that a link in a folder of tools leads to: a manifest in it would make it one.
    Linked(PathBuf),
}

/// All of these at some paths. One that leads nowhere is a place all the same.
///
/// # Errors
/// Where a folder cannot be listed, or there is more in it than is looked at.
pub fn tool_places(paths: &[PathBuf]) -> anyhow::Result<Vec<ToolPlace>> {
    let mut look = Look { places: Vec::new(), entries: ENTRIES_MAX, links: LINKS_MAX };
    for path in paths {
        look.places.push(ToolPlace::Path(path.clone()));
        if path.join(MANIFEST).is_file() {
            let called = look.parts(path)?;
            look.places.push(ToolPlace::Tool(path.clone(), called));
        } else if path.is_dir() {
            look.places.push(ToolPlace::Tools(path.clone()));
            look.folder(path)?;
        }
    }
    Ok(look.places)
}

struct Look {
    places: Vec<ToolPlace>,
    /// How many entries may still be looked at.
    entries: usize,
    /// How many links may still be found.
    links: usize,
}

impl Look {
    fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let shown = text::whole(&folder.display().to_string());
        let cannot = || format!("cannot list `{shown}`");
        for entry in std::fs::read_dir(folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            self.entries = self.entries.checked_sub(1).ok_or_else(|| too_many(&shown, "entries", ENTRIES_MAX))?;
            let is_folder = path.is_dir();
            if path.is_symlink() {
                self.link(&path)?;
                if is_folder {
                    self.places.push(ToolPlace::Linked(path.clone()));
                }
            } else if path.extension().is_some_and(|extension| extension == "wasm") {
                self.places.push(ToolPlace::File(path.clone()));
            }
            if is_folder {
                self.parts(&path)?;
            }
        }
        Ok(())
    }

    /// The files that a tool in this folder is loaded from.
    fn parts(&mut self, folder: &Path) -> anyhow::Result<Option<Name>> {
        let called = read_manifest(folder).ok().map(|(manifest, _)| manifest.name);
        let component = called.iter().map(|name| folder.join(format!("{name}.wasm")));
        for part in component.chain([folder.join(MANIFEST)]) {
            if part.is_symlink() {
                self.link(&part)?;
            } else if part.is_file() {
                self.places.push(ToolPlace::File(part));
            }
        }
        Ok(called)
    }

    fn link(&mut self, link: &Path) -> anyhow::Result<()> {
        let shown = || text::whole(&link.display().to_string());
        self.links = self.links.checked_sub(1).ok_or_else(|| too_many(&shown(), "links", LINKS_MAX))?;
        self.places.push(ToolPlace::Path(link.to_owned()));
        Ok(())
    }
}

fn too_many(place: &str, what: &str, most: usize) -> anyhow::Error {
    let hint = "name the tools that you need, each by its own path";
    let message = format!(
        "folders of tools with more than {most} {what} are not looked through, such as `{place}`\n  hint: {hint}"
    );
    named::Name::RequestTooLarge.because(message).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MANIFEST_TEXT: &str = "[tool]\nname = \"calc\"\nversion = \"1\"\ndescription = \"Calculate.\"\n";

    /// A folder of tools with a tool that is not built, and links to what is no tool yet.
    fn laid_out() -> anyhow::Result<(tempfile::TempDir, PathBuf)> {
        let temp = tempfile::tempdir()?;
        let folder = temp.path().canonicalize()?;
        for name in ["tools/calc", "tools/plain", "data"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        std::fs::write(folder.join("tools/calc/tool.toml"), MANIFEST_TEXT)?;
        std::fs::write(folder.join("tools/real.wasm"), "")?;
        for (target, link) in [
            ("../../target/calc.wasm", "tools/calc/calc.wasm"),
            ("nowhere", "tools/calc/other.wasm"),
            ("../../later.toml", "tools/plain/tool.toml"),
            ("../data", "tools/data"),
            ("../later", "tools/later"),
        ] {
            symlink(target, folder.join(link))?;
        }
        Ok((temp, folder))
    }

    #[test]
    fn what_is_no_tool_yet_is_a_place_of_one() -> anyhow::Result<()> {
        let (_temp, folder) = laid_out()?;
        let at = |name: &str| folder.join(name);
        let mut places = tool_places(&[at("tools")])?;
        places.sort_by_key(|place| format!("{place:?}"));
        let path = |name: &str| ToolPlace::Path(at(name));
        assert_eq!(
            places,
            [
                ToolPlace::File(at("tools/calc/tool.toml")),
                ToolPlace::File(at("tools/real.wasm")),
                ToolPlace::Linked(at("tools/data")),
                path("tools"),
                path("tools/calc/calc.wasm"),
                path("tools/data"),
                path("tools/later"),
                path("tools/plain/tool.toml"),
                ToolPlace::Tools(at("tools")),
            ]
        );
        let named = tool_places(&[at("tools/calc"), at("later")])?;
        let calc = ToolPlace::Tool(at("tools/calc"), Some("calc".parse()?));
        let manifest = ToolPlace::File(at("tools/calc/tool.toml"));
        assert_eq!(named, [path("tools/calc"), path("tools/calc/calc.wasm"), manifest, calc, path("later")]);
        Ok(())
    }

    #[test]
    fn a_folder_is_looked_through_as_a_whole_or_not_at_all() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let link = |number: usize| symlink("nowhere", folder.path().join(format!("link{number}")));
        (0..LINKS_MAX).try_for_each(link)?;
        let paths = [folder.path().to_owned()];
        assert_eq!(tool_places(&paths)?.len(), LINKS_MAX + 2);
        link(LINKS_MAX)?;
        let refused = tool_places(&paths).map(drop).map_err(|error| error.to_string());
        assert!(refused.is_err_and(|message| message.contains("more than 1000 links")));
        Ok(())
    }
}
