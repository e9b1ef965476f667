//! Calls that may or may not have had their effect: what is undone, what is said, and what is done again. A server outside the
//! host counts.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::payments::{Grant, bodies, killed_at, paying, words};
use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest};

fn run_id(world: &World) -> String {
    world.events(&[])[0]["run"].as_str().expect("a run").to_owned()
}

fn keys(server: &Server) -> Vec<String> {
    let key = |head: &String| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("idempotency-key:"));
        line.expect("a key").to_owned()
    };
    let mut keys: Vec<String> = server.requests().iter().map(key).collect();
    keys.dedup();
    keys
}

/// Writes a file, posts to the server, writes another file.
fn writing_and_posting(world: &World, server: &Server) -> Vec<String> {
    let url = server.url();
    let call = format!("{{ first = \"a.txt\", second = \"b.txt\", content = \"new\", url = \"{url}/pay\" }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.write_post_write\", arguments = {call} }}]\n[[reply]]\n\
         text = \"done\"\n"
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let data = world.write("data/a.txt", "old").parent().expect("a folder").display().to_string();
    let polite = guest("polite");
    let words = ["run", "--tools", &polite, "--allow-write", &data, "--allow-net", &url, "--model", &model, "go"];
    words.map(str::to_owned).to_vec()
}

#[test]
fn what_a_killed_call_had_written_is_undone_before_it_is_in_doubt_and_written_once_by_a_retry() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    killed_at(&world, &words(&writing_and_posting(&world, &server)), "send-intended#1");
    assert_eq!(world.read("data/a.txt").as_deref(), Some("new"));
    assert_eq!(world.run(&["resume"]).code, Some(22));
    assert_eq!(world.read("data/a.txt").as_deref(), Some("old"), "whatever is said of the request");
    let _ = world.run(&["journal", "resolve", &run_id(&world), "1", "--retry"]).ok();
    assert_eq!(world.run(&["resume"]).ok(), "done\n");
    assert_eq!((server.hits(), world.read("data/b.txt").as_deref()), (1, Some("new")));
    assert_eq!(bodies(&world, "ToolStarted")[1]["continues"], 1);
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
}

#[test]
fn a_retry_repeats_only_what_has_no_answer() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    killed_at(&world, &words(&paying(&world, &server, 2, Grant::Opaque, &[])), "send-answered#2");
    assert_eq!(server.hits(), 2);
    assert_eq!(world.run(&["resume"]).code, Some(22));
    let reason = bodies(&world, "ToolInDoubt")[0]["reason"].as_str().expect("text").to_owned();
    assert!(reason.contains("what it sent: POST ") && reason.contains("(answered: 200)"), "{reason}");
    let _ = world.run(&["journal", "resolve", &run_id(&world), "1", "--retry"]).ok();
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(0), 3), "{resumed:?}");
    assert_eq!(world.read("data/receipt.txt").as_deref(), Some("paying\nreceipt\nreceipt\n"));
}

#[test]
fn a_keyed_payment_without_an_answer_is_sent_again_by_the_living_host() {
    let (world, server) = (World::new(), Server::start(Manner::HangUpOnce("receipt")));
    let said = world.run(&words(&paying(&world, &server, 1, Grant::Keyed, &[])));
    assert_eq!((said.code, server.hits()), (Some(0), 2), "{said:?}");
    assert_eq!(keys(&server).len(), 1, "one key for one payment");
    assert_eq!(world.read("data/receipt.txt").as_deref(), Some("paying\nreceipt\n"));
    assert_eq!(bodies(&world, "ToolSuspended")[0]["reason"], "unanswered");
}

