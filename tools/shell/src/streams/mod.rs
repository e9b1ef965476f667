//! What commands read from and write to. A pipe is a buffer in memory: the stages of a pipeline take turns, and one that finds the
//! buffer full or empty waits until another has had its turn.

mod captured;
mod input;
mod output;
mod pipe;
mod taking_turns;

use std::collections::BTreeMap;

pub(crate) use captured::{Bounds, Captured};
pub(crate) use input::{Input, WHOLE_BYTES_MAX, too_much};
pub(crate) use output::{Destination, Output, Written};
pub(crate) use pipe::{Progress, pipe};
pub(crate) use taking_turns::{all_stages, drive};

/// What one number, as in `2>`, stands for.
#[derive(Clone)]
pub(crate) enum Stream {
    In(Input),
    Out(Output),
}

/// The open streams of a shell, by number: 0 is the input, 1 the output, 2 for errors.
#[derive(Clone, Default)]
pub(crate) struct Streams(BTreeMap<u32, Stream>);

impl Streams {
    pub(crate) fn new(input: Input, output: Output, errors: Output) -> Self {
        Self(BTreeMap::from([(0, Stream::In(input)), (1, Stream::Out(output)), (2, Stream::Out(errors))]))
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Stream> {
        self.0.get(&number)
    }

    pub(crate) fn set(&mut self, number: u32, stream: Stream) {
        self.0.insert(number, stream);
    }

    pub(crate) fn close(&mut self, number: u32) {
        self.0.remove(&number);
    }

    /// What is read from by default. A closed one is at its end.
    pub(crate) fn input(&self) -> Input {
        match self.get(0) {
            Some(Stream::In(input)) => input.clone(),
            Some(Stream::Out(_)) | None => Input::empty(),
        }
    }

    pub(crate) fn output(&self) -> Output {
        self.writable(1)
    }

    pub(crate) fn errors(&self) -> Output {
        self.writable(2)
    }

    fn writable(&self, number: u32) -> Output {
        match self.get(number) {
            Some(Stream::Out(output)) => output.clone(),
            Some(Stream::In(_)) | None => Output::Closed,
        }
    }
}
