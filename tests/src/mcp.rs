//! Clients of `agent-host mcp` for the tests: one that speaks over its standard input and output, and a plain HTTP one. They
//! know no more of the protocol than the tests ask them to say, so that they can also say what no client should.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::World;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The version of the protocol that is spoken unless a test says otherwise.
pub const VERSION: &str = "2025-11-25";

/// A server and the client at its standard input and output. Dropped, it is killed.
pub struct Session {
    /// The server.
    pub child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What came that nobody asked for: notifications, and requests of the server.
    pub unasked: Vec<Value>,
    next: u64,
}

impl Session {
    /// Starts a server with these arguments and says hello.
    #[must_use]
    pub fn start(world: &World, arguments: &[&str]) -> Self {
        Self::start_as(world, arguments, json!({ "elicitation": {} }))
    }

    /// The same, as a client with these capabilities.
    #[must_use]
    pub fn start_as(world: &World, arguments: &[&str], capabilities: Value) -> Self {
        let mut session = Self::silent(world, arguments);
        session.hello(capabilities);
        session
    }

    /// Starts a server that kills itself at a point, and says hello.
    #[must_use]
    pub fn killed_at(world: &World, arguments: &[&str], point: &str) -> Self {
        Self::told(world, arguments, &[("AGENT_HOST_FAILPOINT", point)])
    }

    /// Starts a server that is told more by these variables, and says hello.
    #[must_use]
    pub fn told(world: &World, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut session = Self::begin(world, arguments, environment);
        session.hello(json!({}));
        session
    }

    /// Starts a server and says nothing yet.
    #[must_use]
    pub fn silent(world: &World, arguments: &[&str]) -> Self {
        Self::begin(world, arguments, &[])
    }

    fn begin(world: &World, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = world.command(&[&["mcp"], arguments].concat());
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let input = child.stdin.take();
        Self { child, input, lines, unasked: Vec::new(), next: 1 }
    }

    /// Begins as the protocol says.
    #[expect(clippy::needless_pass_by_value, reason = "callers make it in place")]
    pub fn hello(&mut self, capabilities: Value) -> Value {
        let client = json!({ "name": "harness", "version": "1" });
        let hello = json!({ "protocolVersion": VERSION, "capabilities": capabilities, "clientInfo": client });
        let answer = self.ask("initialize", hello);
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        answer
    }

    /// Writes a message.
    pub fn say(&mut self, message: &Value) {
        self.say_line(&message.to_string());
    }

    /// Writes a line, whatever it is.
    pub fn say_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("an open input");
        input.write_all(format!("{line}\n").as_bytes()).and_then(|()| input.flush()).expect("it listens");
    }

    /// Asks and waits for the answer: the whole message.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Asks and goes on.
    #[expect(clippy::needless_pass_by_value, reason = "callers make it in place")]
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Waits for the answer to a request.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message().expect("an answer");
            if message.get("method").is_none() && message["id"] == id {
                return message;
            }
            self.unasked.push(message);
        }
    }

    /// The next message, whatever it is; `None` where the server ended.
    pub fn message(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(serde_json::from_str(&line).expect("nothing but messages on standard output")),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the server says nothing"),
        }
    }

    /// Calls a tool: the result, or the error.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        answer.get("result").or_else(|| answer.get("error")).cloned().unwrap_or_default()
    }

    /// Closes the server's input and waits for its end: exit code and standard error.
    pub fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let mut said = String::new();
        let mut error = self.child.stderr.take().expect("its standard error");
        error.read_to_string(&mut said).expect("text");
        (self.child.wait().expect("it ends").code(), said)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The texts of a result, joined.
#[must_use]
pub fn text(result: &Value) -> String {
    let parts = result["content"].as_array().cloned().unwrap_or_default();
    parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// A server over HTTP. Dropped, it is killed.
pub struct Listening {
    /// The server.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    said: Mutex<Receiver<String>>,
}

impl Listening {
    /// Starts a server with these arguments, and waits until it listens.
    #[must_use]
    pub fn start(world: &World, arguments: &[&str]) -> Self {
        Self::begin(world.command(&[&["mcp", "--listen", "0"], arguments].concat()))
    }

    /// The same, with no more descriptors than these.
    #[must_use]
    pub fn start_with_few(world: &World, descriptors: u32, arguments: &[&str]) -> Self {
        let wanted = world.command(&[&["mcp", "--listen", "0"], arguments].concat());
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
        command.arg(wanted.get_program()).args(wanted.get_args()).env_clear().current_dir(world.work());
        command.envs(wanted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::begin(command)
    }

    fn begin(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let error = BufReader::new(child.stderr.take().expect("its standard error"));
        let (sender, said) = channel();
        std::thread::spawn(move || error.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let address = loop {
            let line = said.recv_timeout(PATIENCE).expect("it says where it listens");
            let rest = line.split_once("http://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
            if let Some(address) = rest.and_then(|address| address.parse().ok()) {
                break address;
            }
        };
        Self { child, address, said: Mutex::new(said) }
    }

    /// What it has said on standard error since the last time.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("nobody panicked").try_iter().collect()
    }

    /// The token of this world's servers.
    #[must_use]
    pub fn token(world: &World) -> String {
        std::fs::read_to_string(world.home().join("mcp-token")).expect("a token").trim().to_owned()
    }

    /// Sends a request as it stands and reads the answer to its end.
    #[must_use]
    pub fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // It may answer, and close, before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Reply::read(&String::from_utf8_lossy(&bytes))
    }

    /// Posts a message with these headers beside the usual ones.
    #[must_use]
    pub fn post(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        let usual = [
            ("Host", self.address.to_string()),
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json, text/event-stream".to_owned()),
            ("Connection", "close".to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        let mut request = "POST /mcp HTTP/1.1\r\n".to_owned();
        for (name, value) in &usual {
            if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
                request += &format!("{name}: {value}\r\n");
            }
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        self.raw(&format!("{request}\r\n{body}"))
    }

    /// Begins a session: the headers that belong to it.
    #[must_use]
    pub fn session(&self, token: &str) -> Vec<(String, String)> {
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": "harness", "version": "1" } } });
        let authorization = format!("Bearer {token}");
        let reply = self.post(&[("Authorization", &authorization)], &hello.to_string());
        assert_eq!(reply.status, 200, "{reply:?}");
        let session = reply.header("mcp-session-id").expect("a session");
        vec![("Authorization".to_owned(), authorization), ("Mcp-Session-Id".to_owned(), session)]
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    /// The status; 0 where there was no answer.
    pub status: u16,
    /// The head.
    pub head: String,
    /// What follows it.
    pub body: String,
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let find = |line: &str| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        self.head.lines().find_map(find)
    }

    /// The name in the body of a refusal.
    #[must_use]
    pub fn error(&self) -> String {
        let start = self.body.find('{').unwrap_or(0);
        let told: Value = serde_json::from_str(self.body[start..].trim()).unwrap_or_default();
        told["error"].as_str().unwrap_or_default().to_owned()
    }
}
