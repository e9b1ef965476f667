//! Bodies of requests that a guest begins while it is told what it was told before: they hold no more of the host's memory than
//! others.

use std::sync::Arc;

use agent_core::limits::Limits;
use agent_core::outcome::Fault;
use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynOutputStream, StreamError};
use wasmtime_wasi_http::p2::bindings::http::types::{
    HostFields, HostOutgoingBody, HostOutgoingRequest, OutgoingBody, OutgoingRequest,
};
use wasmtime_wasi_io::bindings::wasi::io::streams::HostOutputStream;

use super::support::{Answer, notes, state_of};
use crate::replay::{Replay, ReplayEnd};
use crate::state::CallState;
use crate::stop::Stop;
use crate::transcript::Transcript;

const PIECE: usize = 64 << 10;

/// A call along a record that is over with the first question.
fn state() -> CallState {
    let (transcript, answers) = (Transcript::default(), Default::default());
    let replay = Replay { transcript, answers, end: ReplayEnd::GoLive };
    let gate = notes(Answer::Allow);
    state_of(Arc::clone(&gate) as Arc<dyn crate::gate::EffectGate>, Vec::new(), Limits::STANDARD, Some(replay))
}

type Begun = (Resource<OutgoingRequest>, Resource<OutgoingBody>, Resource<DynOutputStream>);

/// Nothing of it is in the record.
fn begin(state: &mut CallState) -> wasmtime::Result<Begun> {
    let fields = HostFields::new(state)?;
    let request = HostOutgoingRequest::new(state, fields)?;
    let Ok(body) = HostOutgoingRequest::body(state, Resource::new_borrow(request.rep()))? else { unreachable!("one") };
    let Ok(stream) = HostOutgoingBody::write(state, Resource::new_borrow(body.rep()))? else { unreachable!("one") };
    Ok((request, body, stream))
}

/// Writes pieces for as long as there is room, and says how many.
fn fill(state: &mut CallState, stream: &Resource<DynOutputStream>) -> Result<usize, StreamError> {
    for pieces in 0..1_000 {
        if state.check_write(Resource::new_borrow(stream.rep()))? == 0 {
            return Ok(pieces);
        }
        HostOutputStream::write_zeroes(state, Resource::new_borrow(stream.rep()), PIECE as u64)?;
    }
    Ok(1_000)
}

#[tokio::test]
async fn once_the_record_is_over_a_body_has_room_for_two_pieces() -> wasmtime::Result<()> {
    let mut state = state();
    let (_request, _body, before) = begin(&mut state)?;
    let in_body_begun_before = fill(&mut state, &before).map_err(|error| wasmtime::format_err!("{error}"))?;
    let (_request, _body, after) = begin(&mut state)?;
    let in_body_begun_after = fill(&mut state, &after).map_err(|error| wasmtime::format_err!("{error}"))?;
    assert_eq!((in_body_begun_before, in_body_begun_after), (2, 2));
    Ok(())
}

#[tokio::test]
async fn what_is_written_along_a_record_is_counted_until_it_is_let_go() -> wasmtime::Result<()> {
    let mut state = state();
    let (request, _body, stream) = begin(&mut state)?;
    let mut written = 0;
    let stop = loop {
        // As one that is told does it: nobody asks whether there is room.
        match state.table.get_mut(&stream)?.write(Bytes::from(vec![0; PIECE])) {
            Ok(()) => written += PIECE,
            Err(StreamError::Trap(stop)) => break stop,
            Err(error) => return Err(wasmtime::format_err!("{error}")),
        }
    };
    assert!(matches!(stop.downcast_ref(), Some(Stop::Fault { fault: Fault::CopyLimit, .. })), "{stop:#}");
    assert!((16 << 20..17 << 20).contains(&written), "{written}");
    HostOutgoingRequest::drop(&mut state, request)?;
    let (_request, _body, stream) = begin(&mut state)?;
    for _ in 0..64 {
        assert!(state.table.get_mut(&stream)?.write(Bytes::from(vec![0; PIECE])).is_ok());
    }
    Ok(())
}

/// What it costs to write a piece of a body.
async fn units(zeroes: bool) -> wasmtime::Result<u64> {
    let mut state = state();
    let (_request, _body, stream) = begin(&mut state)?;
    let stream: Resource<DynOutputStream> = Resource::new_borrow(stream.rep());
    let written = if zeroes {
        HostOutputStream::write_zeroes(&mut state, stream, PIECE as u64)
    } else {
        HostOutputStream::write(&mut state, stream, vec![0; PIECE])
    };
    written.map_err(|error| wasmtime::format_err!("{error}"))?;
    Ok(state.finish().await.host_calls)
}

/// Zeroes are bytes: a guest that only names their number pays as one that hands them over.
#[tokio::test]
async fn zeroes_are_charged_by_their_number() -> wasmtime::Result<()> {
    assert_eq!(units(true).await?, units(false).await?);
    Ok(())
}
