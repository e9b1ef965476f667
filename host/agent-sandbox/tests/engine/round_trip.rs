//! Any WIT type that can be generated, through a real component and back: what goes in as JSON comes out as the same JSON. The
//! JSON is written here from the type alone, by nothing that the sandbox uses.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{call, echo, load, shown};

/// A WIT type.
#[derive(Debug, Clone)]
enum Wit {
    /// One that has a name of its own: its name, and whether it is an integer that a float cannot hold.
    Plain(&'static str),
    Bytes,
    List(Box<Wit>),
    Option(Box<Wit>),
    Map(&'static str, Box<Wit>),
    Tuple(Vec<Wit>),
    Record(Vec<Wit>),
    Variant(Vec<Option<Wit>>),
    Result(Option<Box<Wit>>, Option<Box<Wit>>),
    Enum(usize),
    Flags(usize),
}

const INTEGERS: [&str; 8] = ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"];
const OTHERS: [&str; 5] = ["bool", "float32", "float64", "char", "string"];
const KEYS: [&str; 5] = ["string", "u8", "s64", "bool", "char"];

fn wit() -> impl Strategy<Value = Wit> {
    let leaf = prop_oneof![
        prop::sample::select(&INTEGERS[..]).prop_map(Wit::Plain),
        prop::sample::select(&OTHERS[..]).prop_map(Wit::Plain),
        Just(Wit::Bytes),
        (1_usize..6).prop_map(Wit::Enum),
        (1_usize..20).prop_map(Wit::Flags),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let payload = prop::option::of(inner.clone());
        let boxed = prop::option::of(inner.clone().prop_map(Box::new));
        prop_oneof![
            inner.clone().prop_map(|item| match item {
                Wit::Plain("u8") => Wit::Bytes,
                item => Wit::List(Box::new(item)),
            }),
            inner.clone().prop_map(|inner| Wit::Option(Box::new(inner))),
            (prop::sample::select(&KEYS[..]), inner.clone()).prop_map(|(key, value)| Wit::Map(key, Box::new(value))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Wit::Tuple),
            prop::collection::vec(inner, 1..4).prop_map(Wit::Record),
            prop::collection::vec(payload, 1..4).prop_map(Wit::Variant),
            (boxed.clone(), boxed).prop_map(|(ok, err)| Wit::Result(ok, err)),
        ]
    })
}

/// The component's text of a type, and the definitions that it needs: records and their like must have exported names.
fn spelled(wit: &Wit, definitions: &mut Vec<String>) -> String {
    let each = |parts: &[Wit], definitions: &mut Vec<String>| -> Vec<String> {
        parts.iter().map(|part| spelled(part, definitions)).collect()
    };
    match wit {
        Wit::Plain(name) => (*name).to_owned(),
        Wit::Bytes => "(list u8)".to_owned(),
        Wit::List(item) => format!("(list {})", spelled(item, definitions)),
        Wit::Option(inner) => format!("(option {})", spelled(inner, definitions)),
        Wit::Map(key, value) => format!("(map {key} {})", spelled(value, definitions)),
        Wit::Tuple(items) => format!("(tuple {})", each(items, definitions).join(" ")),
        Wit::Record(fields) => {
            let fields = each(fields, definitions).into_iter().enumerate();
            let fields: Vec<_> = fields.map(|(index, ty)| format!("(field \"f{index}\" {ty})")).collect();
            named(&format!("(record {})", fields.join(" ")), definitions)
        }
        Wit::Variant(cases) => {
            let cases: Vec<_> = cases
                .iter()
                .enumerate()
                .map(|(index, payload)| {
                    let payload = payload.as_ref().map(|ty| spelled(ty, definitions)).unwrap_or_default();
                    format!("(case \"c{index}\" {payload})")
                })
                .collect();
            named(&format!("(variant {})", cases.join(" ")), definitions)
        }
        Wit::Result(ok, err) => {
            let ok = ok.as_ref().map(|ty| spelled(ty, definitions)).unwrap_or_default();
            let err = err.as_ref().map(|ty| format!("(error {})", spelled(ty, definitions))).unwrap_or_default();
            format!("(result {ok} {err})")
        }
        Wit::Enum(count) => named(&format!("(enum {})", quoted(*count)), definitions),
        Wit::Flags(count) => named(&format!("(flags {})", quoted(*count)), definitions),
    }
}

fn named(text: &str, definitions: &mut Vec<String>) -> String {
    let number = definitions.len();
    definitions.push(format!("(type $t{number}' {text}) (export $t{number} \"t{number}\" (type $t{number}'))"));
    format!("$t{number}")
}

fn quoted(count: usize) -> String {
    (0..count).map(|index| format!("\"n{index}\"")).collect::<Vec<_>>().join(" ")
}

/// A value of the type, as the JSON that comes back.
fn json(wit: &Wit) -> BoxedStrategy<String> {
    match wit {
        Wit::Plain(name) => plain(name),
        Wit::Bytes => prop::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| text(&base64_of(&bytes))).boxed(),
        Wit::List(item) => prop::collection::vec(json(item), 0..4).prop_map(|items| array(&items)).boxed(),
        Wit::Option(inner) => {
            let tagged = matches!(**inner, Wit::Option(_));
            let some =
                json(inner).prop_map(move |json| if tagged { object([("some".to_owned(), json)]) } else { json });
            prop_oneof![Just("null".to_owned()).boxed(), some.boxed()].boxed()
        }
        Wit::Map(key, value) => prop::collection::btree_map(key_text(key), json(value), 0..4).prop_map(object).boxed(),
        Wit::Tuple(items) => items.iter().map(json).collect::<Vec<_>>().prop_map(|items| array(&items)).boxed(),
        Wit::Record(fields) => {
            let fields: Vec<_> = fields.iter().map(json).collect();
            fields.prop_map(|values| object(values.into_iter().enumerate().map(|(n, v)| (format!("f{n}"), v)))).boxed()
        }
        Wit::Variant(cases) => {
            let cases: Vec<_> = cases.iter().cloned().enumerate().collect();
            prop::sample::select(cases).prop_flat_map(|(n, payload)| case(format!("c{n}"), payload.as_ref())).boxed()
        }
        Wit::Result(ok, err) => {
            prop_oneof![case("ok".to_owned(), ok.as_deref()), case("err".to_owned(), err.as_deref())].boxed()
        }
        Wit::Enum(count) => (0..*count).prop_map(|n| text(&format!("n{n}"))).boxed(),
        Wit::Flags(count) => {
            let names: Vec<_> = (0..*count).map(|n| text(&format!("n{n}"))).collect();
            prop::sample::subsequence(names, 0..=*count).prop_map(|items| array(&items)).boxed()
        }
    }
}

