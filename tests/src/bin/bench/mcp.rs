//! What a call costs over MCP on standard input and output: beside servers in the same run that do less. One does nothing but read a
//! line, understand it and answer; one also calls the same component in a fresh sandbox of bare wasmtime; one is the official SDK on
//! Node.js, without a sandbox. What lies between is ours: the protocol's library, the machine, the record, and the limits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use agent_tests::{World, given, guest, repository};
use serde_json::{Value, json};

use crate::figure::{Figure, Target, Unit};

/// What this program is called with in order to be the server that does nothing.
pub const BARE: &str = "bare-mcp-server";

/// The words that serve tools; their place comes after.
pub const SERVE: [&str; 4] = ["mcp", "--quiet", "--short-names", "--tools"];
/// A function in Rust that does next to nothing, of a component that every server here can call.
const TRIVIAL: (&str, &str) = ("greet", r#"{"name":"you"}"#);
/// The component that it is in.
const COMPONENT: &str = "plain";

const REPETITIONS: usize = 5;
/// Calls before anything is measured.
const WARM: usize = 500;
/// Calls one after the other.
const CALLS: usize = 3_000;
/// Calls that have no answer yet, where as many as possible are made.
pub const IN_FLIGHT: usize = 16;
/// What we may take over a server with a fresh sandbox for each call and nothing else.
const OVER_FRESH: f64 = 1.6;
/// What we may take over the official SDK on Node.js, which has no sandbox.
const OVER_NODE: f64 = 1.3;

/// Measures and prints.
pub fn measure() {
    println!("mcp: a trivial tool in Rust over standard input and output");
    let rounds: Vec<Round> = (0..REPETITIONS).map(|_| round()).collect();
    let figure = |of: fn(&Round) -> f64| Figure::new(rounds.iter().map(of).collect());
    let ours = figure(|round| round.strict.middle);
    let (bare, fresh) = (figure(|round| round.bare.middle), figure(|round| round.fresh.middle));
    let node = figure(|round| round.node.middle);
    bare.print("no sandbox, no record: p50", Unit::Microseconds);
    figure(|round| round.bare.slow).print("no sandbox, no record: p99", Unit::Microseconds);
    fresh.print("a fresh sandbox of bare wasmtime, no record: p50", Unit::Microseconds);
    figure(|round| round.fresh.slow).print("a fresh sandbox of bare wasmtime, no record: p99", Unit::Microseconds);
    node.print("the SDK on Node.js, no sandbox: p50", Unit::Microseconds);
    figure(|round| round.node.slow).print("the SDK on Node.js, no sandbox: p99", Unit::Microseconds);
    ours.print("agent-host: p50", Unit::Microseconds);
    figure(|round| round.strict.slow).print("agent-host: p99", Unit::Microseconds);
    ours.over(&fresh).print_against(Target::AtMost(OVER_FRESH), "agent-host / a fresh sandbox", Unit::Times);
    ours.over(&node).print_against(Target::AtMost(OVER_NODE), "agent-host / the SDK on Node.js", Unit::Times);
    ours.over(&bare).print("agent-host / no sandbox, no record", Unit::Times);
    let rate = |name: &str, of: fn(&Round) -> f64| {
        figure(of).print(&format!("{name}: calls in a second, {IN_FLIGHT} in flight"), Unit::Count);
    };
    rate("no sandbox", |round| round.bare.rate);
    rate("a fresh sandbox", |round| round.fresh.rate);
    rate("the SDK on Node.js", |round| round.node.rate);
    rate("agent-host", |round| round.strict.rate);
    figure(|round| round.start).print_against(
        Target::AtMost(15.0),
        "start to the first answer, code cached",
        Unit::Milliseconds,
    );
    let (idle, later) = (figure(|round| round.idle), figure(|round| round.later));
    idle.print_against(Target::AtMost(20.0), "resident, idle", Unit::Mebibytes);
    let added = later.with(&idle, |later, idle| later - idle);
    added.print_against(Target::AtMost(2.0), "what 10,000 calls added", Unit::Mebibytes);
    println!();
}

/// One repetition.
struct Round {
    bare: Speed,
    fresh: Speed,
    node: Speed,
    strict: Speed,
    start: f64,
    idle: f64,
    later: f64,
}

/// Latencies in microseconds, and calls in a second.
pub struct Speed {
    /// The median.
    pub middle: f64,
    /// What one in a hundred exceeds.
    pub slow: f64,
    /// With as many in flight as are let.
    pub rate: f64,
}

fn round() -> Round {
    let (bare, fresh, node) = (bare_server().speed(CALLS), fresh_server().speed(CALLS), node_server().speed(CALLS));
    let world = World::new();
    let begun = Instant::now();
    let mut ours = Server::start(world.command(&SERVE).arg(guest(COMPONENT)), TRIVIAL);
    ours.call(0);
    let start = begun.elapsed().as_secs_f64() * 1e3;
    let idle = ours.resident();
    let strict = ours.speed(CALLS);
    (0..10_000).for_each(|id| ours.call(id));
    Round { bare, fresh, node, strict, start, idle, later: ours.resident() }
}

/// The server that does nothing, as a process.
pub fn bare_server() -> Server {
    Server::start(Command::new(std::env::current_exe().expect("this program")).arg(BARE), TRIVIAL)
}

/// The server that calls the component in a fresh sandbox and does nothing else. `cargo xtask bench` builds it.
fn fresh_server() -> Server {
    Server::start(Command::new(given("AGENT_HOST_TEST_BARE_SERVER")).arg(guest(COMPONENT)), TRIVIAL)
}

/// The official SDK without a sandbox.
fn node_server() -> Server {
    // Node.js looks for packages beside the script.
    let copy = given("AGENT_HOST_TEST_NODE_PACKAGES").join("server.mjs");
    std::fs::copy(repository().join("tests/mcp/server.mjs"), &copy).expect("a copy");
    Server::start(Command::new(given("AGENT_HOST_TEST_NODE")).arg(copy), TRIVIAL)
}

/// A server at the other end of two pipes. Dropped, it is killed.
pub struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
    call: String,
}

