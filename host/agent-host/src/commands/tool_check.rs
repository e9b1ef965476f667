//! `agent-host tool check`: a component as its author should see it before others do: what a model will read, what it imports
//! beside what `tool.toml` declares, how large it is, and how long a call takes, cold and warm. For people, and for CI.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_core::config::cases::{Case, Expected};
use agent_core::config::ceiling::{Ceiling, EnvCeiling, HttpCeiling};
use agent_core::grant::{Capability, RuleSource};
use agent_core::hardening::Hardening;
use agent_core::json::JsonText;
use agent_core::tool::ToolDescriptor;
use agent_core::units::Bytes;
use agent_sandbox::Sandbox;
use agent_sandbox::component::CodeOrigin;
use anstyle::{AnsiColor, Style};
use anyhow::bail;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::confined::Confined;
use super::launch;
use super::tool_test::{self, CASES};
use crate::authoring::accepted_schema;
use crate::authoring::outside::Outside;
use crate::authoring::trial::{self, Trial, Tried};
use crate::home::Home;
use crate::journal::key::HostKey;
use crate::own_schema;
use crate::report::text;
use crate::tool_folders::{self, MANIFEST};
use crate::toolset::{self, Loaded, Unloaded};

/// Warm calls: enough for a median, few enough for a tool that takes a second.
const WARM_CALLS: usize = 10;
/// No more warm calls are made after this long.
const WARM_TIME_MAX: Duration = Duration::from_secs(10);
/// How deep an argument is made up: a schema may nest without end.
const MADE_UP_DEPTH_MAX: usize = 8;
/// Widest line of a tool's own words.
const LINE_CHARS_MAX: usize = 2_000;

const HEADING: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What `--help` says after the options.
pub const HELP: &str = "\
The times are those of a call of the first case in `tests.toml` that sends no requests, else of the first tool with arguments that
are made up. `cold` is what the first call on a machine takes, where the component has to be compiled; `warm` is any later one.

Exit codes:
  0 nothing is wrong, 1 something is, or an error, 2 wrong command line";

/// `agent-host tool check`.
#[derive(Debug, clap::Args)]
pub struct ToolCheckArgs {
    /// The tool's folder, or a component.
    #[arg(default_value = ".", value_name = "PATH")]
    pub path: PathBuf,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// Finds the one component.
///
/// # Errors
/// Where there is not exactly one, or its files have problems.
pub async fn prepare(args: ToolCheckArgs) -> anyhow::Result<Confined> {
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let mut found = tool_folders::find(std::slice::from_ref(&args.path))?;
    let (Some(only), true) = (found.pop(), found.is_empty()) else {
        bail!("`{}` holds several components: name one of them", args.path.display())
    };
    let cases = if args.path.join(CASES).is_file() { tool_test::cases(&args.path)? } else { Vec::new() };
    // A case that sends requests is not called again and again for its time.
    let case = cases.into_iter().find(|case| case.net.is_empty());
    let outside = Outside::read(&home, &[])?;
    let place = tool_test::place(&home)?;
    let tool = toolset::read(only)?;
    let mut reach = launch::reach(&home)?;
    reach.write(home.trials());
    let asked = Asked { args, home, key, tool, case, place, outside };
    Ok(Confined::new(reach, move |hardening| asked.check(hardening)))
}

struct Asked {
    args: ToolCheckArgs,
    home: Home,
    key: HostKey,
    tool: Unloaded,
    case: Option<Case>,
    place: TempDir,
    outside: Outside,
}

/// What was found out.
struct Checked {
    loaded: Loaded,
    findings: Vec<Finding>,
    timing: Option<Timing>,
}

/// Something that the author should know.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// It must be put right.
    Problem(String),
    /// It may well be meant so.
    Note(String),
}

/// How long things take.
struct Timing {
    /// The case that was called, as a person would name it.
    what: String,
    /// How that call ended.
    ended: &'static str,
    compile: Duration,
    load: Duration,
    first: Duration,
    warm: Duration,
}

