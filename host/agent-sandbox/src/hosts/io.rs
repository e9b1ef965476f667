//! `wasi:io`: streams, pollables and errors. Every file, every message body and every wait passes here, so recording these
//! six traits records them all. The work itself is wasmtime-wasi's.
//!
//! In a replay, waits are skipped and what was read is told from the record, while the stream goes on as far: what comes after
//! the record is read from there. What was written is written again: to a file, to a request's body, to the console. The bodies
//! of answers are at hand as a whole then, so of them only lengths are recorded.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, StreamError, StreamResult};
use wasmtime_wasi_io::bindings::wasi::io::error::{Host as ErrorHost, HostError};
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host as PollHost, HostPollable};
use wasmtime_wasi_io::bindings::wasi::io::streams::{
    Host as StreamsHost, HostInputStream, HostOutputStream, StreamError as GuestStreamError,
};

use crate::charge::BYTES_PER_UNIT;
use crate::hosts::fs::CHUNK_BYTES_MAX;
use crate::state::CallState;
use crate::stop::Stop;
use crate::transcript::{Blob, Encode, Operation as Op, Recall, decode_all};

/// Longest error text that a guest reads.
const ERROR_TEXT_BYTES_MAX: usize = 4 << 10;

impl PollHost for CallState {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let reps: Vec<u32> = pollables.iter().map(Resource::rep).collect();
        self.ask(Op::Poll, &reps, &())?;
        self.pay_extra(reps.len() as u64)?;
        let ready = match self.recall() {
            Some(ready) => self.ready_again(ready, &reps).await,
            None => PollHost::poll(&mut self.table, pollables).await,
        };
        if let Ok(ready) = &ready {
            self.clock.ended(ready.iter().filter_map(|index| reps.get(*index as usize)));
        }
        self.answer(ready)
    }
}

impl HostPollable for CallState {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let rep = pollable.rep();
        self.ask(Op::PollableBlock, &[rep], &())?;
        let done = match self.recall() {
            Some(done) => self.ready_again(done, &[rep]).await,
            None => HostPollable::block(&mut self.table, pollable).await,
        };
        self.clock.ended([&rep]);
        self.answer(done)
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let rep = pollable.rep();
        self.ask(Op::PollableReady, &[rep], &())?;
        let ready = match self.recall() {
            Some(Ok(true)) => self.ready_again(Ok(true), &[rep]).await,
            Some(told) => told,
            None => HostPollable::ready(&mut self.table, pollable).await,
        };
        if let Ok(true) = ready {
            self.clock.ended([&rep]);
        }
        self.answer(ready)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(pollable.rep());
        HostPollable::drop(&mut self.table, pollable)
    }
}

impl ErrorHost for CallState {}

impl HostError for CallState {
    fn to_debug_string(&mut self, error: Resource<IoError>) -> wasmtime::Result<String> {
        self.ask(Op::ErrorText, &[error.rep()], &())?;
        if let Some(told) = self.recall() {
            return self.answer(told);
        }
        // Not the error's `Debug` form: that may hold a backtrace of the host.
        let mut text = format!("{:#}", self.table.get(&error)?);
        text.truncate(text.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        self.answer(Ok(text))
    }

    fn drop(&mut self, error: Resource<IoError>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(error.rep());
        HostError::drop(&mut self.table, error)
    }
}

impl StreamsHost for CallState {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<GuestStreamError> {
        match error {
            StreamError::Closed => Ok(GuestStreamError::Closed),
            StreamError::LastOperationFailed(error) => Ok(GuestStreamError::LastOperationFailed(self.push(error)?)),
            StreamError::Trap(trap) => Err(trap),
        }
    }
}

impl HostInputStream for CallState {
    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.ask(Op::StreamRead, &[stream.rep()], &len)?;
        if self.sender.is_body(stream.rep()) {
            let taken = HostInputStream::read(&mut self.table, stream, len).map(Taken);
            return self.answer(taken).map(|Taken(bytes)| bytes);
        }
        let read = match self.read_again(&stream) {
            Some(told) => told,
            None => HostInputStream::read(&mut self.table, stream, len),
        };
        self.answer(read)
    }

