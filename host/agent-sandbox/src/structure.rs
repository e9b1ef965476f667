//! A first look at a component before anything is compiled: what it is, and whether its outline is of a size that real
//! components have. Cheap, and without recursion.
//!
//! This bounds counts and names, so that a small file cannot make the later steps allocate without measure. What compiling
//! takes is bounded elsewhere, by the limits of the process that compiles. wasmtime itself bounds the depth (100) and the
//! written-out size of types.

use wasmparser::{ComponentType, Parser, Payload};

use crate::component::LoadError;
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

/// Types in the component's type sections, at any depth. The whole of WASI 0.2 has about 500.
const TYPES_MAX: usize = 20_000;

/// Imports and exports of components, at any depth.
const NAMES_MAX: usize = 20_000;

/// Longest name of an import or export of a component. Real ones stay below 120.
const NAME_BYTES_MAX: usize = 512;

/// Longest text of an error that the parser made.
const PROBLEM_CHARS_MAX: usize = 300;

/// Refuses what is no component, and what no toolchain would make.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() > COMPONENT_BYTES_MAX && !is_off(Defence::ComponentSize) {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    check_kind(bytes)?;
    let mut outline = Outline::default();
    for payload in Parser::new(0).parse_all(bytes) {
        outline.count(&payload.map_err(|error| invalid(&error))?)?;
    }
    Ok(())
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

fn invalid(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Invalid(plain_text::one_line(&error.to_string(), PROBLEM_CHARS_MAX))
}

/// What has been seen so far.
#[derive(Default)]
struct Outline {
    depth: usize,
    parts: usize,
    functions: usize,
    types: usize,
    names: usize,
}

impl Outline {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                self.parts += 1;
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
            Payload::ComponentTypeSection(section) => section.clone().into_iter().try_for_each(|ty| {
                self.types = self.types.saturating_add(declared(&ty.map_err(|error| invalid(&error))?));
                within(self.types, TYPES_MAX, "types")
            }),
            Payload::ComponentImportSection(section) => section
                .clone()
                .into_iter()
                .try_for_each(|import| self.name(import.map_err(|error| invalid(&error))?.name.name)),
            Payload::ComponentExportSection(section) => section
                .clone()
                .into_iter()
                .try_for_each(|export| self.name(export.map_err(|error| invalid(&error))?.name.name)),
            // Sections of core modules and bodies are wasmtime's to validate.
            _ => Ok(()),
        }
    }

    fn name(&mut self, name: &str) -> Result<(), LoadError> {
        self.names += 1;
        within(self.names, NAMES_MAX, "imports and exports")?;
        within(name.len(), NAME_BYTES_MAX, "bytes in one name")
    }
}

/// The types that one entry of a type section declares, its own inner ones included.
fn declared(ty: &ComponentType<'_>) -> usize {
    match ty {
        ComponentType::Component(declarations) => 1 + declarations.len(),
        ComponentType::Instance(declarations) => 1 + declarations.len(),
        ComponentType::Defined(_) | ComponentType::Func(_) | ComponentType::Resource { .. } => 1,
    }
}

fn within(count: usize, max: usize, what: &str) -> Result<(), LoadError> {
    if count <= max || is_off(Defence::Structure) {
        Ok(())
    } else {
        Err(LoadError::Invalid(format!("it has more than {max} {what}")))
    }
}
