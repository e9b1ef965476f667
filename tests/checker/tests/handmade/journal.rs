//! Journals made by hand from `docs/journal.md`, event by event, and what the checker says of them. The tests in `main` use it.

use std::path::Path;

use agent_checker::evidence::{Ack, Evidence, Hit, Spent};
use agent_checker::{Invariant, check};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const RUN: &str = "01hf7yat010w3ge1r70w3ge1r7";
const URL: &str = "http://127.0.0.1:1/pay/1";

const SCHEMA: &str = "
CREATE TABLE entries (number INTEGER PRIMARY KEY, component TEXT NOT NULL, store TEXT NOT NULL, key TEXT NOT NULL,
  value BLOB NOT NULL, digest BLOB NOT NULL, mac BLOB NOT NULL, UNIQUE (component, store, key)) STRICT;
CREATE TABLE runs (number INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, head BLOB NOT NULL,
  epoch INTEGER NOT NULL, holder_pid INTEGER, holder_started INTEGER, holder_place TEXT) STRICT;
CREATE TABLE events (run TEXT NOT NULL, seq INTEGER NOT NULL, epoch INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  version INTEGER NOT NULL, body TEXT, blob BLOB, prev_hash BLOB NOT NULL, hash BLOB NOT NULL, mac BLOB,
  PRIMARY KEY (run, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (number INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, head BLOB NOT NULL,
  fold TEXT NOT NULL, state TEXT NOT NULL, mac BLOB NOT NULL) STRICT;
CREATE TABLE blobs (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;";

/// An event before it is chained: epoch, kind, body.
pub(crate) type Told = (u64, &'static str, Value);

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn named(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest(bytes)))
}

/// Writes a journal with one run, all of which happened in one moment.
pub(crate) fn write(path: &Path, events: &[Told]) -> Vec<[u8; 32]> {
    write_at(path, events, |_| 7)
}

/// The same with the time of each event, by its place.
fn write_at(path: &Path, events: &[Told], time: impl Fn(usize) -> u64) -> Vec<[u8; 32]> {
    let connection = Connection::open(path).expect("a file");
    connection.pragma_update(None, "application_id", 0x4167_486a).expect("it is set");
    connection.pragma_update(None, "user_version", 2).expect("it is set");
    connection.execute_batch(SCHEMA).expect("tables");
    for bytes in [&b"component"[..], b"transcript", b"old"] {
        put(&connection, bytes);
    }
    let (mut head, mut hashes) = ([0; 32], Vec::new());
    for (index, (epoch, kind, body)) in events.iter().enumerate() {
        let (seq, at, text) = (index as u64 + 1, time(index), body.to_string());
        let hash = hash(&head, (seq, *epoch, at), kind, &text);
        let blob = (text.len() > 256).then(|| put(&connection, text.as_bytes()));
        let inline = blob.is_none().then_some(text);
        let sql = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, NULL)";
        let values = (RUN, seq.cast_signed(), epoch.cast_signed(), at.cast_signed(), kind, inline, blob, head, hash);
        connection.execute(sql, values).expect("a row");
        head = hash;
        hashes.push(hash);
    }
    let epoch = events.iter().map(|(epoch, ..)| *epoch).max().unwrap_or(1).cast_signed();
    let sql = "INSERT INTO runs VALUES (1, ?1, ?2, ?3, ?4, NULL, NULL, NULL)";
    connection.execute(sql, (RUN, events.len().cast_signed(), head, epoch)).expect("a row");
    hashes
}

fn put(connection: &Connection, bytes: &[u8]) -> [u8; 32] {
    let digest = digest(bytes);
    connection.execute("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)", (digest, bytes)).expect("a row");
    digest
}

fn hash(prev: &[u8; 32], (seq, epoch, at): (u64, u64, u64), kind: &str, body: &str) -> [u8; 32] {
    let (seq, epoch, at) = (seq.to_le_bytes(), epoch.to_le_bytes(), at.to_le_bytes());
    let (version, body) = (1_u32.to_le_bytes(), digest(body.as_bytes()));
    let fields: [&[u8]; 9] =
        [b"agent-host journal event 1", prev, RUN.as_bytes(), &seq, &epoch, &at, kind.as_bytes(), &version, &body];
    let joined: Vec<u8> =
        fields.iter().flat_map(|field| [&(field.len() as u64).to_le_bytes()[..], field].concat()).collect();
    digest(&joined)
}

pub(crate) fn authority() -> Value {
    json!({"tool": "pay.once", "grant": {}})
}

fn started() -> Told {
    let tool = json!({"descriptor": {"name": "pay.once"}, "component": named(b"component"), "authority": authority()});
    (1, "RunStarted", json!({"tools": [tool], "budget": {"fuel": 100}}))
}

pub(crate) fn asked(turn: u64) -> Told {
    (1, "ModelRequested", json!({"turn": turn, "attempt": 1, "model": 0}))
}

fn replied(turn: u64, text: &str, calls: &[&str]) -> Told {
    let calls: Vec<_> = calls.iter().map(|tool| json!({"id": null, "tool": tool, "arguments": "{}"})).collect();
    let reply = json!({"text": text, "calls": calls, "usage": {"input": 5, "output": 1}, "model": "m"});
    (1, "ModelReplied", json!({"turn": turn, "reply": reply}))
}

pub(crate) fn call_started(epoch: u64, attempt: u64) -> Told {
    let authority = named(authority().to_string().as_bytes());
    (epoch, "ToolStarted", json!({"call": 1, "attempt": attempt, "authority": authority, "fuel": 10}))
}

pub(crate) fn request() -> Value {
    json!({"http": {"method": "POST", "url": URL, "body_bytes": 1, "digest": named(b"body")}})
}

pub(crate) fn intended(epoch: u64, attempt: u64) -> Told {
    let body = json!({"call": 1, "attempt": attempt, "number": 1, "request": request(), "class": "opaque_write", "undo": [],
        "idempotency_key": null, "transcript": named(b"transcript")});
    (epoch, "EffectIntended", body)
}

pub(crate) fn changing(attempt: u64, before: &Value) -> Told {
    let request = json!({"file": {"operation": "write", "path": "/data/a", "to": null}});
    let undo = json!([{"mount": "/data", "path": "a", "before": before, "modified_ns": null}]);
    let body = json!({"call": 1, "attempt": attempt, "number": 2, "request": request, "class": "owned_write", "undo": undo,
        "idempotency_key": null, "transcript": null});
    (1, "EffectIntended", body)
}

pub(crate) fn done(epoch: u64, attempt: u64) -> Told {
    let effect = json!({"number": 1, "request": request(), "class": "opaque_write", "result": {"done": "200"}});
    (epoch, "EffectDone", json!({"call": 1, "attempt": attempt, "effect": effect}))
}

pub(crate) fn finished(epoch: u64, outcome: &Value) -> Told {
    (epoch, "ToolFinished", json!({"call": 1, "outcome": outcome, "metering": {"fuel": {"exact": 3}}, "effects": []}))
}

pub(crate) fn returned() -> Value {
    json!({"returned": {"content": [{"text": "paid"}]}})
}

pub(crate) fn ended(epoch: u64, stop: &str, answer: Option<&str>) -> Told {
    (epoch, "RunEnded", json!({"stop": stop, "answer": answer, "detail": null}))
}

/// The same event of a host that took the run over.
pub(crate) fn of_epoch(epoch: u64, (_, kind, body): Told) -> Told {
    (epoch, kind, body)
}

pub(crate) fn resumed(epoch: u64) -> Told {
    (epoch, "RunResumed", json!({"budget": {"fuel": 100}}))
}

pub(crate) fn doubt(epoch: u64) -> Told {
    (epoch, "ToolInDoubt", json!({"call": 1, "request": request(), "reason": "nobody knows"}))
}

pub(crate) fn resolved(epoch: u64, resolution: &Value) -> Told {
    (epoch, "DoubtResolved", json!({"call": 1, "resolution": resolution}))
}

/// One payment, nothing in its way.
pub(crate) fn sound() -> Vec<Told> {
    let mut events = vec![started(), asked(1), replied(1, "", &["pay__once"]), call_started(1, 1), intended(1, 1)];
    events.extend([done(1, 1), finished(1, &returned()), asked(2), replied(2, "paid", &[])]);
    events.push(ended(1, "completed", Some("paid")));
    events
}

/// The host was killed after the payment had been announced, and a person said: again.
pub(crate) fn doubted() -> Vec<Told> {
    let mut events = sound()[..5].to_vec();
    events.extend([resumed(2), doubt(2), ended(2, "suspended-doubt", None), resolved(3, &json!("retry")), resumed(4)]);
    events.extend([call_started(4, 2), intended(4, 2), done(4, 2), finished(4, &returned())]);
    events
}

/// The same, and the run was stopped before the attempt which goes on from there had sent anything: in doubt once more, and resolved in
/// the same way.
pub(crate) fn doubted_twice() -> Vec<Told> {
    let mut events = doubted()[..10].to_vec();
    events.extend([going_on(call_started(4, 2)), doubt(4), ended(4, "cancelled", None)]);
    events.extend([resolved(5, &json!("retry")), resumed(6)]);
    let (_, kind, mut again) = call_started(6, 3);
    again["continues"] = json!(2);
    events.extend([(6, kind, again), intended(6, 3), done(6, 3), finished(6, &returned()), of_epoch(6, asked(2))]);
    events
}

/// The host was killed after the payment had been answered, and the next attempt continues from there: twice.
pub(crate) fn continued() -> Vec<Told> {
    let continues = |epoch, attempt| {
        let (_, kind, mut body) = call_started(epoch, attempt);
        body["continues"] = json!(attempt - 1);
        (epoch, kind, body)
    };
    let mut events = sound()[..6].to_vec();
    events.extend([resumed(2), continues(2, 2), resumed(3), continues(3, 3)]);
    let (_, kind, mut body) = finished(3, &returned());
    body["effects"] = json!([done(1, 1).2["effect"]]);
    events.push((3, kind, body));
    events
}

/// The same event of a write that carries a key.
fn keyed((epoch, kind, mut body): Told) -> Told {
    body["class"] = json!("keyed_write");
    body["idempotency_key"] = json!("ah1-key");
    (epoch, kind, body)
}

/// The same attempt, as one that goes on from the one before.
pub(crate) fn going_on((epoch, kind, mut body): Told) -> Told {
    body["continues"] = json!(1);
    (epoch, kind, body)
}

/// A keyed write without an answer: its attempt is given up, in a living host, and the next one sends it again.
pub(crate) fn sent_again() -> Vec<Told> {
    let mut events = sound()[..4].to_vec();
    events.push(keyed(intended(1, 1)));
    events.push((1, "ToolSuspended", json!({"call": 1, "attempt": 1, "reason": "unanswered"})));
    events.extend([going_on(call_started(1, 2)), keyed(intended(1, 2)), done(1, 2), finished(1, &returned())]);
    events
}

pub(crate) fn hit() -> Hit {
    Hit { method: "POST".to_owned(), url: URL.to_owned(), key: None, acted: true }
}

pub(crate) fn spent() -> Spent {
    Spent { turns: 2, tool_calls: 1, input_tokens: 10, output_tokens: 2, fuel: 3 }
}

pub(crate) fn told_ended() -> Ack {
    Ack::Ended { run: RUN.to_owned(), stop: "completed".to_owned(), answer: Some("paid".to_owned()), spent: spent() }
}

/// What is wrong first: the promise, the event, and a word of what is said.
pub(crate) fn first(events: &[Told], evidence: &Evidence) -> Option<(Invariant, Option<u64>, String)> {
    first_at(events, evidence, |_| 7)
}

/// The same of a run whose events have these times, by their places.
pub(crate) fn first_at(
    events: &[Told],
    evidence: &Evidence,
    time: impl Fn(usize) -> u64,
) -> Option<(Invariant, Option<u64>, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    write_at(&path, events, time);
    let first = check(&path, evidence).into_iter().next()?;
    Some((first.invariant, first.seq, first.to_string()))
}

#[track_caller]
pub(crate) fn caught(events: &[Told], evidence: &Evidence, invariant: Invariant, seq: Option<u64>, word: &str) {
    let found = first(events, evidence).unwrap_or_else(|| panic!("nothing was found: {word}"));
    assert_eq!((found.0, found.1), (invariant, seq), "{}", found.2);
    assert!(found.2.contains(word), "{}", found.2);
}

pub(crate) fn nothing() -> Evidence {
    Evidence::default()
}
