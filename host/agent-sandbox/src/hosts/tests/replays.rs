//! Calls that are done again along their record: resumed in their middle, and offline. The guest here reads half a file, lists
//! half a folder, looks at the clock, sleeps, writes a file and pays; then it reads and lists the rest and writes what it got.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent_core::grant::Access;
use agent_core::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, HostDescriptor, HostDirectoryEntryStream, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynOutputStream, StreamError};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    FutureIncomingResponse, HostFields, HostFutureIncomingResponse, HostIncomingBody, HostIncomingResponse,
    HostOutgoingBody, HostOutgoingRequest, Method, Scheme,
};
use wasmtime_wasi_io::bindings::wasi::io::poll::HostPollable;
use wasmtime_wasi_io::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};

use super::keeper::Keeper;
use super::support::{Answer, mount, shown, state_of};
use super::undoing::undo_with;
use crate::gate::EffectGate;
use crate::replay::{Replay, ReplayEnd};
use crate::state::{Account, CallState};
use crate::transcript::Transcript;
use crate::undo::{Ledger, Restarted};

/// A server that counts what it answers.
pub(super) struct Bank {
    url: String,
    hits: Arc<AtomicUsize>,
}

impl Bank {
    async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (url, hits) = (listener.local_addr()?.to_string(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&hits);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"10 coins") && !request.starts_with(b"GET") {
                    let mut piece = [0; 1024];
                    match stream.read(&mut piece).await {
                        Ok(length @ 1..) => request.extend(&piece[..length]),
                        Ok(_) | Err(_) => break,
                    }
                }
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                let body = format!("receipt {number}");
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(Self { url, hits })
    }

    pub(super) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

/// How a guest behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Habits<'a> {
    pub(super) bank: &'a str,
    pub(super) path: &'a str,
    /// Stops here, as a killed host does: the rest is lost.
    pub(super) stops_after_paying: bool,
}

pub(super) type Told = Result<String, String>;

fn text(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}

fn stream_text(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) | StreamError::Trap(error) => format!("{error:#}"),
    }
}

fn borrowed<T: 'static>(handle: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(handle.rep())
}

/// The guest.
async fn errand(state: &mut CallState, habits: Habits<'_>) -> Told {
    let mut said = Vec::new();
    let (root, _) = state.get_directories().map_err(text)?.pop().ok_or("no mount")?;
    let read = DescriptorFlags::READ;
    let none = OpenFlags::empty();
    let orders = state.open_at(borrowed(&root), PathFlags::empty(), "orders".into(), none, read).await.map_err(text)?;
    let lines = state.read_via_stream(borrowed(&orders), 0).map_err(text)?;
    let first = HostInputStream::blocking_read(state, borrowed(&lines), 4).await.map_err(stream_text)?;
    said.push(String::from_utf8_lossy(&first).into_owned());
    let missing = state.open_at(borrowed(&root), PathFlags::empty(), "missing".into(), none, read).await;
    said.push(format!("missing: {}", missing.is_err()));
    let names = state.read_directory(borrowed(&root)).await.map_err(text)?;
    let mut seen = vec![state.read_directory_entry(borrowed(&names)).await.map_err(text)?.map(|entry| entry.name)];
    let before = monotonic_clock::Host::now(state).map_err(text)?;
    let timer = monotonic_clock::Host::subscribe_duration(state, 20_000_000).map_err(text)?;
    HostPollable::block(state, timer).await.map_err(text)?;
    said.push(format!("slept {}", monotonic_clock::Host::now(state).map_err(text)?.wrapping_sub(before)));
    said.push(format!("at {}", wall_clock::Host::now(state).map_err(text)?.seconds));

    write(state, &root, "log", OpenFlags::CREATE, "paying").await?;
    said.push(pay(state, habits).await?);
    if habits.stops_after_paying {
        return Err("killed".to_owned());
    }
    let rest = HostInputStream::blocking_read(state, borrowed(&lines), 100).await.map_err(stream_text)?;
    said.push(String::from_utf8_lossy(&rest).into_owned());
    while let Some(entry) = state.read_directory_entry(borrowed(&names)).await.map_err(text)? {
        seen.push(Some(entry.name));
    }
    seen.sort();
    said.push(format!("{seen:?}"));
    write(state, &root, "receipt", OpenFlags::CREATE, &said.join("|")).await?;
    Ok(said.join("|"))
}

/// As `std` writes: asks for room, waits for it, writes, flushes.
async fn write(
    state: &mut CallState,
    root: &Resource<wasmtime_wasi::filesystem::Descriptor>,
    name: &str,
    open: OpenFlags,
    content: &str,
) -> Result<(), String> {
    let flags = DescriptorFlags::WRITE;
    let file = state.open_at(borrowed(root), PathFlags::empty(), name.into(), open, flags).await.map_err(text)?;
    let stream = state.write_via_stream(borrowed(&file), 0).map_err(text)?;
    put(state, &stream, content).await
}

