//! The walls around the host's process: what stands behind the sandbox. An intruder tries what must fail, with each wall and
//! without it; and runs go on behind them as they should.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use agent_tests::terminal::Terminal;
use agent_tests::{World, guest, tool, wait_until};

/// The variables by which a build made for that leaves out a wall.
const OFF: &str = "AGENT_HOST_DEFENCE_OFF";
const KEPT: &str = "AGENT_HOST_DEFENCE_KEPT";

/// What the intruder says of each act, behind the walls that `environment` leaves.
fn intrude(environment: &[(&str, &str)]) -> BTreeMap<String, String> {
    let world = World::untouched();
    world.write("granted/file", "granted");
    world.write("outside/file", "TOP SECRET");
    let intruder = Path::new(env!("CARGO_BIN_EXE_intruder"));
    let folder = intruder.parent().expect("a folder").display().to_string();
    let program = intruder.display().to_string();
    let (granted, outside) = (world.work().join("granted"), world.work().join("outside"));
    let (granted, outside) = (granted.display().to_string(), outside.display().to_string());
    let words = ["in-walls", "--allow-write", "granted", "--allow-read", &folder, &program, &granted, &outside];
    let output = world.command(&words).envs(environment.iter().copied()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().filter_map(|line| line.split_once(' ')).map(|(act, said)| (act.to_owned(), said.to_owned())).collect()
}

const STILL_WORKS: [&str; 6] = ["read_granted", "write_granted", "make_granted", "resolve", "listen_anywhere", "null"];
const BY_LANDLOCK: [&str; 9] = [
    "read_outside",
    "list_outside",
    "write_outside",
    "rename_out",
    "link_in",
    "read_passwords",
    "start_shell",
    "signal",
    "listen",
];
const BY_SECCOMP: [&str; 10] = [
    "ptrace",
    "read_memory",
    "mount",
    "chroot",
    "unshare",
    "hostname",
    "personality",
    "io_uring",
    "unix_socket",
    "vsock",
];

#[test]
fn behind_the_walls_an_intruder_finds_little() {
    let said = intrude(&[]);
    for act in STILL_WORKS {
        assert_eq!(said[act], "ok", "{act}: {said:?}");
    }
    for act in BY_LANDLOCK {
        assert!(matches!(said[act].as_str(), "EACCES" | "EPERM" | "EXDEV"), "{act}: {said:?}");
    }
    for act in BY_SECCOMP {
        assert_eq!(said[act], "EPERM", "{act}: {said:?}");
    }
}

#[test]
fn without_landlock_the_files_of_the_machine_are_read() {
    let said = intrude(&[(OFF, "landlock")]);
    for act in ["read_outside", "list_outside", "write_outside", "read_passwords", "start_shell", "signal", "listen"] {
        assert_eq!(said[act], "ok", "{act}: {said:?}");
    }
}

#[test]
fn without_seccomp_other_things_answer_than_the_wall() {
    let said = intrude(&[(OFF, "seccomp"), (KEPT, "landlock")]);
    // Each of these reaches the kernel, which has a reason of its own, or does it.
    for (act, answer) in [("read_memory", "EFAULT"), ("unix_socket", "ENOENT"), ("personality", "ok")] {
        assert_eq!(said[act], answer, "{act}: {said:?}");
    }
    assert_eq!(said["read_outside"], "EACCES", "the other wall stands: {said:?}");
}

/// A run in which the hostile guest reads past its mount, whose own wall is missing.
fn read_past_the_mount(environment: &[(&str, &str)]) -> String {
    let world = World::new();
    let script = "version = 1\n[[reply]]\ncalls = [{ tool = \"hostile.read_path\", arguments = { path = \
                  \"/data/../secret\" } }]\n[[reply]]\ntext = \"done\"\n";
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    world.write("granted/file", "granted");
    world.write("secret", "TOP SECRET");
    let hostile = guest("hostile");
    let words = ["run", "--tools", &hostile, "--allow-read", "granted", "--model", &model, "attack"];
    let output = world.command(&words).env(OFF, "fs_denied").envs(environment.iter().copied()).output();
    assert!(output.expect("the program starts").status.success());
    world.events(&[]).iter().map(ToString::to_string).collect()
}

#[test]
fn the_second_wall_holds_where_the_first_is_missing() {
    assert!(read_past_the_mount(&[]).contains("TOP SECRET"), "nothing holds");
    assert!(!read_past_the_mount(&[(KEPT, "landlock")]).contains("TOP SECRET"), "the file wall holds");
}

#[test]
fn every_thread_of_a_run_is_behind_the_walls() {
    let world = World::new();
    let model = format!(
        "scripted:{}",
        world.write("replies.toml", "version = 1\n[[reply]]\ndelay = \"20s\"\ntext = \"late\"\n").display()
    );
    let calc = tool("calc");
    let mut child = world.start(&["run", "--tools", &calc, "--model", &model, "wait"], &[]);
    let since = Instant::now();
    while !is_asked(&world) {
        let given_up = since.elapsed() > PATIENCE;
        if given_up || child.try_wait().expect("it can be asked").is_some() {
            let state = state(child.id());
            panic!("the model is not asked: {:?}, it stood like this:\n{state}", world.said(&end(&mut child)));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut threads = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("the process runs") {
        let status = std::fs::read_to_string(task.expect("a thread").path().join("status")).unwrap_or_default();
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.is_empty() || status.contains(line), "{line}: {status}");
        }
        threads += 1;
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(threads > 2, "{threads} threads: the runtimes ran");
    let started = &world.events(&[])[0]["body"]["hardening"];
    assert!(started["landlock"]["up"].as_str().is_some_and(|form| form.starts_with("ABI ")), "{started}");
    for wall in ["seccomp", "no_new_privileges", "private_memory"] {
        assert_eq!(started[wall]["up"], "", "{started}");
    }
}

/// How long a run may take to begin, which waits for the disk some ten times.
const PATIENCE: Duration = Duration::from_secs(60);

fn is_asked(world: &World) -> bool {
    let events = world.command(&["show", "--json"]).output().expect("the program starts").stdout;
    String::from_utf8_lossy(&events).contains("ModelRequested")
}

/// What each thread of a process waits for, as far as the system says it.
fn state(process: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let one = |task: DirEntry| {
        let [name, waits, call] = ["comm", "wchan", "syscall"].map(|file| read(task.path().join(file)));
        format!("{name}: {waits}, {call}\n")
    };
    tasks.map(one).collect()
}

/// Ends a child, and gives all that it said.
fn end(child: &mut Child) -> Output {
    let _ = child.kill();
    let mut output = Output { status: child.wait().expect("it ends"), stdout: Vec::new(), stderr: Vec::new() };
    let mut out = child.stdout.take().expect("it was piped");
    let mut err = child.stderr.take().expect("it was piped");
    out.read_to_end(&mut output.stdout).and_then(|_| err.read_to_end(&mut output.stderr)).expect("what it said");
    output
}

/// Two calls of a tool that works on files, and none was granted any.
const FILES: &str = "version = 1\n[[reply]]\ncalls = [{ tool = \"calc.evaluate\", arguments = { expression = \"40 + 2\" } }, { tool = \
                     \"files.list\", arguments = { path = \".\" } }]\n[[reply]]\ncalls = [{ tool = \"files.read\", as = \"read\", \
                     arguments = { path = \"a.txt\" } }]\n[[reply]]\ntext = \"read {{ read }}\"\n";

fn files_run(world: &World) -> Vec<String> {
    world.write("replies.toml", FILES);
    world.write("docs/a.txt", "hello");
    let words = ["run", "--tools", &tool("files"), "--tools", &tool("calc"), "--model", "scripted:replies.toml"];
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_directory_granted_in_the_middle_is_reached_and_nothing_is_done_twice() {
    let world = World::new();
    let words = [files_run(&world), vec!["go".to_owned()]].concat();
    let mut terminal = Terminal::start(&world, &words);
    terminal.expect("no directory was granted");
    terminal.say("r\n");
    terminal.expect("which directory may `files` read?");
    terminal.say("docs\n");
    let (said, code) = terminal.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("hello") && said.contains("✓ completed"), "{said}");
    let kinds: Vec<String> =
        world.events(&[]).iter().map(|event| event["kind"].as_str().unwrap_or_default().to_owned()).collect();
    let count = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
    assert_eq!((count("RunResumed"), count("ToolStarted"), count("ModelRequested")), (1, 3, 3), "{kinds:?}");
    assert!(count("GrantWidened") >= 2, "{kinds:?}");
}

/// What a process inherits from this one's children: the terminal, and no way to their keeper.
#[test]
fn a_kept_run_passes_no_pipe_on() {
    let world = World::new();
    let script = "version = 1\n[[reply]]\ndelay = \"20s\"\ntext = \"late\"\n";
    world.write("replies.toml", script);
    let words = ["run", "--tools", &tool("calc"), "--model", "scripted:replies.toml", "go"].map(str::to_owned);
    let terminal = Terminal::start(&world, &words);
    let mut kept = Vec::new();
    wait_until("the kept run asks its model", || {
        kept = children(terminal.id());
        let events = world.command(&["show", "--json"]).output().expect("the program starts").stdout;
        String::from_utf8_lossy(&events).contains("ModelRequested")
    });
    assert_eq!(kept.len(), 1, "the run, and nothing else");
    let of = |pid: u32, number: u32| {
        std::fs::read_link(Path::new("/proc").join(pid.to_string()).join("fd").join(number.to_string())).ok()
    };
    let mut inherited = Vec::new();
    for file in std::fs::read_dir(format!("/proc/{}/fdinfo", kept[0])).into_iter().flatten().flatten() {
        let flags = std::fs::read_to_string(file.path()).unwrap_or_default();
        let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default().trim().to_owned();
        let closes = u32::from_str_radix(&flags, 8).is_ok_and(|flags| flags & 0o2_000_000 != 0);
        let number: u32 = file.file_name().to_string_lossy().parse().expect("a descriptor");
        // What the keeper has from whoever started it is passed on as it is.
        let is_older = of(kept[0], number) == of(terminal.id(), number);
        if !closes && !is_older && number > 2 {
            inherited.push((number, of(kept[0], number)));
        }
    }
    assert!(inherited.is_empty(), "{inherited:?}");
}

/// The processes that this one has started and not waited for.
fn children(pid: u32) -> Vec<u32> {
    let of = |process: &Path| {
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let parent: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        (parent == pid).then(|| process.file_name()?.to_str()?.parse().ok()).flatten()
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|process| of(&process.path())).collect()
}

#[test]
fn a_person_who_grants_nothing_is_not_asked_again() {
    let world = World::new();
    let words = [files_run(&world), vec!["go".to_owned()]].concat();
    let mut terminal = Terminal::start(&world, &words);
    terminal.expect("no directory was granted");
    terminal.say("r\n");
    terminal.expect("which directory may `files` read?");
    // The end of the input is no directory.
    terminal.say("\u{4}");
    let (said, _) = terminal.end();
    assert_eq!(said.matches("[r] let it read one").count(), 1, "{said}");
    assert_eq!(world.events(&[]).iter().filter(|event| event["kind"] == "GrantWidened").count(), 0);
}

#[test]
fn what_a_run_needed_is_learned_and_is_enough() {
    let world = World::new();
    world.write("docs/a.txt", "hello");
    let words = [files_run(&world), ["--allow-write", ".", "--learn", "go"].map(str::to_owned).to_vec()].concat();
    // The documents are one level deeper for this grant.
    world.write("replies.toml", FILES.replace("a.txt", "docs/a.txt"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = world.run(&words);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("learned 2 grants, written to learned-policy.toml"), "{said:?}");
    let learned = world.steady(&world.read("learned-policy.toml").expect("it is there"));
    // Each is for the component that was watched.
    assert_eq!(learned.matches("\ncomponent = \"sha256:").count(), 2, "{learned}");
    let rules = learned.lines().filter(|line| !line.starts_with('#') && !line.starts_with("component"));
    let rules = rules.collect::<Vec<_>>().join("\n");
    assert_eq!(
        rules.trim(),
        "[[grant]]\ntool = \"files.list\"\nfs = [{ host = \"[WORLD]/work\", access = \"read\" }]\n\n[[grant]]\ntool = \
         \"files.read\"\nfs = [{ host = \"[WORLD]/work\", access = \"read\" }]"
    );
    assert!(learned.contains("# Called, and in need of nothing: calc.evaluate"), "{learned}");
    // With it and nothing else, at a terminal, nobody is asked.
    let words = [files_run_again(), ["--policy", "learned-policy.toml", "go"].map(str::to_owned).to_vec()].concat();
    let (said, code) = Terminal::start(&world, &words).end();
    assert!(code == Some(0) && said.contains("hello") && !said.contains('?'), "{said}");
    // A policy that was learned is not written over.
    let again = world.run(&["run", "--learn", "--tools", &tool("calc"), "--model", "scripted:replies.toml", "go"]);
    assert!(again.code == Some(1) && again.err.contains("is there already"), "{again:?}");
}

fn files_run_again() -> Vec<String> {
    let words = ["run", "--tools", &tool("files"), "--tools", &tool("calc"), "--model", "scripted:replies.toml"];
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn what_was_refused_is_learned_as_a_comment() {
    let world = World::new();
    let script = "version = 1\n[[reply]]\ncalls = [{ tool = \"fetch.get\", arguments = { url = \"https://example.org/a\" } }]\n\
                  [[reply]]\ntext = \"refused\"\n";
    world.write("replies.toml", script);
    let fetch = tool("fetch");
    let words = ["run", "--tools", &fetch, "--learn=mine.toml", "--model", "scripted:replies.toml", "go"];
    let said = world.run(&words);
    assert!(said.err.contains("learned no grant: the run needed none, written to mine.toml"), "{said:?}");
    let learned = world.read("mine.toml").expect("it is there");
    assert!(learned.contains("#   GET https://example.org/a: net_denied"), "{learned}");
    assert!(learned.lines().all(|line| line.is_empty() || line.starts_with('#')), "{learned}");
}

#[test]
fn the_first_agent_works_as_typed() {
    let world = World::untouched();
    let said = world.run(&["init", "mine"]).ok();
    assert!(said.contains("cd mine\n  agent-host trust agent.toml\n  agent-host run"), "{said}");
    let typed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  agent-host ")).collect();
    assert_eq!(typed.len(), 3, "{said}");
    // At a terminal, in the folder that was made, each as it stands there.
    let within = |words: &str| {
        let words = words.split('"').map(str::trim).filter(|word| !word.is_empty());
        let words: Vec<String> = match words.collect::<Vec<_>>().as_slice() {
            [verb, question] => vec![(*verb).to_owned(), (*question).to_owned()],
            plain => plain.iter().flat_map(|words| words.split(' ')).map(str::to_owned).collect(),
        };
        Terminal::start_in(&world, "mine", &words)
    };
    let mut trusting = within(typed[0]);
    // What is typed before the question is there is forgotten.
    trusting.expect("trust it with this?");
    trusting.say("y\n");
    assert_eq!(trusting.end().1, Some(0));
    let (said, code) = within(typed[1]).end();
    assert!(code == Some(0) && said.contains("has 10 words."), "{said}");
    let (said, code) = within(typed[2]).end();
    assert!(code == Some(0) && said.contains("words.count"), "{said}");
    let again = world.run(&["init", "mine"]);
    assert!(again.code == Some(1) && again.err.contains("nothing is written over"), "{again:?}");
}

#[test]
fn the_doctor_says_what_stands_and_what_is_broken() {
    let world = World::untouched();
    let said = world.run(&["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &found["healthy"]), (Some(0), &true.into()), "{found}");
    let health = |found: &serde_json::Value, name: &str| {
        let all = found["parts"]
            .as_array()
            .expect("parts")
            .iter()
            .flat_map(|part| part["findings"].as_array().expect("findings"));
        let mut named = all.filter(|finding| finding["name"] == name);
        named.next().map(|finding| finding["health"].as_str().expect("a word").to_owned())
    };
    for name in ["landlock", "seccomp", "no new privileges", "private memory", "sandbox", "clock"] {
        assert_eq!(health(&found, name).as_deref(), Some("ok"), "{name}: {found}");
    }
    let home = world.home();
    assert!(!home.exists(), "it changes nothing");
    // A state folder into which others can look.
    std::fs::create_dir_all(&home).expect("a folder");
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let said = world.run(&["doctor"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("others can look in") && said.out.contains("cure: chmod 700"), "{said:?}");
}

/// It may be a stranger's, and a file of SQLite is a program of a kind.
#[test]
fn the_doctor_opens_a_journal_behind_the_walls() {
    let world = World::new();
    let script = world.write("replies.toml", "version = 1\n[[reply]]\ntext = \"done\"\n");
    let model = format!("scripted:{}", script.display());
    assert_eq!(world.run(&["run", "--model", &model, "go"]).ok(), "done\n");
    let said = world.run(&["--log", "info", "doctor"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("1 run, 0 interrupted"), "{said:?}");
    for wall in ["landlock", "seccomp"] {
        let line = said.err.lines().find(|line| line.contains(wall) && line.contains("confined"));
        assert!(line.is_some_and(|line| line.contains("the host is confined")), "{said:?}");
    }
}

/// How a process was seen with the journal's file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// Not at all: it had none, or had closed its memory before.
    Never,
    BehindTheWalls,
    WithoutWalls,
}

fn look_at(pid: u32) -> Seen {
    let process = Path::new("/proc").join(pid.to_string());
    let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut files = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    if !files.any(|file| file.ends_with("journal.db")) {
        return Seen::Never;
    }
    // Looked at afterwards: walls that stand by then may have come later, but none goes away.
    match std::fs::read_to_string(process.join("status")) {
        Ok(status) if status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1") => Seen::BehindTheWalls,
        Ok(_) => Seen::WithoutWalls,
        Err(_) => Seen::Never,
    }
}

/// It may be a stranger's. Who opens it waits here for a lock, and gives up, so that there is time to look.
#[test]
fn every_verb_opens_the_journal_behind_the_walls() {
    let world = World::new();
    let script = world.write("replies.toml", "version = 1\n[[reply]]\ntext = \"done\"\n");
    let (model, calc) = (format!("scripted:{}", script.display()), tool("calc"));
    assert_eq!(world.run(&["run", "--model", &model, "--record", "full", "go"]).ok(), "done\n");
    let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
    assert_eq!(world.run(&["journal", "export", &run, "exported"]).code, Some(0));
    let shown: [&[&str]; 6] = [
        &["run", "--model", &model, "go"],
        &["run", "--model", &model, "--session", "one", "go"],
        &["mcp", "--tools", &calc],
        &["resume", &run],
        &["journal", "rebase", &run, "--model", &model, "--yes"],
        &["journal", "replay", &run],
    ];
    // Those that close their memory first are seen by nobody when all is well.
    let hidden: [&[&str]; 6] = [
        &["changes", &run, "--diff"],
        &["approve", &run, "1", "--yes", "--resume"],
        &["deny", &run, "1", "--resume"],
        &["journal", "resolve", &run, "1", "--did-not", "--resume"],
        &["journal", "export", &run, "again"],
        &["journal", "import", "exported"],
    ];
    let locked = rusqlite::Connection::open(world.work().join(".agent-host/journal.db")).expect("the journal");
    locked.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("the lock");
    // Also where something is to be sent of the run.
    let collector = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let mut begun: Vec<_> =
        shown.iter().chain(&hidden).map(|verb| (*verb, world.start(verb, &collector), Seen::Never)).collect();
    wait_until("each has seen that the journal is busy", || {
        for (_, child, seen) in &mut begun {
            *seen = look_at(child.id()).max(*seen);
        }
        begun.iter_mut().all(|(_, child, _)| child.try_wait().expect("a child").is_some())
    });
    for (verb, _, seen) in begun {
        let expected = if shown.contains(&verb) { Seen::BehindTheWalls } else { seen.min(Seen::BehindTheWalls) };
        assert_eq!(seen, expected, "{verb:?}");
    }
}
