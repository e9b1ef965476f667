//! A run that waits: all its calls are made, and the model does not reply. What a process is like can only be asked while it is
//! there.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use agent_tests::World;

use crate::script::{self, Work};

/// Longer than anything here waits for.
const FOR_EVER: &str = "60s";

/// After the last call, so that all threads have gone to rest.
const REST: Duration = Duration::from_millis(300);

/// The run's process, killed at the end.
pub struct Idle {
    process: Process,
    world: World,
}

/// Killed when this is dropped.
struct Process(Child);

impl Idle {
    /// A run, relaxed, that has made `calls` calls, and would make no more.
    pub fn after(calls: usize) -> Self {
        let world = World::new();
        script::write(&world, Work::Compute, calls, Some(FOR_EVER));
        Self::awaited(world, calls)
    }

    /// A run that has made `calls` calls of the `turns` in its script: the script itself is in memory, too.
    pub fn early(calls: usize, turns: usize) -> Self {
        let world = World::new();
        script::write_waiting(&world, Work::Compute, turns, (calls, FOR_EVER));
        Self::awaited(world, calls)
    }

    fn awaited(world: World, calls: usize) -> Self {
        let mut command = script::command(&world, Work::Compute, "relaxed");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let said = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let finished = said.map_while(Result::ok).filter(|line| line.contains("✓ calc.evaluate")).take(calls).count();
        assert_eq!(finished, calls, "the run ended early");
        std::thread::sleep(REST);
        Self { process: Process(child), world }
    }

    /// Kills it and leaves what it wrote.
    pub fn kill(self) -> World {
        self.world
    }

    /// A field of the process's status, in mebibytes: `VmRSS`.
    pub fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a known field");
        let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        kib.parse::<f64>().expect("a number") / 1024.0
    }

    /// Processor time of all threads, in microseconds.
    pub fn processor_time(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.0.id())).expect("threads");
        threads.map(|thread| run_time(&thread.expect("a thread").path().join("schedstat"))).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it ends");
    }
}

/// The first of a thread's scheduling figures: nanoseconds on a processor.
fn run_time(path: &std::path::Path) -> f64 {
    let text = std::fs::read_to_string(path).expect("a kernel that counts");
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    nanoseconds.expect("a number") / 1e3
}
