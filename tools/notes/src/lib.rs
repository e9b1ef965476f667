//! The `notes` tool: remembers notes from run to run, and finds them again.
//!
//! One module per operation. A note is one entry of the tool's store, under its name; `note` says what a note may be, `book`
//! keeps and reads them.

mod book;
mod forget;
mod list;
mod note;
mod recall;
mod remember;
mod search;

agent_host_tool::export!(remember::remember, recall::recall, search::search, list::list, forget::forget);
