//! Runs of a chosen length: a script in which the model asks for one call each turn, and the command that plays it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use agent_tests::{World, guest, tool};

/// Size of the files that `Work::Read` reads: a page of text, as a tool that looks at something returns.
pub const FILE_BYTES: usize = 4_096;

/// What each turn's call does. No two calls of a run are alike: the same one over and over would stop it.
#[derive(Clone, Copy)]
pub enum Work {
    /// A pure sum with a short result.
    Compute,
    /// Reads another file of [`FILE_BYTES`] under a grant.
    Read,
    /// Makes five files under a grant.
    Write,
    /// Posts to a server there.
    Post(SocketAddr),
}

impl Work {
    /// The tool that does it.
    pub fn component(self) -> &'static str {
        match self {
            Self::Compute => "calc",
            Self::Read => "files",
            Self::Write => "shell",
            Self::Post(_) => "polite",
        }
    }
}

/// A finished run.
pub struct Played {
    /// From the start of the process to its end.
    pub seconds: f64,
    /// All files of the journal.
    pub journal_bytes: u64,
}

/// Writes what `run` needs for a run of `turns` calls and an answer, before which the model waits for `delay`.
pub fn write(world: &World, work: Work, turns: usize, delay: Option<&str>) {
    write_script(world, work, turns, delay.map(|delay| (turns, delay)));
}

/// The same, where the model waits once it has asked for so many calls.
pub fn write_waiting(world: &World, work: Work, turns: usize, wait: (usize, &str)) {
    write_script(world, work, turns, Some(wait));
}

fn write_script(world: &World, work: Work, turns: usize, wait: Option<(usize, &str)>) {
    let delay = |turn| wait.filter(|(at, _)| *at == turn).map(|(_, delay)| format!("delay = \"{delay}\"\n"));
    let mut script = "version = 1\n".to_owned();
    for turn in 0..turns {
        let (operation, arguments) = match work {
            Work::Compute => ("calc.evaluate", format!("expression = \"{turn} * 3 + 1\"")),
            Work::Read => ("files.read", format!("path = \"{turn}.txt\", numbered = false")),
            Work::Write => ("shell.run", format!("script = \"for n in 1 2 3 4 5; do echo $n > {turn}-$n.txt; done\"")),
            Work::Post(server) => {
                ("polite.http", format!("method = \"POST\", url = \"http://{server}/{turn}\", body = \"{turn}\""))
            }
        };
        let delay = delay(turn).unwrap_or_default();
        let _ =
            writeln!(script, "[[reply]]\n{delay}calls = [{{ tool = \"{operation}\", arguments = {{ {arguments} }} }}]");
        if matches!(work, Work::Read) {
            world.write(&format!("files/{turn}.txt"), page(turn));
        }
    }
    if matches!(work, Work::Write) {
        world.write("files/.keep", "");
    }
    let _ = write!(script, "[[reply]]\ntext = \"done\"\n{}", delay(turns).unwrap_or_default());
    world.write("script.toml", script);
}

/// The command that plays the script.
pub fn command(world: &World, work: Work, durability: &str) -> Command {
    let words = |flag: &str, place: &str| vec![flag.to_owned(), place.to_owned()];
    let grant = match work {
        Work::Compute => Vec::new(),
        Work::Read => words("--allow-read", "files"),
        Work::Write => words("--allow-write", "files"),
        Work::Post(server) => words("--allow-net", &format!("http://{server}")),
    };
    let tools = match work {
        Work::Compute | Work::Read | Work::Write => tool(work.component()),
        Work::Post(_) => guest(work.component()),
    };
    let run = ["run", "--model", "scripted:script.toml", "--tools", &tools, "--durability", durability];
    let mut command = world.command(&run);
    command.args(grant).args(["--max-turns", "100000", "--max-tool-calls", "100000", "go"]);
    command
}

/// Plays a run of `turns` calls in a world of its own.
pub fn play(work: Work, turns: usize, durability: &str) -> (World, Played) {
    let world = World::new();
    write(&world, work, turns, None);
    let mut command = command(&world, work, durability);
    let started = Instant::now();
    let output = command.arg("--quiet").output().expect("the program starts");
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(output.stdout, b"done\n", "{}", String::from_utf8_lossy(&output.stderr));
    let journal_bytes = bytes_in(&world.work().join(".agent-host"));
    (world, Played { seconds, journal_bytes })
}

/// Bytes of a built component.
pub fn component_bytes(name: &str) -> u64 {
    std::fs::metadata(Path::new(&tool(name)).join(format!("{name}.wasm"))).expect("a built component").len()
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a journal");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len()).sum()
}

fn page(number: usize) -> String {
    let lines = (0..).map(|line| format!("{number}: line {line} of a page that no other page is like\n"));
    let mut page: String = lines.take(FILE_BYTES / 32).collect();
    page.truncate(FILE_BYTES);
    page
}
