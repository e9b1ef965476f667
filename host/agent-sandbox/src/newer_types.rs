//! What the types of a component have that is newer than what the engine runs: functions that go on beside their caller, what belongs
//! to them, and lists of fixed length. `concurrency` asks, and finds the names of what has such a type.

use wasmparser::{
    ComponentDefinedType, ComponentFuncType, ComponentType, ComponentValType, InstanceTypeDeclaration, PrimitiveValType,
};

/// What is newer than what the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newer {
    Async,
    Stream,
    Future,
    ErrorContext,
    FixedLengthList,
}

impl Newer {
    /// As WIT writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Stream => "stream",
            Self::Future => "future",
            Self::ErrorContext => "error-context",
            Self::FixedLengthList => "list<T, N>",
        }
    }
}

/// The types of one component by their index, of which only this is known: the first thing in each that is newer.
#[derive(Default)]
pub(crate) struct Types(Vec<Option<Newer>>);

impl Types {
    /// What the type of this index has, if it is there and has anything.
    pub(crate) fn at(&self, index: u32) -> Option<Newer> {
        self.0.get(index as usize).copied().flatten()
    }

    /// The next type is like this one of which that much is known.
    pub(crate) fn push(&mut self, newer: Option<Newer>) {
        self.0.push(newer);
    }

    /// The next type is this one.
    pub(crate) fn declare(&mut self, ty: &ComponentType<'_>) {
        self.push(self.of(ty));
    }

    fn of(&self, ty: &ComponentType<'_>) -> Option<Newer> {
        match ty {
            ComponentType::Func(function) => self.function(function),
            ComponentType::Defined(defined) => self.defined(defined),
            // What it declares has an order of its own, of which only what stands there itself is looked at.
            ComponentType::Instance(declarations) => declarations.iter().find_map(|declaration| match declaration {
                InstanceTypeDeclaration::Type(ty) => Self::default().of(ty),
                InstanceTypeDeclaration::CoreType(_)
                | InstanceTypeDeclaration::Alias(_)
                | InstanceTypeDeclaration::Export { .. } => None,
            }),
            ComponentType::Component(_) | ComponentType::Resource { .. } => None,
        }
    }

    fn function(&self, function: &ComponentFuncType<'_>) -> Option<Newer> {
        if function.async_ {
            return Some(Newer::Async);
        }
        self.first(function.params.iter().map(|(_, ty)| *ty).chain(function.result))
    }

    fn defined(&self, ty: &ComponentDefinedType<'_>) -> Option<Newer> {
        match ty {
            ComponentDefinedType::Future(_) => Some(Newer::Future),
            ComponentDefinedType::Stream(_) => Some(Newer::Stream),
            ComponentDefinedType::FixedLengthList(item, _) => self.value(*item).or(Some(Newer::FixedLengthList)),
            ComponentDefinedType::Record(fields) => self.first(fields.iter().map(|(_, ty)| *ty)),
            ComponentDefinedType::Variant(cases) => self.first(cases.iter().filter_map(|case| case.ty)),
            ComponentDefinedType::Tuple(types) => self.first(types.iter().copied()),
            ComponentDefinedType::Result { ok, err } => self.first([*ok, *err].into_iter().flatten()),
            ComponentDefinedType::Map(key, value) => self.first([*key, *value]),
            ComponentDefinedType::List(ty) | ComponentDefinedType::Option(ty) => self.value(*ty),
            ComponentDefinedType::Primitive(primitive) => of_primitive(*primitive),
            ComponentDefinedType::Flags(_)
            | ComponentDefinedType::Enum(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => None,
        }
    }

    fn first(&self, types: impl IntoIterator<Item = ComponentValType>) -> Option<Newer> {
        types.into_iter().find_map(|ty| self.value(ty))
    }

    fn value(&self, ty: ComponentValType) -> Option<Newer> {
        match ty {
            ComponentValType::Type(index) => self.at(index),
            ComponentValType::Primitive(primitive) => of_primitive(primitive),
        }
    }
}

fn of_primitive(primitive: PrimitiveValType) -> Option<Newer> {
    (primitive == PrimitiveValType::ErrorContext).then_some(Newer::ErrorContext)
}
