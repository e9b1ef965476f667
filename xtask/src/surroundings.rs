//! What the tests of the host need around them and a machine does not have: a real model server, a real collector of traces,
//! compilers of other languages, clients of the Model Context Protocol. `test` brings them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::check::Depth;
use crate::mcp::Peers;
use crate::model_server::{self, ModelServer};
use crate::places::Places;
use crate::{collector, languages};

/// All of it. Dropped, the server stops.
pub(crate) struct Surroundings {
    server: Option<ModelServer>,
    collector: PathBuf,
    peers: Peers,
}

impl Surroundings {
    /// Installed at the first use, and started.
    pub(crate) fn bring(places: &Places, depth: Depth) -> Result<Self> {
        let server = match depth {
            Depth::Full => Some(ModelServer::start(places)?),
            Depth::Quick => None,
        };
        let collector = collector::installed(places)?;
        languages::installed(places)?;
        Ok(Self { server, collector, peers: Peers::installed(places)? })
    }

    /// Tells a test command where everything is, and what to leave out where there is no server. The last of its arguments.
    pub(crate) fn tell(&self, tests: &mut Command) {
        self.peers.tell(tests);
        tests.env(collector::VARIABLE, &self.collector);
        match &self.server {
            Some(server) => tests.env(model_server::VARIABLE, &server.url),
            None => tests.args(["--", "--skip", model_server::TESTS]),
        };
    }
}
