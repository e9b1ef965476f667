//! A call says what fuel it takes before it uses it, so that who comes after a killed host knows what was used at most.

use std::sync::{Arc, Mutex};

use agent_core::budget::FUEL_ADVANCE;
use agent_core::effect::{Effect, EffectRequest, Ruling};
use agent_core::limits::Limits;
use agent_core::outcome::{Fault, MeteredFuel};
use agent_core::units::{Bytes, Fuel};
use agent_sandbox::call::{Call, CallReport};
use agent_sandbox::gate::{ChangeIntent, EffectGate, GateClosed, IdempotencyKey, Progress, SendIntent};
use agent_sandbox::sandbox::CallError;
use async_trait::async_trait;

use crate::support::{ClosedGate, SANDBOX, fault, guest, load, request};

/// Notes what is taken, and closes once so much was.
struct Taking {
    taken: Mutex<Vec<u64>>,
    closes_at: u64,
}

#[async_trait]
impl EffectGate for Taking {
    async fn decide(&self, number: u32, request: &EffectRequest) -> Ruling {
        ClosedGate.decide(number, request).await
    }

    fn take_fuel(&self, fuel: Fuel) -> Result<(), GateClosed> {
        self.taken.lock().unwrap().push(fuel.0);
        if fuel.0 < self.closes_at { Ok(()) } else { Err(GateClosed("a test".to_owned())) }
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

/// Runs a guest with this body under these limits, and says what it took.
async fn take(body: &str, limits: Limits, closes_at: u64) -> (Result<CallReport, CallError>, Vec<u64>) {
    let gate = Arc::new(Taking { taken: Mutex::default(), closes_at });
    let call = Call { gate: Arc::clone(&gate) as Arc<dyn EffectGate>, ..request("run", "{}", limits) };
    let report = SANDBOX.call(&load(&guest("(memory 16)", body)), call).await;
    let taken = gate.taken.lock().unwrap().clone();
    (report, taken)
}

fn limits(fuel: u64) -> Limits {
    Limits { fuel: Fuel(fuel), memory: Bytes(1 << 20), ..Limits::STANDARD }
}

const LOOP: &str = "(loop $l (br $l))";

/// Costs a million each time, in one instruction.
const FILL: &str = "(loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 1000000)) (br $l))";

#[tokio::test]
async fn a_short_call_takes_nothing() {
    let (report, taken) = take("", limits(200 * FUEL_ADVANCE.0), u64::MAX).await;
    assert!(report.unwrap().outcome.is_success());
    assert!(taken.is_empty(), "{taken:?}");
}

#[tokio::test]
async fn a_long_call_takes_before_it_uses() {
    let limit = 3 * FUEL_ADVANCE.0;
    for body in [LOOP, FILL] {
        let (report, taken) = take(body, limits(limit), u64::MAX).await;
        let report = report.unwrap();
        assert_eq!(
            (fault(&report), report.metering.fuel),
            (Some(Fault::FuelExhausted), MeteredFuel::AtLeast(Fuel(limit)))
        );
        assert!(taken.is_sorted() && taken.len() >= 2, "{taken:?}");
        assert_eq!(taken.last(), Some(&limit), "{taken:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_used() {
    let (report, taken) = take(LOOP, limits(200 * FUEL_ADVANCE.0), 1).await;
    assert!(matches!(report, Err(CallError::Gate(_))), "{report:?}");
    assert_eq!(taken.len(), 1);
}
