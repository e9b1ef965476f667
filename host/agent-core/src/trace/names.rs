//! Every name that a span of ours can carry, in one table: a rename is one edit, and a test holds what is emitted against it. Those of
//! metrics are in `instruments`.
//!
//! Names of OpenTelemetry's conventions are those of generative AI, version 0.1.0, and of the stable ones for HTTP, URLs,
//! servers and errors. What these have no word for has the prefix `agenthost.`.

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One drive of a run: from its start or a resume to its stop or to the end of its host.
    Run,
    /// One turn, within one drive.
    Turn,
    /// One attempt of a model call.
    Model,
    /// One attempt of a tool call, or a call that was settled without being made.
    Tool,
    /// One effect of an attempt.
    Effect,
    /// Not a span: something that happened within one.
    Note,
    /// Not a span: a point of a metric.
    Point,
}

/// What an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A whole number.
    Integer,
    /// Any number.
    Real,
    /// Yes or no.
    Flag,
}

/// When an attribute is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Always.
    Required,
    /// Where there is something to say.
    Sometimes,
    /// Only where content was asked for: it holds words of people, models, tools or servers.
    Content,
}

/// An attribute.
#[derive(Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, as exported.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// What carries it, and when.
    pub on: &'static [(Subject, Level)],
}

macro_rules! attributes {
    ($($name:ident = $text:literal, $holds:ident, [$($subject:ident $level:ident),+];)*) => {
        $(
            #[doc = concat!("`", $text, "`")]
            pub static $name: Attribute = Attribute {
                name: $text,
                holds: Holds::$holds,
                on: &[$((Subject::$subject, Level::$level)),+],
            };
        )*

        /// The whole table.
        pub static ALL: &[&Attribute] = &[$(&$name),*];
    };
}

