//! `strace`, where it is there: system calls that fail as told, and what was synced before what left.

use std::path::Path;
use std::process::{Command, Stdio};

/// Whether it is there and may look at a process.
pub(crate) fn works() -> Result<(), String> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace may not trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("there is no strace ({error}): install it")),
    }
}

/// A fault of the disk: which call on which file fails how, and the how many-th.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) call: &'static str,
    pub(crate) error: &'static str,
    pub(crate) at: u64,
}

/// The same command with a fault on the journal's files.
pub(crate) fn with_fault(command: &Command, journal: &Path, fault: &Fault) -> Command {
    let inject = format!("inject={}:error={}:when={}", fault.call, fault.error, fault.at);
    let wal = journal.with_extension("db-wal");
    let mut strace = around(command);
    strace.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &inject]);
    for file in [journal, &wal] {
        strace.arg("-P").arg(file);
    }
    finish(strace, command)
}

/// The same command, with what it writes, syncs and sends in a file.
pub(crate) fn with_record(command: &Command, record: &Path) -> Command {
    let mut strace = around(command);
    strace.args(["-f", "-y", "--seccomp-bpf", "-s", "16", "-e"]);
    strace.arg("trace=pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg").arg("-o").arg(record);
    finish(strace, command)
}

fn around(command: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.env_clear();
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        strace.current_dir(folder);
    }
    strace.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    strace
}

fn finish(mut strace: Command, command: &Command) -> Command {
    strace.arg("--").arg(command.get_program()).args(command.get_args());
    strace
}

/// How many POSTs left, and before how many of them there had not been as many syncs of the journal: each announcement has one of
/// its own. What else is written meanwhile, by a call beside it, needs none.
pub(crate) fn posts_after_syncs(record: &Path) -> Result<(u64, u64), String> {
    let text = std::fs::read_to_string(record).map_err(|error| error.to_string())?;
    let (mut syncs, mut posts, mut unsynced) = (0, 0, 0);
    for line in text.lines() {
        if line.contains("journal.db-wal>") && (line.contains("fdatasync(") || line.contains("fsync(")) {
            syncs += 1;
        } else if line.contains("\"POST ") {
            posts += 1;
            unsynced += u64::from(syncs < posts);
        }
    }
    Ok((posts, unsynced))
}

/// Appends to a file, each by a call that does nothing else and beside which no other writes anything.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Appends {
    pub(crate) all: u64,
    /// Those that came while the journal was written and not synced: what would undo them was not safe. Not the first one, which the
    /// creation of its file goes before: that was announced, and is recorded by then.
    pub(crate) early: u64,
    /// Those that were not synced when the journal was next: by then the call's end is in it.
    pub(crate) late: u64,
}

/// What was synced before and after each of them.
pub(crate) fn appends(record: &Path) -> Result<Appends, String> {
    let text = std::fs::read_to_string(record).map_err(|error| error.to_string())?;
    let mut found = Appends { all: 0, early: 0, late: 0 };
    let (mut unsynced_append, mut unsynced_journal) = (false, false);
    for line in text.lines() {
        let syncs = line.contains("fdatasync(") || line.contains("fsync(");
        if line.contains(APPENDED) {
            unsynced_append = !syncs;
            found.early += u64::from(!syncs && unsynced_journal && found.all > 0);
            found.all += u64::from(!syncs);
        } else if line.contains("journal.db-wal>") {
            unsynced_journal = !syncs;
            found.late += u64::from(syncs && unsynced_append);
            unsynced_append &= !syncs;
        }
    }
    Ok(found)
}

/// The end of such a file's name in a record: [`crate::workload`] has it.
const APPENDED: &str = "-log.txt>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_before_the_sync_of_its_undo_and_a_record_before_that_of_the_file_are_seen()
    -> Result<(), Box<dyn std::error::Error>> {
        let file = tempfile::NamedTempFile::new()?;
        let written = "7 pwrite64(12</w/data/t00001-log.txt>, \"line\"..., 8, 0) = 8\n";
        let synced = "7 fsync(12</w/data/t00001-log.txt>) = 0\n";
        let recorded = "7 pwrite64(9</w/journal.db-wal>, \"x\"..., 24, 56) = 24\n";
        let safe = "7 fdatasync(9</w/journal.db-wal>) = 0\n";
        let (all, early, late) = (2, 0, 0);
        let created = format!("{recorded}{written}{synced}");
        for (text, expected) in [
            (format!("{created}{recorded}{safe}{written}{synced}{recorded}{safe}"), Appends { all, early, late }),
            (format!("{created}{recorded}{safe}{written}{recorded}{safe}{synced}"), Appends { all, early, late: 1 }),
            (format!("{created}{safe}{recorded}{written}{synced}{recorded}{safe}"), Appends { all, early: 1, late }),
        ] {
            std::fs::write(file.path(), text)?;
            assert_eq!(appends(file.path())?, expected);
        }
        Ok(())
    }

    #[test]
    fn a_post_before_the_sync_is_seen() -> Result<(), Box<dyn std::error::Error>> {
        let file = tempfile::NamedTempFile::new()?;
        let written = "7 pwrite64(9</w/journal.db-wal>, \"x\"..., 24, 56) = 24\n";
        let synced = "7 fdatasync(9</w/journal.db-wal>) = 0\n";
        let sent = "8 sendto(11<socket:[5]>, \"POST /once HTTP/1\"..., 90, MSG_NOSIGNAL, NULL, 0) = 90\n";
        for (text, expected) in [
            (format!("{written}{synced}{written}{sent}{synced}{sent}"), (2, 0)),
            (format!("{written}{sent}{synced}{sent}"), (2, 2)),
        ] {
            std::fs::write(file.path(), text)?;
            assert_eq!(posts_after_syncs(file.path())?, expected);
        }
        Ok(())
    }
}