impl Server {
    /// Starts one and says hello; each call will be of this tool with these arguments.
    pub fn start(command: &mut Command, (tool, arguments): (&str, &str)) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let (input, output) = (child.stdin.take().expect("input"), child.stdout.take().expect("output"));
        let call = format!(r#""method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}"#);
        let mut server = Self { child, input, output: BufReader::new(output), line: String::new(), call };
        let client = json!({ "name": "bench", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        server.say(&json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello }).to_string());
        server.hear();
        server.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        server
    }

    fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    fn hear(&mut self) {
        self.line.clear();
        let length = self.output.read_line(&mut self.line).expect("a line");
        let is_good = self.line.contains("\"result\"") && !self.line.contains("\"isError\":true");
        assert!(length > 0 && is_good, "{}", self.line);
    }

    fn ask(&mut self, id: usize) {
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},{}}}"#, self.call));
    }

    /// Calls and waits for the answer.
    pub fn call(&mut self, id: usize) {
        self.ask(id);
        self.hear();
    }

    /// So many calls one after the other, and as many beside each other.
    pub fn speed(&mut self, calls: usize) -> Speed {
        (0..WARM.min(calls)).for_each(|id| self.call(id));
        let mut took: Vec<f64> = (0..calls)
            .map(|id| {
                let begun = Instant::now();
                self.call(id);
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        took.sort_by(f64::total_cmp);
        let begun = Instant::now();
        (0..IN_FLIGHT).for_each(|id| self.ask(id));
        for id in IN_FLIGHT..calls {
            self.hear();
            self.ask(id);
        }
        (0..IN_FLIGHT).for_each(|_| self.hear());
        let rate = calls as f64 / begun.elapsed().as_secs_f64();
        Speed { middle: took[calls / 2], slow: took[calls * 99 / 100], rate }
    }

    /// In mebibytes.
    fn resident(&self) -> f64 {
        let look = agent_tests::process::look(self.child.id()).expect("it lives");
        look.rss_kib as f64 / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it ends");
    }
}

/// The server that does nothing: a line, its meaning, an answer.
pub fn bare() {
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).expect("a message");
        if message["method"] == "tools/call" || message["method"] == "initialize" {
            let content = json!([{ "type": "text", "text": "hello, you" }]);
            let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": content } });
            writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody reads");
        }
    }
}
