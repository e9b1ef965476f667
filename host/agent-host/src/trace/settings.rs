//! Where traces and metrics go, from the standard variables of OpenTelemetry. Read once, before a run begins. Without an endpoint
//! nothing is sent and nothing is looked at. What cannot be done as it is asked is not done otherwise: then nothing is sent, and
//! the reason is told. What is peculiar to metrics is read in `choice`.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use agent_core::digest::Digest;
use agent_core::trace::Content;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::choice::Choice;

/// What the specification says where nobody else does.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A request that takes longer than this would hold up every other.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// What the conventions call this program where nobody names it.
const SERVICE: &str = "agent-host";
/// Variables that change whom is trusted, and that are not obeyed here.
const NOT_OBEYED: [&str; 3] = ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"];

/// A kind of data that a collector takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Spans.
    Traces,
    /// What spans add up to.
    Metrics,
}

/// Whether something is sent.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Nobody asked for it.
    No,
    /// Somebody did, but not so that it can be done.
    Impossible(String),
    /// Yes.
    Yes(Box<Settings>),
}

/// What is sent, where and how.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) what: What,
    pub(super) endpoint: Url,
    /// They may hold a key: never shown.
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) compression: Compression,
    pub(super) form: Form,
    pub(super) named: Named,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Spans.
    Spans(Content),
    /// What they add up to.
    Totals(Arc<Choice>),
}

/// What is the same in all requests.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// What describes this program.
    pub(super) resource: BTreeMap<String, String>,
    pub(super) names: Names,
}

/// Whose names are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Those of the conventions for generative AI, version 0.1.0.
    Latest,
    /// Those of version 1.41 of the general ones.
    Older,
    /// Each by both names.
    Both,
}

/// How the endpoint was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// For this kind of data.
    ByItself,
    /// For all kinds: it may not take each.
    ForAll,
}

/// Whether a request is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
}

/// What the environment of this process says.
pub(super) fn of_environment(signal: Signal) -> Wanted {
    read(&|name| std::env::var(name).ok(), signal)
}

/// Whether words of people, models and tools are to be in the spans.
pub(crate) fn content() -> Content {
    content_in(&|name| std::env::var(name).ok())
}

impl Settings {
    /// What the cursors of this endpoint are kept under.
    pub(super) fn short_name(&self) -> String {
        Digest::of(self.endpoint.as_str().as_bytes()).to_hex()[..16].to_owned()
    }

    /// The endpoint as it may be shown: a query may hold a key.
    pub(super) fn shown(&self) -> String {
        let mut url = self.endpoint.clone();
        url.set_query(None);
        url.to_string()
    }
}

impl Signal {
    /// Its name in variables.
    fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// Where collectors take it.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }
}

pub(super) type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// A variable that is set to nothing is not set.
pub(super) fn set(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The value for this kind of data, else that for everything, and the name of the variable.
fn found(variables: Variables<'_>, signal: Signal, what: &str) -> Option<(String, String)> {
    let names = [format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.word()), format!("OTEL_EXPORTER_OTLP_{what}")];
    names.into_iter().find_map(|name| set(variables, &name).map(|value| (name, value)))
}

fn read(variables: Variables<'_>, signal: Signal) -> Wanted {
    if set(variables, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Wanted::No;
    }
    let Some((name, url)) = found(variables, signal, "ENDPOINT") else { return Wanted::No };
    let exporters = format!("OTEL_{}_EXPORTER", signal.word());
    let exporter = set(variables, &exporters).unwrap_or_else(|| "otlp".to_owned());
    if exporter == "none" || sampler(variables, signal) == Ok(Sampler::Nothing) {
        return Wanted::No;
    }
    if !exporter.split(',').any(|exporter| exporter.trim() == "otlp") {
        let why = format!("`{exporters}={exporter}` names no exporter that there is: `otlp` or `none`");
        return Wanted::Impossible(why);
    }
    settings(variables, signal, (&name, &url)).map_or_else(Wanted::Impossible, Wanted::Yes)
}

