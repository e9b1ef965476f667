//! A loopback HTTP server for tests that answers with prepared bytes and keeps what it was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// How long a silent answer says nothing.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);

/// One prepared answer; each connection gets the next.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    /// How often the bytes after the head are repeated, for replies that should not be held in a test either.
    repeat: usize,
    pause: Duration,
}

/// A server that goes through its answers in order.
pub(crate) struct CannedServer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::typed(status, "application/json", &[], body)
    }

    pub(crate) fn typed(status: u16, content_type: &str, headers: &[&str], body: &str) -> Self {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        Self::raw(&format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }

    pub(crate) fn raw(bytes: &str) -> Self {
        Self { bytes: bytes.as_bytes().to_vec(), repeat: 0, pause: Duration::ZERO }
    }

    /// A body of unknown length that goes on for `blocks` times 1 MiB.
    pub(crate) fn flood(blocks: usize) -> Self {
        Self {
            repeat: blocks,
            ..Self::raw("HTTP/1.1 200 X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
        }
    }

    pub(crate) fn silence() -> Self {
        Self { pause: SILENCE, ..Self::raw("") }
    }
}

impl CannedServer {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, &answer, &kept);
            }
        });
        Self { address, received }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, heads and bodies.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// The JSON body of the n-th request.
    pub(crate) fn received_json(&self, index: usize) -> Value {
        let request = &self.received()[index];
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, kept: &Mutex<Vec<String>>) {
    kept.lock().unwrap().push(read_request(&mut stream));
    std::thread::sleep(answer.pause);
    // The client may have hung up: that is what some tests are about.
    let _ = stream.write_all(&answer.bytes);
    let block = vec![b' '; 1024 * 1024];
    for _ in 0..answer.repeat {
        if stream.write_all(&block).is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
            let length: usize = header.map_or(0, |value| value.trim().parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            return text;
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}
