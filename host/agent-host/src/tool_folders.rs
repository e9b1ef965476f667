//! What is at the paths that somebody named for tools: a component, a tool's folder, or a folder of either. Used by every command
//! that touches a tool, before `toolset` reads and loads what was found.
//!
//! A stranger may have filled the folder, and nobody was asked yet whether he is trusted: so all that is looked at is bounded, and
//! what he called his files is shown so that it does nothing on a terminal.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use agent_core::config::manifest::Manifest;
use agent_core::name::{InvalidName, Name};
use agent_sandbox::component::COMPONENT_BYTES_MAX;
use agent_sandbox::defence::{Defence, is_off};
use agent_sandbox::describe::manifest_section::{self, NoManifest};
use anyhow::{Context, anyhow, ensure};

use crate::report::text;
use crate::{input, missing_defences, named};

/// A manifest's name within its folder.
pub const MANIFEST: &str = "tool.toml";
/// Bytes of all components of a run. They are read, and held, before anybody was asked whether the agent file is trusted. As many
/// are looked at, good and bad, to find out what is there.
pub const ALL_BYTES_MAX: usize = 512 << 20;
/// Components of one run, each with its manifest: no more of them can have tools.
const COMPONENTS_MAX: usize = 256;
/// Entries of all folders that are looked at. Which of more would be left out is nothing that anybody could tell.
pub const ENTRIES_MAX: usize = 10_000;
/// What is left out is named up to here, and the rest is counted: what a person is asked next stays on the screen.
const LEFT_OUT_SHOWN_MAX: usize = 10;
/// Lines of what is wrong with one of them.
const LINES_MAX: usize = 12;
/// Longest such line.
const LINE_CHARS_MAX: usize = 1_000;

/// Where one component is, and what its author declares.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name: from the manifest, else from the file.
    pub name: Name,
    /// The component's file.
    pub wasm: PathBuf,
    /// The manifest, where there is one.
    pub manifest: Option<Manifest>,
    /// The manifest's text, for whoever binds something to it; empty where there is none.
    pub manifest_text: String,
    /// Where the manifest is.
    pub manifest_at: ManifestAt,
    /// How it was come upon.
    pub origin: Origin,
}

/// Where a component's manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestAt {
    /// There is none.
    Nowhere,
    /// In a file beside the component, which comes before one inside.
    Beside,
    /// In the component itself.
    Inside,
}

/// How a component was come upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody named it, and cannot do without it.
    Named,
    /// It stands in a folder that somebody named. Where it cannot be used, the others of the folder can.
    InFolder,
}

/// What stands in a folder of tools and cannot be used.
#[derive(Debug)]
pub struct LeftOut {
    /// The component, or the tool's folder.
    pub path: PathBuf,
    /// Why not.
    pub problem: anyhow::Error,
}

/// The components that are at these paths. What cannot be used of a folder is reported and left out.
///
/// # Errors
/// Where a path has none, a manifest has problems, a tool is not built, two have one name, or there is more than is looked at.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Found>> {
    let Survey { found, left_out, .. } = survey(paths)?;
    refuse_twins(&found)?;
    say_left_out(&left_out);
    Ok(found)
}

/// Says what is not there. The others work without it, but somebody put it there.
pub fn say_left_out(left_out: &[LeftOut]) {
    for line in left_out_lines(left_out) {
        // Nobody is told where nobody can be.
        let _ = writeln!(anstream::stderr(), "{line}");
    }
}

fn left_out_lines(left_out: &[LeftOut]) -> Vec<String> {
    let one = |LeftOut { path, problem }: &LeftOut| {
        text::block(&format!("warning: `{}` is left out: {problem:#}", shown(path)), LINES_MAX, LINE_CHARS_MAX)
    };
    let mut lines: Vec<_> = left_out.iter().take(LEFT_OUT_SHOWN_MAX).flat_map(one).collect();
    let more = left_out.len().saturating_sub(LEFT_OUT_SHOWN_MAX);
    if more > 0 {
        lines.push(format!("warning: {more} more cannot be used, and are left out"));
    }
    lines
}

/// A path of a stranger's, on one line and without effect.
fn shown(path: &Path) -> String {
    text::whole(&path.display().to_string())
}

