//! What of a component needs WASI 0.3: functions that it exports or imports, which are asynchronous or have streams and futures in
//! their types. This host runs none of it, and says so by name before anything is compiled. `structure` asks. An interface of 0.3
//! without any of these is an import like others that nobody provides: `loading` names it.
//!
//! Only names are found here, by following functions to their types, through components in components too; what is not found that way
//! is still refused by wasmtime, without a name.

use std::collections::BTreeMap;

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentDefinedType, ComponentExternalKind, ComponentFuncType,
    ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType,
    InstanceTypeDeclaration, Parser, Payload, Result, TypeBounds,
};

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

/// The exports and imports of a component that only WASI 0.3 has. What cannot be read is refused elsewhere.
pub(crate) fn needed(component: &[u8]) -> Vec<String> {
    let Level { imports, exports, .. } = read(component).unwrap_or_default();
    let told = |what: &str, Names(names): Names| -> Vec<String> {
        names.iter().map(|name| format!("{what} `{}`", crate::value::excerpt(name))).collect()
    };
    let mut names = [told("import", imports), told("export", exports)].concat();
    names.truncate(NAMES_MAX);
    names
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

/// Functions that need 0.3: the first of them, each once.
#[derive(Default, Clone)]
struct Names(Vec<String>);

impl Names {
    fn push(&mut self, name: &str) {
        let name = cut(name);
        if self.0.len() < NAMES_MAX && !self.has(name) {
            self.0.push(name.to_owned());
        }
    }

    /// Those of an interface.
    fn push_all(&mut self, interface: &str, functions: &Self) {
        functions.0.iter().for_each(|function| self.push(&format!("{}#{function}", cut(interface))));
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == cut(name))
    }
}

/// As much of a name as is kept.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

/// Things in their order, of which only those are kept that have functions that need 0.3.
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

/// A component without what is in it: whether each of its types and functions, by index, needs 0.3.
#[derive(Default)]
struct Level {
    types: Vec<bool>,
    functions: Vec<bool>,
    instances: Space,
    components: Space,
    imports: Names,
    exports: Names,
}

