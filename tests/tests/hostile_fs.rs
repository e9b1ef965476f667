//! Hostile files that a case of `tests/hostile` cannot lay out by itself: races with a thread outside, other file systems,
//! folders that are exchanged during a run. Where the machine does not allow to make them (these tests mount), a probe in
//! `tests/hostile/inapplicable.toml` says so.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod fuse;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent_tests::{World, guest, race_time};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use serde_json::{Value, json};

use fuse::{Answers, Fuse};

/// Reads or writes of one call in a race.
const RACE_STEPS: u64 = 20_000;

fn policy(host: &str, access: &str, more: &str) -> String {
    format!(
        "[[grant]]\ntool = \"hostile\"\nfs = [{{ host = \"{host}\", access = \"{access}\", mount = \"/scratch\" }}]\n\
         limits = {{ host_calls = \"10M\", deadline = \"60s\"{more} }}\n"
    )
}

fn call(world: &World, steps: &Value) -> Command {
    let (hostile, arguments) = (guest("hostile"), json!({ "steps": steps }).to_string());
    let words =
        ["tool", "call", "--tools", &hostile, "--policy", "policy.toml", "--json", "hostile.fs_steps", &arguments];
    world.command(&words)
}

/// What the guest reports for each step, and the whole answer.
fn reported(command: &mut Command) -> (Vec<String>, Value) {
    let output = command.output().expect("the program starts");
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no answer: {}", String::from_utf8_lossy(&output.stderr)));
    let steps = &answer["outcome"]["returned"]["content"][0]["json"];
    let steps = steps.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    (steps, answer)
}

/// The events of one kind so far, also of a run that goes on.
fn of_kind(world: &World, kind: &str) -> Vec<Value> {
    let output = world.command(&["show", "--json"]).output().expect("the program starts");
    let events = String::from_utf8_lossy(&output.stdout).into_owned();
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["kind"] == kind).collect()
}

/// A folder `dir` that is now a folder with a file, now a link to one outside with a secret, all the time.
fn race(run: fn(&mut Command) -> (Vec<String>, Value)) {
    let world = World::new();
    world.write("policy.toml", policy("./scratch", "write", ""));
    world.write("scratch/real/file", "inside");
    world.write("outside/file", "TOP SECRET");
    symlink("../outside", world.work().join("scratch/link")).expect("a link");
    let scratch = world.work().join("scratch");
    let lasts = race_time();
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (from, to) in [("real", "dir"), ("dir", "real"), ("link", "dir"), ("dir", "link")] {
                    let _ = fs::rename(scratch.join(from), scratch.join(to));
                }
            }
        });
        let mut inside = false;
        while begun.elapsed() < lasts {
            let steps = json!([
                { "act": "race", "at": "/scratch/dir/file", "count": RACE_STEPS },
                { "act": "race_write", "at": "/scratch/dir/file", "text": "inside", "count": RACE_STEPS / 20 },
            ]);
            let (steps, answer) = run(&mut call(&world, &steps));
            assert!(matches!(steps[0].as_str(), "ok" | "ok: inside" | "ok:  inside"), "{answer}");
            inside |= steps[0].contains("inside");
            assert_eq!(world.read("outside/file").as_deref(), Some("TOP SECRET"), "nothing is written outside");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(inside, "the race was never won by the right side either");
    });
}

#[test]
fn a_race_with_the_outside_never_leads_out() {
    race(reported);
}

/// The walk uses no `openat2`, so its absence changes nothing; what the walk does use has a second way each.
#[test]
fn the_race_is_not_won_without_the_newer_system_calls_either() {
    // A filter holds for a thread and what it starts.
    race(|command| {
        thread::scope(|scope| {
            let narrowed = scope.spawn(|| {
                seccompiler::apply_filter(&without_newer_calls()).expect("a filter can be set");
                reported(command)
            });
            narrowed.join().expect("the program answers")
        })
    });
}

