//! The smallest run that calls a tool: it computes one sum. For tests of what may stop it before, or between, its two replies.

use crate::{World, tool};

/// The words of a run that computes once, under these rules of its own policy file, and then answers `it is 42`.
#[must_use]
pub fn computing(world: &World, rules: &str) -> Vec<String> {
    world.write("policy.toml", rules);
    let script = "version = 1\n[[reply]]\ncalls = [{ tool = \"calc.evaluate\", as = \"sum\", arguments = { expression = \
                  \"40 + 2\" } }]\n[[reply]]\ntext = \"it is {{ sum }}\"\n";
    world.write("replies.toml", script);
    let words = ["run", "--tools", &tool("calc"), "--policy", "policy.toml", "--model", "scripted:replies.toml", "add"];
    words.map(str::to_owned).to_vec()
}
