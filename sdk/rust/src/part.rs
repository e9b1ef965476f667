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

impl Part {
    /// A picture, for instance of `image/png`.
    #[must_use]
    pub fn image(mime_type: &str, data: impl Into<Vec<u8>>) -> Self {
        Self::Image(Media { mime_type: mime_type.to_owned(), data: data.into() })
    }

    /// A sound, for instance of `audio/wav`.
    #[must_use]
    pub fn audio(mime_type: &str, data: impl Into<Vec<u8>>) -> Self {
        Self::Audio(Media { mime_type: mime_type.to_owned(), data: data.into() })
    }

    /// A text under a name, for instance `file:///data/report.md` and `text/markdown`.
    #[must_use]
    pub fn document(uri: &str, mime_type: &str, text: &str) -> Self {
        let body = ResourceBody::Text(text.to_owned());
        Self::Embedded(Resource { uri: uri.to_owned(), mime_type: Some(mime_type.to_owned()), body })
    }
}

/// Values that a tool function may return: text, [`Json`], parts, nothing, or several of these in a tuple or a list.
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

impl<T: IntoParts> IntoParts for Vec<T> {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        let parts: Result<Vec<_>, _> = self.into_iter().map(T::into_parts).collect();
        Ok(parts?.into_iter().flatten().collect())
    }
}

/// Nothing where it is absent.
impl<T: IntoParts> IntoParts for Option<T> {
    fn into_parts(self) -> Result<Vec<Part>, String> {
        self.map_or_else(|| Ok(Vec::new()), T::into_parts)
    }
}

macro_rules! tuples {
    ($(($($one:ident)+))+) => {
        $(impl<$($one: IntoParts),+> IntoParts for ($($one,)+) {
            fn into_parts(self) -> Result<Vec<Part>, String> {
                #[allow(non_snake_case, reason = "a type and its value have one name here")]
                let ($($one,)+) = self;
                Ok([$($one.into_parts()?),+].concat())
            }
        })+
    };
}

tuples! { (A B) (A B C) (A B C D) }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_values_become_parts() {
        assert_eq!("hi".into_outcome(), Ok(vec![Part::Text("hi".to_owned())]));
        assert_eq!(().into_outcome(), Ok(vec![]));
        assert_eq!(Json([1, 2]).into_outcome(), Ok(vec![Part::Json("[1,2]".to_owned())]));
        let picture = Part::image("image/png", [1, 2]);
        let several = ("hi", Json(1), Some(picture.clone()), None::<Part>).into_outcome();
        assert_eq!(several, Ok(vec![Part::Text("hi".to_owned()), Part::Json("1".to_owned()), picture]));
        assert_eq!(vec!["a", "b"].into_outcome().map(|parts| parts.len()), Ok(2));
    }

    #[test]
    fn an_error_becomes_its_text() {
        let outcome: Result<String, std::num::ParseIntError> = "x".parse::<i32>().map(|n| n.to_string());
        assert_eq!(outcome.into_outcome(), Err("invalid digit found in string".to_owned()));
    }
}
