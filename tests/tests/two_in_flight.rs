//! A call with two requests under way at once when its host is killed: each is taken by itself. What has its answer is told again
//! and not sent; what has none is sent again only under its key, or by a person's word. A server outside the host counts.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use agent_tests::payments::{bodies, killed_at, words};
use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest};

/// How each of the two is granted: as a keyed write, or as an opaque one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Keyed,
    Opaque,
}

/// A run of one call that pays at `/a` and `/b` at once.
fn paying(world: &World, server: &Server, [a, b]: [As; 2]) -> Vec<String> {
    let url = server.url();
    let call = format!("{{ receipt = \"receipt.txt\", urls = [\"{url}/a\", \"{url}/b\"] }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.pay_together\", as = \"paid\", arguments = {call} }}]\n\
         [[reply]]\ntext = \"{{{{ paid }}}}\"\n"
    );
    let rule = |path: &str, how| {
        let key = if how == As::Keyed { ", idempotency_header = \"Idempotency-Key\"" } else { "" };
        format!("{{ url = \"{url}/{path}\", methods = [\"POST\"]{key} }}")
    };
    world.write("policy.toml", format!("[[grant]]\ntool = \"polite\"\nhttp = [{}, {}]\n", rule("a", a), rule("b", b)));
    world.write("replies.toml", script);
    let data = world.write("data/old.txt", "old").parent().expect("a folder").display().to_string();
    let (polite, model) = (guest("polite"), "scripted:replies.toml");
    let words = ["run", "--tools", &polite, "--allow-write", &data, "--policy", "policy.toml", "--model", model, "pay"];
    words.map(str::to_owned).to_vec()
}

/// The keys under which a path was reached, one for each time.
fn keys(server: &Server, path: &str) -> Vec<String> {
    let key = |head: &String| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("idempotency-key:"));
        line.map(|line| line.split_once(':').map_or(line, |(_, key)| key).trim().to_owned()).unwrap_or_default()
    };
    server.requests().iter().filter(|head| head.starts_with(&format!("POST /{path} "))).map(key).collect()
}

fn run_id(world: &World) -> String {
    world.events(&[])[0]["run"].as_str().expect("a run").to_owned()
}

const ANSWER: &str = "[\"receipt\",\"receipt\"]\n";

/// Both are announced before either has its answer: else it would test less than it says.
fn are_under_way_together(world: &World) -> bool {
    let events = world.events(&[]);
    let at = |kind: &str, nth: usize| {
        let mut seqs = events.iter().filter(|event| event["kind"] == kind).filter_map(|event| event["seq"].as_u64());
        seqs.nth(nth)
    };
    let sends = bodies(world, "EffectIntended").iter().filter(|body| body["class"] != "owned_write").count();
    let second =
        events.iter().filter(|event| event["kind"] == "EffectIntended" && event["body"]["class"] != "owned_write");
    let second = second.filter_map(|event| event["seq"].as_u64()).nth(1);
    sends == 2 && at("EffectDone", 0).is_none_or(|done| second.is_some_and(|second| second < done))
}

#[test]
fn undisturbed_both_are_sent_once_and_at_the_same_time() {
    for how in [[As::Opaque; 2], [As::Keyed; 2]] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
        assert_eq!(world.run(&words(&paying(&world, &server, how))).ok(), ANSWER);
        assert_eq!((keys(&server, "a").len(), keys(&server, "b").len()), (1, 1));
        assert!(are_under_way_together(&world));
    }
}

#[test]
fn keyed_ones_are_sent_again_under_the_same_keys_and_answered_ones_are_not() {
    for (instant, most) in [("send-intended#2", 2), ("send-answered#1", 2), ("send-done#1", 2), ("send-done#2", 1)] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
        killed_at(&world, &words(&paying(&world, &server, [As::Keyed; 2])), instant);
        let resumed = world.run(&["resume"]);
        assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), ANSWER), "{instant}: {}", resumed.err);
        let (a, b) = (keys(&server, "a"), keys(&server, "b"));
        assert!((1..=most).contains(&a.len()) && (1..=most).contains(&b.len()), "{instant}: {a:?} {b:?}");
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (a.into_iter().collect(), b.into_iter().collect());
        assert!(a.len() == 1 && b.len() == 1 && a != b, "{instant}: {a:?} {b:?}");
        let answered = bodies(&world, "EffectDone").len();
        assert_eq!(answered, 2, "{instant}: each has one answer");
        assert_eq!(world.read("data/receipt.txt").as_deref(), Some("receipt\nreceipt"), "{instant}");
        assert_eq!(world.run(&["journal", "verify"]).code, Some(0), "{instant}");
    }
}

#[test]
fn opaque_ones_without_an_answer_are_in_doubt_and_never_sent_by_the_host() {
    for instant in ["send-intended#2", "send-answered#1", "send-done#1"] {
        let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
        killed_at(&world, &words(&paying(&world, &server, [As::Opaque; 2])), instant);
        server.settle();
        let before = [keys(&server, "a").len(), keys(&server, "b").len()];
        let done = bodies(&world, "EffectDone");
        let resumed = world.run(&["resume"]);
        assert_eq!(resumed.code, Some(22), "{instant}: {resumed:?}");
        assert_eq!([keys(&server, "a").len(), keys(&server, "b").len()], before, "{instant}");
        assert_eq!(world.read("data/receipt.txt"), None, "{instant}: what it had written is undone");

        let _ = world.run(&["journal", "resolve", &run_id(&world), "1", "--retry"]).ok();
        assert_eq!(world.run(&["resume"]).ok(), ANSWER, "{instant}");
        for (path, before) in ["a", "b"].into_iter().zip(before) {
            let is_answered = done.iter().any(|body| {
                body["effect"]["request"]["http"]["url"].as_str() == Some(&format!("{}/{path}", server.url()))
            });
            let more = usize::from(!is_answered);
            assert_eq!(keys(&server, path).len(), before + more, "{instant}: {path}, answered before: {is_answered}");
        }
    }
}

/// The opaque one decides whether the host may go on by itself; the keyed one goes out again under its key when it does.
#[test]
fn one_of_each_is_in_doubt_for_the_one_that_has_no_key() {
    let (world, server) = (World::new(), Server::start(Manner::Answer("receipt")));
    killed_at(&world, &words(&paying(&world, &server, [As::Keyed, As::Opaque])), "send-intended#2");
    let resumed = world.run(&["resume"]);
    assert_eq!(resumed.code, Some(22), "{resumed:?}");
    let doubt = bodies(&world, "ToolInDoubt");
    let url = doubt[0]["request"]["http"]["url"].as_str().expect("a URL").to_owned();
    assert_eq!(url, format!("{}/b", server.url()));
    let _ = world.run(&["journal", "resolve", &run_id(&world), "1", "--retry"]).ok();
    assert_eq!(world.run(&["resume"]).ok(), ANSWER);
    let a: BTreeSet<String> = keys(&server, "a").into_iter().collect();
    assert!(a.len() == 1 && !a.contains(""), "{a:?}");
    assert!(keys(&server, "b").len() <= 2);
}
