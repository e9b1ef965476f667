//! Every metric that is exported, in one table: name, unit, buckets, and which attributes its points have. The names are those of
//! OpenTelemetry's conventions for generative AI, version 0.1.0, and those that version 1.41 of the general conventions had for the
//! same. A test holds what is added up against it.
//!
//! Amounts are whole numbers, of milliseconds where the unit is seconds: sums of them are exact, in whatever order.

use super::names::{
    AGENT_NAME, Attribute, ERROR_TYPE, Level, MCP_METHOD, MODALITY, OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL,
    SERVER_ADDRESS, SERVER_PORT, TOKEN_TYPE, TOOL_NAME, TOOL_TYPE,
};

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its name, as exported.
    pub name: &'static str,
    /// What it is of, for people.
    pub description: &'static str,
    /// What its amounts are.
    pub unit: Unit,
    /// What becomes of them.
    pub kind: Kind,
    /// Which conventions have it.
    pub family: Family,
    /// Whether it is exported without being asked for.
    pub demand: Demand,
    by: &'static [&'static [(&'static Attribute, Level)]],
}

/// What amounts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, held as milliseconds.
    Seconds,
    /// Tokens of a model.
    Tokens,
    /// Requests to models.
    InferenceCalls,
    /// Calls of tools.
    ToolCalls,
}

/// What becomes of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Their sum.
    Counter,
    /// How many of them are up to each of these bounds; above the last one is one more bucket.
    Histogram(&'static [u64]),
}

/// Which conventions have a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Each version that there is a switch for.
    Every,
    /// 0.1.0 alone.
    Latest,
    /// 1.41 alone.
    Older,
}

/// When a metric is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Wherever metrics are.
    Always,
    /// Only where it was named.
    OptIn,
}

impl Instrument {
    /// What its points are told apart by, and whether each of them has it.
    pub fn by(&self) -> impl Iterator<Item = &'static (&'static Attribute, Level)> {
        self.by.iter().copied().flatten()
    }
}

impl Unit {
    /// The unit, as exported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Tokens => "{token}",
            Self::InferenceCalls => "{inference_call}",
            Self::ToolCalls => "{tool_call}",
        }
    }

    /// How many of what is held are one of the unit.
    #[must_use]
    pub fn parts(self) -> u64 {
        match self {
            Self::Seconds => 1_000,
            Self::Tokens | Self::InferenceCalls | Self::ToolCalls => 1,
        }
    }
}

/// 0.01 s, doubled thirteen times.
const CALL_MS: &[u64] = &[10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920];
/// 0.1 s, doubled twelve times.
const AGENT_MS: &[u64] = &[100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600];
const MCP_MS: &[u64] = &[10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000];
/// 1, quadrupled thirteen times.
const TOKENS: &[u64] =
    &[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];
const CALLS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128];

/// What a request to a model is told apart by.
const REQUEST: &[(&Attribute, Level)] = &[
    (&OPERATION, Level::Required),
    (&PROVIDER, Level::Required),
    (&REQUEST_MODEL, Level::Required),
    (&RESPONSE_MODEL, Level::Sometimes),
    (&SERVER_ADDRESS, Level::Sometimes),
    (&SERVER_PORT, Level::Sometimes),
];
const OF_MODALITY: &[(&Attribute, Level)] = &[(&MODALITY, Level::Required)];
const OF_TYPE: &[(&Attribute, Level)] = &[(&TOKEN_TYPE, Level::Required)];
const AGENT: &[(&Attribute, Level)] = &[(&AGENT_NAME, Level::Required)];
const TOOL: &[(&Attribute, Level)] = &[(&TOOL_NAME, Level::Required)];
const OF_TOOL_TYPE: &[(&Attribute, Level)] = &[(&TOOL_TYPE, Level::Required)];
const MCP: &[(&Attribute, Level)] = &[(&MCP_METHOD, Level::Required), (&OPERATION, Level::Required)];
const FAILURE: &[(&Attribute, Level)] = &[(&ERROR_TYPE, Level::Sometimes)];

