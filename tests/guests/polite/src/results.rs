//! The ways in which a call ends.

use agent_host_tool::{Json, Media, Part, Resource, ResourceBody, args, serde_json::Value, tool};

/// Any JSON value.
#[args]
pub(crate) struct Echo {
    value: Value,
}

/// A text.
#[args]
pub(crate) struct Message {
    message: String,
}

/// Gives back what it was given.
#[tool]
pub(crate) fn echo(echo: Echo) -> Json<Value> {
    Json(echo.value)
}

/// Gives back one part of every kind.
#[tool]
pub(crate) fn parts() -> Vec<Part> {
    let media = |mime_type: &str| Media { mime_type: mime_type.to_owned(), data: vec![0, 1, 2, 255] };
    let resource = |uri: &str, body| Part::Embedded(Resource { uri: uri.to_owned(), mime_type: None, body });
    vec![
        Part::Text("text".to_owned()),
        Part::Json(r#"{"exact":0.10}"#.to_owned()),
        Part::Image(media("image/png")),
        Part::Audio(media("audio/wav")),
        resource("memory:text", ResourceBody::Text("text".to_owned())),
        resource("memory:blob", ResourceBody::Blob(vec![0, 1, 2, 255])),
    ]
}

/// Fails, as a tool does that cannot do what was asked.
#[tool]
pub(crate) fn fail(message: Message) -> Result<String, String> {
    Err(message.message)
}

/// Panics: the message goes to standard error, and the call is stopped.
#[tool]
pub(crate) fn panic(message: Message) -> String {
    panic!("{}", message.message)
}
