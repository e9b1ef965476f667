//! The documentation of a tool's exported functions, of what they take and what they return: the comments of its WIT, put into its
//! component, where a model will read them. Whoever calls this has read the WIT, with the bounds that he needs.

use std::collections::BTreeMap;

use wit_parser::{Docs as Comment, Function, PackageId, Resolve, Type, TypeDefKind, TypeId, WorldItem, WorldKey};

use crate::stored::{self, Docs, RETURNED};

/// Deepest place in a parameter or result that is looked at: schemas of deeper ones are not made.
const DEPTH_MAX: usize = 64;

/// Most places of one function: its types, written out, may be many more than a model would read of.
const PARTS_MAX: usize = 500;

/// Most places that are looked at, of all functions together, with a comment or without: a type that is made of two others, and
/// so on, has more of them than anybody counts.
const VISITS_MAX: usize = 500_000;

/// More is said of a tool's functions than its component can hold.
#[derive(Debug, thiserror::Error)]
#[error("they have more than {} bytes, and a component holds no more", stored::BYTES_MAX)]
pub struct TooMuchSaid;

/// `component` with the comments of `package`. Where that says nothing, the component may have brought its own.
///
/// # Errors
/// Where more is said of its functions than a component can hold.
pub fn embed(component: Vec<u8>, resolve: &Resolve, package: PackageId) -> Result<Vec<u8>, TooMuchSaid> {
    let docs = read(resolve, package)?;
    Ok(if docs == Docs::default() { component } else { stored::append(&component, &docs) })
}

/// The comments of every function that a world of `package` exports.
fn read(resolve: &Resolve, package: PackageId) -> Result<Docs, TooMuchSaid> {
    let mut visits = VISITS_MAX;
    let mut docs = Docs::default();
    for (name, function) in exported(resolve, package) {
        if let Some(text) = words(&function.docs) {
            docs.functions.insert(name.clone(), text);
        }
        let mut places = Places { resolve, parts: BTreeMap::new(), inside: Vec::new(), visits: &mut visits };
        function.params.iter().for_each(|param| places.of(&param.ty, &param.name));
        function.result.iter().for_each(|ty| places.of_returned(ty));
        if !places.parts.is_empty() {
            docs.parts.insert(name, places.parts);
        }
    }
    let functions = Docs { functions: docs.functions.clone(), ..Docs::default() };
    if stored::encoded_len(&functions) > stored::BYTES_MAX { Err(TooMuchSaid) } else { Ok(within_bounds(docs)) }
}

/// What is said of functions matters more than what is said of their parts.
fn within_bounds(docs: Docs) -> Docs {
    let Docs { functions, parts } = docs;
    let mut kept = Docs { functions, ..Docs::default() };
    let mut bytes = stored::encoded_len(&kept);
    for (name, of_function) in parts {
        // A little more than it takes beside the others.
        let alone = Docs { parts: [(name, of_function)].into(), ..Docs::default() };
        bytes += stored::encoded_len(&alone);
        if bytes > stored::BYTES_MAX {
            break;
        }
        kept.parts.extend(alone.parts);
    }
    kept
}

fn exported(resolve: &Resolve, package: PackageId) -> impl Iterator<Item = (String, &Function)> {
    let worlds = resolve.packages[package].worlds.values();
    worlds.flat_map(|world| &resolve.worlds[*world].exports).flat_map(|(key, item)| functions(resolve, key, item))
}

fn functions<'r>(resolve: &'r Resolve, key: &WorldKey, item: &'r WorldItem) -> Vec<(String, &'r Function)> {
    match item {
        WorldItem::Function(function) => vec![(function.name.clone(), function)],
        WorldItem::Interface { id, .. } => {
            let interface = resolve.name_world_key(key);
            let functions = resolve.interfaces[*id].functions.values();
            functions.map(|function| (format!("{interface}#{}", function.name), function)).collect()
        }
        WorldItem::Type { .. } => Vec::new(),
    }
}

fn words(docs: &Comment) -> Option<String> {
    let text = docs.contents.as_deref()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The places in a function's parameters and in what it returns, as `stored` writes them, with what is said there.
struct Places<'r> {
    resolve: &'r Resolve,
    parts: BTreeMap<String, String>,
    /// The types that this place is in.
    inside: Vec<TypeId>,
    /// How many places may still be looked at.
    visits: &'r mut usize,
}

