//! The world around a simulated run: what the model says, what tools do, files that a power cut can take back, and a server that
//! counts. Everything follows from the seed, so that a run that is cut short can be compared with one that is not.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use agent_core::config::authority::{ApprovalRule, Asks, Authority, FsRule, GrantRule};
use agent_core::config::ceiling::Ceiling;
use agent_core::config::host_path::HostPath;
use agent_core::config::resolve::resolve;
use agent_core::config::selector::Selector;
use agent_core::digest::Digest;
use agent_core::grant::{Access, Capability, Recovery, RuleSource};
use agent_core::json::JsonText;
use agent_core::limits::LimitsChange;
use agent_core::message::{Message, Part};
use agent_core::model::{ModelReply, ProposedCall, TokenUsage};
use agent_core::run_events::{LockedTool, RunStarted};
use agent_core::tool::ToolDescriptor;

use crate::journal::simulated::dice::Dice;

/// Turns in which the model asks for tools.
const TURNS_MAX: usize = 4;
/// Calls that it asks for at once.
const CALLS_MAX: usize = 4;
/// Files that calls append to.
const FILES: u32 = 2;

/// What a tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Nothing but think.
    Compute,
    /// Nothing but think, once a person has said yes.
    Guarded,
    /// Appends a line to a file.
    Append,
    /// Sends a request that the server knows again by its key.
    Order,
    /// Sends a request that acts each time.
    Pay,
    /// Appends a line, then pays.
    Book,
}

/// The world outside the host.
pub(super) struct World {
    /// What the model asks for, turn by turn: each call by its tool and number.
    script: Vec<Vec<(Tool, u32)>>,
    pub(super) files: Files,
    pub(super) server: Server,
    /// The conversation of each request that the model got, as digests of its messages.
    pub(super) asked: Vec<Vec<Digest>>,
}

/// Files on a disk of their own.
#[derive(Default)]
pub(super) struct Files {
    seen: BTreeMap<String, String>,
    kept: BTreeMap<String, String>,
}

/// What requests did.
#[derive(Default)]
pub(super) struct Server {
    /// How often it acted, for each number.
    pub(super) acts: BTreeMap<u32, u32>,
    keys: HashSet<String>,
}

impl Tool {
    const ALL: [Self; 6] = [Self::Compute, Self::Guarded, Self::Append, Self::Order, Self::Pay, Self::Book];

    fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Guarded => "guarded",
            Self::Append => "append",
            Self::Order => "order",
            Self::Pay => "pay",
            Self::Book => "book",
        }
    }

    /// The tool of the run that does it.
    fn wire(self) -> &'static str {
        match self {
            Self::Compute | Self::Order | Self::Pay => "shop__do",
            Self::Guarded => "safe__do",
            Self::Append | Self::Book => "files__do",
        }
    }

    /// What a call asks for: which tool, and its number.
    pub(super) fn of_arguments(arguments: &str) -> (Self, u32) {
        let words: Vec<_> = arguments.split('"').collect();
        let tool = Self::ALL.into_iter().find(|tool| tool.name() == words[3]).unwrap();
        (tool, words[6].trim_matches([':', '}']).parse().unwrap())
    }

    fn to_arguments(self, number: u32) -> String {
        format!(r#"{{"do":"{}","number":{number}}}"#, self.name())
    }

    /// What the call of this number answers when it is made once.
    pub(super) fn answer(self, number: u32) -> String {
        format!("{} {number}: {}", self.name(), Digest::of(&number.to_le_bytes()).short())
    }

    /// The file that the call of this number appends to.
    pub(super) fn file(number: u32) -> String {
        format!("file {}", number % FILES)
    }
}

impl World {
    /// The world of this seed.
    pub(super) fn new(dice: &mut Dice) -> Self {
        let mut number = 0;
        // Few tools a run, since most of the time goes into reading how it began.
        let (safe, files) = (dice.once_in(3), !dice.once_in(3));
        let kept = |tool: &Tool| match tool {
            Tool::Compute | Tool::Order | Tool::Pay => true,
            Tool::Guarded => safe,
            Tool::Append | Tool::Book => files,
        };
        let tools: Vec<_> = Tool::ALL.into_iter().filter(kept).collect();
        let mut call = |dice: &mut Dice| {
            number += 1;
            (tools[dice.below(tools.len())], number)
        };
        let script =
            (0..=dice.below(TURNS_MAX)).map(|_| (0..=dice.below(CALLS_MAX)).map(|_| call(dice)).collect()).collect();
        Self { script, files: Files::default(), server: Server::default(), asked: Vec::new() }
    }

    /// The first event of a run in it.
    pub(super) fn started(&self) -> RunStarted {
        static TOOLS: LazyLock<Vec<LockedTool>> =
            LazyLock::new(|| ["shop.do", "safe.do", "files.do"].map(locked).to_vec());
        let is_asked = |tool: &&LockedTool| {
            let name = tool.descriptor.name.wire();
            self.script.iter().flatten().any(|(asked, _)| asked.wire() == name)
        };
        RunStarted { tools: TOOLS.iter().filter(is_asked).cloned().collect(), ..super::super::started() }
    }

