//! What the sandbox adds to a bare call of wasmtime: the same engine settings, a fresh instance for each call on both sides.
//! `cargo bench -p agent-sandbox`. Ratios within one run are what counts; times depend on the machine.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a program for people at a terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_core::effect::{Decision, Effect, EffectRequest, Refusal, Ruling};
use agent_core::json::JsonText;
use agent_core::limits::Limits;
use agent_core::units::UnixMillis;
use agent_sandbox::Sandbox;
use agent_sandbox::call::Call;
use agent_sandbox::component::Component;
use agent_sandbox::engine::Residue;
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::sandbox::SandboxOptions;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{InstancePre, Linker, Val};
use wasmtime::{Engine, Store};

/// Calls in one measurement.
const CALLS: u32 = 20_000;

/// Takes a string and returns it.
const ECHO: &str = r#"(component
    (core module $m
        (memory (export "memory") 2)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "echo") (param "text" string) (result string)
        (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;

fn main() {
    let bytes = wat::parse_str(ECHO).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let bare = Bare::new(&bytes);
        let sandbox = Arc::new(Sandbox::new(SandboxOptions::default()).unwrap());
        let component = sandbox.load(&"echo".parse().unwrap(), &bytes).unwrap();
        // Twice, so that the second is warm.
        for round in ["cold", "warm"] {
            println!("{round}: {CALLS} calls each");
            let floor = measure("bare wasmtime, one after another", || bare.call()).await;
            let ours = measure("sandbox, one after another", || call(&sandbox, &component)).await;
            println!("  sandbox / bare: wall {:.2}, CPU {:.2}", ours.wall / floor.wall, ours.cpu / floor.cpu);
            let two = measure_two(&sandbox, &component).await;
            println!("  two at once / one: {:.2} × the calls per second", ours.wall / two.wall);
        }
    });
}

/// Microseconds for one call.
struct Cost {
    wall: f64,
    cpu: f64,
}

async fn measure<F: Future<Output = ()>>(name: &str, call: impl Fn() -> F) -> Cost {
    let (started, cpu) = (Instant::now(), cpu_time());
    for _ in 0..CALLS {
        call().await;
    }
    report(name, started.elapsed(), cpu_time() - cpu)
}

async fn measure_two(sandbox: &Arc<Sandbox>, component: &Arc<Component>) -> Cost {
    let half = || {
        let (sandbox, component) = (Arc::clone(sandbox), Arc::clone(component));
        tokio::spawn(async move {
            for _ in 0..CALLS / 2 {
                call(&sandbox, &component).await;
            }
        })
    };
    let (started, cpu) = (Instant::now(), cpu_time());
    let (first, second) = tokio::join!(half(), half());
    first.and(second).unwrap();
    report("sandbox, two at once", started.elapsed(), cpu_time() - cpu)
}

fn report(name: &str, wall: Duration, cpu: Duration) -> Cost {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(CALLS);
    let cost = Cost { wall: each(wall), cpu: each(cpu) };
    println!("  {name:<36} {:7.2} µs wall {:7.2} µs CPU", cost.wall, cost.cpu);
    cost
}

/// Processor time of the whole process, in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the program's name, which may hold spaces: field 14 and 15 of the manual page are user and system time.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

async fn call(sandbox: &Sandbox, component: &Arc<Component>) {
    let call = Call {
        operation: "echo".parse().unwrap(),
        arguments: JsonText::parse(r#"{"text":"hello"}"#).unwrap(),
        mounts: Vec::new(),
        env: Vec::new(),
        limits: Limits::STANDARD,
        seed: [7; 32],
        clock_start: UnixMillis(0),
        gate: Arc::new(ClosedGate),
        cancel: CancellationToken::new(),
    };
    assert!(sandbox.call(component, call).await.unwrap().outcome.is_success());
}

/// wasmtime alone: fuel with yields, so that both sides run the same code, and nothing else.
struct Bare {
    engine: Engine,
    pre: InstancePre<()>,
}

impl Bare {
    fn new(bytes: &[u8]) -> Self {
        let engine = agent_sandbox::engine::build(4, Residue::Kept).unwrap();
        let component = wasmtime::component::Component::from_binary(&engine, bytes).unwrap();
        let pre = Linker::new(&engine).instantiate_pre(&component).unwrap();
        Self { engine, pre }
    }

    async fn call(&self) {
        let mut store = Store::new(&self.engine, ());
        store.set_fuel(1_000_000_000).unwrap();
        store.fuel_async_yield_interval(Some(5_000_000)).unwrap();
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let echo = instance.get_func(&mut store, "echo").unwrap();
        let mut results = [Val::Bool(false)];
        echo.call_async(&mut store, &[Val::String("hello".into())], &mut results).await.unwrap();
    }
}

/// Grants nothing.
struct ClosedGate;

#[async_trait]
impl EffectGate for ClosedGate {
    async fn decide(&self, request: &EffectRequest) -> Ruling {
        let decision = Decision::Deny { refusal: Refusal::FsDenied, rule: "nothing is granted".into(), hint: None };
        Ruling { decision, class: request.class(false), idempotency_header: None }
    }

    async fn intend_change(&self, _: ChangeIntent) -> Result<(), GateClosed> {
        Ok(())
    }

    async fn intend_send(&self, _: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed> {
        Ok(None)
    }

    async fn done(&self, _: &Effect) -> Result<(), GateClosed> {
        Ok(())
    }

    fn progress(&self, _: Progress) {}
}
