//! A small HTTP server on loopback that answers every request alike and counts what reached it: something outside the host
//! that knows what really happened.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running server; it ends with the process.
pub struct Server {
    address: SocketAddr,
    hits: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
}

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Answers 200 with this body.
    Answer(&'static str),
    /// Takes the request and never answers.
    Silent,
    /// Takes the first request and hangs up; answers every later one 200 with this body.
    HangUpOnce(&'static str),
    /// Answers 200 with this body as soon as so many requests wait for it at once.
    Together(usize, &'static str),
    /// Answers 404: whatever is asked for is not here.
    NotFound,
    /// Takes a POST and never answers; answers everything else 200 with this body.
    SilentToPosts(&'static str),
}

impl Server {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (hits, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let open = Arc::new(AtomicUsize::new(0));
        let (counted, seen, connected) = (Arc::clone(&hits), Arc::clone(&requests), Arc::clone(&open));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, seen, connected) = (Arc::clone(&counted), Arc::clone(&seen), Arc::clone(&connected));
                connected.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    serve(stream, manner, &counted, &seen);
                    connected.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, hits, requests, open }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until everything that was sent before is counted. Whoever sent it has ended: a killed host leaves requests on their way.
    ///
    /// # Panics
    /// Where a connection is still open after 20 seconds.
    pub fn settle(&self) {
        // Connections are accepted in the order in which they came: once this one has ended, every earlier one is counted as open.
        let mut last = TcpStream::connect(self.address).expect("it listens");
        last.shutdown(Shutdown::Write).expect("nothing to send");
        last.read_to_end(&mut Vec::new()).expect("it hangs up");
        let begun = Instant::now();
        while self.open.load(Ordering::SeqCst) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "a connection is still open");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Complete requests so far.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// How many requests it has acted on: one that comes again under a key that it knows does nothing.
    ///
    /// # Panics
    /// Where a thread of the server panicked.
    #[must_use]
    pub fn acted(&self) -> usize {
        let requests = self.requests();
        let keys: Vec<_> = requests.iter().map(|head| key_of(head)).collect();
        let is_first = |(place, key): &(usize, &Option<&str>)| key.is_none() || !keys[..*place].contains(key);
        keys.iter().enumerate().filter(is_first).count()
    }

    /// The heads of the requests so far.
    ///
    /// # Panics
    /// Where a thread of the server panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// The idempotency key of a request, by its head.
fn key_of(head: &str) -> Option<&str> {
    let named = |line: &&str| line.to_ascii_lowercase().starts_with("idempotency-key:");
    head.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, key)| key.trim())
}

fn serve(mut stream: TcpStream, manner: Manner, hits: &AtomicUsize, requests: &Mutex<Vec<String>>) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut reader = BufReader::new(copy);
    loop {
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let is_post = head.starts_with("POST ");
        let before = hits.fetch_add(1, Ordering::SeqCst);
        if let Ok(mut requests) = requests.lock() {
            requests.push(head);
        }
        let (status, text) = match manner {
            Manner::Answer(text) => ("200 OK", text),
            Manner::NotFound => ("404 Not Found", ""),
            Manner::Together(count, text) => {
                let begun = Instant::now();
                while hits.load(Ordering::SeqCst) < count {
                    if begun.elapsed() > Duration::from_secs(20) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                ("200 OK", text)
            }
            Manner::HangUpOnce(_) if before == 0 => return,
            Manner::HangUpOnce(text) => ("200 OK", text),
            Manner::SilentToPosts(text) if !is_post => ("200 OK", text),
            Manner::Silent | Manner::SilentToPosts(_) => {
                std::thread::sleep(Duration::from_secs(600));
                return;
            }
        };
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
