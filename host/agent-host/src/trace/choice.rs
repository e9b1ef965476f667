//! What is peculiar to metrics: which of them are sent, how often, and whether points name spans. From the standard variables of
//! OpenTelemetry, and one of our own for metrics that the conventions send only where they are asked for. `settings` has the rest.

use std::time::Duration;

use agent_core::trace::instruments::{self, Demand, Instrument};

use super::settings::{Variables, milliseconds, set};

/// What the specification says where nobody else does.
const INTERVAL: Duration = Duration::from_secs(60);
/// Each time the journal is looked at; more often than spans are sent makes no sense.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Names metrics that are sent only where they are named.
const OPT_IN: &str = "AGENT_HOST_METRICS_OPT_IN";

/// Which metrics are sent, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// How often, while a run goes on.
    pub(super) interval: Duration,
    pub(super) examples: Examples,
    /// Names of those that are sent because they were named.
    opted: Vec<&'static str>,
}

/// Whether points name spans that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examples {
    Named,
    LeftOut,
}

impl Choice {
    pub(super) fn read(variables: Variables<'_>) -> Result<Self, String> {
        only(variables, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", TEMPORALITY)?;
        let histogram = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        only(variables, histogram, "explicit_bucket_histogram", "the buckets are those of the conventions")?;
        Ok(Self { interval: interval(variables)?, examples: examples(variables)?, opted: opted(variables)? })
    }

    /// Whether a metric is among them.
    pub(super) fn has(&self, instrument: &Instrument) -> bool {
        match instrument.demand {
            Demand::Always => true,
            Demand::OptIn => self.opted.contains(&instrument.name),
        }
    }
}

/// Why there are no deltas.
const TEMPORALITY: &str =
    "what is sent is the whole since a run began, since a difference that came twice would count twice";

fn only(variables: Variables<'_>, name: &str, value: &str, why: &str) -> Result<(), String> {
    match set(variables, name) {
        Some(other) if !other.eq_ignore_ascii_case(value) => {
            Err(format!("`{name}={other}`: {why}; `{value}` is known"))
        }
        Some(_) | None => Ok(()),
    }
}

fn interval(variables: Variables<'_>) -> Result<Duration, String> {
    const NAME: &str = "OTEL_METRIC_EXPORT_INTERVAL";
    let Some(value) = set(variables, NAME) else { return Ok(INTERVAL) };
    milliseconds(NAME, &value).map(|interval| interval.max(INTERVAL_MIN))
}

/// Each run is traced whole, so that there is a span behind every point.
fn examples(variables: Variables<'_>) -> Result<Examples, String> {
    const NAME: &str = "OTEL_METRICS_EXEMPLAR_FILTER";
    match set(variables, NAME).as_deref() {
        None | Some("always_off") => Ok(Examples::LeftOut),
        Some("always_on" | "trace_based") => Ok(Examples::Named),
        Some(other) => {
            Err(format!("`{NAME}={other}` is not known here: `always_off`, `always_on` and `trace_based` are"))
        }
    }
}

fn opted(variables: Variables<'_>) -> Result<Vec<&'static str>, String> {
    let list = set(variables, OPT_IN).unwrap_or_default();
    let known = instruments::ALL.iter().filter(|instrument| instrument.demand == Demand::OptIn);
    let known: Vec<&'static str> = known.map(|instrument| instrument.name).collect();
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let find = |name: &str| known.iter().copied().find(|known| *known == name);
    let chosen: Result<Vec<_>, String> = names.map(|name| find(name).ok_or_else(|| name.to_owned())).collect();
    chosen.map_err(|name| format!("`{OPT_IN}` names `{name}`, which is not among them: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Choice, String> {
        Choice::read(&|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn each_variable_is_obeyed() {
        let usual = Choice { interval: INTERVAL, examples: Examples::LeftOut, opted: Vec::new() };
        assert_eq!(read(&[]), Ok(usual));
        let asked = read(&[
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Cumulative"),
            (OPT_IN, "gen_ai.client.inference.operation.input_tokens,"),
        ]);
        let opted = vec![instruments::OPERATION_INPUT.name];
        let expected = Choice { interval: Duration::from_secs(5), examples: Examples::Named, opted };
        assert!(expected.has(&instruments::OPERATION_INPUT) && !expected.has(&instruments::OPERATION_OUTPUT));
        assert_eq!(asked, Ok(expected));
        let often = read(&[("OTEL_METRIC_EXPORT_INTERVAL", "1")]);
        assert_eq!(often.map(|choice| choice.interval), Ok(INTERVAL_MIN));
    }

    #[test]
    fn what_cannot_be_done_as_asked_is_told() {
        for (name, value, expected) in [
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", "count twice"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory", "count twice"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "base2_exponential_bucket_histogram",
                "buckets",
            ),
            ("OTEL_METRIC_EXPORT_INTERVAL", "often", "milliseconds"),
            ("OTEL_METRICS_EXEMPLAR_FILTER", "some", "`trace_based`"),
            (OPT_IN, "gen_ai.everything", "operation.output_tokens"),
        ] {
            let why = read(&[(name, value)]).err().unwrap_or_default();
            assert!(why.contains(name) && why.contains(expected), "{name}={value}: {why}");
        }
    }
}