/// A run of one call that posts to the server, whose answer is what the model was told of the call.
fn calling(world: &World, server: &Server, grant: Grant, (operation, more): (&str, &str)) -> Vec<String> {
    let url = server.url();
    let key = if grant == Grant::Keyed { ", idempotency_header = \"Idempotency-Key\"" } else { "" };
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.{operation}\", arguments = {{ url = \"{url}/pay\"{more} }} }}]\n\
         [[reply]]\ntext = \"told: {{{{ call[0] }}}}\"\n"
    );
    let policy = format!(
        "[[grant]]\ntool = \"polite\"\nhttp = [{{ url = \"{url}\", methods = [\"POST\"]{key} }}]\n\
         limits = {{ deadline = \"2s\" }}\n"
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let policy = world.write("policy.toml", policy).display().to_string();
    let polite = guest("polite");
    ["run", "--tools", &polite, "--policy", &policy, "--model", &model, "go"].map(str::to_owned).to_vec()
}

/// Traps right after its payment; waits for its payment until its deadline.
const TRAPS: (&str, &str) = ("pay_and_panic", "");
const WAITS: (&str, &str) = ("http", ", method = \"POST\", body = \"10\"");

/// It was made three times, with a payment each time, where a server has no answer for who calls it so.
#[test]
fn a_keyed_payment_of_a_call_that_was_stopped_is_sent_once_and_the_model_is_told() {
    for (manner, call, fault) in
        [(Manner::HangUpOnce("paid"), TRAPS, "guest_trap"), (Manner::Silent, WAITS, "deadline_exceeded")]
    {
        let (world, server) = (World::new(), Server::start(manner));
        let said = world.run(&words(&calling(&world, &server, Grant::Keyed, call)));
        assert_eq!((said.code, server.hits()), (Some(0), 1), "{fault}: {said:?}");
        let told = format!("may or may not have done this, which is not done again: POST {}/pay", server.url());
        assert!(said.out.contains(&told), "{fault}: {said:?}");
        assert_eq!((bodies(&world, "ToolStarted").len(), bodies(&world, "ToolSuspended").len()), (1, 0), "{fault}");
        assert_eq!(bodies(&world, "ToolFinished")[0]["outcome"]["faulted"]["fault"], fault);
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{fault}");
    }
}

#[test]
fn an_opaque_payment_of_a_call_that_traps_is_in_doubt() {
    let (world, server) = (World::new(), Server::start(Manner::HangUpOnce("paid")));
    let said = world.run(&words(&calling(&world, &server, Grant::Opaque, TRAPS)));
    assert_eq!((said.code, server.hits()), (Some(22), 1), "{said:?}");
    let doubt = bodies(&world, "ToolInDoubt");
    let reason = doubt[0]["reason"].as_str().expect("text");
    assert!(doubt.len() == 1 && reason.contains("the call ended with `guest_trap`"), "{doubt:?}");
    assert_eq!((world.run(&["resume"]).code, server.hits()), (Some(22), 1), "nor later");
}

/// What a person was shown does not turn out to be otherwise.
#[test]
fn a_call_in_doubt_is_never_shown_as_ended() {
    let (world, server) = (World::new(), Server::start(Manner::HangUpOnce("receipt")));
    let said = world.run(&words(&paying(&world, &server, 1, Grant::Opaque, &[])));
    assert_eq!((said.code, server.hits()), (Some(22), 1), "{said:?}");
    assert!(!said.err.contains("✓ polite.pay") && !said.err.contains("✗ polite.pay"), "{}", said.err);
}

/// What a person said yes to is sent again as the same write: nobody is asked twice about one payment.
#[test]
fn an_approved_payment_is_sent_again_without_another_question() {
    let (world, server) = (World::new(), Server::start(Manner::HangUpOnce("receipt")));
    let arguments = paying(&world, &server, 1, Grant::Keyed, &[]);
    let policy = world.read("policy.toml").expect("a policy");
    world.write("policy.toml", format!("{policy}\n[[approval]]\neffect = \"http\"\nmethods = [\"POST\"]\n"));
    let suspended = world.run(&words(&arguments));
    assert!(suspended.err.contains("suspended-approval"), "{suspended:?}");
    let _ = world.run(&["approve", &run_id(&world), "1", "--yes"]).ok();
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(0), 2), "{resumed:?}");
    assert_eq!((bodies(&world, "ApprovalRequested").len(), keys(&server).len()), (1, 1));
}

