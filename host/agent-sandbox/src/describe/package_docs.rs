//! The custom section `package-docs`, in which other tools keep the comments of a component's WIT. Read leniently: what is not
//! as expected says nothing, since nobody promised us anything about it.
//!
//! It holds one byte, the version, and then JSON: `{"worlds": {W: {"func_exports": {F: {"docs": …}}}}, "interfaces": {I: {"funcs":
//! {F: {"docs": …}}}}}`. It says neither the package nor its version, so an interface is known by its own name alone.

use agent_core::tool::DESCRIPTION_BYTES_MAX;
use agent_tool_docs::section;
use serde_json::Value;
use wasmparser::{Parser, Payload};

use crate::plain_text;

/// The section's name.
const NAME: &str = "package-docs";

/// Largest section that is looked at.
const BYTES_MAX: usize = 1 << 20;

/// Most functions that it may speak of.
const FUNCTIONS_MAX: usize = 1_000;

/// What it says of exported functions, by `function` or `interface#function`.
pub(crate) fn read(component: &[u8]) -> Vec<(String, String)> {
    let section = section::last(component, NAME).filter(|section| section.len() <= BYTES_MAX);
    let Some(docs) = section.and_then(decoded) else { return Vec::new() };
    let interfaces = exported_interfaces(component);
    let of_worlds = members(&docs, "worlds").into_iter().flat_map(|(_, world)| functions(world, "func_exports"));
    let of_interfaces = interfaces.iter().flat_map(|full| {
        let said = docs.get("interfaces").and_then(|all| all.get(short(full)));
        let found = said.map(|interface| functions(interface, "funcs")).unwrap_or_default();
        found.into_iter().map(move |(function, text)| (format!("{full}#{function}"), text))
    });
    of_worlds.chain(of_interfaces).take(FUNCTIONS_MAX).collect()
}

/// The JSON, behind the version where there is one: early writers had none.
fn decoded(section: &[u8]) -> Option<Value> {
    let json = if section.first() == Some(&b'{') { section } else { section.get(1..)? };
    serde_json::from_slice(json).ok()
}

fn members<'v>(value: &'v Value, key: &str) -> Vec<(&'v String, &'v Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten().collect()
}

fn functions(value: &Value, key: &str) -> Vec<(String, String)> {
    let text = |function: &Value| fitting(function.get("docs")?.as_str()?.trim());
    members(value, key).into_iter().filter_map(|(name, function)| Some((name.clone(), text(function)?))).collect()
}

/// As much of a text as a description may have. One with characters that nobody sees says nothing: it was not written for us,
/// and the component is not to be refused for it.
fn fitting(text: &str) -> Option<String> {
    if text.is_empty() || plain_text::hidden(text).is_some() {
        return None;
    }
    if text.len() <= DESCRIPTION_BYTES_MAX {
        return Some(text.to_owned());
    }
    let end = text.floor_char_boundary(DESCRIPTION_BYTES_MAX - plain_text::CUT.len_utf8());
    Some(format!("{}{}", &text[..end], plain_text::CUT))
}

/// `tools` of `local:calc/tools@0.1.0`.
fn short(interface: &str) -> &str {
    let name = interface.split('@').next().unwrap_or_default();
    name.rsplit('/').next().unwrap_or_default()
}

/// The names of what the component exports at its outermost level.
fn exported_interfaces(component: &[u8]) -> Vec<String> {
    let (mut depth, mut names) = (0_usize, Vec::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentExportSection(section)) if depth == 0 => {
                let found = section.into_iter().filter_map(Result::ok).map(|export| export.name.name.to_owned());
                names.extend(found.filter(|name| name.contains('/')).take(FUNCTIONS_MAX));
            }
            // Every other payload is somebody else's.
            Ok(_) => {}
            Err(_) => break,
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn said(section: &[u8]) -> Vec<(String, String)> {
        read(&section::replace(EMPTY_COMPONENT, NAME, section))
    }

    #[test]
    fn what_is_as_expected_is_read_and_the_rest_says_nothing() {
        let docs = br#"{"worlds":{"w":{"func_exports":{"add":{"docs":" Adds.\n"},"sub":{},"mul":7}}},"interfaces":[]}"#;
        let expected = vec![("add".to_owned(), "Adds.".to_owned())];
        assert_eq!(said(docs), expected);
        assert_eq!(said(&[&[1], docs.as_slice()].concat()), expected);
        let long = format!(r#"{{"worlds":{{"w":{{"func_exports":{{"add":{{"docs":"{}"}}}}}}}}}}"#, "é".repeat(2_000));
        let kept = said(long.as_bytes());
        assert!(kept.len() == 1 && kept[0].1.len() <= DESCRIPTION_BYTES_MAX && kept[0].1.ends_with("é…"), "{kept:?}");
        for nothing in [
            "{\"worlds\":{\"w\":{\"func_exports\":{\"add\":{\"docs\":\"Adds.\u{202e}\"}}}}}".as_bytes(),
            b"",
            b"\x01",
            b"\x01[]",
            b"{\"worlds\":",
            b"{\"worlds\":{\"w\":{\"func_exports\":[1]}}}",
        ] {
            assert_eq!(said(nothing), [], "{nothing:?}");
        }
    }
}