impl Asked {
    async fn check(self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let Self { args, home, key, tool, case, place, outside } = self;
        launch::sealed(hardening);
        // A cache of its own, so that it is seen how long compiling takes.
        let cold = launch::sandbox_with_cache(&home, &key, &place.path().join("code"))?;
        let Unloaded { found, bytes } = tool;
        let exports = found.manifest.as_ref().map(|manifest| manifest.exports.clone()).unwrap_or_default();
        let compiled = toolset::load_bytes(&cold, &found.name, &bytes, &exports)?;
        let compile = match &compiled.code {
            CodeOrigin::Compiled { took, .. } => *took,
            CodeOrigin::Cached => Duration::ZERO,
        };
        drop((compiled, cold));
        let sandbox = launch::sandbox_with_cache(&home, &key, &place.path().join("code"))?;
        let started = Instant::now();
        let loaded = toolset::load(&sandbox, Unloaded { found, bytes })?;
        let load = started.elapsed();
        let case = case.or_else(|| loaded.component.tools.first().map(made_up));
        let timing = match &case {
            Some(case) => time((&sandbox, &outside), &loaded, case, &place, (compile, load)).await?,
            None => None,
        };
        place.close()?;
        let checked = Checked { findings: findings(&loaded), timing, loaded };
        if args.json {
            writeln!(io::stdout(), "{}", text::json(&format!("{:#}", checked.to_json())))
        } else {
            checked.print(&mut anstream::stdout().lock())
        }?;
        let is_bad = checked.findings.iter().any(|finding| matches!(finding, Finding::Problem(_)));
        Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Calls a case again and again, each time in a folder made anew. `None` where the operator's rules forbid the tool.
async fn time(
    (sandbox, outside): (&Arc<Sandbox>, &Outside),
    loaded: &Loaded,
    case: &Case,
    place: &TempDir,
    (compile, load): (Duration, Duration),
) -> anyhow::Result<Option<Timing>> {
    let parent = place.path().canonicalize()?;
    let began = Instant::now();
    let call = async |number: usize| -> anyhow::Result<Option<Box<Tried>>> {
        match trial::call(sandbox, loaded, case, &trial::make_folder(&parent, number, case)?, outside).await? {
            Trial::Made(tried) => Ok(Some(tried)),
            Trial::NotAllowed(_) => Ok(None),
        }
    };
    let Some(first) = call(0).await? else { return Ok(None) };
    let mut warm = Vec::with_capacity(WARM_CALLS);
    while warm.len() < WARM_CALLS && (warm.is_empty() || began.elapsed() < WARM_TIME_MAX) {
        warm.extend(call(warm.len() + 1).await?.map(|tried| tried.took));
    }
    warm.sort();
    let what = format!("{}.{}, {}", loaded.found.name, case.call, case.name);
    let ended = first.outcome.name();
    let warm = warm.get(warm.len() / 2).copied().unwrap_or(first.took);
    Ok(Some(Timing { what, ended, compile, load, first: first.took, warm }))
}

/// A call with the least that the schema asks for.
fn made_up(tool: &ToolDescriptor) -> Case {
    let schema = tool.input_schema.to_value().unwrap_or_default();
    Case {
        name: "made-up arguments".to_owned(),
        call: tool.name.operation.clone(),
        arguments: JsonText::from_value(&value_of(&schema, MADE_UP_DEPTH_MAX)),
        files: Vec::new(),
        env: Vec::new(),
        net: Vec::new(),
        expected: Expected::Ends("returned".to_owned()),
        effects: None,
        leaves: Vec::new(),
        source: RuleSource("`agent-host tool check`".to_owned()),
    }
}

fn value_of(schema: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(first) = schema["enum"].get(0).or_else(|| schema.get("const")) {
        return first.clone();
    }
    if let Some(first) = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0)) {
        return value_of(first, depth - 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let member = |name: &str| (name.to_owned(), value_of(&schema["properties"][name], depth - 1));
            Value::Object(required.map(member).collect::<Map<_, _>>())
        }
        Some("array") => Value::Array(Vec::new()),
        Some("string") => json!("x"),
        Some("integer" | "number") => {
            schema.get("minimum").filter(|least| least.as_f64() > Some(0.0)).cloned().unwrap_or(json!(0))
        }
        Some("boolean") => json!(false),
        _ => Value::Null,
    }
}

