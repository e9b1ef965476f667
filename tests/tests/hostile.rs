//! Hostile guests against the built program. Each attack ends as it should, is recorded, and the next call of the same run
//! works; each defence is also switched off once, in a build made for that, to see that the test would notice.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use agent_tests::server::{Manner, Server};
use agent_tests::{Said, World, given, guest, tool};

/// What the hostile guest may have: one directory, little memory, and enough fuel and time that only the limit under test is
/// met.
const POLICY: &str = r#"
[[grant]]
tool = "hostile"
fs = [{ host = "./granted", access = "read", mount = "/data" }]
limits = { fuel = "5G", deadline = "20s", memory = "32MiB" }
"#;

/// The same for guests that wait.
const HASTY: (&str, &str) = ("deadline = \"20s\"", "deadline = \"1s\"");

/// A run in which the hostile guest attacks once and the calculator is asked afterwards.
struct Attack {
    world: World,
    said: Said,
    took: Duration,
}

fn attack(operation: &str, arguments: &str, environment: &[(&str, &str)]) -> Attack {
    let world = World::new();
    let script = format!(
        "version = 1\n[[reply]]\ncalls = [{{ tool = \"hostile.{operation}\", arguments = {arguments} }}]\n[[reply]]\ncalls = \
         [{{ tool = \"calc.evaluate\", as = \"sum\", arguments = {{ expression = \"40 + 2\" }} }}]\n[[reply]]\ntext = \"{{{{ sum \
         }}}}\"\n"
    );
    let model = format!("scripted:{}", world.write("replies.toml", script).display());
    let policy = if operation == "sleep_hour" { POLICY.replace(HASTY.0, HASTY.1) } else { POLICY.to_owned() };
    world.write("policy.toml", policy);
    world.write("granted/file.txt", "granted");
    world.write("granted/x/y.txt", "granted");
    world.write("secret", "TOP SECRET");
    let (hostile, calc) = (guest("hostile"), tool("calc"));
    let words = ["run", "--tools", &hostile, "--tools", &calc, "--policy", "policy.toml", "--model", &model, "attack"];
    let started = Instant::now();
    let mut command = world.command(&words);
    let output = command.envs(environment.iter().copied()).output().expect("the program starts");
    Attack { said: world.said(&output), took: started.elapsed(), world }
}

impl Attack {
    /// The record of the attacking call.
    fn record(&self) -> serde_json::Value {
        let finished = self.world.events(&[]).into_iter().find(|event| event["kind"] == "ToolFinished");
        finished.expect("the call is recorded")["body"].clone()
    }

    fn fault(&self) -> String {
        self.record()["outcome"]["faulted"]["fault"].as_str().unwrap_or("none").to_owned()
    }

    /// The refusals among the call's effects.
    fn refusals(&self) -> Vec<String> {
        let record = self.record();
        let effects = record["effects"].as_array().expect("effects");
        let names = effects.iter().filter_map(|effect| effect["decision"]["deny"]["refusal"].as_str());
        names.map(str::to_owned).collect()
    }

    fn next_call_works(&self) {
        assert_eq!((self.said.out.as_str(), self.said.code), ("42\n", Some(0)), "{}", self.said.err);
    }
}

fn check_fault(operation: &str, arguments: &str, fault: &str) {
    let attack = attack(operation, arguments, &[]);
    attack.next_call_works();
    assert_eq!(attack.fault(), fault, "{operation}: {}", attack.said.err);
    assert!(attack.said.err.contains(fault), "the person sees it: {}", attack.said.err);
    assert!(attack.took < Duration::from_secs(60), "{operation} took {:?}", attack.took);
}

fn check_refusal(operation: &str, arguments: &str, refusal: &str) {
    let attack = attack(operation, arguments, &[]);
    attack.next_call_works();
    assert!(attack.refusals().contains(&refusal.to_owned()), "{operation} {arguments}: {}", attack.record());
    assert!(!attack.record().to_string().contains("TOP SECRET"), "{operation} {arguments}");
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    check_fault("spin", "{}", "fuel_exhausted");
}

#[test]
fn endless_allocation_meets_the_memory_limit() {
    check_fault("allocate", "{}", "memory_limit");
}

#[test]
fn a_sleep_of_an_hour_meets_the_deadline() {
    check_fault("sleep_hour", "{}", "deadline_exceeded");
}

#[test]
fn endless_recursion_is_stopped() {
    // A Rust guest runs off the end of its own stack in its memory, before the engine's bound on the real one.
    check_fault("recurse", "{}", "guest_trap");
}

#[test]
fn endless_host_calls_are_stopped() {
    check_fault("clock_forever", "{}", "hostcall_limit");
    check_fault("random_forever", "{}", "hostcall_limit");
    check_fault("print_forever", "{}", "hostcall_limit");
    check_fault("log_forever", "{}", "hostcall_limit");
}

