//! Secrets and what a crash leaves behind: a host that is killed while it holds one.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Child;

use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest, wait_until};

const TOKEN: &str = "tok-7f\"Q/x+Z9~w";

/// A run that makes one request with a secret; where the server is silent, it waits.
fn asking(world: &World, server: &Server) -> Child {
    let manifest = format!(
        "[tool]\nname = \"hostile\"\nversion = \"1\"\ndescription = \"Sends.\"\n\
         [[capabilities.http]]\nurl = \"{url}\"\nmethods = [\"POST\"]\n\
         [[capabilities.secrets]]\nname = \"API_TOKEN\"\nurl = \"{url}\"\n",
        url = server.url()
    );
    world.write("hostile/tool.toml", manifest);
    world.write("hostile/hostile.wasm", std::fs::read(guest("hostile")).expect("the guest"));
    let call =
        format!("{{ tool = \"hostile.send\", arguments = {{ url = \"{}/\", method = \"POST\" }} }}", server.url());
    world.write("replies.toml", format!("version = 1\n[[reply]]\ncalls = [{call}]\n"));
    let words = [
        "run",
        "--model",
        "scripted:replies.toml",
        "--tools",
        "hostile",
        "--allow-net",
        &server.url(),
        "--secret",
        "API_TOKEN",
        "--durability",
        "relaxed",
        "go",
    ];
    world.start(&words, &[("API_TOKEN", TOKEN)])
}

/// Files below `folder` that hold the secret, raw or as a database may keep it.
fn holding(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let json = serde_json::Value::from(TOKEN).to_string();
            let needles = [TOKEN, json.trim_matches('"'), &TOKEN[..8], "746f6b2d376622512f78"];
            if needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes())) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn what_carried_a_secret_is_recorded_by_its_name() {
    let world = World::new();
    let server = Server::start(Manner::Answer("hello"));
    let mut host = asking(&world, &server);
    let _ = host.wait();
    let shown = world.run(&["show", "--effects"]).ok();
    assert!(shown.contains("opaque write, egress, with secret API_TOKEN"), "{shown}");
    assert_eq!(holding(world.work().parent().expect("the world")), Vec::<String>::new());
}

#[test]
fn a_killed_host_leaves_no_secret_behind() {
    let world = World::new();
    let server = Server::start(Manner::Silent);
    let mut host = asking(&world, &server);
    wait_until("the request arrives", || server.hits() == 1);
    assert!(server.requests().concat().contains(TOKEN), "the server was sent it");
    let process = Path::new("/proc").join(host.id().to_string());
    let limits = std::fs::read_to_string(process.join("limits")).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    let arguments = std::fs::read_to_string(process.join("cmdline")).expect("arguments");
    assert!(!arguments.contains(TOKEN) && arguments.contains("API_TOKEN"));
    let pid = rustix::process::Pid::from_child(&host);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).expect("it can be killed");
    let _ = host.wait();
    assert_eq!(holding(world.work().parent().expect("the world")), Vec::<String>::new());
    assert!(world.work().join(".agent-host/journal.db").is_file(), "there is a journal that could have held it");
}

#[test]
fn a_run_goes_on_only_with_its_secrets() {
    let world = World::new();
    let server = Server::start(Manner::Silent);
    let mut host = asking(&world, &server);
    wait_until("the request arrives", || server.hits() == 1);
    host.kill().expect("it can be killed");
    let _ = host.wait();
    let said = world.run(&["resume"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("the environment variable `API_TOKEN` is not set"), "{}", said.err);
    assert_eq!(server.hits(), 1);
}