attributes! {
    // Generative AI.
    OPERATION = "gen_ai.operation.name", Text, [Run Required, Model Required, Tool Required];
    PROVIDER = "gen_ai.provider.name", Text, [Run Required, Model Required];
    AGENT_NAME = "gen_ai.agent.name", Text, [Run Required];
    AGENT_VERSION = "gen_ai.agent.version", Text, [Run Sometimes];
    CONVERSATION = "gen_ai.conversation.id", Text, [Run Sometimes, Model Sometimes];
    REQUEST_MODEL = "gen_ai.request.model", Text, [Run Required, Model Required];
    REQUEST_TOKENS_MAX = "gen_ai.request.max_tokens", Integer, [Model Sometimes];
    REQUEST_TEMPERATURE = "gen_ai.request.temperature", Real, [Model Sometimes];
    OUTPUT_TYPE = "gen_ai.output.type", Text, [Model Sometimes];
    RESPONSE_ID = "gen_ai.response.id", Text, [Model Sometimes];
    RESPONSE_MODEL = "gen_ai.response.model", Text, [Model Sometimes];
    FINISH_REASONS = "gen_ai.response.finish_reasons", Texts, [Run Sometimes, Model Sometimes];
    INPUT_TOKENS = "gen_ai.usage.input_tokens", Integer, [Run Sometimes, Model Sometimes];
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens", Integer, [Run Sometimes, Model Sometimes];
    CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens", Integer, [Run Sometimes, Model Sometimes];
    CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens", Integer, [Run Sometimes, Model Sometimes];
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens", Integer, [Run Sometimes, Model Sometimes];
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions", Text, [Model Content];
    INPUT_MESSAGES = "gen_ai.input.messages", Text, [Run Content, Model Content];
    OUTPUT_MESSAGES = "gen_ai.output.messages", Text, [Run Content, Model Content];
    TOOL_DEFINITIONS = "gen_ai.tool.definitions", Text, [Run Content];
    TOOL_NAME = "gen_ai.tool.name", Text, [Tool Required];
    TOOL_CALL_ID = "gen_ai.tool.call.id", Text, [Tool Required];
    TOOL_TYPE = "gen_ai.tool.type", Text, [Tool Required];
    TOOL_DESCRIPTION = "gen_ai.tool.description", Text, [Tool Sometimes];
    TOOL_ARGUMENTS = "gen_ai.tool.call.arguments", Text, [Tool Content];
    TOOL_RESULT = "gen_ai.tool.call.result", Text, [Tool Content];
    MODALITY = "gen_ai.token.modality", Text, [Point Sometimes];
    TOKEN_TYPE = "gen_ai.token.type", Text, [Point Sometimes];
    MCP_METHOD = "mcp.method.name", Text, [Tool Sometimes];
    MCP_PROTOCOL = "mcp.protocol.version", Text, [Tool Sometimes];

    // Shared by all conventions.
    ERROR_TYPE = "error.type", Text, [Run Sometimes, Turn Sometimes, Model Sometimes, Tool Sometimes, Effect Sometimes];
    SERVER_ADDRESS = "server.address", Text, [Model Sometimes, Effect Sometimes];
    JSONRPC_REQUEST = "jsonrpc.request.id", Text, [Tool Sometimes];
    SERVER_PORT = "server.port", Integer, [Model Sometimes, Effect Sometimes];
    HTTP_METHOD = "http.request.method", Text, [Effect Sometimes];
    HTTP_METHOD_ORIGINAL = "http.request.method_original", Text, [Effect Sometimes];
    HTTP_STATUS = "http.response.status_code", Integer, [Effect Sometimes];
    URL_FULL = "url.full", Text, [Effect Sometimes];
    FILE_PATH = "file.path", Text, [Effect Sometimes];
    EXCEPTION_TYPE = "exception.type", Text, [Note Sometimes];
    EXCEPTION_MESSAGE = "exception.message", Text, [Note Content];
    OVERFLOW = "otel.metric.overflow", Flag, [Point Sometimes];

    // Our own.
    RUN = "agenthost.run.id", Text, [Run Required];
    FORKED_FROM = "agenthost.run.forked_from", Text, [Run Sometimes];
    DRIVE = "agenthost.run.drive", Integer, [Run Required];
    STOP = "agenthost.run.stop_reason", Text, [Run Sometimes];
    DURABILITY = "agenthost.run.durability", Text, [Run Required];
    HEAD = "agenthost.journal.head", Text, [Run Sometimes];
    SEQ = "agenthost.journal.seq", Integer, [Run Required];
    REPAIRED = "agenthost.journal.repaired_bytes", Integer, [Run Sometimes];
    TURNS = "agenthost.run.turns", Integer, [Run Required];
    MODEL_CALLS = "agenthost.run.model_calls", Integer, [Run Required];
    TOOL_CALLS = "agenthost.run.tool_calls", Integer, [Run Required];
    TURN = "agenthost.turn", Integer, [Turn Required, Model Required, Tool Sometimes];
    ATTEMPT = "agenthost.attempt", Integer, [Model Required, Tool Sometimes];
    FALLBACK = "agenthost.fallback_index", Integer, [Model Required];
    CALL = "agenthost.call", Integer, [Tool Required, Effect Required, Note Sometimes];
    WAITED = "agenthost.call.waited_ms", Integer, [Tool Sometimes];
    COMPONENT = "agenthost.component.digest", Text, [Tool Sometimes];
    FUEL = "agenthost.fuel.used", Integer, [Run Required, Tool Sometimes];
    FUEL_EXACT = "agenthost.fuel.exact", Flag, [Tool Sometimes];
    MEMORY_PEAK = "agenthost.memory.peak", Integer, [Tool Sometimes];
    HOST_CALLS = "agenthost.host_calls", Integer, [Tool Sometimes];
    CAPABILITIES = "agenthost.capabilities.used", Texts, [Tool Sometimes];
    EFFECTS = "agenthost.effects.count", Integer, [Tool Sometimes];
    EFFECTS_REFUSED = "agenthost.effects.refused", Integer, [Tool Sometimes];
    EFFECTS_OMITTED = "agenthost.effects.omitted", Integer, [Tool Sometimes];
    EFFECTS_DROPPED = "agenthost.effects.dropped", Integer, [Tool Sometimes];
    EFFECT_CLASS = "agenthost.effect.class", Text, [Tool Sometimes, Effect Required];
    EFFECT_INDEX = "agenthost.effect.index", Integer, [Effect Required];
    EFFECT_KIND = "agenthost.effect.kind", Text, [Effect Required];
    EFFECT_RESULT = "agenthost.effect.result", Text, [Effect Required];
    EFFECT_RULE = "agenthost.effect.rule", Text, [Effect Sometimes];
    EFFECT_KEY = "agenthost.effect.idempotency_key", Text, [Effect Sometimes];
    EFFECT_TARGET = "agenthost.effect.target", Text, [Effect Content];
    BYTES_OUT = "agenthost.effect.bytes_out", Integer, [Effect Sometimes];
    BYTES_IN = "agenthost.effect.bytes_in", Integer, [Effect Sometimes];
    IN_DOUBT = "agenthost.in_doubt", Flag, [Tool Sometimes];
    REPLAYED = "agenthost.replayed", Flag, [Tool Sometimes];
    SUSPENDED = "agenthost.suspended", Text, [Tool Sometimes];
    INTERRUPTED = "agenthost.interrupted", Flag, [Run Sometimes, Turn Sometimes, Model Sometimes, Tool Sometimes, Effect Sometimes];
    UNDONE = "agenthost.undone", Integer, [Note Sometimes];
    TRUNCATED = "agenthost.content.truncated", Flag, [Run Sometimes, Model Sometimes, Tool Sometimes];

    // What a note says.
    NOTE_SUBJECT = "agenthost.approval.subject", Text, [Note Sometimes];
    NOTE_ANSWER = "agenthost.approval.answer", Text, [Note Sometimes];
    NOTE_RESOLUTION = "agenthost.doubt.resolution", Text, [Note Sometimes];
    NOTE_TOOL = "agenthost.tool", Text, [Note Sometimes];
}

