//! Components that attack their own loading: no components at all, too large, too many, too deep. `generators` asks here.

use std::fmt::Write as _;

/// The bytes of one, if there is one of this name.
pub(crate) fn generate(name: &str, count: u64) -> Option<Result<Vec<u8>, String>> {
    let size = usize::try_from(count).unwrap_or(usize::MAX);
    let text = match name {
        "noise" => return Some(Ok(noise(size))),
        "text" => return Some(Ok(b"(component (core module))".to_vec())),
        "padding" => return Some(Ok(padding(size))),
        "custom_sections" => custom_sections(size),
        "long_name" => with_export(&"n".repeat(size), ""),
        "functions" => with_export("run", &"(func)\n".repeat(size)),
        "one_function" => with_export("run", &one_function(size)),
        "locals" => with_export("run", &format!("(func (local {}) )", "i64 ".repeat(size))),
        "blocks" => with_export("run", &format!("(func {} {})", "block ".repeat(size), "end ".repeat(size))),
        "branches" => {
            with_export("run", &format!("(func (param i32) (block (br_table {} (local.get 0))))", "0 ".repeat(size)))
        }
        "data" => data(size),
        "elements" => {
            with_export("run", &format!("(table {size} funcref) (func $e) (elem (i32.const 0) {})", "$e ".repeat(size)))
        }
        "doubled_types" => doubled_types(count),
        "exports" => return Some(exports(count)),
        "nested_components" => return Some(Ok(nested_components(size))),
        "hidden_types" => return Some(Ok(hidden_types(size))),
        "instances_in_instances" => return Some(Ok(instances_in_instances(size))),
        "aliases" => return Some(Ok(aliases(size))),
        "modules" => format!("(component {} {RUN})", "(core module)\n".repeat(size)),
        _ => return None,
    };
    Some(wat::parse_str(text).map_err(|error| error.to_string()))
}

/// A function that can be called.
const RUN: &str = r#"(core module $run (func (export "run"))) (core instance $run (instantiate $run))
    (func (export "run") (canon lift (core func $run "run")))"#;

/// The header of a component.
const HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Bytes without meaning, the same each time.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

/// A component with one custom section, of this size in all: a section's kind, a length of five bytes, and a name of one.
fn padding(size: usize) -> Vec<u8> {
    let content = size.saturating_sub(HEADER.len() + 6);
    let mut bytes = HEADER.to_vec();
    bytes.push(0);
    bytes.extend(length(content));
    bytes.extend([1, b'x']);
    bytes.resize(size, 0);
    bytes
}

/// A module with an exported function of this name, lifted under the same name, and these definitions beside it.
fn with_export(name: &str, definitions: &str) -> String {
    format!(
        r#"(component
            (core module $m {definitions} (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "{name}") (canon lift (core func $i "run"))))"#
    )
}

/// Names of ten thousand functions that there are not, producers that made nothing, and debug information that is none.
fn custom_sections(size: usize) -> String {
    let sections = ["name", "producers", ".debug_info", ".debug_line", ".debug_abbrev"];
    let sections: String =
        sections.iter().map(|name| format!("(@custom \"{name}\" \"{}\")\n", "\\ff\\01x".repeat(size / 15))).collect();
    with_export("run", &sections)
}

fn one_function(size: usize) -> String {
    // Seven bytes each.
    let step = "(local.set 0 (i64.add (local.get 0) (i64.const 1)))";
    format!("(func (param i64) (result i64) {} (local.get 0))", step.repeat(size / 7))
}

fn data(size: usize) -> String {
    let pages = size.div_ceil(65_536);
    with_export("run", &format!("(memory {pages}) (data (i32.const 0) \"{}\")", "x".repeat(size)))
}

