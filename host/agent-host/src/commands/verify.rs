//! stub
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {}
pub fn verify(_a: &VerifyArgs) -> anyhow::Result<ExitCode> { Ok(ExitCode::SUCCESS) }
