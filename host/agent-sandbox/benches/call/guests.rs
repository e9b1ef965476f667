//! The guests that are called: one that does nothing but cross the boundary, and a real tool with its WASI imports.

use std::path::PathBuf;

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

/// All that can be had: the tool only where somebody built it and says where.
pub(crate) fn all() -> Vec<Guest> {
    let echo = Guest {
        name: "a guest without imports that returns its argument",
        bytes: wat::parse_str(ECHO).unwrap(),
        operation: "echo",
        arguments: r#"{"text":"hello"}"#,
        values: vec![Val::String("hello".into())],
    };
    let tools = std::env::var_os("AGENT_HOST_TEST_TOOLS").map(PathBuf::from);
    let calc = tools.and_then(|tools| std::fs::read(tools.join("calc/calc.wasm")).ok()).map(|bytes| Guest {
        name: "the tool `calc`, with the WASI imports of a Rust guest",
        bytes,
        operation: "evaluate",
        arguments: r#"{"expression":"0.1 + 0.2"}"#,
        values: vec![Val::String("0.1 + 0.2".into())],
    });
    std::iter::once(echo).chain(calc).collect()
}
