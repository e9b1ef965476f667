//! Standard input and output as the event loop waits for them. A client that starts a server holds their other ends, as pipes or as
//! sockets: what comes then wakes whoever waits for it. tokio's own standard input and output have a thread each, which every message
//! has to pass; that is how everything else is read and written here. `commands/mcp.rs` serves its client by these.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::fs::fstat;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// Opens the pipe at a descriptor of this process once more, as a file of its own: that one alone does not block.
const OWN_INPUT: &str = "/proc/self/fd/0";
const OWN_OUTPUT: &str = "/proc/self/fd/1";

/// Standard input. Inside a runtime.
#[must_use]
pub fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    if let Ok(pipe) = pipe::OpenOptions::new().open_receiver(OWN_INPUT) {
        return Box::new(pipe);
    }
    match own_socket(io::stdin(), io::stderr()) {
        Some(socket) => Box::new(socket),
        None => Box::new(tokio::io::stdin()),
    }
}

/// Standard output. Inside a runtime.
#[must_use]
pub fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    if let Ok(pipe) = pipe::OpenOptions::new().open_sender(OWN_OUTPUT) {
        return Box::new(pipe);
    }
    match own_socket(io::stdout(), io::stderr()) {
        Some(socket) => Box::new(socket),
        None => Box::new(tokio::io::stdout()),
    }
}

/// The socket that `stream` is. A socket cannot be opened once more, and does not block any more from here on: where `messages` go there,
/// too, which are written as if it did, it is none.
fn own_socket(stream: impl AsFd, messages: impl AsFd) -> Option<UnixStream> {
    if socket_type(&stream) != Ok(SocketType::STREAM) || is_same(&stream, &messages) {
        return None;
    }
    // Of whatever family: it is only read and written.
    let socket = StdUnixStream::from(stream.as_fd().try_clone_to_owned().ok()?);
    socket.set_nonblocking(true).ok()?;
    UnixStream::from_std(socket).ok()
}

fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |file| fstat(file).map(|file| (file.st_dev, file.st_ino));
    matches!((identity(one.as_fd()), identity(other.as_fd())), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[tokio::test]
    async fn where_messages_go_too_nothing_is_changed() -> io::Result<()> {
        let (ours, theirs) = StdUnixStream::pair()?;
        assert!(own_socket(&ours, &ours).is_none());
        assert!(own_socket(&ours, &theirs).is_some());
        Ok(())
    }

    #[tokio::test]
    async fn a_file_is_no_socket() -> io::Result<()> {
        let file = File::open("/dev/null")?;
        assert!(own_socket(&file, &file).is_none() && own_socket(&file, io::stderr()).is_none());
        Ok(())
    }
}
