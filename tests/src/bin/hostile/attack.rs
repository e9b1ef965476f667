//! Carries one case out: lays its world out, starts the built host as a child process, looks at it while it runs, and
//! gathers what it said and stored. Judges nothing; that is `judge`'s.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent_tests::process::{self, Look};
use agent_tests::{World, given, tree};
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::Value;

use crate::case::{Case, Driver};
use crate::components;
use crate::layout::lay_out;
use crate::names::Names;
use crate::script::{self, CANARY};
use crate::servers::{Servers, Visits};

/// The variable by which a build made for that switches defences off.
pub(crate) const OFF: &str = "AGENT_HOST_DEFENCE_OFF";

/// How often the process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Resident memory at which the host is killed: an attack that gets through must not take the machine with it.
const RSS_KIB_MAX: u64 = 3 << 20;

/// What the host may allocate while a defence is off.
const DATA_BYTES_WITHOUT: u64 = 4 << 30;

/// Output of one stream that is read.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// Bytes of one file of the host that are searched.
const STATE_BYTES_MAX: u64 = 256 << 20;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Why the suite ended it, if it did.
    pub(crate) killed: Option<String>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// The events of the run, as `show --json` gives them.
    pub(crate) events: Vec<Value>,
    /// The same as text: a reader of JSON may make something else of it.
    pub(crate) recorded: String,
    /// What `show` says to a person.
    pub(crate) shown: String,
    /// All that the host keeps, for a search.
    pub(crate) state: Vec<u8>,
    pub(crate) took: Duration,
    /// The idle host, before the attack.
    pub(crate) before: Option<Look>,
    /// Right after the second canary.
    pub(crate) after: Option<Look>,
    /// When threads and descriptors were back; the last look where they never were.
    pub(crate) settled: Option<Look>,
    pub(crate) visits: Vec<Visits>,
    /// What changed where nothing may.
    pub(crate) changed: Vec<PathBuf>,
    /// Of a command that refused to load: whether another one still works.
    pub(crate) next_command_works: bool,
}

/// Runs the case, with the named defences off.
///
/// # Errors
/// Where the case itself cannot be set up.
pub(crate) fn attack(case: &Case, without: &[String], command_limit: Duration) -> Result<Seen, String> {
    debug_assert!(case.form.driver == Driver::Host);
    let world = world(&case.form.settings)?;
    let work = world.work();
    let mut names = Names::of_world(&work);
    let servers = Servers::start(&case.form.server, &mut names);
    lay_out(&work, &case.form.layout, &names)?;
    let tools = components::place(case, &work, &names)?;
    let root = work.parent().unwrap_or(&work).to_owned();
    let left_out = left_out(case);
    let words = words(case, &work, &tools, &names)?;
    let mut command = world.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    command.envs(case.form.env.iter().map(|(name, value)| (name, names.fill(value))));
    if !without.is_empty() {
        command.env(OFF, without.join(","));
    }
    let before = tree::digests(&root, &left_out);
    let mut seen = watch(command, !without.is_empty(), command_limit)?;
    seen.changed = tree::differences(&before, &tree::digests(&root, &left_out));
    seen.visits = servers.visits();
    collect(case, &world, &mut seen);
    Ok(seen)
}

/// What is not compared: the host's own records, and where the attack may write.
fn left_out(case: &Case) -> Vec<PathBuf> {
    let own = ["work/.agent-host", "home", ".cache", ".config"].map(PathBuf::from);
    own.into_iter().chain(case.form.may_change.iter().map(PathBuf::from)).collect()
}

/// The command line.
fn words(case: &Case, work: &Path, tools: &[String], names: &Names) -> Result<Vec<String>, String> {
    let write = |name: &str, text: &str| {
        std::fs::write(work.join(name), text).map_err(|error| format!("cannot write `{name}`: {error}"))
    };
    let mut words: Vec<String> = match &case.form.load {
        Some(load) if !load.command.is_empty() => {
            return Ok(load.command.iter().map(|word| names.fill(word)).collect());
        }
        Some(_) => vec!["tool".into(), "list".into()],
        None => {
            write("replies.toml", &script::script(&case.form, names))?;
            vec!["run".into(), "--model".into(), "scripted:replies.toml".into()]
        }
    };
    for tool in tools {
        words.extend(["--tools".to_owned(), tool.clone()]);
    }
    if let Some(policy) = script::policy(&case.form, names) {
        write("policy.toml", &policy)?;
        words.extend(["--policy", "policy.toml"].map(String::from));
    }
    words.extend(case.form.flags.iter().map(|flag| names.fill(flag)));
    if case.form.load.is_none() {
        words.push("attack".into());
    }
    Ok(words)
}

/// A machine; with settings of its own, one on which nothing was compiled yet.
fn world(settings: &str) -> Result<World, String> {
    if settings.is_empty() {
        return Ok(World::new());
    }
    let world = World::untouched();
    let written = std::fs::create_dir_all(world.home())
        .and_then(|()| std::fs::write(world.home().join("settings.toml"), settings));
    written.map(|()| world).map_err(|error| format!("cannot write the settings: {error}"))
}