/// Three commands that each did what they said, and a run that no command could read afterwards.
#[test]
fn an_undo_can_be_repeated_while_its_call_has_no_outcome() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    killed_at(&world, &words(&writing_and_posting(&world, &server)), "send-intended#1");
    std::thread::sleep(std::time::Duration::from_millis(20));
    world.write("data/a.txt", "edited");
    let run = run_id(&world);
    for _ in 0..3 {
        let said = world.run(&["changes", &run, "--undo", "--yes"]);
        assert_eq!(said.code, Some(1), "{said:?}");
    }
    world.write("data/a.txt", "old");
    let _ = world.run(&["changes", &run, "--undo", "--yes"]);
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));
    assert_eq!(world.run(&["resume"]).code, Some(22));
}

#[test]
fn a_file_that_somebody_edited_does_not_hide_what_was_paid() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    killed_at(&world, &words(&writing_and_posting(&world, &server)), "send-done#1");
    std::thread::sleep(std::time::Duration::from_millis(20));
    world.write("data/a.txt", "edited");
    assert_eq!((world.run(&["resume"]).code, server.hits()), (Some(22), 1));
    let doubt = &bodies(&world, "ToolInDoubt")[0];
    assert_eq!(doubt["request"]["http"]["method"], "POST");
    let reason = doubt["reason"].as_str().expect("text");
    assert!(reason.contains("/data/a.txt") && reason.contains("(answered: 200)"), "{reason}");
    assert_eq!(world.read("data/a.txt").as_deref(), Some("edited"));
}

#[test]
fn a_folder_that_is_gone_leaves_the_call_in_doubt_and_the_run_resumable() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    killed_at(&world, &words(&writing_and_posting(&world, &server)), "send-done#1");
    std::fs::rename(world.work().join("data"), world.work().join("moved")).expect("it is there");
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(22), 1), "{resumed:?}");
    assert_eq!(world.run(&["journal", "resolve", &run_id(&world), "1", "--did-not"]).code, Some(0));
    std::fs::rename(world.work().join("moved"), world.work().join("data")).expect("it is there");
    assert_eq!(world.run(&["resume"]).ok(), "done\n");
}

#[test]
fn a_fork_does_not_undo_what_its_origin_did() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
    assert_eq!(world.run(&words(&writing_and_posting(&world, &server))).ok(), "done\n");
    let run = run_id(&world);
    let finished =
        world.events(&[]).iter().find(|event| event["kind"] == "ToolFinished").expect("a call")["seq"].clone();
    let forked = world.run(&["journal", "fork", &run, "--at", &finished.to_string(), "--json"]).ok();
    let fork: serde_json::Value = serde_json::from_str(&forked).expect("JSON");
    let fork = fork["run"].as_str().expect("a run");
    let undone = world.run(&["changes", fork, "--undo", "--yes"]).ok();
    assert!(undone.contains("nothing to undo") && undone.contains(&format!("agent-host changes {run}")), "{undone}");
    assert!(world.run(&["changes", fork]).ok().starts_with("no file was changed"));
    assert_eq!(world.read("data/b.txt").as_deref(), Some("new"));
    assert_eq!(world.run(&["changes", &run, "--undo", "--yes"]).code, Some(0));
    assert_eq!((world.read("data/a.txt").as_deref(), world.read("data/b.txt")), (Some("old"), None));
}

/// The journal no longer has these bytes, as after a repair that lost a page.
fn lose(world: &World, digest: &str) {
    let journal = rusqlite::Connection::open(world.work().join(".agent-host/journal.db")).expect("the journal");
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    assert_eq!(journal.execute("DELETE FROM blobs WHERE digest = unhex(?1)", [hex]).expect("a blob"), 1);
}

