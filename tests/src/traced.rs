//! The program with a collector named to it, and how it is killed on the way.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::{Said, World};

/// A world in which telemetry goes somewhere.
pub struct Traced<'w> {
    world: &'w World,
    endpoint: String,
    more: Vec<(&'static str, String)>,
}

/// How a host is killed.
#[derive(Debug, Clone, Copy)]
pub enum Kill {
    /// At a named instant.
    At(&'static str),
    /// After so many milliseconds.
    After(u64),
}

impl<'w> Traced<'w> {
    /// To that address.
    #[must_use]
    pub fn to(world: &'w World, endpoint: &str) -> Self {
        Self { world, endpoint: endpoint.to_owned(), more: Vec::new() }
    }

    /// With a variable more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    /// The program with these arguments, not yet started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint);
        command.envs(self.more.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.world.said(&self.command(arguments).output().expect("the program starts"))
    }

    /// Runs, kills, resumes, kills, resumes to the end, and asks for the rest.
    ///
    /// # Panics
    /// Where the run does not come to `answer`.
    pub fn killed_twice(&self, arguments: &[&str], kills: [Kill; 2], answer: &str) {
        self.killed(arguments, kills[0]);
        if self.world.run(&["ls", "--json"]).out.contains("\"run\"") {
            self.killed(&["resume"], kills[1]);
            // Where the run is complete already there is nothing to go on with.
            let _ = self.run(&["resume"]);
        } else {
            // Killed before there was a run.
            assert_eq!(self.run(arguments).ok(), answer, "{kills:?}");
        }
        let _ = self.run(&["trace", "--export"]).ok();
        let printed = self.world.run(&["show"]).ok();
        assert!(printed.contains("completed"), "{kills:?}: {printed}");
    }

    /// Starts a host and kills it. Its end is the kill, or, where that came too late, its own.
    pub fn killed(&self, arguments: &[&str], kill: Kill) {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match kill {
            Kill::At(failpoint) => {
                let _ = command.env("AGENT_HOST_FAILPOINT", failpoint).status().expect("the program starts");
            }
            Kill::After(ms) => {
                let mut child = command.spawn().expect("the program starts");
                thread::sleep(Duration::from_millis(ms));
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