impl Places<'_> {
    /// What is said of a type at `place`, and of all that it is made of.
    fn of(&mut self, ty: &Type, place: &str) {
        if !self.may_look() || self.inside.len() == DEPTH_MAX {
            return;
        }
        let Type::Id(id) = ty else { return };
        let definition = &self.resolve.types[*id];
        // What is said where a type is used comes before what is said of the type itself.
        self.say(place, &definition.docs);
        self.inside.push(*id);
        self.within(&definition.kind, place);
        self.inside.pop();
    }

    /// What is said of what a function returns where all is well: an error is a text that a model reads as it is.
    fn of_returned(&mut self, ty: &Type) {
        let mut named = *ty;
        // Every alias is of one that was declared before it.
        while let Type::Id(id) = named {
            match &self.resolve.types[id].kind {
                TypeDefKind::Type(other) => named = *other,
                TypeDefKind::Result(result) => return result.ok.iter().for_each(|ok| self.of(ok, RETURNED)),
                _ => break,
            }
        }
        self.of(ty, RETURNED);
    }

    /// Counts a place that is looked at. `false` where it is one too many.
    fn may_look(&mut self) -> bool {
        *self.visits = self.visits.saturating_sub(1);
        *self.visits > 0 && self.parts.len() < PARTS_MAX
    }

    fn say(&mut self, place: &str, docs: &Comment) {
        if let (Some(text), true) = (words(docs), self.parts.len() < PARTS_MAX) {
            self.parts.entry(place.to_owned()).or_insert(text);
        }
    }

    fn within(&mut self, kind: &TypeDefKind, place: &str) {
        match kind {
            TypeDefKind::Record(record) => record.fields.iter().for_each(|field| {
                self.named(place, (&field.name, &field.docs), Some(&field.ty));
            }),
            TypeDefKind::Variant(variant) => variant.cases.iter().for_each(|case| {
                self.named(place, (&case.name, &case.docs), case.ty.as_ref());
            }),
            TypeDefKind::Enum(names) => {
                names.cases.iter().for_each(|case| self.named(place, (&case.name, &case.docs), None));
            }
            TypeDefKind::Flags(flags) => {
                flags.flags.iter().for_each(|flag| self.named(place, (&flag.name, &flag.docs), None));
            }
            TypeDefKind::Tuple(tuple) => {
                tuple.types.iter().enumerate().for_each(|(index, ty)| self.of(ty, &format!("{place}[{index}]")));
            }
            TypeDefKind::Result(result) => {
                for (name, ty) in [("ok", &result.ok), ("err", &result.err)] {
                    ty.iter().for_each(|ty| self.of(ty, &format!("{place}.{name}")));
                }
            }
            TypeDefKind::Option(inner) => self.option(inner, place),
            TypeDefKind::Type(inner) => self.of(inner, place),
            TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _) => self.of(item, &format!("{place}[]")),
            TypeDefKind::Map(_, value) => self.of(value, &format!("{place}{{}}")),
            // No tool takes these, nor returns them.
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown => {}
        }
    }

    fn named(&mut self, place: &str, (name, docs): (&str, &Comment), ty: Option<&Type>) {
        if !self.may_look() {
            return;
        }
        let place = format!("{place}.{name}");
        self.say(&place, docs);
        ty.iter().for_each(|ty| self.of(ty, &place));
    }

    /// An option adds nothing to a place, but for one whose value is an option again.
    fn option(&mut self, inner: &Type, place: &str) {
        let is_option = |ty: &Type| match ty {
            Type::Id(id) => matches!(self.resolve.types[*id].kind, TypeDefKind::Option(_)),
            _ => false,
        };
        if is_option(inner) { self.of(inner, &format!("{place}.some")) } else { self.of(inner, place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    type Tried = Result<(), Box<dyn std::error::Error>>;

    fn docs(wit: &str) -> Result<Docs, Box<dyn std::error::Error>> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("calc.wit", wit)?;
        Ok(read(&resolve, package)?)
    }

    #[test]
    fn what_says_nothing_leaves_the_component_as_it_is() -> Tried {
        let mut resolve = Resolve::default();
        let wit = |said: &str| format!("package local:calc;\nworld calc {{\n{said}export evaluate: func();\n}}\n");
        let own = stored::append(EMPTY_COMPONENT, &docs(&wit("/// Its own.\n"))?);
        let silent = resolve.push_str("silent.wit", &wit(""))?;
        assert_eq!(embed(own.clone(), &resolve, silent)?, own);
        let mut resolve = Resolve::default();
        let speaking = resolve.push_str("speaking.wit", &wit("/// Better.\n"))?;
        assert_eq!(stored::read(&embed(own, &resolve, speaking)?)?.functions["evaluate"], "Better.");
        Ok(())
    }

    #[test]
    fn comments_are_found_under_the_names_that_a_component_exports() -> Tried {
        let wit = "package local:calc@0.1.0;\n\
                   interface more {\n  /// Rounds a number.\n  round: func(x: f64) -> f64;\n  silent: func();\n}\n\
                   world calc {\n  export more;\n  /// Calculates exactly.\n  export evaluate: func(expression: string) -> string;\n}\n";
        let docs: Vec<_> = docs(wit)?.functions.into_iter().collect();
        let expected = [("evaluate", "Calculates exactly."), ("local:calc/more@0.1.0#round", "Rounds a number.")];
        assert_eq!(docs, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        Ok(())
    }

    #[test]
    fn comments_of_fields_and_cases_are_found_at_their_places() -> Tried {
        let wit = "package local:shop;\n\
            world shop {\n  export desk;\n}\n\
            interface desk {\n\
              /// A colour.\n  enum colour { /// As roses.\n red, blue }\n\
              flags mark { /// Not used.\n new, sold }\n\
              /// How large.\n  variant size { /// In metres.\n exact(f64), any }\n\
              record item { /// What is paid, in cents.\n price: u32, colour: option<colour>, /// Its own.\n size: size, }\n\
              order: func(items: list<item>, marks: tuple<mark, string>, again: option<option<colour>>);\n\
            }\n";
        let docs = docs(wit)?;
        let parts: Vec<_> = docs.parts["local:shop/desk#order"].iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("again.some", "A colour."),
            ("again.some.red", "As roses."),
            ("items[].colour", "A colour."),
            ("items[].colour.red", "As roses."),
            ("items[].price", "What is paid, in cents."),
            ("items[].size", "Its own."),
            ("items[].size.exact", "In metres."),
            ("marks[0].new", "Not used."),
        ];
        assert_eq!(parts, expected);
        Ok(())
    }

    #[test]
    fn comments_of_what_is_returned_are_found_at_their_places() -> Tried {
        let wit = "package local:shop;\n\
            world shop {\n\
              /// One thing.\n  record item { /// In cents.\n price: u32, name: string }\n\
              record failure { /// Which one.\n code: u32 }\n\
              type outcome = result<list<item>, failure>;\n\
              type renamed = outcome;\n\
              export first: func() -> item;\n\
              export all: func(price: u32) -> renamed;\n\
              export maybe: func() -> option<item>;\n\
              export check: func() -> result<_, failure>;\n\
              export name: func() -> string;\n\
            }\n";
        let docs = docs(wit)?;
        let parts = |function: &str| -> Vec<(&str, &str)> {
            docs.parts
                .get(function)
                .into_iter()
                .flatten()
                .map(|(place, said)| (place.as_str(), said.as_str()))
                .collect()
        };
        assert_eq!(parts("first"), [("->", "One thing."), ("->.price", "In cents.")]);
        assert_eq!(parts("all"), [("->[]", "One thing."), ("->[].price", "In cents.")]);
        assert_eq!(parts("maybe"), parts("first"));
        assert_eq!((parts("check"), parts("name")), (Vec::new(), Vec::new()));
        Ok(())
    }

    /// Written out, its type has more places than anybody waits for.
    #[test]
    fn a_type_that_doubles_is_not_written_out() -> Tried {
        let records: String = (0..62).map(|n| format!("record t{n} {{ a: t{0}, b: t{0} }}\n", n + 1)).collect();
        let wit = format!(
            "package local:wide;\ninterface i {{\n{records}record t62 {{ x: u8 }}\n/// Says.\nf: func(x: t0);\n}}\nworld w {{ export i; }}\n"
        );
        assert_eq!(docs(&wit)?.functions["local:wide/i#f"], "Says.");
        Ok(())
    }

    #[test]
    fn what_is_said_fits_into_a_component() -> Tried {
        let fields: String =
            (0..400).map(|n| format!("/// Field {n}, of which much is said.\nfield{n}: u8,\n")).collect();
        let functions: String = (0..2_000).map(|n| format!("do{n}: func(x: t);\n")).collect();
        let wit = |functions: &str| {
            format!(
                "package local:wide;\ninterface i {{\nrecord t {{\n{fields}}}\n{functions}}}\nworld w {{ export i; }}\n"
            )
        };
        let bounded = docs(&wit(&functions))?;
        assert!(!bounded.parts.is_empty() && stored::encoded_len(&bounded) <= stored::BYTES_MAX);
        let said = format!("/// {}\n", "much ".repeat(30));
        let functions: String = (0..2_000).map(|n| format!("{said}do{n}: func(x: t);\n")).collect();
        let refused = docs(&wit(&functions)).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(refused.contains("more than 262144 bytes"), "{refused}");
        Ok(())
    }
}
