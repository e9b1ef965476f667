//! What there is to work with: models that could be asked, and what builds tools. Only names of keys are said.

use super::Finding;
use crate::{model, wasm_target};

pub(super) async fn look() -> Vec<Finding> {
    let (mut found, builds) = tokio::join!(models(), wasm_target::on_this_machine(wasm_target::Place::Nowhere));
    found.push(match builds {
        wasm_target::Builder::Ready(rustc) => Finding::ok("building tools", format!("{rustc} has `wasm32-wasip2`")),
        wasm_target::Builder::NoTarget(rustc) => Finding::missing(
            "building tools",
            format!("{rustc} lacks `wasm32-wasip2`: tools written in Rust cannot be built here"),
            "rustup target add wasm32-wasip2",
        ),
        wasm_target::Builder::NoCompiler => Finding::missing(
            "building tools",
            "there is no `rustc`: built tools run, and none written in Rust can be built here",
            "install Rust from https://rustup.rs",
        ),
    });
    found
}

async fn models() -> Vec<Finding> {
    let found = model::available().await;
    if found.is_empty() {
        return vec![Finding::missing(
            "models",
            "no key in the environment and no local server; scripted models work",
            "set ANTHROPIC_API_KEY, OPENAI_API_KEY or another provider's key, or start a local server",
        )];
    }
    found.into_iter().map(|model| Finding::ok("model", model)).collect()
}
