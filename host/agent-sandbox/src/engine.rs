//! The wasmtime engine: every setting by name, each with its reason. `sandbox` builds one engine and keeps it.
//!
//! What is deliberately absent: epochs (fuel with a yield interval already preempts, and both together would slow a guest by
//! up to 1.8), wasmtime's own cache (ours is authenticated: `cache`), Winch, profiling, core dumps.

use std::hash::{Hash as _, Hasher};
use std::num::NonZeroUsize;

use agent_core::digest::Digest;
use agent_core::limits::Limits;
use sha2::Digest as _;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig, Strategy,
    VariableOperatorCost, WasmBacktraceDetails, WasmFeatures,
};

use crate::defence::{self, Defence};
use crate::layer::{self, Layer};

/// The exact version in `Cargo.toml`: part of the settings that each call records.
const WASMTIME_VERSION: &str = "48.0.8";

/// Stack that wasm may use. wasmtime's default; deep recursion ends as a fault.
const WASM_STACK_BYTES_MAX: usize = 512 << 10;

/// Stack of a call's fiber. Host functions run on what wasm leaves over, here 1.5 MiB: an overflow *there* would abort the
/// process, so the difference must stay at least 1 MiB.
const FIBER_STACK_BYTES: usize = 2 << 20;

/// Frames in the backtrace of a trap: enough to find the place, bounded for the model that reads it.
const BACKTRACE_FRAMES_MAX: NonZeroUsize = NonZeroUsize::new(20).unwrap();

/// Fuel for one page of `memory.grow`. wasmtime's default is none, so that 900 pages cost 3 fuel; this is the most that fits.
const FUEL_PER_GROWN_PAGE: u8 = 255;

/// Fuel for one `memory.grow` or `table.grow`, however little it grows: the host does work for it, and an instruction that
/// costs 1 would let a guest keep its core for half a second between two yields.
const FUEL_PER_GROWTH: u8 = 255;

/// Fuel between two yields to the executor: half a millisecond of tight arithmetic, a few of memory-bound work. Without a
/// yield no deadline can stop a busy guest. An interval of 10,000 would double the guest's time; this one costs about 3 %.
pub(crate) const YIELD_INTERVAL_FUEL: u64 = 5_000_000;

/// Core instances of one component. Toolchains make 2 to 10, composed components some more.
pub(crate) const CORE_INSTANCES_MAX: u32 = 32;

/// Linear memories of one component: one for each composed part.
pub(crate) const MEMORIES_MAX: u32 = 8;

/// Tables of one component: about two for each composed part.
pub(crate) const TABLES_MAX: u32 = 16;

/// Elements of one table in the pool. Address space only, about 0.8 MB each; [`crate::limiter`] enforces the call's own limit on all
/// tables together, which nobody raises above its default of 20,000. The rest is so that a component whose one table is larger is
/// refused by that limit, with its name and cure, and not by the pool.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Host bytes that describe one instance. Ten times what the largest real component (a JavaScript engine) needs.
const INSTANCE_BYTES_MAX: usize = 1 << 20;

/// Memory that stays resident in a slot between calls where the kernel can tell which pages are dirty (Linux 6.7): a slot's
/// pages are then cleared by hand instead of unmapped, which makes a call 3 times cheaper.
const KEEP_RESIDENT_BYTES_SCANNED: usize = 4 << 20;

/// The same where the kernel cannot tell: everything up to this is cleared, dirty or not. More makes large guests slower.
const KEEP_RESIDENT_BYTES_UNSCANNED: usize = 512 << 10;

/// Table memory that stays resident in a slot.
const TABLE_KEEP_RESIDENT_BYTES: usize = 128 << 10;

/// How much is done against residue of an earlier call, beyond what wasmtime guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residue {
    /// Slots keep cleared pages resident. The fast default.
    Kept,
    /// Nothing stays resident between calls and stacks are zeroed: `--strict`.
    Wiped,
}

