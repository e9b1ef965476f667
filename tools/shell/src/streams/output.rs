//! Where output goes.

use std::fs::File;
use std::io::Write;
use std::rc::Rc;

use super::captured::Captured;
use super::pipe::PipeWriter;
use crate::identity::Identity;
use crate::stop::{Outcome, Stop};

/// Bytes that a command holds before they are written: fewer, larger writes.
const HELD_BYTES: usize = 16 * 1024;

#[derive(Clone)]
pub(crate) enum Output {
    /// `/dev/null`
    Nowhere,
    /// Closed by `>&-`.
    Closed,
    Captured(Captured),
    File(Rc<Destination>),
    Pipe(PipeWriter),
}

/// A file that is written to, and what it is known by.
pub(crate) struct Destination {
    pub(crate) file: File,
    pub(crate) identity: Option<Identity>,
}

impl Output {
    pub(crate) async fn write(&self, bytes: &[u8]) -> Outcome<()> {
        match self {
            Self::Nowhere => {}
            Self::Closed => return Err(Stop::failed("write error: the output is closed")),
            Self::Captured(captured) => captured.push(bytes)?,
            Self::File(destination) => {
                let mut file = &destination.file;
                file.write_all(bytes)
                    .map_err(|error| Stop::failed(format!("write error: {}", crate::files::reason(&error))))?;
            }
            Self::Pipe(pipe) => {
                if !pipe.write(bytes).await {
                    return Err(Stop::BrokenPipe);
                }
            }
        }
        Ok(())
    }
}

/// The output of one command, which holds small pieces together.
pub(crate) struct Written {
    output: Output,
    held: Vec<u8>,
}

impl Written {
    pub(crate) fn to(output: Output) -> Self {
        Self { output, held: Vec::new() }
    }

    pub(crate) async fn put(&mut self, bytes: impl AsRef<[u8]>) -> Outcome<()> {
        self.held.extend_from_slice(bytes.as_ref());
        if self.held.len() < HELD_BYTES { Ok(()) } else { self.flush().await }
    }

    pub(crate) async fn line(&mut self, line: impl AsRef<[u8]>) -> Outcome<()> {
        self.held.extend_from_slice(line.as_ref());
        self.put("\n").await
    }

    pub(crate) async fn flush(&mut self) -> Outcome<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.output.write(&held).await
    }
}