async fn put(state: &mut CallState, stream: &Resource<DynOutputStream>, content: &str) -> Result<(), String> {
    while state.check_write(borrowed(stream)).map_err(stream_text)? == 0 {
        let room = HostOutputStream::subscribe(state, borrowed(stream)).map_err(text)?;
        HostPollable::block(state, borrowed(&room)).await.map_err(text)?;
        HostPollable::drop(state, room).map_err(text)?;
    }
    HostOutputStream::write(state, borrowed(stream), content.into()).map_err(stream_text)?;
    state.blocking_flush(borrowed(stream)).await.map_err(stream_text)
}

async fn pay(state: &mut CallState, habits: Habits<'_>) -> Told {
    let answer = order(state, habits).await?;
    receipt(state, answer).await
}

/// Sends the money, and does not wait.
pub(super) async fn order(
    state: &mut CallState,
    habits: Habits<'_>,
) -> Result<Resource<FutureIncomingResponse>, String> {
    let fields = HostFields::new(state).map_err(text)?;
    let request = HostOutgoingRequest::new(state, fields).map_err(text)?;
    let set = |done: wasmtime::Result<Result<(), ()>>| done.map_err(text)?.map_err(|()| "not set".to_owned());
    set(state.set_method(borrowed(&request), Method::Post))?;
    set(state.set_scheme(borrowed(&request), Some(Scheme::Http)))?;
    set(state.set_authority(borrowed(&request), Some(habits.bank.to_owned())))?;
    set(state.set_path_with_query(borrowed(&request), Some(habits.path.to_owned())))?;
    let body = HostOutgoingRequest::body(state, borrowed(&request)).map_err(text)?.map_err(|()| "no body")?;
    let stream = HostOutgoingBody::write(state, borrowed(&body)).map_err(text)?.map_err(|()| "no stream")?;
    let answer = state.handle(request, None).map_err(text)?;
    put(state, &stream, "10 coins").await?;
    HostOutputStream::drop(state, stream).await.map_err(text)?;
    HostOutgoingBody::finish(state, body, None).map_err(text)?;
    Ok(answer)
}

/// Waits for what the bank says.
pub(super) async fn receipt(state: &mut CallState, answer: Resource<FutureIncomingResponse>) -> Told {
    let ready = HostFutureIncomingResponse::subscribe(state, borrowed(&answer)).map_err(text)?;
    HostPollable::block(state, ready).await.map_err(text)?;
    let answer = HostFutureIncomingResponse::get(state, answer).map_err(text)?.ok_or("not ready")?;
    let response = answer.map_err(|()| "taken")?.map_err(text)?;
    let status = HostIncomingResponse::status(state, borrowed(&response)).map_err(text)?;
    let body = HostIncomingResponse::consume(state, response).map_err(text)?.map_err(|()| "consumed")?;
    let stream = HostIncomingBody::stream(state, body).map_err(text)?.map_err(|()| "streamed")?;
    let first = HostInputStream::blocking_read(state, borrowed(&stream), 4).await.map_err(stream_text)?;
    let rest = HostInputStream::blocking_read(state, borrowed(&stream), 100).await.map_err(stream_text)?;
    Ok(format!("{status} {}", String::from_utf8_lossy(&[first, rest].concat())))
}

/// A folder with orders, and what a call in it came to.
pub(super) struct Shop {
    pub(super) temp: tempfile::TempDir,
    pub(super) bank: Bank,
}

impl Shop {
    pub(super) async fn open() -> io::Result<Self> {
        let temp = tempfile::tempdir()?;
        std::fs::write(temp.path().join("orders"), "one two three")?;
        for name in ["a", "b", "c"] {
            std::fs::write(temp.path().join(name), name)?;
        }
        Ok(Self { temp, bank: Bank::open().await? })
    }

    pub(super) fn habits(&self) -> Habits<'_> {
        Habits { bank: &self.bank.url, path: "/pay", stops_after_paying: false }
    }

    async fn call(&self, gate: &Arc<Keeper>, replay: Option<Replay>, habits: Habits<'_>) -> (Told, Account) {
        let gate = Arc::clone(gate) as Arc<dyn EffectGate>;
        let mounts = vec![mount(self.temp.path(), "/data", Access::Write)];
        let mut state = state_of(gate, mounts, Limits::STANDARD, replay);
        let said = errand(&mut state, habits).await;
        (said, state.finish().await)
    }

    /// A call that is killed after it has paid, and undone.
    async fn killed(&self, gate: &Arc<Keeper>) -> io::Result<Replay> {
        let habits = Habits { stops_after_paying: true, ..self.habits() };
        let (said, _) = self.call(gate, None, habits).await;
        assert_eq!(said, Err("killed".to_owned()));
        let entries = gate.kept(|kept| std::mem::take(&mut kept.undo));
        let (mounts, marks) = ([mount(self.temp.path(), "/data", Access::Write)], gate.kept(|kept| kept.marks.clone()));
        let mut ledger = Ledger::new(Restarted::No);
        ledger.follow(&mounts, entries.iter().map(|undo| &undo.entry), &marks).map_err(io::Error::other)?;
        undo_with(&mut ledger, &mounts, &entries, &mut |_, _| Ok(())).map_err(io::Error::other)?;
        assert_eq!(read(self.temp.path(), "log"), None);
        Ok(gate.replay())
    }
}

