//! stub
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub struct LsArgs {}
pub fn ls(_a: &LsArgs) -> anyhow::Result<ExitCode> { Ok(ExitCode::SUCCESS) }
