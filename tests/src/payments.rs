//! Runs of one call that pays, and their end at a named instant: what the tests of recovery and of doubt share.

use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::server::Server;
use crate::{World, guest};

/// SIGKILL's number: how the failpoint ends the host.
const KILLED: i32 = 9;

/// How the payments are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// As opaque writes.
    Opaque,
    /// As keyed writes.
    Keyed,
}

/// A folder with an order, and the words of a run that pays so often.
///
/// # Panics
/// Where a file has no folder.
#[must_use]
pub fn paying(world: &World, server: &Server, payments: usize, grant: Grant, more: &[&str]) -> Vec<String> {
    let url = server.url();
    let urls = vec![format!("\"{url}/pay\""); payments].join(", ");
    let call = format!("{{ order = \"order.txt\", receipt = \"receipt.txt\", urls = [{urls}] }}");
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"polite.pay\", as = \"paid\", arguments = {call} }}]\n[[reply]]\n\
         text = \"{{{{ paid/first }}}}{{{{ paid/rest }}}}: {{{{ paid/receipts }}}} {{{{ paid/names }}}} {{{{ paid/elapsed_ms }}}}\"\n"
    );
    let script = world.write("replies.toml", script).display().to_string();
    let data = world.write("data/order.txt", "one two three").parent().expect("a folder").display().to_string();
    let key = match grant {
        Grant::Opaque => "",
        Grant::Keyed => ", idempotency_header = \"Idempotency-Key\"",
    };
    let policy = format!("[[grant]]\ntool = \"polite\"\nhttp = [{{ url = \"{url}\", methods = [\"POST\"]{key} }}]\n");
    let policy = world.write("policy.toml", policy).display().to_string();
    let (polite, model) = (guest("polite"), format!("scripted:{script}"));
    let words = ["run", "--tools", &polite, "--allow-write", &data, "--policy", &policy, "--model", &model];
    words.iter().chain(more).chain(&["pay"]).map(|word| (*word).to_owned()).collect()
}

/// The words as the program is given them.
#[must_use]
pub fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Runs or resumes until the failpoint kills the host.
///
/// # Panics
/// Where it is not killed.
pub fn killed_at(world: &World, arguments: &[&str], failpoint: &str) {
    let started = world.start(arguments, &[("AGENT_HOST_FAILPOINT", failpoint)]);
    let output = started.wait_with_output().expect("it ends");
    assert_eq!(output.status.signal(), Some(KILLED), "{failpoint}: {:?}", world.said(&output));
}

/// The bodies of all events of a kind.
#[must_use]
pub fn bodies(world: &World, kind: &str) -> Vec<Value> {
    world.events(&[]).into_iter().filter(|event| event["kind"] == kind).map(|event| event["body"].clone()).collect()
}
