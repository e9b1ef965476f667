//! The `fetch` tool: one page over HTTP, as text that a model can read.
//!
//! `get` asks and decides by the content type, `markdown` turns HTML into Markdown, `page` cuts out the piece that was asked for.

mod get;
mod markdown;
mod page;

agent_host_tool::export!(get::get);
