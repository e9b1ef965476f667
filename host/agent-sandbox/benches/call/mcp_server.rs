//! The floor of calls over MCP in a fresh sandbox each: a server that does nothing but read a line, understand it, call its component by
//! bare wasmtime, and answer. Nothing is checked, limited or recorded. `cargo xtask bench mcp` measures agent-host beside it.
//!
//! bare-mcp-server COMPONENT

#![allow(clippy::unwrap_used, missing_docs, reason = "a program for developers at a terminal")]

#[allow(dead_code, reason = "the benchmark uses more of it")]
mod bare;
#[allow(dead_code, reason = "the benchmark has more of them")]
mod guests;
#[allow(dead_code, reason = "the benchmark calls by it")]
mod side;

use std::io::Write as _;

use serde_json::{Value, json};
use wasmtime::component::Val;

use crate::bare::Bare;
use crate::guests::Guest;

/// The function that is called: of an optional name it makes a text.
const FUNCTION: &str = "greet";

fn main() {
    let bytes = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let bare = Bare::new(&Guest { name: "served", bytes, operation: FUNCTION, arguments: "", values: Vec::new() });
    // A call is run where its line was read.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap();
        let result = match message["method"].as_str() {
            Some("initialize") => json!({}),
            Some("tools/call") => runtime.block_on(call(&bare, &message["params"]["arguments"])),
            _ => continue,
        };
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        writeln!(output, "{answer}").and_then(|()| output.flush()).unwrap();
    }
}

async fn call(bare: &Bare, arguments: &Value) -> Value {
    let name = arguments["name"].as_str().map(|name| Box::new(Val::String(name.into())));
    let Val::String(text) = bare.returned(&[Val::Option(name)]).await else { panic!("it returns no text") };
    json!({ "content": [{ "type": "text", "text": text }] })
}