/// What the last event of a kind names by this member.
fn named(world: &World, kind: &str, pointer: &str) -> String {
    let all = bodies(world, kind);
    let digest = all.iter().rev().find_map(|body| body.pointer(pointer)?.as_str());
    digest.expect("a digest").to_owned()
}

/// Such a run ended with an error at each resume, and only a fork led on.
#[test]
fn a_call_whose_record_is_lost_is_in_doubt_and_a_person_has_a_way_on() {
    for (kind, pointer) in [("EffectIntended", "/transcript"), ("EffectDone", "/answer")] {
        for (word, hits) in [("--did-not", 1), ("--retry", 2)] {
            let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
            killed_at(&world, &words(&writing_and_posting(&world, &server)), "send-done#1");
            let lost = named(&world, kind, pointer);
            lose(&world, &lost);
            let verified = world.run(&["journal", "verify"]);
            assert_eq!(verified.code, Some(1), "{verified:?}");
            assert!(verified.out.contains(&lost) && verified.err.contains(&lost), "{verified:?}");
            let resumed = world.run(&["resume"]);
            assert_eq!((resumed.code, server.hits()), (Some(22), 1), "{resumed:?}");
            assert_eq!(world.read("data/a.txt").as_deref(), Some("old"), "its changes are undone all the same");
            let doubt = &bodies(&world, "ToolInDoubt")[0];
            let reason = doubt["reason"].as_str().expect("text");
            assert!(reason.contains(&lost) && reason.contains("(answered: 200)"), "{reason}");
            let _ = world.run(&["journal", "resolve", &run_id(&world), "1", word]).ok();
            assert_eq!(world.run(&["resume"]).ok(), "done\n");
            assert_eq!(server.hits(), hits, "{word} after {kind}");
        }
    }
}

/// Who says that a call is to be made again was told that what was answered is not sent again.
#[test]
fn a_retry_that_cannot_go_on_along_its_record_is_asked_about_once_more() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    killed_at(&world, &words(&paying(&world, &server, 2, Grant::Opaque, &[])), "send-answered#2");
    assert_eq!(world.run(&["resume"]).code, Some(22));
    let _ = world.run(&["journal", "resolve", &run_id(&world), "1", "--retry"]).ok();
    lose(&world, &named(&world, "EffectDone", "/answer"));
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(22), 2), "nothing is sent: {resumed:?}");
    let retries: Vec<_> = bodies(&world, "ToolInDoubt").iter().map(|doubt| doubt["retry"].clone()).collect();
    assert_eq!(retries, ["record", "start"]);
    let said = world.run(&["journal", "resolve", &run_id(&world), "1", "--retry"]);
    assert!(said.code == Some(0) && said.err.contains("all that it sent is sent once more"), "{said:?}");
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, server.hits()), (Some(0), 4), "{resumed:?}");
}

#[test]
fn a_change_whose_undo_is_lost_leaves_the_call_in_doubt_and_a_person_has_a_way_on() {
    for (word, hits) in [("--did-not", 0), ("--retry", 1)] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("paid")));
        killed_at(&world, &words(&writing_and_posting(&world, &server)), "send-intended#1");
        lose(&world, &named(&world, "EffectIntended", "/undo/0/before/content/digest"));
        let resumed = world.run(&["resume"]);
        assert_eq!((resumed.code, server.hits()), (Some(22), 0), "{resumed:?}");
        let doubt = &bodies(&world, "ToolInDoubt")[0];
        let reason = doubt["reason"].as_str().expect("text");
        assert!(reason.contains("/data/a.txt: what it contained before is lost"), "{reason}");
        let _ = world.run(&["journal", "resolve", &run_id(&world), "1", word]).ok();
        assert_eq!(world.run(&["resume"]).ok(), "done\n");
        assert_eq!(server.hits(), hits, "{word}");
        assert_eq!(world.read("data/a.txt").as_deref(), Some("new"), "nothing was there to put back");
    }
}
