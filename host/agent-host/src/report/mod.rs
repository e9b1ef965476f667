//! How people, and their scripts, read runs. Everything here turns recorded facts into text; nothing decides or acts.
//!
//! Styles are decoration. What is written to must be an `anstream` stream, which drops them where nobody sees them.

pub mod authority;
pub mod changes;
pub mod component;
pub mod difference;
pub mod effects;
pub mod json;
pub mod list;
mod pretty;
pub mod question;
pub mod run;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
pub(crate) mod samples;
pub mod spans;
mod story;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod strangers;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests;
pub mod text;
pub mod typed;
pub mod unabridged;
pub mod vouching;
pub mod waiting;
pub mod waterfall;

use anstyle::Style;

const HEADING: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
