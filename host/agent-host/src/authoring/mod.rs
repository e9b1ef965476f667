//! What the author of a tool does with it: begin it from a template, build it, and try it by cases. The verbs are in
//! `commands`: `tool_new`, `tool_build`, `tool_test`, `tool_check`.

pub mod accepted_schema;
pub mod judge;
pub mod outside;
pub mod programs;
pub mod template;
pub mod trial;
