//! What is kept of a call's effects, whatever a guest says.

use agent_core::digest::Digest;
use agent_core::effect::{EffectRequest, EffectResult, Refusal};
use agent_core::limits::Limits;
use agent_core::units::Bytes;

use agent_core::outcome::Fault;
use wasmtime::component::Resource;

use super::support::{Answer, notes, state};
use crate::bindings::keyvalue::wasi::keyvalue::{batch, store};
use crate::effects::{TEXT_BYTES_MAX, texts};
use crate::hosts::kv::KvError;
use crate::stop::Stop;

/// Texts are cut before they are counted, so what was cut off must be gone, not only out of sight.
#[tokio::test]
async fn a_cut_text_holds_no_more_memory_than_it_shows() {
    let state = state(&notes(Answer::Deny), Vec::new(), Limits::STANDARD);
    for number in 0..200 {
        let request = EffectRequest::Env { name: "n".repeat(1 << 20) };
        if number % 2 == 0 {
            let _ = state.effects.decide(state.effects.number(), request).await;
        } else {
            state.effects.refuse(request, Refusal::EnvDenied, "no", None);
        }
    }
    let (mut kept, dropped) = state.effects.finish();
    assert_eq!((kept.len(), dropped), (200, 0));
    let held = kept.iter_mut().flat_map(|effect| texts(&mut effect.request)).map(|text| text.capacity());
    assert_eq!(held.max(), Some(TEXT_BYTES_MAX));
}

/// A request that was allowed is in the record, whatever stands before it. What is not is counted.
#[tokio::test]
async fn no_number_of_looks_hides_a_request() {
    let state = state(&notes(Answer::Allow), Vec::new(), Limits::STANDARD);
    for _ in 0..10_003 {
        let operation = "create-tcp-socket".to_owned();
        state.effects.refuse(EffectRequest::Socket { operation }, Refusal::NetDenied, "no", None);
    }
    let request = EffectRequest::Http {
        method: "GET".to_owned(),
        url: "https://granted.example/?d=data".to_owned(),
        body_bytes: Bytes(0),
        digest: Digest::of(b""),
    };
    let Ok(permit) = state.effects.decide(state.effects.number(), request.clone()).await else {
        unreachable!("the gate allows it")
    };
    state.effects.settle(permit, EffectResult::Done("200".to_owned()));
    let account = state.finish().await;
    assert_eq!(account.effects.last().map(|effect| &effect.request), Some(&request));
    assert_eq!((account.effects.len(), account.effects_dropped), (10_001, 3));
}

/// One host call may be a hundred thousand changes, and every change is recorded.
#[tokio::test]
async fn a_batch_does_not_outrun_the_record() -> wasmtime::Result<()> {
    let mut state = state(&notes(Answer::Allow), Vec::new(), Limits { host_calls: 1_000_000, ..Limits::STANDARD });
    let opened = store::Host::open(&mut state, "default".to_owned()).await;
    let Ok(bucket) = opened else { unreachable!("any store can be opened") };
    let keys = (0..99_000).map(|number| format!("key-{number}")).collect();
    let ended = batch::Host::delete_many(&mut state, Resource::new_borrow(bucket.rep()), keys).await;
    let Err(KvError::Stop(stop)) = ended else { unreachable!("it ends the call") };
    assert!(matches!(stop.downcast_ref(), Some(Stop::Fault { fault: Fault::HostcallLimit, .. })), "{stop:#}");
    let (kept, dropped) = state.effects.finish();
    assert!(kept.len() < 70_000 && dropped == 0, "{} kept, {dropped} dropped", kept.len());
    Ok(())
}
