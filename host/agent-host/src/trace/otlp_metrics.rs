//! Metrics in the form in which collectors take them, as `opentelemetry/proto/metrics/v1/metrics.proto` numbers it: the messages
//! that sums and histograms over a whole run need. `otlp` has what they share with traces.

use agent_core::name::RunId;
use agent_core::trace::instruments::{Family, Instrument, Kind};
use agent_core::trace::projection::Period;
use agent_core::trace::totals::{Example, Series, Spread, Totals};

use super::choice::{Choice, Examples};
use super::otlp::{InstrumentationScope, KeyValue, Resource, nanos, pair, schema_url, value};
use super::settings::{Form, Names};

/// What tells the points of one run from those of every other: whoever sends them, and however often, they are of one source.
const INSTANCE: &str = "service.instance.id";
const CUMULATIVE: i32 = 2;

/// What is sent.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportMetricsServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_metrics: Vec<ScopeMetrics>,
    #[prost(string, tag = "3")]
    pub(super) schema_url: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    #[prost(string, tag = "3")]
    pub(super) unit: String,
    #[prost(oneof = "Data", tags = "7, 9")]
    pub(super) data: Option<Data>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Data {
    #[prost(message, tag = "7")]
    Sum(Sum),
    #[prost(message, tag = "9")]
    Histogram(Histogram),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sum {
    #[prost(message, repeated, tag = "1")]
    pub(super) data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")]
    pub(super) aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub(super) is_monotonic: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Histogram {
    #[prost(message, repeated, tag = "1")]
    pub(super) data_points: Vec<HistogramDataPoint>,
    #[prost(int32, tag = "2")]
    pub(super) aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NumberDataPoint {
    #[prost(fixed64, tag = "2")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time_unix_nano: u64,
    #[prost(sfixed64, optional, tag = "6")]
    pub(super) as_int: Option<i64>,
    #[prost(message, repeated, tag = "7")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HistogramDataPoint {
    #[prost(fixed64, tag = "2")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) count: u64,
    #[prost(double, optional, tag = "5")]
    pub(super) sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    pub(super) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(super) explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "8")]
    pub(super) exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(double, optional, tag = "11")]
    pub(super) min: Option<f64>,
    #[prost(double, optional, tag = "12")]
    pub(super) max: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Exemplar {
    #[prost(fixed64, tag = "2")]
    pub(super) time_unix_nano: u64,
    #[prost(double, optional, tag = "3")]
    pub(super) as_double: Option<f64>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) trace_id: Vec<u8>,
}

/// A request with what a run added up to by the end of `period`, and how many points it has.
pub(super) fn request(
    form: &Form,
    choice: &Choice,
    (run, period): (&RunId, Period),
    totals: &Totals,
) -> (ExportMetricsServiceRequest, usize) {
    let chosen = totals.series().filter(|series| wanted(form.names, choice, series.instrument));
    let (mut metrics, mut count): (Vec<Metric>, usize) = (Vec::new(), 0);
    for series in chosen {
        if metrics.last().is_none_or(|metric| metric.name != series.instrument.name) {
            metrics.push(Metric::new(series.instrument));
        }
        if let Some(metric) = metrics.last_mut() {
            metric.push(series, period, choice.examples);
            count += 1;
        }
    }
    let mut resource = Resource::new(form);
    resource.attributes.retain(|attribute| attribute.key != INSTANCE);
    resource.attributes.push(pair(INSTANCE, value(&run.as_str().into())));
    let scope_metrics = vec![ScopeMetrics { scope: Some(InstrumentationScope::ours()), metrics }];
    let schema_url = schema_url(form.names).to_owned();
    let resource_metrics = vec![ResourceMetrics { resource: Some(resource), scope_metrics, schema_url }];
    (ExportMetricsServiceRequest { resource_metrics }, count)
}

fn wanted(names: Names, choice: &Choice, instrument: &Instrument) -> bool {
    let is_named = match (instrument.family, names) {
        (Family::Every, _) | (_, Names::Both) | (Family::Latest, Names::Latest) | (Family::Older, Names::Older) => true,
        (Family::Latest, Names::Older) | (Family::Older, Names::Latest) => false,
    };
    is_named && choice.has(instrument)
}

impl Metric {
    fn new(instrument: &Instrument) -> Self {
        let data = match instrument.kind {
            Kind::Counter => {
                Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality: CUMULATIVE, is_monotonic: true })
            }
            Kind::Histogram(_) => {
                Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality: CUMULATIVE })
            }
        };
        Self {
            name: instrument.name.to_owned(),
            description: instrument.description.to_owned(),
            unit: instrument.unit.name().to_owned(),
            data: Some(data),
        }
    }

    fn push(&mut self, series: &Series, period: Period, examples: Examples) {
        match (&mut self.data, &series.spread) {
            (Some(Data::Sum(sum)), _) => sum.data_points.push(number(series, period)),
            (Some(Data::Histogram(histogram)), Some(spread)) => {
                histogram.data_points.push(spread_out(series, spread, period, examples));
            }
            (Some(Data::Histogram(_)), None) | (None, _) => {}
        }
    }
}

fn number(series: &Series, period: Period) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: period.start,
        time_unix_nano: period.end,
        as_int: Some(i64::try_from(series.sum).unwrap_or(i64::MAX)),
        attributes: attributes(series),
    }
}

fn spread_out(series: &Series, spread: &Spread, period: Period, examples: Examples) -> HistogramDataPoint {
    let instrument = series.instrument;
    let bounds = match instrument.kind {
        Kind::Counter => &[],
        Kind::Histogram(bounds) => bounds,
    };
    let exemplars = match examples {
        Examples::LeftOut => Vec::new(),
        Examples::Named => spread.examples.iter().flatten().map(|example| exemplar(instrument, example)).collect(),
    };
    HistogramDataPoint {
        start_time_unix_nano: period.start,
        time_unix_nano: period.end,
        count: spread.count,
        sum: Some(in_units(instrument, series.sum)),
        bucket_counts: spread.buckets.clone(),
        explicit_bounds: bounds.iter().map(|bound| in_units(instrument, *bound)).collect(),
        exemplars,
        attributes: attributes(series),
        min: Some(in_units(instrument, spread.min)),
        max: Some(in_units(instrument, spread.max)),
    }
}

fn exemplar(instrument: &Instrument, example: &Example) -> Exemplar {
    Exemplar {
        time_unix_nano: nanos(example.at),
        as_double: Some(in_units(instrument, example.amount)),
        span_id: example.span.as_bytes().to_vec(),
        trace_id: example.trace.as_bytes().to_vec(),
    }
}

fn attributes(series: &Series) -> Vec<KeyValue> {
    series.labels.iter().map(|(key, held)| pair(key, value(held))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "the protocol wants it so; up to 2^53 nothing is lost")]
fn in_units(instrument: &Instrument, amount: u64) -> f64 {
    amount as f64 / instrument.unit.parts() as f64
}