fn read(folder: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(name)).ok()
}

const SAID: &str = "one |missing: true|slept 20000000|at 1700000000|200 receipt 1|two three|\
    [Some(\"a\"), Some(\"b\"), Some(\"c\"), Some(\"orders\")]";

#[tokio::test]
async fn a_call_goes_on_where_it_was_killed_and_pays_once() -> io::Result<()> {
    let uninterrupted = Shop::open().await?;
    let (said, account) = uninterrupted.call(&Keeper::new(Answer::Allow), None, uninterrupted.habits()).await;
    assert_eq!(said.as_deref().map(|said| said.replace("Some(\"log\"), ", "")), Ok(SAID.to_owned()));

    let shop = Shop::open().await?;
    let replay = shop.killed(&Keeper::new(Answer::Allow)).await?;
    let told = replay.transcript.len();
    assert!(told > 20, "{told}");
    let gate = Keeper::new(Answer::Allow);
    let (resumed, again) = shop.call(&gate, Some(replay.clone()), shop.habits()).await;
    assert_eq!((resumed, again.divergence, shop.bank.hits()), (said.clone(), None, 1));
    assert_eq!(again.host_calls, account.host_calls);
    assert_eq!(again.transcript.len(), account.transcript.len());
    assert_eq!(read(shop.temp.path(), "receipt"), said.ok());
    // What was written then is announced again; nothing was sent.
    assert_eq!(gate.kept(|kept| kept.lines.clone()), ["change 4", "change 6"]);
    let bank = &shop.bank.url;
    let effects: Vec<_> = shown(&again.effects).iter().map(|line| line.replace(bank.as_str(), "bank")).collect();
    assert_eq!(
        effects,
        shown(&account.effects)
            .iter()
            .map(|line| line.replace(uninterrupted.bank.url.as_str(), "bank"))
            .collect::<Vec<_>>()
    );
    let replayed: Vec<_> = again.effects.iter().map(|effect| effect.replayed).collect();
    assert!(replayed.iter().filter(|replayed| **replayed).count() >= 5, "{replayed:?}");
    assert_eq!(again.effects.last().map(|effect| effect.replayed), Some(false));
    Ok(())
}

#[tokio::test]
async fn a_keyed_write_without_an_answer_is_sent_again() -> io::Result<()> {
    let shop = Shop::open().await?;
    let mut replay = shop.killed(&Keeper::new(Answer::AllowKeyed)).await?;
    replay.answers.clear();
    let gate = Keeper::new(Answer::AllowKeyed);
    let (resumed, again) = shop.call(&gate, Some(replay), shop.habits()).await;
    assert_eq!((again.divergence, shop.bank.hits()), (None, 2));
    assert!(resumed.is_ok_and(|said| said.contains("receipt 2")));
    assert!(gate.kept(|kept| kept.lines.contains(&"send 5".to_owned())));
    // What the journal has of the transcript is not given to it again.
    assert_eq!(gate.kept(|kept| kept.parts[0].len()), 0);
    Ok(())
}

/// A person's word for one effect is for none that happens now.
#[tokio::test]
async fn the_gate_is_told_what_is_only_done_again() -> io::Result<()> {
    let shop = Shop::open().await?;
    let gate = Keeper::new(Answer::AllowKeyed);
    let replay = shop.killed(&gate).await?;
    let asked = |gate: &Keeper| gate.kept(|kept| (kept.decided.clone(), kept.decided_again.clone()));
    let told = |gate: &Keeper| gate.kept(|kept| kept.decided_told.clone());
    assert_eq!((asked(&gate), told(&gate)), ((vec![1, 2, 3, 4, 5], vec![]), vec![]));
    // What was paid is told, and not even decided about.
    let gate = Keeper::new(Answer::AllowKeyed);
    let (_, account) = shop.call(&gate, Some(replay.clone()), shop.habits()).await;
    assert_eq!((account.divergence, asked(&gate), told(&gate)), (None, (vec![6], vec![1, 3, 4]), vec![2]));
    // Without an answer it is sent again, though the guest is still told of what came before.
    let gate = Keeper::new(Answer::AllowKeyed);
    let (_, account) = shop.call(&gate, Some(Replay { answers: BTreeMap::new(), ..replay }), shop.habits()).await;
    assert_eq!((account.divergence, asked(&gate), told(&gate)), (None, (vec![5, 6], vec![1, 3, 4]), vec![2]));
    Ok(())
}

