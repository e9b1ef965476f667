//! What of a component the engine does not run: functions that it exports or imports, which are asynchronous, as in WASI 0.3, or have
//! streams, futures or lists of fixed length in their types. This host says so by name, and with what it is, before anything is
//! compiled. `structure` asks. An interface of 0.3 without any of these is an import like others that nobody provides: `loading` names it.
//!
//! Only names are found here, by following functions to their types, through components in components too; what is not found that way
//! is still refused by wasmtime, without a name.

use std::collections::BTreeMap;

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Parser, Payload, Result, TypeBounds,
};

use crate::component::LoadError;
use crate::newer_types::{Newer, Types};

/// Most names in a message, and of one part.
const NAMES_MAX: usize = 8;

/// Longest name that is kept, and told: real ones stay below 120. Names of parts in parts are put together, and would grow with
/// each.
const NAME_BYTES_MAX: usize = 256;

/// Most parts of one component whose names are kept: a hostile one has more, and is refused without them. All that is kept of one
/// component is then half a MiB, and components nest as deep as `structure` allows.
const PARTS_MAX: usize = 256;

/// What toolchains put before the name of a function that they hand to the small component that exports it.
const HANDED: &str = "import-func-";

/// Refuses a component that has what the engine does not run, with the exports and imports that have it. What cannot be read is
/// refused elsewhere.
pub(crate) fn check(component: &[u8]) -> std::result::Result<(), LoadError> {
    let is_list = |(_, newer): &(String, Newer)| *newer == Newer::FixedLengthList;
    let (lists, others): (Vec<_>, Vec<_>) = needed(component).into_iter().partition(is_list);
    match (others.is_empty(), lists.is_empty()) {
        (false, _) => Err(LoadError::Concurrent { needed: told(others) }),
        (true, false) => Err(LoadError::FixedLengthLists { needed: told(lists) }),
        (true, true) => Ok(()),
    }
}

/// The first of the exports and imports that have it, each with the first of it.
fn needed(component: &[u8]) -> Vec<(String, Newer)> {
    let Level { imports, exports, .. } = read(component).unwrap_or_default();
    let places = |what: &str, Names(names): Names| -> Vec<(String, Newer)> {
        names.iter().map(|(name, newer)| (format!("{what} `{}`", crate::value::excerpt(name)), *newer)).collect()
    };
    let mut needed = [places("import", imports), places("export", exports)].concat();
    needed.truncate(NAMES_MAX);
    needed
}

fn told(needed: Vec<(String, Newer)>) -> Vec<String> {
    needed.into_iter().map(|(place, newer)| format!("{place} (`{}`)", newer.word())).collect()
}

/// What is being read.
enum Part {
    Component(Level),
    Module,
}

fn read(component: &[u8]) -> Result<Level> {
    let mut parts = vec![Part::Component(Level::default())];
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } => parts.push(Part::Module),
            Payload::ComponentSection { .. } => parts.push(Part::Component(Level::default())),
            Payload::End(_) => match (parts.pop(), parts.last_mut()) {
                (Some(Part::Component(inner)), Some(Part::Component(outer))) => outer.components.push(inner.exports),
                (Some(Part::Component(outermost)), None) => return Ok(outermost),
                (Some(Part::Component(_)), Some(Part::Module)) | (Some(Part::Module) | None, _) => {}
            },
            payload => {
                if let Some(Part::Component(level)) = parts.last_mut() {
                    level.section(payload)?;
                }
            }
        }
    }
    Ok(Level::default())
}

/// Functions that have what is newer: the first of them, each once.
#[derive(Default, Clone)]
struct Names(Vec<(String, Newer)>);

impl Names {
    fn push(&mut self, name: &str, newer: Newer) {
        let name = cut(name);
        if self.0.len() < NAMES_MAX && self.of(name).is_none() {
            self.0.push((name.to_owned(), newer));
        }
    }

    /// Those of an interface.
    fn push_all(&mut self, interface: &str, functions: &Self) {
        functions.0.iter().for_each(|(function, newer)| self.push(&format!("{}#{function}", cut(interface)), *newer));
    }

    /// What the function of this name has.
    fn of(&self, name: &str) -> Option<Newer> {
        self.0.iter().find(|(known, _)| known == cut(name)).map(|(_, newer)| *newer)
    }
}

/// As much of a name as is kept.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

/// Things in their order, of which only those are kept that have functions with what is newer.
#[derive(Default)]
struct Space {
    count: u32,
    needing: BTreeMap<u32, Names>,
}

impl Space {
    fn push(&mut self, names: Names) {
        if !names.0.is_empty() && self.needing.len() < PARTS_MAX {
            self.needing.insert(self.count, names);
        }
        self.count = self.count.saturating_add(1);
    }

    fn at(&self, index: u32) -> Option<&Names> {
        self.needing.get(&index)
    }

