//! How the body of an event is read: members by their names, and the parts whose very text counts.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::Invariant;
use crate::call::Broken;
use crate::file::Blobs;

#[derive(Deserialize)]
pub(crate) struct Started<'a> {
    #[serde(borrow)]
    pub(crate) tools: Vec<Locked<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Locked<'a> {
    pub(crate) descriptor: Value,
    #[serde(borrow)]
    pub(crate) authority: &'a RawValue,
}

#[derive(Deserialize)]
pub(crate) struct Widened<'a> {
    pub(crate) tool: String,
    #[serde(borrow)]
    pub(crate) authority: &'a RawValue,
}

#[derive(Deserialize)]
pub(crate) struct Adopted<'a> {
    #[serde(borrow)]
    pub(crate) authorities: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
pub(crate) struct Holder {
    pub(crate) tool: String,
}

pub(crate) fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn number(body: &Value, name: &str) -> u64 {
    body.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// What a member lists; nothing where it lists nothing.
pub(crate) fn each<'v>(body: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    body.get(name).and_then(Value::as_array).into_iter().flatten()
}

pub(crate) fn digest_of(raw: &RawValue) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(raw.get().as_bytes())))
}

/// Whether the journal holds what a digest such as `sha256:…` names.
pub(crate) fn is_kept(blobs: &Blobs, digest: &str) -> bool {
    let bytes = digest.strip_prefix("sha256:").and_then(|digits| hex::decode(digits).ok());
    bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).is_some_and(|digest| blobs.contains_key(&digest))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn unreadable(error: serde_json::Error) -> Broken {
    (Invariant::I9, format!("its body cannot be read: {error}"))
}
