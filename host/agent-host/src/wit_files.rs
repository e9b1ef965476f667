//! The WIT files beside a tool's manifest, read with bounds: a stranger may have written them, and whoever packs a tool is not asked
//! whether he trusts it. `wit_docs` has the comments taken out of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use wit_parser::{PackageId, Resolve, SourceMap, UnresolvedPackageGroup};

use crate::input;
use crate::named;
use crate::report::text;

/// The folder, within that of the WIT files, with the packages that they use.
const DEPENDENCIES: &str = "deps";
/// How the name of such a file ends.
const ENDING: &str = "wit";
/// Bytes of all files of a tool. All of WASI has a few hundred KiB.
const BYTES_MAX: u64 = 4 << 20;
/// Entries of these folders that are looked at. All of WASI has some fifty.
const ENTRIES_MAX: usize = 2_000;

/// The package in `folder` with all that it uses.
///
/// # Errors
/// Where a file cannot be read, they are too many or too large, or the WIT is not valid.
pub fn read(folder: &Path) -> anyhow::Result<(Resolve, PackageId)> {
    let shown = shown(folder);
    let mut reading = Reading { bytes: BYTES_MAX, entries: ENTRIES_MAX };
    let own = reading.package(folder)?;
    let used = reading.dependencies(&folder.join(DEPENDENCIES))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_groups(own, used).map_err(anyhow::Error::from);
    let package =
        package.map_err(|error| anyhow!("the WIT in `{shown}` is not valid: {}", resolve.render_error(&error)))?;
    Ok((resolve, package))
}

fn shown(path: &Path) -> String {
    text::whole(&path.display().to_string())
}

/// What may still be read.
struct Reading {
    bytes: u64,
    entries: usize,
}

impl Reading {
    /// The package that the WIT files of a folder are, those in folders below left out.
    fn package(&mut self, folder: &Path) -> anyhow::Result<UnresolvedPackageGroup> {
        let mut sources = SourceMap::default();
        for path in self.entries(folder)? {
            if ends_as_wit(&path) && !path.is_dir() {
                self.file(&path, &mut sources)?;
            }
        }
        parsed(sources)
    }

    /// Every package of a folder of them: a folder each, or a file.
    fn dependencies(&mut self, folder: &Path) -> anyhow::Result<Vec<UnresolvedPackageGroup>> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut packages = Vec::new();
        for path in self.entries(folder)? {
            if path.is_dir() {
                packages.push(self.package(&path)?);
            } else if ends_as_wit(&path) {
                let mut sources = SourceMap::default();
                self.file(&path, &mut sources)?;
                packages.push(parsed(sources)?);
            } else if path.extension().is_some_and(|ending| ending == "wasm" || ending == "wat") {
                bail!("`{}` is not read: only packages that are WIT text are", shown(&path));
            }
        }
        Ok(packages)
    }

    fn entries(&mut self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let cannot = || format!("cannot list `{}`", shown(folder));
        let entries = std::fs::read_dir(folder).with_context(cannot)?.take(self.entries + 1);
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
        let mut paths = paths.with_context(cannot)?;
        let left = self.entries.checked_sub(paths.len());
        self.entries = left.ok_or_else(|| {
            let message = format!("there are more than {ENTRIES_MAX} files of WIT, from `{}` on", shown(folder));
            named::Name::RequestTooLarge.because(message)
        })?;
        paths.sort();
        Ok(paths)
    }

    fn file(&mut self, path: &Path, sources: &mut SourceMap) -> anyhow::Result<()> {
        let shown = shown(path);
        let text = input::read_text(path, self.bytes)
            .with_context(|| format!("cannot read `{shown}`: a tool has at most {BYTES_MAX} bytes of WIT"))?;
        self.bytes -= text.len() as u64;
        sources.push_str(&shown, text);
        Ok(())
    }
}

fn ends_as_wit(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
}

fn parsed(sources: SourceMap) -> anyhow::Result<UnresolvedPackageGroup> {
    sources.parse().map_err(|(sources, error)| anyhow!("the WIT is not valid: {}", error.render(&sources)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_with_those_that_it_uses() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let write = |name: &str, text: &str| {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(temp.path()))?;
            std::fs::write(path, text)
        };
        write("a.wit", "package local:a;\ninterface here { use local:b/there.{thing}; f: func(x: thing); }")?;
        write("b.txt", "not WIT")?;
        write("deps/b/b.wit", "package local:b;\ninterface there { use local:c/far.{deep}; type thing = deep; }")?;
        write("deps/c.wit", "package local:c;\ninterface far { type deep = u8; }")?;
        let (resolve, package) = read(temp.path())?;
        assert_eq!(resolve.packages[package].name.to_string(), "local:a");
        write("deps/c.wit", "package local:c;\ninterface far { type deep = ; }")?;
        let said = read(temp.path()).map_or_else(|error| format!("{error:#}"), |_| String::new());
        assert!(said.contains("the WIT is not valid") && said.contains("deps/c.wit:2:"), "{said}");
        Ok(())
    }

    /// Whoever packs a stranger's tool waits for nothing, and reads nothing without end.
    #[test]
    fn what_is_no_text_is_not_read() -> anyhow::Result<()> {
        let said = |make: &dyn Fn(&Path) -> std::io::Result<()>| {
            let temp = tempfile::tempdir()?;
            std::fs::write(temp.path().join("a.wit"), "package local:a;\n")?;
            make(&temp.path().join("b.wit"))?;
            anyhow::Ok(read(temp.path()).map_or_else(|error| format!("{error:#}"), |_| String::new()))
        };
        let pipe = said(&|path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            Ok(rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)?)
        })?;
        assert!(pipe.contains("not a regular file"), "{pipe}");
        let endless = said(&|path| std::os::unix::fs::symlink("/dev/zero", path))?;
        assert!(endless.contains("not a regular file"), "{endless}");
        let large = said(&|path| std::fs::File::create(path)?.set_len(1 << 40))?;
        assert!(large.contains("at most 4194304 bytes"), "{large}");
        Ok(())
    }
}
