//! `agent-host mcp`: serves tools to other programs. The same beginning as a run's: rules, tools, walls; then clients in the
//! place of a model. What an earlier server left in the middle is brought to an end first.

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent_core::grant::Access;
use agent_core::hardening::Hardening;
use agent_core::run_events::{Durability, Record};
use anyhow::{Context, anyhow, bail, ensure};
use clap::ValueEnum;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::launch;
use super::scout::{self, Holders, Needs};
use crate::cli::{AllowArgs, DurabilityArg, RecordArg, StrictArg, ToolsHereArgs};
use crate::home::{Home, RUNS_FOLDER};
use crate::journal::Journal;
use crate::journal::folder::prepare_folder;
use crate::journal::key::HostKey;
use crate::journal::sqlite::SqliteJournal;
use crate::keyring::Keyring;
use crate::mcp::client::{Asks, Client};
use crate::mcp::http::Listening;
use crate::mcp::http::door::{Door, Guests, PATH};
use crate::mcp::http::token::Token;
use crate::mcp::offer::Naming;
use crate::mcp::runs::{Surroundings, left_behind};
use crate::mcp::server::{Begin, Server};
use crate::mcp::stdio::Stdio;
use crate::mcp::streams;
use crate::mcp::tool_set::Tools;
use crate::mcp::watch::{self, Reloaded};
use crate::operator;
use crate::person::Person;
use crate::reporter::{Reporter, Voice};
use crate::rules::{self, Misfit, Rules};
use crate::settings;
use crate::signals;
use crate::signing::SigningKey;
use crate::toolset::{self, Unloaded};
use crate::trace::Telemetry;
use crate::unchanging::Unchanging;

/// How long the calls of clients that are gone may take to come back: who stops the server waits ten seconds at most.
const DRAIN_TIME: Duration = Duration::from_secs(9);

/// What is said where there can be no record.
const WHERE_THE_RECORD_IS: &str =
    "a server's record is kept in the folder that it works in: choose one with `--directory DIR`";

/// What stands below the arguments in the help.
pub const HELP: &str = "\
Examples:
  agent-host mcp --tools ./tools --allow-read .
  claude mcp add mine -- agent-host mcp --tools /home/me/tools

Standard output belongs to the protocol; what happens is said on standard error and recorded: `agent-host ls`, `show`.";

/// `agent-host mcp`.
#[derive(Debug, clap::Args)]
pub struct McpArgs {
    #[command(flatten)]
    pub tools: ToolsHereArgs,
    /// Work in this folder: relative paths are meant from there, and the record is kept in its `.agent-host`
    /// [default: the working directory].
    #[arg(long, short = 'C', value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Call tools by their operation alone, `read` and not `files__read`, where no two are called the same.
    #[arg(long)]
    pub short_names: bool,
    /// Who is asked where a rule says so: the person at the client, or nobody, so that it is refused.
    #[arg(long, value_enum, value_name = "WHO", default_value = "client")]
    pub ask: AskArg,
    #[command(flatten)]
    pub allow: AllowArgs,
    #[command(flatten)]
    pub strict: StrictArg,
    /// What the record survives. A call that changed something is recorded that well before its client is answered.
    #[arg(long, env = "AGENT_HOST_DURABILITY", value_enum, value_name = "LEVEL", help_heading = "Record")]
    pub durability: Option<DurabilityArg>,
    /// Keep all that each call was told (`full`), for `journal replay`, or only what an undo needs.
    #[arg(long = "record", value_enum, value_name = "WHAT", help_heading = "Record")]
    pub kept: Option<RecordArg>,
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Say nothing on the way.
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

/// Serving over HTTP.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "HTTP")]
pub struct ListenArgs {
    /// Serve over HTTP in the place of standard input and output: at a port of this machine, or an address with one.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Where the token is that clients show, in a file of mode 0600 [default: `mcp-token` in the state folder, made at first use].
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub token_file: Option<PathBuf>,
    /// Let whoever reaches it call without a token. Only where nobody else uses this machine.
    #[arg(long, requires = "listen", conflicts_with = "token_file")]
    pub no_token: bool,
    /// Another name under which the server is reached, such as that of a proxy.
    #[arg(long, value_name = "HOST", requires = "listen")]
    pub allow_host: Vec<http::uri::Authority>,
    /// Where pages come from that may call it, such as `https://app.example.org`.
    #[arg(long, value_name = "ORIGIN", requires = "listen")]
    pub allow_origin: Vec<String>,
}

/// `8000` is a port of this machine, which nobody else reaches.
fn address(typed: &str) -> Result<SocketAddr, String> {
    let here = typed.parse::<u16>().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    here.or_else(|_| typed.parse()).map_err(|_| format!("`{typed}` is no port and no address such as `127.0.0.1:8000`"))
}

/// Who is asked.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AskArg {
    /// The person at the client.
    Client,
    /// Nobody.
    Nobody,
}

