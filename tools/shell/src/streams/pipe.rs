//! The buffer between two stages of a pipeline.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Bytes that wait between two stages. A writer waits once there are so many. Linux has the same.
const PIPE_BYTES: usize = 64 * 1024;

/// Counts what moved: if all stages wait and nothing moved, no turn will change that.
#[derive(Clone, Default)]
pub(crate) struct Progress(Rc<Cell<u64>>);

impl Progress {
    pub(crate) fn note(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.get()
    }
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    writers: usize,
    readers: usize,
}

/// Both ends of a new pipe.
pub(crate) fn pipe(progress: &Progress) -> (PipeWriter, PipeReader) {
    let buffer = Rc::new(RefCell::new(Buffer { bytes: Vec::new(), writers: 1, readers: 1 }));
    let writer = PipeWriter { buffer: Rc::clone(&buffer), progress: progress.clone() };
    (writer, PipeReader { buffer, progress: progress.clone() })
}

/// The end that is written to; each clone keeps it open.
pub(crate) struct PipeWriter {
    buffer: Rc<RefCell<Buffer>>,
    progress: Progress,
}

/// The end that is read from.
pub(crate) struct PipeReader {
    buffer: Rc<RefCell<Buffer>>,
    progress: Progress,
}

impl PipeWriter {
    /// Waits for room, then writes everything: a buffer may hold one piece too much. False: nobody reads any more.
    pub(crate) async fn write(&self, bytes: &[u8]) -> bool {
        poll_fn(|_| {
            let mut buffer = self.buffer.borrow_mut();
            if buffer.readers == 0 {
                return Poll::Ready(false);
            }
            if buffer.bytes.len() >= PIPE_BYTES {
                return Poll::Pending;
            }
            buffer.bytes.extend_from_slice(bytes);
            self.progress.note();
            Poll::Ready(true)
        })
        .await
    }
}

impl PipeReader {
    /// Waits for bytes and takes all that are there. Nothing: every writer has gone.
    pub(crate) async fn read(&self) -> Vec<u8> {
        poll_fn(|_| {
            let mut buffer = self.buffer.borrow_mut();
            if buffer.bytes.is_empty() && buffer.writers > 0 {
                return Poll::Pending;
            }
            self.progress.note();
            Poll::Ready(std::mem::take(&mut buffer.bytes))
        })
        .await
    }
}

impl Clone for PipeWriter {
    fn clone(&self) -> Self {
        self.buffer.borrow_mut().writers += 1;
        Self { buffer: Rc::clone(&self.buffer), progress: self.progress.clone() }
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.buffer.borrow_mut().writers -= 1;
        self.progress.note();
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut buffer = self.buffer.borrow_mut();
        buffer.readers -= 1;
        buffer.bytes = Vec::new();
        drop(buffer);
        self.progress.note();
    }
}
