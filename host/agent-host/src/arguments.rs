//! Checks a tool's arguments against its schema before the tool is started. Used for calls of the model and of the operator.

use agent_core::json::JsonText;

/// Longest arguments in bytes.
const BYTES_MAX: usize = 1 << 20;
/// Problems that are listed at most: the model needs the first few, not all of a thousand.
const PROBLEMS_MAX: usize = 8;

/// The arguments as checked JSON, or what is wrong with them in words that the model can act on.
///
/// # Errors
/// Where `text` is too long, no JSON object, or breaks the schema.
pub fn check(text: &str, schema: &JsonText) -> Result<JsonText, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("the arguments are longer than {BYTES_MAX} bytes"));
    }
    // Providers send nothing at all for a tool without parameters.
    let text = if text.trim().is_empty() { "{}" } else { text };
    let arguments = JsonText::parse(text).map_err(|error| format!("the arguments are not JSON: {error}"))?;
    let value = arguments.to_value().map_err(|error| format!("the arguments are not usable: {error}"))?;
    if !value.is_object() {
        return Err("the arguments must be a JSON object".to_owned());
    }
    let schema = schema.to_value().map_err(|error| format!("the tool's schema is not usable: {error}"))?;
    let validator = jsonschema::draft202012::options()
        .build(&schema)
        .map_err(|error| format!("the tool's schema is not usable: {error}"))?;
    let problems: Vec<_> = validator.iter_errors(&value).take(PROBLEMS_MAX).map(|error| problem(&error)).collect();
    if problems.is_empty() { Ok(arguments) } else { Err(format!("the arguments do not fit: {}", problems.join("; "))) }
}

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    match error.instance_path().to_string().as_str() {
        "" => error.to_string(),
        path => format!("{path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<String, String> {
        let schema = serde_json::json!({
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
            "additionalProperties": false,
        });
        check(text, &JsonText::from_value(&schema)).map(|json| json.to_string())
    }

    #[test]
    fn arguments_that_do_not_fit_say_why() {
        assert_eq!(checked(r#"{"expression":"1"}"#), Ok(r#"{"expression":"1"}"#.to_owned()));
        for (text, why) in [
            ("{", "not JSON"),
            ("[1]", "must be a JSON object"),
            ("", "\"expression\" is a required property"),
            (r#"{"expression":1}"#, "/expression: 1 is not of type \"string\""),
            (r#"{"expression":"1","x":2}"#, "'x' was unexpected"),
        ] {
            let message = checked(text).err().unwrap_or_default();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
