//! Looks now and then whether the tools of a server have changed: a component that was built again, one that came, one that is
//! gone. Then they are loaded anew, while calls of the others go on; each call goes to what was there when it began, and clients are
//! told. Where that cannot be done, it is said once, and what was served goes on being served, as far as it is still there.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::server::Server;
use super::tool_set::Tools;
use crate::failpoint;
use crate::real_path::way_to;
use crate::report::text;

/// Between two looks: a person who builds a tool waits as long as that, and an idle server does next to nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Entries of a folder that are looked at, as many as are when tools are found.
const ENTRIES_MAX: usize = 10_000;

/// What the tools looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look(u64);

/// Looks at the files that tools are made of: the paths themselves, and what is in folders and folders below them. Also where links
/// lead, to a tool or to none yet: what is there is kept from the tools that are served.
#[must_use]
pub fn look(paths: &[PathBuf]) -> Look {
    let mut seen = DefaultHasher::new();
    for path in paths {
        way_to(path).stops.hash(&mut seen);
        note(path, &mut seen);
        for entry in entries(path) {
            note(&entry, &mut seen);
            entries(&entry).iter().for_each(|file| note(file, &mut seen));
        }
    }
    Look(seen.finish())
}

/// The entries that matter, in their order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let matters = |path: &PathBuf| {
        let ends = path.extension().and_then(|extension| extension.to_str());
        path.is_dir() || path.is_symlink() || matches!(ends, Some("wasm" | "toml"))
    };
    let mut paths: Vec<PathBuf> =
        entries.take(ENTRIES_MAX).flatten().map(|entry| entry.path()).filter(matters).collect();
    paths.sort();
    paths
}

/// A folder's own time moves with whatever is built in it, so only files count, and links.
fn note(path: &Path, seen: &mut DefaultHasher) {
    if let Ok(target) = path.read_link() {
        (path, target).hash(seen);
    }
    if let Ok(file) = path.metadata()
        && file.is_file()
    {
        (path, file.ino(), file.len(), file.mtime(), file.mtime_nsec()).hash(seen);
    }
}

/// What came of looking again.
pub enum Reloaded {
    /// These are served now.
    All(Tools),
    /// They cannot be served as they are now, for this reason. Of those that were served, some are gone; these are not.
    Rest(Tools, anyhow::Error),
    /// The same, and those that were served are all still there.
    AsBefore(anyhow::Error),
}

/// Looks until the server stops; `load` loads what is there, and is told what was served.
pub async fn follow(
    server: Arc<Server>,
    (paths, mut seen): (Vec<PathBuf>, Look),
    load: impl Fn(&Tools) -> Reloaded + Send,
    quiet: bool,
) {
    let say = |line: String| {
        if !quiet {
            let _ = writeln!(anstream::stderr(), "· {line}");
        }
    };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = look(&paths);
        if now == seen {
            continue;
        }
        // One that is being written is looked at again when it is.
        seen = now;
        let served = server.tools();
        // What others on this runtime do goes on meanwhile. What was taken away or replaced is not called any more, from here on.
        server.withhold(tokio::task::block_in_place(|| served.gone()));
        let (tools, why) = match tokio::task::block_in_place(|| reload(&load, &served)) {
            Reloaded::All(tools) => (Some(tools), None),
            Reloaded::Rest(tools, why) => (Some(tools), Some(why)),
            Reloaded::AsBefore(why) => (None, Some(why)),
        };
        if let Some(why) = why {
            say(text::lines(&format!("the tools have changed, and are not served: {why:#}")));
        }
        let Some(tools) = tools else {
            server.withhold(HashSet::new());
            continue;
        };
        let count = tools.locked.len();
        match server.change(tools).await {
            Ok(()) => say(format!("the tools have changed: {count} are served now")),
            Err(error) => return server.fail(error).await,
        }
    }
}

fn reload(load: &impl Fn(&Tools) -> Reloaded, served: &Tools) -> Reloaded {
    failpoint::hit("tools-withheld");
    load(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is no tool becomes one by what is written there.
    #[test]
    fn a_link_that_leads_elsewhere_is_noticed_before_there_is_a_tool() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        ["one", "two", "tools"].iter().try_for_each(|name| std::fs::create_dir(at(name)))?;
        std::os::unix::fs::symlink("one", at("named"))?;
        let paths = [at("tools"), at("named")];
        let mut looks = vec![look(&paths)];
        for (target, link) in
            [("../one", "tools/data"), ("../two", "tools/data"), ("nowhere", "tools/data"), ("two", "named")]
        {
            let _ = std::fs::remove_file(at(link));
            std::os::unix::fs::symlink(target, at(link))?;
            let now = look(&paths);
            assert!(!looks.contains(&now), "{target}");
            looks.push(now);
        }
        Ok(())
    }

    #[test]
    fn a_tool_that_changes_is_noticed_and_what_is_built_beside_it_is_not() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let tool = folder.path().join("calc");
        std::fs::create_dir(&tool)?;
        let paths = [folder.path().to_owned()];
        let mut looks = vec![look(&paths)];
        let mut write = |name: &str, text: &str| -> std::io::Result<bool> {
            std::fs::write(tool.join(name), text)?;
            let now = look(&paths);
            let is_new = looks.last() != Some(&now);
            looks.push(now);
            Ok(is_new)
        };
        assert!(write("calc.wasm", "1")?);
        assert!(write("tool.toml", "[tool]")?);
        assert!(!write("lib.rs", "fn main() {}")?);
        assert!(write("calc.wasm", "22")?);
        std::fs::remove_file(tool.join("calc.wasm"))?;
        assert_ne!(looks.last(), Some(&look(&paths)));
        Ok(())
    }
}
