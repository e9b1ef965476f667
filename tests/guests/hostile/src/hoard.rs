//! Builds messages that it never sends, or says names without end, to see what the host keeps of them.

use agent_host_tool::kv::Store;
use agent_host_tool::{Json, args, json, serde_json::Value, tool};

/// How many, and how large each.
#[args]
pub(crate) struct Hoard {
    count: usize,
    #[serde(default)]
    bytes: usize,
}

/// Keeps requests, each with a method and an authority of so many bytes; reports how many took them.
#[tool]
pub(crate) fn hoard_texts(hoard: Hoard) -> Json<Value> {
    Json(json!({ "held": building::texts(hoard.count, hoard.bytes) }))
}

/// Keeps maps of header fields, each with a field of so many bytes; reports how many took it.
#[tool]
pub(crate) fn hoard_fields(hoard: Hoard) -> Json<Value> {
    Json(json!({ "held": building::fields(hoard.count, hoard.bytes) }))
}

/// Keeps requests, each with as much of a body as can be written before it is sent; reports how many there are.
#[tool]
pub(crate) fn hoard_bodies(hoard: Hoard) -> Json<Value> {
    Json(json!({ "held": building::bodies(hoard.count) }))
}

/// Asks a store, a file and a host by names of so many bytes; reports how often something was there.
#[tool]
pub(crate) fn long_names(hoard: Hoard) -> Result<Json<Value>, String> {
    let store = Store::open().map_err(|error| error.to_string())?;
    let name = format!("/{}", "n".repeat(hoard.bytes));
    let mut found = 0;
    for _ in 0..hoard.count {
        found += usize::from(store.get(&name).is_ok());
        found += usize::from(std::fs::metadata(&name).is_ok());
        building::ask(&name);
    }
    Ok(Json(json!({ "found": found })))
}

#[cfg(target_family = "wasm")]
mod building {
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest};

    pub(super) fn texts(count: usize, bytes: usize) -> usize {
        let text = "A".repeat(bytes);
        let method = Method::Other(text.clone());
        let requests: Vec<_> = (0..count).map(|_| OutgoingRequest::new(Fields::new())).collect();
        let took = |request: &&OutgoingRequest| {
            let set = [request.set_method(&method), request.set_authority(Some(&text))];
            set.contains(&Ok(()))
        };
        requests.iter().filter(took).count()
    }

    pub(super) fn fields(count: usize, bytes: usize) -> usize {
        let value = vec![b'v'; bytes];
        let maps: Vec<_> = (0..count).map(|_| Fields::new()).collect();
        maps.iter().filter(|map| map.append("x-hoard", &value).is_ok()).count()
    }

    pub(super) fn bodies(count: usize) -> usize {
        let mut held = Vec::new();
        for _ in 0..count {
            let request = OutgoingRequest::new(Fields::new());
            let Ok(body) = request.body() else { continue };
            if let Ok(stream) = body.write() {
                while let Ok(room) = stream.check_write()
                    && room > 0
                    && stream.write(&vec![b'b'; usize::try_from(room).unwrap_or(0)]).is_ok()
                {}
            }
            let _ = OutgoingBody::finish(body, None);
            held.push(request);
        }
        held.len()
    }

    pub(super) fn ask(name: &str) {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_method(&Method::Other(name.replace('/', "N")));
        let _ = request.set_path_with_query(Some(name));
        let _ = handle(request, None);
    }
}

#[cfg(not(target_family = "wasm"))]
mod building {
    pub(super) fn texts(_count: usize, _bytes: usize) -> usize {
        0
    }

    pub(super) fn fields(_count: usize, _bytes: usize) -> usize {
        0
    }

    pub(super) fn bodies(_count: usize) -> usize {
        0
    }

    pub(super) fn ask(_name: &str) {}
}
