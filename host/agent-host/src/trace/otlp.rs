//! Spans in the form in which collectors take them: the messages of OTLP 1.x that a trace needs, field by field as
//! `opentelemetry/proto/trace/v1/trace.proto` and its neighbours number them. Written out here, since the crate that generates
//! them brings along a tracing library of its own that nothing here would call; a real collector reads them in the tests. Those of
//! metrics are in `otlp_metrics`.

use agent_core::trace::names::Attribute;
use agent_core::trace::{Note, Side, Span as OurSpan, Status as OurStatus, Value as OurValue};
use agent_core::units::UnixMillis;

use super::settings::{Form, Names};

/// The scope of all our spans.
const SCOPE: &str = "agent-host";
/// Sampled, and said to be so by this program itself.
const FLAGS: u32 = 0x101;
const NANOS_PER_MILLI: u64 = 1_000_000;
const KIND_INTERNAL: i32 = 1;
const KIND_CLIENT: i32 = 3;
const CODE_UNSET: i32 = 0;
const CODE_ERROR: i32 = 2;

/// What is sent.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_spans: Vec<ResourceSpans>,
}

/// What comes back.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportServiceResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<ExportPartialSuccess>,
}

/// The same for spans and for points of metrics.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportPartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_spans: Vec<ScopeSpans>,
    #[prost(string, tag = "3")]
    pub(super) schema_url: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    pub(super) spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InstrumentationScope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    #[prost(int32, tag = "6")]
    pub(super) kind: i32,
    #[prost(fixed64, tag = "7")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub(super) end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "11")]
    pub(super) events: Vec<Event>,
    #[prost(message, repeated, tag = "13")]
    pub(super) links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    pub(super) flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    #[prost(fixed64, tag = "1")]
    pub(super) time_unix_nano: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Link {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
    #[prost(fixed32, tag = "6")]
    pub(super) flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

/// A request with these spans.
pub(super) fn request<'s>(form: &Form, spans: impl IntoIterator<Item = &'s OurSpan>) -> ExportTraceServiceRequest {
    let spans = spans.into_iter().map(|span| Span::new(form.names, span)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(InstrumentationScope::ours()), spans }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource::new(form)),
            scope_spans,
            schema_url: schema_url(form.names).to_owned(),
        }],
    }
}

/// Where the conventions say which names are meant. What has no schema URL of its own inherits this one. The conventions for generative AI
/// have published none for their version 0.1.0, and names of two versions at once are of none.
pub(super) fn schema_url(names: Names) -> &'static str {
    match names {
        Names::Older => "https://opentelemetry.io/schemas/1.41.0",
        Names::Latest | Names::Both => "",
    }
}

impl Resource {
    pub(super) fn new(form: &Form) -> Self {
        let attributes = form.resource.iter().map(|(key, value)| pair(key, Value::String(value.clone()))).collect();
        Self { attributes }
    }
}

impl InstrumentationScope {
    pub(super) fn ours() -> Self {
        Self { name: SCOPE.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl Span {
    fn new(names: Names, span: &OurSpan) -> Self {
        let exception = span.exception();
        Self {
            trace_id: span.trace.as_bytes().to_vec(),
            span_id: span.id.as_bytes().to_vec(),
            parent_span_id: span.parent.map(|parent| parent.as_bytes().to_vec()).unwrap_or_default(),
            name: span.name.clone(),
            kind: match span.side {
                Side::Internal => KIND_INTERNAL,
                Side::Client => KIND_CLIENT,
            },
            start_time_unix_nano: nanos(span.start),
            end_time_unix_nano: nanos(span.end),
            attributes: pairs(names, &span.attributes),
            events: span.notes.iter().chain(&exception).map(|note| Event::new(names, note)).collect(),
            links: span
                .links
                .iter()
                .map(|link| Link {
                    trace_id: link.trace.as_bytes().to_vec(),
                    span_id: link.span.as_bytes().to_vec(),
                    flags: FLAGS,
                })
                .collect(),
            status: Some(match &span.status {
                OurStatus::Fine => Status { message: String::new(), code: CODE_UNSET },
                OurStatus::Failed(words) => Status { message: words.clone().unwrap_or_default(), code: CODE_ERROR },
            }),
            flags: FLAGS,
        }
    }
}

impl Event {
    fn new(names: Names, note: &Note) -> Self {
        let attributes = pairs(names, &note.attributes);
        Self { time_unix_nano: nanos(note.at), name: note.name.to_owned(), attributes }
    }
}

fn pairs(names: Names, attributes: &[(&'static Attribute, OurValue)]) -> Vec<KeyValue> {
    let each = |(attribute, held): &(&'static Attribute, OurValue)| {
        let (latest, older) = (attribute.name, attribute.older_name());
        let keys = match names {
            Names::Latest => [Some(latest), None],
            Names::Older => [Some(older), None],
            Names::Both => [Some(latest), (older != latest).then_some(older)],
        };
        keys.into_iter().flatten().map(|key| pair(key, value(held))).collect::<Vec<_>>()
    };
    attributes.iter().flat_map(each).collect()
}

pub(super) fn value(held: &OurValue) -> Value {
    let text = |text: &String| Value::String(text.clone());
    match held {
        OurValue::Text(words) => text(words),
        OurValue::Texts(all) => {
            Value::Array(ArrayValue { values: all.iter().map(|one| AnyValue { value: Some(text(one)) }).collect() })
        }
        OurValue::Integer(number) => Value::Int(*number),
        OurValue::Thousandths(number) => Value::Double(f64::from(*number) / 1_000.0),
        OurValue::Flag(flag) => Value::Bool(*flag),
    }
}

pub(super) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

pub(super) fn nanos(at: UnixMillis) -> u64 {
    at.0.saturating_mul(NANOS_PER_MILLI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_named_where_there_is_one() {
        for (names, url) in
            [(Names::Latest, ""), (Names::Older, "https://opentelemetry.io/schemas/1.41.0"), (Names::Both, "")]
        {
            let form = Form { resource: std::collections::BTreeMap::new(), names };
            assert_eq!(request(&form, std::iter::empty()).resource_spans[0].schema_url, url);
        }
    }

    #[test]
    fn thousandths_are_sent_as_the_number_that_they_are() {
        assert_eq!(value(&OurValue::Thousandths(700)), Value::Double(0.7));
    }
}
