//! A WIT type as we need it: a bounded tree without handles into a component, made once when the component is loaded. What
//! JSON cannot carry is refused here with the reason, so that no call ever meets it.

use std::fmt;

use wasmtime::component::{Type, Val};

use super::{DEPTH_MAX, NODES_MAX};

/// Most members of one type: fields, cases, names of an enum, flags. Each value of it may be looked up among them.
pub(crate) const MEMBERS_MAX: usize = 1_000;

/// Most bytes of names in the types of one function, each counted where the type is used: a long name that is used a thousand
/// times takes a thousand times its length.
const NAME_BYTES_MAX: usize = 256 << 10;

/// Most parts of the types of all functions of a component together: two hundred functions of five hundred.
const ALL_NODES_MAX: usize = 100_000;

/// Most bytes of names in all of them.
const ALL_NAME_BYTES_MAX: usize = 4 << 20;

/// A type that JSON can carry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Integer(Integer),
    Float32,
    Float64,
    Char,
    String,
    /// `list<u8>`, which travels as base64.
    Bytes,
    /// Of anything but bytes.
    List(Box<Shape>),
    Map {
        key: Key,
        value: Box<Shape>,
    },
    Record(Vec<Field>),
    Tuple(Vec<Shape>),
    Variant(Vec<Case>),
    Enum(Vec<String>),
    /// Where it is directly inside another one, that one's value is `{"some": …}`: JSON has only one null.
    Option(Box<Shape>),
    Result {
        ok: Option<Box<Shape>>,
        err: Option<Box<Shape>>,
    },
    Flags(Vec<String>),
}

/// What the keys of a map are: JSON writes each as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Bool,
    Integer(Integer),
    Char,
    String,
}

/// A named member of a record, or a named parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
}

/// One alternative of a variant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) payload: Option<Shape>,
}

/// The integer types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// Why a type cannot be carried. Shown in `component.unsupported`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnsupportedType {
    #[error("it uses a resource, which only lives inside one call")]
    Resource,
    #[error("it uses a map whose keys are neither numbers nor texts")]
    MapKey,
    #[error("its types nest deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("its types, written out, have more than {NODES_MAX} parts")]
    TooLarge,
    #[error("one of its types has more than {MEMBERS_MAX} fields, cases or names")]
    TooManyMembers,
    #[error("the names in its types, written out, have more than {NAME_BYTES_MAX} bytes")]
    LongNames,
    #[error("the types of the functions before it are as large as those of one component may be")]
    TooLargeTogether,
}

impl Shape {
    /// The shape of `ty`. `budget` is shared by all types of one function: a small type section can spell out an
    /// exponentially large tree.
    pub(crate) fn of(ty: &Type, budget: &mut Budget) -> Result<Self, UnsupportedType> {
        budget.step(|budget| Self::of_bounded(ty, budget))
    }

    fn of_bounded(ty: &Type, budget: &mut Budget) -> Result<Self, UnsupportedType> {
        Ok(match ty {
            Type::Bool => Self::Bool,
            Type::S8 => Self::Integer(Integer::S8),
            Type::U8 => Self::Integer(Integer::U8),
            Type::S16 => Self::Integer(Integer::S16),
            Type::U16 => Self::Integer(Integer::U16),
            Type::S32 => Self::Integer(Integer::S32),
            Type::U32 => Self::Integer(Integer::U32),
            Type::S64 => Self::Integer(Integer::S64),
            Type::U64 => Self::Integer(Integer::U64),
            Type::Float32 => Self::Float32,
            Type::Float64 => Self::Float64,
            Type::Char => Self::Char,
            Type::String => Self::String,
            Type::List(list) => match Self::of(&list.ty(), budget)? {
                Self::Integer(Integer::U8) => Self::Bytes,
                item => Self::List(Box::new(item)),
            },
            Type::Map(map) => Self::Map { key: Key::of(&map.key())?, value: Box::new(Self::of(&map.value(), budget)?) },
            Type::Record(record) => {
                budget.members(record.fields().len())?;
                Self::Record(fields(record.fields().map(|f| (f.name, f.ty)), budget)?)
            }
            Type::Tuple(tuple) => Self::Tuple(tuple.types().map(|ty| Self::of(&ty, budget)).collect::<Result<_, _>>()?),
            Type::Variant(variant) => {
                budget.members(variant.cases().len())?;
                let cases = variant.cases().map(|case| Case::of(case.name, case.ty, budget));
                Self::Variant(cases.collect::<Result<_, _>>()?)
            }
            Type::Enum(names) => Self::Enum(budget.names(names.names())?),
            Type::Flags(names) => Self::Flags(budget.names(names.names())?),
            Type::Option(option) => Self::Option(Box::new(Self::of(&option.ty(), budget)?)),
            Type::Result(result) => {
                Self::Result { ok: payload(result.ok(), budget)?, err: payload(result.err(), budget)? }
            }
            Type::Own(_) | Type::Borrow(_) => return Err(UnsupportedType::Resource),
            Type::Future(_) | Type::Stream(_) | Type::ErrorContext | Type::FixedLengthList(_) => {
                unreachable!("the engine's settings refuse every component that has one")
            }
        })
    }

