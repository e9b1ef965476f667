//! What the spans of a run add up to: counters and histograms over the whole run, up to where it was followed. Like the spans, a
//! projection of the journal: who begins anew from the first event comes to the same numbers, so that sending them twice counts
//! nothing twice. The exporter sends them.

use std::collections::BTreeMap;

use super::instruments::{self, Instrument, Kind};
use super::names::{self, Attribute, Subject};
use super::{Ended, Span, SpanId, Status, TraceId, Value};
use crate::units::UnixMillis;

/// Points of one metric of one run. A tool set has tens of tools; what is beyond, such as the names of a server that calls its model
/// differently each time, is one point together.
const SERIES_MAX: usize = 200;
/// The longest text that tells points apart: a store of metrics keeps each of them for ever.
const LABEL_BYTES_MAX: usize = 128;
/// What tokens were of, where providers do not say.
const MODALITY_UNKNOWN: &str = "unknown";
/// How MCP calls an answer that says that the tool failed.
const TOOL_ERROR: &str = "tool_error";

/// The numbers of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    series: BTreeMap<(&'static str, Labels), Series>,
    /// How many of them each metric has.
    counts: BTreeMap<&'static str, usize>,
}

/// What tells the points of a metric apart.
pub type Labels = Vec<(&'static str, Value)>;

/// One point: what was added up for one metric and one set of attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The metric.
    pub instrument: &'static Instrument,
    /// Its attributes.
    pub labels: Labels,
    /// The sum of the amounts.
    pub sum: u64,
    /// How they are spread, where that is asked.
    pub spread: Option<Spread>,
}

/// How amounts are spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// How many are in each bucket.
    pub buckets: Vec<u64>,
    /// The last one of each bucket.
    pub examples: Vec<Option<Example>>,
}

/// A span that an amount came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// When it ended.
    pub at: UnixMillis,
    /// The amount.
    pub amount: u64,
}

