//! The verbs of the command line, one module each. A verb turns typed arguments into what was meant, has it done, and says
//! how it ended.

pub mod approve;
pub mod changes;
pub mod confined;
pub mod crashtest;
pub mod direct_gate;
pub mod doctor;
pub mod export;
pub mod fork;
pub mod gc;
pub mod import;
#[cfg(feature = "failpoints")]
pub mod in_walls;
pub mod init;
pub mod launch;
pub mod ls;
pub mod opened;
pub mod rebase;
pub mod replay;
pub mod resolve;
pub mod resume;
pub mod rm;
pub mod run;
pub mod show;
pub mod taking;
pub mod tool_build;
pub mod tool_call;
pub mod tool_check;
pub mod tool_inspect;
pub mod tool_list;
pub mod tool_new;
pub mod tool_pack;
pub mod tool_test;
pub mod trace;
pub mod trust;
pub mod verify;