    /// Whether `null` is one of its values.
    pub(crate) fn may_be_null(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}

/// Named types in order.
pub(crate) fn fields<'a>(
    types: impl Iterator<Item = (&'a str, Type)>,
    budget: &mut Budget,
) -> Result<Vec<Field>, UnsupportedType> {
    types.map(|(name, ty)| Ok(Field { name: budget.name(name)?, shape: Shape::of(&ty, budget)? })).collect()
}

fn payload(ty: Option<Type>, budget: &mut Budget) -> Result<Option<Box<Shape>>, UnsupportedType> {
    ty.map(|ty| Shape::of(&ty, budget).map(Box::new)).transpose()
}

impl Key {
    fn of(ty: &Type) -> Result<Self, UnsupportedType> {
        match Shape::of(ty, &mut Budget::new())? {
            Shape::Bool => Ok(Self::Bool),
            Shape::Integer(integer) => Ok(Self::Integer(integer)),
            Shape::Char => Ok(Self::Char),
            Shape::String => Ok(Self::String),
            Shape::Float32
            | Shape::Float64
            | Shape::Bytes
            | Shape::List(_)
            | Shape::Map { .. }
            | Shape::Record(_)
            | Shape::Tuple(_)
            | Shape::Variant(_)
            | Shape::Enum(_)
            | Shape::Option(_)
            | Shape::Result { .. }
            | Shape::Flags(_) => Err(UnsupportedType::MapKey),
        }
    }
}

impl Case {
    fn of(name: &str, ty: Option<Type>, budget: &mut Budget) -> Result<Self, UnsupportedType> {
        let payload = ty.map(|ty| Shape::of(&ty, budget)).transpose()?;
        Ok(Self { name: budget.name(name)?, payload })
    }
}

/// What the types of a component may still spell out, and those of the function that is looked at.
pub(crate) struct Budget {
    nodes_left: usize,
    depth_left: usize,
    name_bytes_left: usize,
    all_nodes_left: usize,
    all_name_bytes_left: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            nodes_left: NODES_MAX,
            depth_left: DEPTH_MAX,
            name_bytes_left: NAME_BYTES_MAX,
            all_nodes_left: ALL_NODES_MAX,
            all_name_bytes_left: ALL_NAME_BYTES_MAX,
        }
    }

    /// Begins the next function of the same component.
    pub(crate) fn next_function(&mut self) {
        let (all_nodes_left, all_name_bytes_left) = (self.all_nodes_left, self.all_name_bytes_left);
        *self = Self { all_nodes_left, all_name_bytes_left, ..Self::new() };
    }

    fn nodes(&mut self, count: usize) -> Result<(), UnsupportedType> {
        self.nodes_left = self.nodes_left.checked_sub(count).ok_or(UnsupportedType::TooLarge)?;
        self.all_nodes_left = self.all_nodes_left.checked_sub(count).ok_or(UnsupportedType::TooLargeTogether)?;
        Ok(())
    }

    fn members(&self, count: usize) -> Result<(), UnsupportedType> {
        if count <= MEMBERS_MAX { Ok(()) } else { Err(UnsupportedType::TooManyMembers) }
    }

    /// A name of its own for a field or a case.
    fn name(&mut self, name: &str) -> Result<String, UnsupportedType> {
        let (left, all_left) = (self.name_bytes_left, self.all_name_bytes_left);
        self.name_bytes_left = left.checked_sub(name.len()).ok_or(UnsupportedType::LongNames)?;
        self.all_name_bytes_left = all_left.checked_sub(name.len()).ok_or(UnsupportedType::TooLargeTogether)?;
        Ok(name.to_owned())
    }

    fn step<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, UnsupportedType>) -> Result<T, UnsupportedType> {
        self.nodes(1)?;
        self.depth_left = self.depth_left.checked_sub(1).ok_or(UnsupportedType::TooDeep)?;
        let result = inner(self);
        self.depth_left += 1;
        result
    }

    fn names<'a>(&mut self, names: impl ExactSizeIterator<Item = &'a str>) -> Result<Vec<String>, UnsupportedType> {
        self.members(names.len())?;
        self.nodes(names.len())?;
        names.map(|name| self.name(name)).collect()
    }
}