impl Attribute {
    /// What conventions 1.41 call it, where that is something else.
    #[must_use]
    pub fn older_name(&self) -> &'static str {
        if self == &CACHE_WRITE_TOKENS { "gen_ai.usage.cache_creation.input_tokens" } else { self.name }
    }

    /// When something about `subject` carries it; `None` where it never does.
    #[must_use]
    pub fn level(&self, subject: Subject) -> Option<Level> {
        self.on.iter().find(|(on, _)| *on == subject).map(|(_, level)| *level)
    }
}

/// The method by which a client of ours asks for a call.
pub const MCP_TOOLS_CALL: &str = "tools/call";

/// The operations that our spans name.
pub mod operation {
    /// A drive of a run.
    pub const INVOKE_AGENT: &str = "invoke_agent";
    /// A model call.
    pub const CHAT: &str = "chat";
    /// A tool call.
    pub const EXECUTE_TOOL: &str = "execute_tool";
}

/// What can happen within a span.
pub mod note {
    /// A person is asked.
    pub const APPROVAL_REQUESTED: &str = "agenthost.approval_requested";
    /// A person answered.
    pub const APPROVAL_DECIDED: &str = "agenthost.approval_decided";
    /// A person allowed a tool more.
    pub const GRANT_WIDENED: &str = "agenthost.grant_widened";
    /// A person allowed one effect that nothing grants.
    pub const EFFECT_PERMITTED: &str = "agenthost.effect_permitted";
    /// The operator moved what the run is locked to.
    pub const RUN_REBASED: &str = "agenthost.run_rebased";
    /// What an attempt had changed was restored.
    pub const CALL_UNDONE: &str = "agenthost.call_undone";
    /// A person had changes of files undone.
    pub const CHANGES_UNDONE: &str = "agenthost.changes_undone";
    /// A call may or may not have had its effect.
    pub const CALL_IN_DOUBT: &str = "agenthost.call_in_doubt";
    /// Somebody said what became of it.
    pub const DOUBT_RESOLVED: &str = "agenthost.doubt_resolved";
    /// A request to a model failed.
    pub const MODEL_EXCEPTION: &str = "gen_ai.client.operation.exception";
    /// A tool did.
    pub const TOOL_EXCEPTION: &str = "gen_ai.execute_tool.exception";
}

/// The provider, as the conventions call it. One that they do not know keeps its own name.
#[must_use]
pub fn provider(name: &str) -> &str {
    const KNOWN: [(&str, &str); 8] = [
        ("gemini", "gcp.gemini"),
        ("gemini_ix", "gcp.gemini"),
        ("vertex", "gcp.vertex_ai"),
        ("bedrock_api", "aws.bedrock"),
        ("xai", "x_ai"),
        ("mistral", "mistral_ai"),
        ("openai_resp", "openai"),
        ("moonshot", "moonshot_ai"),
    ];
    KNOWN.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs)
}

/// Where a provider is, by this program's name for it, where everybody finds it at the same place: its host and port. The program holds
/// it against the addresses that it really asks.
pub const SERVERS: [(&str, (&str, u16)); 14] = [
    ("anthropic", ("api.anthropic.com", 443)),
    ("cohere", ("api.cohere.ai", 443)),
    ("deepseek", ("api.deepseek.com", 443)),
    ("gemini", ("generativelanguage.googleapis.com", 443)),
    ("gemini_ix", ("generativelanguage.googleapis.com", 443)),
    ("groq", ("api.groq.com", 443)),
    ("mistral", ("api.mistral.ai", 443)),
    ("ollama", ("localhost", 11_434)),
    ("ollama_cloud", ("ollama.com", 443)),
    ("open_router", ("openrouter.ai", 443)),
    ("openai", ("api.openai.com", 443)),
    ("openai_resp", ("api.openai.com", 443)),
    ("xai", ("api.x.ai", 443)),
    ("zai", ("api.z.ai", 443)),
];

/// The host and port of that provider, where [`SERVERS`] has it.
#[must_use]
pub fn server(provider: &str) -> Option<(&'static str, u16)> {
    SERVERS.iter().find(|(name, _)| *name == provider).map(|(_, server)| *server)
}
