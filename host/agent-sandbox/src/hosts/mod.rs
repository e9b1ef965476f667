//! The host side of every interface that a tool may import: one module per capability, linked here, all of them always.
//! What was not granted refuses when it is used, with a record, so that any component instantiates.

pub(crate) mod cli;
pub(crate) mod clocks;
pub(crate) mod fs;
pub(crate) mod http;
mod io;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod random;
mod sockets;

use agent_core::grant::Capability;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi_http::p2::bindings::http as wasi_http;
use wasmtime_wasi_io::bindings::wasi::io as wasi_io;

use crate::bindings::agent_host;
use crate::bindings::keyvalue::wasi::keyvalue;
use crate::state::CallState;

type Own = HasSelf<CallState>;

/// Links every interface that this host provides.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    add_io_and_clocks(linker)?;
    add_cli(linker)?;
    wasi::filesystem::types::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::filesystem::preopens::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::random::random::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::random::insecure::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::random::insecure_seed::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi_http::types::add_to_linker::<_, Own>(linker, &wasi_http::types::LinkOptions::default(), |s| s)?;
    wasi_http::outgoing_handler::add_to_linker::<_, Own>(linker, |s| s)?;
    add_sockets(linker)?;
    add_stores(linker)?;
    agent_host::tool::host::add_to_linker::<_, Own>(linker, |s| s)
}

fn add_io_and_clocks(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasi_io::error::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi_io::poll::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi_io::streams::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::clocks::wall_clock::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::clocks::monotonic_clock::add_to_linker::<_, Own>(linker, |s| s)
}

fn add_cli(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasi::cli::environment::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::exit::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::stdin::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::stdout::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::stderr::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::terminal_input::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::terminal_output::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, Own>(linker, |s| s)
}

fn add_sockets(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasi::sockets::network::add_to_linker::<_, Own>(linker, &wasi::sockets::network::LinkOptions::default(), |s| s)?;
    wasi::sockets::instance_network::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::sockets::ip_name_lookup::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::sockets::tcp::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::sockets::tcp_create_socket::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::sockets::udp::add_to_linker::<_, Own>(linker, |s| s)?;
    wasi::sockets::udp_create_socket::add_to_linker::<_, Own>(linker, |s| s)
}

fn add_stores(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    keyvalue::store::add_to_linker::<_, Own>(linker, |s| s)?;
    keyvalue::atomics::add_to_linker::<_, Own>(linker, |s| s)?;
    keyvalue::batch::add_to_linker::<_, Own>(linker, |s| s)
}

/// The authority that an imported interface is about, such as that of `wasi:http/outgoing-handler@0.2.9`; `None` if nobody
/// provides it. What grants nothing by itself (streams, terminals) counts as what tools always have.
pub(crate) fn known_capability(import: &str) -> Option<Capability> {
    let (name, version) = import.split_once('@').map_or((import, ""), |(name, version)| (name, version));
    let (package, interface) = name.split_once('/')?;
    match (package, interface) {
        ("wasi:filesystem", "types" | "preopens") => Some(Capability::Fs),
        ("wasi:http", "types" | "outgoing-handler") => Some(Capability::Http),
        ("wasi:cli", "environment") => Some(Capability::Env),
        // A draft is not compatible with any other.
        ("wasi:keyvalue", "store" | "atomics" | "batch") if version == "0.2.0-draft" => Some(Capability::Kv),
        ("wasi:clocks", "wall-clock" | "monotonic-clock") => Some(Capability::Clock),
        ("wasi:random", "random" | "insecure" | "insecure-seed") => Some(Capability::Random),
        ("wasi:sockets", "network" | "instance-network" | "ip-name-lookup") => Some(Capability::Sockets),
        ("wasi:sockets", "tcp" | "tcp-create-socket" | "udp" | "udp-create-socket") => Some(Capability::Sockets),
        ("wasi:io", "error" | "poll" | "streams") => Some(Capability::Log),
        ("wasi:cli", "stdin" | "stdout" | "stderr" | "exit") => Some(Capability::Log),
        ("wasi:cli", "terminal-input" | "terminal-output") => Some(Capability::Log),
        ("wasi:cli", "terminal-stdin" | "terminal-stdout" | "terminal-stderr") => Some(Capability::Log),
        ("agent-host:tool", "host" | "types") => Some(Capability::Log),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
