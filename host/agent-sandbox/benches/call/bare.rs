//! The floor: wasmtime and its own WASI, with the settings of our engine and fuel that yields, so that both sides run the same
//! code. Nothing is checked, limited or recorded; what the guest prints is kept, as a tool's caller needs it.

use agent_sandbox::engine::{self, Residue};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::guests::Guest;
use crate::side::Side;

/// As many slots as the sandbox has by default, and its spare one.
const SLOTS: u32 = 33;

/// What a guest may print.
const OUTPUT_BYTES: usize = 64 << 10;

/// One guest, ready to be instantiated.
pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<Wasi>,
    function: ComponentExportIndex,
    arguments: Vec<Val>,
}

struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl Bare {
    pub(crate) fn new(guest: &Guest) -> Self {
        let engine = engine();
        let component = Component::from_binary(&engine, &guest.bytes).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let pre = linker.instantiate_pre(&component).unwrap();
        let (_, function) = component.get_export(None, guest.operation).unwrap();
        Self { engine, pre, function, arguments: guest.values.clone() }
    }

    /// What a call of these arguments returns.
    pub(crate) async fn returned(&self, arguments: &[Val]) -> Val {
        let mut store = Store::new(&self.engine, Wasi::new());
        store.set_fuel(1_000_000_000).unwrap();
        store.fuel_async_yield_interval(Some(5_000_000)).unwrap();
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let function = instance.get_func(&mut store, self.function).unwrap();
        let mut results = [Val::Bool(false)];
        function.call_async(&mut store, arguments, &mut results).await.unwrap();
        let [returned] = results;
        returned
    }
}

/// The sandbox's own settings.
pub(crate) fn engine() -> Engine {
    engine::build(SLOTS, Residue::Kept).unwrap()
}

impl Side for Bare {
    async fn call(&self) {
        self.returned(&self.arguments).await;
    }
}

impl Wasi {
    fn new() -> Self {
        let pipe = || MemoryOutputPipe::new(OUTPUT_BYTES);
        let context = WasiCtx::builder().stdout(pipe()).stderr(pipe()).build();
        Self { context, table: ResourceTable::new() }
    }
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
    }
}
