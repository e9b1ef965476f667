//! Providers against prepared bytes on a loopback port: what is sent, what comes back, and what every bad ending is called.

use std::time::{Duration, Instant};

use agent_core::json::JsonText;
use agent_core::message::{Message, Part, Role, ToolCall, ToolResult};
use agent_core::model::{ModelFailure, ModelFailureKind, ModelReply, ModelRequest, ProposedCall, TokenUsage};
use agent_core::outcome::{Content, Media};
use agent_core::tool::ToolDescriptor;
use agent_core::units::Millis;
use genai::Client;
use genai::adapter::AdapterKind;

use super::Model;
use super::canned_server::{Answer, CannedServer};
use super::conversation::Pictures;
use super::json_mode::{FirstTurn, JsonMode, JsonToolMode, Mark};
use super::provider::Provider;
use super::wire::Wire;

const KEY: &str = "sk-test-4711";

const OPENAI_TEXT: &str = r#"{"id":"c1","model":"gpt-x-2026","choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"Hello."}}],"usage":{"prompt_tokens":9,"completion_tokens":2,
    "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}}"#;

const OPENAI_CALLS: &str = r#"{"model":"gpt-x","choices":[{"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[
    {"id":"call_a","type":"function","function":{"name":"calc__evaluate","arguments":"{\"expression\": \"1+1\", \"big\": 12345678901}"}},
    {"id":"call_b","type":"function","function":{"name":"calc__evaluate","arguments":"{}"}}]}}]}"#;

const ANTHROPIC_CALL: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"claude-x","stop_reason":"tool_use",
    "content":[{"type":"text","text":"I calculate."},{"type":"tool_use","id":"toolu_1","name":"calc__evaluate","input":{"expression":"1+1"}}],
    "usage":{"input_tokens":20,"output_tokens":7}}"#;

/// Longest wait for a reply, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

fn provider(kind: AdapterKind, server: &CannedServer, reply_timeout: Duration) -> Provider {
    let base: reqwest::Url = format!("{}/v1", server.origin()).parse().unwrap();
    let to_relay = reqwest::Client::builder().no_proxy().build().unwrap();
    Provider {
        name: format!("{}:m-1", kind.as_lower_str()),
        kind,
        model: "m-1".to_owned(),
        wire: Wire::new(&base, Some(KEY.to_owned()), reply_timeout).unwrap(),
        base,
        key: KEY.to_owned(),
        pictures: Pictures::Sent,
        genai: Client::builder().with_reqwest(to_relay).build().unwrap(),
    }
}

fn calc() -> ToolDescriptor {
    let schema = r#"{"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]}"#;
    ToolDescriptor {
        name: "calc.evaluate".parse().unwrap(),
        description: "Evaluates an expression.".to_owned(),
        input_schema: JsonText::parse(schema).unwrap(),
        output_schema: None,
    }
}

async fn ask(model: &dyn Model, messages: &[Message]) -> Result<ModelReply, ModelFailure> {
    model.reply(ModelRequest { instructions: "Be brief.", messages, tools: &[calc()] }).await
}

