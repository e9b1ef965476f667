//! Puts the components of a case where the host finds them: the canary, and the attacker from its text, from the shared
//! guests, or from a generator.

use std::path::Path;

use agent_tests::guest;

use crate::case::{Case, Generate};
use crate::names::Names;
use crate::script::{CANARY, CANARY_COMPONENT};

/// Puts them below the working folder and says what `--tools` is given.
pub(crate) fn place(case: &Case, work: &Path, names: &Names) -> Result<Vec<String>, String> {
    place_canary(work)?;
    let canary = format!("{CANARY}.wasm");
    let (tool, manifest) = (&case.form.tool, case.folder.join("tool.toml"));
    let own = match (&case.form.guest, &case.form.generate) {
        (Some(name), None) => read(Path::new(&guest(name)))?,
        (None, Some(generate)) => generated(generate)?,
        (None, None) => from_text(&case.folder.join("guest.wat"))?,
        (Some(_), Some(_)) => return Err("`guest` and `generate` exclude each other".to_owned()),
    };
    if !manifest.is_file() {
        write(&work.join(format!("{tool}.wasm")), &own)?;
        return Ok(tools(case, vec![format!("{tool}.wasm"), canary]));
    }
    let folder = work.join("tools").join(tool);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    write(&folder.join(format!("{tool}.wasm")), &own)?;
    let manifest = String::from_utf8_lossy(&read(&manifest)?).into_owned();
    write(&folder.join("tool.toml"), names.fill(&manifest).as_bytes())?;
    Ok(tools(case, vec![format!("tools/{tool}"), canary]))
}

/// A command of a load case has its own words; the others get these.
fn tools(case: &Case, tools: Vec<String>) -> Vec<String> {
    match &case.form.load {
        // Only the tool that must be refused: the canary is called by itself afterwards.
        Some(_) => tools.into_iter().take(1).collect(),
        None => tools,
    }
}

/// Puts the canary below the working folder.
pub(crate) fn place_canary(work: &Path) -> Result<(), String> {
    let canary = wat::parse_str(CANARY_COMPONENT).map_err(|error| error.to_string())?;
    write(&work.join(format!("{CANARY}.wasm")), &canary)
}

fn from_text(path: &Path) -> Result<Vec<u8>, String> {
    wat::parse_file(path).map_err(|error| format!("{error}"))
}

fn generated(generate: &Generate) -> Result<Vec<u8>, String> {
    crate::generators::generate(&generate.name, generate.count)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
