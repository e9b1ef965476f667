//! From the text of a JSON object to the argument of a tool function, with errors that a model can act on.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Path;

/// The arguments of a function that takes none: an empty object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

/// Reads arguments. The error names the argument at fault: `` argument `where[0].op`: unknown variant `equals` …``.
///
/// # Errors
/// The text is not JSON, or does not have the shape of `T`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = place(error.path());
        format!("invalid arguments: {place}{}", without_position(&error.into_inner()))
    })?;
    reader.end().map_err(|error| format!("invalid arguments: {}", without_position(&error)))?;
    Ok(value)
}

fn place(path: &Path) -> String {
    if path.iter().next().is_none() { String::new() } else { format!("`{path}`: ") }
}

/// Line and column of the argument text mean nothing to a model, which never sees that text laid out.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Find {
        pattern: String,
        #[serde(default)]
        limits: Vec<Limit>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        lines: u32,
    }

    #[test]
    fn good_arguments_are_read() {
        let expected = Find { pattern: "a".to_owned(), limits: vec![Limit { lines: 3 }] };
        assert_eq!(parse(r#"{"pattern": "a", "limits": [{"lines": 3}]}"#), Ok(expected));
    }

    #[test]
    fn errors_name_the_argument() {
        let cases = [
            ("{}", "invalid arguments: missing field `pattern`"),
            (r#"{"pattern": 5}"#, "invalid arguments: `pattern`: invalid type: integer `5`, expected a string"),
            (
                r#"{"pattern": "a", "limits": [{"lines": -1}]}"#,
                "invalid arguments: `limits[0].lines`: invalid value: integer `-1`, expected u32",
            ),
            (
                r#"{"patern": "a"}"#,
                "invalid arguments: `patern`: unknown field `patern`, expected `pattern` or `limits`",
            ),
            ("{} x", "invalid arguments: missing field `pattern`"),
            (r#"{"pattern": "a"} x"#, "invalid arguments: trailing characters"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse::<Find>(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        assert!(parse::<NoArgs>("{}").is_ok());
        assert!(parse::<NoArgs>(r#"{"x": 1}"#).is_err());
    }
}