fn conversation() -> Vec<Message> {
    let call = |id: &str, tool: &str, arguments: &str| {
        Part::ToolCall(ToolCall { id: id.to_owned(), tool: tool.to_owned(), arguments: arguments.to_owned() })
    };
    let result = |id: &str, content: Vec<Content>, is_error: bool| {
        Part::ToolResult(ToolResult { id: id.to_owned(), tool: "calc__evaluate".to_owned(), content, is_error })
    };
    let picture = Content::Image(Media { mime_type: "image/png".to_owned(), base64: "iVBORw0=".to_owned() });
    vec![
        Message::from_user("What is 1+1?"),
        Message {
            role: Role::Assistant,
            parts: vec![
                Part::Text("Let me see.".to_owned()),
                call("c#1", "calc__evaluate", r#"{"expression":"1+1"}"#),
                call("c2", "no such tool!", "{not json"),
            ],
        },
        Message {
            role: Role::Tool,
            parts: vec![
                result("c#1", vec![Content::Json(JsonText::parse(r#"{"value":2}"#).unwrap()), picture], false),
                result("c2", vec![Content::Text("there is no such tool".to_owned())], true),
            ],
        },
    ]
}

#[tokio::test]
async fn openai_is_sent_the_conversation() {
    let server = CannedServer::start(vec![Answer::json(200, OPENAI_TEXT)]);
    let reply = ask(&provider(AdapterKind::OpenAI, &server, PATIENCE), &conversation()).await;
    let usage = TokenUsage { cache_read: Some(4), reasoning: Some(1), ..TokenUsage::of(9, 2) };
    let (text, model, id) = ("Hello.".to_owned(), "gpt-x-2026".to_owned(), Some("c1".to_owned()));
    assert_eq!(reply, Ok(ModelReply { text, calls: vec![], usage, model, id }));
    let head = server.received()[0].to_lowercase();
    assert!(
        head.starts_with("post /v1/chat/completions http/1.1\r\n")
            && head.contains(&format!("authorization: bearer {KEY}\r\n")),
        "{head}"
    );
    insta::assert_json_snapshot!("openai_request", server.received_json(0));
}

#[tokio::test]
async fn anthropic_is_sent_the_conversation() {
    let server = CannedServer::start(vec![Answer::json(200, ANTHROPIC_CALL)]);
    let reply = ask(&provider(AdapterKind::Anthropic, &server, PATIENCE), &conversation()).await;
    let call = ProposedCall {
        id: Some("toolu_1".to_owned()),
        tool: "calc__evaluate".to_owned(),
        arguments: r#"{"expression":"1+1"}"#.to_owned(),
    };
    let usage = TokenUsage::of(20, 7);
    let (text, model, id) = ("I calculate.".to_owned(), "claude-x".to_owned(), Some("m1".to_owned()));
    assert_eq!(reply, Ok(ModelReply { text, calls: vec![call], usage, model, id }));
    let head = server.received()[0].to_lowercase();
    assert!(
        head.starts_with("post /v1/messages http/1.1\r\n") && head.contains(&format!("x-api-key: {KEY}\r\n")),
        "{head}"
    );
    insta::assert_json_snapshot!("anthropic_request", server.received_json(0));
}

#[tokio::test]
async fn calls_come_in_their_order() {
    let server = CannedServer::start(vec![Answer::json(200, OPENAI_CALLS)]);
    let reply = ask(&provider(AdapterKind::OpenAI, &server, PATIENCE), &[Message::from_user("Go")]).await.unwrap();
    let call = |id: &str, arguments: &str| ProposedCall {
        id: Some(id.to_owned()),
        tool: "calc__evaluate".to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(reply.calls, [call("call_a", r#"{"expression":"1+1","big":12345678901}"#), call("call_b", "{}")]);
}

/// Every provider's requests pass our wire and carry the tools; none goes around it or drops them.
#[tokio::test]
async fn every_provider_is_reached_through_the_wire() {
    let taken_for_openai = [AdapterKind::Baidu, AdapterKind::Zai, AdapterKind::Cohere];
    for kind in AdapterKind::all().iter().filter(|kind| !taken_for_openai.contains(kind)) {
        let server = CannedServer::start(vec![Answer::json(418, "{}")]);
        // Vertex tells by the model's name whose JSON it takes.
        let provider = Provider { model: "gemini-m".to_owned(), ..provider(*kind, &server, PATIENCE) };
        let failure = ask(&provider, &[Message::from_user("Go")]).await.unwrap_err();
        assert!(failure.message.starts_with("`127.0.0.1` answered 418"), "{kind}: {}", failure.message);
        let request = server.received().remove(0);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/") && body.contains("calc__evaluate"), "{kind}: {request}");
    }
}

struct Ending {
    answer: Answer,
    kind: ModelFailureKind,
    retry_after: Option<u64>,
    message: &'static str,
}

fn ending(answer: Answer, kind: ModelFailureKind, message: &'static str) -> Ending {
    Ending { answer, kind, retry_after: None, message }
}

fn choice(body: &str) -> Answer {
    Answer::json(200, &format!(r#"{{"model":"m","choices":[{body}]}}"#))
}

fn bad_endings() -> Vec<Ending> {
    use ModelFailureKind::{BadReply, BadRequest, Network, RateLimited, ServerError, Unauthorized};
    let echo = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}.","type":"x"}}}}"#);
    let flood_of_words = format!(r#"{{"error":{{"message":"{}"}}}}"#, "blah ".repeat(2_000));
    let half = r#"{"finish_reason":"length","message":{"content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"a__b","arguments":"{}"}}]}}"#;
    let filtered = r#"{"finish_reason":"content_filter","message":{"content":"No"}}"#;
    let empty = r#"{"finish_reason":"stop","message":{"content":" "}}"#;
    vec![
        ending(
            Answer::json(401, &echo),
            Unauthorized,
            "`127.0.0.1` answered 401 Unauthorized: the key is not accepted: Incorrect API key provided: [key].",
        ),
        ending(
            Answer::json(403, "{}"),
            Unauthorized,
            "`127.0.0.1` answered 403 Forbidden: the key is not accepted: {}",
        ),
        Ending {
            retry_after: Some(7_000),
            ..ending(
                Answer::typed(429, "application/json", &["retry-after: 7"], r#"{"error":"slow down"}"#),
                RateLimited,
                "`127.0.0.1` answered 429 Too Many Requests: slow down",
            )
        },
        ending(Answer::json(500, ""), ServerError, "`127.0.0.1` answered 500 Internal Server Error"),
        ending(
            Answer::typed(502, "text/html", &[], "<html><h1>Bad gateway"),
            ServerError,
            "`127.0.0.1` answered 502 Bad Gateway: a web page instead of JSON",
        ),
        ending(
            Answer::json(529, r#"{"error":{"message":"Over\u0007loaded\u202e"}}"#),
            ServerError,
            "`127.0.0.1` answered 529 <unknown status code>: Over\\u{7}loaded\\u{202e}",
        ),
        ending(Answer::json(400, &flood_of_words), BadRequest, "`127.0.0.1` answered 400 Bad Request: blah blah"),
        ending(
            Answer::typed(302, "text/plain", &["location: http://elsewhere.example/"], ""),
            BadRequest,
            "`127.0.0.1` answered 302 Found: redirects are not followed",
        ),
        ending(
            Answer::typed(200, "text/html", &[], "<html>Log in to the guest network"),
            BadReply,
            "the reply of `127.0.0.1` is not the JSON it should be (expected value at line 1 column 1); it begins: <html>Log in",
        ),
        ending(Answer::json(200, ""), BadReply, "the reply of `127.0.0.1` is empty"),
        ending(
            Answer::json(200, r#"{"choices":[{"message":{"content":"Hel"#),
            BadReply,
            "the reply of `127.0.0.1` is not the JSON it should be (EOF while parsing",
        ),
        ending(
            Answer::json(200, r#"{"error":{"message":"upstream is down"}}"#),
            ServerError,
            "`127.0.0.1` replied with an error: upstream is down",
        ),
        ending(
            Answer::raw(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"choices\":",
            ),
            Network,
            "the connection broke while talking to `127.0.0.1`",
        ),
        ending(Answer::raw(""), Network, "the connection broke while talking to `127.0.0.1`"),
        ending(
            Answer::raw("220 smtp.example.com ready\r\n"),
            Network,
            "the connection broke while talking to `127.0.0.1`",
        ),
        ending(choice(""), BadReply, "the reply of `openai:m-1` has neither text nor calls"),
        ending(choice(empty), BadReply, "the reply of `openai:m-1` has neither text nor calls"),
        ending(choice(half), BadRequest, "the reply of `openai:m-1` was cut off at its token limit"),
        ending(choice(filtered), BadRequest, "the reply of `openai:m-1` was stopped by the provider's content filter"),
        ending(Answer::json(200, "[1, 2]"), BadReply, "the reply of `127.0.0.1` is not the JSON it should be"),
    ]
}

#[tokio::test]
async fn every_bad_ending_has_its_name() {
    for case in bad_endings() {
        let server = CannedServer::start(vec![case.answer]);
        let failure =
            ask(&provider(AdapterKind::OpenAI, &server, PATIENCE), &[Message::from_user("Go")]).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.retry_after),
            (case.kind, case.retry_after.map(Millis)),
            "{}",
            failure.message
        );
        assert!(failure.message.starts_with(case.message), "{}\n  expected: {}", failure.message, case.message);
        assert!(failure.message.len() <= 1024 && !failure.message.contains(KEY), "{}", failure.message);
    }
}

/// The model is told, as of any other wrong arguments; nothing else of the reply is lost.
#[tokio::test]
async fn arguments_that_are_not_json_arrive_as_they_were_written() {
    let not_json = r#"{"finish_reason":"tool_calls","message":{"tool_calls":[{"id":"1","type":"function","function":{"name":"a__b","arguments":"{\"x\": "}}]}}"#;
    let server = CannedServer::start(vec![choice(not_json)]);
    let reply = ask(&provider(AdapterKind::OpenAI, &server, PATIENCE), &[Message::from_user("Go")]).await.unwrap();
    let calls: Vec<_> = reply.calls.iter().map(|call| (call.tool.as_str(), call.arguments.as_str())).collect();
    assert_eq!(calls, [("a__b", "{\"x\": ")]);
}

#[tokio::test]
async fn silence_ends() {
    let server = CannedServer::start(vec![Answer::silence()]);
    let model = provider(AdapterKind::OpenAI, &server, Duration::from_millis(200));
    let failure = ask(&model, &[Message::from_user("Go")]).await.unwrap_err();
    assert_eq!(
        failure,
        ModelFailure::new(ModelFailureKind::Timeout, "no complete reply from `127.0.0.1` within 200 ms")
    );
}

#[tokio::test]
async fn nobody_there_is_told_so() {
    let server = CannedServer::start(vec![]);
    let failure =
        ask(&provider(AdapterKind::OpenAI, &server, PATIENCE), &[Message::from_user("Go")]).await.unwrap_err();
    assert_eq!(failure.kind, ModelFailureKind::Network);
    assert!(failure.message.starts_with("cannot reach `127.0.0.1`: "), "{}", failure.message);
}

/// P14: a reply of a gigabyte ends after a few megabytes, whether it says its length or not.
#[tokio::test]
async fn a_flood_is_not_swallowed() {
    let declared = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{";
    for answer in [Answer::flood(1024), Answer::raw(declared)] {
        let server = CannedServer::start(vec![answer]);
        let started = Instant::now();
        let failure =
            ask(&provider(AdapterKind::OpenAI, &server, PATIENCE), &[Message::from_user("Go")]).await.unwrap_err();
        assert_eq!(
            failure,
            ModelFailure::new(ModelFailureKind::BadReply, "the reply of `127.0.0.1` is larger than 4.00 MiB")
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn json_mode_asks_for_one_step() {
    let step = r#"{"model":"m","choices":[{"finish_reason":"stop","message":{"content":"{\"tool\": \"calc__evaluate\", \"arguments\": {\"expression\": \"1+1\"}}"}}],"usage":{"prompt_tokens":5,"completion_tokens":4}}"#;
    let server = CannedServer::start(vec![Answer::json(200, step), Answer::json(200, OPENAI_TEXT)]);
    let mode = JsonToolMode { first_turn: FirstTurn::Call, reply_tokens_max: 64 };
    let model = JsonMode::new(provider(AdapterKind::OpenAI, &server, PATIENCE), mode, Mark::of([1; 4]));
    let reply = ask(&model, &[Message::from_user("What is 1+1?")]).await;
    let call =
        ProposedCall { id: None, tool: "calc__evaluate".to_owned(), arguments: r#"{"expression": "1+1"}"#.to_owned() };
    let usage = TokenUsage::of(5, 4);
    let (text, of) = (String::new(), "m".to_owned());
    assert_eq!(reply, Ok(ModelReply { text, calls: vec![call], usage, model: of, id: None }));
    let failure = ask(&model, &conversation()).await.unwrap_err();
    let expected = "the reply of `openai:m-1` is not one JSON object with a call or an answer (expected value at line 1 column 1); it is: Hello.";
    assert_eq!(failure, ModelFailure::new(ModelFailureKind::BadReply, expected));
    insta::assert_json_snapshot!("json_mode_first_turn", server.received_json(0));
    insta::assert_json_snapshot!("json_mode_later_turn", server.received_json(1));
}