/// What is at some paths: the components that can be read, and what is wrong with the others.
struct Survey {
    found: Vec<Found>,
    left_out: Vec<LeftOut>,
    /// How many entries may still be looked at.
    entries: usize,
    /// How many bytes may still be read to find out what they are.
    bytes: u64,
}

fn survey(paths: &[PathBuf]) -> anyhow::Result<Survey> {
    let (entries, bytes) = (ENTRIES_MAX, ALL_BYTES_MAX as u64);
    let mut survey = Survey { found: Vec::new(), left_out: Vec::new(), entries, bytes };
    for path in paths {
        let (before, left_out_before) = (survey.found.len(), survey.left_out.len());
        survey.add(path)?;
        if survey.found.len() == before {
            return Err(none_in(path, survey.left_out.split_off(left_out_before)));
        }
    }
    Ok(survey)
}

/// Why there is no tool in `path`.
fn none_in(path: &Path, left_out: Vec<LeftOut>) -> anyhow::Error {
    let hint = "a tool is a `.wasm` component or a folder with a `tool.toml`";
    let none = || anyhow!("there is no tool in `{}`\n  hint: {hint}", shown(path));
    let others = left_out.len().saturating_sub(1);
    match left_out.into_iter().next() {
        None => none(),
        Some(only) if others == 0 => only.problem,
        Some(first) => {
            let shown = shown(path);
            first.problem.context(format!("none of the {} tools in `{shown}` can be used; the first", others + 1))
        }
    }
}

impl Survey {
    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let metadata = std::fs::metadata(path).map_err(|error| {
            let hint = "`--tools DIR` names a component, a tool's folder, or a folder of either";
            anyhow!("cannot find tools at `{}`: {error}\n  hint: {hint}", shown(path))
        })?;
        if metadata.is_file() {
            self.spend(path)?;
            return self.keep(bare(path)?);
        }
        if path.join(MANIFEST).is_file() {
            self.spend(&path.join(MANIFEST))?;
            return self.keep(described(path)?);
        }
        for path in self.entries(path)? {
            let manifest = path.join(MANIFEST);
            let found = if manifest.is_file() {
                self.spend(&manifest)?;
                described(&path)
            } else if path.extension().is_some_and(|extension| extension == "wasm") {
                self.spend(&path)?;
                bare(&path)
            } else {
                continue;
            };
            match found {
                Ok(found) => self.keep(Found { origin: Origin::InFolder, ..found })?,
                Err(problem) => self.left_out.push(LeftOut { path, problem }),
            }
        }
        Ok(())
    }

    /// The entries of a folder, in the order of their names.
    fn entries(&mut self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let cannot = || format!("cannot list `{}`", shown(folder));
        let entries = std::fs::read_dir(folder).with_context(cannot)?.take(self.entries + 1);
        let mut paths: Vec<_> =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().with_context(cannot)?;
        let Some(left) = self.entries.checked_sub(paths.len()) else {
            let hint = "name the tools that you need, each by its own path";
            let message = format!(
                "folders of tools with more than {ENTRIES_MAX} entries are not looked through, such as `{}`\n  hint: {hint}",
                shown(folder)
            );
            return Err(named::Name::RequestTooLarge.because(message).into());
        };
        self.entries = left;
        paths.sort();
        Ok(paths)
    }

    /// A file is about to be read. One that is larger than any component is not, and costs nothing.
    fn spend(&mut self, file: &Path) -> anyhow::Result<()> {
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        if bytes > COMPONENT_BYTES_MAX as u64 || is_off(Defence::ComponentSize) {
            return Ok(());
        }
        let Some(left) = self.bytes.checked_sub(bytes) else {
            let message = format!(
                "the files of the tools have more than {ALL_BYTES_MAX} bytes together, from `{}` on",
                shown(file)
            );
            return Err(named::Name::RequestTooLarge.because(message).into());
        };
        self.bytes = left;
        Ok(())
    }

    fn keep(&mut self, one: Found) -> anyhow::Result<()> {
        if self.found.len() == COMPONENTS_MAX {
            let message = format!("there are more than {COMPONENTS_MAX} components, from `{}` on", shown(&one.wasm));
            return Err(named::Name::RequestTooLarge.because(message).into());
        }
        self.found.push(one);
        Ok(())
    }
}

