//! Any component: each exported function is an operation.

use std::collections::BTreeMap;

use agent_core::name::Name;
use agent_core::tool::DESCRIPTION_BYTES_MAX;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Val};

use crate::describe::docs_section::Docs;
use crate::describe::naming::{self, ExportPath};
use crate::describe::{Description, Unsupported, Unusable, refuse_hidden, schema};
use crate::plain_text;
use crate::value::json::Json;
use crate::value::lower::lower_fields;
use crate::value::shape::{self, Budget, Field, Shape, UnsupportedType};
use crate::value::{Mismatch, Path};

/// Longest signature in a description made up here.
const SIGNATURE_CHARS_MAX: usize = 400;

/// A function that can be called.
pub(crate) struct Export {
    pub(crate) function: ComponentExportIndex,
    pub(crate) returns: bool,
    parameters: Parameters,
}

/// How the members of the arguments reach the function.
enum Parameters {
    /// Each is a parameter.
    Each(Vec<Field>),
    /// All together are its only parameter, a record.
    OneRecord(Vec<Field>),
}

impl Parameters {
    fn fields(&self) -> &[Field] {
        match self {
            Self::Each(fields) | Self::OneRecord(fields) => fields,
        }
    }
}

impl Export {
    /// The function's arguments from a JSON object.
    pub(crate) fn lower(&self, arguments: &Json<'_>) -> Result<Vec<Val>, Mismatch> {
        let fields = lower_fields(arguments, self.parameters.fields(), &Path::root("arguments"))?;
        Ok(match self.parameters {
            Parameters::Each(_) => fields.into_iter().map(|(_, val)| val).collect(),
            Parameters::OneRecord(_) => vec![Val::Record(fields)],
        })
    }
}

/// What a component exports.
pub(crate) struct Found {
    pub(crate) descriptions: Vec<Description>,
    pub(crate) operations: BTreeMap<Name, Export>,
    pub(crate) unsupported: Vec<Unsupported>,
}

/// Looks at everything that `component` exports.
pub(crate) fn find(component: &Component, docs: &Docs) -> Result<Found, Unusable> {
    let mut search = Search { component, callable: Vec::new(), unsupported: Vec::new() };
    search.walk();
    let Search { callable, mut unsupported, .. } = search;
    let paths: Vec<_> = callable.iter().map(|callable| callable.path.clone()).collect();
    let names = naming::assign(&paths)?;
    unsupported.sort_by(|a, b| a.export.cmp(&b.export));
    let mut found = Found { descriptions: Vec::new(), operations: BTreeMap::new(), unsupported };
    for (name, callable) in names.into_iter().zip(callable) {
        found.descriptions.push(callable.describe(name.clone(), docs)?);
        found.operations.insert(name, callable.export);
    }
    Ok(found)
}

/// A function on its way to becoming an operation.
struct Callable {
    path: ExportPath,
    result: Option<Shape>,
    export: Export,
}

impl Callable {
    fn describe(&self, operation: Name, docs: &Docs) -> Result<Description, Unusable> {
        let description = docs.functions.get(&self.path.full()).map_or_else(|| self.signature(), Clone::clone);
        if description.len() > DESCRIPTION_BYTES_MAX {
            let full = self.path.full();
            return Err(Unusable(format!("the description of `{full}` is longer than {DESCRIPTION_BYTES_MAX} bytes")));
        }
        refuse_hidden(&format!("the description of `{operation}`"), &description)?;
        Ok(Description { operation, description, input_schema: schema::object(self.export.parameters.fields()) })
    }

    /// What can be said of a function without documentation: its name and its types.
    fn signature(&self) -> String {
        let parameters = shape::listed(self.export.parameters.fields());
        let result = self.result.as_ref().map(|shape| format!(" -> {shape}")).unwrap_or_default();
        let origin = self.path.interface.as_ref().map(|interface| format!(" of {interface}")).unwrap_or_default();
        plain_text::one_line(&format!("{}({parameters}){result}{origin}", self.path.function), SIGNATURE_CHARS_MAX)
    }
}

struct Search<'a> {
    component: &'a Component,
    callable: Vec<Callable>,
    unsupported: Vec<Unsupported>,
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

    fn callable(&self, path: ExportPath, function: &ComponentFunc) -> Result<Callable, String> {
        if path.interface.as_deref().is_some_and(|interface| interface.starts_with("wasi:cli/run@")) {
            return Err("it is a command, which this host cannot run as a tool yet".to_owned());
        }
        if function.async_() {
            return Err(UnsupportedType::Concurrent.to_string());
        }
        let mut budget = Budget::new();
        let parameters = parameters(function, &mut budget).map_err(|error| error.to_string())?;
        let result = function.results().next().map(|ty| Shape::of(&ty, &mut budget)).transpose();
        let result = result.map_err(|error| error.to_string())?;
        let index = self.index(&path).ok_or("it cannot be found again under its name")?;
        Ok(Callable { export: Export { function: index, returns: result.is_some(), parameters }, path, result })
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
        [Field { shape: Shape::Record(inner), .. }] => Ok(Parameters::OneRecord(std::mem::take(inner))),
        _ => Ok(Parameters::Each(fields)),
    }
}
