//! Opens a named model: finds its key and its address, or reads its script. Called before a run starts, so that what cannot
//! work is told before anything happens.

use std::error::Error;

use genai::adapter::AdapterKind;
use genai::{Client, ModelIden};

use super::Model;
use super::choice::{ModelChoice, ModelSource};
use super::conversation::Pictures;
use super::json_mode::{JsonMode, JsonToolMode, Mark};
use super::provider::Provider;
use super::script::ScriptError;
use super::scripted::Scripted;
use super::wire::{REPLY_TIMEOUT, Wire, is_loopback};

/// Cohere's OpenAI-compatible side.
const COHERE_COMPATIBLE: &str = "https://api.cohere.ai/compatibility/v1/";

/// What genai puts into Vertex's address; without it, it makes a broken one.
const VERTEX_PROJECT: &str = "VERTEX_PROJECT_ID";

/// What servers are sent that need no key.
const NO_KEY: &str = "none";

/// How tools are put to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolMode {
    /// The provider's own tool calls.
    Native,
    /// One JSON Schema for a call or an answer, for models without tool calls.
    Json(JsonToolMode),
}

/// Why a model cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenModelError {
    /// The operating system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The provider wants a key and none is set.
    #[error("model `{model}` needs a key\n  hint: set `{variable}`, or give the base URL of a server that needs none")]
    NoKey {
        /// The model as written.
        model: String,
        /// The environment variable that is read.
        variable: &'static str,
    },
    /// The provider's address depends on a variable that is not set.
    #[error("model `{model}` needs a project\n  hint: set `{variable}`, or give a base URL")]
    NoProject {
        /// The model as written.
        model: String,
        /// The environment variable that is read.
        variable: &'static str,
    },
    /// The base URL is not one.
    #[error("`{url}` is not a base URL: {reason}")]
    BaseUrl {
        /// What was written.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An option that would have no effect.
    #[error("model `{model}` takes no {what}\n  hint: it plays a file and asks nobody: leave out `{option}`")]
    Meaningless {
        /// The model as written.
        model: String,
        /// The option.
        what: &'static str,
        /// As it is typed.
        option: &'static str,
    },
    /// The provider's adapter would ignore the schema, and a limit that does nothing is none.
    #[error(
        "model `{model}` cannot be held to a JSON schema, so the JSON tool mode does not work with it\n  hint: use its native tool calls, `--tool-mode native`"
    )]
    NoSchema {
        /// The model as written.
        model: String,
    },
    /// The script is not one.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The HTTP client or genai's own configuration failed.
    #[error("cannot prepare requests to `{model}`: {reason}")]
    Client {
        /// The model as written.
        model: String,
        /// What failed.
        reason: String,
    },
}

impl OpenModelError {
    /// Whether the server that was named is what is wrong.
    pub(super) fn is_about_server(&self) -> bool {
        match self {
            Self::BaseUrl { .. } => true,
            Self::Random
            | Self::NoKey { .. }
            | Self::NoProject { .. }
            | Self::Meaningless { .. }
            | Self::NoSchema { .. }
            | Self::Script(_)
            | Self::Client { .. } => false,
        }
    }
}

/// Opens the model: reads the script, or finds key and address. Nothing is sent.
///
/// # Errors
/// Where the key is missing, the base URL or the script is not valid, or an option would have no effect.
pub(crate) async fn open(
    choice: &ModelChoice,
    base_url: Option<&str>,
    tool_mode: ToolMode,
) -> Result<Box<dyn Model>, OpenModelError> {
    match &choice.source {
        ModelSource::Script(file) => {
            let meaningless =
                |what, option| OpenModelError::Meaningless { model: choice.written.clone(), what, option };
            if base_url.is_some() {
                return Err(meaningless("base URL", "--base-url"));
            }
            if tool_mode != ToolMode::Native {
                return Err(meaningless("JSON tool mode", "--tool-mode"));
            }
            Ok(Box::new(Scripted::open(&choice.written, file)?))
        }
        ModelSource::Provider { kind, model } => {
            let provider = ProviderChoice { written: &choice.written, kind: *kind, model, base_url, tool_mode };
            provider.open().await
        }
    }
}