    /// The same thing once more.
    fn push_again(&mut self, index: u32) {
        self.push(self.at(index).cloned().unwrap_or_default());
    }
}

/// A component without what is in it: what each of its types and functions, by index, has that is newer.
#[derive(Default)]
struct Level {
    types: Types,
    functions: Vec<Option<Newer>>,
    instances: Space,
    components: Space,
    imports: Names,
    exports: Names,
}

impl Level {
    fn section(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentTypeSection(section) => section.into_iter().try_for_each(|ty| {
                self.types.declare(&ty?);
                Ok(())
            }),
            Payload::ComponentImportSection(section) => section.into_iter().try_for_each(|import| {
                let import = import?;
                self.import(import.name.name, import.ty);
                Ok(())
            }),
            Payload::ComponentAliasSection(section) => section.into_iter().try_for_each(|alias| {
                self.alias(&alias?);
                Ok(())
            }),
            Payload::ComponentCanonicalSection(section) => section.into_iter().try_for_each(|function| {
                if let CanonicalFunction::Lift { type_index, .. } = function? {
                    self.functions.push(self.types.at(type_index));
                }
                Ok(())
            }),
            Payload::ComponentInstanceSection(section) => section.into_iter().try_for_each(|instance| {
                self.instance(&instance?);
                Ok(())
            }),
            Payload::ComponentExportSection(section) => section.into_iter().try_for_each(|export| {
                let export = export?;
                self.export(export.name.name, export.kind, export.index);
                Ok(())
            }),
            // Other sections make neither types nor functions of this level.
            _ => Ok(()),
        }
    }

    fn import(&mut self, name: &str, ty: ComponentTypeRef) {
        match ty {
            ComponentTypeRef::Func(index) => {
                self.functions.push(self.types.at(index));
                self.imported(name, index);
            }
            ComponentTypeRef::Instance(index) => {
                self.instances.push(Names::default());
                self.imported(name, index);
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => self.types.push(self.types.at(index)),
            ComponentTypeRef::Type(TypeBounds::SubResource) => self.types.push(None),
            ComponentTypeRef::Component(_) => self.components.push(Names::default()),
            ComponentTypeRef::Module(_) | ComponentTypeRef::Value(_) => {}
        }
    }

    fn imported(&mut self, name: &str, ty: u32) {
        if let Some(newer) = self.types.at(ty) {
            self.imports.push(name, newer);
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Func, instance_index, name } => {
                self.functions.push(self.instances.at(*instance_index).and_then(|functions| functions.of(name)));
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Instance, .. } => {
                self.instances.push(Names::default());
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. } => {
                self.components.push(Names::default());
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. } => self.types.push(None),
            ComponentAlias::InstanceExport { .. }
            | ComponentAlias::CoreInstanceExport { .. }
            | ComponentAlias::Outer { .. } => {}
        }
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) {
        let mut names = Names::default();
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                names = self.components.at(*component_index).cloned().unwrap_or_default();
                for arg in args.iter().filter(|arg| arg.kind == ComponentExternalKind::Func) {
                    if let (Some(name), Some(newer)) = (arg.name.strip_prefix(HANDED), at(&self.functions, arg.index)) {
                        names.push(name, newer);
                    }
                }
            }
            ComponentInstance::FromExports(exports) => {
                exports.iter().for_each(|export| self.given(&mut names, export.name.name, export.kind, export.index));
            }
        }
        self.instances.push(names);
    }

    /// An export is a thing of its own in the list of its kind.
    fn export(&mut self, name: &str, kind: ComponentExternalKind, index: u32) {
        let mut exports = std::mem::take(&mut self.exports);
        self.given(&mut exports, name, kind, index);
        self.exports = exports;
        match kind {
            ComponentExternalKind::Func => self.functions.push(at(&self.functions, index)),
            ComponentExternalKind::Type => self.types.push(self.types.at(index)),
            ComponentExternalKind::Instance => self.instances.push_again(index),
            ComponentExternalKind::Component => self.components.push_again(index),
            ComponentExternalKind::Module | ComponentExternalKind::Value => {}
        }
    }

    fn given(&self, names: &mut Names, name: &str, kind: ComponentExternalKind, index: u32) {
        match kind {
            ComponentExternalKind::Func => {
                if let Some(newer) = at(&self.functions, index) {
                    names.push(name, newer);
                }
            }
            ComponentExternalKind::Instance => {
                if let Some(functions) = self.instances.at(index) {
                    names.push_all(name, functions);
                }
            }
            ComponentExternalKind::Type
            | ComponentExternalKind::Component
            | ComponentExternalKind::Module
            | ComponentExternalKind::Value => {}
        }
    }
}