    async fn blocking_read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.ask(Op::StreamBlockingRead, &[stream.rep()], &len)?;
        if self.sender.is_body(stream.rep()) {
            let taken = HostInputStream::blocking_read(&mut self.table, stream, len).await.map(Taken);
            return self.answer(taken).map(|Taken(bytes)| bytes);
        }
        let read = match self.read_again(&stream) {
            Some(told) => told,
            None => HostInputStream::blocking_read(&mut self.table, stream, len).await,
        };
        self.answer(read)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        self.ask(Op::StreamSkip, &[stream.rep()], &len)?;
        let skipped = match self.skip_again(&stream) {
            Some(told) => told,
            None => HostInputStream::skip(&mut self.table, stream, len),
        };
        self.answer(skipped)
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        self.ask(Op::StreamBlockingSkip, &[stream.rep()], &len)?;
        let skipped = match self.skip_again(&stream) {
            Some(told) => told,
            None => HostInputStream::blocking_skip(&mut self.table, stream, len).await,
        };
        self.answer(skipped)
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.pay()?;
        HostInputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(stream.rep());
        self.sender.forget(stream.rep());
        HostInputStream::drop(&mut self.table, stream).await
    }
}

impl HostOutputStream for CallState {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.ask(Op::StreamCheckWrite, &[stream.rep()], &())?;
        let permit = match self.recall() {
            Some(told) => told,
            None => HostOutputStream::check_write(&mut self.table, stream),
        };
        self.answer(permit)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.ask(Op::StreamWrite, &[stream.rep()], &Blob(&bytes))?;
        let written = match self.unwritten(&stream) {
            Some(failure) => Err(failure),
            None => HostOutputStream::write(&mut self.table, stream, bytes),
        };
        self.answer(written)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.ask(Op::StreamBlockingWrite, &[stream.rep()], &Blob(&bytes))?;
        let written = match self.unwritten(&stream) {
            Some(failure) => Err(failure),
            None if self.skips_waits_of(&stream) => HostOutputStream::write(&mut self.table, stream, bytes),
            None => HostOutputStream::blocking_write_and_flush(&mut self.table, stream, bytes).await,
        };
        self.answer(written)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        self.ask(Op::StreamBlockingWriteZeroes, &[stream.rep()], &len)?;
        self.pay_for_zeroes(len)?;
        let written = match self.unwritten(&stream) {
            Some(failure) => Err(failure),
            None if self.skips_waits_of(&stream) => HostOutputStream::write_zeroes(&mut self.table, stream, len),
            None => HostOutputStream::blocking_write_zeroes_and_flush(&mut self.table, stream, len).await,
        };
        self.answer(written)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        self.ask(Op::StreamWriteZeroes, &[stream.rep()], &len)?;
        self.pay_for_zeroes(len)?;
        let written = match self.unwritten(&stream) {
            Some(failure) => Err(failure),
            None => HostOutputStream::write_zeroes(&mut self.table, stream, len),
        };
        self.answer(written)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.ask(Op::StreamFlush, &[stream.rep()], &())?;
        let flushed = match self.recall() {
            Some(told) => told,
            None => HostOutputStream::flush(&mut self.table, stream),
        };
        self.answer(flushed)
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.ask(Op::StreamBlockingFlush, &[stream.rep()], &())?;
        let flushed = match self.recall() {
            Some(told) => told,
            None => HostOutputStream::blocking_flush(&mut self.table, stream).await,
        };
        self.answer(flushed)
    }

    fn splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        self.ask(Op::StreamSplice, &[stream.rep(), from.rep()], &len)?;
        let moved = match self.moved_before(&stream, &from) {
            Some(told) => told,
            None => self.move_now(&stream, &from, len),
        };
        self.answer(moved).map(|bytes| bytes.len() as u64)
    }

    async fn blocking_splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        self.ask(Op::StreamBlockingSplice, &[stream.rep(), from.rep()], &len)?;
        if !self.skips_waits_of(&stream) {
            self.table.get_mut(&stream)?.write_ready().await?;
        }
        let moved = match self.moved_before(&stream, &from) {
            Some(told) => told,
            None => {
                self.table.get_mut(&from)?.ready().await;
                self.move_now(&stream, &from, len)
            }
        };
        self.answer(moved).map(|bytes| bytes.len() as u64)
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.pay()?;
        let rep = stream.rep();
        let pollable = HostOutputStream::subscribe(&mut self.table, stream)?;
        if self.replay.log().is_some_and(|log| log.file_writers.contains(&rep)) {
            self.replay.waits(pollable.rep());
        }
        Ok(pollable)
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(stream.rep());
        HostOutputStream::drop(&mut self.table, stream).await
    }
}

/// What was read of a body that is at hand as a whole: recorded by its length.
struct Taken(Vec<u8>);

impl Encode for Taken {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.0.len() as u64).encode(out);
    }
}

impl Recall for Taken {
    fn recall(bytes: &[u8], now: Self) -> Option<Self> {
        (decode_all::<u64>(bytes)? == now.0.len() as u64).then_some(now)
    }
}

