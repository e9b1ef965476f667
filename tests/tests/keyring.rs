//! Secrets from the desktop's keyring, with a program in the place of the desktop's own that does what a test says.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use agent_tests::mcp::{Session, text};
use agent_tests::server::{Manner, Server};
use agent_tests::{Said, World, guest, wait_until};

const TOKEN: &str = "tok-7f3Qx9Zw";
/// What the server says of it.
const TOLD: &str = "your token is tok-7f3Qx9Zw";
/// Says the token, and notes how it was called and what it was given.
const TELLS: &str = "echo \"$@\" >> \"${0%/*}/asked\"; env > \"${0%/*}/env\"; printf '%s\\n' tok-7f3Qx9Zw";
const FROM: &str = "API_TOKEN=keyring:orders/ada@example.com";

/// Puts a script in the place of `secret-tool`.
fn put(world: &World, script: &str) {
    let program = world.write("bin/secret-tool", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// A tool that declares the secret for the server, and a model that calls it once.
fn sender(world: &World, url: &str) {
    let manifest = format!(
        "[tool]\nname = \"hostile\"\nversion = \"1\"\ndescription = \"Sends.\"\n\
         [[capabilities.http]]\nurl = \"{url}\"\nmethods = [\"POST\"]\n\
         [[capabilities.fs]]\nmount = \"/data\"\naccess = \"write\"\n\
         [[capabilities.secrets]]\nname = \"API_TOKEN\"\nurl = \"{url}\"\n"
    );
    world.write("hostile/tool.toml", manifest);
    world.write("hostile/hostile.wasm", std::fs::read(guest("hostile")).expect("the guest"));
    let call = format!("{{ tool = \"hostile.send\", arguments = {{ url = \"{url}/\", method = \"POST\" }} }}");
    world.write("replies.toml", format!("version = 1\n[[reply]]\ncalls = [{call}]\n[[reply]]\ntext = \"sent\"\n"));
}

/// The program on a desktop on which the script is found.
fn on_a_desktop(world: &World, words: &[&str]) -> Command {
    let mut command = world.command(words);
    command.envs(desktop(world).iter().map(|(name, value)| (*name, value.as_str())));
    command
}

fn desktop(world: &World) -> [(&'static str, String); 3] {
    let path = format!("{}:{}", world.work().join("bin").display(), std::env::var("PATH").expect("a path"));
    let bus = "unix:path=/nowhere/bus".to_owned();
    [("PATH", path), ("DBUS_SESSION_BUS_ADDRESS", bus), ("AGENT_HOST_UNHEARD", "unheard".to_owned())]
}

fn run<'w>(url: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let words = ["run", "--model", "scripted:replies.toml", "--tools", "hostile", "--allow-net", url];
    [&words[..], &["--secret", FROM, "--durability", "relaxed"], more, &["go"]].concat()
}

fn said(world: &World, words: &[&str]) -> Said {
    world.said(&on_a_desktop(world, words).output().expect("the program starts"))
}

/// What it complained about: whether the tool was compiled before is chance.
fn without_compiling(said: &Said) -> String {
    said.err.lines().filter(|line| !line.starts_with("· compiling")).collect::<Vec<_>>().join("\n")
}

/// Files below `folder` in which the token stands, beside the script.
fn holding(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else if std::fs::read(&path).unwrap_or_default().windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found.retain(|path| !path.ends_with("bin/secret-tool"));
    found
}

#[test]
fn a_secret_of_the_keyring_is_sent_and_seen_nowhere() {
    let world = World::new();
    let server = Server::start(Manner::Answer(TOLD));
    sender(&world, &server.url());
    put(&world, TELLS);
    let ended = said(&world, &[&["--log", "trace"], &run(&server.url(), &[])[..]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "sent\n"), "{ended:?}");
    assert!(!ended.err.contains(TOKEN) && !ended.err.contains("waiting for the desktop"), "{}", ended.err);
    assert!(server.requests().concat().contains(&format!("authorization: {TOKEN}\r\n")), "{:?}", server.requests());
    let finished = world.events(&[]).into_iter().find(|event| event["kind"] == "ToolFinished").expect("a call");
    assert!(finished.to_string().contains("your token is [secret]"), "{finished}");
    let effects = world.run(&["show", "--effects"]).ok();
    assert!(effects.contains("with secret API_TOKEN"), "{effects}");
    assert_eq!(holding(world.work().parent().expect("the world")), Vec::<String>::new());
    // It was asked as any shell would ask it, and was given no more than it needs.
    assert_eq!(world.read("bin/asked").as_deref(), Some("lookup service orders account ada@example.com\n"));
    let given = world.read("bin/env").expect("its environment");
    let mut names: Vec<&str> = given.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["DBUS_SESSION_BUS_ADDRESS", "HOME", "LC_ALL", "PATH"]);
    // A call without a run asks it, too; one whose rules name another source does not.
    let arguments = format!("{{\"url\":\"{}/\",\"method\":\"POST\"}}", server.url());
    let url = server.url();
    let call = |from: &str| {
        let words = ["tool", "call", "--tools", "hostile", "--allow-net", &url, "--secret", from];
        said(&world, &[&words[..], &["hostile.send", &arguments]].concat())
    };
    assert!(call(FROM).ok().contains("your token is [secret]"));
    assert_eq!(world.read("bin/asked").map(|asked| asked.lines().count()), Some(2));
    assert_eq!(call("API_TOKEN").code, Some(1));
    assert_eq!(world.read("bin/asked").map(|asked| asked.lines().count()), Some(2));
}

#[test]
fn a_keyring_that_gives_nothing_says_why_before_anything_is_sent() {
    let world = World::new();
    let server = Server::start(Manner::Answer("hello"));
    sender(&world, &server.url());
    let refused = |script: &str| {
        put(&world, script);
        let mut command = on_a_desktop(&world, &run(&server.url(), &[]));
        command.env("AGENT_HOST_KEYRING_WAIT_MS", "3000");
        let said = world.said(&command.output().expect("the program starts"));
        assert_eq!((said.code, said.out.as_str(), server.hits()), (Some(1), "", 0), "{said:?}");
        without_compiling(&said)
    };
    insta::assert_snapshot!(refused("exit 1"), @"
    error[secret_blocked]: the secret `API_TOKEN` has no value: the keyring has no entry `orders/ada@example.com`, or was not unlocked for it
      hint: to store it: `secret-tool store --label=orders service orders account ada@example.com`
    ");
    insta::assert_snapshot!(refused("echo $$ > \"${0%/*}/pid\"; exec sleep 600"), @"
    · waiting for the desktop's keyring: it may ask to be unlocked
    error[secret_blocked]: the secret `API_TOKEN` has no value: the keyring did not answer in time
      hint: unlock it, and try again
    ");
    let pid = world.read("bin/pid").expect("it was started");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it was ended");
    insta::assert_snapshot!(refused("exec head -c 1048576 /dev/zero"), @"error[secret_blocked]: the secret `API_TOKEN` has no value: what the keyring has is longer than the 4096 bytes that a header may have");
    insta::assert_snapshot!(refused("printf abc-1"), @"error[secret_blocked]: the secret `API_TOKEN` from `keyring:orders/ada@example.com` cannot be used: it has fewer than 8 characters: taking it out of what tools report would spoil other text");
    insta::assert_snapshot!(refused("echo 'secret-tool: Cannot get secret of a locked object' >&2; exit 1"), @"
    error[secret_blocked]: the secret `API_TOKEN` has no value: the keyring gives nothing: secret-tool: Cannot get secret of a locked object
      hint: unlock the keyring, or take the value from elsewhere: `env:NAME`, `file:PATH`
    ");
    // Where there is no desktop, nothing is started.
    put(&world, TELLS);
    let nowhere = world.run(&run(&server.url(), &[]));
    assert_eq!((nowhere.code, world.read("bin/asked")), (Some(1), None), "{nowhere:?}");
    insta::assert_snapshot!(without_compiling(&nowhere), @"
    error[secret_blocked]: the secret `API_TOKEN` has no value: there is no desktop here whose keyring could be asked: `DBUS_SESSION_BUS_ADDRESS` is not set
      hint: take the value from elsewhere: `env:NAME`, `file:PATH`
    ");
    // Nor where a tool of this run could have put the program.
    let granted = said(&world, &run(&server.url(), &["--allow-write", "bin"]));
    assert_eq!((granted.code, world.read("bin/asked")), (Some(1), None), "{granted:?}");
    insta::assert_snapshot!(without_compiling(&granted), @"
    error[secret_blocked]: the secret `API_TOKEN` has no value: `[WORLD]/work/bin/secret-tool` lies where tools may write: `[WORLD]/work/bin`
      hint: put the folder with another `secret-tool` first in `PATH`
    ");
    assert_eq!(server.hits(), 0);
}

#[test]
fn a_run_that_goes_on_asks_the_keyring_anew() {
    let world = World::new();
    let server = Server::start(Manner::Silent);
    sender(&world, &server.url());
    put(&world, TELLS);
    let mut host = on_a_desktop(&world, &run(&server.url(), &[])).spawn().expect("the program starts");
    wait_until("the request arrives", || server.hits() == 1);
    host.kill().expect("it can be killed");
    let _ = host.wait();
    put(&world, "exit 1");
    let refused = said(&world, &["resume"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("the keyring has no entry `orders/ada@example.com`"), "{}", refused.err);
    put(&world, TELLS);
    let went_on = said(&world, &["resume"]);
    assert_eq!((went_on.code, server.hits()), (Some(22), 1), "nobody knows whether it was answered: {went_on:?}");
    assert_eq!(world.read("bin/asked").map(|asked| asked.lines().count()), Some(2));
}

#[test]
fn a_server_has_what_the_keyring_had_when_it_began() {
    let world = World::new();
    let server = Server::start(Manner::Answer(TOLD));
    let url = server.url();
    sender(&world, &url);
    put(&world, TELLS);
    let words = ["--tools", "hostile", "--allow-net", &url, "--secret", FROM];
    let desktop = desktop(&world);
    let environment: Vec<_> = desktop.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut session = Session::told(&world, &words, &environment);
    let arguments = serde_json::json!({ "url": format!("{url}/"), "method": "POST" });
    let result = session.call("hostile__send", &arguments);
    assert!(text(&result).contains("your token is [secret]"), "{result}");
    assert_eq!(world.read("bin/asked").map(|asked| asked.lines().count()), Some(1));
    let (code, err) = session.end();
    assert!(code == Some(0) && !err.contains(TOKEN), "{err}");
}

#[test]
fn the_doctor_says_whether_a_keyring_answers() {
    let world = World::new();
    put(&world, "exit 1");
    let found = |command: &mut Command| {
        let output = command.output().expect("the program starts");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let parts = found["parts"].as_array().expect("parts").clone();
        let mut findings = parts.into_iter().flat_map(|part| part["findings"].as_array().cloned().unwrap_or_default());
        findings.find(|finding| finding["name"] == "keyring").expect("a finding")
    };
    let answers = found(&mut on_a_desktop(&world, &["doctor", "--json"]));
    assert_eq!(answers["health"], "ok", "{answers}");
    let nowhere = found(&mut world.command(&["doctor", "--json"]));
    assert_eq!(nowhere["health"], "missing", "{nowhere}");
    assert!(nowhere["detail"].to_string().contains("no desktop"), "{nowhere}");
}
