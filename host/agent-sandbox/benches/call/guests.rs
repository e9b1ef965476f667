//! The guests that are called: one that does nothing but cross the boundary, real tools, and one that waits.

use std::path::{Path, PathBuf};

use wasmtime::component::Val;

/// A component, and one call of it.
pub(crate) struct Guest {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) operation: &'static str,
    /// As the sandbox takes them.
    pub(crate) arguments: &'static str,
    /// The same, as wasmtime takes them.
    pub(crate) values: Vec<Val>,
}

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

/// Those that both sides can call. The tool only where somebody built it and says where.
pub(crate) fn all() -> Vec<Guest> {
    std::iter::once(echo()).chain(calc()).collect()
}

/// No imports, no work.
pub(crate) fn echo() -> Guest {
    Guest {
        name: "a guest without imports that returns its argument",
        bytes: wat::parse_str(ECHO).unwrap(),
        operation: "echo",
        arguments: r#"{"text":"hello"}"#,
        values: vec![Val::String("hello".into())],
    }
}

/// A Rust guest with the imports that every one has.
pub(crate) fn calc() -> Option<Guest> {
    Some(Guest {
        name: "the tool `calc`, with the WASI imports of a Rust guest",
        bytes: built("AGENT_HOST_TEST_TOOLS", "calc/calc.wasm")?,
        operation: "evaluate",
        arguments: r#"{"expression":"0.1 + 0.2"}"#,
        values: vec![Val::String("0.1 + 0.2".into())],
    })
}

/// A tool that opens a file: the gate decides, and the effect is recorded. The sandbox's only: it speaks our world.
pub(crate) fn files() -> Option<Guest> {
    Some(Guest {
        name: "the tool `files`, reading a line of a granted folder",
        bytes: built("AGENT_HOST_TEST_TOOLS", "files/files.wasm")?,
        operation: "read",
        arguments: r#"{"path":"a.txt"}"#,
        values: Vec::new(),
    })
}

/// A Rust guest that stays alive until it is cancelled. The sandbox's only.
pub(crate) fn waiting() -> Option<Guest> {
    Some(Guest {
        name: "a Rust guest that waits",
        bytes: built("AGENT_HOST_TEST_GUESTS", "hostile.wasm")?,
        operation: "sleep_hour",
        arguments: "{}",
        values: Vec::new(),
    })
}

fn built(variable: &str, path: &str) -> Option<Vec<u8>> {
    std::fs::read(PathBuf::from(std::env::var_os(variable)?).join(Path::new(path))).ok()
}
