//! Where input comes from. All clones read on from the same place, so that `while read` and what it calls share one input.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use super::pipe::PipeReader;
use crate::stop::{Outcome, Stop};

/// Longest line that commands take. Longer ones are data, and would fill the memory.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Most bytes that a command holds at once where it must know its whole input, as `sort` does.
pub(crate) const WHOLE_BYTES_MAX: usize = 24 << 20;

/// Bytes that are read from a file at once.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct Input(Rc<RefCell<Source>>);

struct Source {
    held: Vec<u8>,
    at: usize,
    origin: Origin,
}

enum Origin {
    Nothing,
    File(File),
    Pipe(Rc<PipeReader>),
}

impl Input {
    pub(crate) fn empty() -> Self {
        Self::text(Vec::new())
    }

    pub(crate) fn text(text: Vec<u8>) -> Self {
        Self::new(text, Origin::Nothing)
    }

    pub(crate) fn file(file: File) -> Self {
        Self::new(Vec::new(), Origin::File(file))
    }

    pub(crate) fn pipe(reader: PipeReader) -> Self {
        Self::new(Vec::new(), Origin::Pipe(Rc::new(reader)))
    }

    fn new(held: Vec<u8>, origin: Origin) -> Self {
        Self(Rc::new(RefCell::new(Source { held, at: 0, origin })))
    }

    /// Whether there is more; if so, some of it is held afterwards.
    async fn fill(&self) -> Outcome<bool> {
        let pipe = {
            let mut source = self.0.borrow_mut();
            if source.at < source.held.len() {
                return Ok(true);
            }
            source.at = 0;
            match &source.origin {
                Origin::Nothing => {
                    source.held.clear();
                    return Ok(false);
                }
                Origin::File(_) => return source.fill_from_file(),
                Origin::Pipe(pipe) => Rc::clone(pipe),
            }
        };
        let bytes = pipe.read().await;
        let mut source = self.0.borrow_mut();
        let is_more = !bytes.is_empty();
        source.held = bytes;
        Ok(is_more)
    }

    /// Whatever comes next, or nothing at the end.
    pub(crate) async fn chunk(&self) -> Outcome<Option<Vec<u8>>> {
        if !self.fill().await? {
            return Ok(None);
        }
        let mut source = self.0.borrow_mut();
        let at = std::mem::take(&mut source.at);
        let mut chunk = std::mem::take(&mut source.held);
        chunk.drain(..at);
        Ok(Some(chunk))
    }

    /// At most so many bytes; fewer only at the end.
    pub(crate) async fn bytes(&self, wanted: usize) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < wanted && self.fill().await? {
            let mut source = self.0.borrow_mut();
            let taken = (wanted - bytes.len()).min(source.held.len() - source.at);
            bytes.extend_from_slice(&source.held[source.at..source.at + taken]);
            source.at += taken;
        }
        Ok(bytes)
    }

    /// Puts the next line into `line`, with its end if it has one. False at the end of the input.
    pub(crate) async fn line(&self, line: &mut Vec<u8>) -> Outcome<bool> {
        self.record(line, b'\n').await
    }

    /// [`Self::line`] where another byte ends what is read.
    pub(crate) async fn record(&self, record: &mut Vec<u8>, end: u8) -> Outcome<bool> {
        record.clear();
        while self.fill().await? {
            let mut source = self.0.borrow_mut();
            let held = &source.held[source.at..];
            let found = held.iter().position(|byte| *byte == end);
            let used = found.map_or(held.len(), |at| at + 1);
            record.extend_from_slice(&held[..used]);
            source.at += used;
            if found.is_some() {
                return Ok(true);
            }
            if record.len() > LINE_BYTES_MAX {
                return Err(Stop::Limit(format!("a line has more than {LINE_BYTES_MAX} bytes")));
            }
        }
        Ok(!record.is_empty())
    }

    /// The size of what is read, if it is a file.
    pub(crate) fn file_size(&self) -> Option<u64> {
        match &self.0.borrow().origin {
            Origin::File(file) => file.metadata().ok().map(|metadata| metadata.len()),
            Origin::Nothing | Origin::Pipe(_) => None,
        }
    }

    /// All of it, for commands that cannot begin before the end.
    pub(crate) async fn whole(&self) -> Outcome<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
            if whole.len() > WHOLE_BYTES_MAX {
                return Err(too_much());
            }
        }
        Ok(whole)
    }
}

pub(crate) fn too_much() -> Stop {
    Stop::Limit(format!("a command holds its whole input, which has more than {WHOLE_BYTES_MAX} bytes"))
}

impl Source {
    fn fill_from_file(&mut self) -> Outcome<bool> {
        let Origin::File(file) = &mut self.origin else { return Ok(false) };
        self.held.resize(CHUNK_BYTES, 0);
        match file.read(&mut self.held) {
            Ok(length) => {
                self.held.truncate(length);
                Ok(length > 0)
            }
            Err(error) => {
                self.held.clear();
                Err(Stop::failed(format!("read error: {}", crate::files::reason(&error))))
            }
        }
    }
}
