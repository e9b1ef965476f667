//! Each limit against a guest that wants more, and a next call that works.

use std::time::{Duration, Instant};

use agent_core::limits::Limits;
use agent_core::outcome::{Fault, MeteredFuel};
use agent_core::units::{Bytes, Fuel, Millis};

use crate::support::{SANDBOX, call, call_within, fault, guest, load, request, shown};

/// Runs `run` of the guest, checks the fault, then checks that a benign call still works.
async fn check(text: &str, limits: Limits, expected: Fault, words: &str) {
    let report = call_within(&load(text), "run", "{}", limits).await;
    let said = shown(&report.outcome);
    assert_eq!(fault(&report), Some(expected), "{said}");
    assert!(said.contains(words), "{said}");
    canary().await;
}

async fn canary() {
    let report = call(&load(&guest("", "")), "run", "{}").await;
    assert_eq!(shown(&report.outcome), "returned ");
}

fn little_fuel() -> Limits {
    Limits { fuel: Fuel(1_000_000), ..Limits::STANDARD }
}

const LOOP: &str = "(loop $l (br $l))";

#[tokio::test]
async fn an_endless_loop_uses_exactly_its_fuel_each_time() {
    check(&guest("", LOOP), little_fuel(), Fault::FuelExhausted, "its 1.00 M of fuel").await;
    let endless = load(&guest("", LOOP));
    for _ in 0..100 {
        let report = call_within(&endless, "run", "{}", little_fuel()).await;
        assert_eq!(report.metering.fuel, MeteredFuel::AtLeast(Fuel(1_000_000)));
    }
}

#[tokio::test]
async fn a_call_that_returns_has_the_same_exact_fuel_each_time() {
    let counting = load(&guest(
        "",
        "(local $i i32) (local.set $i (i32.const 1000)) (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))",
    ));
    let first = call(&counting, "run", "{}").await.metering.fuel;
    assert!(matches!(first, MeteredFuel::Exact(Fuel(4_000..7_000))), "{first:?}");
    for _ in 0..100 {
        assert_eq!(call(&counting, "run", "{}").await.metering.fuel, first);
    }
}

#[tokio::test]
async fn fuel_is_armed_before_the_start_function_runs() {
    let start = guest(&format!("(func $s {LOOP}) (start $s)"), "");
    check(&start, little_fuel(), Fault::FuelExhausted, "limits.fuel").await;
}

#[tokio::test]
async fn realloc_and_post_return_are_inside_the_same_fuel() {
    let realloc = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {LOOP} (i32.const 0))
                (func (export "run") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "run") (param "s" string)
                (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    );
    let report = call_within(&load(&realloc), "run", r#"{"s":"x"}"#, little_fuel()).await;
    assert_eq!(fault(&report), Some(Fault::FuelExhausted), "{}", shown(&report.outcome));

    let post_return = format!(
        r#"(component
            (core module $m
                (func (export "run") (result i32) (i32.const 1))
                (func (export "post") (param i32) {LOOP}))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32)
                (canon lift (core func $i "run") (post-return (core func $i "post")))))"#
    );
    check(&post_return, little_fuel(), Fault::FuelExhausted, "limits.fuel").await;
}

#[tokio::test]
async fn growing_memory_costs_fuel() {
    let storm = guest("(memory 1)", "(loop $l (drop (memory.grow (i32.const 1))) (br $l))");
    let limits = Limits { fuel: Fuel(100_000), memory: Bytes(4 << 30), ..Limits::STANDARD };
    let report = call_within(&load(&storm), "run", "{}", limits).await;
    assert_eq!(fault(&report), Some(Fault::FuelExhausted));
    // 255 fuel and a little for each page of 64 KiB; without the charge it would be thousands.
    assert!(report.metering.memory_peak.0 < 400 * (64 << 10), "{}", report.metering.memory_peak);
}

