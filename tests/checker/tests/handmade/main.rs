//! Journals made by hand from `docs/journal.md`: a sound one passes, and one that breaks a promise is caught at the right place.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod journal;

use agent_checker::evidence::{Ack, Evidence, Spent};
use agent_checker::{Invariant, Judge, check, reference_of};
use journal::{
    RUN, Told, asked, authority, call_started, caught, changing, continued, done, doubt, doubted, doubted_twice, ended,
    finished, first, first_at, going_on, hit, intended, named, nothing, of_epoch, request, resolved, resumed, returned,
    sent_again, sound, spent, told_ended, write,
};
use rusqlite::Connection;
use serde_json::{Value, json};

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
    let mut events = sound();
    events[4].2["request"]["http"]["body_bytes"] = json!(2);
    caught(&events[..5], &evidence, Invariant::I2, None, "what the uninterrupted run did not");
    let mut events = sound();
    events.drain(4..6);
    caught(&events, &evidence, Invariant::I2, None, "never announced effect 1");
    // What a person said of a doubt may lead elsewhere; what was before it may not differ.
    let mut events = doubted();
    events[13] = finished(4, &json!({"returned": {"content": [{"text": "paid 2"}]}}));
    assert_eq!(first(&events, &evidence), None);
    events[2].2["reply"]["text"] = json!("something else");
    caught(&events, &evidence, Invariant::I2, None, "reply 1 differs");
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
    let mutations: [(&str, &str); 6] = [
        ("UPDATE events SET at = 8 WHERE seq = 4", "does not have its hash"),
        ("DELETE FROM events WHERE seq = 4", "missing"),
        ("DELETE FROM events WHERE seq = 10", "row ends"),
        ("UPDATE blobs SET bytes = x'00' WHERE number = 2", "other content"),
        (
            "INSERT INTO checkpoints SELECT 1, run, 4, zeroblob(32), 'x', '{}', x'00' FROM runs",
            "not of the event that it names",
        ),
        (
            "INSERT INTO checkpoints SELECT 1, run, 99, head, 'x', '{}', x'00' FROM runs",
            "not of the event that it names",
        ),
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
fn a_judge_looks_again_at_what_changed_and_at_everything_once_it_forgets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let sound = sound();
    write(&path, &sound);
    let alter = |sql: &str| Connection::open(&path).expect("a file").execute(sql, []).expect("a change");
    let mut judge = Judge::of(&path);
    assert_eq!(judge.check(&nothing()), []);
    alter("UPDATE events SET at = 8 WHERE seq = 4");
    assert_eq!(judge.check(&nothing()), [], "its row names the same end, so it is not read again");
    judge.forget();
    assert!(judge.check(&nothing()).iter().any(|found| found.seq == Some(4)), "everything is read");
    alter("UPDATE events SET at = 7 WHERE seq = 4");
    judge.forget();
    assert_eq!(judge.check(&nothing()), []);
    alter("UPDATE runs SET seq = seq - 1");
    let found = judge.check(&nothing());
    assert!(found.iter().any(|found| found.what.contains("row ends")), "a run whose row changed: {found:?}");
    assert_eq!(judge.standings().expect("it can be read").len(), 1);
    assert!(judge.mentions(RUN, "component") && !judge.mentions(RUN, "no such word"));
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
    let forgotten = Evidence { acks: vec![with(Spent { tool_calls: 0, ..spent() })], ..Evidence::default() };
    caught(&sound(), &forgotten, Invariant::I10, None, "less tool calls than the run had used");
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
    events.extend([question(&json!("call")), answer("approved"), call_started(1, 1)]);
    let after = |ms: u64| move |place: usize| if place < 5 { 7 } else { 7 + ms };
    assert_eq!(first_at(&events, &nothing(), after(600_000)), None);
    let late = first_at(&events, &nothing(), after(700_000)).expect("ten minutes are over");
    assert!((late.0, late.1) == (Invariant::I11, Some(6)) && late.2.contains("too long ago"), "{}", late.2);
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