/// Finds out everything that a server needs. The journal is opened behind the walls.
///
/// # Errors
/// Where nothing could be served.
pub async fn prepare(args: McpArgs) -> anyhow::Result<Confined> {
    if let Some(folder) = &args.directory {
        std::env::set_current_dir(folder).with_context(|| format!("cannot work in `{}`", folder.display()))?;
    }
    let home = Home::open()?;
    let key = HostKey::load_or_create(home.root())?;
    let mut rules = operator::standing_rules(&home, &args.allow)?;
    if let Some(file) = &args.listen.token_file {
        rules.push(operator::around_token(file)?);
    }
    let paths = args.tools.paths.clone();
    let tools = toolset::read_all(&paths)?;
    Unchanging::default().and_tools(&paths)?.guard(&mut rules)?;
    let runs = std::env::current_dir().context("there is no working directory")?.join(RUNS_FOLDER);
    // A wall knows no folder that is not there yet.
    let runs = prepare_folder(&runs).context(WHERE_THE_RECORD_IS)?;
    let needs = scout::needs_left_by_servers(&home, &runs);
    let durability = settings::read(&home.settings_file())?.durability;
    let durability = args.durability.map(Durability::from).or(durability).unwrap_or(Durability::Strict);

    let mut reach = launch::reach_of_run(&home, &Person::nobody(), &runs)?;
    reach.rules(&rules, tools.iter().map(|tool| &tool.found));
    needs.add_holders(&mut reach);
    needs.add_directories(&mut reach, &home, (Holders::Now, Access::Write));
    // The tools are looked at again while they are served.
    paths.iter().for_each(|path| reach.read(path));
    let signing = launch::signing_key(&home)?;
    let door = door(&args.listen, &home)?;
    let voice = if args.quiet { Voice::Silent } else { Voice::Lines };
    let keyring = Keyring::for_tools(&rules, tools.iter().map(|tool| &tool.found), &reach, voice);
    let made = Made { args, home, key, rules, tools, runs, needs, durability, signing, paths, door, keyring };
    Ok(Confined::new(reach, |hardening| made.serve(hardening)))
}

/// A server that is ready to begin.
struct Made {
    args: McpArgs,
    home: Home,
    key: HostKey,
    rules: Rules,
    tools: Vec<Unloaded>,
    runs: PathBuf,
    /// What the runs need that earlier servers left in the middle.
    needs: Needs,
    durability: Durability,
    signing: Option<Arc<SigningKey>>,
    paths: Vec<PathBuf>,
    door: Option<(Listening, Option<Token>)>,
    keyring: Keyring,
}

/// The socket and the token, where clients come over HTTP: both are got before the walls stand.
fn door(args: &ListenArgs, home: &Home) -> anyhow::Result<Option<(Listening, Option<Token>)>> {
    let Some(address) = args.listen else { return Ok(None) };
    ensure!(
        !args.no_token || address.ip().is_loopback(),
        "`--no-token` is for this machine alone, and `{address}` is reached from others\n  hint: leave it out"
    );
    let token = match (&args.token_file, args.no_token) {
        (_, true) => None,
        (Some(file), false) => Some(Token::load(file)?),
        (None, false) => Some(Token::load_or_create(&home.mcp_token_file())?),
    };
    Ok(Some((Listening::open(address)?, token)))
}

impl Made {
    async fn serve(self, hardening: Hardening) -> anyhow::Result<ExitCode> {
        let Self { args, home, key, rules, tools, runs, needs, durability, signing, paths, door, keyring } = self;
        let journal = SqliteJournal::create_or_open(&runs, &key).context(WHERE_THE_RECORD_IS)?;
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let telemetry = Telemetry::prepare(&runs, &key);
        let sandbox = launch::sandbox(&home, &key, args.quiet, args.strict.strictness())?;
        let hardening = launch::sealed(hardening);
        let stop = CancellationToken::new();
        signals::stop_run(stop.clone())?;
        let surroundings = Arc::new(Surroundings {
            sandbox,
            journal,
            hardening,
            durability,
            strictness: args.strict.strictness(),
            record: args.kept.map(Record::from).unwrap_or(Record::Effects),
            voice: if args.quiet { Voice::Silent } else { Voice::Lines },
            saved_policy: home.policy_file(),
            keyring,
            signing,
            telemetry,
            stop: stop.clone(),
        });
        surroundings.telemetry.tell_impossible(|line| Reporter::new(surroundings.voice).note(line));
        bring_to_an_end(&surroundings, &home, &needs).await?;
        let naming = if args.short_names { Naming::Operation } else { Naming::Whole };
        let seen = watch::look(&paths);
        let tools = surroundings.tools(tools, &rules, naming)?;
        rules.check_names(&rules::known(&tools.loaded), &tools.loaded, Misfit::Refused)?;
        let shared = Arc::clone(&surroundings);
        let begin: Begin = Box::new(move |tools| shared.begin(tools));
        let server = Arc::new(Server::open(tools, begin, stop.clone())?);
        let asks = match args.ask {
            AskArg::Client => Asks::Client,
            AskArg::Nobody => Asks::Nobody,
        };
        let found_at = paths.clone();
        let again = move |served: &Tools| reloaded(&surroundings, served, (&rules, &found_at), naming);
        let watching = tokio::spawn(watch::follow(Arc::clone(&server), (paths, seen), again, args.quiet));
        let served = match door {
            None => serve_stdio(&server, asks, &stop).await,
            Some((listening, token)) => serve_http(&server, asks, listening, token, (&args, &home)).await,
        };
        watching.abort();
        drain(&server, &stop).await;
        server.close().await?;
        served.map(|()| ExitCode::SUCCESS)
    }
}

