//! `agent-host tool pack`: one file that carries what its author says of it. The manifest and the comments of its WIT go into the
//! component, which can then be given away, and put into any folder of tools, alone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::digest::Digest;
use agent_sandbox::component::COMPONENT_BYTES_MAX;
use agent_sandbox::describe::manifest_section;
use anyhow::{Context, ensure};
use clap::Args;

use crate::report::text;
use crate::tool_build::write_whole;
use crate::tool_folders::{self, MANIFEST};
use crate::{input, wit_docs};

/// `agent-host tool pack`.
#[derive(Debug, Args)]
pub struct ToolPackArgs {
    /// The tool's folder, with its `tool.toml`; it must be built.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The file to make [default: NAME.wasm in the working directory, NAME being the tool's, where there is none].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Packs.
///
/// # Errors
/// Where the folder is no tool, is not built, or the file cannot be written.
pub fn pack(args: &ToolPackArgs) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let shown = folder.display();
    ensure!(folder.join(MANIFEST).is_file(), "`{shown}` is no tool folder: there is no `{MANIFEST}` in it");
    let (manifest, manifest_text) = tool_folders::read_manifest(folder)?;
    let built = folder.join(format!("{}.wasm", manifest.name));
    let hint = || format!("`{shown}` is not built\n  hint: `agent-host tool build {shown}`");
    ensure!(built.is_file(), hint());
    let component = packed(folder, &built, &manifest_text)?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => unused(format!("{}.wasm", manifest.name).into())?,
    };
    write_whole(&output, &component).with_context(|| format!("cannot write `{}`", output.display()))?;
    text::print(&output.display().to_string())?;
    writeln!(
        anstream::stderr(),
        "packed `{}` {}, component {}",
        manifest.name,
        manifest.version,
        Digest::of(&component)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The file that is made where nobody says which: its name is the manifest's word, which takes nobody's file away.
fn unused(file: PathBuf) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    ensure!(
        !input::is_there(&file)?,
        "`{shown}` is there already, and nothing is written over\n  hint: `--output FILE` names another, or this one to replace it"
    );
    Ok(file)
}

/// The component with all that is said of it inside.
fn packed(folder: &Path, built: &Path, manifest: &str) -> anyhow::Result<Vec<u8>> {
    let shown = built.display();
    let bytes = input::read_bytes(built, COMPONENT_BYTES_MAX as u64)
        .with_context(|| format!("cannot read component `{shown}`"))?;
    // Read back at once: what is no component would be written as none.
    let packed = manifest_section::write(&bytes, manifest);
    let read_back = manifest_section::read(&packed).ok().flatten();
    ensure!(read_back.as_deref() == Some(manifest), "`{shown}` is not a valid component");
    let packed = wit_docs::embed(packed, folder)?;
    ensure!(packed.len() <= COMPONENT_BYTES_MAX, "`{shown}` would be larger than any component may be");
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST_TEXT: &str = "[tool]\nname = \"calc\"\nversion = \"1\"\ndescription = \"Calculate.\"\n";

    #[test]
    fn one_file_is_found_as_its_folder_was() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("calc"))?;
        std::fs::write(at("calc/tool.toml"), MANIFEST_TEXT)?;
        let args = ToolPackArgs { folder: at("calc"), output: Some(at("given-away.wasm")) };
        let unbuilt = pack(&args).map(drop).map_err(|error| error.to_string());
        assert!(unbuilt.is_err_and(|error| error.contains("tool build")));
        std::fs::write(at("calc/calc.wasm"), "no component")?;
        let broken = pack(&args).map(drop).map_err(|error| error.to_string());
        assert!(broken.is_err_and(|error| error.contains("not a valid component")));

        std::fs::write(at("calc/calc.wasm"), b"\0asm\x0d\0\x01\0")?;
        pack(&args)?;
        let beside = tool_folders::find(&[at("calc")])?;
        let inside = tool_folders::find(&[at("given-away.wasm")])?;
        assert_eq!(inside[0].name.as_str(), "calc");
        assert_eq!((&inside[0].manifest, &inside[0].manifest_text), (&beside[0].manifest, &beside[0].manifest_text));
        Ok(())
    }

    #[test]
    fn the_comments_of_the_wit_go_into_the_file() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("calc/wit"))?;
        std::fs::write(at("calc/tool.toml"), MANIFEST_TEXT)?;
        std::fs::write(at("calc/calc.wasm"), b"\0asm\x0d\0\x01\0")?;
        let wit = "package local:calc;\nworld calc {\n\
                   record sum { /// Rounded down.\n whole: u64 }\n\
                   /// How to round.\n  enum mode { up, down }\n\
                   /// Adds.\n  export add: func(mode: mode) -> sum;\n}\n";
        std::fs::write(at("calc/wit/calc.wit"), wit)?;
        pack(&ToolPackArgs { folder: at("calc"), output: Some(at("packed.wasm")) })?;
        let packed = std::fs::read(at("packed.wasm"))?;
        let docs = agent_tool_docs::stored::read(&packed)?;
        assert_eq!(docs.functions["add"], "Adds.");
        let parts = [("mode", "How to round."), ("->.whole", "Rounded down.")];
        assert_eq!(docs.parts["add"], parts.map(|(place, said)| (place.to_owned(), said.to_owned())).into());
        assert_eq!(manifest_section::read(&packed).ok().flatten().as_deref(), Some(MANIFEST_TEXT));
        Ok(())
    }

    #[test]
    fn a_manifest_does_not_choose_whose_file_is_replaced() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("calc.wasm");
        assert_eq!(unused(file.clone())?, file);
        std::os::unix::fs::symlink("nowhere", &file)?;
        assert!(unused(file).is_err_and(|error| error.to_string().contains("is there already")));
        Ok(())
    }

    #[test]
    fn what_is_wrong_in_a_folder_leaves_the_rest() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let empty = b"\0asm\x0d\0\x01\0";
        std::fs::write(at("good.wasm"), empty)?;
        std::fs::write(at("packed.wasm"), manifest_section::write(empty, "[tool]\nname = 7\n"))?;
        std::fs::create_dir(at("unbuilt"))?;
        std::fs::write(at("unbuilt/tool.toml"), MANIFEST_TEXT)?;
        let names =
            |found: Vec<tool_folders::Found>| found.iter().map(|found| found.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(tool_folders::find(&[folder.path().to_owned()])?), ["good"]);
        std::fs::remove_file(at("good.wasm"))?;
        let none = tool_folders::find(&[folder.path().to_owned()]).map(drop).map_err(|error| error.to_string());
        assert!(none.is_err_and(|error| error.starts_with("none of the 2 tools")));
        let named = tool_folders::find(&[at("unbuilt")]).map(drop).map_err(|error| error.to_string());
        assert!(named.is_err_and(|error| error.contains("is not built")));
        Ok(())
    }
}
