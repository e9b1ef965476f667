//! The `files` tool: reads, writes, edits, lists and searches files in the folder granted to it.
//!
//! One module per operation. Files are read as streams with bounds on what is kept, so that no file is too large to ask
//! about; only `edit` holds a file in memory, and says so when it is too large.

mod edit;
mod lines;
mod list;
mod read;
mod search;
mod walk;
mod write;

agent_host_tool::export!(read::read, write::write, edit::edit, list::list, search::search);
