//! A terminal in which the program runs as a person would run it: it says things, and the test types answers.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};

use crate::World;

/// How long the program may take to say what is expected.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program at a terminal.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts it in the working folder of `world`.
    ///
    /// # Panics
    /// Where the system gives no terminal.
    #[must_use]
    pub fn start(world: &World, words: &[String]) -> Self {
        Self::start_in(world, ".", words)
    }

    /// Starts it in a folder below the working folder.
    ///
    /// # Panics
    /// Where the system gives no terminal.
    #[must_use]
    pub fn start_in(world: &World, folder: &str, words: &[String]) -> Self {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = world.command(&words);
        command.current_dir(world.work().join(folder));
        Self::run(command)
    }

    /// Starts a command that is ready but for its terminal.
    ///
    /// # Panics
    /// Where the system gives no terminal.
    #[must_use]
    pub fn run(mut command: Command) -> Self {
        let (master, slave) = pair();
        let end = |slave: &File| slave.try_clone().expect("a descriptor");
        command.env("TERM", "dumb");
        command.stdin(end(&slave)).stdout(end(&slave)).stderr(slave);
        let child = command.spawn().expect("the program starts");
        // The command holds the terminal's other end until it is gone.
        drop(command);
        let keyboard = File::from(OwnedFd::from(master));
        let mut seen = keyboard.try_clone().expect("a descriptor");
        let screen = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = seen.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                into.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Self { child, keyboard, screen }
    }

    /// Waits until the program said this.
    ///
    /// # Panics
    /// Where it does not.
    pub fn expect(&mut self, text: &str) {
        let started = Instant::now();
        while !self.seen().contains(text) {
            assert!(started.elapsed() < PATIENCE, "it did not say {text:?}: {}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process that was started.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program said this so many times, and not more.
    ///
    /// # Panics
    /// Where it does not, or says it more often.
    pub fn expect_times(&mut self, text: &str, times: usize) {
        let started = Instant::now();
        loop {
            let said = self.seen().matches(text).count();
            assert!(said <= times, "it said {text:?} {said} times: {}", self.seen());
            if said == times {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "it said {text:?} {said} times: {}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types.
    ///
    /// # Panics
    /// Where the terminal is gone.
    pub fn say(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    /// Waits for the program's end; what it said, and its exit code.
    ///
    /// # Panics
    /// Where it does not end.
    #[must_use]
    pub fn end(mut self) -> (String, Option<i32>) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                std::thread::sleep(Duration::from_millis(50));
                return (self.seen(), status.code());
            }
            if started.elapsed() > PATIENCE {
                let _ = self.child.kill();
                panic!("it did not end: {}", self.seen());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn seen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Both ends of a terminal, which nobody inherits: a program that another test starts meanwhile would keep them open.
fn pair() -> (PtyMaster, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let name = ptsname_r(&master).expect("its name");
    let slave = File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name);
    (master, slave.expect("its other end"))
}
