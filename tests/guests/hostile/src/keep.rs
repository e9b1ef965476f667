//! Misuse of key-value stores.

use agent_host_tool::kv::{Error, Store};
use agent_host_tool::{args, tool};

/// What the guest saw of a store operation.
fn seen<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(Error::Refused) => "access denied".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[args]
pub(crate) struct Keep {
    key: String,
    value: String,
}

/// Sets a key and says what the host answered.
#[tool]
pub(crate) fn keep(keep: Keep) -> Result<String, String> {
    let store = Store::open().map_err(|error| error.to_string())?;
    Ok(seen(store.set(&keep.key, &keep.value)))
}

/// Sets a key, sees it, and traps.
#[tool]
pub(crate) fn keep_then_trap(keep: Keep) -> Result<String, String> {
    let store = Store::open().map_err(|error| error.to_string())?;
    store.set(&keep.key, &keep.value).map_err(|error| error.to_string())?;
    assert_ne!(store.get_text(&keep.key).ok().flatten(), Some(keep.value), "the call sees what it wrote, and ends");
    Ok("not seen".to_owned())
}

/// Fills the store until the host says no, and says what it said.
#[tool]
pub(crate) fn keep_forever() -> Result<String, String> {
    let store = Store::open().map_err(|error| error.to_string())?;
    let value = vec![b'x'; 64 << 10];
    let mut number = 0_u64;
    loop {
        if let Err(error) = store.set(&format!("key {number}"), &value) {
            return Ok(seen::<()>(Err(error)));
        }
        number += 1;
    }
}

/// Asks for one large value under the same key many times at once.
#[tool]
pub(crate) fn keep_and_multiply() -> Result<String, String> {
    let store = Store::open().map_err(|error| error.to_string())?;
    store.set("large", vec![b'x'; 250 << 10]).map_err(|error| error.to_string())?;
    for _ in 0..200 {
        let got = store.get_many(&vec!["large".to_owned(); 4_000]);
        if got.is_err() {
            return Ok(seen(got));
        }
    }
    Ok("all were given".to_owned())
}

/// Opens a store by a name that it was not given.
#[args]
pub(crate) struct OpenStore {
    name: String,
}

/// Reads from a store by this name and says what the host answered.
#[tool]
pub(crate) fn open_store(open: OpenStore) -> Result<String, String> {
    let store = match Store::open_named(&open.name) {
        Ok(store) => store,
        Err(error) => return Ok(seen::<()>(Err(error))),
    };
    Ok(match store.get("key") {
        Ok(None) => "nothing".to_owned(),
        got => seen(got),
    })
}
