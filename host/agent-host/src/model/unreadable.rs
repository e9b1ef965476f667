//! Arguments of a call that are not JSON: small models write some. genai gives up the whole reply over one; the model is to be told
//! instead, as of any other wrong arguments. Called by `relay`, between the provider and genai.

use serde_json::Value;

/// The reply with every text of arguments readable: one that is not JSON becomes the JSON string of that text, which `provider` takes
/// for what the model wrote. Any other reply stays as it is, byte for byte.
pub(super) fn with_readable_arguments(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut reply) = serde_json::from_slice::<Value>(&body) else { return body };
    let mut quoted = 0_usize;
    for arguments in of_chat(&mut reply) {
        quoted += usize::from(quote(arguments));
    }
    for arguments in of_responses(&mut reply) {
        quoted += usize::from(quote(arguments));
    }
    if quoted == 0 { body } else { serde_json::to_vec(&reply).unwrap_or(body) }
}

/// Makes a text that is not JSON a JSON string of it; whether it had to.
fn quote(arguments: &mut Value) -> bool {
    let Value::String(written) = arguments else { return false };
    let unreadable = serde_json::from_str::<serde::de::IgnoredAny>(written).is_err();
    if unreadable {
        *written = Value::String(std::mem::take(written)).to_string();
    }
    unreadable
}

/// As chat completions have them: `choices[].message.tool_calls[].function.arguments`.
fn of_chat(reply: &mut Value) -> impl Iterator<Item = &mut Value> {
    items(reply.get_mut("choices"))
        .filter_map(|choice| choice.get_mut("message"))
        .flat_map(|message| items(message.get_mut("tool_calls")))
        .filter_map(|call| call.get_mut("function")?.get_mut("arguments"))
}

/// As the Responses API has them: `output[].arguments`.
fn of_responses(reply: &mut Value) -> impl Iterator<Item = &mut Value> {
    items(reply.get_mut("output")).filter_map(|item| item.get_mut("arguments"))
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    list.and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> String {
        String::from_utf8_lossy(&with_readable_arguments(body.as_bytes().to_vec())).into_owned()
    }

    #[test]
    fn only_arguments_that_are_not_json_are_quoted() {
        let chat = |arguments: &str| {
            format!(r#"{{"choices":[{{"message":{{"tool_calls":[{{"function":{{"arguments":{arguments}}}}}]}}}}]}}"#)
        };
        let responses = |arguments: &str| format!(r#"{{"output":[{{"arguments":{arguments}}}]}}"#);
        for form in [&chat as &dyn Fn(&str) -> String, &responses] {
            assert_eq!(read(&form(r#""{\"x\": ""#)), form(r#""\"{\\\"x\\\": \"""#));
            assert_eq!(read(&form(r#""""#)), form(r#""\"\"""#));
            for kept in [r#""{\"x\" : 1}""#, r#""[1]""#, r#"{"x":1}"#, "null", "7"] {
                assert_eq!(read(&form(kept)), form(kept));
            }
        }
        for kept in ["", "no JSON", "[1, 2]", r#"{"choices": 3}"#, r#"{ "choices":[ {"message":{}} ] }"#] {
            assert_eq!(read(kept), kept);
        }
    }
}