fn findings(loaded: &Loaded) -> Vec<Finding> {
    let component = &loaded.component;
    let mut findings: Vec<_> = imports(loaded);
    if component.tools.is_empty() {
        findings.push(Finding::Problem("it exports nothing that can be a tool".to_owned()));
    }
    for export in &component.unsupported {
        findings.push(Finding::Note(format!("`{}` is not offered: {}", export.export, export.reason)));
    }
    for tool in &component.tools {
        if let Err(problem) = usable(&tool.input_schema) {
            findings.push(Finding::Problem(format!("{}: {problem}", tool.name)));
        }
        for problem in accepted_schema::problems(&tool.input_schema.to_value().unwrap_or_default()) {
            let why = "not every model provider accepts the schema of its arguments";
            findings.push(Finding::Problem(format!("{}: {why}: {problem}", tool.name)));
        }
        let signature = format!("{}(", tool.name.operation);
        if tool.description.trim().is_empty() || tool.description.starts_with(&signature) {
            let cure = "a `///` comment above the function in `wit/`, and `agent-host tool build`";
            findings.push(Finding::Problem(format!(
                "{} has no description, by which a model would choose it; {cure}",
                tool.name
            )));
        }
    }
    findings
}

fn usable(schema: &JsonText) -> Result<(), String> {
    let schema = schema.to_value().map_err(|error| error.to_string())?;
    own_schema::build(&schema).map(drop)
}

/// What is imported beside what is declared.
fn imports(loaded: &Loaded) -> Vec<Finding> {
    if loaded.found.manifest.is_none() {
        let why = format!("there is no `{MANIFEST}`: it may be granted whatever it imports");
        return vec![Finding::Note(why)];
    }
    let kinds = [
        (Capability::Fs, "files", "capabilities.fs"),
        (Capability::Http, "requests", "capabilities.http"),
        (Capability::Env, "variables", "capabilities.env"),
        (Capability::Kv, "stores", "capabilities.kv"),
    ];
    let finding = |(capability, what, key): (Capability, &str, &str)| {
        let imported = loaded.component.imports.iter().any(|import| import.capability == capability);
        match (declares(&loaded.ceiling, capability), imported) {
            (true, false) => Some(Finding::Problem(format!(
                "`{MANIFEST}` asks for {what}, and the component imports nothing that has to do with them: take `{key}` out"
            ))),
            (false, true) => Some(Finding::Note(format!(
                "it imports {what} and does not ask for them (`{key}`): they refuse when they are used"
            ))),
            (true, true) | (false, false) => None,
        }
    };
    let mut findings: Vec<_> = kinds.into_iter().filter_map(finding).collect();
    if loaded.component.imports.iter().any(|import| import.capability == Capability::Sockets) {
        findings.push(Finding::Note(
            "it imports sockets, which are never granted: they refuse when they are used".to_owned(),
        ));
    }
    findings
}

fn declares(ceiling: &Ceiling, capability: Capability) -> bool {
    match capability {
        Capability::Fs => ceiling.fs.most().is_some(),
        Capability::Http => !matches!(&ceiling.http, HttpCeiling::Requests(requests) if requests.is_empty()),
        Capability::Env => !matches!(&ceiling.env, EnvCeiling::Names(names) if names.is_empty()),
        Capability::Kv => !ceiling.kv.is_empty(),
        Capability::Secret => !ceiling.secrets.is_empty(),
        Capability::Sockets => false,
        Capability::Clock | Capability::Random | Capability::Log => true,
    }
}

/// What an import is beside the manifest, in words.
fn standing(ceiling: &Ceiling, capability: Capability) -> &'static str {
    match capability {
        Capability::Clock | Capability::Random | Capability::Log => "always there",
        Capability::Fs
        | Capability::Http
        | Capability::Env
        | Capability::Kv
        | Capability::Secret
        | Capability::Sockets => {
            if declares(ceiling, capability) {
                "declared"
            } else {
                "not declared: refuses when it is used"
            }
        }
    }
}