/// Everything that decides how a provider is asked.
struct ProviderChoice<'a> {
    written: &'a str,
    kind: AdapterKind,
    model: &'a str,
    base_url: Option<&'a str>,
    tool_mode: ToolMode,
}

impl ProviderChoice<'_> {
    async fn open(&self) -> Result<Box<dyn Model>, OpenModelError> {
        let genai = self.genai()?;
        let base = self.base(&genai).await?;
        let key = self.key(&base)?;
        let wire = Wire::new(&base, key.clone(), REPLY_TIMEOUT).map_err(|error| self.client_error(&error))?;
        let provider = Provider {
            name: self.written.to_owned(),
            kind: self.spoken(),
            model: self.model.to_owned(),
            base,
            key: key.unwrap_or_else(|| NO_KEY.to_owned()),
            pictures: self.pictures(),
            wire,
            genai,
        };
        match self.tool_mode {
            ToolMode::Native => Ok(Box::new(provider)),
            ToolMode::Json(_) if !takes_schemas(self.kind) => {
                Err(OpenModelError::NoSchema { model: self.written.to_owned() })
            }
            ToolMode::Json(mode) => {
                let mark = Mark::of(crate::clock::random().map_err(|_| OpenModelError::Random)?);
                Ok(Box::new(JsonMode::new(provider, mode, mark)))
            }
        }
    }

    /// genai over a client that only ever talks to the relay.
    fn genai(&self) -> Result<Client, OpenModelError> {
        let to_relay = reqwest::Client::builder().no_proxy().build().map_err(|error| self.client_error(&error))?;
        Client::builder().with_reqwest(to_relay).build().map_err(|error| self.client_error(&error))
    }

    /// Whose JSON is spoken. genai's adapters of Baidu and Z.ai are OpenAI's with an address that cannot be changed, that of
    /// Cohere drops tools and that of Ollama drops schemas; the OpenAI-compatible side of all four takes them.
    fn spoken(&self) -> AdapterKind {
        match (self.kind, self.tool_mode) {
            (AdapterKind::Baidu | AdapterKind::Zai | AdapterKind::Cohere, _) => AdapterKind::OpenAI,
            (AdapterKind::Ollama, ToolMode::Json(_)) => AdapterKind::OpenAI,
            // OpenAI's newer models have tool calls in the Responses API only; other servers of the Chat API have no other.
            (AdapterKind::OpenAI, _) if self.base_url.is_none() => match AdapterKind::from_model(self.model) {
                Ok(AdapterKind::OpenAIResp) => AdapterKind::OpenAIResp,
                _ => AdapterKind::OpenAI,
            },
            (kind, _) => kind,
        }
    }

    async fn base(&self, genai: &Client) -> Result<reqwest::Url, OpenModelError> {
        if let Some(written) = self.base_url {
            return parsed_base(written);
        }
        if self.kind == AdapterKind::Cohere {
            return parsed_base(COHERE_COMPATIBLE);
        }
        if self.kind == AdapterKind::Vertex && std::env::var_os(VERTEX_PROJECT).is_none() {
            return Err(OpenModelError::NoProject { model: self.written.to_owned(), variable: VERTEX_PROJECT });
        }
        let target = genai.resolve_service_target(ModelIden::new(self.kind, self.model)).await;
        let target = target.map_err(|error| self.client_error(&error))?;
        let mut base = parsed_base(target.endpoint.base_url())?;
        if self.kind == AdapterKind::Ollama && self.spoken() == AdapterKind::OpenAI {
            base.set_path("v1/");
        }
        Ok(base)
    }

    /// The key to send, if there is one to send. With a base URL of one's own it is optional; and it never travels
    /// in the clear to another machine.
    fn key(&self, base: &reqwest::Url) -> Result<Option<String>, OpenModelError> {
        let Some(variable) = self.kind.default_key_env_name() else { return Ok(None) };
        let found = std::env::var(variable).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let is_private = base.scheme() == "https" || is_loopback(base);
        match found {
            Some(key) if is_private => Ok(Some(key)),
            None if self.base_url.is_none() && self.kind != AdapterKind::Omlx => {
                Err(OpenModelError::NoKey { model: self.written.to_owned(), variable })
            }
            Some(_) | None => Ok(None),
        }
    }

    fn pictures(&self) -> Pictures {
        let sees = matches!(
            self.spoken(),
            AdapterKind::OpenAI
                | AdapterKind::OpenAIResp
                | AdapterKind::Anthropic
                | AdapterKind::Gemini
                | AdapterKind::GeminiIx
        );
        let is_original =
            self.base_url.is_none() && self.kind == self.spoken() || self.spoken() == AdapterKind::OpenAIResp;
        if sees && is_original { Pictures::Sent } else { Pictures::Described }
    }

    fn client_error(&self, error: &dyn Error) -> OpenModelError {
        OpenModelError::Client { model: self.written.to_owned(), reason: error.to_string() }
    }
}

