//! The one client on standard input and output: a message on each line. Standard output has nothing else on it. A line that is
//! too long, or no message, gets an error that says so, and the next one is read.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorCode, ErrorData, JsonRpcMessage, JsonRpcNotification, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::service::RoleServer;
use rmcp::transport::Transport;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

use super::bounds::{self, MESSAGE_BYTES_MAX, Room, Taken};
use super::raw_arguments;

/// Requests of a client that have no answer yet, written and all: as many calls as are taken, and some that are none. Who asks
/// and does not read is not answered for ever.
const REQUESTS_MAX: usize = 320;

/// How long a client that does not read is waited for at the end.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// The requests that have no answer yet, and the room that each takes: two of one name could not be told apart.
type Open = Arc<StdMutex<HashMap<RequestId, Taken>>>;

/// The transport.
pub struct Stdio<R, W> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// A line was too long, and its rest is passed over.
    passing_over: bool,
    output: Arc<Mutex<W>>,
    open: Open,
    room: Room,
    /// An error that is being said.
    complaint: Option<BoxFuture<'static, io::Result<()>>>,
}

impl<R: tokio::io::AsyncRead + Unpin, W> Stdio<R, W> {
    /// Reads from and writes to these.
    #[must_use]
    pub fn new(input: R, output: W) -> Self {
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            passing_over: false,
            output: Arc::new(Mutex::new(output)),
            open: Arc::default(),
            room: Room::default(),
            complaint: None,
        }
    }

    /// The next line without its end; `None` where the input ended. A line of which a part was read when this was dropped is
    /// read on from there.
    async fn next_line(&mut self) -> Option<Result<Vec<u8>, TooLong>> {
        loop {
            let available = self.input.fill_buf().await.ok().filter(|available| !available.is_empty())?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            let (taken, fits) =
                (end.map_or(available.len(), |end| end + 1), piece.len() <= MESSAGE_BYTES_MAX - self.line.len());
            if !self.passing_over && fits {
                self.line.extend_from_slice(piece);
            }
            let broke = !self.passing_over && !fits;
            self.input.consume(taken);
            if broke {
                self.line = Vec::new();
                self.passing_over = end.is_none();
                return Some(Err(TooLong));
            }
            match (end, self.passing_over) {
                (None, _) => {}
                (Some(_), true) => self.passing_over = false,
                (Some(_), false) => return Some(Ok(std::mem::take(&mut self.line))),
            }
        }
    }

    fn understood(&self, line: &[u8]) -> Result<ClientJsonRpcMessage, Box<ServerJsonRpcMessage>> {
        let mut message = read(line)?;
        raw_arguments::attach(&mut message, line);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &message {
            JsonRpcMessage::Request(request) => {
                let refused = |why: &str| Err(error(ErrorCode::INVALID_REQUEST, why, Some(request.id.clone())));
                if open.contains_key(&request.id) {
                    return refused("a request with this id has no answer yet");
                }
                let room = self.room.enlarge(Taken::default(), line.len());
                let Some(taken) = room.filter(|_| open.len() < REQUESTS_MAX) else {
                    return refused("overloaded: too much is asked and not answered yet; try again in a moment");
                };
                open.insert(request.id.clone(), taken);
            }
            // What is given up gets no answer.
            JsonRpcMessage::Notification(JsonRpcNotification {
                notification: ClientNotification::CancelledNotification(given_up),
                ..
            }) => {
                if let Some(id) = &given_up.params.request_id {
                    open.remove(id);
                }
            }
            JsonRpcMessage::Notification(_) | JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        drop(open);
        Ok(message)
    }
}

/// A line has more bytes than a message may have.
struct TooLong;

/// What is wrong with a line that is no message. What it is about is said where it says that itself.
#[derive(Deserialize)]
struct Outline {
    id: Option<RequestId>,
}

fn read(line: &[u8]) -> Result<ClientJsonRpcMessage, Box<ServerJsonRpcMessage>> {
    if !bounds::has_few_values(line) {
        return Err(error(ErrorCode::INVALID_REQUEST, &bounds::too_many_values(), None));
    }
    let unread = match serde_json::from_slice::<ClientJsonRpcMessage>(line) {
        Ok(message) => return Ok(message),
        Err(unread) => unread,
    };
    if unread.is_syntax() || unread.is_eof() {
        return Err(error(ErrorCode::PARSE_ERROR, "this is no JSON", None));
    }
    if line.trim_ascii_start().starts_with(b"[") {
        return Err(error(ErrorCode::INVALID_REQUEST, "several messages in one are no part of the protocol", None));
    }
    let id = serde_json::from_slice::<Outline>(line).ok().and_then(|outline| outline.id);
    Err(error(ErrorCode::INVALID_REQUEST, "this is no message of the protocol", id))
}

/// Writes a message as a line of its own, and says so when its turn has come.
async fn write<W: tokio::io::AsyncWrite + Unpin>(
    output: Arc<Mutex<W>>,
    message: ServerJsonRpcMessage,
    its_turn: impl FnOnce() + Send,
) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(&message)?;
    bytes.push(b'\n');
    let mut output = output.lock().await;
    its_turn();
    output.write_all(&bytes).await?;
    output.flush().await
}

fn error(code: ErrorCode, message: &str, id: Option<RequestId>) -> Box<ServerJsonRpcMessage> {
    Box::new(ServerJsonRpcMessage::error(ErrorData::new(code, message.to_owned(), None), id))
}

impl<R, W> Transport<RoleServer> for Stdio<R, W>
where
    R: tokio::io::AsyncRead + Unpin + Send,
    W: tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let (output, open) = (Arc::clone(&self.output), Arc::clone(&self.open));
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        // Not before: answers that nobody reads wait here, and are counted as long.
        let its_turn = move || {
            if let Some(id) = answered {
                open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
        };
        write(output, message, its_turn)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            // Goes on where it was: this future may be dropped while a line is half written.
            if let Some(complaint) = &mut self.complaint {
                complaint.await.ok()?;
                self.complaint = None;
            }
            let understood = match self.next_line().await? {
                Ok(line) if line.trim_ascii().is_empty() => continue,
                Ok(line) => self.understood(&line),
                Err(TooLong) => {
                    let text = format!("request_too_large: a message has at most {MESSAGE_BYTES_MAX} bytes");
                    Err(error(ErrorCode::INVALID_REQUEST, &text, None))
                }
            };
            match understood {
                Ok(message) => return Some(message),
                Err(complaint) => {
                    self.complaint = Some(write(Arc::clone(&self.output), *complaint, || ()).boxed());
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        // Who does not read holds up what is being written, and with that this.
        let flushed = async { self.output.lock().await.flush().await };
        tokio::time::timeout(CLOSE_WAIT, flushed).await.unwrap_or(Ok(()))
    }
}
