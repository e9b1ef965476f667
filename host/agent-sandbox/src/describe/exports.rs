//! Any component: each exported function is an operation.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_core::name::Name;
use agent_core::tool::DESCRIPTION_BYTES_MAX;
use agent_tool_docs::stored::Docs;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Val};

use crate::command::{self, CommandLine};
use crate::describe::naming::{self, ExportPath};
use crate::describe::schema::{self, Notes};
use crate::describe::{Description, SCHEMA_BYTES_MAX, Unsupported, Unusable, refuse_hidden, refuse_hidden_in_schema};
use crate::plain_text;
use crate::plainly::{PlainArguments, PlainCall};
use crate::value::json::Json;
use crate::value::lower::lower_fields;
use crate::value::shape::{self, Budget, Field, Shape, UnsupportedType};
use crate::value::{Mismatch, Path};

/// Most exported functions of one component. Each is looked at, named and described, whether or not it can be called.
const FUNCTIONS_MAX: usize = 1_000;

/// Longest signature in a description made up here.
const SIGNATURE_CHARS_MAX: usize = 400;

/// Longest name of a parameter or field: what a provider takes as a name of a property.
const PROPERTY_BYTES_MAX: usize = 64;

/// Why an asynchronous function is none.
const ASYNC: &str = "it is an asynchronous function of WASI 0.3; export it as a plain `func` for 0.2";

/// A function that can be called.
pub(crate) struct Export {
    pub(crate) function: ComponentExportIndex,
    /// What it returns, if it returns anything.
    pub(crate) result: Option<Arc<Shape>>,
    parameters: Parameters,
    /// How bytes reach it without a value for each of them, where its types are that plain.
    plain: Option<PlainCall>,
}

/// A function's arguments on their way to it.
pub(crate) enum Lowered {
    Values(Vec<Val>),
    Plain(PlainArguments),
    Command(CommandLine),
}

/// How the members of the arguments reach the function.
enum Parameters {
    /// Each is a parameter.
    Each(Vec<Field>),
    /// All together are its only parameter, a record of this name.
    OneRecord(String, Vec<Field>),
    /// They are a command's.
    Command(Vec<Field>),
}

impl Parameters {
    fn fields(&self) -> &[Field] {
        match self {
            Self::Each(fields) | Self::OneRecord(_, fields) | Self::Command(fields) => fields,
        }
    }

    /// Where the fields are in the function's parameters.
    fn place(&self) -> &str {
        match self {
            Self::Each(_) | Self::Command(_) => "",
            Self::OneRecord(name, _) => name,
        }
    }
}

impl Export {
    /// The function's arguments from a JSON object.
    pub(crate) fn lower(&self, arguments: &Json<'_>) -> Result<Lowered, Mismatch> {
        let path = Path::root("arguments");
        if let Some(plain) = &self.plain {
            return plain.lower(arguments, self.parameters.fields(), &path).map(Lowered::Plain);
        }
        if let Parameters::Command(fields) = &self.parameters {
            return CommandLine::lower(arguments, fields, &path).map(Lowered::Command);
        }
        let fields = lower_fields(arguments, self.parameters.fields(), &path)?;
        Ok(Lowered::Values(match self.parameters {
            Parameters::Each(_) => fields.into_iter().map(|(_, val)| val).collect(),
            Parameters::OneRecord(..) => vec![Val::Record(fields)],
            Parameters::Command(_) => unreachable!("a command's were taken"),
        }))
    }
}

/// What a component exports.
pub(crate) struct Found {
    /// Each with the full name of its export.
    pub(crate) descriptions: Vec<Description>,
    pub(crate) operations: BTreeMap<Name, Export>,
    pub(crate) unsupported: Vec<Unsupported>,
}