    /// The same, before anything happened in it.
    pub(super) fn afresh(&self) -> Self {
        Self { script: self.script.clone(), files: Files::default(), server: Server::default(), asked: Vec::new() }
    }

    /// The model's reply: calls as long as it has any, then what it makes of their results.
    pub(super) fn reply(&mut self, turn: u32, messages: &[Message]) -> ModelReply {
        self.asked.push(digests(messages));
        let calls = self.script.get(turn as usize - 1).map_or(&[][..], Vec::as_slice);
        let propose = |&(tool, number): &(Tool, u32)| ProposedCall {
            id: None,
            tool: tool.wire().to_owned(),
            arguments: tool.to_arguments(number),
        };
        let text = if calls.is_empty() { results(messages) } else { String::new() };
        let usage = TokenUsage::of(10, 5);
        ModelReply { text, calls: calls.iter().map(propose).collect(), usage, model: "script".to_owned(), id: None }
    }

    /// The power goes, and with it what files had not kept.
    pub(super) fn lose_power(&mut self, dice: &mut Dice) {
        self.files.lose_power(dice);
    }

    /// Whether the call of this number is one of a file that it appends to.
    pub(super) fn appends(&self) -> impl Iterator<Item = u32> {
        let calls = self.script.iter().flatten();
        calls.filter(|(tool, _)| matches!(tool, Tool::Append | Tool::Book)).map(|(_, number)| *number)
    }
}

impl Files {
    /// The content of a file, if there is one.
    pub(super) fn read(&self, path: &str) -> Option<&str> {
        self.seen.get(path).map(String::as_str)
    }

    /// Appends a line for the call of this number.
    pub(super) fn append(&mut self, path: &str, number: u32) {
        let content = self.seen.entry(path.to_owned()).or_default();
        content.push_str(&format!("{number}\n"));
    }

    /// Makes what is in a file survive a power cut.
    pub(super) fn sync(&mut self, path: &str) {
        match self.seen.get(path) {
            Some(content) => drop(self.kept.insert(path.to_owned(), content.clone())),
            None => drop(self.kept.remove(path)),
        }
    }

    /// Puts back what was there, synced.
    pub(super) fn restore(&mut self, path: &str, content: Option<String>) {
        match content {
            Some(content) => drop(self.seen.insert(path.to_owned(), content)),
            None => drop(self.seen.remove(path)),
        }
        self.sync(path);
    }

    /// How often the call of this number wrote its line.
    pub(super) fn lines_of(&self, number: u32) -> usize {
        let lines = self.seen.values().flat_map(|content| content.lines());
        lines.filter(|line| *line == number.to_string()).count()
    }

    fn lose_power(&mut self, dice: &mut Dice) {
        let paths: HashSet<String> = self.seen.keys().chain(self.kept.keys()).cloned().collect();
        let mut paths: Vec<_> = paths.into_iter().collect();
        paths.sort();
        for path in paths {
            if dice.once_in(2) {
                self.sync(&path);
            }
        }
        self.seen = self.kept.clone();
    }
}

impl Server {
    /// A request for the call of this number arrives.
    pub(super) fn act(&mut self, number: u32, key: Option<&str>) {
        let new = key.is_none_or(|key| self.keys.insert(key.to_owned()));
        if new {
            *self.acts.entry(number).or_default() += 1;
        }
    }
}

/// A conversation as digests, to compare it with another.
pub(super) fn digests(messages: &[Message]) -> Vec<Digest> {
    messages.iter().map(|message| Digest::of(format!("{message:?}").as_bytes())).collect()
}

/// What the model says in the end: it depends on every result.
fn results(messages: &[Message]) -> String {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let results = parts.filter_map(|part| match part {
        Part::ToolResult(result) => Some(format!("{:?}", result.content)),
        Part::Text(_) | Part::ToolCall(_) => None,
    });
    Digest::of(results.collect::<String>().as_bytes()).short()
}

fn locked(name: &str) -> LockedTool {
    let name = name.parse().unwrap();
    let (component, ceiling) = (Digest::of(b"component"), Ceiling::of_imports(&[Capability::Fs]));
    let authority = resolve(&name, &component, &ceiling, &LimitsChange::default(), &[&rules()]).unwrap();
    let input_schema = JsonText::parse(r#"{"type":"object"}"#).unwrap();
    let descriptor = ToolDescriptor { name, description: String::new(), input_schema, output_schema: None };
    LockedTool { descriptor, component, export: None, authority }
}

/// `files` may write in one directory, and a person is asked before each call of `safe`.
fn rules() -> Authority {
    let source = || RuleSource("test".to_owned());
    let host = || HostPath::join("/", "/srv/data").unwrap();
    let writes = GrantRule {
        selector: Selector::Component("files".parse().unwrap()),
        fs: vec![FsRule { host: host(), mount: None, access: Access::Write, recovery: Recovery::Undo }],
        ..GrantRule::directory(host(), Access::Write, source())
    };
    let asks =
        ApprovalRule { selector: Selector::Component("safe".parse().unwrap()), asks: Asks::Call, source: source() };
    Authority { grants: vec![writes], approvals: vec![asks], ..Authority::nothing() }
}