#[tokio::test]
async fn a_busy_guest_meets_its_deadline() {
    let limits = Limits { fuel: Fuel(u64::MAX), deadline: Millis(300), ..Limits::STANDARD };
    let endless = load(&guest("", LOOP));
    let started = Instant::now();
    // Without the defence the guest would outlive the test: give up on it.
    let call = tokio::time::timeout(Duration::from_secs(10), call_within(&endless, "run", "{}", limits));
    let report = call.await.expect("the deadline ends the call");
    let took = started.elapsed();
    assert_eq!(fault(&report), Some(Fault::DeadlineExceeded));
    assert!((Duration::from_millis(300)..Duration::from_millis(500)).contains(&took), "{took:?}");
    assert!(matches!(report.metering.fuel, MeteredFuel::AtLeast(Fuel(1_000_000..))), "{:?}", report.metering.fuel);
    canary().await;
}

#[tokio::test]
async fn a_busy_guest_can_be_cancelled_and_a_forgotten_call_ends() {
    let limits = Limits { fuel: Fuel(u64::MAX), ..Limits::STANDARD };
    let endless = load(&guest("", LOOP));
    let call = request("run", "{}", limits.clone());
    let cancel = call.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let report = SANDBOX.call(&endless, call).await.unwrap();
    assert_eq!(fault(&report), Some(Fault::Cancelled));

    // Five more than there are slots: each must be given back though nobody waits for its call.
    for _ in 0..9 {
        let forgotten = SANDBOX.call(&endless, request("run", "{}", limits.clone()));
        assert!(tokio::time::timeout(Duration::from_millis(50), forgotten).await.is_err());
    }
    canary().await;
}

#[tokio::test]
async fn calls_beyond_the_slots_are_refused_in_time() {
    let options = agent_sandbox::sandbox::SandboxOptions {
        calls_max: 1,
        slot_wait: Duration::from_millis(50),
        ..crate::support::options()
    };
    let sandbox = agent_sandbox::Sandbox::new(options).unwrap();
    let bytes = wat::parse_str(guest("", LOOP)).unwrap();
    let endless = sandbox.load(&"guest".parse().unwrap(), &bytes).unwrap();
    let limits = Limits { fuel: Fuel(u64::MAX), deadline: Millis(400), ..Limits::STANDARD };
    let (first, second) = tokio::join!(
        sandbox.call(&endless, request("run", "{}", limits.clone())),
        sandbox.call(&endless, request("run", "{}", limits.clone())),
    );
    assert_eq!(fault(&first.unwrap()), Some(Fault::DeadlineExceeded));
    assert!(shown(&second.unwrap().outcome).starts_with("overloaded: "));
    let third = sandbox.call(&endless, request("run", "{}", limits)).await.unwrap();
    assert_eq!(fault(&third), Some(Fault::DeadlineExceeded), "the slot is free again");
}

#[tokio::test]
async fn memory_growth_ends_at_the_limit() {
    let storm = guest("(memory 1)", "(loop $l (drop (memory.grow (i32.const 16))) (br $l))");
    let limits = Limits { memory: Bytes(8 << 20), ..Limits::STANDARD };
    check(&storm, limits.clone(), Fault::MemoryLimit, "its limit of 8.00 MiB").await;
    let report = call_within(&load(&storm), "run", "{}", limits).await;
    assert_eq!(report.metering.memory_peak, Bytes((1 + 16 * 7) << 16));
}

#[tokio::test]
async fn a_guest_that_starts_too_large_never_starts() {
    check(&guest("(memory 65536)", ""), Limits::STANDARD, Fault::MemoryLimit, "128 MiB").await;
    check(&guest("(memory 1)", "(drop (memory.grow (i32.const 65535)))"), Limits::STANDARD, Fault::MemoryLimit, "")
        .await;
}

