//! What a run is locked to, as its spans need it: taken from `RunStarted` once.

use url::Url;

use super::names;
use super::{Content, Link, Side, Span, SpanId, TraceId, Value};
use crate::name::RunId;
use crate::run_events::{
    Durability, JSON_REPLY_TOKENS_MAX, JSON_TEMPERATURE_THOUSANDTHS, LockedTool, ModelChoice, RunRebased, RunStarted,
    ToolMode,
};

/// The provider name of scripts, which are no server.
const SCRIPTED: &str = "scripted";

/// What every span of a run is made from.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) run: RunId,
    pub(super) trace: TraceId,
    pub(super) content: Content,
    pub(super) started: RunStarted,
    pub(super) models: Vec<Model>,
}

/// A model, taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) provider: String,
    pub(super) name: String,
    server: Option<(String, Option<u16>)>,
    tool_mode: Option<ToolMode>,
    is_script: bool,
}

impl Facts {
    pub(super) fn new(run: &RunId, started: &RunStarted, content: Content) -> Self {
        let models = started.models.iter().map(Model::new).collect();
        Self { run: run.clone(), trace: TraceId::of(run), content, started: started.clone(), models }
    }

    /// The same run, locked to something else from here on.
    pub(super) fn rebased(&self, body: &RunRebased) -> Self {
        let RunRebased { agent, agent_file, instructions, models, tools } = body.clone();
        let started = RunStarted { agent, agent_file, instructions, models, tools, ..self.started.clone() };
        Self::new(&self.run, &started, self.content)
    }

    /// The conversation that it is part of, where that has a name.
    pub(super) fn session(&self) -> Option<&str> {
        self.started.session.as_ref().map(|session| session.name.as_str())
    }

    /// The first drive of the run that this one goes on from: the one it was forked from, or the one before it in its session.
    pub(super) fn origin(&self) -> Option<Link> {
        let forked = self.started.forked_from.as_ref().map(|from| &from.run);
        let run = forked.or_else(|| self.started.earlier.runs.last().map(|earlier| &earlier.run))?;
        Some(Link { trace: TraceId::of(run), span: SpanId::of(run, 1, (names::operation::INVOKE_AGENT, 0)) })
    }

    /// The model of that number; of a damaged journal, one without a name.
    pub(super) fn model(&self, index: usize) -> Model {
        self.models.get(index).cloned().unwrap_or_default()
    }

    pub(super) fn tool(&self, wire: &str) -> Option<&LockedTool> {
        self.started.tools.iter().find(|tool| tool.descriptor.name.wire() == wire)
    }

    pub(super) fn durability(&self) -> &'static str {
        match self.started.durability {
            Durability::Strict => "strict",
            Durability::Group => "group",
            Durability::Relaxed => "relaxed",
        }
    }

    /// Words that somebody may have said in confidence: `None` where they were not asked for.
    pub(super) fn words(&self, words: &str) -> Option<String> {
        match self.content {
            Content::LeftOut => None,
            Content::Brief | Content::Captured => Some(super::content::cut(words).0),
        }
    }
}

impl Model {
    fn new(choice: &ModelChoice) -> Self {
        let (provider, name) = choice.name.split_once(':').unwrap_or(("", &choice.name));
        let is_script = provider == SCRIPTED;
        // Where a script is on this machine is nobody's business.
        let name = if is_script { name.rsplit('/').next().unwrap_or(name) } else { name };
        let provider = provider.replace('-', "_");
        let server = match &choice.base_url {
            Some(url) => address(url),
            None => names::server(&provider).map(|(host, port)| (host.to_owned(), Some(port))),
        };
        let (provider, name) = (names::provider(&provider).to_owned(), name.to_owned());
        Self { provider, name, server, tool_mode: Some(choice.tool_mode), is_script }
    }

    /// A script is played within this program.
    pub(super) fn side(&self) -> Side {
        if self.is_script { Side::Internal } else { Side::Client }
    }

    pub(super) fn describe(&self, span: &mut Span) {
        span.set(&names::PROVIDER, self.provider.as_str());
        span.set(&names::REQUEST_MODEL, self.name.as_str());
    }

    /// Where it is asked, and for what.
    pub(super) fn describe_request(&self, span: &mut Span) {
        if let Some((address, port)) = &self.server {
            span.set(&names::SERVER_ADDRESS, address.as_str());
            if let Some(port) = port {
                span.set(&names::SERVER_PORT, Value::Integer(i64::from(*port)));
            }
        }
        match self.tool_mode {
            Some(ToolMode::Json | ToolMode::JsonCallFirst) => {
                span.set(&names::OUTPUT_TYPE, "json");
                span.set(&names::REQUEST_TOKENS_MAX, JSON_REPLY_TOKENS_MAX);
                span.set(&names::REQUEST_TEMPERATURE, Value::Thousandths(JSON_TEMPERATURE_THOUSANDTHS));
            }
            Some(ToolMode::Native) | None => {}
        }
    }
}

/// The host and port of a URL.
fn address(url: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}
