//! The `table` tool: answers questions about a CSV or JSON table with exact numbers.
//!
//! A file is a stream of rows (`source`), each cell a text or missing. `field` reads a column or a part of a date from a row,
//! `condition` keeps rows, `aggregate` folds them, `output` writes the result. `query` and `describe` put these together.
//! Memory is bounded by the groups and rows that a result may have, not by the file.

mod aggregate;
mod condition;
mod date;
mod decimal;
mod describe;
mod field;
mod json_rows;
mod order;
mod output;
mod query;
mod source;

agent_host_tool::export!(query::query, describe::describe);