/// What identifies the engine in a recorded call: the same component under the same settings behaves the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// The version of wasmtime.
    pub wasmtime: &'static str,
    /// The digest of everything that changes compiled code or what a guest can observe.
    pub digest: Digest,
}

/// An engine for up to `calls_max` calls at once. Public only for the benchmark, which runs the bare engine beside us.
///
/// # Errors
/// Where the machine lacks the address space.
#[doc(hidden)]
pub fn build(calls_max: u32, residue: Residue) -> wasmtime::Result<Engine> {
    let mut config = settings_of_code();
    config
        .async_stack_zeroing(residue == Residue::Wiped)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(calls_max, residue)));
    Engine::new(&config)
}

/// An engine that makes code for [`build`]'s and runs none: without a pool it reserves no address space, so that a process
/// with a small limit on it can hold one.
pub(crate) fn for_compiling() -> wasmtime::Result<Engine> {
    let mut config = settings_of_code();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// What all engines share: the same code comes out of each and runs in each.
fn settings_of_code() -> Config {
    let mut config = Config::new();
    set_features(&mut config);
    set_metering(&mut config);
    set_code(&mut config);
    config.max_wasm_stack(WASM_STACK_BYTES_MAX).async_stack_size(FIBER_STACK_BYTES);
    config
}

/// Features outside wasmtime's first tier are off, also where a crate feature of some dependency would switch them on.
/// Concurrency belongs to WASI 0.3. A module may have many memories only because the code that wasmtime itself makes between two
/// composed components works on both of theirs; a guest's own module with a second memory is refused by the pool. Maps are part of the component
/// model and carried whole; lists of fixed length are not yet, by wasmtime's own word.
fn set_features(config: &mut Config) {
    let off = WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::GC
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::MEMORY64
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_FIXED_LENGTH_LISTS
        | WasmFeatures::CM_GC
        | WasmFeatures::CM64;
    config.wasm_features(off, false);
    config.wasm_multi_memory(true).wasm_component_model_map(true);
    config.shared_memory(false);
    config.concurrency_support(false);
}

fn set_metering(config: &mut Config) {
    let variable = VariableOperatorCost { memory_grow_per_page: FUEL_PER_GROWN_PAGE, ..VariableOperatorCost::new() };
    let growth = OperatorCost { MemoryGrow: FUEL_PER_GROWTH, TableGrow: FUEL_PER_GROWTH, ..OperatorCost::new() };
    config.consume_fuel(!layer::is_off(Layer::Fuel)).operator_cost(OperatorCost { variable, ..growth });
    config.epoch_interruption(false);
}

/// How code is made: Cranelift, floats the same on every machine (a replay must match), traps that tell nothing of the host.
fn set_code(config: &mut Config) {
    config
        .strategy(Strategy::Cranelift)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // The default reads an environment variable.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES_MAX))
        // Registering unwind information is quadratic in what a hostile component may hold; nothing here needs it.
        .native_unwind_info(false)
        .debug_info(false);
}

/// Slots for `calls_max` calls, each with the most that one component may have. Exhaustion would be an error in the middle of
/// an instantiation, so `sandbox` holds a semaphore in front.
fn pool(calls_max: u32, residue: Residue) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls_max)
        .total_stacks(calls_max)
        .total_core_instances(calls_max.saturating_mul(CORE_INSTANCES_MAX))
        .total_memories(calls_max.saturating_mul(MEMORIES_MAX))
        .total_tables(calls_max.saturating_mul(TABLES_MAX))
        .max_core_instances_per_component(if defence::is_off(Defence::Instances) {
            u32::MAX
        } else {
            CORE_INSTANCES_MAX
        })
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES_MAX)
        // Address space; `limiter` enforces what the call may really use.
        .max_memory_size(usize::try_from(Limits::MEMORY_MAX.0).unwrap_or(usize::MAX))
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .decommit_batch_size(1)
        .max_unused_warm_slots(0);
    keep_resident(&mut pool, residue);
    pool
}

