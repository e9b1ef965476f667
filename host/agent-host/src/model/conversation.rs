//! The conversation and the tools in genai's form. What providers are stricter about than the machine (names, identifiers,
//! pictures in results) is settled here. Called by `provider` and, for the parts that are text, by `json_mode`.

use agent_core::message::{Message, Part, Role, ToolCall, ToolResult};
use agent_core::model::{ModelFailure, ModelFailureKind, ModelRequest};
use agent_core::outcome::{Content, Media, ResourceBody};
use agent_core::tool::ToolDescriptor;
use genai::chat::{ChatMessage, ChatRequest, ContentPart, MessageContent, Tool, ToolResponse};
use serde_json::{Value, json};

use super::failure::failure;

/// Longest tool name or call identifier that all providers take.
const WIRE_NAME_BYTES_MAX: usize = 64;

/// Pictures that providers read.
const IMAGE_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Whether the provider is sent pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pictures {
    /// As pictures, in a user message after the results: no provider takes them everywhere inside results.
    Sent,
    /// As a line that says what is missing. A model that cannot see would refuse the whole request.
    Described,
}

/// The request as genai takes it.
pub(super) fn chat_request(request: ModelRequest<'_>, pictures: Pictures) -> Result<ChatRequest, ModelFailure> {
    let messages = request.messages.iter().flat_map(|message| chat_messages(message, pictures)).collect();
    let mut chat = ChatRequest::new(messages);
    if !request.instructions.is_empty() {
        chat = chat.with_system(request.instructions);
    }
    if request.tools.is_empty() {
        return Ok(chat);
    }
    Ok(chat.with_tools(request.tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?))
}

/// What a result says, as one text.
pub(super) fn result_text(result: &ToolResult, pictures: Pictures) -> String {
    let texts: Vec<String> = result.content.iter().map(|content| content_text(content, pictures)).collect();
    texts.join("\n")
}

fn tool(descriptor: &ToolDescriptor) -> Result<Tool, ModelFailure> {
    let schema = descriptor.input_schema.to_value().map_err(|error| {
        let message = format!("the schema of `{}` cannot be sent: {error}", descriptor.name);
        failure(ModelFailureKind::BadRequest, &message)
    })?;
    Ok(Tool::new(descriptor.name.wire()).with_description(&descriptor.description).with_schema(schema))
}

/// One message, and the pictures of its results if there are any. Nothing to say gives no message.
fn chat_messages(message: &Message, pictures: Pictures) -> Vec<ChatMessage> {
    let parts: Vec<ContentPart> = message.parts.iter().filter_map(|part| content_part(part, pictures)).collect();
    let images = if pictures == Pictures::Sent { images(message) } else { Vec::new() };
    let content = |parts: Vec<ContentPart>| (!parts.is_empty()).then(|| MessageContent::from_parts(parts));
    let message = content(parts).map(|content| match message.role {
        Role::User => ChatMessage::user(content),
        Role::Assistant => ChatMessage::assistant(content),
        Role::Tool => ChatMessage::tool(content),
    });
    message.into_iter().chain(content(images).map(ChatMessage::user)).collect()
}

fn content_part(part: &Part, pictures: Pictures) -> Option<ContentPart> {
    match part {
        Part::Text(text) => (!text.is_empty()).then(|| ContentPart::from_text(text)),
        Part::ToolCall(call) => Some(ContentPart::ToolCall(tool_call(call))),
        Part::ToolResult(result) => Some(ContentPart::ToolResponse(tool_response(result, pictures))),
    }
}

fn tool_call(call: &ToolCall) -> genai::chat::ToolCall {
    genai::chat::ToolCall {
        call_id: wire_safe(&call.id),
        fn_name: wire_safe(&call.tool),
        fn_arguments: arguments_object(&call.arguments),
        thought_signatures: None,
    }
}

/// Providers take back objects only, even where the model wrote something else.
fn arguments_object(written: &str) -> Value {
    match serde_json::from_str(written) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({ "not_an_object": written }),
    }
}

fn tool_response(result: &ToolResult, pictures: Pictures) -> ToolResponse {
    let text = result_text(result, pictures);
    // genai has no field for it, and not every provider has.
    let text = if result.is_error { format!("error: {text}") } else { text };
    ToolResponse::new(wire_safe(&result.id), text).with_fn_name(wire_safe(&result.tool))
}

fn content_text(content: &Content, pictures: Pictures) -> String {
    match content {
        Content::Text(text) => text.clone(),
        Content::Json(json) => json.as_str().to_owned(),
        Content::Image(media) if pictures == Pictures::Sent && is_readable(media) => {
            format!("[{}: in the next message]", media.mime_type)
        }
        Content::Image(media) | Content::Audio(media) => format!("[{}: not shown]", media.mime_type),
        Content::Resource { uri, body: ResourceBody::Text(text), .. } => format!("{uri}:\n{text}"),
        Content::Resource { uri, body: ResourceBody::Base64(_), .. } => format!("[{uri}: not text, not shown]"),
    }
}

fn images(message: &Message) -> Vec<ContentPart> {
    let results = message.parts.iter().filter_map(|part| match part {
        Part::ToolResult(result) => Some(result),
        Part::Text(_) | Part::ToolCall(_) => None,
    });
    let contents = results.flat_map(|result| &result.content);
    let image = |content: &Content| match content {
        Content::Image(media) if is_readable(media) => {
            Some(ContentPart::from_binary_base64(&media.mime_type, media.base64.as_str(), None))
        }
        Content::Text(_) | Content::Json(_) | Content::Image(_) | Content::Audio(_) | Content::Resource { .. } => None,
    };
    contents.filter_map(image).collect()
}

fn is_readable(media: &Media) -> bool {
    IMAGE_TYPES.contains(&media.mime_type.as_str())
}

/// A name within the alphabet that all providers take. A model may have made up any name, and a conversation may move from
/// one provider to another; a refused request would end the run.
fn wire_safe(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(WIRE_NAME_BYTES_MAX).map(safe).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}
