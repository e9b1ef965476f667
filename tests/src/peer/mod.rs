//! Peers on loopback that a request must survive: each has a manner, counts what reached it, and may speak TLS with a certificate
//! that is wrong in one way.

mod answers;
pub mod certificates;
mod secrets;
mod streams;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use self::certificates::Certificate;

/// Longest that a thread of a peer lives: the suite is long over by then.
const PATIENCE: Duration = Duration::from_secs(600);

/// How late a late peer is, and one that is very late: longer than a guest needs for what it does meanwhile, on any machine.
const LATE: Duration = Duration::from_millis(200);
const VERY_LATE: Duration = Duration::from_secs(2);

/// What a peer does with each connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Answers 200 with its body.
    #[default]
    Answer,
    /// Answers 200 after 200 ms.
    Late,
    /// Answers 200 after 2 s.
    VeryLate,
    /// Answers 200 with the head of the request.
    Echo,
    /// As `echo`, and goes on to the next request on the same connection, whatever the first one said about that.
    KeepAlive,
    /// Repeats the secret that it is sent, in the forms and at the paths of `secrets.rs`; knows whoever sends its body as
    /// `authorization`.
    TellSecret,
    /// Takes the request and never answers.
    Silent,
    /// Answers 302 to the address that is its body.
    Redirect,
    /// A body without end.
    Endless,
    /// A body of which one byte comes every 300 ms.
    Trickle,
    /// Ten thousand header fields.
    ManyHeaders,
    /// One header field of a mebibyte.
    BigHeader,
    /// A header without end.
    EndlessHeader,
    /// `100 Continue` without end.
    Interim,
    /// `101 Switching Protocols`.
    Switch,
    /// Its body, compressed by gzip.
    Gzip,
    /// 32 MiB of zeros, compressed by gzip.
    GzipBomb,
    /// 32 MiB of zeros, compressed by brotli.
    BrotliBomb,
    /// 32 MiB of zeros, compressed by zstd.
    ZstdBomb,
    /// A brotli stream that wants a gibibyte to look back at.
    BrotliWindow,
    /// Compressed by gzip twice.
    Nested,
    /// Two lengths that contradict each other.
    TwoLengths,
    /// HTTP/2: a header in frames without end, whoever asked for HTTP/2 or not.
    ContinuationFlood,
    /// HTTP/2: resets of streams without end.
    ResetFlood,
    /// HTTP/2: empty data without end.
    EmptyDataFlood,
    /// Not HTTP: sent a name, answers with addresses. The words of its body are the answers, one for each query, the last one
    /// for all further ones; `+` joins several addresses.
    Names,
}

/// A running peer; it ends with the process.
pub struct Peer {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    present: AtomicUsize,
    most: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// What a peer is.
#[derive(Debug, Clone)]
pub struct Role {
    /// What it does.
    pub manner: Manner,
    /// What it says, where its manner says something.
    pub body: Vec<u8>,
    /// What it shows for TLS; `None` for plain connections.
    pub certificate: Option<Certificate>,
}

impl Peer {
    /// Starts a peer on a free port of this address.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn start(ip: &str, role: Role) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let (counted, role) = (Arc::clone(&counts), Arc::new(role));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counts, role) = (Arc::clone(&counted), Arc::clone(&role));
                counts.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || welcome(stream, &role, &counts));
            }
        });
        Self { address, counts }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far, whatever came over them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Complete request heads so far; of a name server, queries.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// The most requests that a late peer had before it at once.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }
}

impl Counts {
    /// Takes its time with a request, and is done with it before it answers: after that, the next one may already be here.
    fn hesitate(&self, lateness: Duration) {
        let present = self.present.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(present, Ordering::SeqCst);
        std::thread::sleep(lateness);
        self.present.fetch_sub(1, Ordering::SeqCst);
    }

    fn request(&self, head: &str) -> usize {
        if let Ok(mut heads) = self.heads.lock() {
            heads.push(head.to_owned());
        }
        self.requests.fetch_add(1, Ordering::SeqCst)
    }
}

/// A connection ends in an error when the other side has had enough: that is what most manners are for.
fn welcome(tcp: TcpStream, role: &Role, counts: &Counts) {
    let _ = tcp.set_read_timeout(Some(PATIENCE)).and_then(|()| tcp.set_write_timeout(Some(PATIENCE)));
    let _ = match role.certificate {
        None => converse(tcp, role, counts),
        Some(certificate) => certificate.secure(tcp).and_then(|stream| converse(stream, role, counts)),
    };
}

fn converse(stream: impl Read + Write, role: &Role, counts: &Counts) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    if role.manner == Manner::Names {
        let mut name = String::new();
        reader.read_line(&mut name)?;
        let place = counts.request(&name);
        return reader.get_mut().write_all(answers::addresses(&role.body, place).as_bytes());
    }
    loop {
        let head = read_head(&mut reader)?;
        counts.request(&head);
        match role.manner {
            Manner::Late => counts.hesitate(LATE),
            Manner::VeryLate => counts.hesitate(VERY_LATE),
            _ => {}
        }
        answers::give(reader.get_mut(), role, &head)?;
        reader.get_mut().flush()?;
        if role.manner != Manner::KeepAlive {
            return Ok(());
        }
    }
}

/// The head of a request, and its body, which nobody looks at.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
            return Ok(head);
        }
        head.push_str(&line);
    }
}