fn case(name: String, payload: Option<&Wit>) -> BoxedStrategy<String> {
    match payload {
        None => Just(text(&name)).boxed(),
        Some(payload) => json(payload).prop_map(move |json| object([(name.clone(), json)])).boxed(),
    }
}

fn plain(name: &str) -> BoxedStrategy<String> {
    let integer = |value: i128| if value.abs() < 1 << 53 { value.to_string() } else { format!("\"{value}\"") };
    match name {
        "bool" => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        "float32" => any::<f32>().prop_map(|value| float(value.into(), serde_json::to_string(&value).unwrap())).boxed(),
        "float64" => any::<f64>().prop_map(|value| float(value, serde_json::to_string(&value).unwrap())).boxed(),
        "char" => any::<char>().prop_map(|value| text(&value.to_string())).boxed(),
        "string" => any::<String>().prop_map(|value| text(&value)).boxed(),
        "s8" => any::<i8>().prop_map(move |value| integer(value.into())).boxed(),
        "u8" => any::<u8>().prop_map(move |value| integer(value.into())).boxed(),
        "s16" => any::<i16>().prop_map(move |value| integer(value.into())).boxed(),
        "u16" => any::<u16>().prop_map(move |value| integer(value.into())).boxed(),
        "s32" => any::<i32>().prop_map(move |value| integer(value.into())).boxed(),
        "u32" => any::<u32>().prop_map(move |value| integer(value.into())).boxed(),
        "s64" => any::<i64>().prop_map(move |value| integer(value.into())).boxed(),
        "u64" => any::<u64>().prop_map(move |value| integer(value.into())).boxed(),
        other => unreachable!("no plain type: {other}"),
    }
}

fn float(value: f64, written: String) -> String {
    match (value.is_nan(), value.is_finite()) {
        (true, _) => text("NaN"),
        (false, true) => written,
        (false, false) => text(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

fn key_text(key: &str) -> BoxedStrategy<String> {
    match key {
        "string" => any::<String>().boxed(),
        "u8" => any::<u8>().prop_map(|key| key.to_string()).boxed(),
        "s64" => any::<i64>().prop_map(|key| key.to_string()).boxed(),
        "bool" => any::<bool>().prop_map(|key| key.to_string()).boxed(),
        _ => any::<char>().prop_map(|key| key.to_string()).boxed(),
    }
}

fn text(value: &str) -> String {
    serde_json::to_string(value).unwrap()
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

fn object(members: impl IntoIterator<Item = (String, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{}:{value}", text(&key))).collect();
    format!("{{{}}}", members.join(","))
}

/// Bit by bit, as the RFC describes it.
fn base64_of(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1)).collect();
    let digits = bits.chunks(6).map(|six| {
        let value = six.iter().chain([0; 6].iter()).take(6).fold(0, |value, bit| value << 1 | usize::from(*bit));
        char::from(ALPHABET[value])
    });
    let mut out: String = digits.collect();
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// More flat values than fit into registers, so that the component gives back the very memory that it was given.
const PADDING: usize = 17;

fn component(wit: &Wit) -> String {
    let mut definitions = Vec::new();
    let value = spelled(wit, &mut definitions);
    let mut fields: String = (0..PADDING).map(|index| format!("(field \"p{index}\" bool)")).collect();
    let _ = write!(fields, "(field \"v\" {value})");
    let whole = named(&format!("(record {fields})"), &mut definitions);
    echo(&definitions.join("\n"), &whole)
}

fn arguments(value: &str) -> String {
    let padding = (0..PADDING).map(|index| (format!("p{index}"), (index % 2 == 0).to_string()));
    object(padding.chain([("v".to_owned(), value.to_owned())]))
}

#[test]
fn every_type_comes_back_as_it_went_in() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Each case compiles a component.
    let config = Config { cases: 128, failure_persistence: None, ..Config::default() };
    let values = wit().prop_flat_map(|wit| {
        let values = prop::collection::vec(json(&wit), 4);
        (Just(wit), values)
    });
    let tried = TestRunner::new(config).run(&values, |(wit, values)| {
        let component = load(&component(&wit));
        assert_eq!(component.unsupported, []);
        for value in values {
            let arguments = arguments(&value);
            let report = runtime.block_on(call(&component, "echo", &arguments));
            prop_assert_eq!(shown(&report.outcome), format!("returned {}", arguments));
        }
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}