#[test]
fn results_too_large_or_broken_are_not_passed_on() {
    check_fault("big_result", "{ bytes = 3000000 }", "result_invalid");
    check_fault("deep_json", "{ count = 100000 }", "result_invalid");
    check_fault("bad_json", "{}", "result_invalid");
}

#[test]
fn an_exit_ends_the_guest_and_not_the_host() {
    check_fault("exit", "{ code = 137 }", "guest_trap");
}

#[test]
fn paths_outside_the_grant_are_refused() {
    for path in ["/data/../secret", "/data/./x/../../secret", "/data/../../../../../../etc/passwd"] {
        check_refusal("read_path", &format!("{{ path = \"{path}\" }}"), "fs_denied");
    }
    // These name no mount at all, so the guest's own library finds nothing to ask the host for.
    for path in ["../secret", "/etc/passwd", "//etc/passwd", "/proc/self/environ"] {
        let attack = attack("read_path", &format!("{{ path = \"{path}\" }}"), &[]);
        attack.next_call_works();
        let error = &attack.record()["outcome"]["returned"]["content"][0]["json"]["error"];
        assert!(error.is_object(), "{path}: {}", attack.record());
    }
}

#[test]
fn a_read_grant_does_not_write() {
    let attack = attack("write_path", "{ path = \"/data/file.txt\" }", &[]);
    attack.next_call_works();
    assert_eq!(attack.refusals(), ["fs_denied"]);
    assert_eq!(attack.world.read("granted/file.txt").as_deref(), Some("granted"));
}

#[test]
fn hosts_outside_the_grant_are_not_reached() {
    let server = Server::start(Manner::Answer("you reached me"));
    check_refusal("connect", &format!("{{ url = \"{}/\" }}", server.url()), "net_denied");
    let address = server.url().replace("http://", "");
    check_refusal("tcp_connect", &format!("{{ address = \"{address}\" }}"), "net_denied");
    assert_eq!(server.hits(), 0);
}

#[test]
fn the_environment_of_the_host_is_not_seen() {
    let attack = attack("environment", "{}", &[("SECRET_OF_THE_HOST", "TOP SECRET")]);
    attack.next_call_works();
    let record = attack.record().to_string();
    assert!(!record.contains("TOP SECRET") && !record.contains("SECRET_OF_THE_HOST"), "{record}");
}

/// The variable by which a build made for that switches one defence off.
const OFF: &str = "AGENT_HOST_DEFENCE_OFF";

#[test]
fn without_fuel_the_loop_is_only_stopped_by_its_deadline() {
    let attack = attack("spin", "{}", &[(OFF, "fuel")]);
    assert_eq!(attack.fault(), "deadline_exceeded");
}

#[test]
fn without_the_memory_limit_more_is_allocated() {
    let attack = attack("allocate", "{}", &[(OFF, "memory")]);
    assert_ne!(attack.fault(), "memory_limit");
    let peak = attack.record()["metering"]["memory_peak"].as_u64().expect("a peak");
    assert!(peak > 32 << 20, "{peak}");
}

#[test]
fn without_the_deadline_the_sleeper_sleeps_on() {
    let world = World::new();
    world.write("policy.toml", POLICY.replace(HASTY.0, HASTY.1));
    world.write("granted/file.txt", "");
    let hostile = guest("hostile");
    let words = ["tool", "call", "--tools", &hostile, "--policy", "policy.toml", "hostile.sleep_hour"];
    let mut child = world.start(&words, &[(OFF, "deadline")]);
    std::thread::sleep(Duration::from_secs(5));
    let ended = child.try_wait().expect("it can be asked");
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(ended, None, "five times its deadline is over");
}

#[test]
fn without_the_walls_of_the_mount_the_secret_is_read() {
    let attack = attack("read_path", "{ path = \"/data/../secret\" }", &[(OFF, "fs")]);
    assert!(attack.record().to_string().contains("TOP SECRET"), "{}", attack.record());
}

#[test]
fn without_the_decision_about_requests_the_host_is_reached() {
    let server = Server::start(Manner::Answer("you reached me"));
    let _ = attack("connect", &format!("{{ url = \"{}/\" }}", server.url()), &[(OFF, "net_denied")]);
    assert_eq!(server.hits(), 1);
}

#[test]
fn a_build_for_use_has_no_such_switch() {
    let program = std::fs::read(given("AGENT_HOST_TEST_RELEASELIKE_BIN")).expect("the plain build");
    let contains = |needle: &str| program.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(!contains(OFF) && !contains("AGENT_HOST_FAILPOINT"));
    assert!(contains("AGENT_HOST_HOME"), "the search itself works");
}
