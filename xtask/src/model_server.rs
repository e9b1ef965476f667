//! A real model server for the tests: `tests/model_server/serve.py`, started before them and stopped after.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::dev_tool;
use crate::places::Places;

/// What the server prints when it is ready, followed by its address. The tests read the same name.
pub(crate) const VARIABLE: &str = "AGENT_HOST_TEST_MODEL_URL";
/// How the names of those tests begin, which fail where there is no server.
pub(crate) const TESTS: &str = "a_small_real_model_";
/// It takes a second on an idle machine, and reads 98 MB on a cold one.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A server that runs. Dropped, it stops.
pub(crate) struct ModelServer {
    /// The base URL.
    pub(crate) url: String,
    process: Child,
}

impl ModelServer {
    pub(crate) fn start(places: &Places) -> Result<Self> {
        let folder = places.repo.join("tests/model_server");
        let python = dev_tool::python_with(places, "model-server", &folder.join("requirements.txt"))?;
        // Its standard input is our promise to be there: it ends with that, even if we are killed.
        let mut command = Command::new(python);
        command.arg(folder.join("serve.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server =
            Self { url: String::new(), process: command.spawn().context("cannot start the model server")? };
        server.url = server.address()?;
        Ok(server)
    }

    /// Waits for the line with the address.
    fn address(&mut self) -> Result<String> {
        let stdout = self.process.stdout.take().context("the model server has no output")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix(VARIABLE).and_then(|rest| rest.strip_prefix('=')) {
                    // Nobody listens any more only if the start took too long.
                    let _ = sender.send(url.to_owned());
                }
            }
        });
        let hint =
            "the model server did not start\n  hint: run tests/model_server/serve.py by hand, as its first lines say";
        receiver.recv_timeout(START_LIMIT).context(hint)
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        // It has nothing to save. An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
