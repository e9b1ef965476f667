//! What a journal says that a run reaches, before the walls of this process stand: directories, where secrets come from, models.
//! For a server also of the runs that earlier ones left in the middle. A journal may be a stranger's, so it is read by a process
//! of its own, behind walls around the journal alone, and what that one says is small and typed. Who acts on it opens the journal
//! again behind its own walls, and checks there what counts: a word too much widens a wall or asks a keyring for nothing, and
//! gives nobody anything.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::ToolAuthority;
use agent_core::event::Event;
use agent_core::grant::Access;
use agent_core::keyring::KeyringEntry;
use agent_core::name::{Name, RunId};
use agent_core::run_events::ModelChoice;
use agent_core::secret::SecretSource;
use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::hardening::reach::Reach;
use crate::hardening::{self, Files};
use crate::home::Home;
use crate::journal::Journal as _;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;
use crate::mcp::runs;
use crate::operator;
use crate::process_limits;

/// Longest answer: the paths of every grant that a run can hold.
const SAID_BYTES_MAX: usize = 2 << 20;

/// How long an answer is waited for: longer than another process keeps the journal busy, and than a look at the longest run takes.
const WAIT: Duration = Duration::from_secs(60);

/// How long its end is waited for, once it was killed.
const END_WAIT: Duration = Duration::from_secs(1);

/// How often it is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// `agent-host scout-run`, a verb that is in no help.
#[derive(Debug, clap::Args)]
pub struct ScoutArgs {
    runs: PathBuf,
    /// The run, or the beginning of its name [default: the latest]
    run: Option<String>,
    /// All that servers left in the middle.
    #[arg(long, conflicts_with = "run")]
    left_by_servers: bool,
    /// The last of that session, if there is one.
    #[arg(long, conflicts_with_all = ["run", "left_by_servers"])]
    session: Option<Name>,
}

/// What runs need outside of their journal, as the journal says; nothing where it could not be read.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// The runs that it is about.
    runs: BTreeSet<RunId>,
    /// The models of the one that was asked for, in the order in which they are tried.
    pub models: Vec<ModelChoice>,
    /// Who held them last and did not give them back: whether these processes are alive is looked up behind the walls.
    holders: BTreeSet<u32>,
    /// What their tools hold.
    directories: BTreeSet<(String, Access)>,
    /// What these held before a run was moved or let go on here.
    former: BTreeSet<(String, Access)>,
    /// The files that their secrets come from.
    secrets: BTreeSet<String>,
    /// What the desktop's keyring is asked for them.
    pub keyring: BTreeSet<KeyringEntry>,
}

/// Whose directories are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    /// Those of the tools as they are: for who goes on with the run.
    Now,
    /// Those that any call held: for who looks at what was changed.
    Ever,
}

/// Asks a process of its own about one run. Why nothing could be found out is told by who opens the journal behind the walls.
pub fn needs(home: &Home, runs: &Path, run: Option<&str>) -> Needs {
    let named: Vec<&str> = run.into_iter().flat_map(|run| ["--", run]).collect();
    ask(home, runs, &named)
}

/// Asks it about all runs that servers left in the middle.
pub fn needs_left_by_servers(home: &Home, runs: &Path) -> Needs {
    ask(home, runs, &["--left-by-servers"])
}

/// Asks it about the last run of a session.
pub fn needs_of_session(home: &Home, runs: &Path, session: &Name) -> Needs {
    ask(home, runs, &["--session", session.as_str()])
}

fn ask(home: &Home, runs: &Path, which: &[&str]) -> Needs {
    asked(home, runs, which).unwrap_or_else(|error| {
        tracing::debug!(error = format!("{error:#}"), "nothing is known of a run before its journal is opened");
        Needs::default()
    })
}

fn asked(home: &Home, runs: &Path, which: &[&str]) -> anyhow::Result<Needs> {
    let mut asking = Command::new("/proc/self/exe");
    // Of this process's surroundings it gets nothing but what is said here.
    asking.arg("scout-run").arg(runs).args(which).env_clear().env("AGENT_HOST_HOME", home.root());
    asking.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = asking.spawn()?;
    let said = child.stdout.take().context("it has no output").and_then(hear);
    // One that says more, or nothing, is not waited for.
    let _ = child.kill();
    ended(&mut child);
    serde_json::from_slice(&said?).context("it was not understood")
}

/// Waits for its end, for a moment: one that waits in the kernel, for a share that does not answer, may not end even now.
fn ended(child: &mut Child) {
    let until = Instant::now() + END_WAIT;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
        thread::sleep(LOOK_EVERY);
    }
}

