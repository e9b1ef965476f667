//! How often a run waits for the disk, by the journal's own count: once a turn, once for each write that cannot be taken back, and once
//! for each path that a call changes.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest};

/// The syncs of a run with this one call, from the line that it leaves in the log at its end.
fn syncs(operation: &str, arguments: &str, grant: [&str; 2]) -> u64 {
    let world = World::new();
    world.write("data/old.txt", "old");
    let call = format!("{{ tool = \"polite.{operation}\", arguments = {{ {arguments} }} }}");
    let script = format!("version = 1\n[[reply]]\ncalls = [{call}]\n[[reply]]\ntext = \"done\"\n");
    let (polite, model) = (guest("polite"), format!("scripted:{}", world.write("replies.toml", script).display()));
    let mut command = world.command(&["run", "--tools", &polite, "--model", &model, "--durability", "strict"]);
    let output = command.args(grant).arg("go").env("AGENT_HOST_LOG", "info").output().expect("the program starts");
    let said = world.said(&output);
    assert_eq!(said.out, "done\n", "{said:?}");
    let (_, count) = said.err.rsplit_once("syncs=").unwrap_or_else(|| panic!("not counted: {said:?}"));
    count.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

#[test]
fn what_cannot_be_taken_back_costs_one_sync_and_so_does_each_path() {
    let server = Server::start(Manner::Answer("paid"));
    let url = server.url();
    let computes = syncs("compute", "steps = 10", ["--allow-read", "data"]);
    let posts = syncs("http", &format!("method = \"POST\", url = \"{url}/pay\", body = \"10\""), ["--allow-net", &url]);
    assert_eq!(posts - computes, 1, "a request that is announced before it leaves");
    let twice = "first = \"a.txt\", second = \"b.txt\", content = \"new\", pause_ms = 1";
    let writes = syncs("write_twice", twice, ["--allow-write", "data"]);
    assert_eq!(writes - computes, 2, "two paths");
}
