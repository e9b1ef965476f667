//! `agent.toml`: an agent, and what it proposes to be granted. The proposal counts only once the operator trusts the file.

use super::authority::Authority;
use super::file::read_file;
use super::mount::is_clean;
use super::problem::{ProblemKind, Problems, shown};
use super::quantity::parse_count;
use super::reader::{Table, Value};
use super::rules::{Speaker, read_authority};
use super::settings::{TOOL_MODES, read_line};
use crate::budget::BudgetChange;
use crate::name::Name;
use crate::run_events::{DoubtPolicy, Record, ToolMode};
use crate::units::Fuel;

/// An agent file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFile {
    /// The agent's name.
    pub name: Name,
    /// What the model is told.
    pub instructions: Instructions,
    /// Models such as `anthropic:…`, the first that works; empty leaves the choice to flags and settings.
    pub models: Vec<String>,
    /// How tools are offered to the model; `None` leaves the choice to the model's provider.
    pub tool_mode: Option<ToolMode>,
    /// How much of each call its runs keep; `None` leaves the choice to flags.
    pub record: Option<Record>,
    /// Folders and components, relative to the file.
    pub tools: Vec<String>,
    /// What a run may spend, where the file says so.
    pub budget: BudgetChange,
    /// What becomes of a call in doubt, where the file says so.
    pub doubt: Option<DoubtPolicy>,
    /// What the agent proposes to be granted, and asks to be held to.
    pub authority: Authority,
}

/// What the model is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instructions {
    /// This text.
    Text(String),
    /// The text of a file below the agent file's folder. A value is taken for a file if it is one word that ends in `.md`
    /// or `.txt`; everything else is text.
    File(String),
}

impl AgentFile {
    /// Reads the text of an agent file. `file` is its name in messages; `base_dir` is the absolute directory in which it
    /// stands.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, base_dir: &str, text: &str) -> Result<Self, Problems> {
        read_file(ProblemKind::AgentFileInvalid, file, text, |root| read_agent_file(root, base_dir))
    }
}

fn read_agent_file(root: &mut Table<'_>, base_dir: &str) -> Option<AgentFile> {
    let agent = root.require("agent", "{ name = \"…\", instructions = \"prompt.md\" }");
    let budget = root.table("budget", read_budget).unwrap_or_default();
    let run = root.table("run", read_run).unwrap_or_default();
    let authority = read_authority(root, base_dir, Speaker::Agent);
    agent?.table(|table| read_agent(table, (budget, run), authority)).flatten()
}

/// What `[run]` says.
#[derive(Default)]
struct Run {
    doubt: Option<DoubtPolicy>,
}

const DOUBTS: [(&str, DoubtPolicy); 4] = [
    ("ask", DoubtPolicy::Ask),
    ("tell-model", DoubtPolicy::TellModel),
    ("fail", DoubtPolicy::Fail),
    ("reconcile", DoubtPolicy::Reconcile),
];

fn read_run(table: &mut Table<'_>) -> Run {
    Run { doubt: table.get("doubt").and_then(|value| value.one_of(&DOUBTS)) }
}

fn read_agent(table: &mut Table<'_>, (budget, run): (BudgetChange, Run), authority: Authority) -> Option<AgentFile> {
    const RECORDS: [(&str, Record); 2] = [("effects", Record::Effects), ("full", Record::Full)];
    let name = table.require("name", "\"support\"").and_then(|value| value.parse());
    let instructions = table.require("instructions", "\"prompt.md\"").and_then(|value| read_instructions(&value));
    let models = table.get("model").map(|value| read_models(&value)).unwrap_or_default();
    let tool_mode = table.get("tool_mode").and_then(|value| value.one_of(&TOOL_MODES));
    let record = table.get("record").and_then(|value| value.one_of(&RECORDS));
    let tools = table.get("tools").map(|value| value.each(|tool| read_line(&tool))).unwrap_or_default();
    let doubt = run.doubt;
    let (name, instructions) = (name?, instructions?);
    Some(AgentFile { name, instructions, models, tool_mode, record, tools, budget, doubt, authority })
}