/// All that it says, within bounds.
fn hear(mut out: ChildStdout) -> anyhow::Result<Vec<u8>> {
    let until = Instant::now() + WAIT;
    let (mut said, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    while said.len() < SAID_BYTES_MAX {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now()))?;
        match poll(&mut [PollFd::new(&out, PollFlags::IN)], Some(&left)) {
            Ok(0) => bail!("it says nothing"),
            Ok(_) => match out.read(&mut chunk)? {
                0 => return Ok(said),
                count => said.extend_from_slice(&chunk[..count]),
            },
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("it says more than any run holds")
}

/// What the process does.
#[must_use]
pub fn run(args: &ScoutArgs) -> ExitCode {
    let said = look(args).and_then(|needs| {
        let mut out = std::io::stdout();
        serde_json::to_writer(&mut out, &needs)?;
        Ok(out.flush()?)
    });
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn look(args: &ScoutArgs) -> anyhow::Result<Needs> {
    process_limits::set();
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let _ = hardening::put_up(Files::Within(&Reach::of_journal(&args.runs)));
    let _ = hardening::close_memory();
    let journal = SqliteJournal::open_existing(&args.runs, &key)?;
    if args.left_by_servers {
        // One that cannot be read is passed over, as by the server itself.
        let each = runs::left_in_the_middle(&journal)?.into_iter().filter_map(|run| Needs::of(&journal, &run).ok());
        return Ok(each.fold(Needs::default(), Needs::and));
    }
    match &args.session {
        Some(session) => match journal.session_end(session)? {
            Some((_, last)) => Needs::of(&journal, &last),
            None => Ok(Needs::default()),
        },
        None => Needs::of(&journal, &journal.find_run(args.run.as_deref())?),
    }
}

impl Needs {
    fn of(journal: &SqliteJournal, run: &RunId) -> anyhow::Result<Self> {
        let (runs, holders) = (BTreeSet::from([run.clone()]), journal.holder(run)?.into_iter().collect());
        let mut needs = Self { runs, holders, ..Self::default() };
        journal.terms_into(run, &mut |event| needs.take(event))?;
        Ok(needs)
    }

    fn and(mut self, other: Self) -> Self {
        self.runs.extend(other.runs);
        self.models.extend(other.models);
        self.holders.extend(other.holders);
        self.directories.extend(other.directories);
        self.former.extend(other.former);
        self.secrets.extend(other.secrets);
        self.keyring.extend(other.keyring);
        self
    }

    /// The run, where it is about one.
    pub fn only(&self) -> Option<RunId> {
        self.runs.first().filter(|_| self.runs.len() == 1).cloned()
    }

    /// Whether what this run needs is among it.
    pub fn has(&self, run: &RunId) -> bool {
        self.runs.contains(run)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::RunStarted(body) => {
                self.models = body.models;
                self.hold_only(body.tools.iter().map(|tool| &tool.authority));
            }
            Event::RunRebased(body) => {
                self.models = body.models;
                self.hold_only(body.tools.iter().map(|tool| &tool.authority));
            }
            Event::RunAdopted(body) => self.hold_only(&body.authorities),
            Event::GrantWidened(body) => self.hold(&body.authority),
            _ => {}
        }
    }

    fn hold_only<'a>(&mut self, authorities: impl IntoIterator<Item = &'a ToolAuthority>) {
        self.former.append(&mut self.directories);
        self.secrets.clear();
        self.keyring.clear();
        authorities.into_iter().for_each(|authority| self.hold(authority));
    }

    fn hold(&mut self, authority: &ToolAuthority) {
        let grant = &authority.grant;
        self.directories.extend(grant.fs.iter().map(|fs| (fs.host.clone(), fs.access)));
        for secret in &grant.secrets {
            match &secret.from {
                SecretSource::Env(_) => {}
                SecretSource::File(file) => {
                    self.secrets.insert(file.as_str().to_owned());
                }
                SecretSource::Keyring(entry) => {
                    self.keyring.insert(entry.clone());
                }
            }
        }
    }

    /// Adds the directories that their tools were granted, as far as anybody could grant them.
    pub fn add_directories(&self, reach: &mut Reach, home: &Home, (holders, most): (Holders, Access)) {
        let former = self.former.iter().filter(|_| holders == Holders::Ever);
        for (host, access) in self.directories.iter().chain(former) {
            let may_be = host.parse::<HostPath>().is_ok_and(|host| operator::check_not_own_state(home, &host).is_ok());
            if may_be {
                reach.grant(host, (*access).min(most));
            }
        }
    }

    /// Adds what the system says of the processes that held them.
    pub fn add_holders(&self, reach: &mut Reach) {
        self.holders.iter().for_each(|pid| reach.read(format!("/proc/{pid}")));
    }

    /// Adds the files that their secrets come from.
    pub fn add_secrets(&self, reach: &mut Reach) {
        self.secrets.iter().for_each(|file| reach.read(file));
    }
}
