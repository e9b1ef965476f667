//! A server on loopback, for the attacks that ask for answers: it gives each request a large one. `place` says where it is.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What each answer holds: two of them are as much as a call may keep.
const BODY_BYTES: usize = 4 << 20;

/// How long an answer may take: whoever asked is gone long before.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Starts it on the runtime of whoever asks, and says where.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tokio::time::timeout(ANSWER_TIME, answer(stream)));
        }
    });
    address
}

/// Whoever asked may be stopped at any moment, and hang up.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    // A head without a body, which comes in one piece.
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await?;
    let said = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\nconnection: close\r\n\r\n");
    stream.write_all(said.as_bytes()).await?;
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..BODY_BYTES / piece.len() {
        stream.write_all(&piece).await?;
    }
    stream.shutdown().await
}
