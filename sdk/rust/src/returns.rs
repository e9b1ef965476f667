//! Whether what a function returns has a schema, found out by the compiler: `#[tool]` asks [`Returns`] of the function's own type,
//! and gets the more exact of two answers where there are two. So a result needs no schema, and has one where it can.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde_json::Value;

use crate::part::Json;
use crate::schema;

/// What a function returns.
pub struct Returns<R>(PhantomData<R>);

impl<T: JsonSchema> Returns<Json<T>> {
    /// The schema of the JSON.
    #[must_use]
    pub fn output_schema() -> Option<Value> {
        schema::of_result::<T>()
    }
}

impl<T: JsonSchema, E> Returns<Result<Json<T>, E>> {
    /// The schema of the JSON where all is well.
    #[must_use]
    pub fn output_schema() -> Option<Value> {
        schema::of_result::<T>()
    }
}

/// The answer for everything else.
pub trait Otherwise {
    /// None.
    #[must_use]
    fn output_schema() -> Option<Value> {
        None
    }
}

impl<R> Otherwise for Returns<R> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    #[test]
    fn only_json_with_a_schema_has_one() {
        assert_eq!(Returns::<Json<bool>>::output_schema(), Some(serde_json::json!({"type": "boolean"})));
        assert!(Returns::<Result<Json<Vec<u8>>, String>>::output_schema().is_some());
        assert_eq!(Returns::<Json<Plain>>::output_schema(), None);
        assert_eq!(Returns::<Result<String, String>>::output_schema(), None);
        assert_eq!(Returns::<Json<Value>>::output_schema(), None);
    }
}