fn read_instructions(value: &Value<'_>) -> Option<Instructions> {
    let text = value.string()?;
    let is_file = !text.contains(char::is_whitespace) && (text.ends_with(".md") || text.ends_with(".txt"));
    let path = text.strip_prefix("./").unwrap_or(text);
    if text.trim().is_empty() {
        value.problem("the instructions are empty".to_owned(), None);
        None
    } else if !is_file {
        Some(Instructions::Text(text.to_owned()))
    } else if is_clean(&format!("/{path}")) && !path.contains('\\') {
        Some(Instructions::File(path.to_owned()))
    } else {
        value.problem(format!("`{}` is not a path below this file's folder", shown(text)), None);
        None
    }
}

fn read_models(value: &Value<'_>) -> Vec<String> {
    if value.is_string() { read_line(value).into_iter().collect() } else { value.each(|model| read_line(&model)) }
}

fn read_budget(table: &mut Table<'_>) -> BudgetChange {
    table.refuse("cost", "cannot be enforced yet, since prices are not known to the host: give `tokens` instead");
    table.explain_unknown(": a budget that cannot be enforced is refused");
    BudgetChange {
        turns: table.get("turns").and_then(|value| positive(&value, read_u32(&value)?)),
        tool_calls: table.get("tool_calls").and_then(|value| read_u32(&value)),
        tokens: table.get("tokens").and_then(|value| positive(&value, read_count(&value)?)),
        fuel: table.get("fuel").and_then(|value| read_count(&value)).map(Fuel),
        time: table.get("time").and_then(|value| positive(&value, value.accept(value.quantity()?.parse())?)),
    }
}

fn read_count(value: &Value<'_>) -> Option<u64> {
    value.accept(parse_count(&value.quantity()?))
}

fn read_u32(value: &Value<'_>) -> Option<u32> {
    let count = u32::try_from(read_count(value)?);
    if count.is_err() {
        value.problem(format!("at most {} can be counted", u32::MAX), None);
    }
    count.ok()
}

