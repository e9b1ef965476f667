//! What a component's exports cost when it is loaded: each is looked at, described, and given a schema. The same component with 200
//! of them and with one, both from the cache, so that only this differs.

use std::fmt::Write as _;

use agent_tool_docs::stored::{self, Docs};

use crate::figure::Unit;
use crate::load;

/// As many as a large library of functions has.
const EXPORTS: u32 = 200;

/// Measures and prints.
pub(crate) fn measure() {
    println!("schemas: a component with {EXPORTS} exported functions, and with one");
    let (many, one) = (load::warm(&component(EXPORTS)), load::warm(&component(1)));
    many.print("many exports, cached", Unit::Milliseconds);
    one.print("one export, cached", Unit::Milliseconds);
    let each = many.with(&one, |many, one| (many - one) * 1e3 / f64::from(EXPORTS - 1));
    each.print("each export more", Unit::Microseconds);
    println!();
}

/// Functions of a record, a list and an option, with a comment each.
fn component(exports: u32) -> Vec<u8> {
    let mut functions = String::new();
    let mut docs = Docs::default();
    for number in 0..exports {
        let _ = writeln!(
            functions,
            r#"(func (export "place{number}") (param "item" $item) (param "tags" (list string)) (param "most" (option u32))
                (result string)
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#
        );
        docs.functions
            .insert(format!("place{number}"), "Puts an item into its place and says where that is.".to_owned());
    }
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "f") (param f64 f64 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (type $colour' (enum "red" "green" "blue"))
            (export $colour "colour" (type $colour'))
            (type $item' (record (field "x" f64) (field "y" f64) (field "label" string) (field "colour" $colour)))
            (export $item "item" (type $item'))
            {functions})"#
    );
    stored::append(&wat::parse_str(text).unwrap(), &docs)
}