/// What is served from now on of what is at these paths. Links among the tools may lead elsewhere now: what is there is kept from them,
/// too, beside what the server began with, to which they may lead again.
fn reloaded(
    surroundings: &Surroundings,
    served: &Tools,
    (rules, paths): (&Rules, &[PathBuf]),
    naming: Naming,
) -> Reloaded {
    let mut rules = rules.clone();
    if let Err(why) = Unchanging::default().and_tools(paths).and_then(|kept| kept.guard(&mut rules)) {
        // It would not have begun so: what is served could change what is loaded next.
        return Reloaded::Rest(Tools::default(), why);
    }
    let read = toolset::read_all(paths).and_then(|tools| surroundings.tools(tools, &rules, naming));
    match read.map_err(|why| (why, surroundings.still_there(served, &rules, naming))) {
        Ok(tools) => Reloaded::All(tools),
        Err((why, Ok(Some(rest)))) => Reloaded::Rest(rest, why),
        Err((why, Ok(None))) => Reloaded::AsBefore(why),
        // What cannot be told from what was taken away is not served either.
        Err((why, Err(_))) => Reloaded::Rest(Tools::default(), why),
    }
}

/// Brings to an end what earlier servers left in the middle. What it needs was found out before the walls stood; what it may have
/// is decided here.
async fn bring_to_an_end(surroundings: &Surroundings, home: &Home, needs: &Needs) -> anyhow::Result<()> {
    let mut left = left_behind(&*surroundings.journal)?;
    left.retain(|state| operator::check_held(home, &state.authorities).is_ok());
    for run in left.into_iter().map(|state| state.run) {
        let ended = match needs.has(&run) {
            true => surroundings.bring_to_an_end(&run).await,
            false => {
                Err(anyhow!("what it needs was not found out, or its server ended just now; the next one ends it"))
            }
        };
        // It may have come from elsewhere, or be another's by now.
        if let Err(error) = ended {
            let note = format!("run {run} of an earlier server stays as it is: {error:#}");
            Reporter::new(surroundings.voice).note(&note);
        }
    }
    Ok(())
}

/// Ends the calls whose clients are gone, and waits for them, within a bound.
async fn drain(server: &Server, stop: &CancellationToken) {
    stop.cancel();
    let ended = async {
        while server.calls_taken() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // What does not come back is brought to an end by the next server.
    let _ = tokio::time::timeout(DRAIN_TIME, ended).await;
}

async fn serve_http(
    server: &Arc<Server>,
    asks: Asks,
    listening: Listening,
    token: Option<Token>,
    (args, home): (&McpArgs, &Home),
) -> anyhow::Result<()> {
    let address = listening.address;
    let guests = Guests { hosts: args.listen.allow_host.clone(), origins: args.listen.allow_origin.clone() };
    if !args.quiet {
        let token = match (&token, &args.listen.token_file) {
            (None, _) => "no token is wanted".to_owned(),
            (Some(_), Some(file)) => format!("the token is in {}", file.display()),
            (Some(_), None) => format!("the token is in {}", home.mcp_token_file().display()),
        };
        let _ = writeln!(anstream::stderr(), "· serving at http://{address}{PATH}; {token}");
        if !address.ip().is_loopback() {
            let what = "others on the network reach it, and read along: put a proxy with TLS before it";
            let _ = writeln!(anstream::stderr(), "warning: {what}");
        }
    }
    let door = Door::new(Arc::clone(server), asks, address, guests, (token, server.stop.child_token()));
    listening.serve(Arc::new(door), server.stop.clone()).await
}

async fn serve_stdio(server: &Arc<Server>, asks: Asks, stop: &CancellationToken) -> anyhow::Result<()> {
    if std::io::stdin().is_terminal() {
        let what = "waiting for a client on standard input: this is a command that MCP clients start";
        let _ = writeln!(anstream::stderr(), "· {what}");
    }
    let transport = Stdio::new(streams::input(), streams::output());
    let client = Client::new(Arc::clone(server), asks);
    match client.serve_with_ct(transport, stop.child_token()).await {
        Ok(running) => {
            running.waiting().await.context("the connection to the client ended with a defect of the host")?;
            Ok(())
        }
        // It went away before it said who it is, or was told to.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => bail!("the client does not begin as the protocol says: {error}"),
    }
}