/// `openat2` and `statx` fail with `EPERM`, as under some container runtimes.
fn without_newer_calls() -> BpfProgram {
    const OPENAT2: i64 = 437;
    const STATX: i64 = if cfg!(target_arch = "x86_64") { 332 } else { 291 };
    const EPERM: u32 = 1;
    let arch: TargetArch = std::env::consts::ARCH.try_into().expect("an architecture with a filter");
    let rules = [(OPENAT2, Vec::new()), (STATX, Vec::new())].into_iter().collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(EPERM), arch);
    filter.and_then(TryInto::try_into).expect("a filter")
}

#[test]
fn an_exchanged_folder_is_not_opened_again() {
    let world = World::new();
    world.write(
        "policy.toml",
        "[[grant]]\ntool = \"hostile\"\nfs = [{ host = \"./docs\", access = \"write\", mount = \"/scratch\" }]\n",
    );
    world.write("docs/file", "inside");
    world.write("outside/file", "TOP SECRET");
    let read = "calls = [{ tool = \"hostile.fs_steps\", arguments = { steps = [{ act = \"read\", at = \"/scratch/file\" }] } }]";
    let pause = "delay = \"1500ms\"\n";
    let script = format!(
        "version = 1\n[[reply]]\n{read}\n[[reply]]\n{pause}{read}\n[[reply]]\n{pause}{read}\n[[reply]]\ntext = \"end\"\n"
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let hostile = guest("hostile");
    let words = ["run", "--tools", &hostile, "--policy", "policy.toml", "--model", &model, "go"];
    let mut child = world.start(&words, &[]);
    let outcomes = || -> Vec<Value> {
        of_kind(&world, "ToolFinished").iter().map(|event| event["body"]["outcome"].clone()).collect()
    };
    let docs = world.work().join("docs");
    agent_tests::wait_until("the first call ends", || outcomes().len() == 1);
    fs::rename(&docs, world.work().join("old")).expect("moved");
    symlink("outside", &docs).expect("a link");
    agent_tests::wait_until("the second call ends", || outcomes().len() == 2);
    fs::remove_file(&docs).expect("gone");
    fs::create_dir(&docs).expect("another folder");
    fs::write(docs.join("file"), "another").expect("a file");
    agent_tests::wait_until("the run ends", || child.try_wait().is_ok_and(|status| status.is_some()));
    let outcomes = outcomes();
    assert_eq!(outcomes[0]["returned"]["content"][0]["json"], json!(["ok: inside"]));
    assert!(outcomes[1].to_string().contains("it is a link"), "{}", outcomes[1]);
    assert!(outcomes[2].to_string().contains("not the directory any more"), "{}", outcomes[2]);
    assert!(!outcomes.iter().any(|outcome| outcome.to_string().contains("TOP SECRET")));
}

/// The words in which a grant is refused.
fn refused(world: &World, host: &str, access: &str) -> String {
    world.write("policy.toml", policy(host, access, ""));
    let output = call(world, &json!([{ "act": "list", "at": "/scratch" }])).output().expect("the program starts");
    assert!(!output.status.success() && output.stdout.is_empty(), "a grant of {host} works: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_folder_of_the_machine_can_be_granted() {
    let world = World::new();
    symlink("/proc/self", world.work().join("link")).expect("a link");
    for host in ["/", "/proc", "/proc/self/root", "/sys/kernel", "/dev", "/dev/shm", "/run", "./link"] {
        let said = refused(&world, host, "read");
        assert!(said.contains("cannot be granted") || said.contains("cannot grant"), "{host}: {said}");
    }
    world.write("around/file", "");
    let other = world.work().join("around/other-name");
    let _mounted = Mounted::new("proc", "proc", &other, "");
    let said = refused(&world, "./around/other-name", "read");
    assert!(said.contains("file system of the kernel"), "{said}");
    // Nor is it reached from a folder around it.
    world.write("policy.toml", policy("./around", "write", ""));
    let steps = json!([{ "act": "read", "at": "/scratch/other-name/self/environ" }, { "act": "list", "at": "/scratch/other-name" }]);
    let (steps, answer) = reported(&mut call(&world, &steps));
    assert_eq!(steps, ["error: not-permitted", "error: not-permitted"], "{answer}");
}

#[test]
fn no_grant_lies_in_a_protected_folder() {
    let world = World::new();
    for folder in [".git/hooks", ".ssh", ".vscode", ".agent-host/runs", "a/.GIT"] {
        world.write(&format!("{folder}/file"), "");
        for access in ["read", "write"] {
            let said = refused(&world, &format!("./{folder}"), access);
            assert!(said.contains("cannot be granted"), "{folder}: {said}");
        }
    }
}

/// Tools and a policy in the granted folder, and a guest that would be another tool in the next run, or hold more.
#[test]
fn what_is_loaded_stays_as_it_is_inside_a_grant() {
    let world = World::new();
    world.write("policy.toml", policy(".", "write", ""));
    world.write("mine.txt", "mine");
    world.write("a/tools/hostile.wasm", fs::read(guest("hostile")).expect("it is built"));
    let at = |path: &str| world.work().join(path);
    symlink("a/tools", at("link")).expect("a link");
    fs::hard_link(at("a/tools/hostile.wasm"), at("other.wasm")).expect("a second name");
    let before = fs::read(at("a/tools/hostile.wasm")).expect("it is there");
    let rules = fs::read(at("policy.toml")).expect("it is there");
    let steps = [
        ("overwrite", "a/tools/hostile.wasm", ""),
        ("truncate", "a/tools/hostile.wasm", ""),
        ("unlink", "a/tools/hostile.wasm", ""),
        ("overwrite", "other.wasm", ""),
        ("write", "a/tools/evil.wasm", ""),
        ("write", "link/evil.wasm", ""),
        ("mkdir", "a/tools/evil", ""),
        ("rename", "mine.txt", "a/tools/evil.wasm"),
        ("link", "mine.txt", "a/tools/evil.wasm"),
        ("link", "a/tools/hostile.wasm", "mine.wasm"),
        ("rename", "a/tools", "b"),
        ("rename", "a", "b"),
        ("rename", "link", "b"),
        ("unlink", "link", ""),
        ("append", "policy.toml", ""),
        ("rename", "policy.toml", "old.toml"),
        ("rename", "mine.txt", "policy.toml"),
        ("unlink", "policy.toml", ""),
    ];
    let scratch = |path: &str| if path.is_empty() { String::new() } else { format!("/scratch/{path}") };
    let step = |(act, path, to): (&str, &str, &str)| json!({ "act": act, "at": scratch(path), "to": scratch(to) });
    let mut all: Vec<Value> = steps.into_iter().map(step).collect();
    all.push(step(("write", "a/notes.txt", "")));
    let arguments = json!({ "steps": all }).to_string();
    let words =
        ["tool", "call", "--tools", "link", "--policy", "policy.toml", "--json", "hostile.fs_steps", &arguments];
    let (reported, answer) = reported(&mut world.command(&words));
    for (step, came) in steps.iter().zip(&reported) {
        assert_eq!(came, "error: not-permitted", "{step:?}: {answer}");
    }
    assert_eq!(reported.last().map(String::as_str), Some("ok"), "{answer}");
    assert_eq!(fs::read(at("a/tools/hostile.wasm")).ok(), Some(before));
    assert_eq!(fs::read(at("policy.toml")).ok(), Some(rules));
    assert_eq!(fs::read_dir(at("a/tools")).map(Iterator::count).ok(), Some(1));
}

#[test]
fn another_file_system_inside_a_grant_is_out_of_bounds() {
    let world = World::new();
    world.write("policy.toml", policy("./scratch", "write", ""));
    world.write("scratch/mine.txt", "mine");
    let fuse = Fuse::mounted_at(&world.work().join("scratch/far"), Answers::Nothing);
    let steps = json!([
        { "act": "read", "at": "/scratch/far/file" },
        { "act": "list", "at": "/scratch/far" },
        { "act": "type", "at": "/scratch/far" },
        { "act": "list", "at": "/scratch" },
        { "act": "read", "at": "/scratch/mine.txt" },
    ]);
    let begun = Instant::now();
    let (steps, answer) = reported(&mut call(&world, &steps));
    assert_eq!(steps[..3], ["error: not-permitted"; 3], "{answer}");
    assert_eq!(steps[3..], ["ok: far mine.txt", "ok: mine"], "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    drop(fuse);
}

/// Six calls at once on a file system that answers no read: four wait and are given up at their deadline, the others are told
/// to come again, and a call without such files is as quick as ever.
#[test]
fn a_file_system_that_does_not_answer_holds_few_calls() {
    let world = World::new();
    let fuse = Fuse::mounted_at(&world.work().join("far"), Answers::AllButReads);
    world.write("policy.toml", policy("./far", "read", "").replace("60s", "1s"));
    let read = "{ tool = \"hostile.fs_steps\", arguments = { steps = [{ act = \"read\", at = \"/scratch/file\" }] } }";
    let canary = "{ tool = \"calc.evaluate\", arguments = { expression = \"40 + 2\" } }";
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{}]\n[[reply]]\ncalls = [{canary}]\n[[reply]]\ntext = \"end\"\n",
        [read; 6].join(", ")
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let (hostile, calc) = (guest("hostile"), agent_tests::tool("calc"));
    let words = ["run", "--tools", &hostile, "--tools", &calc, "--policy", "policy.toml", "--model", &model, "go"];
    let child = world.start(&words, &[]);
    agent_tests::wait_until("the run ends", || of_kind(&world, "RunEnded").len() == 1);
    // Who waits for a file that somebody is said to be reading cannot even be killed before that is over.
    drop(fuse);
    let said = world.said(&child.wait_with_output().expect("the program ends"));
    assert_eq!((said.out.as_str(), said.code), ("end\n", Some(0)), "{}", said.err);
    let finished = of_kind(&world, "ToolFinished");
    let outcome = |event: &Value| event["body"]["outcome"].clone();
    let stuck = finished.iter().filter(|event| outcome(event)["faulted"]["fault"] == "deadline_exceeded").count();
    let turned_away = finished.iter().filter(|event| outcome(event)["refused"]["reason"] == "overloaded").count();
    assert_eq!((stuck, turned_away), (4, 2), "{finished:?}");
    assert_eq!(outcome(&finished[6])["returned"]["content"][0]["text"], "42", "{finished:?}");
    let took = finished.iter().filter_map(|event| event["body"]["metering"]["duration"].as_u64()).max();
    assert!(took.is_some_and(|took| took <= 2_000), "{took:?}");
}

/// The wall around the host's files is built around each granted directory, before any call.
#[test]
fn a_file_system_that_is_dead_from_the_start_does_not_stop_the_host() {
    let world = World::new();
    let fuse = Fuse::mounted_at(&world.work().join("far"), Answers::Nothing);
    world.write("policy.toml", policy("./far", "read", "").replace("60s", "1s"));
    let read = "{ tool = \"hostile.fs_steps\", arguments = { steps = [{ act = \"read\", at = \"/scratch/file\" }] } }";
    let canary = "{ tool = \"calc.evaluate\", arguments = { expression = \"40 + 2\" } }";
    let script =
        format!("version = 1\n[[reply]]\ncalls = [{read}]\n[[reply]]\ncalls = [{canary}]\n[[reply]]\ntext = \"end\"\n");
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let (hostile, calc) = (guest("hostile"), agent_tests::tool("calc"));
    let words = ["run", "--tools", &hostile, "--tools", &calc, "--policy", "policy.toml", "--model", &model, "go"];
    let child = world.start(&words, &[]);
    agent_tests::wait_until("the run ends", || of_kind(&world, "RunEnded").len() == 1);
    drop(fuse);
    let said = world.said(&child.wait_with_output().expect("the program ends"));
    assert_eq!((said.out.as_str(), said.code), ("end\n", Some(0)), "{}", said.err);
    let finished = of_kind(&world, "ToolFinished");
    let outcomes: Vec<String> = finished.iter().map(|event| event["body"]["outcome"].to_string()).collect();
    assert!(outcomes[0].contains("deadline_exceeded"), "{outcomes:?}");
    assert!(outcomes[1].contains("42"), "{outcomes:?}");
}

#[test]
fn a_full_disk_is_the_guests_error_and_an_undo_works_on_it() {
    let world = World::new();
    let scratch = world.work().join("scratch");
    let _mounted = Mounted::new("none", "tmpfs", &scratch, "size=1m");
    world.write("scratch/mine.txt", "m".repeat(300_000));
    world.write("policy.toml", policy("./scratch", "write", ""));
    let fill = json!({ "act": "fill", "at": "/scratch/big", "bytes": 10_000_000 });
    let (steps, answer) = reported(&mut call(&world, &json!([fill, { "act": "size", "at": "/scratch/mine.txt" }])));
    assert_eq!(steps, ["error: insufficient-space", "ok: 300000"], "{answer}");
    let left: u64 =
        answer["effects"].as_array().into_iter().flatten().filter_map(|effect| effect["bytes_out"].as_u64()).sum();
    let there = fs::metadata(scratch.join("big")).expect("the guest's file").len();
    assert!(left == there && left > 0, "{left} bytes are counted, {there} are there: {answer}");
    fs::remove_file(scratch.join("big")).expect("the guest's file");
    // The same in a run that keeps an undo: its own records are on another disk. Then it crashes, the disk still full.
    let overwrite = json!({ "act": "overwrite", "at": "/scratch/mine.txt", "text": "changed" });
    let steps = json!({ "steps": [overwrite, fill, { "act": "trap" }] }).to_string();
    let call = format!("{{ tool = \"hostile.fs_steps\", arguments = {} }}", Value::from(steps));
    let script = format!("version = 1\n[[reply]]\ncalls = [{call}]\n[[reply]]\ntext = \"end\"\n");
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let hostile = guest("hostile");
    let said = world.run(&["run", "--tools", &hostile, "--policy", "policy.toml", "--model", &model, "go"]);
    assert_eq!((said.out.as_str(), said.code), ("end\n", Some(0)), "{}", said.err);
    assert_eq!(world.read("scratch/mine.txt"), Some("m".repeat(300_000)));
    let left = fs::read_dir(&scratch).expect("a folder").count();
    assert_eq!(left, 1, "what the call made is gone");
}

/// A file system that is there until this is dropped.
struct Mounted<'m>(&'m Path);

impl<'m> Mounted<'m> {
    fn new(source: &str, kind: &str, at: &'m Path, options: &str) -> Self {
        fs::create_dir_all(at).expect("a folder");
        let options = std::ffi::CString::new(options).expect("text");
        mount(source, at, kind, MountFlags::empty(), options.as_c_str()).expect("root may mount");
        Self(at)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

/// Nothing of a direct call is journaled; what was changed is taken back all the same if the call is stopped.
#[test]
fn a_direct_call_that_is_stopped_is_undone() {
    let world = World::new();
    world.write("policy.toml", policy("./scratch", "write", ""));
    world.write("scratch/mine.txt", "mine");
    world.write("scratch/dir/leaf", "leaf");
    let steps = json!([
        { "act": "overwrite", "at": "/scratch/mine.txt", "text": "XX", "bytes": 1 },
        { "act": "write", "at": "/scratch/new", "text": "new" },
        { "act": "rename", "at": "/scratch/dir", "to": "/scratch/moved" },
        { "act": "unlink", "at": "/scratch/moved/leaf" },
        { "act": "trap" },
    ]);
    let output = call(&world, &steps).output().expect("the program starts");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["outcome"]["faulted"]["fault"], "guest_trap", "{said}");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(said["undone"]["left"], json!([]), "{said}");
    assert!(said["undone"]["restored"].as_array().is_some_and(|restored| restored.len() >= 4), "{said}");
    let read = |name: &str| world.read(name);
    assert_eq!(read("scratch/mine.txt").as_deref(), Some("mine"));
    assert_eq!(read("scratch/dir/leaf").as_deref(), Some("leaf"));
    assert!(read("scratch/new").is_none() && !world.work().join("scratch/moved").exists());
}
