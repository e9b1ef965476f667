//! Hostile cases about loading that need more than one command, or a state folder of their own. Each has a folder in
//! `tests/hostile` that names its test here.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_tests::server::{Manner, Server};
use agent_tests::{Said, World, guest, wait_until};

/// The variable by which a build made for that switches defences off.
const OFF: &str = "AGENT_HOST_DEFENCE_OFF";

/// A component whose one function returns this number.
fn component(number: u32) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    );
    wat::parse_str(text).expect("a component")
}

/// A component of so many functions, each of which takes the compiler some work.
fn heavy(functions: u32) -> Vec<u8> {
    let mut body = String::new();
    for step in 0..60 {
        let _ = write!(
            body,
            "(local.set 0 (i64.add (i64.mul (local.get 0) (i64.const {step})) (i64.rotl (local.get 1) (local.get 0))))"
        );
        let _ = write!(
            body,
            "(if (i64.eqz (local.get 1)) (then (local.set 1 (i64.xor (local.get 0) (i64.const {step})))))"
        );
    }
    let functions: String =
        (0..functions).map(|_| format!("(func (param i64 i64) (result i64) {body} (local.get 0))")).collect();
    let text = format!(
        r#"(component
            (core module $m {functions} (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    wat::parse_str(text).expect("a component")
}

/// A component of one function with so many steps, all of which the compiler must hold at once.
fn one_heavy(steps: u32) -> Vec<u8> {
    let body: String = (0..steps).fold(String::new(), |mut body, step| {
        let _ = write!(body, "(local.set 0 (i64.add (i64.mul (local.get 0) (i64.const {step})) (local.get 1)))");
        body
    });
    let text = format!(
        r#"(component
            (core module $m (func (param i64 i64) (result i64) {body} (local.get 0)) (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    wat::parse_str(text).expect("a component")
}

/// A machine with these settings, and a component of this name in its working folder.
fn world(settings: &str, name: &str, bytes: &[u8]) -> World {
    let world = World::untouched();
    std::fs::create_dir_all(world.home()).expect("a folder");
    std::fs::write(world.home().join("settings.toml"), settings).expect("a file");
    world.write(name, bytes);
    world
}

fn list(world: &World) -> Said {
    world.run(&["tool", "list", "--tools", "hostile.wasm"])
}

fn call(world: &World, off: &str) -> Said {
    let mut command = world.command(&["tool", "call", "--tools", "hostile.wasm", "hostile.run"]);
    world.said(&command.env(OFF, off).output().expect("the program starts"))
}

/// The files of the cache whose names end so.
fn cached(world: &World, ending: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(world.home().join("compiled")).expect("a cache");
    let mut files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(ending));
    files.sort();
    files
}

#[test]
fn compiling_stops_at_its_time() {
    let world = world("compile_time = \"1s\"\n", "hostile.wasm", &heavy(240));
    let started = Instant::now();
    let said = list(&world);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("error[compile_limit]"), "{said:?}");
    assert!(said.err.contains("takes more than 1 s of processor time"), "{said:?}");
    assert!(said.err.contains("hint: build it smaller") && said.err.contains("`compile_time`"), "{said:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let mut open = world.command(&["tool", "list", "--tools", "hostile.wasm"]);
    let said = world.said(&open.env(OFF, "compile_limit").output().expect("the program starts"));
    assert_eq!(said.code, Some(0), "without its limit it compiles: {said:?}");
}

#[test]
fn compiling_stops_at_its_memory() {
    let world = world("compile_memory = \"96MiB\"\n", "hostile.wasm", &one_heavy(60_000));
    let said = list(&world);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("error[compile_limit]"), "{said:?}");
    assert!(
        said.err.contains("takes more than 96.0 MiB of memory") && said.err.contains("`compile_memory`"),
        "{said:?}"
    );
    world.write("hostile.wasm", component(1));
    assert_eq!(list(&world).code, Some(0), "an ordinary component needs less");
    // The program that these tests run is larger than this.
    std::fs::write(world.home().join("settings.toml"), "compile_memory = \"64MiB\"\n").expect("a file");
    world.write("hostile.wasm", component(2));
    assert_eq!(list(&world).code, Some(0), "what the program itself takes is not the component's");
}

/// Who starts the program may have limited it already: a worker keeps to that, compiles what fits, and says who limited it.
#[test]
fn a_limit_that_was_there_before_stays() {
    let world = world("", "hostile.wasm", &component(1));
    // Where `compile_memory` is 2 GiB.
    let said = list_within(&world, 1 << 20);
    assert_eq!(said.code, Some(0), "{said:?}");
    // The sandbox itself takes most of the smaller one.
    world.write("hostile.wasm", one_heavy(300_000));
    let said = list_within(&world, 512 << 10);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("error[compile_limit]"), "{said:?}");
    assert!(said.err.contains("the 512 MiB of memory that this process was started with"), "{said:?}");
    assert!(said.err.contains("`ulimit -d`") && !said.err.contains("compile_memory"), "{said:?}");
}

/// Lists the tool where a shell has left the program so much memory.
fn list_within(world: &World, kibibytes: u32) -> Said {
    let plain = world.command(&["tool", "list", "--tools", "hostile.wasm"]);
    let mut limited = Command::new("sh");
    let limit = format!("ulimit -d {kibibytes} && exec \"$0\" \"$@\"");
    limited.args(["-c", &limit]).arg(plain.get_program()).args(plain.get_args());
    limited.current_dir(world.work()).envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    world.said(&limited.output().expect("the program starts"))
}

#[test]
fn a_worker_ends_with_its_host() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let world = world("", "hostile.wasm", &heavy(250));
        let mut host = start(&world);
        let mut worker = None;
        wait_until("the worker starts", || {
            worker = child_of(host.id());
            worker.is_some()
        });
        wait_until("the worker confines itself", || worker.is_some_and(is_confined));
        let pid = i32::try_from(host.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, signal).expect("it is ours");
        let _ = host.wait();
        let worker = worker.expect("it started");
        wait_until("the worker ends", || !is_running(worker));
    }
}

fn start(world: &World) -> Child {
    let mut command = world.command(&["tool", "list", "--tools", "hostile.wasm"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// The third field of `stat` is the state, the fourth the parent.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn child_of(parent: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| stat(*pid).is_some_and(|(_, of)| of == parent))
}

/// Whether it can gain no privileges and has a filter of system calls.
fn is_confined(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2")
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

#[test]
fn stale_code_is_not_looked_at_and_a_warm_start_compiles_nothing() {
    let world = world("", "hostile.wasm", &component(7));
    assert_eq!(call(&world, "").ok(), "7\n");
    // No worker could do anything with so little: whoever still answers has started none.
    std::fs::write(world.home().join("settings.toml"), "compile_memory = \"64kB\"\n").expect("a file");
    assert_eq!(call(&world, "").ok(), "7\n");
    let [entry] = cached(&world, ".entry").try_into().expect("one entry");
    let name = entry.file_name().and_then(|name| name.to_str()).expect("a name");
    let component = name.split('-').next().expect("a digest");
    std::fs::rename(&entry, entry.with_file_name(format!("{component}-{}.entry", "0".repeat(64)))).expect("renamed");
    let said = call(&world, "");
    assert!(said.err.contains("error[compile_limit]"), "what other settings made is not looked at: {said:?}");
    std::fs::write(world.home().join("settings.toml"), "").expect("a file");
    let said = call(&world, "");
    assert_eq!((said.out.as_str(), said.err.contains("cache_rejected")), ("7\n", false), "{said:?}");
}

#[test]
fn exchanged_code_is_rejected() {
    let world = world("", "hostile.wasm", &component(7));
    assert_eq!(call(&world, "").ok(), "7\n");
    let [ours] = cached(&world, ".entry").try_into().expect("one entry");
    world.write("hostile.wasm", component(666));
    assert_eq!(call(&world, "").ok(), "666\n");
    let theirs = cached(&world, ".entry").into_iter().find(|entry| *entry != ours).expect("a second entry");
    world.write("hostile.wasm", component(7));
    let poison = || std::fs::copy(&theirs, &ours).expect("copied");
    poison();
    let said = call(&world, "");
    assert_eq!(said.out, "7\n");
    assert!(said.err.contains("warning[cache_rejected]"), "{said:?}");
    assert_eq!(call(&world, "").ok(), "7\n", "what was rejected was mended");
    poison();
    assert_eq!(call(&world, "cache_rejected").out, "666\n", "without the check, foreign code runs");
}

const AGENT: &str = "[agent]\nname = \"a\"\ninstructions = \"Call it.\"\nmodel = \"scripted:replies.toml\"\ntools = [\"hostile.wasm\"]\n";

#[test]
fn a_changed_component_must_be_trusted_again() {
    let world = world("", "hostile.wasm", &component(7));
    world.write("agent.toml", AGENT);
    world.write("replies.toml", "version = 1\n[[reply]]\ntext = \"done\"\n");
    let run = |off: &str| {
        let mut command = world.command(&["run", "--agent", "agent.toml", "go"]);
        world.said(&command.env(OFF, off).output().expect("the program starts"))
    };
    assert_eq!(world.run(&["trust", "--yes", "agent.toml"]).code, Some(0));
    assert_eq!(run("").code, Some(0));
    world.write("hostile.wasm", component(8));
    let said = run("");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("error[digest_mismatch]") && said.err.contains("has changed"), "{said:?}");
    assert_eq!(run("digest_mismatch").code, Some(0), "without the check it runs");
}

#[test]
fn what_was_loaded_stays_what_it_was() {
    let world = world("", "hostile.wasm", &component(7));
    let replies = "version = 1\n[[reply]]\ncalls = [{ tool = \"hostile.run\", as = \"first\" }]\n\
                   [[reply]]\ndelay = \"2s\"\ncalls = [{ tool = \"hostile.run\", as = \"second\" }]\n\
                   [[reply]]\ntext = \"{{ first }} {{ second }}\"\n";
    world.write("replies.toml", replies);
    let words = ["run", "--tools", "hostile.wasm", "--model", "scripted:replies.toml", "go"];
    let host = world.start(&words, &[]);
    wait_until("the run begins, so that its tools are loaded", || world.work().join(".agent-host").exists());
    world.write("hostile.wasm", component(8));
    let output = host.wait_with_output().expect("it ended");
    assert_eq!(world.said(&output).out, "7 7\n");
}

#[test]
fn what_an_effect_is_is_computed() {
    let world = World::new();
    let server = Server::start(Manner::Answer("thanks"));
    let manifest = "[tool]\nname = \"hostile\"\nversion = \"0.1.0\"\ndescription = \"Read-only: it never changes anything.\"\n\
                    [[capabilities.http]]\nurl = \"http://127.0.0.1:*\"\nmethods = [\"POST\"]\n";
    world.write("tools/hostile/tool.toml", manifest);
    world.write("tools/hostile/hostile.wasm", std::fs::read(guest("hostile")).expect("a guest"));
    let arguments = format!("{{\"url\": \"{}/\", \"method\": \"POST\", \"body\": \"x\"}}", server.url());
    let words =
        ["tool", "call", "--json", "--tools", "tools", "--allow-net", &server.url(), "hostile.connect", &arguments];
    let said = world.run(&words).ok();
    let effects: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(effects["effects"][0]["class"], "opaque_write", "{effects}");
    assert_eq!(server.hits(), 1);
}
