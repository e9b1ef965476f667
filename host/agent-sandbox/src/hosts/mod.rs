//! Stand-in for the capability hosts, until they arrive.

use agent_core::grant::Capability;
use wasmtime::component::{HasSelf, Linker};

use crate::state::CallState;

pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    crate::bindings::agent_host::tool::host::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)
}

pub(crate) fn known_capability(import: &str) -> Option<Capability> {
    let interface = import.split_once('@').map_or(import, |(name, _)| name);
    match interface.split_once('/')?.0 {
        "wasi:filesystem" => Some(Capability::Fs),
        "wasi:http" => Some(Capability::Http),
        "wasi:sockets" => Some(Capability::Sockets),
        "wasi:clocks" => Some(Capability::Clock),
        "wasi:random" => Some(Capability::Random),
        "wasi:cli" if interface == "wasi:cli/environment" => Some(Capability::Env),
        "wasi:cli" | "wasi:io" | "agent-host:tool" => Some(Capability::Log),
        _ => None,
    }
}