/// Which traces are sent.
#[derive(Debug, PartialEq, Eq)]
enum Sampler {
    Everything,
    Nothing,
}

/// Metrics are of all that happened, whatever is sampled.
fn sampler(variables: Variables<'_>, signal: Signal) -> Result<Sampler, String> {
    let sampler = match signal {
        Signal::Traces => set(variables, "OTEL_TRACES_SAMPLER"),
        Signal::Metrics => None,
    };
    match sampler.as_deref() {
        None | Some("always_on" | "parentbased_always_on") => Ok(Sampler::Everything),
        Some("always_off" | "parentbased_always_off") => Ok(Sampler::Nothing),
        Some(other) => Err(format!("`OTEL_TRACES_SAMPLER={other}`: here a trace is sent whole or not at all")),
    }
}

fn settings(variables: Variables<'_>, signal: Signal, (name, url): (&str, &str)) -> Result<Box<Settings>, String> {
    sampler(variables, signal)?;
    let protocol = found(variables, signal, "PROTOCOL");
    if let Some((name, protocol)) = protocol.filter(|(_, value)| value != "http/protobuf") {
        return Err(format!("`{name}={protocol}` is not spoken here: `http/protobuf` is"));
    }
    if let Some((name, _)) = NOT_OBEYED.into_iter().find_map(|what| found(variables, signal, what)) {
        return Err(format!("`{name}` is not obeyed here: certificates are checked as this system checks them"));
    }
    let what = match signal {
        Signal::Traces => What::Spans(content_in(variables)),
        Signal::Metrics => What::Totals(Arc::new(Choice::read(variables)?)),
    };
    let is_named = name.contains(signal.word());
    Ok(Box::new(Settings {
        what,
        endpoint: endpoint(name, url, (!is_named).then(|| signal.path()))?,
        headers: headers(variables, signal)?,
        timeout: timeout(variables, signal)?,
        compression: compression(variables, signal)?,
        form: Form { resource: resource(variables)?, names: names(variables)? },
        named: if is_named { Named::ByItself } else { Named::ForAll },
    }))
}

