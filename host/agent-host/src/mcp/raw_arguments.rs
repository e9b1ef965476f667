//! A call's arguments as the client wrote them. The protocol's library reads them into numbers of 64 bits and forgets keys that
//! come twice; the sandbox checks the text itself, so the text is what it gets. Used by the transports, which see the bytes.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetExtensions, JsonRpcMessage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a request's extensions carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawArguments(pub String);

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The arguments in a message, if it has any.
#[must_use]
pub fn find(message: &[u8]) -> Option<RawArguments> {
    let request: Request<'_> = serde_json::from_slice(message).ok()?;
    Some(RawArguments(request.params?.arguments?.get().to_owned()))
}

/// Puts the arguments beside a message that asks for a call.
pub fn attach(message: &mut ClientJsonRpcMessage, bytes: &[u8]) {
    if let JsonRpcMessage::Request(request) = message
        && let ClientRequest::CallToolRequest(call) = &mut request.request
        && let Some(raw) = find(bytes)
    {
        call.extensions_mut().insert(raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_what_a_parser_would_change() {
        let arguments = r#"{ "n": 12345678901234567890123, "a": 1, "a": 2 }"#;
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}"#
        );
        assert_eq!(find(message.as_bytes()), Some(RawArguments(arguments.to_owned())));
        for none in [r#"{"method":"tools/list"}"#, r#"{"params":{}}"#, "no JSON"] {
            assert_eq!(find(none.as_bytes()), None, "{none}");
        }
    }
}