/// A component without a manifest beside it: what the one inside says, else it is called what its file is called.
///
/// # Errors
/// Where that is no name, or the manifest has problems.
pub fn bare(path: &Path) -> anyhow::Result<Found> {
    let cannot = || format!("cannot read component `{}`", shown(path));
    let bytes = std::fs::metadata(path).with_context(cannot)?.len();
    // What is too large is refused when it is read, and nothing in it counts.
    let inside = if bytes > COMPONENT_BYTES_MAX as u64 {
        None
    } else {
        manifest_inside(path, &input::read_bytes(path, COMPONENT_BYTES_MAX as u64).with_context(cannot)?)?
    };
    if let Some((manifest, manifest_text)) = inside {
        let (name, wasm, manifest) = (manifest.name.clone(), path.to_owned(), Some(manifest));
        let (manifest_at, origin) = (ManifestAt::Inside, Origin::Named);
        return Ok(Found { name, wasm, manifest, manifest_text, manifest_at, origin });
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem
        .to_ascii_lowercase()
        .parse()
        .map_err(|error: InvalidName| anyhow!("`{}`: {}", shown(path), text::whole(&error.to_string())))?;
    let (wasm, manifest_text, manifest_at) = (path.to_owned(), String::new(), ManifestAt::Nowhere);
    Ok(Found { name, wasm, manifest: None, manifest_text, manifest_at, origin: Origin::Named })
}

/// The manifest that a component carries, with its text.
fn manifest_inside(path: &Path, bytes: &[u8]) -> anyhow::Result<Option<(Manifest, String)>> {
    let shown = shown(path);
    let text = manifest_section::read(bytes).map_err(|problem| {
        let message = format!("`{shown}`: {problem}");
        match problem {
            NoManifest::TooLong(_) => named::Name::RequestTooLarge.because(message).into(),
            NoManifest::NotText => anyhow!(message),
        }
    })?;
    let Some(text) = text else { return Ok(None) };
    Ok(Some((Manifest::parse(&format!("{shown} (its embedded manifest)"), &text)?, text)))
}

fn described(folder: &Path) -> anyhow::Result<Found> {
    let (manifest, manifest_text) = match read_manifest(folder) {
        Err(_) if is_off(Defence::Manifests) => return missing_defences::undescribed(folder),
        read => read?,
    };
    let wasm = folder.join(format!("{}.wasm", manifest.name));
    let folder_shown = shown(folder);
    ensure!(
        wasm.is_file(),
        "tool `{}` is not built: there is no `{}`\n  hint: `agent-host tool build {folder_shown}`",
        manifest.name,
        shown(&wasm)
    );
    let (name, manifest_at) = (manifest.name.clone(), ManifestAt::Beside);
    Ok(Found { name, wasm, manifest: Some(manifest), manifest_text, manifest_at, origin: Origin::Named })
}

/// Reads the manifest in a tool's folder, and gives its text too.
///
/// # Errors
/// Where it cannot be read or has problems; all of them are in the error.
pub fn read_manifest(folder: &Path) -> anyhow::Result<(Manifest, String)> {
    let path = folder.join(MANIFEST);
    let shown = shown(&path);
    let text = input::read_config(&path, &shown)?;
    Ok((Manifest::parse(&shown, &text)?, text))
}

/// Two tools of one name are never both there, nor two whose names a person takes for the same.
///
/// # Errors
/// Where they are.
pub fn refuse_twins<'f>(found: impl IntoIterator<Item = &'f Found>) -> anyhow::Result<()> {
    let mut seen: HashMap<String, &Found> = HashMap::new();
    for tool in found {
        if let Some(other) = seen.insert(tool.name.skeleton(), tool).filter(|_| !is_off(Defence::ToolNames)) {
            let (here, there) = (shown(&tool.wasm), shown(&other.wasm));
            let what = if tool.name == other.name {
                format!("two tools are called `{}`", tool.name)
            } else {
                format!("the tools `{}` and `{}` look alike", other.name, tool.name)
            };
            let message = format!("{what}: `{there}` and `{here}`\n  hint: rename one, or leave one out");
            return Err(named::Name::DuplicateTool.because(message).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn refused(paths: &[PathBuf]) -> String {
        find(paths).map_or_else(|error| format!("{error:#}"), |found| format!("{} found", found.len()))
    }

    /// Neither is read to its end. Of several times the shortest: a busy machine makes a look long, not short.
    #[test]
    fn a_monstrous_manifest_is_refused_at_once() -> anyhow::Result<()> {
        const TIME_MAX: Duration = Duration::from_millis(100);
        let folder = tempfile::tempdir()?;
        let at = folder.path().join(MANIFEST);
        for deep in [true, false] {
            if deep {
                std::fs::write(&at, format!("a = {}", "[".repeat(100_000)))?;
            } else {
                std::fs::File::create(&at)?.set_len(100 << 20)?;
            }
            let look = || {
                let started = Instant::now();
                (read_manifest(folder.path()).is_err(), started.elapsed())
            };
            let looks: Vec<_> = (0..5).map(|_| look()).collect();
            assert!(looks.iter().all(|(refused, _)| *refused));
            assert!(looks.iter().any(|(_, took)| *took <= TIME_MAX), "{looks:?}");
        }
        Ok(())
    }

    /// An untrusted agent file may name the folder, and what is wrong with it is said before its trust is asked for.
    #[test]
    fn a_name_in_a_folder_of_tools_does_nothing_on_a_terminal() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let name = "a\u{1b}]52;c;eA==\u{7}\u{1b}[8m\u{202e}\nerror: forged.wasm";
        std::fs::write(folder.path().join(name), b"\0asm\x0d\0\x01\0")?;
        std::fs::write(folder.path().join("good.wasm"), b"\0asm\x0d\0\x01\0")?;
        let Survey { left_out, .. } = survey(&[folder.path().to_owned()])?;
        let lines = left_out_lines(&left_out);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains(r"a\u{1b}]52;c;eA==\u{7}\u{1b}[8m\u{202e}\nerror: forged.wasm` is left out: `"),
            "{lines:?}"
        );
        assert!(!lines[0].chars().any(agent_core::hidden::is_hidden), "{lines:?}");
        Ok(())
    }

    #[test]
    fn what_is_left_out_stays_on_the_screen() {
        let one =
            |number: usize| LeftOut { path: format!("t{number}").into(), problem: anyhow!("{}", "bad\n".repeat(50)) };
        let lines = left_out_lines(&(0..COMPONENTS_MAX).map(one).collect::<Vec<_>>());
        assert_eq!(lines.len(), LEFT_OUT_SHOWN_MAX * (LINES_MAX + 1) + 1);
        assert_eq!(lines.last().map(String::as_str), Some("warning: 246 more cannot be used, and are left out"));
    }

    #[test]
    fn a_folder_is_looked_through_as_a_whole_or_not_at_all() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("z.wasm"), b"\0asm\x0d\0\x01\0")?;
        (1..ENTRIES_MAX).try_for_each(|number| std::fs::write(folder.path().join(format!("{number}.txt")), ""))?;
        let paths = [folder.path().to_owned()];
        assert_eq!(refused(&paths), "1 found");
        assert!(refused(&[paths[0].clone(), paths[0].clone()]).contains("more than 10000 entries"));
        std::fs::write(folder.path().join("one more"), "")?;
        assert!(refused(&paths).contains("more than 10000 entries"), "{}", refused(&paths));
        Ok(())
    }

    /// Links to one large file cost a stranger nothing.
    #[test]
    fn what_is_no_tool_is_not_read_without_end() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let large = std::fs::File::create(folder.path().join("large"))?;
        large.set_len(COMPONENT_BYTES_MAX as u64)?;
        for number in 0..=ALL_BYTES_MAX / COMPONENT_BYTES_MAX {
            std::os::unix::fs::symlink("large", folder.path().join(format!("{number}.wasm")))?;
        }
        let said = refused(&[folder.path().to_owned()]);
        assert!(said.contains("more than 536870912 bytes together"), "{said}");
        Ok(())
    }
}
