//! The counter: a small HTTP server outside the host that writes down each request that reaches it, and syncs that, before it
//! answers. A request under an idempotency key that it knows is answered as before and acts no more.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_checker::evidence::{Hit, lines};

/// The header that carries a key.
pub(crate) const KEY_HEADER: &str = "Idempotency-Key";

/// What it answers.
pub(crate) const ANSWER: &str = "counted";

/// How long it thinks before it answers: so that a kill falls between the two often enough.
const PAUSE: Duration = Duration::from_millis(1);

/// Longest body that is read.
const BODY_BYTES_MAX: usize = 1 << 16;

/// A running counter; it ends with the process.
pub(crate) struct Counter {
    address: SocketAddr,
    log: PathBuf,
}

struct Book {
    file: File,
    keys: HashSet<String>,
}

impl Counter {
    /// Starts one that writes to `log`.
    pub(crate) fn start(log: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("the counter cannot start: {error}");
        let file = File::create(log).map_err(told)?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        let book = Arc::new(Mutex::new(Book { file, keys: HashSet::new() }));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let book = Arc::clone(&book);
                std::thread::spawn(move || serve(stream, address, &book));
            }
        });
        Ok(Self { address, log: log.to_owned() })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that reached it.
    pub(crate) fn hits(&self) -> Result<Vec<Hit>, String> {
        lines(&self.log)
    }
}

/// One request: the host makes a connection for each.
fn serve(mut stream: TcpStream, address: SocketAddr, book: &Mutex<Book>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (mut length, mut key) = (0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
        if name.eq_ignore_ascii_case(KEY_HEADER) {
            key = Some(value.trim().to_owned());
        }
    }
    let mut body = vec![0; std::cmp::min(length, BODY_BYTES_MAX)];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let url = format!("http://{address}{path}");
    write_down(book, method, url, key)?;
    std::thread::sleep(PAUSE);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    stream.write_all(answer.as_bytes()).ok()
}

fn write_down(book: &Mutex<Book>, method: String, url: String, key: Option<String>) -> Option<()> {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    let acted = key.as_ref().is_none_or(|key| book.keys.insert(key.clone()));
    let line = serde_json::to_string(&Hit { method, url, key, acted }).ok()? + "\n";
    book.file.write_all(line.as_bytes()).ok()?;
    book.file.sync_data().ok()
}
