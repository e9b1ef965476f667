//! The harness: the built program in a world of its own, with a home, a working folder, and what it says as text. `cargo
//! xtask test` builds what the tests need and says in the environment where it is.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub mod collector;
pub mod forged;
pub mod mcp;
pub mod payments;
pub mod peer;
pub mod points;
pub mod process;
pub mod server;
pub mod sums;
pub mod terminal;
pub mod traced;
pub mod tree;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// One person's machine: a working folder that nobody else has, and a state folder.
pub struct World {
    root: tempfile::TempDir,
    home: PathBuf,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
}

/// The repository: the one whose tools are tested, since clones that share a target folder share this library as well.
#[must_use]
pub fn repository() -> PathBuf {
    let within = std::env::var_os("AGENT_HOST_TEST_TOOLS").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&within).parent().expect("a folder in the repository").to_owned()
}

/// Where `cargo xtask test` says something is.
#[must_use]
pub fn given(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    PathBuf::from(value.unwrap_or_else(|| panic!("{variable} is not set: run the tests by `cargo xtask test`")))
}

/// A bundled tool's folder.
#[must_use]
pub fn tool(name: &str) -> String {
    given("AGENT_HOST_TEST_TOOLS").join(name).display().to_string()
}

/// A test guest's component.
#[must_use]
pub fn guest(name: &str) -> String {
    given("AGENT_HOST_TEST_GUESTS").join(format!("{name}.wasm")).display().to_string()
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A new working folder. The state folder is shared by all worlds beside the program under test, so that each component
    /// is compiled once and not once a test.
    #[must_use]
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join("work")).expect("a folder");
        let program = given("AGENT_HOST_TEST_BIN");
        Self { root, home: program.parent().expect("a folder").join("test-home") }
    }

    /// A machine on which agent-host was never used.
    #[must_use]
    pub fn untouched() -> Self {
        let world = Self::new();
        Self { home: world.root.path().join("home"), ..world }
    }

    /// The working folder.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The state folder.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.home.clone()
    }

    /// Writes a file below the working folder and says where it is.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Reads a file below the working folder; `None` where there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.work().join(name)).ok()
    }

    /// The program with these arguments, not yet started: nothing of this machine's own environment reaches it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(given("AGENT_HOST_TEST_BIN"));
        command.args(arguments).current_dir(self.work()).env_clear().env("AGENT_HOST_HOME", self.home());
        command.env("HOME", self.root.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.said(&self.command(arguments).output().expect("the program starts"))
    }

    /// Starts the program in the background.
    #[must_use]
    pub fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// What a finished command said, with this machine's paths and other chance things replaced by words.
    #[must_use]
    pub fn said(&self, output: &Output) -> Said {
        let text = |bytes: &[u8]| self.steady(&String::from_utf8_lossy(bytes));
        Said { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
    }

    /// The events of the latest run below the working folder, as `show --json` gives them.
    #[must_use]
    pub fn events(&self, more: &[&str]) -> Vec<serde_json::Value> {
        let output = self.command(&[&["show", "--json"], more].concat()).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
    }

    /// `text` with this machine's paths replaced by words.
    #[must_use]
    pub fn steady(&self, text: &str) -> String {
        let replaced = [(self.root.path().to_owned(), "[WORLD]"), (repository(), "[REPO]")];
        let mut steady = text.to_owned();
        for (path, word) in replaced {
            steady = steady.replace(&path.display().to_string(), word);
        }
        steady
    }
}

impl Said {
    /// Asserts success and gives back standard output.
    ///
    /// # Panics
    /// Where the command failed.
    #[must_use]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

/// How long a test races against the host: ten seconds, or a minute where `cargo xtask hostile --long` asks for it.
#[must_use]
pub fn race_time() -> Duration {
    Duration::from_secs(if std::env::var_os("AGENT_HOST_TEST_LONG").is_some() { 60 } else { 10 })
}

/// Waits until `done`, for a bounded time.
///
/// # Panics
/// Where it does not happen.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(30);
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "it did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