#[tokio::test]
async fn memories_count_together() {
    let module = |name: &str| format!("(core module ${name} (memory 600)) (core instance (instantiate ${name}))");
    let parts: String = ["a", "b", "c", "d"].map(module).concat();
    let four = format!(
        r#"(component {parts} (core module $m (func (export "run"))) (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    // Each has 37.5 MiB: three fit, four do not.
    check(&four, Limits::STANDARD, Fault::MemoryLimit, "128 MiB").await;
    let enough = Limits { memory: Bytes(160 << 20), ..Limits::STANDARD };
    let report = call_within(&load(&four), "run", "{}", enough).await;
    assert_eq!((shown(&report.outcome).as_str(), report.metering.memory_peak), ("returned ", Bytes((4 * 600) << 16)));
}

#[tokio::test]
async fn growth_beyond_the_guests_own_maximum_is_its_own_business() {
    let modest = guest("(memory 1 2)", "(if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))");
    let report = call(&load(&modest), "run", "{}").await;
    assert_eq!(shown(&report.outcome), "returned ");
}

#[tokio::test]
async fn tables_count_together_too() {
    let grow = |elements: u32| {
        guest("(table 1 funcref)", &format!("(drop (table.grow (ref.null func) (i32.const {elements})))"))
    };
    check(&grow(0x8000_0000), Limits::STANDARD, Fault::TableLimit, "its limit of 20000").await;
    check(&grow(20_000), Limits::STANDARD, Fault::TableLimit, "").await;
    let two = guest("(table 15000 funcref) (table 15000 funcref)", "");
    check(&two, Limits::STANDARD, Fault::TableLimit, "limits.table_elements").await;
}

#[tokio::test]
async fn endless_recursion_is_a_fault_not_a_crash() {
    check(&guest("(func $f (call $f))", "(call $f)"), Limits::STANDARD, Fault::StackOverflow, "recursion").await;
    // Frames of thousands of bytes each.
    let locals = "(local i64)".repeat(2_000);
    let uses: String = (0..2_000).map(|i| format!("(local.set {i} (i64.load (i32.const {})))", i * 8)).collect();
    let keeps: String = (0..2_000).map(|i| format!("(i64.store (i32.const {}) (local.get {i}))", i * 8)).collect();
    let fat = guest(&format!("(memory 1) (func $f {locals} {uses} (call $f) {keeps})"), "(call $f)");
    check(&fat, Limits::STANDARD, Fault::StackOverflow, "").await;
}

#[tokio::test]
async fn traps_tell_where_in_the_guest_and_nothing_of_the_host() {
    let deep = guest("(func $inner unreachable) (func $outer (call $inner))", "(call $outer)");
    let report = call(&load(&deep), "run", "{}").await;
    assert_eq!(
        shown(&report.outcome),
        "guest_trap: the tool crashed: wasm trap: wasm `unreachable` instruction executed\n  at inner\n  at outer\n  at function 2"
    );
    let recursive = guest(
        "(func $f (param i32) (if (i32.eqz (local.get 0)) (then unreachable)) (call $f (i32.sub (local.get 0) (i32.const 1))))",
        "(call $f (i32.const 500))",
    );
    let report = call(&load(&recursive), "run", "{}").await;
    assert_eq!(shown(&report.outcome).matches("\n  at f").count(), 20);
    let zero = guest("", "(drop (i32.div_s (i32.const 1) (i32.const 0)))");
    check(&zero, Limits::STANDARD, Fault::GuestTrap, "divide by zero").await;
    let indirect = guest("(type $t (func)) (table 1 funcref)", "(call_indirect (type $t) (i32.const 0))");
    check(&indirect, Limits::STANDARD, Fault::GuestTrap, "uninitialized element").await;
}

/// Makes this many handles and keeps them.
fn hoarder(handles: u32) -> String {
    format!(
        r#"(component
            (type $r (resource (rep i32)))
            (core func $new (canon resource.new $r))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "run") (local $left i32) (local.set $left (i32.const {handles}))
                    (loop $l
                        (drop (call $new (i32.const 1)))
                        (br_if $l (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
            (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

#[tokio::test]
async fn handles_are_bounded() {
    let report = call(&load(&hoarder(1_000)), "run", "{}").await;
    assert_eq!(shown(&report.outcome), "returned ");
    check(&hoarder(1_001), Limits::STANDARD, Fault::HandleLimit, "more than 1000 resource handles").await;
}

/// Hands `bytes` of its memory to the host's log.
fn logger(bytes: u32) -> String {
    format!(
        r#"(component
            (import "agent-host:tool/host@0.1.0" (instance $host
                (type $level' (enum "debug" "info" "warn" "error"))
                (export "level" (type $level (eq $level')))
                (export "log" (func (param "level" $level) (param "message" string)))))
            (core module $memory (memory (export "memory") 128))
            (core instance $memory (instantiate $memory))
            (core func $log (canon lower (func $host "log") (memory (core memory $memory "memory"))))
            (core module $m
                (import "" "log" (func $log (param i32 i32 i32)))
                (func (export "run") (call $log (i32.const 0) (i32.const 0) (i32.const {bytes}))))
            (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

#[tokio::test]
async fn what_one_host_call_copies_is_bounded() {
    let report = call(&load(&logger(4 << 20)), "run", "{}").await;
    assert_eq!(shown(&report.outcome), "returned ");
    check(&logger((4 << 20) + 1), Limits::STANDARD, Fault::CopyLimit, "more than 4.00 MiB to one host call").await;
}

/// Returns a string of this many bytes.
fn talker(bytes: u32) -> String {
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1100)
                (func (export "run") (result i32)
                    (memory.fill (i32.const 16) (i32.const 65) (i32.const {bytes}))
                    (i32.store (i32.const 0) (i32.const 16))
                    (i32.store (i32.const 4) (i32.const {bytes}))
                    (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "run") (result string)
                (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
    )
}

#[tokio::test]
async fn results_are_bounded() {
    let report = call(&load(&talker(1 << 20)), "run", "{}").await;
    assert!(report.outcome.is_success());
    check(&talker((1 << 20) + 1), Limits::STANDARD, Fault::ResultInvalid, "larger than 1.00 MiB").await;
    check(&talker(64 << 20), Limits::STANDARD, Fault::ResultInvalid, "the result is too large").await;
}

#[tokio::test]
async fn many_busy_guests_all_meet_their_deadlines() {
    let limits = Limits { fuel: Fuel(u64::MAX), deadline: Millis(250), ..Limits::STANDARD };
    let endless = load(&guest("", LOOP));
    let started = Instant::now();
    let call = || call_within(&endless, "run", "{}", limits.clone());
    let reports = tokio::join!(call(), call(), call(), call());
    let took = started.elapsed();
    for report in [reports.0, reports.1, reports.2, reports.3] {
        assert_eq!(fault(&report), Some(Fault::DeadlineExceeded));
    }
    assert!(took < Duration::from_millis(450), "{took:?}");
}

/// A task of the host that wakes up every millisecond, beside the guests on the only thread: its longest pause.
async fn longest_pause() -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

/// The aim is 20 ms. Another program on the machine can break it, so that is printed and not asserted.
#[expect(clippy::print_stdout, reason = "a figure for whoever runs the suite")]
fn check_pause(longest: Duration) {
    println!("the longest pause of a task that wakes up every millisecond was {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_hosts_own_tasks_go_on_while_guests_are_busy() {
    let limits = Limits { fuel: Fuel(u64::MAX), deadline: Millis(600), ..Limits::STANDARD };
    let endless = load(&guest("", LOOP));
    let ticking = tokio::spawn(longest_pause());
    let call = || call_within(&endless, "run", "{}", limits.clone());
    let busy = tokio::join!(call(), call(), call(), call());
    assert_eq!(fault(&busy.0), Some(Fault::DeadlineExceeded));
    check_pause(ticking.await.unwrap());
}

/// Host calls cost next to no fuel, so such a guest never yields; it must not keep its caller's thread, where it begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_hosts_own_tasks_go_on_while_guests_make_host_calls_only() {
    let asking = load(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
            (core func $now (canon lower (func $clock "now")))
            (core module $m
                (import "" "now" (func $now (result i64)))
                (func (export "run") (loop $l (drop (call $now)) (br $l))))
            (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    let ticking = tokio::spawn(longest_pause());
    // From a task of that thread, as the driver calls.
    let calls = tokio::spawn(async move {
        for _ in 0..10 {
            assert_eq!(fault(&call(&asking, "run", "{}").await), Some(Fault::HostcallLimit));
        }
    });
    calls.await.unwrap();
    check_pause(ticking.await.unwrap());
}
