//! `agent-host trace RUN --json`: the spans of a run, one object a line, with what the exporter would send.

use std::io::{self, Write};

use agent_core::trace::names::Attribute;
use agent_core::trace::{Ended, Side, Span, Status, Value};
use serde_json::{Map, Value as Json, json};

use super::text;

/// Writes one line for each span.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write(spans: &[Span], out: &mut dyn Write) -> io::Result<()> {
    spans.iter().try_for_each(|span| writeln!(out, "{}", text::json(&object(span).to_string())))
}

fn object(span: &Span) -> Json {
    let status = match &span.status {
        Status::Fine => json!({ "code": "unset" }),
        Status::Failed(None) => json!({ "code": "error" }),
        Status::Failed(Some(words)) => json!({ "code": "error", "message": words }),
    };
    let links: Vec<Json> =
        span.links.iter().map(|link| json!({ "trace": link.trace.to_hex(), "span": link.span.to_hex() })).collect();
    let exception = span.exception();
    let notes = span
        .notes
        .iter()
        .chain(&exception)
        .map(|note| json!({ "at": note.at.0, "name": note.name, "attributes": attributes(&note.attributes) }));
    json!({
        "trace": span.trace.to_hex(),
        "span": span.id.to_hex(),
        "parent": span.parent.map(|parent| parent.to_hex()),
        "name": span.name,
        "kind": match span.side {
            Side::Internal => "internal",
            Side::Client => "client",
        },
        "start": span.start.0,
        // Of one that goes on there is no end yet.
        "end": (span.ended != Ended::Open).then_some(span.end.0),
        "status": status,
        "attributes": attributes(&span.attributes),
        "events": notes.collect::<Vec<_>>(),
        "links": links,
    })
}

fn attributes(attributes: &[(&'static Attribute, Value)]) -> Map<String, Json> {
    let value = |value: &Value| match value {
        Value::Text(text) => json!(text),
        Value::Texts(texts) => json!(texts),
        Value::Integer(number) => json!(number),
        Value::Thousandths(number) => json!(f64::from(*number) / 1_000.0),
        Value::Flag(flag) => json!(flag),
    };
    attributes.iter().map(|(attribute, held)| (attribute.name.to_owned(), value(held))).collect()
}
