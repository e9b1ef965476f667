//! `agent-host tool adapt`: makes a component of a core module that was built for WASI preview 1, by the published adapter of the
//! wasmtime project. A command becomes a command; a module with the description of a world inside (`wasm-tools component embed`,
//! `wit-bindgen`) exports that world's functions.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_core::digest::Digest;
use agent_sandbox::component::COMPONENT_BYTES_MAX;
use agent_sandbox::core_module::{self, CoreModule, Entry};
use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use wasi_preview1_component_adapter_provider as adapter;
use wit_component::ComponentEncoder;

use super::confined::Confined;
use super::launch;
use crate::home::Home;
use crate::input;
use crate::report::text;
use crate::tool_build::write_whole;

/// Longest text of what the encoder says.
const PROBLEM_CHARS_MAX: usize = 500;

/// Longest name of an import in a message.
const NAME_CHARS_MAX: usize = 100;

/// `agent-host tool adapt`.
#[derive(Debug, Args)]
pub struct ToolAdaptArgs {
    /// The core module: what `wasm32-wasip1`, Go's `wasip1` or a `wasi-sdk` makes.
    pub file: PathBuf,
    /// The component to make [default: NAME-component.wasm beside FILE, which is NAME.wasm].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Reads the module; the rest happens behind the walls, since a stranger may have made it.
///
/// # Errors
/// Where it cannot be read.
pub async fn prepare(args: ToolAdaptArgs) -> anyhow::Result<Confined> {
    let shown = args.file.display().to_string();
    let bytes =
        input::read_bytes(&args.file, COMPONENT_BYTES_MAX as u64).with_context(|| format!("cannot read `{shown}`"))?;
    let output = args.output.unwrap_or_else(|| beside(&args.file));
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| ".".into());
    let mut reach = launch::reach(&Home::open()?)?;
    reach.write(folder.canonicalize().with_context(|| format!("there is no folder `{}`", folder.display()))?);
    Ok(Confined::new(reach, move |hardening| async move {
        launch::sealed(hardening);
        let component = adapt(&bytes).with_context(|| format!("cannot adapt `{shown}`"))?;
        write_whole(&output, &component).with_context(|| format!("cannot write `{}`", output.display()))?;
        text::print(&output.display().to_string())?;
        writeln!(anstream::stderr(), "component {}", Digest::of(&component))?;
        Ok(ExitCode::SUCCESS)
    }))
}

/// A name that a tool can have, unlike one with two dots.
fn beside(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}-component.wasm"))
}

/// The component around a core module.
///
/// # Errors
/// Where it is none that was built for WASI preview 1, with what to do about it.
fn adapt(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let module = core_module::look(bytes).map_err(anyhow::Error::msg)?;
    let with = adapter_for(&module)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    let made = encoder
        .module(bytes)
        .and_then(|encoder| encoder.adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, with))
        .and_then(ComponentEncoder::encode);
    let component = made.map_err(|error| anyhow!("{}", text::line(&format!("{error:#}"), PROBLEM_CHARS_MAX)))?;
    ensure!(component.len() <= COMPONENT_BYTES_MAX, "the component would be larger than {COMPONENT_BYTES_MAX} bytes");
    Ok(component)
}

/// The adapter that fits how the module is begun.
fn adapter_for(module: &CoreModule) -> anyhow::Result<&'static [u8]> {
    if let Some(import) = module.strangers.first() {
        let import = text::line(import, NAME_CHARS_MAX);
        bail!(
            "it imports `{import}`, which no adapter provides\n  hint: only WASI preview 1 (`wasi_snapshot_preview1`) can be \
             adapted; what was built for a browser or another host (emscripten, wasm-bindgen) has to be built for WASI"
        );
    }
    match module.entry {
        Entry::Command => Ok(adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER),
        Entry::World => Ok(adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER),
        Entry::Nothing => bail!(
            "it exports neither `_start` nor a world, so there is nothing to call\n  hint: build a program with `main`, or \
             describe its functions with `wasm-tools component embed`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use agent_core::name::Name;
    use agent_sandbox::Sandbox;
    use agent_sandbox::sandbox::SandboxOptions;

    use super::*;

    /// Writes a word to standard output and exits.
    const HELLO: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "hello\n")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const 6))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $exit (i32.const 0))))"#;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_command_of_preview_1_becomes_a_tool() -> anyhow::Result<()> {
        let component = adapt(&wat::parse_str(HELLO)?)?;
        let sandbox = Sandbox::new(SandboxOptions { calls_max: 1, ..SandboxOptions::default() })?;
        let name: Name = "hello".parse()?;
        let loaded = tokio::task::block_in_place(|| sandbox.load(&name, &component))?;
        let tools: Vec<_> = loaded.tools.iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(tools, ["hello.run"]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_adapted_says_why() -> anyhow::Result<()> {
        let said = |text: &str| -> anyhow::Result<String> {
            Ok(adapt(&wat::parse_str(text)?).err().map(|error| error.to_string()).unwrap_or_default())
        };
        assert!(said("(module)")?.starts_with("it exports neither `_start` nor a world"));
        let browser = r#"(module (import "env" "emscripten_resize_heap" (func)) (func (export "_start")))"#;
        assert!(said(browser)?.starts_with("it imports `env.emscripten_resize_heap`, which no adapter provides"));
        assert!(said("(component)")?.contains("a component already"));
        let garbage = adapt(b"\0asm\x01\0\0\0\xff").err().map(|error| error.to_string());
        assert!(garbage.is_some_and(|said| said.contains("not a valid core module")));
        Ok(())
    }
}