/// Runs the command to its end, or to ours.
fn watch(mut command: Command, is_open: bool, limit: Duration) -> Result<Seen, String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("the host does not start: {error}"))?;
    if is_open {
        bound_memory(&child);
    }
    let canaries = Arc::new(AtomicUsize::new(0));
    let out = child.stdout.take().map(|stream| read(stream, Arc::default()));
    let err = child.stderr.take().map(|stream| read(stream, Arc::clone(&canaries)));
    let mut seen = Seen::default();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        look_at(child.id(), canaries.load(Ordering::SeqCst), &mut seen);
        let too_large = process::look(child.id()).is_some_and(|look| look.rss_kib > RSS_KIB_MAX);
        if seen.killed.is_none() && (too_large || started.elapsed() > limit) {
            seen.killed = Some(if too_large {
                format!("more than {} MiB", RSS_KIB_MAX >> 10)
            } else {
                format!("still running after {} ms", limit.as_millis())
            });
            child.kill().map_err(|error| error.to_string())?;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    seen.took = started.elapsed();
    seen.code = status.code();
    seen.out = text_of(out);
    seen.err = text_of(err);
    Ok(seen)
}

/// Takes the looks that are due: before the attack, after the second canary, and when all is back as it was.
fn look_at(pid: u32, canaries: usize, seen: &mut Seen) {
    // The pause before the attack begins when the first canary's line is out. Journal work may still be under way.
    let Some(now) = process::look(pid) else { return };
    match (canaries, seen.before, seen.after) {
        (0, ..) => {}
        (1, None, _) => {
            seen.before = Some(now);
            process::forget_peak(pid);
        }
        (1, Some(_), _) => {}
        (_, _, None) => seen.after = Some(now),
        (_, Some(before), Some(after)) => {
            // The peak may still rise while the host tidies up.
            seen.after = Some(Look { peak_kib: after.peak_kib.max(now.peak_kib), ..after });
            if !seen.settled.is_some_and(|settled| is_back(settled, before)) {
                seen.settled = Some(now);
            }
        }
        (_, None, Some(_)) => {}
    }
}

/// Threads and descriptors that may be more than before.
const LEFT_OVER_MAX: usize = 2;

/// Whether threads and descriptors are back.
pub(crate) fn is_back(now: Look, before: Look) -> bool {
    now.threads <= before.threads + LEFT_OVER_MAX && now.descriptors <= before.descriptors + LEFT_OVER_MAX
}

fn bound_memory(child: &Child) {
    let bound = Rlimit { current: Some(DATA_BYTES_WITHOUT), maximum: Some(DATA_BYTES_WITHOUT) };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // Where it is not allowed, the look at resident memory still bounds it.
    let _ = pid.map(|pid| rustix::process::prlimit(Some(pid), Resource::Data, bound));
}

/// Reads a stream to its end and counts the lines that tell of a canary's call.
fn read(stream: impl std::io::Read + Send + 'static, canaries: Arc<AtomicUsize>) -> JoinHandle<String> {
    let told = format!("{CANARY}.run");
    std::thread::spawn(move || {
        let mut text = String::new();
        let mut lines = BufReader::new(stream.take(OUTPUT_BYTES_MAX));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let read = String::from_utf8_lossy(&line);
            if read.contains(&told) {
                canaries.fetch_add(1, Ordering::SeqCst);
            }
            text.push_str(&read);
            line.clear();
        }
        text
    })
}

fn text_of(reader: Option<JoinHandle<String>>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

/// Reads what the host kept.
fn collect(case: &Case, world: &World, seen: &mut Seen) {
    if case.form.load.is_none() {
        let show = |words: &[&str]| {
            let output = world.command(words).output().map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&output).into_owned()
        };
        seen.recorded = show(&["show", "--json"]);
        seen.events = seen.recorded.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        seen.shown = show(&["show"]);
    } else {
        let canary = world.work().join(format!("{CANARY}.wasm")).display().to_string();
        let words = ["tool", "call", "--tools", canary.as_str(), "canary.run"];
        seen.next_command_works = world.command(&words).output().is_ok_and(|output| output.stdout == b"42\n");
    }
    if !case.form.output.absent.is_empty() {
        seen.state = all_bytes(&world.work().join(".agent-host"));
    }
}

fn all_bytes(folder: &Path) -> Vec<u8> {
    let (mut bytes, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if let Ok(file) = std::fs::File::open(&path) {
            let _ = file.take(STATE_BYTES_MAX).read_to_end(&mut bytes);
        }
    }
    bytes
}

/// Compiles what all cases share, so that no case is measured while it is compiled.
pub(crate) fn warm_up() -> Result<(), String> {
    let world = World::new();
    components::place_canary(&world.work())?;
    let guests = given("AGENT_HOST_TEST_GUESTS").display().to_string();
    let output = world.command(&["tool", "list", "--tools", &guests, "--tools", "canary.wasm"]).output();
    let output = output.map_err(|error| format!("the host does not start: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
