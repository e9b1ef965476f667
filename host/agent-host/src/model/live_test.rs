//! The JSON tool mode against a real model, where one is served: `tests/model_server/serve.py` prints the address for
//! `AGENT_HOST_TEST_MODEL_URL`. Without it the test says so and ends. It asserts on structure, never on wisdom.

use agent_core::json::JsonText;
use agent_core::message::{Message, Part, Role, ToolCall, ToolResult};
use agent_core::model::{ModelReply, ModelRequest, ProposedCall};
use agent_core::outcome::Content;
use agent_core::tool::ToolDescriptor;
use serde_json::Value;

use super::json_mode::{FirstTurn, JsonToolMode};
use super::opening::{ToolMode, open};

/// Most turns of the little loop below; a small model may never stop calling.
const TURNS_MAX: usize = 4;

fn tools() -> Vec<ToolDescriptor> {
    let tool = |name: &str, description: &str, schema: &str| ToolDescriptor {
        name: name.parse().unwrap(),
        description: description.to_owned(),
        input_schema: JsonText::parse(schema).unwrap(),
        output_schema: None,
    };
    vec![
        tool(
            "calc.evaluate",
            "Evaluate an arithmetic expression.",
            r#"{"type":"object","properties":{"expression":{"type":"string","minLength":1,"maxLength":40,"description":"for instance 2+3"}},"required":["expression"]}"#,
        ),
        // As many kinds of schema as fit, so that the server's grammar converter sees them all.
        tool(
            "files.search",
            "Find text in files.",
            r##"{"type":"object","required":["text"],"properties":{
                "text":{"type":"string","pattern":"^.*$","maxLength":20},"depth":{"type":"integer","minimum":0,"maximum":18446744073709551615},
                "kind":{"enum":["name","content",null]},"range":{"$ref":"#/$defs/Range"},"near":{"type":"array","prefixItems":[{"type":"number"},{"type":"number"}]},
                "tags":{"type":"array","items":{"type":"string","maxLength":8},"maxItems":2},"case":{"type":["boolean","null"]}},
                "$defs":{"Range":{"type":"object","properties":{"from":{"type":"integer","minimum":1,"maximum":99},"to":{"type":"integer"}},"required":["from"]}}}"##,
        ),
    ]
}

fn answer_of(call: &ProposedCall, number: usize) -> [Message; 2] {
    let id = format!("call_{number}");
    let content = vec![Content::Json(JsonText::parse(r#"{"value":391}"#).unwrap())];
    let made = Part::ToolCall(ToolCall { id: id.clone(), tool: call.tool.clone(), arguments: call.arguments.clone() });
    let result = Part::ToolResult(ToolResult { id, tool: call.tool.clone(), content, is_error: false });
    [Message { role: Role::Assistant, parts: vec![made] }, Message { role: Role::Tool, parts: vec![result] }]
}

/// Every reply must be well-formed, and the first a call; the loop may end with an answer or with its turns.
#[tokio::test]
async fn a_small_real_model_keeps_to_the_form() {
    let Ok(url) = std::env::var("AGENT_HOST_TEST_MODEL_URL") else {
        panic!("AGENT_HOST_TEST_MODEL_URL is not set: run the tests by `cargo xtask test`")
    };
    let mode = ToolMode::Json(JsonToolMode { first_turn: FirstTurn::Call, reply_tokens_max: 200 });
    let model = open(&"openai:local".parse().unwrap(), Some(&url), mode).await.unwrap();
    for question in ["What is 17 * 23?", "Find the word rain in the files."] {
        let mut messages = vec![Message::from_user(question)];
        for turn in 0..TURNS_MAX {
            let started = std::time::Instant::now();
            let tools = tools();
            let request = ModelRequest {
                instructions: "You answer questions with the help of tools.",
                messages: &messages,
                tools: &tools,
            };
            let ModelReply { text, calls, usage, .. } = model.reply(request).await.unwrap();
            eprintln!("{question} turn {turn}: {:?} {usage:?}: {text:?} {calls:?}", started.elapsed());
            assert_eq!(calls.len() == 1, text.is_empty());
            let Some(call) = calls.first() else {
                assert!(turn > 0, "the first turn must be a call");
                break;
            };
            assert!(tools.iter().any(|tool| tool.name.wire() == call.tool), "{call:?}");
            assert!(serde_json::from_str::<Value>(&call.arguments).unwrap().is_object());
            messages.extend(answer_of(call, turn));
        }
    }
}
