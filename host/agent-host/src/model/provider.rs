//! Providers behind our `Model` trait: genai translates, `relay` and `wire` carry. One request, one reply, no retries.
//! Not for choosing a provider: that is `choice`'s.

use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ModelRequest, ProposedCall, TokenUsage};
use async_trait::async_trait;
use genai::adapter::AdapterKind;
use genai::chat::{ChatOptions, ChatRequest, ChatResponse, StopReason};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use serde_json::Value;

use super::Model;
use super::conversation::{Pictures, chat_request};
use super::failure::{failure, plain};
use super::relay::{Destination, Relay};
use super::wire::Wire;

/// Longest name of a model or a reply that a provider may report.
const NAME_BYTES_MAX: usize = 128;

/// A model at a provider, asked with the provider's own tool calls.
pub(super) struct Provider {
    pub(super) name: String,
    /// Whose JSON is spoken.
    pub(super) kind: AdapterKind,
    /// The model, as the provider calls it.
    pub(super) model: String,
    pub(super) base: reqwest::Url,
    /// The key, or a placeholder where none is needed.
    pub(super) key: String,
    pub(super) pictures: Pictures,
    pub(super) wire: Wire,
    pub(super) genai: Client,
}

#[async_trait]
impl Model for Provider {
    fn name(&self) -> &str {
        &self.name
    }

    async fn reply(&self, request: ModelRequest<'_>) -> Result<ModelReply, ModelFailure> {
        let response = self.chat(chat_request(request, self.pictures)?, &ChatOptions::default()).await?;
        let reply = reply_from(response);
        if reply.text.is_empty() && reply.calls.is_empty() {
            return Err(failure(
                ModelFailureKind::BadReply,
                &format!("the reply of `{}` has neither text nor calls", self.name),
            ));
        }
        Ok(reply)
    }
}

impl Provider {
    /// One request, one complete response.
    pub(super) async fn chat(&self, chat: ChatRequest, options: &ChatOptions) -> Result<ChatResponse, ModelFailure> {
        let no_relay = |error| failure(ModelFailureKind::Network, &format!("cannot open a loopback port: {error}"));
        let relay = Relay::open().await.map_err(no_relay)?;
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(relay.base_url().map_err(no_relay)?),
            auth: AuthData::from_single(relay.password()),
            model: ModelIden::new(self.kind, self.model.as_str()),
        };
        let destination = Destination { wire: &self.wire, base: &self.base, key: &self.key };
        // The name of the reply is nowhere else.
        let asked = options.clone().with_capture_raw_body(true);
        let response = tokio::select! {
            biased;
            outcome = relay.serve(&destination) => match outcome {
                Ok(never) => match never {},
                Err(failure) => return Err(failure),
            },
            response = self.genai.exec_chat(target, chat, Some(&asked)) => response,
        };
        let response = response.map_err(|error| self.translation_failure(error))?;
        self.check_complete(&response, options)?;
        Ok(response)
    }

    /// Refuses a reply that broke off: nothing of it may be used, least of all half a call.
    fn check_complete(&self, response: &ChatResponse, options: &ChatOptions) -> Result<(), ModelFailure> {
        let why = match &response.stop_reason {
            Some(StopReason::MaxTokens(_)) => options.max_tokens.map_or_else(
                || "was cut off at its token limit".to_owned(),
                |tokens| format!("was cut off at the {tokens} tokens that a reply may have in the JSON tool mode"),
            ),
            Some(StopReason::ContentFilter(_)) => "was stopped by the provider's content filter".to_owned(),
            Some(
                StopReason::Completed(_) | StopReason::ToolCall(_) | StopReason::StopSequence(_) | StopReason::Other(_),
            )
            | None => {
                return Ok(());
            }
        };
        // The same request would meet the same limit: trying again costs and does not help.
        Err(failure(ModelFailureKind::BadRequest, &format!("the reply of `{}` {why}", self.name)))
    }

    /// An error of genai itself. What goes wrong on the network never comes this way. Its own text may quote the whole
    /// request, so only the cause is taken.
    fn translation_failure(&self, error: genai::Error) -> ModelFailure {
        let (kind, cause) = match error {
            genai::Error::ChatResponseGeneration { cause, .. } => (ModelFailureKind::BadReply, cause),
            genai::Error::WebModelCall { .. } => {
                (ModelFailureKind::Network, "the hand-over inside this program broke".to_owned())
            }
            other => (ModelFailureKind::BadRequest, other.to_string()),
        };
        let what =
            if kind == ModelFailureKind::BadReply { "the reply cannot be read" } else { "the request cannot be made" };
        failure(kind, &format!("`{}`: {what}: {cause}", self.name))
    }
}

/// The response in our words. Reasoning is left out: it is not part of the conversation.
pub(super) fn reply_from(response: ChatResponse) -> ModelReply {
    let usage = &response.usage;
    let some = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok());
    let (asked, said) = (usage.prompt_tokens_details.as_ref(), usage.completion_tokens_details.as_ref());
    let usage = TokenUsage {
        input: some(usage.prompt_tokens).unwrap_or(0),
        output: some(usage.completion_tokens).unwrap_or(0),
        cache_read: some(asked.and_then(|asked| asked.cached_tokens)),
        cache_write: some(asked.and_then(|asked| asked.cache_creation_tokens)),
        reasoning: some(said.and_then(|said| said.reasoning_tokens)),
    };
    let model = plain(&response.provider_model_iden.model_name, NAME_BYTES_MAX);
    let id = response.captured_raw_body.as_ref().and_then(name_of).or_else(|| response.response_id.clone());
    let id = id.map(|id| plain(&id, NAME_BYTES_MAX));
    let text = response.content.texts().join("\n\n");
    let calls = response.into_tool_calls().into_iter().map(proposed_call).collect();
    ModelReply { text, calls, usage, model, id }
}

/// How the provider calls a reply: `id` with most, `responseId` with Gemini.
fn name_of(body: &Value) -> Option<String> {
    let mut names = ["id", "responseId"].into_iter().filter_map(|key| body.get(key)?.as_str());
    names.find(|name| !name.is_empty()).map(str::to_owned)
}

fn proposed_call(call: genai::chat::ToolCall) -> ProposedCall {
    let arguments = match call.fn_arguments {
        // A call without arguments.
        Value::Null => "{}".to_owned(),
        Value::String(written) if written.trim().is_empty() => "{}".to_owned(),
        // No JSON, as the model wrote it: it is told so.
        Value::String(written) => written,
        arguments => arguments.to_string(),
    };
    ProposedCall { id: (!call.call_id.is_empty()).then_some(call.call_id), tool: call.fn_name, arguments }
}
