//! `agent-host tool call`: one call of one tool under the grants of the command line, in the same sandbox and behind the same
//! decisions as in a run, but without a run: nothing is journaled, since there is nothing to resume. What a call that was stopped
//! had changed is undone. What the tool keeps in its stores is kept where the runs of this folder would find it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};

use agent_core::config::resolve::ToolAuthority;
use agent_core::config::rule_names::KnownTools;
use agent_core::hardening::Hardening;
use agent_core::message::ToolCall;
use agent_core::name::{CallNumber, Name, ToolName};
use agent_core::outcome::{Content, Media, ToolOutcome};
use agent_sandbox::call::{Call, CallReport, Remains};
use agent_sandbox::gate::EffectGate;
use agent_sandbox::mount::Mount;
use agent_sandbox::undo::{Left, UndoReport};
use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::direct_gate::DirectGate;
use super::launch;
use crate::arguments::{self, Schemas};
use crate::cli::ToolCallArgs;
use crate::clock;
use crate::driver::mounts::Mounts;
use crate::home::{self, Home, RUNS_FOLDER};
use crate::journal::key::HostKey;
use crate::keyring::Keyring;
use crate::operator;
use crate::person::Person;
use crate::report::text;
use crate::reporter::Reporter;
use crate::results;
use crate::rules::{Misfit, Rules};
use crate::secret_values::SecretValues;
use crate::signals;
use crate::stores::{CallStores, Place};
use crate::strict;
use crate::tool_folders;
use crate::toolset::{self, Loaded, Unloaded};
use crate::unchanging::Unchanging;

/// Exit code of a call that ended otherwise than by returning.
const NOT_RETURNED: u8 = 3;

/// Finds the tool and what it may do.
///
/// # Errors
/// Where the tool cannot be found, the rules have problems, or the arguments cannot be read.
pub async fn prepare(mut args: ToolCallArgs) -> anyhow::Result<Confined> {
    let name: ToolName = args.tool.parse()?;
    args.arguments = arguments::given(args.arguments)?;
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let mut rules = operator::standing_rules(&home, &args.allow)?;
    let mut found = tool_folders::find(&args.tools.paths)?;
    Unchanging::default().and_tools(&args.tools.paths)?.guard(&mut rules)?;
    let known: Vec<Name> = found.iter().map(|found| found.name.clone()).collect();
    found.retain(|found| found.name == name.component);
    let mut reach = launch::reach(&home)?;
    reach.rules(&rules, &found);
    let keyring = Keyring::for_tools(&rules, &found, &reach, launch::voice(&args.output));
    let Some(found) = found.pop() else {
        let known: Vec<String> = known.iter().map(Name::to_string).collect();
        bail!("there is no component `{}`; there are: {}", name.component, known.join(", "))
    };
    let stores = std::env::current_dir().context("there is no working directory")?.join(RUNS_FOLDER);
    let may_keep =
        rules.iter().flat_map(|rules| &rules.grants).any(|rule| rule.kv.is_some() && rule.selector.covers(&name));
    if may_keep {
        // The file wall knows files, not names.
        home::private_folder(&stores)?;
        reach.write(&stores);
    }
    let asked = Asked { args, name, home, key, rules, known, tool: toolset::read(found)?, stores, keyring };
    Ok(Confined::new(reach, |hardening| asked.call(hardening)))
}

/// A call that is asked for.
struct Asked {
    args: ToolCallArgs,
    name: ToolName,
    home: Home,
    key: HostKey,
    rules: Rules,
    /// The components beside which it was found.
    known: Vec<Name>,
    tool: Unloaded,
    /// The folder of the tool's stores.
    stores: PathBuf,
    keyring: Keyring,
}

impl Asked {
    async fn call(self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let Self { args, name, home, key, rules, known, tool, stores, keyring } = self;
        let sandbox = launch::sandbox(&home, &key, args.output.quiet || args.output.json, args.strict.strictness())?;
        launch::sealed(hardening);
        let loaded = toolset::load(&sandbox, tool)?;
        let tools = loaded.component.tools.iter().map(|tool| tool.name.clone()).collect();
        let known = KnownTools { components: known, tools };
        rules.check_names(&known, std::slice::from_ref(&loaded), Misfit::Refused)?;
        let authority = toolset::authority(&loaded, &name, &rules)?;
        strict::check(args.strict.strictness(), &loaded, [&authority])?;
        let asked = ToolCall { id: "call_1".to_owned(), tool: name.wire(), arguments: args.arguments };
        let reporter = Arc::new(launch::reporter(&args.output));
        let place = Place::Folder { folder: stores, key: Box::new(key), opened: OnceLock::new() };
        let stores = Arc::new(CallStores::new(name.component.clone(), place));
        let (call, gate) =
            started(&loaded, &name, authority, &asked, (Arc::clone(&reporter), Arc::clone(&stores), &keyring)).await?;
        signals::stop_run(call.cancel.clone())?;
        reporter.tool_started(CallNumber(1), &name, &asked.arguments);
        let (mounts, deadline) = (call.mounts.clone(), call.limits.deadline);
        let mut report = sandbox.call(&loaded.component, call).await?;
        if let Some(tool) = loaded.component.tools.iter().find(|tool| tool.name == name) {
            report = results::held(report, &loaded.component, tool, &Schemas::default(), deadline).await;
        }
        let undone = undone(&report, &gate, &mounts).await;
        stores.keep(std::mem::take(&mut report.kv)).context("what the tool wanted to keep could not be kept")?;
        reporter.tool_finished(CallNumber(1), (&asked, &report.outcome), &report.metering, &report.effects);
        if let Some(undone) = &undone {
            undone.missing.iter().for_each(|missing| reporter.not_given_back(&missing.path, &missing.reason));
            undone.left.iter().for_each(|left| reporter.not_undone(&left.path, &left.reason));
        }
        reporter.finish();
        print(&report, undone.as_ref(), args.output.json)?;
        Ok(if report.outcome.is_success() { ExitCode::SUCCESS } else { ExitCode::from(NOT_RETURNED) })
    }
}

