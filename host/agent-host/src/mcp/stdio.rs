//! The one client on standard input and output: a message on each line. Standard output has nothing else on it. A line that is
//! too long, or no message, gets an error that says so, and the next one is read.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorCode, ErrorData, JsonRpcMessage, JsonRpcNotification, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::service::RoleServer;
use rmcp::transport::Transport;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

use super::{MESSAGE_BYTES_MAX, raw_arguments};

/// Requests of a client that have no answer yet. It has other limits; this one bounds what is remembered of them.
const REQUESTS_MAX: usize = 1_024;

/// The transport.
pub struct Stdio<R, W> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// A line was too long, and its rest is passed over.
    passing_over: bool,
    output: Arc<Mutex<W>>,
    /// The requests that have no answer yet: two of one name could not be told apart.
    open: Arc<StdMutex<HashSet<RequestId>>>,
    /// An error that is about to be said.
    complaint: Option<Box<ServerJsonRpcMessage>>,
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
                if open.len() >= REQUESTS_MAX {
                    return refused("overloaded: too many requests without an answer; try again in a moment");
                }
                if !open.insert(request.id.clone()) {
                    return refused("a request with this id has no answer yet");
                }
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
        let output = Arc::clone(&self.output);
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        if let Some(id) = answered {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
        async move {
            let mut bytes = serde_json::to_vec(&message)?;
            bytes.push(b'\n');
            let mut output = output.lock().await;
            output.write_all(&bytes).await?;
            output.flush().await
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            // Kept until it is said: this future may be dropped while it waits for the output.
            if let Some(complaint) = &self.complaint {
                let mut bytes = serde_json::to_vec(complaint).ok()?;
                bytes.push(b'\n');
                let mut output = self.output.lock().await;
                output.write_all(&bytes).await.ok()?;
                output.flush().await.ok()?;
                drop(output);
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
                Err(complaint) => self.complaint = Some(complaint),
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.output.lock().await.flush().await
    }
}
