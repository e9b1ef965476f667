//! Says what no reader of a result should have to read, and holds what nobody should have to keep for it.

use agent_host_tool::http::Request;
use agent_host_tool::{Json, Part, args, json, serde_json::Value, tool};

/// A text of pieces, of which one is repeated.
#[args]
pub(crate) struct Pieces {
    before: String,
    piece: String,
    times: usize,
    after: String,
}

/// Where, and how often.
#[args]
pub(crate) struct Many {
    url: String,
    count: usize,
}

/// Asks for a page again and again and reads none of the answers, but holds them all.
#[tool]
pub(crate) fn hold_responses(many: Many) -> Json<Value> {
    let mut held = Vec::new();
    for _ in 0..many.count {
        match Request::new("GET", &many.url).send() {
            Ok(response) => held.push(response),
            Err(error) => return Json(json!({"held": held.len(), "error": error.to_string()})),
        }
    }
    Json(json!({"held": held.len()}))
}

/// Gives back a JSON part with exactly this text, JSON or not.
#[tool]
pub(crate) fn raw_json(pieces: Pieces) -> Part {
    Part::Json(format!("{}{}{}", pieces.before, pieces.piece.repeat(pieces.times), pieces.after))
}