/// The URL as it was written, and `path` added where one is given.
fn endpoint(name: &str, written: &str, path: Option<&str>) -> Result<Url, String> {
    // What is wrong with a URL is not repeated: it may hold a password.
    let mut url = Url::parse(written).map_err(|error| format!("`{name}` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("`{name}` must begin with `http://` or `https://` and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("`{name}` holds a password: put it into `OTEL_EXPORTER_OTLP_HEADERS`"));
    }
    url.set_fragment(None);
    if let Some(path) = path {
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

fn headers(variables: Variables<'_>, signal: Signal) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let Some((variable, list)) = found(variables, signal, "HEADERS") else { return Ok(headers) };
    for (name, value) in pairs(&variable, &list)? {
        let bad = || format!("`{variable}` has a header that HTTP cannot carry");
        let name = HeaderName::from_str(&name).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn timeout(variables: Variables<'_>, signal: Signal) -> Result<Duration, String> {
    let Some((name, value)) = found(variables, signal, "TIMEOUT") else { return Ok(TIMEOUT) };
    milliseconds(&name, &value).map(|timeout| timeout.min(TIMEOUT_MAX))
}

/// A time of at least a millisecond.
pub(super) fn milliseconds(name: &str, value: &str) -> Result<Duration, String> {
    match value.parse::<u64>().map(Duration::from_millis) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) | Err(_) => Err(format!("`{name}={value}` is not a number of milliseconds, at least 1")),
    }
}

/// By which names attributes and metrics go.
fn names(variables: Variables<'_>) -> Result<Names, String> {
    const VARIABLE: &str = "AGENT_HOST_SEMCONV";
    match set(variables, VARIABLE).as_deref() {
        None | Some("0.1.0") => Ok(Names::Latest),
        Some("1.41") => Ok(Names::Older),
        Some("both") => Ok(Names::Both),
        Some(other) => Err(format!("`{VARIABLE}={other}` is not known here: `0.1.0`, `1.41` and `both` are")),
    }
}

fn compression(variables: Variables<'_>, signal: Signal) -> Result<Compression, String> {
    let Some((name, value)) = found(variables, signal, "COMPRESSION") else { return Ok(Compression::None) };
    match value.as_str() {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        _ => Err(format!("`{name}={value}` is not known here: `gzip` and `none` are")),
    }
}

fn resource(variables: Variables<'_>) -> Result<BTreeMap<String, String>, String> {
    const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let ours = [
        ("service.name", SERVICE),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", SERVICE),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let mut resource: BTreeMap<_, _> = ours.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    if let Some(list) = set(variables, VARIABLE) {
        resource.extend(pairs(VARIABLE, &list)?);
    }
    if let Some(name) = set(variables, "OTEL_SERVICE_NAME") {
        resource.insert("service.name".to_owned(), name);
    }
    Ok(resource)
}

/// `key=value,key=value`, the values percent-encoded. What is wrong is not repeated: it may be a key.
fn pairs(variable: &str, list: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        let key = percent_decode_str(key.trim()).decode_utf8().ok()?.into_owned();
        (!key.is_empty()).then_some((key, value))
    };
    let texts = list.split(',').filter(|text| !text.trim().is_empty());
    let read: Option<Vec<_>> = texts.map(pair).collect();
    read.ok_or_else(|| format!("`{variable}` is not a list like `key=value,key=value`, percent-encoded"))
}

fn content_in(variables: Variables<'_>) -> Content {
    let value = set(variables, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT").unwrap_or_default();
    match value.to_ascii_lowercase().as_str() {
        "true" | "span_only" | "span_and_event" => Content::Captured,
        // Whatever is not clearly a yes is a no.
        _ => Content::LeftOut,
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may stop")]
mod tests {
    use super::*;

    fn wanted_of(signal: Signal, set: &[(&str, &str)]) -> Wanted {
        read(&|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()), signal)
    }

    fn wanted(set: &[(&str, &str)]) -> Wanted {
        wanted_of(Signal::Traces, set)
    }

    fn settings_of(signal: Signal, set: &[(&str, &str)]) -> Settings {
        match wanted_of(signal, set) {
            Wanted::Yes(settings) => *settings,
            other => panic!("{other:?}"),
        }
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn without_an_endpoint_or_with_a_no_nothing_is_sent() {
        let cases: [&[(&str, &str)]; 7] = [
            &[],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=b")],
            &[HERE, ("OTEL_SDK_DISABLED", "True")],
            &[HERE, ("OTEL_TRACES_EXPORTER", "none")],
            &[HERE, ("OTEL_TRACES_SAMPLER", "always_off")],
            &[HERE, ("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        ];
        for case in cases {
            assert!(matches!(wanted(case), Wanted::No), "{case:?}");
        }
    }

    #[test]
    fn the_endpoint_of_traces_is_taken_as_it_is_and_the_other_gets_the_path() {
        for (set, url) in [
            (&[HERE][..], "http://127.0.0.1:4318/v1/traces"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example/otlp/")][..], "https://c.example/otlp/v1/traces"),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c.example")][..], "https://c.example/"),
            (&[HERE, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x?k=1#f")][..], "http://t/x?k=1"),
        ] {
            assert_eq!(settings_of(Signal::Traces, set).endpoint.as_str(), url);
        }
        let shown =
            settings_of(Signal::Traces, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x?key=secret")]).shown();
        assert_eq!(shown, "http://t/x");
    }

    #[test]
    fn each_variable_is_obeyed() {
        let settings = settings_of(
            Signal::Traces,
            &[
                HERE,
                ("OTEL_EXPORTER_OTLP_HEADERS", "x-other=ignored"),
                ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Basic%20YTpi, x-scope=a%2Cb"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=lost,team=a%20b"),
                ("OTEL_SERVICE_NAME", "weather"),
                ("OTEL_TRACES_EXPORTER", "otlp"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ],
        );
        let header = |name: &str| settings.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(
            (header("authorization"), header("x-scope"), header("x-other")),
            (Some("Basic YTpi"), Some("a,b"), None)
        );
        assert!(!format!("{settings:?}").contains("YTpi"), "a header's value is shown to nobody");
        assert_eq!((settings.timeout, settings.compression), (Duration::from_millis(2500), Compression::Gzip));
        let resource = |key: &str| settings.form.resource.get(key).map(String::as_str);
        assert_eq!(
            (resource("service.name"), resource("team"), resource("deployment.environment.name")),
            (Some("weather"), Some("a b"), Some("test"))
        );
    }

    #[test]
    fn what_cannot_be_done_as_asked_is_told_without_its_secrets() {
        let cases = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "`http/protobuf` is"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4317", "must begin with"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://me:secret@host/", "holds a password"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "is not a list like"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=secret%0a", "HTTP cannot carry"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "`gzip` and `none`"),
            ("OTEL_TRACES_EXPORTER", "console", "`otlp` or `none`"),
            ("OTEL_TRACES_SAMPLER", "traceidratio", "whole or not at all"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem", "is not obeyed"),
        ];
        for (name, value, expected) in cases {
            let Wanted::Impossible(why) = wanted(&[HERE, (name, value)]) else { panic!("{name}={value}") };
            assert!(why.contains(expected) && why.contains("OTEL_") && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn metrics_have_an_endpoint_and_an_exporter_of_their_own() {
        let metrics = |set: &[(&str, &str)]| settings_of(Signal::Metrics, set);
        let general = metrics(&[HERE, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_TRACES_SAMPLER", "always_off")]);
        assert_eq!(
            (general.endpoint.as_str(), general.named),
            ("http://127.0.0.1:4318/v1/metrics", Named::ForAll),
            "whatever becomes of traces"
        );
        let own = metrics(&[HERE, ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m/x")]);
        assert_eq!((own.endpoint.as_str(), own.named), ("http://m/x", Named::ByItself));
        assert!(matches!(wanted_of(Signal::Metrics, &[HERE, ("OTEL_METRICS_EXPORTER", "none")]), Wanted::No));
        let elsewhere = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m/x")];
        assert!(matches!(wanted(&elsewhere), Wanted::No), "traces go nowhere");
    }

    #[test]
    fn the_names_are_the_latest_unless_others_are_asked_for() {
        for (value, expected) in
            [("", Names::Latest), ("0.1.0", Names::Latest), ("1.41", Names::Older), ("both", Names::Both)]
        {
            let settings = settings_of(Signal::Traces, &[HERE, ("AGENT_HOST_SEMCONV", value)]);
            assert_eq!(settings.form.names, expected, "{value}");
        }
        let Wanted::Impossible(why) = wanted(&[HERE, ("AGENT_HOST_SEMCONV", "1.40")]) else { panic!("it is known") };
        assert_eq!(why, "`AGENT_HOST_SEMCONV=1.40` is not known here: `0.1.0`, `1.41` and `both` are");
    }

    #[test]
    fn words_are_captured_only_where_it_is_clearly_asked_for() {
        let content = |value: &str| {
            content_in(&|name| (name == "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT").then(|| value.to_owned()))
        };
        for (value, expected) in [
            ("true", Content::Captured),
            ("SPAN_ONLY", Content::Captured),
            ("span_and_event", Content::Captured),
            ("event_only", Content::LeftOut),
            ("false", Content::LeftOut),
            ("1", Content::LeftOut),
            ("", Content::LeftOut),
        ] {
            assert_eq!(content(value), expected, "{value}");
        }
    }
}
