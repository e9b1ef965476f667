//! A first look at a component before anything is compiled: what it is, and whether its outline is of a size that real
//! components have. Cheap, and without recursion.
//!
//! This bounds counts and names, so that a small file cannot make the later steps allocate without measure. What compiling
//! takes is bounded elsewhere, by the limits of the process that compiles. The parser bounds how deep types are nested (100), and
//! wasmtime their written-out size.

use wasmparser::{
    ComponentAlias, ComponentInstance, ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration, Parser,
    Payload, TypeRef,
};

use crate::component::LoadError;
use crate::concurrency;
use crate::defence::{Defence, is_off};
use crate::plain_text;

/// Largest component: a whole Python with its libraries is about 40 MiB.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// Deepest nesting of components and modules. Composition tools make three levels.
const NESTING_MAX: usize = 16;

/// Core modules and components inside, at any depth. Composition tools make some dozens.
const PARTS_MAX: usize = 256;

/// Functions in all modules together. A JavaScript engine has 20,000.
const FUNCTIONS_MAX: usize = 200_000;

/// Memories of one module. The compiler knows modules of several only for its own code between composed components.
const MEMORIES_MAX: usize = 1;

/// Types in the component's type sections, at any depth. The whole of WASI 0.2 has about 500.
const TYPES_MAX: usize = 20_000;

/// Bytes of all type sections of components together, at any depth. Reading an entry makes some forty bytes of each, before
/// anything can be counted. Those of the whole of WASI 0.2 have about 30 KiB.
const TYPE_BYTES_MAX: u64 = 512 << 10;

/// Imports and exports of components, at any depth.
const NAMES_MAX: usize = 20_000;

/// Instances, what they are made of, aliases and functions of components, at any depth. A composed component of some dozen parts has
/// a few thousand.
const WIRES_MAX: usize = 100_000;

/// Longest name of an import or export of a component, and of what its instances are made of. Real ones stay below 120.
const NAME_BYTES_MAX: usize = 512;

/// Longest text of an error that the parser made.
const PROBLEM_CHARS_MAX: usize = 300;

/// Refuses what is no component, and what no toolchain would make.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() > COMPONENT_BYTES_MAX && !is_off(Defence::ComponentSize) {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    check_kind(bytes)?;
    Outline::default().see(bytes)?;
    concurrency::check(bytes)
}

fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(LoadError::CoreModule);
    }
    if Parser::is_component(bytes) {
        return Ok(());
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(component") || text.starts_with(b"(module") {
        return Err(LoadError::TextFormat);
    }
    Err(LoadError::Invalid("it does not begin as a component does".to_owned()))
}

fn invalid(error: &wasmparser::Error) -> LoadError {
    LoadError::Invalid(plain_text::one_line(&error.to_string(), PROBLEM_CHARS_MAX))
}

/// What has been seen so far.
#[derive(Default)]
pub(crate) struct Outline {
    depth: usize,
    parts: usize,
    functions: usize,
    type_bytes: u64,
    /// Of the module that is being looked at; modules do not nest.
    memories: usize,
    types: usize,
    names: usize,
    wires: usize,
}

impl Outline {
    /// Looks at one more component, or module, and refuses it where all that was seen so far is too much.
    pub(crate) fn see(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        Parser::new(0).parse_all(bytes).try_for_each(|payload| self.count(&payload.map_err(|error| invalid(&error))?))
    }

    fn count(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                self.parts += 1;
                self.memories = 0;
                within(self.depth, NESTING_MAX, "levels of nesting")?;
                within(self.parts, PARTS_MAX, "modules and components")
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(*count as usize);
                within(self.functions, FUNCTIONS_MAX, "functions")
            }
            Payload::ImportSection(section) => section.clone().into_imports().try_for_each(|import| {
                let is_memory = matches!(import.map_err(|error| invalid(&error))?.ty, TypeRef::Memory(_));
                self.memory(usize::from(is_memory))
            }),
            Payload::MemorySection(section) => self.memory(section.count() as usize),
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                self.type_bytes = self.type_bytes.saturating_add(range.end.saturating_sub(range.start));
                within_bytes(self.type_bytes, TYPE_BYTES_MAX, "bytes of types")?;
                section.clone().into_iter().try_for_each(|ty| {
                    self.types = self.types.saturating_add(declared(&ty.map_err(|error| invalid(&error))?));
                    within(self.types, TYPES_MAX, "types")
                })
            }
            Payload::ComponentImportSection(section) => section
                .clone()
                .into_iter()
                .try_for_each(|import| self.name(import.map_err(|error| invalid(&error))?.name.name)),
            Payload::ComponentExportSection(section) => section
                .clone()
                .into_iter()
                .try_for_each(|export| self.name(export.map_err(|error| invalid(&error))?.name.name)),
            Payload::ComponentInstanceSection(section) => section
                .clone()
                .into_iter()
                .try_for_each(|instance| self.instance(&instance.map_err(|error| invalid(&error))?)),
            Payload::ComponentAliasSection(section) => {
                section.clone().into_iter().try_for_each(|alias| match alias.map_err(|error| invalid(&error))? {
                    ComponentAlias::InstanceExport { name, .. } | ComponentAlias::CoreInstanceExport { name, .. } => {
                        self.wire(name)
                    }
                    ComponentAlias::Outer { .. } => self.wire(""),
                })
            }
            Payload::ComponentCanonicalSection(section) => self.more_wires(section.count() as usize),
            // The other sections of core modules and bodies are wasmtime's to validate.
            _ => Ok(()),
        }
    }

    fn memory(&mut self, more: usize) -> Result<(), LoadError> {
        self.memories = self.memories.saturating_add(more);
        within(self.memories, MEMORIES_MAX, "memory in one module")
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<(), LoadError> {
        self.wire("")?;
        match instance {
            ComponentInstance::Instantiate { args, .. } => args.iter().try_for_each(|arg| self.wire(arg.name)),
            ComponentInstance::FromExports(exports) => {
                exports.iter().try_for_each(|export| self.wire(export.name.name))
            }
        }
    }

    fn wire(&mut self, name: &str) -> Result<(), LoadError> {
        self.more_wires(1)?;
        within(name.len(), NAME_BYTES_MAX, "bytes in one name")
    }

    fn more_wires(&mut self, more: usize) -> Result<(), LoadError> {
        self.wires = self.wires.saturating_add(more);
        within(self.wires, WIRES_MAX, "instances, aliases and functions")
    }

    fn name(&mut self, name: &str) -> Result<(), LoadError> {
        self.names += 1;
        within(self.names, NAMES_MAX, "imports and exports")?;
        within(name.len(), NAME_BYTES_MAX, "bytes in one name")
    }
}

/// What one entry of a type section declares, with all that is declared inside of it. Calls itself as deep as the parser has
/// let types be nested.
fn declared(ty: &ComponentType<'_>) -> usize {
    match ty {
        ComponentType::Component(inside) => 1 + inside.iter().map(declared_in_component).sum::<usize>(),
        ComponentType::Instance(inside) => 1 + inside.iter().map(declared_in_instance).sum::<usize>(),
        ComponentType::Defined(_) | ComponentType::Func(_) | ComponentType::Resource { .. } => 1,
    }
}

fn declared_in_component(declaration: &ComponentTypeDeclaration<'_>) -> usize {
    match declaration {
        ComponentTypeDeclaration::Type(ty) => declared(ty),
        ComponentTypeDeclaration::CoreType(_)
        | ComponentTypeDeclaration::Alias(_)
        | ComponentTypeDeclaration::Export { .. }
        | ComponentTypeDeclaration::Import(_) => 1,
    }
}

fn declared_in_instance(declaration: &InstanceTypeDeclaration<'_>) -> usize {
    match declaration {
        InstanceTypeDeclaration::Type(ty) => declared(ty),
        InstanceTypeDeclaration::CoreType(_)
        | InstanceTypeDeclaration::Alias(_)
        | InstanceTypeDeclaration::Export { .. } => 1,
    }
}