#[tokio::test]
async fn another_request_ends_the_call_and_names_both() -> io::Result<()> {
    let shop = Shop::open().await?;
    let replay = shop.killed(&Keeper::new(Answer::Allow)).await?;
    let habits = Habits { path: "/pay-more", ..shop.habits() };
    let (resumed, again) = shop.call(&Keeper::new(Answer::Allow), Some(replay), habits).await;
    let why = resumed.err().or(again.divergence).unwrap_or_default();
    assert!(why.contains("SendRequest") || why.contains("/pay-more"), "{why}");
    assert_eq!(shop.bank.hits(), 1);
    Ok(())
}

#[tokio::test]
async fn a_changed_world_that_the_call_depends_on_is_named() -> io::Result<()> {
    let shop = Shop::open().await?;
    let replay = shop.killed(&Keeper::new(Answer::Allow)).await?;
    std::fs::remove_file(shop.temp.path().join("orders"))?;
    let (resumed, _) = shop.call(&Keeper::new(Answer::Allow), Some(replay), shop.habits()).await;
    let why = resumed.err().unwrap_or_default();
    assert!(why.contains("OpenAt, the host did it; now it cannot"), "{why}");
    assert_eq!(shop.bank.hits(), 1);
    Ok(())
}

#[tokio::test]
async fn what_was_only_looked_at_may_have_changed() -> io::Result<()> {
    let shop = Shop::open().await?;
    let replay = shop.killed(&Keeper::new(Answer::Allow)).await?;
    std::fs::write(shop.temp.path().join("orders"), "ONE two and a half")?;
    std::fs::write(shop.temp.path().join("missing"), "no more")?;
    let (resumed, again) = shop.call(&Keeper::new(Answer::Allow), Some(replay), shop.habits()).await;
    assert_eq!((again.divergence, shop.bank.hits()), (None, 1));
    // What was read then is as it was; what comes after is as it is.
    let said = resumed.unwrap_or_else(|why| why);
    assert!(said.starts_with("one |missing: true|") && said.contains("|two and a half|"), "{said}");
    Ok(())
}

#[tokio::test]
async fn offline_nothing_is_touched() -> io::Result<()> {
    let shop = Shop::open().await?;
    let gate = Keeper::new(Answer::Allow);
    let (said, account) = shop.call(&gate, None, shop.habits()).await;
    let answers = gate.kept(|kept| kept.answers.clone());
    let end = || ReplayEnd::StayOffline { effects: account.effects.clone() };
    let replay = Replay { transcript: account.transcript.clone(), answers: answers.clone(), end: end() };
    let offline = |replay| {
        let mut state = state_of(Keeper::new(Answer::Closed), Vec::new(), Limits::STANDARD, Some(replay));
        let habits = shop.habits();
        async move {
            let said = errand(&mut state, habits).await;
            (said, state.finish().await)
        }
    };
    let hits = shop.bank.hits();
    let (again, replayed) = offline(replay).await;
    assert_eq!((&again, &replayed.divergence, shop.bank.hits()), (&said, &None, hits));
    assert_eq!(replayed.transcript, account.transcript);
    assert_eq!((replayed.host_calls, replayed.effects), (account.host_calls, account.effects.clone()));

    // Cut short, it says where.
    let whole = usize::try_from(account.transcript.len()).unwrap_or(usize::MAX);
    let bytes = account.transcript.to_bytes();
    let mut cuts = 0;
    for length in 6..bytes.len() {
        let Ok(transcript) = Transcript::from_bytes(&bytes[..length]) else { continue };
        cuts += 1;
        let count = transcript.len();
        let (again, _) = offline(Replay { transcript, answers: answers.clone(), end: end() }).await;
        let why = again.err().unwrap_or_default();
        assert!(why.contains(&format!("the record ends after answer {count}")), "{count}: {why}");
    }
    assert_eq!(cuts, whole, "a cut between any two entries was tried");

    // An answer that was tampered with is refused or told; a request that was is named.
    let mut tampered = 0;
    for place in 6..bytes.len() {
        let mut other = bytes.clone();
        other[place] ^= 0x40;
        let Ok(transcript) = Transcript::from_bytes(&other) else { continue };
        let (again, replayed) = offline(Replay { transcript, answers: answers.clone(), end: end() }).await;
        tampered += usize::from(again != said || replayed.divergence.is_some());
    }
    assert!(tampered > whole, "{tampered}");
    assert_eq!(shop.bank.hits(), hits);
    Ok(())
}