impl Level {
    fn section(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentTypeSection(section) => section.into_iter().try_for_each(|ty| {
                let needs = self.declares(&ty?);
                self.types.push(needs);
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
                    self.functions.push(at(&self.types, type_index));
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

    fn declares(&self, ty: &ComponentType<'_>) -> bool {
        match ty {
            ComponentType::Func(function) => self.function(function),
            ComponentType::Defined(defined) => self.defined(defined),
            // What it declares has an order of its own, of which only what stands there itself is looked at.
            ComponentType::Instance(declarations) => declarations.iter().any(|declaration| match declaration {
                InstanceTypeDeclaration::Type(ty) => Self::default().declares(ty),
                InstanceTypeDeclaration::CoreType(_)
                | InstanceTypeDeclaration::Alias(_)
                | InstanceTypeDeclaration::Export { .. } => false,
            }),
            ComponentType::Component(_) | ComponentType::Resource { .. } => false,
        }
    }

    fn function(&self, function: &ComponentFuncType<'_>) -> bool {
        function.async_ || self.any(function.params.iter().map(|(_, ty)| *ty).chain(function.result))
    }

    fn defined(&self, ty: &ComponentDefinedType<'_>) -> bool {
        match ty {
            ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_) => true,
            ComponentDefinedType::Record(fields) => self.any(fields.iter().map(|(_, ty)| *ty)),
            ComponentDefinedType::Variant(cases) => self.any(cases.iter().filter_map(|case| case.ty)),
            ComponentDefinedType::Tuple(types) => self.any(types.iter().copied()),
            ComponentDefinedType::Result { ok, err } => self.any([*ok, *err].into_iter().flatten()),
            ComponentDefinedType::Map(key, value) => self.value(*key) || self.value(*value),
            ComponentDefinedType::List(ty)
            | ComponentDefinedType::FixedLengthList(ty, _)
            | ComponentDefinedType::Option(ty) => self.value(*ty),
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::Flags(_)
            | ComponentDefinedType::Enum(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => false,
        }
    }

    fn any(&self, types: impl IntoIterator<Item = ComponentValType>) -> bool {
        types.into_iter().any(|ty| self.value(ty))
    }

    fn value(&self, ty: ComponentValType) -> bool {
        match ty {
            ComponentValType::Type(index) => at(&self.types, index),
            ComponentValType::Primitive(_) => false,
        }
    }

    fn import(&mut self, name: &str, ty: ComponentTypeRef) {
        match ty {
            ComponentTypeRef::Func(index) => {
                self.functions.push(at(&self.types, index));
                self.imported(name, index);
            }
            ComponentTypeRef::Instance(index) => {
                self.instances.push(Names::default());
                self.imported(name, index);
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => self.types.push(at(&self.types, index)),
            ComponentTypeRef::Type(TypeBounds::SubResource) => self.types.push(false),
            ComponentTypeRef::Component(_) => self.components.push(Names::default()),
            ComponentTypeRef::Module(_) | ComponentTypeRef::Value(_) => {}
        }
    }

    fn imported(&mut self, name: &str, ty: u32) {
        if at(&self.types, ty) {
            self.imports.push(name);
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Func, instance_index, name } => {
                self.functions.push(self.instances.at(*instance_index).is_some_and(|functions| functions.has(name)));
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Instance, .. } => {
                self.instances.push(Names::default());
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. } => {
                self.components.push(Names::default());
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. } => self.types.push(false),
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
                    if let (Some(name), true) = (arg.name.strip_prefix(HANDED), at(&self.functions, arg.index)) {
                        names.push(name);
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
            ComponentExternalKind::Type => self.types.push(at(&self.types, index)),
            ComponentExternalKind::Instance => self.instances.push_again(index),
            ComponentExternalKind::Component => self.components.push_again(index),
            ComponentExternalKind::Module | ComponentExternalKind::Value => {}
        }
    }

    fn given(&self, names: &mut Names, name: &str, kind: ComponentExternalKind, index: u32) {
        match kind {
            ComponentExternalKind::Func if at(&self.functions, index) => names.push(name),
            ComponentExternalKind::Instance => {
                if let Some(functions) = self.instances.at(index) {
                    names.push_all(name, functions);
                }
            }
            ComponentExternalKind::Func
            | ComponentExternalKind::Type
            | ComponentExternalKind::Component
            | ComponentExternalKind::Module
            | ComponentExternalKind::Value => {}
        }
    }
}

fn at(list: &[bool], index: u32) -> bool {
    list.get(index as usize).copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tried = std::result::Result<(), wat::Error>;

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
        let names = needed(&wat::parse_str(ASYNC)?);
        assert_eq!(names, ["import `wasi:clocks/monotonic-clock@0.3.2`", "export `local:demo/tools#slow`"]);
        let plain = ASYNC.replace("(func async", "(func");
        assert!(needed(&wat::parse_str(plain)?).is_empty());
        assert!(needed(b"\0asm\x0d\0\x01\0\xff").is_empty());
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
        assert_eq!(needed(&wat::parse_str(text)?), ["export `wait`", "export `local:demo/tools#slow`"]);
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
        assert_eq!(needed(&bytes), ["export `again`"]);
        let level = read(&bytes).unwrap_or_default();
        let kept = level.instances.needing.values().flat_map(|names| &names.0).map(String::len);
        assert_eq!((level.instances.needing.len(), kept.max()), (PARTS_MAX, Some(NAME_BYTES_MAX)));
        Ok(())
    }

    #[test]
    fn streams_and_futures_are_found_in_whatever_holds_them() -> Tried {
        for ty in
            ["(stream u8)", "(future)", "(record (field \"a\" $inner))", "(list $inner)", "(result (error $inner))"]
        {
            let text = format!(
                r#"(component
                (type $inner (stream u8))
                (type $held {ty})
                (core module $m (func (export "f") (param i32)))
                (core instance $i (instantiate $m))
                (func $read (param "from" $held) (canon lift (core func $i "f")))
                (export "read" (func $read)))"#
            );
            assert_eq!(needed(&wat::parse_str(text)?), ["export `read`"], "{ty}");
        }
        Ok(())
    }
}
