//! A real collector of traces and metrics, and what it says that it received: every span and every point, decoded by somebody else's
//! program.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::points::{self, Point};
use crate::{given, wait_until};

/// Below those from which Linux takes what nobody names.
const PORTS: Range<u16> = 20_000..32_000;

/// How often one is started anew whose port was taken before it came.
const STARTS_MAX: u32 = 10;

/// A running collector; it ends when this is dropped.
pub struct Collector {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

/// A span as the collector read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The span's identifier.
    pub id: String,
    /// The span that it is part of; empty where there is none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: String,
    /// Its attributes, each with its type: `Int(3)`.
    pub attributes: BTreeMap<String, String>,
}

impl Default for Collector {
    fn default() -> Self {
        Self::start()
    }
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start() -> Self {
        let started = (0..STARTS_MAX).find_map(|_| Self::try_start());
        started.expect("the collector finds its ports free")
    }

    /// One that listens; `None` where it ended, since somebody was quicker to take a port that was free.
    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, other) = (free_port(), free_port());
        let mut command = Command::new(given("AGENT_HOST_TEST_COLLECTOR"));
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "traces",
            "--debug-log",
            "metrics",
            "--debug-log-verbosity",
            "detailed",
        ]);
        command.arg("--otlp-http-endpoint").arg(format!("127.0.0.1:{port}"));
        command.arg("--otlp-grpc-endpoint").arg(format!("127.0.0.1:{other}"));
        command.arg("--pid-file").arg(folder.path().join("pid")).env_clear();
        let into = File::create(folder.path().join("out")).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(into).stderr(Stdio::null()).spawn().expect("it starts");
        let mut collector = Self { child, port, folder };
        let mut has_ended = false;
        wait_until("the collector listens", || {
            has_ended = collector.child.try_wait().expect("its state").is_some();
            has_ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        (!has_ended).then_some(collector)
    }

    /// What to name as the endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every span so far, in the order in which they came.
    ///
    /// # Panics
    /// Where its output cannot be read.
    #[must_use]
    pub fn spans(&self) -> Vec<Seen> {
        read(&self.said())
    }

    /// Every point so far, in the order in which they came.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        points::read(&self.said())
    }

    fn said(&self) -> String {
        let path: PathBuf = self.folder.path().join("out");
        String::from_utf8_lossy(&std::fs::read(path).expect("its output")).into_owned()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now, and that the system gives nobody by itself: each connection that somebody makes meanwhile takes one of
/// those.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let any =
        || PORTS.start + u16::try_from(RandomState::new().build_hasher().finish() % PORTS.len() as u64).unwrap_or(0);
    std::iter::repeat_with(any).take(PORTS.len()).find(is_free).expect("a free port")
}

fn read(text: &str) -> Vec<Seen> {
    let mut spans: Vec<Seen> = Vec::new();
    let (mut in_span, mut in_attributes) = (false, false);
    for line in text.lines() {
        // A text of several lines is printed as it is, so only what certainly is a heading ends the attributes.
        let is_heading = |heading: &str| line.strip_prefix(heading).is_some_and(|rest| rest.parse::<u32>().is_ok());
        if is_heading("Span #") {
            spans.push(Seen::default());
            (in_span, in_attributes) = (true, false);
        } else if ["ResourceSpans #", "ScopeSpans #", "ResourceMetrics #"].into_iter().any(is_heading) {
            (in_span, in_attributes) = (false, false);
        } else if matches!(line, "Attributes:" | "Events:" | "Links:") {
            in_attributes = line == "Attributes:";
        }
        let Some(span) = spans.last_mut().filter(|_| in_span) else { continue };
        if in_attributes {
            if let Some((name, value)) = line.trim().strip_prefix("-> ").and_then(|pair| pair.split_once(": ")) {
                span.attributes.insert(name.to_owned(), value.to_owned());
            }
            continue;
        }
        let Some((name, value)) = line.strip_prefix("    ").and_then(|pair| pair.split_once(": ")) else { continue };
        let field = match name.trim() {
            "Trace ID" => &mut span.trace,
            "Parent ID" => &mut span.parent,
            "ID" => &mut span.id,
            "Name" => &mut span.name,
            "Status code" => &mut span.status,
            _ => continue,
        };
        // A link has a trace and an identifier, too; those of the span come first.
        if field.is_empty() {
            field.push_str(value);
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_prints_is_read_back() {
        let printed = "ResourceSpans #0\nResource SchemaURL: \nResource attributes:\n     -> service.name: Str(x)\nScopeSpans #0\n\
                       Span #0\n    Trace ID       : 5b8e\n    Parent ID      : eee1\n    ID             : eee2\n    Name           : chat m\n    \
                       Kind           : SPAN_KIND_SERVER\nStart time: 15\n    Status code    : STATUS_CODE_ERROR\n    Status message : m\nAttributes:\n     \
                       -> a.b: Int(3)\n     -> text: Str(one\nTwo: three)\n     -> c: Bool(true)\nEvents:\nSpanEvent #0\n     -> Name: ev\nLinks:\nSpanLink #0\n     -> Trace ID: ffff\n\
                       Span #1\n    Trace ID       : 5b8e\n    Parent ID      : \n    ID             : eee1\n    Name           : run\nAttributes:\n";
        let spans = read(printed);
        assert_eq!(spans.len(), 2);
        let attributes = [("a.b", "Int(3)"), ("c", "Bool(true)"), ("text", "Str(one")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let first = Seen {
            trace: "5b8e".into(),
            id: "eee2".into(),
            parent: "eee1".into(),
            name: "chat m".into(),
            status: "STATUS_CODE_ERROR".into(),
            attributes: BTreeMap::from(attributes),
        };
        assert_eq!(spans[0], first);
        assert_eq!((spans[1].parent.as_str(), spans[1].attributes.len()), ("", 0));
    }
}