/// Looks at everything that `component` exports. Whatever `docs` says, what the component itself is called by decides.
pub(crate) fn find(component: &Component, docs: &Docs) -> Result<Found, Unusable> {
    let mut search = Search { component, callable: Vec::new(), unsupported: Vec::new(), budget: Budget::new() };
    search.walk();
    let Search { callable, mut unsupported, .. } = search;
    if callable.len() + unsupported.len() > FUNCTIONS_MAX {
        return Err(Unusable(format!("it exports more than {FUNCTIONS_MAX} functions")));
    }
    let paths: Vec<_> = callable.iter().map(|callable| callable.path.clone()).collect();
    let mut found = Found { descriptions: Vec::new(), operations: BTreeMap::new(), unsupported: Vec::new() };
    for (name, callable) in naming::assign(&paths).into_iter().zip(callable) {
        match name {
            Ok(name) => match callable.describe(name.clone(), docs)? {
                Ok(description) => {
                    found.descriptions.push(description);
                    found.operations.insert(name, callable.export);
                }
                Err(reason) => unsupported.push(Unsupported { export: callable.path.full(), reason }),
            },
            Err(reason) => unsupported.push(Unsupported { export: callable.path.full(), reason }),
        }
    }
    unsupported.sort_by(|a, b| a.export.cmp(&b.export));
    Ok(Found { unsupported, ..found })
}

/// A function on its way to becoming an operation.
struct Callable {
    path: ExportPath,
    export: Export,
}

impl Callable {
    /// How a model sees it; or why no model does.
    ///
    /// # Errors
    /// Where what is said of it cannot be used.
    fn describe(&self, operation: Name, docs: &Docs) -> Result<Result<Description, String>, Unusable> {
        let said = match self.export.parameters {
            // Every command's function has the comment that WASI gives it.
            Parameters::Command(_) => None,
            Parameters::Each(_) | Parameters::OneRecord(..) => docs.functions.get(&self.path.full()),
        };
        let description = said.map_or_else(|| self.signature(), Clone::clone);
        if description.len() > DESCRIPTION_BYTES_MAX {
            let full = self.path.full();
            return Err(Unusable(format!("the description of `{full}` is longer than {DESCRIPTION_BYTES_MAX} bytes")));
        }
        refuse_hidden(&format!("the description of `{operation}`"), &description)?;
        let (mut nothing, parameters) = (Notes::new(), &self.export.parameters);
        if let Parameters::Command(_) = parameters {
            nothing = command::notes();
        }
        let notes = docs.parts.get(&self.path.full()).unwrap_or(&nothing);
        let input_schema = schema::object(parameters.fields(), parameters.place(), notes);
        refuse_hidden_in_schema(&input_schema)?;
        if input_schema.to_string().len() > SCHEMA_BYTES_MAX {
            return Ok(Err(format!("the schema of its arguments is larger than {SCHEMA_BYTES_MAX} bytes")));
        }
        let output_schema = self.output_schema(notes);
        output_schema.as_ref().map_or(Ok(()), refuse_hidden_in_schema)?;
        Ok(Ok(Description { export: self.path.full(), operation, description, input_schema, output_schema }))
    }

    /// The schema of what it returns. Only programs want it: where all that is said of it makes it too large it says less, and better
    /// none than one without measure.
    fn output_schema(&self, notes: &Notes) -> Option<serde_json::Value> {
        let (shape, nothing) = (self.export.result.as_deref()?, Notes::new());
        let mut schemas = [notes, &nothing].into_iter().filter_map(|notes| schema::result(shape, notes));
        schemas.find(|schema| schema.to_string().len() <= SCHEMA_BYTES_MAX)
    }

    /// What can be said of a function without documentation: its name and its types.
    fn signature(&self) -> String {
        if let Parameters::Command(_) = self.export.parameters {
            return command::DESCRIPTION.to_owned();
        }
        let parameters = shape::listed(self.export.parameters.fields());
        let result = self.export.result.as_ref().map(|shape| format!(" -> {shape}")).unwrap_or_default();
        let origin = self.path.interface.as_ref().map(|interface| format!(" of {interface}")).unwrap_or_default();
        plain_text::one_line(&format!("{}({parameters}){result}{origin}", self.path.function), SIGNATURE_CHARS_MAX)
    }
}

struct Search<'a> {
    component: &'a Component,
    callable: Vec<Callable>,
    unsupported: Vec<Unsupported>,
    /// What the types of all of them may still spell out.
    budget: Budget,
}