fn at(list: &[Option<Newer>], index: u32) -> Option<Newer> {
    list.get(index as usize).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tried = std::result::Result<(), wat::Error>;

    /// What is told of a component.
    fn names(component: &[u8]) -> Vec<String> {
        told(needed(component))
    }

    const ASYNC: &str = r#"(component
        (type $later (func async))
        (import "wasi:clocks/monotonic-clock@0.3.2" (instance (export "wait-for" (func async (param "how-long" u64)))))
        (import "wasi:cli/environment@0.3.2" (instance (export "get-arguments" (func (result (list string))))))
        (core module $m (func (export "f")) (func (export "g")))
        (core instance $i (instantiate $m))
        (func $slow (type $later) (canon lift (core func $i "f")))
        (func $plain (canon lift (core func $i "g")))
        (instance $tools (export "slow" (func $slow)) (export "plain" (func $plain)))
        (export "plain" (func $plain))
        (export "local:demo/tools" (instance $tools)))"#;

    #[test]
    fn asynchronous_exports_are_named_with_what_they_import() -> Tried {
        let expected =
            ["import `wasi:clocks/monotonic-clock@0.3.2` (`async`)", "export `local:demo/tools#slow` (`async`)"];
        assert_eq!(names(&wat::parse_str(ASYNC)?), expected);
        let plain = ASYNC.replace("(func async", "(func");
        assert!(names(&wat::parse_str(plain)?).is_empty());
        assert!(names(b"\0asm\x0d\0\x01\0\xff").is_empty());
        Ok(())
    }

    #[test]
    fn names_are_found_in_components_of_components() -> Tried {
        let text = r#"(component
            (component $inner
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func (export "wait") async (canon lift (core func $i "f"))))
            (instance $inner (instantiate $inner))
            (alias export $inner "wait" (func $wait))
            (component $shim (import "import-func-slow" (func $slow)) (export "slow" (func $slow)))
            (instance $shim (instantiate $shim (with "import-func-slow" (func $wait))))
            (export "wait" (func $wait))
            (export "local:demo/tools" (instance $shim)))"#;
        let expected = ["export `wait` (`async`)", "export `local:demo/tools#slow` (`async`)"];
        assert_eq!(names(&wat::parse_str(text)?), expected);
        Ok(())
    }

    #[test]
    fn names_stay_short_however_deep_they_are() -> Tried {
        let long = "x".repeat(400);
        let around = |level: u32| format!("(instance $i{} (export \"{long}\" (instance $i{level})))", level + 1);
        let text = format!(
            r#"(component
            (type $later (func async))
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $slow (type $later) (canon lift (core func $i "f")))
            (instance $i0 (export "{long}" (func $slow)) (export "slow" (func $slow)))
            (alias export $i0 "{long}" (func $again))
            (export "again" (func $again))
            {})"#,
            (0..300).map(around).collect::<String>()
        );
        let bytes = wat::parse_str(text)?;
        assert_eq!(names(&bytes), ["export `again` (`async`)"]);
        let level = read(&bytes).unwrap_or_default();
        let kept = level.instances.needing.values().flat_map(|names| &names.0).map(|(name, _)| name.len());
        assert_eq!((level.instances.needing.len(), kept.max()), (PARTS_MAX, Some(NAME_BYTES_MAX)));
        Ok(())
    }

    #[test]
    fn what_is_newer_is_found_in_whatever_holds_it() -> Tried {
        for (ty, word) in [
            ("(stream u8)", "stream"),
            ("(future)", "future"),
            ("error-context", "error-context"),
            ("(list u8 4)", "list<T, N>"),
            ("(list $inner 4)", "stream"),
            ("(record (field \"a\" $inner))", "stream"),
            ("(list $inner)", "stream"),
            ("(result (error $inner))", "stream"),
        ] {
            let text = format!(
                r#"(component
                (type $inner (stream u8))
                (type $held {ty})
                (core module $m (func (export "f") (param i32)))
                (core instance $i (instantiate $m))
                (func $read (param "from" $held) (canon lift (core func $i "f")))
                (export "read" (func $read)))"#
            );
            assert_eq!(names(&wat::parse_str(text)?), [format!("export `read` (`{word}`)")], "{ty}");
        }
        Ok(())
    }

    #[test]
    fn lists_of_fixed_length_have_a_message_of_their_own() -> Tried {
        let text = |first: &str| {
            wat::parse_str(format!(
                r#"(component
                (type $four (list u8 4))
                (import "first" (func {first}))
                (import "pick" (func (param "from" $four))))"#
            ))
        };
        let said = |component: &[u8]| check(component).map_err(|error| error.to_string());
        let lists = said(&text("")?);
        assert!(lists.as_ref().is_err_and(|said| said.contains("in import `pick` (`list<T, N>`)")), "{lists:?}");
        let both = said(&text("async")?);
        assert!(both.as_ref().is_err_and(|said| said.contains("for import `first` (`async`):")), "{both:?}");
        Ok(())
    }
}
