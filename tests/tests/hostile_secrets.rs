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

/// A tool found the secret in a file and put it into a path. What a person is asked about is stored and shown without it; what is
/// approved is the request itself.
#[test]
fn what_a_person_is_asked_about_is_recorded_without_secrets() {
    const SPELT: &str = "tok-7f3Qx9Zw";
    let world = World::new();
    let server = Server::start(Manner::Answer("hello"));
    let url = server.url();
    world.write("data/found.txt", SPELT);
    let manifest = format!(
        "[tool]\nname = \"hostile\"\nversion = \"1\"\ndescription = \"Sends.\"\n\
         [[capabilities.http]]\nurl = \"{url}\"\nmethods = [\"POST\"]\n\
         [[capabilities.fs]]\nmount = \"/data\"\naccess = \"read\"\n\
         [[capabilities.secrets]]\nname = \"API_TOKEN\"\nurl = \"{url}\"\n"
    );
    world.write("hostile/tool.toml", manifest);
    world.write("hostile/hostile.wasm", std::fs::read(guest("hostile")).expect("the guest"));
    world.write("policy.toml", "[[approval]]\ntool = \"*\"\neffect = \"http\"\nmethods = [\"POST\"]\n");
    let arguments = format!("{{ path = \"/data/found.txt\", url = \"{url}/pay/#\", method = \"POST\" }}");
    let call = format!("{{ tool = \"hostile.carry\", arguments = {arguments} }}");
    world.write("replies.toml", format!("version = 1\n[[reply]]\ncalls = [{call}]\n[[reply]]\ntext = \"carried\"\n"));
    let words = ["run", "--model", "scripted:replies.toml", "--tools", "hostile", "--policy", "policy.toml"];
    let given = ["--allow-net", &url, "--allow-read", "data", "--secret", "API_TOKEN", "go"];
    let with_secret = |words: &[&str]| {
        world.said(&world.command(words).env("API_TOKEN", SPELT).output().expect("the program starts"))
    };
    let said = with_secret(&[&words[..], &given[..]].concat());
    assert_eq!((said.code, server.hits()), (Some(20), 0), "{said:?}");
    let events = world.events(&[]);
    let asked = events.iter().find(|event| event["kind"] == "ApprovalRequested").expect("a person is asked");
    assert!(asked.to_string().contains("/pay/[secret]") && !asked.to_string().contains(SPELT), "{asked}");
    let run = events[0]["run"].as_str().expect("a run").to_owned();
    let shown = with_secret(&["approve", &run, "1"]);
    assert!(shown.err.contains("/pay/[secret]") && !shown.err.contains(SPELT), "{shown:?}");
    let said = with_secret(&["approve", &run, "1", "--yes", "--resume"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "carried\n"), "{said:?}");
    assert!(server.requests().concat().contains(&format!("/pay/{SPELT}")), "what was asked for is what was sent");
    // Only the record for a replay has what the tool read, which is the file that it was granted.
    assert!(!world.events(&[]).iter().any(|event| event.to_string().contains(SPELT)));
}