impl Search<'_> {
    fn walk(&mut self) {
        let component = self.component;
        for (name, item) in component.component_type().exports(component.engine()) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => self.look_at(None, name, &function),
                ComponentItem::ComponentInstance(interface) => self.walk_interface(name, &interface),
                other => self.skip(name, &other),
            }
        }
    }

    fn walk_interface(&mut self, name: &str, interface: &ComponentInstance) {
        for (function_name, item) in interface.exports(self.component.engine()) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => self.look_at(Some(name), function_name, &function),
                other => self.skip(&format!("{name}#{function_name}"), &other),
            }
        }
    }

    fn look_at(&mut self, interface: Option<&str>, name: &str, function: &ComponentFunc) {
        let path = ExportPath { interface: interface.map(str::to_owned), function: name.to_owned() };
        match self.callable(path.clone(), function) {
            Ok(callable) => self.callable.push(callable),
            Err(reason) => self.unsupported.push(Unsupported { export: path.full(), reason }),
        }
    }

    fn callable(&mut self, path: ExportPath, function: &ComponentFunc) -> Result<Callable, String> {
        if function.async_() {
            return Err(ASYNC.to_owned());
        }
        if command::is_run(path.interface.as_deref(), &path.function) {
            let function = self.index(&path).ok_or("it cannot be found again under its name")?;
            let parameters = Parameters::Command(command::fields());
            return Ok(Callable { export: Export { function, result: None, parameters, plain: None }, path });
        }
        self.budget.next_function();
        let parameters = parameters(function, &mut self.budget).map_err(|error| error.to_string())?;
        parameters.fields().iter().try_for_each(|field| check_properties(&field.name, &field.shape))?;
        let result = function.results().next().map(|ty| Shape::of(&ty, &mut self.budget)).transpose();
        let result = result.map_err(|error| error.to_string())?;
        let function = self.index(&path).ok_or("it cannot be found again under its name")?;
        let plain = match &parameters {
            Parameters::Each(fields) => PlainCall::of(fields, result.as_ref()),
            Parameters::OneRecord(..) | Parameters::Command(_) => None,
        };
        Ok(Callable { export: Export { function, result: result.map(Arc::new), parameters, plain }, path })
    }

    fn index(&self, path: &ExportPath) -> Option<ComponentExportIndex> {
        let interface = match &path.interface {
            Some(interface) => Some(self.component.get_export_index(None, interface)?),
            None => None,
        };
        self.component.get_export_index(interface.as_ref(), &path.function)
    }

    /// Types and resources serve the functions beside them; the rest is named.
    fn skip(&mut self, export: &str, item: &ComponentItem) {
        let what = match item {
            ComponentItem::Type(_) | ComponentItem::Resource(_) => return,
            ComponentItem::ComponentInstance(_) => "an interface inside an interface",
            ComponentItem::Component(_) => "a component",
            ComponentItem::Module(_) => "a core module",
            ComponentItem::CoreFunc(_) => "a core function",
            ComponentItem::ComponentFunc(_) => unreachable!("functions are looked at"),
        };
        self.unsupported
            .push(Unsupported { export: export.to_owned(), reason: format!("it is {what}, not a function") });
    }
}

fn parameters(function: &ComponentFunc, budget: &mut Budget) -> Result<Parameters, UnsupportedType> {
    let mut fields = shape::fields(function.params(), budget)?;
    match fields.as_mut_slice() {
        [Field { name, shape: Shape::Record(inner) }] => {
            Ok(Parameters::OneRecord(std::mem::take(name), std::mem::take(inner)))
        }
        _ => Ok(Parameters::Each(fields)),
    }
}

/// Whether every object of these arguments has names that a provider takes.
fn check_properties(name: &str, shape: &Shape) -> Result<(), String> {
    if name.len() > PROPERTY_BYTES_MAX {
        let name = crate::value::excerpt(name);
        return Err(format!("its parameter or field `{name}` has a name longer than {PROPERTY_BYTES_MAX} bytes"));
    }
    match shape {
        Shape::Record(fields) => fields.iter().try_for_each(|field| check_properties(&field.name, &field.shape)),
        Shape::Variant(cases) => cases
            .iter()
            .try_for_each(|case| case.payload.as_ref().map_or(Ok(()), |shape| check_properties(&case.name, shape))),
        Shape::List(shape) | Shape::Option(shape) | Shape::Map { value: shape, .. } => check_properties("", shape),
        Shape::Tuple(shapes) => shapes.iter().try_for_each(|shape| check_properties("", shape)),
        Shape::Result { ok, err } => [ok, err].into_iter().flatten().try_for_each(|shape| check_properties("", shape)),
        Shape::Bool
        | Shape::Integer(_)
        | Shape::Float32
        | Shape::Float64
        | Shape::Char
        | Shape::String
        | Shape::Bytes
        | Shape::Enum(_)
        | Shape::Flags(_) => Ok(()),
    }
}