macro_rules! instruments {
    ($($name:ident = $text:literal, $description:literal, $unit:ident, $kind:expr, $family:ident, $demand:ident, [$($by:ident),+];)*) => {
        $(
            #[doc = concat!("`", $text, "`")]
            pub static $name: Instrument = Instrument {
                name: $text,
                description: $description,
                unit: Unit::$unit,
                kind: $kind,
                family: Family::$family,
                demand: Demand::$demand,
                by: &[$($by),+],
            };
        )*

        /// The whole table.
        pub static ALL: &[&Instrument] = &[$(&$name),*];
    };
}

instruments! {
    // Requests to models.
    INFERENCE_DURATION = "gen_ai.client.inference.duration",
        "Time from a request to a model to its reply or failure.",
        Seconds, Kind::Histogram(CALL_MS), Latest, Always, [REQUEST, FAILURE];
    USAGE_INPUT = "gen_ai.client.inference.usage.input_tokens",
        "Tokens of requests, those from a cache included.",
        Tokens, Kind::Counter, Latest, Always, [REQUEST, OF_MODALITY];
    USAGE_OUTPUT = "gen_ai.client.inference.usage.output_tokens",
        "Tokens of replies, those of reasoning included.",
        Tokens, Kind::Counter, Latest, Always, [REQUEST, OF_MODALITY];
    USAGE_CACHE_READ = "gen_ai.client.inference.usage.cache_read.input_tokens",
        "Tokens of requests that a provider had in its cache.",
        Tokens, Kind::Counter, Latest, Always, [REQUEST, OF_MODALITY];
    USAGE_CACHE_WRITE = "gen_ai.client.inference.usage.cache_write.input_tokens",
        "Tokens of requests that a provider put into its cache.",
        Tokens, Kind::Counter, Latest, Always, [REQUEST, OF_MODALITY];
    USAGE_REASONING = "gen_ai.client.inference.usage.reasoning.output_tokens",
        "Tokens of replies that were reasoning.",
        Tokens, Kind::Counter, Latest, Always, [REQUEST, OF_MODALITY];
    OPERATION_INPUT = "gen_ai.client.inference.operation.input_tokens",
        "Tokens of each request.",
        Tokens, Kind::Histogram(TOKENS), Latest, OptIn, [REQUEST];
    OPERATION_OUTPUT = "gen_ai.client.inference.operation.output_tokens",
        "Tokens of each reply.",
        Tokens, Kind::Histogram(TOKENS), Latest, OptIn, [REQUEST];

    // The same, as it was called before.
    OPERATION_DURATION = "gen_ai.client.operation.duration",
        "Time from a request to a model to its reply or failure.",
        Seconds, Kind::Histogram(CALL_MS), Older, Always, [REQUEST, FAILURE];
    TOKEN_USAGE = "gen_ai.client.token.usage",
        "Tokens of each request and each reply.",
        Tokens, Kind::Histogram(TOKENS), Older, Always, [REQUEST, OF_TYPE];

    // Drives of runs.
    AGENT_DURATION = "gen_ai.invoke_agent.duration",
        "Time from the start or resume of a run to its stop.",
        Seconds, Kind::Histogram(AGENT_MS), Every, Always, [AGENT, FAILURE];
    AGENT_INFERENCE_CALLS = "gen_ai.invoke_agent.inference_calls",
        "Requests to models from the start or resume of a run to its stop.",
        InferenceCalls, Kind::Histogram(CALLS), Every, Always, [AGENT, FAILURE];
    AGENT_TOOL_CALLS = "gen_ai.invoke_agent.tool_calls",
        "Calls of tools from the start or resume of a run to its stop.",
        ToolCalls, Kind::Histogram(CALLS), Every, Always, [AGENT, FAILURE];

    // Calls of tools.
    TOOL_DURATION = "gen_ai.execute_tool.duration",
        "Time of each attempt of a tool call that came to an end.",
        Seconds, Kind::Histogram(CALL_MS), Every, Always, [TOOL, OF_TOOL_TYPE, FAILURE];
    MCP_SERVER_DURATION = "mcp.server.operation.duration",
        "Time from a client's request to its answer.",
        Seconds, Kind::Histogram(MCP_MS), Every, Always, [MCP, TOOL, FAILURE];
}
