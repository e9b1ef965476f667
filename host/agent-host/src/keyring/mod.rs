//! What the desktop's keyring holds of a run's secrets. The keyring is asked by the desktop's own small program, as git asks it,
//! and before the walls stand: behind them neither the desktop's bus nor any program is within reach. Which secrets the tools hold
//! is known only behind the walls; so what could be needed is asked for, and what cannot be had is an error where it is needed.

mod process;
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agent_core::config::authority::Authority;
use agent_core::config::reachable;
use agent_core::keyring::KeyringEntry;
use anyhow::{Context, anyhow};
use zeroize::Zeroizing;

use self::process::Patience;
use self::program::Program;
use crate::hardening::reach::Reach;
use crate::reporter::Voice;
use crate::tool_folders::Found;

/// How long the keyring is waited for, over all entries: a person who is asked to unlock it has to find the window and a password.
const WAIT: Duration = Duration::from_secs(60);
/// How long `doctor` waits for one that is asked for nothing that it has.
const LOOK_WAIT: Duration = Duration::from_secs(5);

/// What the keyring answered. Wiped when dropped.
#[derive(Default)]
pub struct Keyring {
    answers: BTreeMap<KeyringEntry, Result<Zeroizing<String>, String>>,
}

impl Keyring {
    /// Asks for what secrets of these tools could come from under `rules`.
    #[must_use]
    pub fn for_tools<'f>(
        rules: &[Authority],
        found: impl IntoIterator<Item = &'f Found>,
        reach: &Reach,
        voice: Voice,
    ) -> Self {
        let ceilings: Vec<_> = found
            .into_iter()
            .map(|found| (&found.name, found.manifest.as_ref().map(|manifest| &manifest.ceiling)))
            .collect();
        Self::ask(&reachable::keyring_entries(rules, &ceilings), reach, voice)
    }

    /// Asks for these entries. What tools may write is in `reach`: no program is taken from there.
    #[must_use]
    pub fn ask(entries: &BTreeSet<KeyringEntry>, reach: &Reach, voice: Voice) -> Self {
        if entries.is_empty() {
            return Self::default();
        }
        let program = Program::find(reach).map_err(|why| format!("{why:#}"));
        let mut patience = Patience::until(Instant::now() + wait(), voice);
        let mut answer = |entry: &KeyringEntry| match &program {
            Ok(program) => program.ask(entry, &mut patience).map_err(|why| format!("{why:#}")),
            Err(why) => Err(why.clone()),
        };
        Self { answers: entries.iter().map(|entry| (entry.clone(), answer(entry))).collect() }
    }

    /// The value of an entry.
    ///
    /// # Errors
    /// Where there is none, with what to do about it.
    pub fn value(&self, entry: &KeyringEntry) -> anyhow::Result<&str> {
        // A tool that a server loaded later may want one that no tool had wanted at first.
        let unasked = || format!("the keyring was not asked for `{entry}` when this began\n  hint: start it again");
        let answer = self.answers.get(entry).with_context(unasked)?;
        answer.as_ref().map(|value| value.as_str()).map_err(|why| anyhow!("{why}"))
    }
}

/// What a keyring answers that is asked for what it cannot have: for `doctor`.
///
/// # Errors
/// Where none answers: why, with what to do about it.
pub fn look() -> anyhow::Result<String> {
    let program = Program::find(&Reach::default())?;
    let mut patience = Patience::until(Instant::now() + LOOK_WAIT, Voice::Silent);
    program.look(&mut patience)?;
    Ok(format!("it answers `{}`", program.path().display()))
}

/// How long the keyring is waited for. A test of one that never answers does not wait for it.
fn wait() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(ms) = std::env::var("AGENT_HOST_KEYRING_WAIT_MS").ok().and_then(|ms| ms.parse().ok()) {
        return Duration::from_millis(ms);
    }
    WAIT
}
