//! A look at a core module, which is no component: what it was built for. `agent-host tool adapt` asks, to make a component of it.

use wasmparser::{Parser, Payload};

use crate::structure::Outline;

/// The one interface that an adapter provides.
const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// Custom sections of this kind describe a world.
const WORLD_SECTION: &str = "component-type";

/// Most foreign imports that are named.
const STRANGERS_MAX: usize = 16;

/// What a core module is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreModule {
    /// How it is begun.
    pub entry: Entry,
    /// Imports that neither WASI preview 1 nor a world of its own has, as `module.name`.
    pub strangers: Vec<String>,
}

/// How a core module is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By `_start`: a program.
    Command,
    /// By the functions of a world that it describes.
    World,
    /// By nothing that anybody knows.
    Nothing,
}

/// Looks at `bytes`.
///
/// # Errors
/// Where they are no core module.
pub fn look(bytes: &[u8]) -> Result<CoreModule, String> {
    if Parser::is_component(bytes) {
        return Err("it is a component already".to_owned());
    }
    let invalid = |error: wasmparser::Error| format!("it is not a valid core module: {}", error.message());
    let (mut starts, mut has_world, mut strangers, mut worlds) = (false, false, Vec::new(), Outline::default());
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    if import.module != PREVIEW_1 && strangers.len() < STRANGERS_MAX {
                        strangers.push(format!("{}.{}", import.module, import.name));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    starts |= export.map_err(invalid)?.name == "_start";
                }
            }
            Payload::CustomSection(section) if section.name().starts_with(WORLD_SECTION) => {
                has_world = true;
                // It holds the types of a world, which are read where no limits of a process hold.
                let seen = worlds.see(section.data());
                seen.map_err(|error| {
                    format!("what it says of its world in `{WORLD_SECTION}` cannot be used: {error}")
                })?;
            }
            // Code and data say nothing about what it is for.
            _ => {}
        }
    }
    let entry = match (starts, has_world) {
        (true, _) => Entry::Command,
        (false, true) => Entry::World,
        (false, false) => Entry::Nothing,
    };
    // What the world imports, the encoder knows.
    let strangers = if has_world { Vec::new() } else { strangers };
    Ok(CoreModule { entry, strangers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_was_built_for_shows() -> Result<(), Box<dyn std::error::Error>> {
        let seen = |text: &str| look(&wat::parse_str(text)?).map_err(Box::<dyn std::error::Error>::from);
        let program =
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#;
        assert_eq!(seen(program)?, CoreModule { entry: Entry::Command, strangers: Vec::new() });
        let foreign = seen(r#"(module (import "env" "log" (func)))"#)?;
        assert_eq!(foreign, CoreModule { entry: Entry::Nothing, strangers: vec!["env.log".to_owned()] });
        let world = r#"(module (import "a:b/c" "d" (func)) (@custom "component-type:x" "\00asm\0d\00\01\00"))"#;
        assert_eq!(seen(world)?, CoreModule { entry: Entry::World, strangers: Vec::new() });
        assert!(seen("(component)").is_err());
        Ok(())
    }

    #[test]
    fn what_is_said_of_a_world_is_bounded() {
        // A component with one type: an instance that declares so many.
        let module = |types: usize| {
            let length = |value: usize| {
                [0, 7, 14, 21].map(|shift| (value >> shift & 0x7f) as u8 | if shift < 21 { 0x80 } else { 0 })
            };
            let entry = [&[1, 0x42][..], &length(types), &[1_u8, 0x7d].repeat(types)].concat();
            let component = [&b"\0asm\x0d\0\x01\0\x07"[..], &length(entry.len()), &entry].concat();
            let named = [&b"\x10component-type:x"[..], &component].concat();
            [&b"\0asm\x01\0\0\0\0"[..], &length(named.len()), &named].concat()
        };
        assert_eq!(look(&module(100)).map(|module| module.entry), Ok(Entry::World));
        let said = look(&module(100_000)).err().unwrap_or_default();
        assert!(said.contains("more than 20000 types"), "{said}");
    }
}
