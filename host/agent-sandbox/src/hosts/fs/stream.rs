//! Streams over open files. They read and write inside the host call: nothing is left running when the call ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use agent_core::effect::FileOperation;
use agent_core::open_file::Doing;
use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::hosts::fs::FileError;
use crate::hosts::fs::change::Changes;
use crate::hosts::fs::node::Node;

/// Most bytes that one host call reads or writes: as much as wasmtime-wasi moves.
pub(crate) const CHUNK_BYTES_MAX: usize = 64 << 10;

/// Why a stream over a file failed: what `filesystem-error-code` tells the guest.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct StreamFailure {
    /// The code.
    pub(crate) code: ErrorCode,
    /// What people read.
    pub(crate) text: String,
}

/// Reads a file from an offset on.
pub(crate) struct FileReader {
    node: Node,
    position: u64,
    changes: Arc<Changes>,
}

impl FileReader {
    /// A stream that begins at `position`.
    pub(crate) fn new(node: Node, position: u64, changes: Arc<Changes>) -> Self {
        Self { node, position, changes }
    }
}

/// Reads bytes of a file at an offset, within the call's quota. No bytes means the end.
pub(crate) fn read_at(changes: &Changes, node: &Node, offset: u64, wanted: usize) -> Result<Vec<u8>, FileError> {
    let wanted = changes.quotas.may_read(wanted.min(CHUNK_BYTES_MAX));
    let wanted = changes.reported(node, FileOperation::Read, wanted)?;
    let mut buffer = vec![0; wanted];
    let length = loop {
        match node.file.read_at(&mut buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    buffer.truncate(length);
    changes.quotas.count_read(length);
    changes.count(node, 0, length as u64);
    Ok(buffer)
}

/// Writes bytes to a file at an offset, within the call's quota. The change must have been announced.
pub(crate) fn write_at(changes: &Changes, node: &Node, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
    let before = changes.quotas.count_write(node, offset, bytes.len() as u64);
    let before = changes.reported(node, FileOperation::Write, before)?;
    let mut length = 0;
    let write = || write_counted(&node.file, offset, bytes, &mut length);
    let written = changes.follow(node, || Doing::write(offset, bytes), write);
    changes.quotas.count_occupied(node, &before)?;
    // Of what a full disk cut off, only the beginning is there.
    changes.count(node, length as u64, 0);
    written
}

/// Writes all, and counts what is written also where the rest is not.
fn write_counted(file: &File, offset: u64, bytes: &[u8], length: &mut usize) -> io::Result<()> {
    while *length < bytes.len() {
        match file.write_at(&bytes[*length..], offset.saturating_add(*length as u64)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => *length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[async_trait]
impl InputStream for FileReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = read_at(&self.changes, &self.node, self.position, size).map_err(failed)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.position += bytes.len() as u64;
        Ok(bytes.into())
    }
}

#[async_trait]
impl Pollable for FileReader {
    async fn ready(&mut self) {}
}

/// Writes a file from an offset on, or at its end.
pub(crate) struct FileWriter {
    node: Node,
    /// None: at the end, wherever that is.
    position: Option<u64>,
    state: State,
    changes: Arc<Changes>,
}

enum State {
    /// The first change is still to be announced, which takes a wait: until then nothing may be written.
    Unannounced,
    Ready,
    Failed(FileError),
    Closed,
}

impl FileWriter {
    /// A stream that begins at `position`, or writes at the end of the file.
    pub(crate) fn new(node: Node, position: Option<u64>, changes: Arc<Changes>) -> Self {
        Self { node, position, state: State::Unannounced, changes }
    }

    fn write_now(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let offset = match self.position {
            Some(position) => position,
            None => self.node.file.metadata()?.len(),
        };
        write_at(&self.changes, &self.node, offset, bytes)?;
        self.position = self.position.map(|position| position + bytes.len() as u64);
        Ok(())
    }

    /// Hands out the failure, once; after it the stream is closed.
    fn take_failure(&mut self) -> StreamResult<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Failed(error) => Err(failed(error)),
            State::Closed => Err(StreamError::Closed),
            good @ (State::Unannounced | State::Ready) => {
                self.state = good;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl OutputStream for FileWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take_failure()?;
        if matches!(self.state, State::Unannounced) || bytes.len() > CHUNK_BYTES_MAX {
            return Err(StreamError::trap("write not permitted: check-write was not called first"));
        }
        self.write_now(&bytes).map_err(|error| {
            self.state = State::Closed;
            failed(error)
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.take_failure()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.take_failure()?;
        Ok(if matches!(self.state, State::Ready) { CHUNK_BYTES_MAX } else { 0 })
    }
}

#[async_trait]
impl Pollable for FileWriter {
    async fn ready(&mut self) {
        if matches!(self.state, State::Unannounced) {
            let first_changed = self.position.unwrap_or(u64::MAX);
            let announced = self.changes.announce_write(&self.node, first_changed).await;
            self.state = match self.changes.reported(&self.node, FileOperation::Write, announced) {
                Ok(()) => State::Ready,
                Err(error) => State::Failed(error),
            };
        }
    }
}

fn failed(error: FileError) -> StreamError {
    match error {
        FileError::Stop(stop) => stop.into(),
        FileError::Code(code) => StreamFailure { code, text: code.message().to_owned() }.into(),
        FileError::Refused { code, rule, .. } => StreamFailure { code, text: rule }.into(),
    }
}

impl From<StreamFailure> for StreamError {
    fn from(failure: StreamFailure) -> Self {
        Self::LastOperationFailed(failure.into())
    }
}

/// Where a stream leads in a replay that touches nothing.
pub(crate) struct Nothing;

#[async_trait]
impl InputStream for Nothing {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

#[async_trait]
impl OutputStream for Nothing {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}
