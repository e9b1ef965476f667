//! Translates the first tool of `agent-host init` from its text, so that no binary lies in the repository.

use std::error::Error;
use std::path::Path;

const SOURCE: &str = "src/commands/init/new/tools/words/words.wat";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo says where it goes")?;
    std::fs::write(Path::new(&out).join("words.wasm"), wat::parse_file(SOURCE)?)?;
    Ok(())
}