type Also = [(&'static Attribute, Value)];

impl Totals {
    /// Adds a span that has ended. It must be one without content: what tells points apart is then of this program's choice, or
    /// the operator's, but for the name by which a server calls its model.
    pub fn count(&mut self, span: &Span) {
        if span.ended == Ended::Open {
            return;
        }
        match span.subject {
            Subject::Run => self.count_drive(span),
            Subject::Model => self.count_model_call(span),
            Subject::Tool => self.count_tool_call(span),
            Subject::Turn | Subject::Effect | Subject::Note | Subject::Point => {}
        }
    }

    /// The points, of one metric after the other.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.series.values()
    }

    fn count_drive(&mut self, span: &Span) {
        // A server of tools is driven by its clients: there is no agent.
        if span.text(&names::PROVIDER).is_none_or(str::is_empty) {
            return;
        }
        self.add(&instruments::AGENT_DURATION, span, &[], span.duration().0);
        let calls =
            |attribute: &Attribute| span.number(attribute).and_then(|calls| u64::try_from(calls).ok()).unwrap_or(0);
        self.add(&instruments::AGENT_INFERENCE_CALLS, span, &[], calls(&names::MODEL_CALLS));
        self.add(&instruments::AGENT_TOOL_CALLS, span, &[], calls(&names::TOOL_CALLS));
    }

    fn count_model_call(&mut self, span: &Span) {
        let tokens = |attribute: &Attribute| span.number(attribute).and_then(|tokens| u64::try_from(tokens).ok());
        let (input, output) = (tokens(&names::INPUT_TOKENS), tokens(&names::OUTPUT_TOKENS));
        self.add(&instruments::INFERENCE_DURATION, span, &[], span.duration().0);
        self.add(&instruments::OPERATION_DURATION, span, &[], span.duration().0);
        let unknown = [(&names::MODALITY, Value::from(MODALITY_UNKNOWN))];
        // A request that failed, or of which nobody counted the tokens, counts as none.
        self.add(&instruments::USAGE_INPUT, span, &unknown, input.unwrap_or(0));
        self.add(&instruments::USAGE_OUTPUT, span, &unknown, output.unwrap_or(0));
        for (instrument, attribute) in [
            (&instruments::USAGE_CACHE_READ, &names::CACHE_READ_TOKENS),
            (&instruments::USAGE_CACHE_WRITE, &names::CACHE_WRITE_TOKENS),
            (&instruments::USAGE_REASONING, &names::REASONING_TOKENS),
        ] {
            if let Some(some) = tokens(attribute) {
                self.add(instrument, span, &unknown, some);
            }
        }
        for (instrument, kind, some) in
            [(&instruments::OPERATION_INPUT, "input", input), (&instruments::OPERATION_OUTPUT, "output", output)]
        {
            if let Some(some) = some {
                self.add(instrument, span, &[], some);
                self.add(&instruments::TOKEN_USAGE, span, &[(&names::TOKEN_TYPE, kind.into())], some);
            }
        }
    }

    fn count_tool_call(&mut self, span: &Span) {
        // What was set aside has no outcome yet: the attempt that goes on is counted.
        if span.get(&names::SUSPENDED).is_some() {
            return;
        }
        let took = span.duration().0;
        self.add(&instruments::TOOL_DURATION, span, &[], took);
        if span.get(&names::MCP_METHOD).is_some() {
            let waited = span.number(&names::WAITED).and_then(|waited| u64::try_from(waited).ok()).unwrap_or(0);
            let is_answered = span.ended == Ended::Done && span.get(&names::IN_DOUBT).is_none();
            let failed = is_answered && matches!(span.status, Status::Failed(_));
            let also = failed.then(|| (&names::ERROR_TYPE, Value::from(TOOL_ERROR)));
            self.add(&instruments::MCP_SERVER_DURATION, span, also.as_slice(), took.saturating_add(waited));
        }
    }

    /// Adds an amount. What the span does not say of itself is in `also`, which goes before it.
    fn add(&mut self, instrument: &'static Instrument, span: &Span, also: &Also, amount: u64) {
        let said = |attribute: &Attribute| {
            let more = also.iter().find(|(known, _)| *known == attribute).map(|(_, value)| value);
            more.or_else(|| span.get(attribute))
        };
        let labels = instrument.by().filter_map(|(attribute, _)| Some((attribute.name, short(said(attribute)?))));
        let labels = self.place(instrument, labels.collect());
        let key = (instrument.name, labels);
        let series = self.series.entry(key).or_insert_with_key(|(_, labels)| Series::new(instrument, labels.clone()));
        series.sum = series.sum.saturating_add(amount);
        if let (Some(spread), Kind::Histogram(bounds)) = (&mut series.spread, instrument.kind) {
            let example = Example { trace: span.trace, span: span.id, at: span.end, amount };
            spread.add(bounds, example);
        }
    }

    /// Where the amount goes: to its own point, or, where the metric has too many, to the one of all others.
    fn place(&mut self, instrument: &'static Instrument, labels: Labels) -> Labels {
        if self.series.contains_key(&(instrument.name, labels.clone())) {
            return labels;
        }
        let count = self.counts.entry(instrument.name).or_default();
        if *count < SERIES_MAX {
            *count += 1;
            return labels;
        }
        vec![(names::OVERFLOW.name, true.into())]
    }
}

impl Series {
    fn new(instrument: &'static Instrument, labels: Labels) -> Self {
        let spread = match instrument.kind {
            Kind::Counter => None,
            Kind::Histogram(bounds) => Some(Spread::new(bounds)),
        };
        Self { instrument, labels, sum: 0, spread }
    }
}

impl Spread {
    fn new(bounds: &[u64]) -> Self {
        let buckets = bounds.len() + 1;
        Self { count: 0, min: u64::MAX, max: 0, buckets: vec![0; buckets], examples: vec![None; buckets] }
    }

    fn add(&mut self, bounds: &[u64], example: Example) {
        let amount = example.amount;
        self.count += 1;
        (self.min, self.max) = (self.min.min(amount), self.max.max(amount));
        // A bound belongs to the bucket below it.
        let index = bounds.partition_point(|bound| *bound < amount);
        self.buckets[index] += 1;
        self.examples[index] = Some(example);
    }
}

fn short(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text[..text.floor_char_boundary(LABEL_BYTES_MAX)].to_owned()),
        Value::Texts(_) | Value::Integer(_) | Value::Thousandths(_) | Value::Flag(_) => value.clone(),
    }
}