/// What came of undoing a call that was stopped; nothing where it changed nothing or ended by itself.
async fn undone(report: &CallReport, gate: &DirectGate, mounts: &[Mount]) -> Option<UndoReport> {
    if !matches!(report.outcome, ToolOutcome::Faulted { .. }) || !gate.has_changes() {
        return None;
    }
    let done = match report.remains {
        Remains::Nothing => gate.undo(mounts).await,
        Remains::FileWork => Err(anyhow::anyhow!("one of its file operations still waits for its file system")),
    };
    Some(done.unwrap_or_else(|error| {
        let all = Left { path: "everything".to_owned(), entry: 0, reason: format!("{error:#}") };
        UndoReport { left: vec![all], ..UndoReport::default() }
    }))
}

async fn started(
    loaded: &Loaded,
    name: &ToolName,
    authority: ToolAuthority,
    asked: &ToolCall,
    (reporter, stores, keyring): (Arc<Reporter>, Arc<CallStores>, &Keyring),
) -> anyhow::Result<(Call, Arc<DirectGate>)> {
    let tools = &loaded.component.tools;
    let Some(descriptor) = tools.iter().find(|tool| tool.name == *name) else {
        let known: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
        bail!("there is no tool `{name}`; there are: {}", known.join(", "))
    };
    if let Some(rule) = authority.forbidden_by() {
        bail!("tool `{name}` may not be called\n  rule: {rule}");
    }
    let grant = authority.grant.clone();
    let time = grant.limits.deadline.to_duration();
    let arguments = Schemas::default().check_for(&loaded.component, &asked.arguments, descriptor, time).await;
    let arguments = arguments.map_err(anyhow::Error::msg)?;
    let mounts = Mounts::default().open(&grant).await?;
    let env = crate::driver::granted_environment(&grant);
    let secrets = SecretValues::read([&grant], keyring)?.of(&grant);
    let (person, run) = (Person::at_terminal(), clock::new_run()?.to_string());
    let gate = Arc::new(DirectGate { authority, person, reporter, run, changed: Mutex::default() });
    let call = Call {
        operation: name.operation.clone(),
        arguments,
        mounts,
        stores,
        env,
        secrets,
        limits: grant.limits,
        seed: clock::random()?,
        clock_start: clock::now(),
        replay: None,
        gate: Arc::clone(&gate) as Arc<dyn EffectGate>,
        cancel: CancellationToken::new(),
    };
    Ok((call, gate))
}

fn print(report: &CallReport, undone: Option<&UndoReport>, json: bool) -> anyhow::Result<()> {
    if json {
        let object = serde_json::json!({
            "outcome": report.outcome,
            "metering": report.metering,
            "effects": report.effects,
            "said": report.said,
            "hidden": report.outcome.hidden(),
            "undone": undone.map(|undone| {
                let told = |left: &Left| serde_json::json!({ "path": left.path, "reason": left.reason });
                let left: Vec<_> = undone.left.iter().map(told).collect();
                serde_json::json!({ "restored": undone.restored, "left": left })
            }),
        });
        return writeln!(std::io::stdout(), "{}", text::json(&object.to_string())).context("cannot write the result");
    }
    if let ToolOutcome::Returned { content } = &report.outcome {
        for content in content {
            print_part(content).context("cannot write the result")?;
        }
    }
    Ok(())
}

fn print_part(content: &Content) -> std::io::Result<()> {
    match content {
        Content::Text(text) => text::print(text),
        Content::Json(json) => text::print(json.as_str()),
        Content::Image(media) => print_media("image", media),
        Content::Audio(media) => print_media("audio", media),
        Content::Resource { uri, .. } => text::print(&format!("[resource {}]", text::whole(uri))),
    }
}

fn print_media(what: &str, media: &Media) -> std::io::Result<()> {
    let characters = media.base64.len();
    text::print(&format!("[{what} {}, {characters} characters of base64]", text::whole(&media.mime_type)))
}
