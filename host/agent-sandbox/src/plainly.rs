//! Calls of functions that take and give bytes. A `list<u8>` among dynamic values is forty bytes for each of its own; where a
//! function's types are bytes and texts and nothing else, they go as they are. `describe` finds these functions, `invoke` calls
//! them.

use wasmtime::component::{ComponentNamedList, Func, Lift, Lower};
use wasmtime::{AsContextMut, Store};

use crate::state::CallState;
use crate::value::json::Json;
use crate::value::lower::{lower_bytes, lower_fields_as, lower_text};
use crate::value::shape::{Field, Shape};
use crate::value::{Mismatch, Path};

/// The types of such a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainCall {
    takes: Takes,
    gives: Gives,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Text,
    Bytes,
    TextAndBytes,
    BytesAndText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gives {
    Nothing,
    Text,
    Bytes,
    NothingOrText,
    TextOrText,
    BytesOrText,
}

/// Its arguments.
pub(crate) enum PlainArguments {
    Nothing(PlainCall),
    Text(PlainCall, String),
    Bytes(PlainCall, Vec<u8>),
    TextAndBytes(PlainCall, String, Vec<u8>),
    BytesAndText(PlainCall, Vec<u8>, String),
}

/// What it answered; the error is the tool's own.
pub(crate) type PlainAnswer = Result<PlainValue, String>;

/// A result without an error.
pub(crate) enum PlainValue {
    Nothing,
    Text(String),
    Bytes(Vec<u8>),
}

impl PlainCall {
    /// How a function of these types is called, where that is plain and there are bytes to be gained.
    pub(crate) fn of(parameters: &[Field], result: Option<&Shape>) -> Option<Self> {
        let shapes: Vec<_> = parameters.iter().map(|field| &field.shape).collect();
        let takes = match shapes.as_slice() {
            [] => Takes::Nothing,
            [Shape::String] => Takes::Text,
            [Shape::Bytes] => Takes::Bytes,
            [Shape::String, Shape::Bytes] => Takes::TextAndBytes,
            [Shape::Bytes, Shape::String] => Takes::BytesAndText,
            _ => return None,
        };
        let gives = match result {
            None => Gives::Nothing,
            Some(Shape::String) => Gives::Text,
            Some(Shape::Bytes) => Gives::Bytes,
            Some(Shape::Result { ok, err: Some(err) }) if **err == Shape::String => match ok.as_deref() {
                None => Gives::NothingOrText,
                Some(Shape::String) => Gives::TextOrText,
                Some(Shape::Bytes) => Gives::BytesOrText,
                Some(_) => return None,
            },
            Some(_) => return None,
        };
        let has_bytes = shapes.contains(&&Shape::Bytes) || matches!(gives, Gives::Bytes | Gives::BytesOrText);
        has_bytes.then_some(Self { takes, gives })
    }

    /// The arguments from a JSON object.
    pub(crate) fn lower(self, json: &Json<'_>, fields: &[Field], path: &Path<'_>) -> Result<PlainArguments, Mismatch> {
        let mut texts = Vec::new();
        let mut bytes = Vec::new();
        lower_fields_as(json, fields, path, |json, shape, path| {
            match shape {
                Shape::Bytes => bytes.push(lower_bytes(json, path)?),
                _ => texts.push(lower_text(json, path)?),
            }
            Ok(())
        })?;
        let text = texts.pop().unwrap_or_default();
        let bytes = bytes.pop().unwrap_or_default();
        Ok(match self.takes {
            Takes::Nothing => PlainArguments::Nothing(self),
            Takes::Text => PlainArguments::Text(self, text),
            Takes::Bytes => PlainArguments::Bytes(self, bytes),
            Takes::TextAndBytes => PlainArguments::TextAndBytes(self, text, bytes),
            Takes::BytesAndText => PlainArguments::BytesAndText(self, bytes, text),
        })
    }
}

/// Calls `function` with them.
///
/// # Errors
/// What stopped the guest.
pub(crate) async fn call(
    store: &mut Store<CallState>,
    function: Func,
    arguments: PlainArguments,
) -> wasmtime::Result<PlainAnswer> {
    match arguments {
        PlainArguments::Nothing(plain) => call_with(store, function, plain.gives, ()).await,
        PlainArguments::Text(plain, text) => call_with(store, function, plain.gives, (text,)).await,
        PlainArguments::Bytes(plain, bytes) => call_with(store, function, plain.gives, (bytes,)).await,
        PlainArguments::TextAndBytes(plain, text, bytes) => {
            call_with(store, function, plain.gives, (text, bytes)).await
        }
        PlainArguments::BytesAndText(plain, bytes, text) => {
            call_with(store, function, plain.gives, (bytes, text)).await
        }
    }
}

async fn call_with<P>(
    store: &mut Store<CallState>,
    function: Func,
    gives: Gives,
    parameters: P,
) -> wasmtime::Result<PlainAnswer>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    Ok(match gives {
        Gives::Nothing => {
            typed::<P, ()>(store, function, parameters).await?;
            Ok(PlainValue::Nothing)
        }
        Gives::Text => Ok(PlainValue::Text(typed::<P, (String,)>(store, function, parameters).await?.0)),
        Gives::Bytes => Ok(PlainValue::Bytes(typed::<P, (Vec<u8>,)>(store, function, parameters).await?.0)),
        Gives::NothingOrText => {
            let (result,) = typed::<P, (Result<(), String>,)>(store, function, parameters).await?;
            result.map(|()| PlainValue::Nothing)
        }
        Gives::TextOrText => {
            let (result,) = typed::<P, (Result<String, String>,)>(store, function, parameters).await?;
            result.map(PlainValue::Text)
        }
        Gives::BytesOrText => {
            let (result,) = typed::<P, (Result<Vec<u8>, String>,)>(store, function, parameters).await?;
            result.map(PlainValue::Bytes)
        }
    })
}

async fn typed<P, R>(store: &mut Store<CallState>, function: Func, parameters: P) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let function = function.typed::<P, R>(store.as_context_mut())?;
    function.call_async(store.as_context_mut(), parameters).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(parameters: &[Shape], result: Option<&Shape>) -> Option<PlainCall> {
        let fields: Vec<_> =
            parameters.iter().map(|shape| Field { name: "x".to_owned(), shape: shape.clone() }).collect();
        PlainCall::of(&fields, result)
    }

    #[test]
    fn only_bytes_are_worth_it() {
        let fallible = |ok| Shape::Result { ok: Some(Box::new(ok)), err: Some(Box::new(Shape::String)) };
        assert!(plain(&[Shape::Bytes], None).is_some());
        assert!(plain(&[], Some(&Shape::Bytes)).is_some());
        assert!(plain(&[Shape::String, Shape::Bytes], Some(&fallible(Shape::String))).is_some());
        assert_eq!(plain(&[Shape::String], Some(&fallible(Shape::String))), None, "nothing to be gained");
        assert_eq!(plain(&[Shape::Bytes, Shape::Bool], None), None);
        assert_eq!(plain(&[Shape::Bytes], Some(&fallible(Shape::Bool))), None);
    }
}
