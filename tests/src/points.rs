//! Points of metrics, read from what a real collector prints of those that it received.

use std::collections::BTreeMap;

/// A point as the collector read it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    /// Which run it is of: the instance of the service.
    pub instance: String,
    /// The metric.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Its type: `Sum`, `Histogram`.
    pub kind: String,
    /// Whether it is the whole since the start.
    pub temporality: String,
    /// What tells it apart, each with its type: `Str(chat)`.
    pub attributes: BTreeMap<String, String>,
    /// The nanoseconds that it covers.
    pub period: (u64, u64),
    /// The value of a sum, the sum of a histogram.
    pub sum: f64,
    /// How many amounts a histogram has; of a sum 0.
    pub count: u64,
    /// Its buckets: bounds, and how many amounts.
    pub bounds: Vec<f64>,
    /// How many are in each.
    pub buckets: Vec<u64>,
    /// The spans that it names.
    pub spans: Vec<String>,
}

impl Point {
    /// What tells it from every other: a point with the same one is the same, later.
    #[must_use]
    pub fn key(&self) -> (String, String, String) {
        (self.instance.clone(), self.name.clone(), format!("{:?}", self.attributes))
    }
}

/// Where in what is printed a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Elsewhere,
    Resource,
    Metric,
    Attributes,
    Point,
    Exemplars,
}

pub(crate) fn read(text: &str) -> Vec<Point> {
    let (mut points, mut metric, mut at) = (Vec::new(), Point::default(), At::Elsewhere);
    for line in text.lines() {
        let is_numbered = |heading: &str| line.strip_prefix(heading).is_some_and(|rest| rest.parse::<u32>().is_ok());
        if is_numbered("ResourceMetrics #") {
            (metric, at) = (Point::default(), At::Resource);
        } else if is_numbered("ResourceSpans #") {
            at = At::Elsewhere;
        } else if is_numbered("Metric #") {
            (metric, at) = (Point { instance: metric.instance, ..Point::default() }, At::Metric);
        } else if is_numbered("NumberDataPoints #") || is_numbered("HistogramDataPoints #") {
            points.push(metric.clone());
            at = At::Point;
        } else if line == "Data point attributes:" {
            at = At::Attributes;
        } else if line == "Exemplars:" {
            at = At::Exemplars;
        } else if at == At::Attributes && line.starts_with("StartTimestamp: ") {
            at = At::Point;
        }
        take(line, at, &mut metric, points.last_mut());
    }
    points
}

fn take(line: &str, at: At, metric: &mut Point, point: Option<&mut Point>) {
    let Some((name, value)) = line.trim().trim_start_matches("-> ").split_once(": ") else { return };
    match (at, name, point) {
        (At::Resource, "service.instance.id", _) => value.clone_into(&mut metric.instance),
        (At::Metric, "Name", _) => value.clone_into(&mut metric.name),
        (At::Metric, "Unit", _) => value.clone_into(&mut metric.unit),
        (At::Metric, "DataType", _) => value.clone_into(&mut metric.kind),
        (At::Metric, "AggregationTemporality", _) => value.clone_into(&mut metric.temporality),
        (At::Attributes | At::Point | At::Exemplars, _, Some(point)) => take_of_point(at, (name, value), point),
        (At::Elsewhere | At::Resource | At::Metric | At::Attributes | At::Point | At::Exemplars, _, _) => {}
    }
}

fn take_of_point(at: At, (name, value): (&str, &str), point: &mut Point) {
    match (at, name) {
        (At::Attributes, name) => {
            point.attributes.insert(name.to_owned(), value.to_owned());
        }
        (At::Point, "StartTimestamp") => point.period.0 = number(value),
        (At::Point, "Timestamp") => point.period.1 = number(value),
        (At::Point, "Value" | "Sum") => point.sum = value.parse().expect("a number"),
        (At::Point, "Count") => point.count = number(value),
        (At::Point, name) if name.starts_with("ExplicitBounds #") => {
            point.bounds.push(value.parse().expect("a number"));
        }
        // `Buckets #0, Count: 3`
        (At::Point, name) if name.starts_with("Buckets #") => point.buckets.push(number(value)),
        (At::Exemplars, "Span ID") => point.spans.push(value.to_owned()),
        (At::Elsewhere | At::Resource | At::Metric | At::Point | At::Exemplars, _) => {}
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_prints_is_read_back() {
        let printed = "ResourceMetrics #0\nResource SchemaURL: \nResource attributes:\n     -> service.name: Str(x)\n     -> \
                       service.instance.id: Str(run)\nScopeMetrics #0\nScopeMetrics SchemaURL: \nInstrumentationScope agent-host 0\n\
                       Metric #0\nDescriptor:\n     -> Name: tokens\n     -> Description: Of some: all.\n     -> Unit: {token}\n     -> \
                       DataType: Sum\n     -> IsMonotonic: true\n     -> AggregationTemporality: CUMULATIVE\nNumberDataPoints #0\n\
                       Data point attributes:\n     -> a: Str(b)\nStartTimestamp: 1\nTimestamp: 2\nValue: 7\n\
                       Metric #1\nDescriptor:\n     -> Name: time\n     -> Description: \n     -> Unit: s\n     -> DataType: Histogram\n     \
                       -> AggregationTemporality: CUMULATIVE\nHistogramDataPoints #0\nStartTimestamp: 1\nTimestamp: 3\nCount: 2\nSum: \
                       0.5\nMin: 0\nMax: 0.5\nExplicitBounds #0: 0.01\nBuckets #0, Count: 1\nBuckets #1, Count: 1\nExemplars:\nExemplar \
                       #0\n     -> Trace ID: aa\n     -> Span ID: bb\n     -> Timestamp: 3\n     -> Value: 0.5\nResourceSpans #0\nName: no\n";
        let tokens = Point {
            instance: "Str(run)".into(),
            name: "tokens".into(),
            unit: "{token}".into(),
            kind: "Sum".into(),
            temporality: "CUMULATIVE".into(),
            attributes: BTreeMap::from([("a".to_owned(), "Str(b)".to_owned())]),
            period: (1, 2),
            sum: 7.0,
            ..Point::default()
        };
        let time = Point {
            name: "time".into(),
            unit: "s".into(),
            kind: "Histogram".into(),
            attributes: BTreeMap::new(),
            period: (1, 3),
            sum: 0.5,
            count: 2,
            bounds: vec![0.01],
            buckets: vec![1, 1],
            spans: vec!["bb".into()],
            ..tokens.clone()
        };
        assert_eq!(read(printed), [tokens, time]);
    }
}
