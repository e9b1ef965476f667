//! agent-host's own files: the state folder, the host's key, policy, settings and trust, compiled code, and the journal of the
//! working directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use agent_core::units::Bytes;

use super::Finding;
use crate::cli::AllowArgs;
use crate::home::Home;
use crate::journal::Journal as _;
use crate::journal::key::HostKey;
use crate::journal::runs::{RunStatus, Wanted};
use crate::journal::sqlite::SqliteJournal;
use crate::operator;
use crate::report::text;
use crate::settings;
use crate::trust::TrustStore;

/// Runs of a journal that are looked at.
const RUNS_MAX: usize = 1_000;
/// Entries of the compiled-code cache that are counted.
const CACHED_MAX: usize = 10_000;

/// Everything but the journal, with the host's key, if there is one that can be used.
pub(super) fn look() -> (Vec<Finding>, Option<HostKey>) {
    const NAME: &str = "state folder";
    let broken = |detail: String, cure: String| (vec![Finding::broken(NAME, detail, cure)], None);
    let Some(place) = Home::place() else {
        return broken("none can be chosen".to_owned(), "set `AGENT_HOST_HOME` or `HOME`".to_owned());
    };
    if !place.exists() {
        let detail = format!("{} will be made by the first run", place.display());
        return (vec![Finding::ok(NAME, detail)], None);
    }
    if let Err((problem, cure)) = check_private(&place) {
        return broken(problem, cure);
    }
    let home = match Home::at(&place) {
        Ok(home) => home,
        Err(error) => return broken(format!("{error:#}"), "set `AGENT_HOST_HOME`".to_owned()),
    };
    let (host_key, key) = host_key(&home);
    let mut found = vec![Finding::ok(NAME, format!("{}, yours alone", place.display()))];
    found.extend([host_key, rules(&home), own_settings(&home), trust(&home), cache(&home)]);
    (found, key)
}

/// Looks at it before anything that would mend it.
fn check_private(folder: &Path) -> Result<(), (String, String)> {
    let shown = folder.display();
    let metadata = fs::symlink_metadata(folder).map_err(|error| (error.to_string(), "make it readable".to_owned()))?;
    if !metadata.is_dir() {
        return Err((format!("{shown} is not a folder"), "move it away".to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err((format!("{shown} belongs to another user"), "set `AGENT_HOST_HOME` to one of yours".to_owned()));
    }
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 != 0 => {
            Err((format!("{shown} has mode {mode:o}: others can look in"), format!("chmod 700 {shown}")))
        }
        _ => Ok(()),
    }
}

/// A run closes the key's file to others before it uses it. That does not take back what they may have read, so it is told of,
/// and left as it is.
fn host_key(home: &Home) -> (Finding, Option<HostKey>) {
    const NAME: &str = "host key";
    let file = home.root().join("host.key");
    let metadata = match fs::symlink_metadata(&file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (Finding::ok(NAME, "will be made by the first run"), None);
        }
        Err(error) => return (Finding::broken(NAME, error.to_string(), "make it readable"), None),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let detail = format!("{} has mode {mode:o}: others can read it, and forge runs with it", file.display());
        let cure =
            "move it away if others use this machine: a new one is made, and earlier runs can then only be shown";
        return (Finding::broken(NAME, detail, cure), None);
    }
    match HostKey::load_or_create(home.root()) {
        Ok(key) => (Finding::ok(NAME, "there, and nobody else can read it"), Some(key)),
        Err(error) => {
            let cure = "mend it, or move it away: without it no earlier run can be resumed";
            (Finding::broken(NAME, error.to_string(), cure), None)
        }
    }
}

fn rules(home: &Home) -> Finding {
    match operator::standing_rules(home, &AllowArgs::default()) {
        Ok(rules) => {
            let grants: usize = rules.iter().map(|rules| rules.grants.len()).sum();
            let detail = match grants {
                0 => "no standing grant".to_owned(),
                grants => format!("{}, for every run", text::counted(grants, "standing grant")),
            };
            Finding::ok("policy", detail)
        }
        Err(error) => Finding::broken("policy", format!("{error:#}"), "correct it: no run begins"),
    }
}

fn own_settings(home: &Home) -> Finding {
    match settings::read(&home.settings_file()) {
        Ok(_) if home.settings_file().exists() => Finding::ok("settings", "understood"),
        Ok(_) => Finding::ok("settings", "none of your own"),
        Err(error) => Finding::broken("settings", format!("{error:#}"), "correct it: no run begins"),
    }
}

fn trust(home: &Home) -> Finding {
    match TrustStore::open(&home.trust_file()) {
        Ok(store) => Finding::ok("trust", trusted(store.len())),
        Err(error) => Finding::broken("trust", format!("{error:#}"), "correct it, or move it away and trust again"),
    }
}

fn trusted(count: usize) -> String {
    match count {
        0 => "no agent file and no build command".to_owned(),
        1 => "1 agent file or build command".to_owned(),
        count => format!("{count} agent files and build commands"),
    }
}

fn cache(home: &Home) -> Finding {
    const NAME: &str = "compiled code";
    let entries = match fs::read_dir(home.code_cache()) {
        Ok(entries) => entries,
        Err(_) => return Finding::ok(NAME, "nothing is kept yet"),
    };
    if let Err((problem, cure)) = check_private(&home.code_cache()) {
        return Finding::missing(NAME, format!("{problem}: it is not used"), cure);
    }
    let sizes = entries.take(CACHED_MAX).filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
    Finding::ok(NAME, format!("{}, {}", text::counted(count, "file"), Bytes(bytes)))
}

/// The journal of the working directory. It may be a stranger's: asked behind the walls.
pub(super) fn journal(folder: &Path, key: Option<&HostKey>) -> Finding {
    const NAME: &str = "journal here";
    if !folder.exists() {
        return Finding::ok(NAME, "no run was made in this directory");
    }
    let Some(key) = key else {
        return Finding::missing(NAME, "there are runs, and no host key that can be used", "they can be shown only");
    };
    let runs = SqliteJournal::open_existing(folder, key).and_then(|journal| journal.runs(&Wanted::default(), RUNS_MAX));
    match runs {
        Ok(runs) => {
            let count = |wanted: fn(&RunStatus) -> bool| runs.iter().filter(|run| wanted(&run.status)).count();
            let damaged = count(|status| matches!(status, RunStatus::Damaged));
            let interrupted = count(|status| matches!(status, RunStatus::Interrupted));
            if damaged > 0 {
                let cure = "`agent-host journal verify RUN` says where; copy the folder before anything else";
                return Finding::broken(
                    NAME,
                    format!("damaged: {damaged} of {}", text::counted(runs.len(), "run")),
                    cure,
                );
            }
            Finding::ok(NAME, format!("{}, {interrupted} interrupted", text::counted(runs.len(), "run")))
        }
        Err(error) => Finding::broken(NAME, error.to_string(), "copy the folder, then restore it from a backup"),
    }
}
