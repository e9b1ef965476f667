//! What became of a request that was cut off: the server is asked by a GET of the same address, and its first word counts.

use agent_host_tool::http::Request;
use agent_host_tool::path;
use agent_host_tool::reconcile::{Doubtful, Finding, Write};

/// Longest answer that is looked at.
const ANSWER_BYTES_MAX: usize = 1024;

/// Asks the server. Of a file it only sees that it may not write there any more.
pub(crate) fn find_out(doubtful: &Doubtful) -> Finding {
    match &doubtful.write {
        Write::Request { url, idempotency_key, .. } => by_get(url, idempotency_key.as_deref()),
        Write::File(place) => match std::fs::write(path::resolve(place), "again") {
            Ok(()) => Finding::Happened("a file could be written".to_owned()),
            Err(_) => Finding::Unknown,
        },
    }
}

/// Tries to change something first: that must be refused.
fn by_get(url: &str, key: Option<&str>) -> Finding {
    if Request::post(url, "again").send().is_ok() {
        return Finding::Happened("a request could be sent".to_owned());
    }
    let asked = Request::get(url).header("x-about", key.unwrap_or("none")).send();
    let Ok((body, _)) = asked.map_err(|_| ()).and_then(|answer| answer.read(ANSWER_BYTES_MAX).map_err(|_| ())) else {
        return Finding::Unknown;
    };
    let said = String::from_utf8_lossy(&body).into_owned();
    match said.split_whitespace().next() {
        Some("happened") => Finding::Happened(said),
        Some("never") => Finding::DidNotHappen,
        Some(_) | None => Finding::Unknown,
    }
}