impl CallState {
    /// Zeroes cost what other bytes cost, though the guest only says how many. No stream takes more than a piece of them.
    fn pay_for_zeroes(&mut self, length: u64) -> Result<(), Stop> {
        self.pay_extra(length.min(CHUNK_BYTES_MAX as u64) / BYTES_PER_UNIT)
    }
}

/// How the streams keep up in a replay.
impl CallState {
    /// Pollables that were ready then. A stream into a file announces its first change when it is waited for, and an answer is
    /// there once it was waited for, so that is done again; other waits are skipped.
    async fn ready_again<T: ReadySet>(&mut self, told: wasmtime::Result<T>, reps: &[u32]) -> wasmtime::Result<T> {
        let told = told?;
        for rep in reps.iter().enumerate().filter(|(index, _)| told.has(*index)).map(|(_, rep)| *rep) {
            if self.replay.log().is_some_and(|log| log.waiting.contains(&rep)) {
                HostPollable::block(&mut self.table, Resource::new_borrow(rep)).await?;
            }
        }
        Ok(told)
    }

    /// What was read then, where it was: the stream goes on as far.
    fn read_again(&mut self, stream: &Resource<DynInputStream>) -> Option<StreamResult<Vec<u8>>> {
        let told: StreamResult<Vec<u8>> = self.recall()?;
        if let Ok(bytes) = &told {
            self.advance(stream, bytes.len());
        }
        Some(told)
    }

    fn skip_again(&mut self, stream: &Resource<DynInputStream>) -> Option<StreamResult<u64>> {
        let told: StreamResult<u64> = self.recall()?;
        if let Ok(bytes) = &told {
            self.advance(stream, usize::try_from(*bytes).unwrap_or(usize::MAX));
        }
        Some(told)
    }

    /// A stream that ends earlier than it did then ends: what comes after is told by the world as it is now.
    fn advance(&mut self, stream: &Resource<DynInputStream>, bytes: usize) {
        let Ok(stream) = self.table.get_mut(stream) else { return };
        let mut left = bytes;
        while left > 0 {
            match stream.read(left) {
                Ok(bytes) if !bytes.is_empty() => left -= bytes.len().min(left),
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// The recorded failure of a write that is therefore not made again. One into a file is: what it fails by, such as a quota,
    /// is the call's own and is met again.
    fn unwritten(&mut self, stream: &Resource<DynOutputStream>) -> Option<StreamError> {
        if !self.replay.is_offline() && self.writes_file(stream) {
            return None;
        }
        self.replay.recall_failure()
    }

    /// Whether a stream is one that has room for everything that was written to it then: that of a body or of the console.
    fn skips_waits_of(&mut self, stream: &Resource<DynOutputStream>) -> bool {
        self.replay.is_told() && !self.writes_file(stream)
    }

    fn writes_file(&mut self, stream: &Resource<DynOutputStream>) -> bool {
        self.replay.log().is_some_and(|log| log.file_writers.contains(&stream.rep()))
    }

    /// Moves what can be moved at once, as wasmtime-wasi does, and says which bytes these are: a replay needs them.
    fn move_now(
        &mut self,
        stream: &Resource<DynOutputStream>,
        from: &Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<Vec<u8>> {
        let permit = self.table.get_mut(stream)?.check_write()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(permit);
        if len == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.table.get_mut(from)?.read(len)?;
        if !bytes.is_empty() {
            self.table.get_mut(stream)?.write(bytes.clone())?;
        }
        Ok(bytes.into())
    }

    /// What was moved then, where it was: written again, while the source goes on as far.
    fn moved_before(
        &mut self,
        stream: &Resource<DynOutputStream>,
        from: &Resource<DynInputStream>,
    ) -> Option<StreamResult<Vec<u8>>> {
        let told: StreamResult<Vec<u8>> = self.recall()?;
        let Ok(bytes) = &told else { return Some(told) };
        self.advance(from, bytes.len());
        if bytes.is_empty() {
            return Some(told);
        }
        let written = HostOutputStream::write(&mut self.table, Resource::new_borrow(stream.rep()), bytes.clone());
        Some(written.and(told))
    }
}

/// Which of the pollables that were waited for are ready.
trait ReadySet {
    fn has(&self, index: usize) -> bool;
}

impl ReadySet for Vec<u32> {
    fn has(&self, index: usize) -> bool {
        self.iter().any(|ready| *ready as usize == index)
    }
}

/// The only one.
impl ReadySet for () {
    fn has(&self, _: usize) -> bool {
        true
    }
}

impl ReadySet for bool {
    fn has(&self, _: usize) -> bool {
        *self
    }
}