fn positive<T: Default + PartialEq>(value: &Value<'_>, amount: T) -> Option<T> {
    let is_zero = amount == T::default();
    if is_zero {
        value.problem("a run that may spend nothing cannot begin".to_owned(), None);
    }
    (!is_zero).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::super::authority::{ApprovalRule, Asks, FsRule, GrantRule, HttpRule, TreatAs};
    use super::super::rule_names::KnownTools;
    use super::*;
    use crate::budget::Budget;
    use crate::effect::HttpMethod;
    use crate::grant::{Access, Recovery, RuleSource};
    use crate::limits::{Limit, LimitsChange};
    use crate::units::Millis;

    const SUPPORT: &str = r#"
[agent]
name = "support"
instructions = "./prompt.md"
model = ["anthropic:large", "openai:small"]
record = "full"
tools = ["tools"]
[budget]
turns = 40
tool_calls = 0
tokens = 200_000
fuel = "5T"
time = "10m"
[run]
doubt = "tell-model"
[[grant]]
tool = "files"
fs = [{ host = "./docs", mount = "/data", access = "write" }]
[[grant]]
tool = "fetch.get"
http = [{ url = "https://en.wikipedia.org", methods = ["GET"], class = "opaque" }]
limits = { deadline = "60s" }
[[approval]]
tool = "files.write"
[[approval]]
effect = "http"
methods = ["POST", "PUT", "DELETE"]
"#;

    fn source(line: u32) -> RuleSource {
        RuleSource(format!("agent.toml:{line}"))
    }

    #[test]
    fn an_agent_file_reads_as_it_is_written() -> Result<(), Box<dyn std::error::Error>> {
        let files = GrantRule {
            selector: "files".parse()?,
            component: None,
            fs: vec![FsRule {
                host: "/home/ada/docs".parse()?,
                mount: Some("/data".parse()?),
                access: Access::Write,
                recovery: Recovery::Undo,
            }],
            http: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            kv: None,
            limits: LimitsChange::default(),
            source: source(16),
        };
        let fetch = GrantRule {
            selector: "fetch.get".parse()?,
            component: None,
            fs: Vec::new(),
            http: vec![HttpRule {
                url: "https://en.wikipedia.org".parse()?,
                methods: vec![HttpMethod::Get],
                idempotency_header: None,
                treat_as: TreatAs::Opaque,
            }],
            env: Vec::new(),
            secrets: Vec::new(),
            kv: None,
            limits: LimitsChange([(Limit::Deadline, 60_000)].into()),
            source: source(19),
        };
        let methods = vec![HttpMethod::Post, HttpMethod::Put, HttpMethod::Delete];
        let expected = AgentFile {
            name: "support".parse()?,
            instructions: Instructions::File("prompt.md".to_owned()),
            models: vec!["anthropic:large".to_owned(), "openai:small".to_owned()],
            tool_mode: None,
            record: Some(Record::Full),
            tools: vec!["tools".to_owned()],
            budget: BudgetChange {
                turns: Some(40),
                tool_calls: Some(0),
                tokens: Some(200_000),
                fuel: Some(Fuel(5_000_000_000_000)),
                time: Some(Millis(600_000)),
            },
            doubt: Some(DoubtPolicy::TellModel),
            authority: Authority {
                grants: vec![files, fetch],
                approvals: vec![
                    ApprovalRule { selector: "files.write".parse()?, asks: Asks::Call, source: source(23) },
                    ApprovalRule { selector: "*".parse()?, asks: Asks::Http(methods), source: source(25) },
                ],
                denies: Vec::new(),
            },
        };
        let read = AgentFile::parse("agent.toml", "/home/ada", SUPPORT)?;
        assert_eq!(read, expected);
        let stored = serde_json::to_string(&read.authority)?;
        assert_eq!(serde_json::from_str::<Authority>(&stored)?, read.authority);
        Ok(())
    }

    #[test]
    fn instructions_are_a_file_by_their_form() -> Result<(), Problems> {
        let file = |path: &str| Instructions::File(path.to_owned());
        let text = |text: &str| Instructions::Text(text.to_owned());
        let cases = [
            ("prompt.md", file("prompt.md")),
            ("./prompts/support.txt", file("prompts/support.txt")),
            ("Be brief.", text("Be brief.")),
            ("Answer from notes.txt", text("Answer from notes.txt")),
            ("Answer.\nSee prompt.md", text("Answer.\nSee prompt.md")),
        ];
        for (written, expected) in cases {
            let agent = format!("agent = {{ name = \"a\", instructions = {written:?}, model = \"scripted:x\" }}");
            let read = AgentFile::parse("agent.toml", "/", &agent)?;
            assert_eq!((read.instructions, read.models), (expected, vec!["scripted:x".to_owned()]));
        }
        Ok(())
    }

    #[test]
    fn a_budget_changes_what_it_states() {
        let change = BudgetChange { turns: Some(3), ..BudgetChange::default() };
        assert_eq!(change.applied_to(&Budget::STANDARD), Budget { turns: 3, ..Budget::STANDARD });
    }

    #[test]
    fn a_rule_for_a_tool_that_the_agent_lacks_is_a_problem() -> Result<(), Box<dyn std::error::Error>> {
        let read = AgentFile::parse("agent.toml", "/home/ada", SUPPORT)?;
        let known = KnownTools::of(vec!["file.write".parse()?, "fetch.get".parse()?]);
        let problems = read.authority.check_selectors(ProblemKind::AgentFileInvalid, "agent", &known).err();
        insta::assert_snapshot!(problems.map(|problems| problems.to_string()).unwrap_or_default(), @"
    agent.toml:16: no tool of this agent is called `files`
      hint: did you mean `file`?
    agent.toml:23: no tool of this agent is called `files.write`
      hint: did you mean `file.write`?
    ");
        Ok(())
    }
}