fn within(count: usize, max: usize, what: &str) -> Result<(), LoadError> {
    within_bytes(count as u64, max as u64, what)
}

fn within_bytes(count: u64, max: u64, what: &str) -> Result<(), LoadError> {
    if count <= max || is_off(Defence::Structure) {
        Ok(())
    } else {
        Err(LoadError::Invalid(format!("it has more than {max} {what}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with one type, and what is said of it.
    fn of_type(entry: &[u8]) -> Option<String> {
        let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
        let length = entry.len() + 1;
        bytes.extend([0, 7, 14, 21].map(|shift| (length >> shift) as u8 | 0x80));
        bytes.extend([0, 1]);
        bytes.extend(entry);
        check(&bytes).err().map(|error| error.to_string())
    }

    /// A component of one function, with one instance that exports it under a name of this length, and so many aliases of that.
    fn wired(name_bytes: usize, aliases: usize) -> Result<Vec<u8>, wat::Error> {
        let name = "n".repeat(name_bytes);
        let alias = format!("(alias export $i \"{name}\" (func))\n");
        wat::parse_str(format!(
            r#"(component
            (core module $m (func (export "f")))
            (core instance $c (instantiate $m))
            (func $f (canon lift (core func $c "f")))
            (instance $i (export "{name}" (func $f)))
            {})"#,
            alias.repeat(aliases)
        ))
    }

    #[test]
    fn what_instances_are_made_of_is_bounded() -> Result<(), wat::Error> {
        // Beside the aliases: the function, the alias of a core function that it is made of, the instance and its export.
        let others = 4;
        for ((name_bytes, aliases), expected) in [
            ((NAME_BYTES_MAX, WIRES_MAX / 100), None),
            ((NAME_BYTES_MAX + 1, 0), Some("more than 512 bytes in one name")),
            ((1, WIRES_MAX - others), None),
            ((1, WIRES_MAX), Some("more than 100000 instances, aliases and functions")),
        ] {
            let said = check(&wired(name_bytes, aliases)?).err().map(|error| error.to_string()).unwrap_or_default();
            let is_as_expected = expected.map_or(said.is_empty(), |expected| said.contains(expected));
            assert!(is_as_expected, "{name_bytes} {aliases}: {said}");
        }
        Ok(())
    }

    /// The type of an instance with so many types.
    fn instance(count: usize) -> Vec<u8> {
        let mut entry = vec![0x42];
        entry.extend([0, 7].map(|shift| (count >> shift) as u8 | 0x80));
        entry.push((count >> 14) as u8);
        entry.extend([1, 0x7d].repeat(count));
        entry
    }

    /// The type of a component with one type in it.
    fn around(inside: &[u8]) -> Vec<u8> {
        [&[0x41, 1, 1], inside].concat()
    }

    #[test]
    fn types_are_bounded_wherever_they_are_declared() {
        let nested = |levels: usize| [[0x41, 1, 1].repeat(levels), vec![0x41, 0]].concat();
        let cases: [(Vec<u8>, Option<&str>); 8] = [
            (nested(90), None),
            (nested(100), Some("too deep")),
            (nested(150_000), Some("too deep")),
            (instance(TYPES_MAX - 1), None),
            (instance(TYPES_MAX), Some("more than 20000 types")),
            (around(&around(&instance(TYPES_MAX - 3))), None),
            (around(&around(&instance(TYPES_MAX - 2))), Some("more than 20000 types")),
            (instance(TYPE_BYTES_MAX as usize / 2), Some("more than 524288 bytes of types")),
        ];
        for (number, (entry, expected)) in cases.into_iter().enumerate() {
            let said = of_type(&entry).unwrap_or_default();
            let is_as_expected = expected.map_or(said.is_empty(), |expected| said.contains(expected));
            assert!(is_as_expected, "{number}: {said}");
        }
    }
}
