//! `wasi:io`: streams, pollables and errors. Every file, every message body and every wait passes here, so recording these
//! six traits records them all. The work itself is wasmtime-wasi's.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, StreamError, StreamResult};
use wasmtime_wasi_io::bindings::wasi::io::error::{Host as ErrorHost, HostError};
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host as PollHost, HostPollable};
use wasmtime_wasi_io::bindings::wasi::io::streams::{
    Host as StreamsHost, HostInputStream, HostOutputStream, StreamError as GuestStreamError,
};

use crate::state::CallState;
use crate::transcript::{Blob, Operation as Op};

/// Longest error text that a guest reads.
const ERROR_TEXT_BYTES_MAX: usize = 4 << 10;

impl PollHost for CallState {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let reps: Vec<u32> = pollables.iter().map(Resource::rep).collect();
        self.ask(Op::Poll, &reps, &())?;
        self.pay_extra(reps.len() as u64)?;
        let ready = PollHost::poll(&mut self.table, pollables).await;
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
        let done = HostPollable::block(&mut self.table, pollable).await;
        self.clock.ended([&rep]);
        self.answer(done)
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let rep = pollable.rep();
        self.ask(Op::PollableReady, &[rep], &())?;
        let ready = HostPollable::ready(&mut self.table, pollable).await;
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
        let read = HostInputStream::read(&mut self.table, stream, len);
        self.answer(read)
    }

    async fn blocking_read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.ask(Op::StreamBlockingRead, &[stream.rep()], &len)?;
        let read = HostInputStream::blocking_read(&mut self.table, stream, len).await;
        self.answer(read)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        self.ask(Op::StreamSkip, &[stream.rep()], &len)?;
        let skipped = HostInputStream::skip(&mut self.table, stream, len);
        self.answer(skipped)
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        self.ask(Op::StreamBlockingSkip, &[stream.rep()], &len)?;
        let skipped = HostInputStream::blocking_skip(&mut self.table, stream, len).await;
        self.answer(skipped)
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.pay()?;
        HostInputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(stream.rep());
        HostInputStream::drop(&mut self.table, stream).await
    }
}

impl HostOutputStream for CallState {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.ask(Op::StreamCheckWrite, &[stream.rep()], &())?;
        let permit = HostOutputStream::check_write(&mut self.table, stream);
        self.answer(permit)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.ask(Op::StreamWrite, &[stream.rep()], &Blob(&bytes))?;
        let written = HostOutputStream::write(&mut self.table, stream, bytes);
        self.answer(written)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.ask(Op::StreamBlockingWrite, &[stream.rep()], &Blob(&bytes))?;
        let written = HostOutputStream::blocking_write_and_flush(&mut self.table, stream, bytes).await;
        self.answer(written)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        self.ask(Op::StreamBlockingWriteZeroes, &[stream.rep()], &len)?;
        let written = HostOutputStream::blocking_write_zeroes_and_flush(&mut self.table, stream, len).await;
        self.answer(written)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        self.ask(Op::StreamWriteZeroes, &[stream.rep()], &len)?;
        let written = HostOutputStream::write_zeroes(&mut self.table, stream, len);
        self.answer(written)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.ask(Op::StreamFlush, &[stream.rep()], &())?;
        let flushed = HostOutputStream::flush(&mut self.table, stream);
        self.answer(flushed)
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.ask(Op::StreamBlockingFlush, &[stream.rep()], &())?;
        let flushed = HostOutputStream::blocking_flush(&mut self.table, stream).await;
        self.answer(flushed)
    }

    fn splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        self.ask(Op::StreamSplice, &[stream.rep(), from.rep()], &len)?;
        let moved = HostOutputStream::splice(&mut self.table, stream, from, len);
        if let Ok(moved) = moved {
            self.pay_extra(moved / crate::charge::BYTES_PER_UNIT)?;
        }
        self.answer(moved)
    }

    async fn blocking_splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        self.ask(Op::StreamBlockingSplice, &[stream.rep(), from.rep()], &len)?;
        let moved = HostOutputStream::blocking_splice(&mut self.table, stream, from, len).await;
        if let Ok(moved) = moved {
            self.pay_extra(moved / crate::charge::BYTES_PER_UNIT)?;
        }
        self.answer(moved)
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.pay()?;
        HostOutputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(stream.rep());
        HostOutputStream::drop(&mut self.table, stream).await
    }
}
