//! Time and the transcript.

use std::time::{Duration, Instant};

use agent_core::limits::Limits;
use agent_core::units::Millis;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::cli::{exit, stdin};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::bindings::random::random::Host as _;
use wasmtime_wasi::p2::bindings::sockets::network::IpAddressFamily;
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host as _, HostPollable};

use super::support::{Answer, notes, shown, state};
use crate::transcript::{Transcript, read_entries};

const MILLISECOND: u64 = 1_000_000;

#[tokio::test]
async fn time_goes_on_to_the_timer_that_ended_the_wait() -> wasmtime::Result<()> {
    let mut state = state(&notes(Answer::Allow), Vec::new(), Limits::STANDARD);
    let start = state.now()?;
    let hour = state.subscribe_duration(3_600_000 * MILLISECOND)?;
    let short = state.subscribe_duration(30 * MILLISECOND)?;
    let real = Instant::now();
    let both = vec![Resource::new_borrow(hour.rep()), Resource::new_borrow(short.rep())];
    assert_eq!(state.poll(both).await?, [1]);
    assert!(real.elapsed() >= Duration::from_millis(30));
    assert_eq!(state.now()? - start, 30 * MILLISECOND);
    // A wait for something else leaves time as it is.
    let input = stdin::Host::get_stdin(&mut state)?;
    let ready = wasmtime_wasi_io::bindings::wasi::io::streams::HostInputStream::subscribe(&mut state, input)?;
    state.block(ready).await?;
    assert_eq!(state.now()? - start, 30 * MILLISECOND);
    let past = state.subscribe_instant(start)?;
    state.block(past).await?;
    assert_eq!(state.now()? - start, 30 * MILLISECOND);
    Ok(())
}

#[tokio::test]
async fn the_same_call_has_the_same_transcript() -> wasmtime::Result<()> {
    let mut transcripts = Vec::new();
    for _ in 0..2 {
        let mut state = state(&notes(Answer::Allow), Vec::new(), Limits::STANDARD);
        state.get_random_u64()?;
        let timer = state.subscribe_duration(MILLISECOND)?;
        state.block(timer).await?;
        state.now()?;
        assert!(state.create_tcp_socket(IpAddressFamily::Ipv4).is_err());
        let account = state.finish().await;
        let refused = "1 use wasi:sockets/tcp-create-socket create-tcp-socket: net_denied, refused";
        assert_eq!((account.host_calls, shown(&account.effects)), (5, vec![refused.to_owned()]));
        transcripts.push(account.transcript.to_bytes());
    }
    assert_eq!(transcripts[0], transcripts[1]);
    let read_back = Transcript::from_bytes(&transcripts[0])?;
    let entries = read_back.into_entries();
    let operations: Vec<_> = read_entries(&entries)?.iter().map(|entry| entry.operation).collect();
    assert_eq!(operations, [303, 101, 301, 600]);
    Ok(())
}

#[tokio::test]
async fn too_many_host_calls_end_the_call() -> wasmtime::Result<()> {
    let limits = Limits { host_calls: 2, ..Limits::STANDARD };
    let mut state = state(&notes(Answer::Allow), Vec::new(), limits);
    state.now()?;
    state.now()?;
    let stopped = state.now().map_err(|error| error.to_string());
    assert_eq!(stopped, Err("the tool made more than 2 host calls, weighted by their work".to_owned()));
    Ok(())
}

/// Nobody can drop a guest that neither waits nor uses fuel. Nothing here yields, as in a guest that only calls the host.
#[tokio::test]
async fn host_calls_end_a_call_whose_time_is_over() -> wasmtime::Result<()> {
    let limits = Limits { deadline: Millis(50), host_calls: u64::MAX, ..Limits::STANDARD };
    let mut state = state(&notes(Answer::Allow), Vec::new(), limits);
    let started = Instant::now();
    let stopped = loop {
        match state.now() {
            Ok(_) if started.elapsed() > Duration::from_secs(5) => break "nothing".to_owned(),
            Ok(_) => {}
            Err(stopped) => break stopped.to_string(),
        }
    };
    assert!(stopped.starts_with("the tool ran longer than its deadline of 50 ms"), "stopped by {stopped}");
    Ok(())
}

#[tokio::test]
async fn an_exit_ends_the_call_with_its_code() {
    let mut state = state(&notes(Answer::Allow), Vec::new(), Limits::STANDARD);
    let ended = exit::Host::exit_with_code(&mut state, 7).map_err(|error| error.to_string());
    assert_eq!(ended, Err("the tool exited with code 7".to_owned()));
}
