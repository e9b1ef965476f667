//! A case as its `expect.toml` states it: the attack, what must come of it, and its bounds. Every key is described in
//! `tests/hostile/README.md`; an unknown one is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::layout::Entry;
use crate::servers::ServerForm;

/// Longest `expect.toml`: it is written by hand.
const FORM_BYTES_MAX: u64 = 1 << 20;

/// A case and where it is.
pub(crate) struct Case {
    /// Its identifier, which is its folder's name.
    pub(crate) id: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    pub(crate) form: Form,
}

/// What `expect.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) driver: Driver,
    /// The Rust test of a case that is coded: `hostile_cpu::name`, or `PACKAGE hostile_cpu::name`.
    pub(crate) test: Option<String>,
    /// The method of the crash harness that carries the case out.
    pub(crate) method: Option<String>,
    /// A shared guest of `tests/guests`; without it the case's own `guest.wat`.
    pub(crate) guest: Option<String>,
    /// The component's name in the run.
    #[serde(default = "hostile")]
    pub(crate) tool: String,
    /// The component's bytes, by a named generator.
    pub(crate) generate: Option<Generate>,
    /// Limits granted to the tool.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, Value>,
    /// The text of a policy file.
    #[serde(default)]
    pub(crate) policy: String,
    /// The text of the user's settings file: the case then has a state folder of its own.
    #[serde(default)]
    pub(crate) settings: String,
    /// More words for the command line.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// The host's environment, beside `HOME` and `PATH`.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// What is laid out before the run.
    #[serde(default)]
    pub(crate) layout: Vec<Entry>,
    /// Folders below the world in which the attack may leave changes.
    #[serde(default = "scratch")]
    pub(crate) may_change: Vec<String>,
    #[serde(default)]
    pub(crate) server: Vec<ServerForm>,
    #[serde(default)]
    pub(crate) call: Vec<CallForm>,
    /// Where the tool must not even load.
    pub(crate) load: Option<LoadForm>,
    #[serde(default)]
    pub(crate) bounds: Bounds,
    #[serde(default)]
    pub(crate) output: Output,
    #[serde(default)]
    pub(crate) without: Vec<Without>,
}

/// Who carries a case out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Driver {
    /// The suite: a run of the built host.
    #[default]
    Host,
    /// A Rust test elsewhere.
    Rust,
    /// A method of the crash harness, which is a step of its own: it is only seen that it is there.
    Crash,
}

/// A component that is too large or too odd to be written down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) count: u64,
}

/// One attacking call, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallForm {
    #[serde(default = "run")]
    pub(crate) operation: String,
    /// A table; or the text that the model sends, JSON or not; or pieces of such a text, each with how often it comes.
    #[serde(default)]
    pub(crate) arguments: Arguments,
    /// The same call so many times in one reply.
    #[serde(default = "once")]
    pub(crate) copies: usize,
    /// So many replies of it, one after the other.
    #[serde(default = "once")]
    pub(crate) times: usize,
    /// In the same reply as the call before it.
    #[serde(default)]
    pub(crate) together: bool,
    /// `returned`, `failed`, or the name of the fault or refusal.
    pub(crate) outcome: String,
    /// In the outcome's text.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// Not in the outcome's text.
    #[serde(default)]
    pub(crate) never_says: Vec<String>,
    /// The names of the refusals among the effects: these and no others.
    #[serde(default)]
    pub(crate) refusals: Vec<String>,
    /// What the guest reported, by JSON pointer.
    #[serde(default)]
    pub(crate) reported: BTreeMap<String, Value>,
    /// The same, of which only a part is given.
    #[serde(default)]
    pub(crate) reported_has: BTreeMap<String, String>,
    /// Figures of the metering that must have exactly this value, by JSON pointer.
    #[serde(default)]
    pub(crate) metered: BTreeMap<String, Value>,
    /// The same, with the least value.
    #[serde(default)]
    pub(crate) metered_least: BTreeMap<String, u64>,
    /// The same, with the highest value.
    #[serde(default)]
    pub(crate) metered_most: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Arguments {
    Text(String),
    Pieces(Vec<(String, usize)>),
    Table(BTreeMap<String, Value>),
}

/// A tool that must be refused when it is loaded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadForm {
    /// The name of the problem.
    pub(crate) problem: String,
    /// In what is said about it.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// The command that must fail, without `agent-host`; `tool list` if not given.
    #[serde(default)]
    pub(crate) command: Vec<String>,
}

/// What the host may use for the attack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bounds {
    /// Resident memory over what the guests had.
    pub(crate) rss_delta_mib: u64,
    /// Time of each call; the deadline and 200 ms if not given.
    pub(crate) wall_ms: Option<u64>,
    /// Processor time from before the attack until after the second canary; 1.2 deadlines if not given.
    pub(crate) cpu_ms: Option<u64>,
    /// Time of the whole command.
    pub(crate) command_ms: u64,
    /// Resident memory that may stay, over that of the idle host before the attack.
    pub(crate) rss_back_mib: Option<u64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rss_delta_mib: 32, wall_ms: None, cpu_ms: None, command_ms: 60_000, rss_back_mib: None }
    }
}

