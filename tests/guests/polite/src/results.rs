//! The ways in which a call ends.

use agent_host_tool::serde_json::{Value, json};
use agent_host_tool::{Json, Media, Operation, Part, Resource, ResourceBody, args, schemars, serde, tool};

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

/// What is known of a text.
#[derive(serde::Serialize, schemars::JsonSchema)]
#[serde(crate = "agent_host_tool::serde")]
#[schemars(crate = "agent_host_tool::schemars")]
pub(crate) struct Measure {
    /// Its letters.
    letters: u64,
    /// Vowels among them, of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    vowels: Option<f64>,
}

/// Measures a text: what it returns has a schema.
#[tool]
pub(crate) fn measure(message: Message) -> Json<Measure> {
    let letters = message.message.chars().count() as u64;
    let vowels = message.message.chars().filter(|c| "aeiou".contains(*c)).count() as f64;
    Json(Measure { letters, vowels: (letters > 0).then(|| vowels / letters as f64) })
}

/// Promises a number, and gives what it is given.
#[allow(non_camel_case_types, reason = "written like the others, whose names are those of functions")]
pub(crate) struct promise;

impl Operation for promise {
    const NAME: &'static str = "promise";

    fn description() -> String {
        "Promises `{\"n\": integer}`, and gives back its arguments.".to_owned()
    }

    fn input_schema() -> Value {
        json!({ "type": "object", "properties": { "n": {} } })
    }

    fn output_schema() -> Option<Value> {
        Some(json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] }))
    }

    fn call(arguments: &str) -> Result<Vec<Part>, String> {
        Ok(vec![Part::Json(arguments.to_owned())])
    }
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