/// Whether a schema reaches the model: genai's adapters of some drop it, and Cohere takes another form.
fn takes_schemas(kind: AdapterKind) -> bool {
    !matches!(kind, AdapterKind::OllamaCloud | AdapterKind::Cohere | AdapterKind::BedrockApi | AdapterKind::Vertex)
}

fn parsed_base(written: &str) -> Result<reqwest::Url, OpenModelError> {
    let bad = |reason| OpenModelError::BaseUrl { url: written.to_owned(), reason };
    let url: reqwest::Url = written.parse().map_err(|_| bad("write it like `http://127.0.0.1:8080/v1`"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(bad("only http and https are spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OpenModelError::BaseUrl {
            url: "[address with a password]".to_owned(),
            reason: "put the key into the environment",
        });
    }
    if url.fragment().is_some() {
        return Err(bad("it has a `#` part"));
    }
    Ok(url)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    async fn opened(model: &str, base_url: Option<&str>, tool_mode: ToolMode) -> Result<String, String> {
        let opened = open(&model.parse().unwrap(), base_url, tool_mode).await;
        opened.map(|model| model.name().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_cannot_work_is_told_before_a_run() {
        let (native, json) = (ToolMode::Native, ToolMode::Json(JsonToolMode::USUAL));
        let local = Some("http://127.0.0.1:8080/v1");
        // A provider whose key no machine that builds this has.
        let no_key = "model `heabsy:m` needs a key\n  hint: set `HEABSY_API_KEY`, or give the base URL of a server that needs none";
        assert_eq!(opened("heabsy:m", None, native).await, Err(no_key.to_owned()));
        for (model, base_url, mode) in [
            ("heabsy:m", local, native),
            ("heabsy:m", local, json),
            ("ollama:m", None, native),
            ("ollama:m", None, json),
        ] {
            assert_eq!(opened(model, base_url, mode).await, Ok(model.to_owned()));
        }
        for (model, base_url, mode, expected) in [
            ("cohere:m", local, json, "model `cohere:m` cannot be held to a JSON schema"),
            ("scripted:x.toml", local, native, "model `scripted:x.toml` takes no base URL"),
            ("scripted:x.toml", None, json, "model `scripted:x.toml` takes no JSON tool mode"),
            ("scripted:/no/such.toml", None, native, "cannot read the script `/no/such.toml`"),
            ("openai:m", Some("nowhere"), native, "`nowhere` is not a base URL"),
        ] {
            let error = opened(model, base_url, mode).await.unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// A trace says which server was asked, from this table alone.
    #[tokio::test]
    async fn providers_are_where_a_trace_says() {
        for (provider, (host, port)) in agent_core::trace::names::SERVERS {
            let written = format!("{provider}:m");
            let ModelSource::Provider { kind, model } = written.parse::<ModelChoice>().unwrap().source else {
                panic!("{written}")
            };
            let (written, model, tool_mode) = (&written, &model, ToolMode::Native);
            let choice = ProviderChoice { written, kind, model, base_url: None, tool_mode };
            let base = choice.base(&choice.genai().unwrap()).await.unwrap();
            assert_eq!((base.host_str(), base.port_or_known_default()), (Some(host), Some(port)), "{written}");
        }
    }

    #[test]
    fn base_urls_are_checked() {
        for good in ["http://127.0.0.1:8080/v1", "https://gateway.example.com/openai/?api-version=1"] {
            assert!(parsed_base(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:8080", "ftp://x/", "http://user:secret@x/", "http://x/#y"] {
            let shown = parsed_base(bad).unwrap_err().to_string();
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