fn keep_resident(pool: &mut PoolingAllocationConfig, residue: Residue) {
    let scanned = PoolingAllocationConfig::is_pagemap_scan_available();
    let (memory_bytes, table_bytes) = match residue {
        Residue::Wiped => (0, 0),
        Residue::Kept if scanned => (KEEP_RESIDENT_BYTES_SCANNED, TABLE_KEEP_RESIDENT_BYTES),
        Residue::Kept => (KEEP_RESIDENT_BYTES_UNSCANNED, TABLE_KEEP_RESIDENT_BYTES),
    };
    pool.linear_memory_keep_resident(memory_bytes)
        .table_keep_resident(table_bytes)
        .pagemap_scan(if scanned && residue == Residue::Kept { Enabled::Yes } else { Enabled::No });
}

/// The settings of `engine`. wasmtime's own compatibility hash covers its version, the processor, the features and all
/// that changes code; ours adds what only a running guest can observe.
pub(crate) fn settings(engine: &Engine) -> EngineSettings {
    let mut code = CodeSettings(sha2::Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut code);
    let observed = format!(
        "wasm stack {WASM_STACK_BYTES_MAX}, core instances {CORE_INSTANCES_MAX}, memories {MEMORIES_MAX}, tables {TABLES_MAX}"
    );
    let code: [u8; 32] = code.0.finalize().into();
    let parts = [WASMTIME_VERSION.as_bytes(), std::env::consts::ARCH.as_bytes(), &code, observed.as_bytes()];
    EngineSettings { wasmtime: WASMTIME_VERSION, digest: Digest::of_parts(&parts) }
}

/// Gathers what wasmtime feeds to a `Hasher` into a SHA-256: the standard hasher's 64 bits are no identity.
struct CodeSettings(sha2::Sha256);

impl Hasher for CodeSettings {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("nothing asks for the short form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_the_same_each_time_and_residue_does_not_change_code() -> wasmtime::Result<()> {
        let (kept, again) = (build(2, Residue::Kept)?, build(2, Residue::Kept)?);
        assert_eq!(settings(&kept), settings(&again));
        assert_eq!(settings(&kept), settings(&build(2, Residue::Wiped)?));
        assert_eq!(settings(&kept), settings(&for_compiling()?), "what one compiles the other runs");
        Ok(())
    }

    /// One function that takes what is given, and a plain one.
    fn taking(ty: &str) -> wasmtime::Result<Vec<u8>> {
        let text = format!(
            r#"(component
                (core module $m (func (export "f") (param i32)) (func (export "g")))
                (core instance $i (instantiate $m))
                (type $given {ty})
                (func (export "takes") (param "it" $given) (canon lift (core func $i "f")))
                (func (export "plain") (canon lift (core func $i "g"))))"#
        );
        Ok(wat::parse_str(text)?)
    }

    /// Why a component with a stream is refused as a whole, and not one function of it: its types are only known to an engine that
    /// also runs what is concurrent.
    #[test]
    fn streams_are_refused_with_all_beside_them_and_cannot_be_known_without_concurrency() -> wasmtime::Result<()> {
        let engine = for_compiling()?;
        assert!(engine.precompile_component(&taking("(tuple u8)")?).is_ok());
        for ty in ["(stream u8)", "(future u8)", "(list u8 1)"] {
            assert!(engine.precompile_component(&taking(ty)?).is_err(), "{ty}");
        }
        let mut config = Config::new();
        set_features(&mut config);
        config.wasm_features(WasmFeatures::CM_ASYNC, true);
        let refused = Engine::new(&config).map(drop).map_err(|error| error.to_string());
        assert!(refused.is_err_and(|said| said.contains("concurrency support must be enabled")));
        Ok(())
    }

    #[test]
    fn the_version_in_the_settings_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"")));
    }

    #[test]
    fn host_functions_have_a_megabyte_of_stack() {
        const { assert!(FIBER_STACK_BYTES - WASM_STACK_BYTES_MAX >= 1 << 20) };
    }
}
