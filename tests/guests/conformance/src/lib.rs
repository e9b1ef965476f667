//! The tools that `@modelcontextprotocol/conformance` calls by name, as a component, so that the suite runs through the
//! sandbox. What each returns is the suite's word; `xtask/src/mcp` serves them to it.

use std::thread::sleep;
use std::time::Duration;

use agent_host_tool::serde_json::{Value, json};
use agent_host_tool::{Level, Media, Operation, Part, Resource, ResourceBody, args, log, progress, tool};

/// A red pixel.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49,
    0x44, 0x41, 0x54, 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x00, 0x03, 0x01, 0x01, 0x00, 0x18, 0xdd, 0x8d, 0xb0,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];
/// A sound file without a sound.
const SILENCE: &[u8] = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00";
/// Between two words of a tool: the host passes on progress at a human pace, ten a second.
const PAUSE: Duration = Duration::from_millis(120);

fn image() -> Part {
    Part::Image(Media { mime_type: "image/png".to_owned(), data: PIXEL.to_vec() })
}

fn resource(uri: &str, mime_type: &str, text: &str) -> Part {
    let (uri, mime_type) = (uri.to_owned(), Some(mime_type.to_owned()));
    Part::Embedded(Resource { uri, mime_type, body: ResourceBody::Text(text.to_owned()) })
}

/// Returns a text.
#[tool]
fn test_simple_text() -> &'static str {
    "This is a simple text response for testing."
}

/// Returns a picture.
#[tool]
fn test_image_content() -> Part {
    image()
}

/// Returns a sound.
#[tool]
fn test_audio_content() -> Part {
    Part::Audio(Media { mime_type: "audio/wav".to_owned(), data: SILENCE.to_vec() })
}

/// Returns a resource.
#[tool]
fn test_embedded_resource() -> Part {
    resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
}

/// Returns parts of several kinds.
#[tool]
fn test_multiple_content_types() -> Vec<Part> {
    let json = resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#);
    vec![Part::Text("Multiple content types test:".to_owned()), image(), json]
}

/// Logs while it works.
#[tool]
fn test_tool_with_logging() -> &'static str {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        log(Level::Info, message);
        sleep(PAUSE);
    }
    "logged three times"
}

/// Logs, for clients that did not ask for it.
#[tool]
fn test_logging_tool() -> &'static str {
    log(Level::Info, "nobody asked for this");
    "logged once"
}

/// Says something on the way to a client that could be asked.
#[tool]
fn test_streaming_elicitation() -> &'static str {
    progress("nobody is asked", None);
    "asked nobody"
}

/// Where something is.
#[args]
struct Place {
    /// A region, which a client over HTTP says in a header too.
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
}

/// Names the region that it was given.
#[tool]
fn test_region(place: Place) -> String {
    place.region
}

/// Says how far it is.
#[tool]
fn test_tool_with_progress() -> &'static str {
    for step in [0.0, 0.5, 1.0] {
        progress("on the way", Some(step));
        sleep(PAUSE);
    }
    "told how far it was"
}

/// Always fails.
#[tool]
fn test_error_handling() -> Result<String, String> {
    Err("This tool intentionally returns an error for testing".to_owned())
}

/// How long to work.
#[args]
struct Work {
    /// Milliseconds.
    #[serde(default)]
    ms: u64,
}

/// Works for a while without waiting for anything.
#[tool]
fn busy(work: Work) -> String {
    let begun = std::time::Instant::now();
    let mut rounds = 0_u64;
    // The clock stands still while a guest computes, so rounds are what is counted.
    while rounds < work.ms.saturating_mul(100_000) {
        rounds = std::hint::black_box(rounds + 1);
    }
    format!("{rounds} rounds, {} ms by the guest's clock", begun.elapsed().as_millis())
}

/// Waits for a while.
#[tool]
fn wait(work: Work) -> &'static str {
    sleep(Duration::from_millis(work.ms));
    "waited"
}

/// A tool whose schema uses more of JSON Schema than types bring about.
#[allow(non_camel_case_types, reason = "written like the others, whose names are those of functions")]
struct json_schema_2020_12_tool;

impl Operation for json_schema_2020_12_tool {
    const NAME: &'static str = "json_schema_2020_12_tool";

    fn description() -> String {
        "Tool with JSON Schema 2020-12 features".to_owned()
    }

    fn input_schema() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } }
                }
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" }
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false
        })
    }

    fn call(arguments: &str) -> Result<Vec<Part>, String> {
        Ok(vec![Part::Text(arguments.to_owned())])
    }
}

agent_host_tool::export!(
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_logging,
    test_tool_with_progress,
    test_logging_tool,
    test_streaming_elicitation,
    test_region,
    test_error_handling,
    busy,
    wait,
    json_schema_2020_12_tool
);