impl Integer {
    pub(crate) const ALL: [Self; 8] =
        [Self::S8, Self::U8, Self::S16, Self::U16, Self::S32, Self::U32, Self::S64, Self::U64];

    /// The number in a component value of this type.
    pub(crate) fn value(self, val: &Val) -> Option<i128> {
        match (self, val) {
            (Self::S8, Val::S8(value)) => Some((*value).into()),
            (Self::U8, Val::U8(value)) => Some((*value).into()),
            (Self::S16, Val::S16(value)) => Some((*value).into()),
            (Self::U16, Val::U16(value)) => Some((*value).into()),
            (Self::S32, Val::S32(value)) => Some((*value).into()),
            (Self::U32, Val::U32(value)) => Some((*value).into()),
            (Self::S64, Val::S64(value)) => Some((*value).into()),
            (Self::U64, Val::U64(value)) => Some((*value).into()),
            (_, _) => None,
        }
    }

    pub(crate) fn min(self) -> i128 {
        match self {
            Self::S8 => i8::MIN.into(),
            Self::S16 => i16::MIN.into(),
            Self::S32 => i32::MIN.into(),
            Self::S64 => i64::MIN.into(),
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => 0,
        }
    }

    pub(crate) fn max(self) -> i128 {
        match self {
            Self::S8 => i8::MAX.into(),
            Self::U8 => u8::MAX.into(),
            Self::S16 => i16::MAX.into(),
            Self::U16 => u16::MAX.into(),
            Self::S32 => i32::MAX.into(),
            Self::U32 => u32::MAX.into(),
            Self::S64 => i64::MAX.into(),
            Self::U64 => u64::MAX.into(),
        }
    }

    /// Whether readers of JSON that know only floats would lose digits of it.
    pub(crate) fn exceeds_float(self) -> bool {
        matches!(self, Self::S64 | Self::U64)
    }

    /// The component value, if `value` is in range.
    pub(crate) fn val(self, value: i128) -> Option<Val> {
        match self {
            Self::S8 => value.try_into().ok().map(Val::S8),
            Self::U8 => value.try_into().ok().map(Val::U8),
            Self::S16 => value.try_into().ok().map(Val::S16),
            Self::U16 => value.try_into().ok().map(Val::U16),
            Self::S32 => value.try_into().ok().map(Val::S32),
            Self::U32 => value.try_into().ok().map(Val::U32),
            Self::S64 => value.try_into().ok().map(Val::S64),
            Self::U64 => value.try_into().ok().map(Val::U64),
        }
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
        })
    }
}

impl fmt::Display for Shape {
    /// As WIT would spell it; records and variants have no name here and are written out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Integer(integer) => integer.fmt(f),
            Self::Float32 => f.write_str("f32"),
            Self::Float64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("list<u8>"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Map { key, value } => write!(f, "map<{key}, {value}>"),
            Self::Record(fields) => write!(f, "{{{}}}", listed(fields)),
            Self::Tuple(items) => write!(f, "tuple<{}>", listed(items)),
            Self::Variant(cases) => write!(f, "variant<{}>", listed(cases)),
            Self::Enum(names) => write!(f, "enum<{}>", names.join(", ")),
            Self::Flags(names) => write!(f, "flags<{}>", names.join(", ")),
            Self::Option(inner) => write!(f, "option<{inner}>"),
            Self::Result { ok, err } => match (ok, err) {
                (None, None) => f.write_str("result"),
                (Some(ok), None) => write!(f, "result<{ok}>"),
                (None, Some(err)) => write!(f, "result<_, {err}>"),
                (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
            },
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Integer(integer) => integer.fmt(f),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.shape)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.payload {
            Some(payload) => write!(f, "{}({payload})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The items, separated by commas.
pub(crate) fn listed<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
