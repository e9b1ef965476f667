//! Stand-in.
use crate::grant::Grant;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolAuthority { pub grant: Grant, pub asks: bool }
impl ToolAuthority { pub fn asks_for_call(&self) -> bool { self.asks } }