/// Each type is a pair of the one before.
fn doubled_types(count: u64) -> String {
    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for level in 1..count {
        // Writing into a string cannot fail.
        let _ = writeln!(types, "(type $t{level} (tuple $t{0} $t{0}))", level - 1);
    }
    format!(
        r#"(component {types}
            (core module $m (memory (export "m") 1) (func (export "f") (param i32))
                (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "run") (param "x" $t{})
                (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r")))))"#,
        count.saturating_sub(1)
    )
}

/// One function under many names. By hand: the translator of text looks at each name once for each.
fn exports(count: u64) -> Result<Vec<u8>, String> {
    const EXPORT_SECTION: u8 = 11;
    let one = r#"(component (core module $m (func (export "run"))) (core instance $i (instantiate $m))
        (func $run (canon lift (core func $i "run"))))"#;
    let mut bytes = wat::parse_str(one).map_err(|error| error.to_string())?;
    let mut section = length(usize::try_from(count).unwrap_or(usize::MAX)).to_vec();
    for number in 0..count {
        let name = format!("run{number}");
        section.extend([0, name.len() as u8]);
        section.extend(name.as_bytes());
        // A function, the first, of whatever type it has.
        section.extend([1, 0, 0]);
    }
    bytes.push(EXPORT_SECTION);
    bytes.extend(length(section.len()));
    bytes.extend(section);
    Ok(bytes)
}

/// A component's type section, by hand: no translator of text would follow.
const TYPE_SECTION: u8 = 7;

/// A type of a component that declares a component that declares a component.
fn nested_components(levels: usize) -> Vec<u8> {
    // A component with one declaration, which is a type.
    let mut section = [0x41, 1, 1].repeat(levels);
    section.extend([0x41, 0]);
    types(&section)
}

/// One type that declares one, which declares so many.
fn hidden_types(count: usize) -> Vec<u8> {
    let mut section = vec![0x41, 1, 1, 0x42];
    section.extend(length(count));
    // A type: the primitive `u8`.
    section.extend([1, 0x7d].repeat(count));
    types(&section)
}

/// What an export is: a function, an instance.
const FUNCTION: u8 = 1;
const INSTANCE: u8 = 5;

/// An instance of eight asynchronous functions, in an instance, in an instance: each under a long name.
fn instances_in_instances(depth: usize) -> Vec<u8> {
    let name = "x".repeat(1_000);
    let inner = (1..depth).map(|level| instance(&[(name.clone(), INSTANCE, level - 1)]));
    let instances: Vec<u8> = std::iter::once(eight_functions(1_000)).chain(inner).flatten().collect();
    [asynchronous(), section(5, depth, &instances)].concat()
}

/// As many aliases of an instance of eight asynchronous functions with names as long as can be.
fn aliases(count: usize) -> Vec<u8> {
    let alias = [FUNCTION, 0, 0, 1, b'z'];
    [asynchronous(), section(5, 1, &eight_functions(99_999)), section(6, count, &alias.repeat(count))].concat()
}

/// The beginning of a component: an asynchronous function, the first.
fn asynchronous() -> Vec<u8> {
    let (ty, lifted) = ([0x43, 0, 1, 0], [0, 0, 0, 0, 0]);
    [HEADER.to_vec(), section(TYPE_SECTION, 1, &ty), section(8, 1, &lifted)].concat()
}

/// An instance that exports that function under eight names of this length.
fn eight_functions(name_bytes: usize) -> Vec<u8> {
    let named = |letter: char| (letter.to_string().repeat(name_bytes), FUNCTION, 0);
    instance(&('a'..='h').map(named).collect::<Vec<_>>())
}

/// An instance of these exports: name, kind, index.
fn instance(exports: &[(String, u8, usize)]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(length(exports.len()));
    for (name, kind, index) in exports {
        bytes.push(0);
        bytes.extend(length(name.len()));
        bytes.extend(name.as_bytes());
        bytes.push(*kind);
        bytes.extend(length(*index));
    }
    bytes
}

/// A section of so many things.
fn section(kind: u8, count: usize, things: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(length(things.len() + length(count).len()));
    bytes.extend(length(count));
    bytes.extend(things);
    bytes
}

/// A component with one type.
fn types(entry: &[u8]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    bytes.push(TYPE_SECTION);
    bytes.extend(length(entry.len() + 1));
    bytes.push(1);
    bytes.extend(entry);
    bytes
}

/// A length in five bytes.
fn length(value: usize) -> [u8; 5] {
    std::array::from_fn(|place| (value >> (7 * place) & 0x7f) as u8 | if place < 4 { 0x80 } else { 0 })
}
