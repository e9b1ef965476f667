//! What a tool gives back: one or several parts, made from ordinary values.

use std::fmt::Display;

use serde::Serialize;

/// One piece of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text for the model to read.
    Text(String),
    /// The text of one JSON value; [`Json`] makes it.
    Json(String),
    /// A picture.
    Image(Media),
    /// A sound.
    Audio(Media),
    /// A named piece of content that the model may refer to later.
    Embedded(Resource),
}

/// Bytes of a media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// For instance `image/png`.
    pub mime_type: String,
    /// The bytes themselves, not encoded.
    pub data: Vec<u8>,
}

/// Content under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The name, a URI such as `file:///data/report.md`.
    pub uri: String,
    /// For instance `text/markdown`, where it is known.
    pub mime_type: Option<String>,
    /// What is under the name.
    pub body: ResourceBody,
}

/// The content of a [`Resource`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceBody {
    /// As text.
    Text(String),
    /// As bytes.
    Blob(Vec<u8>),
}

/// A value that becomes one JSON part: `Json(rows)`, or `Json(json!({"found": 3}))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(
    /// The value. It is written as it serialises, so a `serde_json::value::RawValue` in it keeps its digits.
    pub T,
);

/// Values that a tool function may return: text, [`Json`], parts, or nothing.
pub trait IntoParts {
    /// The value as parts.
    ///
    /// # Errors
    /// The value has no JSON form.
    fn into_parts(self) -> Result<Vec<Part>, String>;
}

/// What a tool function returns: parts, or a `Result` of parts and an error that can be shown.
pub trait IntoOutcome {
    /// The outcome as the host takes it.
    ///
    /// # Errors
    /// The tool's own error, as text for the model.
    fn into_outcome(self) -> Result<Vec<Part>, String>;
}

impl<T: IntoParts> IntoOutcome for T {
    fn into_outcome(self) -> Result<Vec<Part>, String> {
        self.into_parts()
    }
}

impl<T: IntoParts, E: Display> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Result<Vec<Part>, String> {
        // The alternate form prints an `anyhow::Error` with its causes and changes nothing for others.
        self.map_err(|error| format!("{error:#}"))?.into_parts()
    }
}

impl IntoParts for () {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        Ok(Vec::new())
    }
}

impl IntoParts for String {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        Ok(vec![Part::Text(self)])
    }
}

impl IntoParts for &str {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        self.to_owned().into_parts()
    }
}

impl<T: Serialize> IntoParts for Json<T> {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        let text = serde_json::to_string(&self.0).map_err(|error| format!("the result has no JSON form: {error}"))?;
        Ok(vec![Part::Json(text)])
    }
}

impl IntoParts for Part {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        Ok(vec![self])
    }
}

impl IntoParts for Vec<Part> {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_values_become_parts() {
        assert_eq!("hi".into_outcome(), Ok(vec![Part::Text("hi".to_owned())]));
        assert_eq!(().into_outcome(), Ok(vec![]));
        assert_eq!(Json([1, 2]).into_outcome(), Ok(vec![Part::Json("[1,2]".to_owned())]));
    }

    #[test]
    fn an_error_becomes_its_text() {
        let outcome: Result<String, std::num::ParseIntError> = "x".parse::<i32>().map(|n| n.to_string());
        assert_eq!(outcome.into_outcome(), Err("invalid digit found in string".to_owned()));
    }
}
