//! Stand-in for the data of a call's store, until the capability hosts arrive.

use std::sync::Arc;

use agent_core::effect::Effect;
use agent_core::limits::Limits;
use agent_core::units::UnixMillis;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::call::{LogRecord, Output};
use crate::gate::EffectGate;
use crate::mount::Mount;
use crate::patience::Patience;
use crate::transcript::Transcript;

pub(crate) struct CallState {
    pub(crate) limiter: crate::limiter::CallLimiter,
    wasi: WasiCtx,
    table: ResourceTable,
}

#[expect(dead_code, reason = "the stand-in uses only the limits")]
pub(crate) struct CallParts {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) limits: Limits,
    pub(crate) seed: [u8; 32],
    pub(crate) clock_start: UnixMillis,
    pub(crate) gate: Arc<dyn EffectGate>,
    pub(crate) patience: Arc<Patience>,
    pub(crate) cancel: CancellationToken,
}

pub(crate) struct Account {
    pub(crate) effects: Vec<Effect>,
    pub(crate) output: Output,
    pub(crate) log: Vec<LogRecord>,
    pub(crate) log_dropped: u64,
    pub(crate) transcript: Transcript,
    pub(crate) host_calls: u64,
}

impl CallState {
    #[expect(clippy::needless_pass_by_value, reason = "the signature of what replaces this")]
    pub(crate) fn new(parts: CallParts) -> wasmtime::Result<Self> {
        let limiter = crate::limiter::CallLimiter::new(&parts.limits);
        Ok(Self { limiter, wasi: WasiCtx::builder().build(), table: ResourceTable::new() })
    }

    #[expect(clippy::unused_async, reason = "the stand-in joins nothing")]
    pub(crate) async fn finish(self) -> Account {
        Account {
            effects: Vec::new(),
            output: Output::default(),
            log: Vec::new(),
            log_dropped: 0,
            transcript: Transcript::default(),
            host_calls: 0,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl crate::bindings::agent_host::tool::host::Host for CallState {
    fn log(&mut self, _: crate::bindings::agent_host::tool::host::Level, _: String) -> wasmtime::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: String, _: Option<f64>) -> wasmtime::Result<()> {
        Ok(())
    }
}