/// Text in what the host says and stores.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Output {
    /// Somewhere in standard output, standard error or `show`.
    pub(crate) present: Vec<String>,
    /// Nowhere there, and in no file of the host.
    pub(crate) absent: Vec<String>,
    /// Nowhere there; a file of the host may have it.
    pub(crate) unseen: Vec<String>,
}

/// The same attack with defences switched off, and what shows that they were missing: all of what is given here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Without {
    /// The names of the defences.
    pub(crate) defence: Vec<String>,
    /// The last call ends so.
    pub(crate) outcome: Option<String>,
    /// Somewhere in the record of the run, or in what the run said.
    #[serde(default)]
    pub(crate) present: Vec<String>,
    /// This server is reached.
    pub(crate) reaches: Option<String>,
    /// The guest gets more memory than this.
    pub(crate) peak_over_mib: Option<u64>,
    /// The host's resident memory grows by more than this over what the guests had.
    pub(crate) rss_over_mib: Option<u64>,
    /// The command is still running after this time, and is then killed.
    pub(crate) outlives_ms: Option<u64>,
    /// The host makes more weighted calls than this for the guest.
    pub(crate) host_calls_over: Option<u64>,
    /// The host process ends by a signal.
    #[serde(default)]
    pub(crate) crashes: bool,
    /// Something outside the grants changes.
    #[serde(default)]
    pub(crate) changes: bool,
    /// The tool loads.
    #[serde(default)]
    pub(crate) loads: bool,
}

impl CallForm {
    /// How many calls it stands for.
    pub(crate) fn calls(&self) -> usize {
        self.copies * self.times
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self::Table(BTreeMap::new())
    }
}

impl Arguments {
    /// The text that the model sends.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Pieces(pieces) => pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect(),
            Self::Table(table) => serde_json::to_string(table).unwrap_or_default(),
        }
    }
}

impl Case {
    /// Reads one case.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = folder.join("expect.toml");
        let told = |error: &dyn std::fmt::Display| format!("{id}: cannot read `{}`: {error}", file.display());
        let length = file.metadata().map_err(|error| told(&error))?.len();
        if length > FORM_BYTES_MAX {
            return Err(told(&"it is larger than 1 MiB"));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| told(&error))?;
        let form: Form = toml::from_str(&text).map_err(|error| told(&error))?;
        let case = Self { id: id.clone(), folder: folder.to_owned(), form };
        case.check().map_err(|problem| told(&problem))?;
        Ok(case)
    }

    /// Refuses what means nothing: a key that is ignored would be a check that nobody makes.
    fn check(&self) -> Result<(), &'static str> {
        let form = &self.form;
        let attacks = !form.call.is_empty() || form.load.is_some();
        match form.driver {
            Driver::Rust if form.test.is_none() => Err("`driver = \"rust\"` needs `test`"),
            Driver::Rust if attacks || !form.without.is_empty() => Err("a coded case has its expectations in its test"),
            Driver::Rust => Ok(()),
            Driver::Crash if form.method.is_none() => Err("`driver = \"crash\"` needs `method`"),
            Driver::Crash if attacks || !form.without.is_empty() => {
                Err("what the crash harness carries out, it judges")
            }
            Driver::Crash => Ok(()),
            Driver::Host if form.method.is_some() => Err("`method` is for `driver = \"crash\"`"),
            Driver::Host if form.test.is_some() => Err("`test` is for `driver = \"rust\"`"),
            Driver::Host if !attacks => Err("it has neither `[[call]]` nor `[load]`"),
            Driver::Host if !form.call.is_empty() && form.load.is_some() => {
                Err("`[[call]]` and `[load]` exclude each other")
            }
            Driver::Host if form.without.iter().any(Without::shows_nothing) => {
                Err("a `[[without]]` says nothing that must be seen")
            }
            Driver::Host if form.without.iter().any(|without| without.defence.is_empty()) => {
                Err("a `[[without]]` names no defence")
            }
            Driver::Host => Ok(()),
        }
    }
}

impl Without {
    fn shows_nothing(&self) -> bool {
        let figures = [self.peak_over_mib, self.rss_over_mib, self.outlives_ms, self.host_calls_over];
        let texts = self.outcome.is_some() || self.reaches.is_some() || !self.present.is_empty();
        !texts && figures.iter().all(Option::is_none) && !self.crashes && !self.changes && !self.loads
    }
}

fn hostile() -> String {
    "hostile".to_owned()
}

fn run() -> String {
    "run".to_owned()
}

fn once() -> usize {
    1
}

fn scratch() -> Vec<String> {
    vec!["work/scratch".to_owned()]
}
