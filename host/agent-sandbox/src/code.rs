//! Compiled code that may be run: the only door to wasmtime's `deserialize`, and so the only `unsafe` of this project. Made by
//! `cache`, from what this host's key authenticates, and by `compile`, from an answer that its key authenticates.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Code whose origin was proved. Only this can be deserialised.
pub(crate) enum VerifiedCode {
    /// The very bytes that were checked.
    Bytes(Vec<u8>),
    /// The file that was checked, open.
    File(File),
}

impl VerifiedCode {
    /// Code in an answer whose MAC was checked.
    pub(crate) fn just_compiled(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }

    #[expect(
        unsafe_code,
        reason = "wasmtime runs what these bytes say; they are what this host's compiler wrote, as a MAC over them or their digest proves"
    )]
    pub(crate) fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Component> {
        match self {
            // SAFETY: whoever made this value checked a MAC under a key that only this host's own compiler and cache have, so
            // `precompile_component` of this engine's settings made these bytes.
            Self::Bytes(bytes) => unsafe { Component::deserialize(engine, bytes) },
            // SAFETY: as above; the path names the open file that was hashed, whatever its name now means. wasmtime maps
            // it privately. That nobody changes it meanwhile is what the comment of `cache` argues.
            Self::File(file) => unsafe {
                Component::deserialize_file(engine, format!("/proc/self/fd/{}", file.as_raw_fd()))
            },
        }
    }
}
