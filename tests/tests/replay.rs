//! Calls that were killed in their middle and go on there, and calls that are made again offline: what was paid is paid once,
//! and the answer and, but for chance, the fuel are those of a run that nobody killed. A server outside the host counts.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::World;
use agent_tests::payments::{Grant, bodies, killed_at, paying, words};
use agent_tests::server::{Manner, Server};
use serde_json::Value;

/// What nobody killed: the answer, the fuel and the receipt.
fn uninterrupted(payments: usize) -> (String, Value, Option<String>) {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, payments, Grant::Opaque, &[]);
    let answer = world.run(&words(&arguments)).ok();
    assert_eq!(server.hits(), payments);
    let fuel = bodies(&world, "ToolFinished")[0]["metering"]["fuel"].clone();
    (answer, fuel, world.read("data/receipt.txt"))
}

/// Each run has its own random numbers, and the keys of the guest's hash tables are made of them: a few instructions more or
/// fewer. What is charged twice or not at all is a large part of a call.
fn assert_same_but_for_chance(fuel: &Value, undisturbed: &Value) {
    let exact = |fuel: &Value| fuel["exact"].as_u64().unwrap_or_else(|| panic!("not counted: {fuel}"));
    let (fuel, undisturbed) = (exact(fuel), exact(undisturbed));
    assert!(fuel.abs_diff(undisturbed) <= undisturbed / 100, "{fuel} instead of {undisturbed}");
}

#[test]
fn a_payment_that_was_answered_is_not_made_again_and_the_call_completes() {
    let (answer, fuel, receipt) = uninterrupted(1);
    for instant in ["send-done#1", "tool-returned#1"] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
        let arguments = paying(&world, &server, 1, Grant::Opaque, &[]);
        killed_at(&world, &words(&arguments), instant);
        assert_eq!(server.hits(), 1, "{instant}");
        let resumed = world.run(&["resume"]);
        assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), answer.as_str()), "{instant}: {}", resumed.err);
        assert_eq!(server.hits(), 1, "{instant}: it was paid once");
        let finished = bodies(&world, "ToolFinished");
        assert_same_but_for_chance(&finished[0]["metering"]["fuel"], &fuel);
        assert_eq!(world.read("data/receipt.txt"), receipt, "{instant}");
        let effects = finished[0]["effects"].as_array().expect("effects");
        let replayed = |effect: &&Value| effect["replayed"] == true;
        let posts = effects.iter().filter(replayed).filter(|effect| effect["class"] == "opaque_write").count();
        assert_eq!(posts, 1, "{instant}: the record says that the payment is of an attempt before");
        assert_eq!(bodies(&world, "ToolStarted")[1]["continues"], 1, "{instant}");
        assert_eq!(bodies(&world, "EffectIntended").iter().filter(|body| body["class"] == "opaque_write").count(), 1);
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{instant}");
    }
}

#[test]
fn a_resume_that_is_killed_goes_on_from_the_next_payment() {
    let (answer, fuel, receipt) = uninterrupted(2);
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, 2, Grant::Opaque, &[]);
    killed_at(&world, &words(&arguments), "send-done#1");
    killed_at(&world, &["resume"], "send-done#1");
    assert_eq!(server.hits(), 2, "the second attempt made the second payment only");
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), answer.as_str()), "{}", resumed.err);
    assert_eq!((server.hits(), world.read("data/receipt.txt")), (2, receipt));
    assert_same_but_for_chance(&bodies(&world, "ToolFinished")[0]["metering"]["fuel"], &fuel);
}

#[test]
fn after_three_attempts_what_was_sent_is_in_doubt() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, 1, Grant::Opaque, &[]);
    killed_at(&world, &words(&arguments), "tool-returned#1");
    killed_at(&world, &["resume"], "tool-returned#1");
    killed_at(&world, &["resume"], "tool-returned#1");
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(22), 1), "{resumed:?}");
    let doubt = &bodies(&world, "ToolInDoubt")[0];
    assert!(doubt["reason"].as_str().is_some_and(|reason| reason.contains("3 attempts")), "{doubt}");
}

