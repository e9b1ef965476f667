//! Journals made by hand from `docs/journal.md`: a sound one passes, and one that breaks a promise is caught at the right place.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use agent_checker::evidence::{Ack, Evidence, Hit, Spent};
use agent_checker::{Invariant, check, reference_of};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const RUN: &str = "01hf7yat010w3ge1r70w3ge1r7";
const URL: &str = "http://127.0.0.1:1/pay/1";

const SCHEMA: &str = "
CREATE TABLE entries (number INTEGER PRIMARY KEY, component TEXT NOT NULL, store TEXT NOT NULL, key TEXT NOT NULL,
  value BLOB NOT NULL, digest BLOB NOT NULL, mac BLOB NOT NULL, UNIQUE (component, store, key)) STRICT;
CREATE TABLE runs (number INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, head BLOB NOT NULL,
  epoch INTEGER NOT NULL, holder_pid INTEGER, holder_started INTEGER, holder_place TEXT) STRICT;
CREATE TABLE events (run TEXT NOT NULL, seq INTEGER NOT NULL, epoch INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  version INTEGER NOT NULL, body TEXT, blob BLOB, prev_hash BLOB NOT NULL, hash BLOB NOT NULL, mac BLOB,
  PRIMARY KEY (run, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;";

/// An event before it is chained: epoch, kind, body.
type Told = (u64, &'static str, Value);

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn named(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest(bytes)))
}

/// Writes a journal with one run.
fn write(path: &Path, events: &[Told]) -> Vec<[u8; 32]> {
    let connection = Connection::open(path).expect("a file");
    connection.pragma_update(None, "application_id", 0x4167_486a).expect("it is set");
    connection.pragma_update(None, "user_version", 1).expect("it is set");
    connection.execute_batch(SCHEMA).expect("tables");
    for bytes in [&b"component"[..], b"transcript", b"old"] {
        put(&connection, bytes);
    }
    let (mut head, mut hashes) = ([0; 32], Vec::new());
    for (index, (epoch, kind, body)) in events.iter().enumerate() {
        let (seq, text) = (index as u64 + 1, body.to_string());
        let hash = hash(&head, seq, *epoch, kind, &text);
        let blob = (text.len() > 256).then(|| put(&connection, text.as_bytes()));
        let inline = blob.is_none().then_some(text);
        let sql = "INSERT INTO events VALUES (?1, ?2, ?3, 7, ?4, 1, ?5, ?6, ?7, ?8, NULL)";
        let values = (RUN, seq.cast_signed(), epoch.cast_signed(), kind, inline, blob, head, hash);
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

fn hash(prev: &[u8; 32], seq: u64, epoch: u64, kind: &str, body: &str) -> [u8; 32] {
    let (seq, epoch, at) = (seq.to_le_bytes(), epoch.to_le_bytes(), 7_u64.to_le_bytes());
    let (version, body) = (1_u32.to_le_bytes(), digest(body.as_bytes()));
    let fields: [&[u8]; 9] =
        [b"agent-host journal event 1", prev, RUN.as_bytes(), &seq, &epoch, &at, kind.as_bytes(), &version, &body];
    let joined: Vec<u8> =
        fields.iter().flat_map(|field| [&(field.len() as u64).to_le_bytes()[..], field].concat()).collect();
    digest(&joined)
}

fn authority() -> Value {
    json!({"tool": "pay.once", "grant": {}})
}

fn started() -> Told {
    let tool = json!({"descriptor": {"name": "pay.once"}, "component": named(b"component"), "authority": authority()});
    (1, "RunStarted", json!({"tools": [tool], "budget": {"fuel": 100}}))
}

fn asked(turn: u64) -> Told {
    (1, "ModelRequested", json!({"turn": turn, "attempt": 1, "model": 0}))
}

fn replied(turn: u64, text: &str, calls: &[&str]) -> Told {
    let calls: Vec<_> = calls.iter().map(|tool| json!({"id": null, "tool": tool, "arguments": "{}"})).collect();
    let reply = json!({"text": text, "calls": calls, "usage": {"input": 5, "output": 1}, "model": "m"});
    (1, "ModelReplied", json!({"turn": turn, "reply": reply}))
}

fn call_started(epoch: u64, attempt: u64) -> Told {
    let authority = named(authority().to_string().as_bytes());
    (epoch, "ToolStarted", json!({"call": 1, "attempt": attempt, "authority": authority, "fuel": 10}))
}

fn request() -> Value {
    json!({"http": {"method": "POST", "url": URL, "body_bytes": 1, "digest": named(b"body")}})
}

fn intended(epoch: u64, attempt: u64) -> Told {
    let body = json!({"call": 1, "attempt": attempt, "number": 1, "request": request(), "class": "opaque_write", "undo": [],
        "idempotency_key": null, "transcript": named(b"transcript")});
    (epoch, "EffectIntended", body)
}

fn changing(attempt: u64, before: &Value) -> Told {
    let request = json!({"file": {"operation": "write", "path": "/data/a", "to": null}});
    let undo = json!([{"mount": "/data", "path": "a", "before": before, "modified_ns": null}]);
    let body = json!({"call": 1, "attempt": attempt, "number": 2, "request": request, "class": "owned_write", "undo": undo,
        "idempotency_key": null, "transcript": null});
    (1, "EffectIntended", body)
}

fn done(epoch: u64, attempt: u64) -> Told {
    let effect = json!({"number": 1, "request": request(), "class": "opaque_write", "result": {"done": "200"}});
    (epoch, "EffectDone", json!({"call": 1, "attempt": attempt, "effect": effect}))
}

fn finished(epoch: u64, outcome: &Value) -> Told {
    (epoch, "ToolFinished", json!({"call": 1, "outcome": outcome, "metering": {"fuel": {"exact": 3}}, "effects": []}))
}

fn returned() -> Value {
    json!({"returned": {"content": [{"text": "paid"}]}})
}

fn ended(epoch: u64, stop: &str, answer: Option<&str>) -> Told {
    (epoch, "RunEnded", json!({"stop": stop, "answer": answer, "detail": null}))
}

/// The same event of a host that took the run over.
fn of_epoch(epoch: u64, (_, kind, body): Told) -> Told {
    (epoch, kind, body)
}

fn resumed(epoch: u64) -> Told {
    (epoch, "RunResumed", json!({"budget": {"fuel": 100}}))
}

fn doubt(epoch: u64) -> Told {
    (epoch, "ToolInDoubt", json!({"call": 1, "request": request(), "reason": "nobody knows"}))
}

fn resolved(epoch: u64, resolution: &Value) -> Told {
    (epoch, "DoubtResolved", json!({"call": 1, "resolution": resolution}))
}

/// One payment, nothing in its way.
fn sound() -> Vec<Told> {
    let mut events = vec![started(), asked(1), replied(1, "", &["pay__once"]), call_started(1, 1), intended(1, 1)];
    events.extend([done(1, 1), finished(1, &returned()), asked(2), replied(2, "paid", &[])]);
    events.push(ended(1, "completed", Some("paid")));
    events
}

/// The host was killed after the payment had been announced, and a person said: again.
fn doubted() -> Vec<Told> {
    let mut events = sound()[..5].to_vec();
    events.extend([resumed(2), doubt(2), ended(2, "suspended-doubt", None), resolved(3, &json!("retry")), resumed(4)]);
    events.extend([call_started(4, 2), intended(4, 2), done(4, 2), finished(4, &returned())]);
    events
}

/// The same, and the run was stopped before the attempt which goes on from there had sent anything: in doubt once more, and resolved in
/// the same way.
fn doubted_twice() -> Vec<Told> {
    let mut events = doubted()[..10].to_vec();
    events.extend([going_on(call_started(4, 2)), doubt(4), ended(4, "cancelled", None)]);
    events.extend([resolved(5, &json!("retry")), resumed(6)]);
    let (_, kind, mut again) = call_started(6, 3);
    again["continues"] = json!(2);
    events.extend([(6, kind, again), intended(6, 3), done(6, 3), finished(6, &returned()), of_epoch(6, asked(2))]);
    events
}

/// The host was killed after the payment had been answered, and the next attempt continues from there: twice.
fn continued() -> Vec<Told> {
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
fn going_on((epoch, kind, mut body): Told) -> Told {
    body["continues"] = json!(1);
    (epoch, kind, body)
}

/// A keyed write without an answer: its attempt is given up, in a living host, and the next one sends it again.
fn sent_again() -> Vec<Told> {
    let mut events = sound()[..4].to_vec();
    events.push(keyed(intended(1, 1)));
    events.push((1, "ToolSuspended", json!({"call": 1, "attempt": 1, "reason": "unanswered"})));
    events.extend([going_on(call_started(1, 2)), keyed(intended(1, 2)), done(1, 2), finished(1, &returned())]);
    events
}

fn hit() -> Hit {
    Hit { method: "POST".to_owned(), url: URL.to_owned(), key: None, acted: true }
}

fn spent() -> Spent {
    Spent { turns: 2, tool_calls: 1, input_tokens: 10, output_tokens: 2, fuel: 3 }
}

fn told_ended() -> Ack {
    Ack::Ended { run: RUN.to_owned(), stop: "completed".to_owned(), answer: Some("paid".to_owned()), spent: spent() }
}

/// What is wrong first: the promise, the event, and a word of what is said.
fn first(events: &[Told], evidence: &Evidence) -> Option<(Invariant, Option<u64>, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    write(&path, events);
    let first = check(&path, evidence).into_iter().next()?;
    Some((first.invariant, first.seq, first.to_string()))
}

#[track_caller]
fn caught(events: &[Told], evidence: &Evidence, invariant: Invariant, seq: Option<u64>, word: &str) {
    let found = first(events, evidence).unwrap_or_else(|| panic!("nothing was found: {word}"));
    assert_eq!((found.0, found.1), (invariant, seq), "{}", found.2);
    assert!(found.2.contains(word), "{}", found.2);
}

fn nothing() -> Evidence {
    Evidence::default()
}

#[test]
fn sound_journals_pass() {
    let evidence = Evidence { acks: vec![told_ended()], hits: Some(vec![hit()]), ..Evidence::default() };
    assert_eq!(first(&sound(), &evidence), None);
    assert_eq!(first(&doubted(), &Evidence { hits: Some(vec![hit(), hit()]), ..nothing() }), None);
    assert_eq!(first(&continued(), &Evidence { hits: Some(vec![hit()]), ..nothing() }), None);
    assert_eq!(first(&doubted_twice(), &Evidence { hits: Some(vec![hit(), hit()]), ..nothing() }), None);
    assert_eq!(first(&sent_again(), &nothing()), None);
    let mut stopped = sent_again()[..5].to_vec();
    stopped.push(finished(1, &json!({"faulted": {"fault": "guest_trap", "message": "trap"}})));
    assert_eq!(first(&stopped, &nothing()), None, "the keyed write of a call that was stopped");
    let mut along = doubted();
    along[10] = going_on(call_started(4, 2));
    assert_eq!(first(&along, &Evidence { hits: Some(vec![hit(), hit()]), ..nothing() }), None, "along its record");
}

#[test]
fn i1_a_lost_event_or_end() {
    let seen = |seq| Ack::Seen { run: RUN.to_owned(), seq, hash: "ab".repeat(32), epoch: 1 };
    let with = |ack| Evidence { acks: vec![ack], ..Evidence::default() };
    caught(&sound(), &with(seen(99)), Invariant::I1, Some(99), "gone");
    caught(&sound(), &with(seen(3)), Invariant::I1, Some(3), "another event");
    caught(&sound()[..9], &with(told_ended()), Invariant::I1, None, "does not know");
}

#[test]
fn i2_another_course_than_without_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("reference.db");
    write(&path, &sound());
    let reference = reference_of(&path).expect("it is sound");
    let mut events = sound();
    events[6] = finished(1, &json!({"returned": {"content": [{"text": "paid 2"}]}}));
    let evidence = Evidence { references: [(String::new(), reference)].into(), ..Evidence::default() };
    assert_eq!(first(&sound(), &evidence), None);
    caught(&events, &evidence, Invariant::I2, None, "came out differently");
}

#[test]
fn i3_a_conversation_with_a_hole() {
    let mut events = sound()[..4].to_vec();
    events.push(asked(2));
    caught(&events, &nothing(), Invariant::I3, Some(5), "no outcome");
    let mut events = sound();
    events[9] = ended(1, "completed", Some("something else"));
    caught(&events, &nothing(), Invariant::I3, Some(10), "said last");
}

#[test]
fn i4_a_payment_made_twice() {
    let twice = Evidence { hits: Some(vec![hit(), hit()]), ..Evidence::default() };
    caught(&sound(), &twice, Invariant::I4, None, "happened 2 times");
    // The host forgot what it had announced and runs the call again.
    let mut events = sound()[..5].to_vec();
    events.extend([resumed(2), call_started(2, 2)]);
    caught(&events, &nothing(), Invariant::I4, Some(7), "may have happened");
    // Its answer was recorded, and yet it begins at the start.
    let mut events = sound()[..6].to_vec();
    events.extend([resumed(2), call_started(2, 2)]);
    caught(&events, &nothing(), Invariant::I4, Some(8), "from its start");
    // It was continued once, and then begun at the start.
    let mut events = continued()[..9].to_vec();
    events.push(call_started(3, 3));
    caught(&events, &nothing(), Invariant::I4, Some(10), "from its start");
    // It is continued, and announces again what was answered.
    let mut events = continued()[..8].to_vec();
    events.push(intended(2, 2));
    caught(&events, &nothing(), Invariant::I6, Some(9), "was announced before");
    // Nor were its files restored before a person's word had it made again.
    let mut events = sound()[..4].to_vec();
    events.extend([changing(1, &json!("absent")), resumed(2), doubt(2), resolved(2, &json!("retry"))]);
    events.push(call_started(2, 2));
    caught(&events, &nothing(), Invariant::I4, Some(9), "before its changes were undone");
    // Files that it had changed were not restored.
    let mut events = sound()[..4].to_vec();
    events.extend([changing(1, &json!("absent")), resumed(2), call_started(2, 2)]);
    caught(&events, &nothing(), Invariant::I4, Some(7), "before its changes were undone");
}

#[test]
fn i5_an_effect_that_nobody_announced() {
    let evidence = Evidence { hits: Some(vec![hit()]), ..Evidence::default() };
    caught(&sound()[..4], &evidence, Invariant::I5, None, "no run had announced");
    let mut events = sound();
    events.remove(4);
    caught(&events, &nothing(), Invariant::I5, Some(5), "never announced");
    let mut events = sound()[..4].to_vec();
    events.push(changing(1, &json!({"content": {"digest": named(b"not there"), "mode": 420}})));
    caught(&events, &nothing(), Invariant::I5, Some(5), "not kept");
}

#[test]
fn i6_two_outcomes_or_one_out_of_nothing() {
    let mut events = sound()[..7].to_vec();
    events.push(finished(1, &returned()));
    caught(&events, &nothing(), Invariant::I6, Some(8), "two outcomes");
    let mut events = sound()[..3].to_vec();
    events.push(finished(1, &returned()));
    caught(&events, &nothing(), Invariant::I6, Some(4), "never started");
    let mut events = sound()[..4].to_vec();
    events.extend([resumed(2), finished(2, &returned())]);
    caught(&events, &nothing(), Invariant::I6, Some(6), "whose host had ended");
    let mut events = sound()[..6].to_vec();
    events.push(done(1, 1));
    caught(&events, &nothing(), Invariant::I6, Some(7), "two results");
}

#[test]
fn i7_a_doubt_that_is_hidden() {
    let mut events = sound()[..5].to_vec();
    events.push(finished(1, &returned()));
    caught(&events, &nothing(), Invariant::I7, Some(6), "in doubt");
    let mut events = sound()[..5].to_vec();
    events.extend([resumed(2), ended(2, "error", None)]);
    caught(&events, &nothing(), Invariant::I7, Some(7), "not shown");
    // That it could not be sent again says nothing about the first time.
    let mut events = sent_again();
    events[8].2["effect"]["result"] = json!({"not_sent": "refused"});
    caught(&events, &nothing(), Invariant::I7, Some(10), "in doubt");
    let mut events = sent_again()[..5].to_vec();
    events.push(finished(1, &returned()));
    caught(&events, &nothing(), Invariant::I7, Some(6), "in doubt");
    let mut events = sound()[..5].to_vec();
    events.push(finished(1, &json!({"faulted": {"fault": "guest_trap", "message": "trap"}})));
    caught(&events, &nothing(), Invariant::I7, Some(6), "in doubt");
    let mut events = sent_again();
    events[4] = intended(1, 1);
    caught(&events, &nothing(), Invariant::I7, Some(6), "given up");
}

#[test]
fn i8_an_epoch_that_goes_back() {
    let mut events = sound()[..4].to_vec();
    events.extend([resumed(2), call_started(1, 2)]);
    caught(&events, &nothing(), Invariant::I8, Some(6), "epoch 1 after epoch 2");
    let mut events = sound()[..4].to_vec();
    events.push(intended(2, 1));
    caught(&events, &nothing(), Invariant::I8, Some(5), "took the run over");
}

#[test]
fn i9_a_flipped_byte_a_missing_event_a_lost_blob() {
    let mutations: [(&str, &str); 4] = [
        ("UPDATE events SET at = 8 WHERE seq = 4", "does not have its hash"),
        ("DELETE FROM events WHERE seq = 4", "missing"),
        ("DELETE FROM events WHERE seq = 10", "row ends"),
        ("UPDATE blobs SET bytes = x'00' WHERE number = 2", "other content"),
    ];
    for (sql, word) in mutations {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.db");
        write(&path, &sound());
        Connection::open(&path).expect("a file").execute(sql, []).expect("a change");
        let found = check(&path, &nothing()).into_iter().next().expect("it is found");
        assert_eq!(found.invariant, Invariant::I9, "{found}");
        assert!(found.to_string().contains(word), "{found}");
    }
}

#[test]
fn i10_what_was_used_is_forgotten() {
    let with = |spent| Ack::Ended {
        run: RUN.to_owned(),
        stop: "completed".to_owned(),
        answer: Some("paid".to_owned()),
        spent,
    };
    let more = Evidence { acks: vec![with(Spent { turns: 9, ..spent() })], ..Evidence::default() };
    caught(&sound(), &more, Invariant::I10, None, "turns");
    let less = Evidence { acks: vec![with(Spent { fuel: 50, ..spent() }), with(spent())], ..Evidence::default() };
    caught(&sound(), &less, Invariant::I10, None, "less fuel");
    // A request that was open when its host was killed was made, and so was the one that repeats it.
    let mut events = sound()[..2].to_vec();
    events.push(resumed(2));
    events.extend(sound()[1..].iter().cloned().map(|event| of_epoch(2, event)));
    let both = Evidence { acks: vec![with(Spent { turns: 3, ..spent() })], ..Evidence::default() };
    assert_eq!(first(&events, &both), None);
    caught(&sound(), &both, Invariant::I10, None, "turns");
}

#[test]
fn i11_what_a_person_refused_or_did_not_allow() {
    let question =
        |subject: &Value| (1, "ApprovalRequested", json!({"call": 1, "subject": subject, "digest": named(b"q")}));
    let answer = |said: &str| {
        let answer = json!({ said: {} });
        (1, "ApprovalDecided", json!({"call": 1, "subject": "call", "digest": named(b"q"), "answer": answer}))
    };
    let mut events = sound()[..3].to_vec();
    events.extend([question(&json!("call")), answer("denied"), call_started(1, 1)]);
    caught(&events, &nothing(), Invariant::I11, Some(6), "refused");
    let mut events = sound()[..3].to_vec();
    events.extend([question(&json!("call")), call_started(1, 1)]);
    caught(&events, &nothing(), Invariant::I11, Some(5), "waits");
    let mut events = sound()[..4].to_vec();
    events.extend([question(&json!({"effect": {"number": 1, "request": request()}})), intended(1, 1)]);
    caught(&events, &nothing(), Invariant::I11, Some(6), "said yes");
    let mut events = sound()[..3].to_vec();
    events.extend([question(&json!("call")), answer("approved"), answer("approved")]);
    caught(&events, &nothing(), Invariant::I11, Some(6), "no open question");
    let mut events = sound()[..3].to_vec();
    events.push((1, "ToolStarted", json!({"call": 1, "attempt": 1, "authority": named(b"more"), "fuel": 1})));
    caught(&events, &nothing(), Invariant::I11, Some(4), "another authority");
}

/// By a person's permit for one effect one effect happens, of the attempt that asked.
#[test]
fn i11_what_a_person_permitted_once_happens_once() {
    let permitted = |attempt: u64, number: u64| {
        let by = json!({"user": 1000, "place": "run"});
        let body = json!({"call": 1, "attempt": attempt, "number": number, "request": request(), "by": by});
        (1, "EffectPermitted", body)
    };
    let did = |number: u64, replayed: bool| {
        let decision = json!({"allow": {"rule": "the operator, this once"}});
        json!({"number": number, "request": request(), "class": "read", "decision": decision, "result": {"done": "200"},
            "replayed": replayed})
    };
    let having = |epoch: u64, effects: &[Value]| {
        let (_, kind, mut body) = finished(epoch, &returned());
        body["effects"] = json!(effects);
        (epoch, kind, body)
    };
    let with = |more: &[Told]| [&sound()[..4], more].concat();

    assert_eq!(first(&with(&[permitted(1, 3), having(1, &[did(3, false)])]), &nothing()), None);
    caught(&with(&[having(1, &[did(3, false)])]), &nothing(), Invariant::I11, Some(5), "not for it");
    let twice = with(&[permitted(1, 3), having(1, &[did(3, false), did(4, false)])]);
    caught(&twice, &nothing(), Invariant::I11, Some(6), "effect 4");
    caught(&with(&[permitted(1, 3), permitted(1, 3)]), &nothing(), Invariant::I11, Some(6), "permitted twice");
    caught(&with(&[permitted(2, 3)]), &nothing(), Invariant::I6, Some(5), "no such attempt");

    // The host was killed. The call begins anew, and the permit is gone.
    let anew = with(&[permitted(1, 3), resumed(2), call_started(2, 2), having(2, &[did(3, false)])]);
    caught(&anew, &nothing(), Invariant::I11, Some(8), "not for it");
    // It goes on along its record: what was done is told again, and not done again.
    let along = |replayed| {
        let before = [permitted(1, 3), intended(1, 1), done(1, 1), resumed(2)];
        with(&[before.as_slice(), &[going_on(call_started(2, 2)), having(2, &[did(3, replayed)])]].concat())
    };
    assert_eq!(first(&along(true), &nothing()), None);
    caught(&along(false), &nothing(), Invariant::I11, Some(10), "not for it");
    // Another host vouched for the run since: what was done is still told again.
    let elsewhere = |replayed| {
        let adopted = (2, "RunAdopted", json!({"authorities": [authority()]}));
        let before = [permitted(1, 3), intended(1, 1), done(1, 1), adopted, resumed(3)];
        with(&[before.as_slice(), &[going_on(call_started(3, 2)), having(3, &[did(3, replayed)])]].concat())
    };
    assert_eq!(first(&elsewhere(true), &nothing()), None);
    caught(&elsewhere(false), &nothing(), Invariant::I11, Some(11), "not for it");
}

#[test]
fn i12_a_run_that_hangs_and_a_file_that_swells() {
    let restarted = |took_ms, settled| Evidence {
        acks: vec![Ack::Restarted { run: RUN.to_owned(), took_ms, settled }],
        ..Evidence::default()
    };
    caught(&sound(), &restarted(31_000, true), Invariant::I12, None, "31000 ms");
    caught(&sound(), &restarted(100, false), Invariant::I12, None, "neither");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    write(&path, &sound());
    let connection = Connection::open(&path).expect("a file");
    connection
        .execute("INSERT INTO blobs (digest, bytes) VALUES (zeroblob(32), zeroblob(1000000))", [])
        .expect("a row");
    connection.execute("DELETE FROM blobs WHERE digest = zeroblob(32)", []).expect("a change");
    let found = check(&path, &nothing());
    assert!(found.iter().any(|found| found.invariant == Invariant::I12), "{found:?}");
}