impl Checked {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let component = &self.loaded.component;
        writeln!(out, "{HEADING}{}{HEADING:#}  {}", self.loaded.found.name, Bytes(self.loaded.bytes.len() as u64))?;
        writeln!(out, "\n{HEADING}what a model sees{HEADING:#}")?;
        for tool in &component.tools {
            print_tool(tool, out)?;
        }
        writeln!(out, "\n{HEADING}imports{HEADING:#}")?;
        for import in &component.imports {
            let standing = standing(&self.loaded.ceiling, import.capability);
            writeln!(out, "  {}  {DIM}{standing}{DIM:#}", text::whole(&import.name))?;
        }
        if let Some(timing) = &self.timing {
            writeln!(out, "\n{HEADING}time{HEADING:#}")?;
            write!(out, "{timing}")?;
        }
        if !self.findings.is_empty() {
            writeln!(out)?;
        }
        self.findings.iter().try_for_each(|finding| match finding {
            Finding::Problem(said) => writeln!(out, "{BAD}problem:{BAD:#} {}", text::whole(said)),
            Finding::Note(said) => writeln!(out, "note: {}", text::whole(said)),
        })
    }

    fn to_json(&self) -> Value {
        let component = &self.loaded.component;
        let tools = component.tools.iter().map(|tool| {
            json!({
                "name": tool.name,
                "wire_name": tool.name.wire(),
                "description": tool.description,
                "input_schema": tool.input_schema,
                "output_schema": tool.output_schema,
            })
        });
        let imports = component.imports.iter().map(|import| {
            let declared = declares(&self.loaded.ceiling, import.capability);
            json!({ "name": import.name, "capability": import.capability, "declared": declared })
        });
        let said =
            |wanted: fn(&Finding) -> Option<&String>| self.findings.iter().filter_map(wanted).collect::<Vec<_>>();
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        json!({
            "name": self.loaded.found.name,
            "bytes": self.loaded.bytes.len(),
            "digest": component.digest,
            "tools": tools.collect::<Vec<_>>(),
            "imports": imports.collect::<Vec<_>>(),
            "unsupported": component.unsupported.iter().map(|one| json!({ "export": one.export, "reason": one.reason })).collect::<Vec<_>>(),
            "timing": self.timing.as_ref().map(|timing| json!({
                "call": timing.what,
                "ended": timing.ended,
                "compile_ms": ms(timing.compile),
                "load_ms": ms(timing.load),
                "first_call_ms": ms(timing.first),
                "cold_call_ms": ms(timing.compile + timing.load + timing.first),
                "warm_call_ms": ms(timing.warm),
            })),
            "problems": said(|finding| match finding { Finding::Problem(said) => Some(said), Finding::Note(_) => None }),
            "notes": said(|finding| match finding { Finding::Note(said) => Some(said), Finding::Problem(_) => None }),
        })
    }
}

fn print_tool(tool: &ToolDescriptor, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {}", tool.name.wire())?;
    for line in tool.description.lines() {
        writeln!(out, "    {}", text::line(line, LINE_CHARS_MAX))?;
    }
    let schema = tool.input_schema.to_value().unwrap_or_default();
    for line in format!("{schema:#}").lines() {
        writeln!(out, "    {DIM}{}{DIM:#}", text::line(line, LINE_CHARS_MAX))?;
    }
    Ok(())
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1_000.0);
        let cold = self.compile + self.load + self.first;
        writeln!(f, "  cold  {} (compiling {}, loading {})", ms(cold), ms(self.compile), ms(self.load))?;
        writeln!(f, "  warm  {}", ms(self.warm))?;
        writeln!(f, "  of    {} ({})", text::whole(&self.what), self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;

    #[test]
    fn made_up_arguments_fit_their_schema() -> Result<(), String> {
        let schema = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "lines": {"type": ["integer", "null"], "minimum": 1},
                "order": {"type": "string", "enum": ["up", "down"]},
                "where": {"type": "array", "items": {"type": "string"}},
                "value": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                "at": {"type": "object", "properties": {"x": {"type": "boolean"}}, "required": ["x"]},
                "left_out": {"type": "string"},
            },
            "required": ["path", "lines", "order", "where", "value", "at"],
            "additionalProperties": false,
        });
        let made = value_of(&schema, MADE_UP_DEPTH_MAX);
        arguments::check(&made.to_string(), &JsonText::from_value(&schema))?;
        assert_eq!(made["lines"], 1);
        Ok(())
    }
}