#[test]
fn a_keyed_payment_goes_out_again_under_the_same_key() {
    for (instant, hits) in [("send-intended#1", 0), ("send-answered#1", 1)] {
        let (answer, _, receipt) = uninterrupted(1);
        let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
        let arguments = paying(&world, &server, 1, Grant::Keyed, &[]);
        killed_at(&world, &words(&arguments), instant);
        assert_eq!(server.hits(), hits, "{instant}");
        let resumed = world.run(&["resume"]);
        assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), answer.as_str()), "{instant}: {}", resumed.err);
        assert_eq!((server.hits(), world.read("data/receipt.txt")), (hits + 1, receipt), "{instant}");
        assert_eq!(server.acted(), 1, "{instant}: a server that knows keys pays once");
        let key = |head: &String| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("idempotency-key:"));
            line.expect("a key").to_owned()
        };
        let mut keys: Vec<String> = server.requests().iter().map(key).collect();
        keys.dedup();
        assert_eq!(keys.len(), 1, "{instant}: one key for one payment");
        let recorded = bodies(&world, "EffectIntended");
        let recorded: Vec<_> = recorded.iter().filter_map(|body| body["idempotency_key"].as_str()).collect();
        assert_eq!(recorded.len(), 2, "{instant}: each attempt announced it");
        assert!(recorded.iter().all(|recorded| keys[0].ends_with(recorded)), "{recorded:?} {keys:?}");
    }
}

#[test]
fn an_opaque_payment_without_an_answer_stays_in_doubt() {
    for (instant, hits) in [("send-intended#1", 0), ("send-answered#1", 1)] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
        let arguments = paying(&world, &server, 1, Grant::Opaque, &[]);
        killed_at(&world, &words(&arguments), instant);
        let resumed = world.run(&["resume"]);
        assert_eq!((resumed.code, server.hits()), (Some(22), hits), "{instant}: {resumed:?}");
        assert_eq!(bodies(&world, "ToolInDoubt").len(), 1, "{instant}");
    }
}

#[test]
fn a_call_whose_world_is_gone_is_in_doubt_and_says_why() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, 1, Grant::Opaque, &[]);
    killed_at(&world, &words(&arguments), "send-done#1");
    std::fs::remove_file(world.work().join("data/order.txt")).expect("it was there");
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(22), 1), "{resumed:?}");
    let doubt = &bodies(&world, "ToolInDoubt")[0];
    let reason = doubt["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("replay_diverged: at answer ") && reason.contains("OpenAt"), "{reason}");
}

#[test]
fn a_run_that_is_recorded_in_full_is_made_again_offline() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, 2, Grant::Opaque, &["--record", "full"]);
    let answer = world.run(&words(&arguments)).ok();
    assert!(answer.starts_with("one two three: "), "{answer}");
    let events = world.events(&[]);
    // Whatever it depended on is gone.
    std::fs::remove_dir_all(world.work().join("data")).expect("it was there");
    let replayed = world.run(&["journal", "replay"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let row = replayed.out.lines().nth(1).expect("a row");
    assert!(row.contains("polite.pay") && row.ends_with("same"), "{}", replayed.out);
    assert_eq!(server.hits(), 2, "nothing was sent");
    assert_eq!(world.read("data/receipt.txt"), None, "nothing was written");
    assert_eq!(world.events(&[]), events, "not even to the journal");
    let json: Value = serde_json::from_str(&world.run(&["journal", "replay", "--json"]).ok()).expect("JSON");
    let fuel =
        &events.iter().find(|event| event["kind"] == "ToolFinished").expect("a call")["body"]["metering"]["fuel"];
    assert_eq!((&json[0]["result"], &json[0]["fuel"]), (&"same".into(), &fuel["exact"]), "{json}");
    let one = world.run(&["journal", "replay", "--call", "7"]);
    assert_eq!(one.code, Some(1), "{one:?}");
    assert!(one.err.contains("has no call 7"), "{}", one.err);
}

#[test]
fn a_run_that_was_killed_and_went_on_is_made_again_offline_too() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, 2, Grant::Opaque, &["--record", "full"]);
    killed_at(&world, &words(&arguments), "send-done#2");
    let _ = world.run(&["resume"]).ok();
    let replayed = world.run(&["journal", "replay"]);
    assert_eq!((replayed.code, server.hits()), (Some(0), 2), "{replayed:?}");
}

#[test]
fn a_run_that_is_not_recorded_in_full_says_so() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    let arguments = paying(&world, &server, 1, Grant::Opaque, &[]);
    let _ = world.run(&words(&arguments)).ok();
    let replayed = world.run(&["journal", "replay"]);
    assert_eq!(replayed.code, Some(1), "{replayed:?}");
    assert!(replayed.err.contains("was not recorded in full") && replayed.err.contains("--record full"));
}
