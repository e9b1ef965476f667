//! What each manner answers.

use std::io::{self, Write};
use std::time::Duration;

use super::streams::{self, BROTLI_BOMB, BROTLI_WINDOW, gzip, zstd_bomb};
use super::{Manner, PATIENCE, Role, secrets};

/// What a bomb becomes.
const BOMB_BYTES: usize = 32 << 20;

/// Between two bytes of a trickle: shorter than the patience with one byte, and not than that with all of them.
const DROP_TIME: Duration = Duration::from_millis(300);

/// Answers one request.
pub(super) fn give(to: &mut impl Write, role: &Role, head: &str) -> io::Result<()> {
    match role.manner {
        Manner::Answer | Manner::Late | Manner::VeryLate => {
            whole(to, "200 OK", "content-type: text/plain\r\n", &role.body)
        }
        Manner::Echo | Manner::KeepAlive => whole(to, "200 OK", "content-type: text/plain\r\n", head.as_bytes()),
        Manner::TellSecret => secrets::give(to, head, &String::from_utf8_lossy(&role.body)),
        Manner::Silent => wait(),
        Manner::Redirect => {
            whole(to, "302 Found", &format!("location: {}\r\n", String::from_utf8_lossy(&role.body)), b"elsewhere")
        }
        Manner::Endless => {
            to.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            without_end(to, &[b'x'; 64 << 10])
        }
        Manner::Trickle => {
            to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
            loop {
                to.write_all(b"x")?;
                to.flush()?;
                std::thread::sleep(DROP_TIME);
            }
        }
        Manner::ManyHeaders => whole(to, "200 OK", &"x: y\r\n".repeat(10_000), b""),
        Manner::BigHeader => whole(to, "200 OK", &format!("x: {}\r\n", "y".repeat(1 << 20)), b""),
        Manner::EndlessHeader => {
            to.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
            without_end(to, &[b'y'; 64 << 10])
        }
        Manner::Interim => without_end(to, "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000).as_bytes()),
        Manner::Switch => {
            to.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")?;
            wait()
        }
        Manner::Gzip => {
            whole(to, "200 OK", "content-type: text/plain\r\ncontent-encoding: gzip\r\n", &gzip(&role.body)?)
        }
        Manner::GzipBomb => whole(to, "200 OK", "content-encoding: gzip\r\n", &gzip(&vec![0; BOMB_BYTES])?),
        Manner::BrotliBomb => whole(to, "200 OK", "content-encoding: br\r\n", BROTLI_BOMB),
        Manner::ZstdBomb => whole(to, "200 OK", "content-encoding: zstd\r\n", &zstd_bomb(BOMB_BYTES)),
        Manner::BrotliWindow => whole(to, "200 OK", "content-encoding: br\r\n", BROTLI_WINDOW),
        Manner::Nested => whole(to, "200 OK", "content-encoding: gzip, gzip\r\n", &gzip(&gzip(&role.body)?)?),
        Manner::TwoLengths => {
            to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\nhello")?;
            wait()
        }
        Manner::ContinuationFlood => {
            to.write_all(&streams::http2_header_without_end())?;
            without_end(to, &streams::http2_frames(9, 0, 1, 1024))
        }
        Manner::ResetFlood => {
            to.write_all(&streams::http2_frame(4, 0, 0, &[]))?;
            without_end(to, &streams::http2_frames(3, 0, 1, 4))
        }
        Manner::EmptyDataFlood => {
            to.write_all(&streams::http2_frame(4, 0, 0, &[]))?;
            without_end(to, &streams::http2_frames(0, 0, 1, 0))
        }
        Manner::Names => unreachable!("a name server is not asked by HTTP"),
    }
}

/// The answer to the query of this number.
pub(super) fn addresses(body: &[u8], place: usize) -> String {
    let body = String::from_utf8_lossy(body);
    let answers: Vec<&str> = body.split_whitespace().collect();
    let answer = answers.get(place).or(answers.last()).copied().unwrap_or_default();
    answer.replace('+', " ")
}

fn whole(to: &mut impl Write, status: &str, fields: &str, body: &[u8]) -> io::Result<()> {
    write!(to, "HTTP/1.1 {status}\r\n{fields}content-length: {}\r\n\r\n", body.len())?;
    to.write_all(body)
}

fn without_end(to: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    loop {
        to.write_all(piece)?;
    }
}

fn wait() -> io::Result<()> {
    std::thread::sleep(PATIENCE);
    Ok(())
}
