//! Looks for what the host keeps from it: in answers, in errors, in its own memory, in the process around it.

use agent_host_tool::http::{Request, Response};
use agent_host_tool::{Json, args, json, serde_json::Value, tool};

/// How much of a body is shown.
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// A request.
#[args]
pub(crate) struct Send {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    body: String,
    /// Header fields, each as `name: value`.
    #[serde(default)]
    headers: Vec<String>,
}

/// A text to look for.
#[args]
pub(crate) struct Hunt {
    url: String,
    /// The text, its last character first: so that looking for it does not put it into memory.
    backwards: String,
}

fn get() -> String {
    "GET".to_owned()
}

/// Sends a request and shows all of what comes back.
#[tool]
pub(crate) fn send(send: Send) -> Json<Value> {
    let mut request = Request { body: send.body.into_bytes(), ..Request::new(&send.method, &send.url) };
    for field in &send.headers {
        let (name, value) = field.split_once(": ").unwrap_or((field, ""));
        request = request.header(name, value);
    }
    Json(match request.send() {
        Ok(response) => shown(response),
        Err(error) => json!({"error": error.to_string()}),
    })
}

fn shown(response: Response) -> Value {
    let (status, headers) = (response.status, response.headers.clone());
    match response.read(SHOWN_BYTES_MAX) {
        Ok((body, _)) => json!({"status": status, "headers": headers, "body": String::from_utf8_lossy(&body)}),
        Err(error) => json!({"status": status, "headers": headers, "error": error.to_string()}),
    }
}

/// Sends a request, reads its whole answer, and counts how often a text then stands anywhere in this guest's memory.
#[tool]
pub(crate) fn hunt(hunt: Hunt) -> Json<Value> {
    let answered = Request::get(&hunt.url).send().map(shown);
    let found = count_in_memory(hunt.backwards.as_bytes());
    Json(json!({"answered": answered.is_ok(), "found": found, "known": count_in_memory(b"evah em dnif uoY")}))
}

/// Something to be found, so that a search which finds nothing has searched.
#[used]
static KNOWN: [u8; 16] = *b"You find me have";

#[cfg(target_family = "wasm")]
fn count_in_memory(backwards: &[u8]) -> usize {
    let pages = core::arch::wasm32::memory_size(0);
    // The first bytes are left out: no address is zero.
    #[expect(unsafe_code, reason = "a hostile guest reads all of its memory")]
    let memory =
        unsafe { core::slice::from_raw_parts(core::ptr::without_provenance::<u8>(16), pages * (64 << 10) - 16) };
    memory.windows(backwards.len()).filter(|window| window.iter().eq(backwards.iter().rev())).count()
}

#[cfg(not(target_family = "wasm"))]
fn count_in_memory(_backwards: &[u8]) -> usize {
    KNOWN.len() - KNOWN.len()
}

/// Shows everything that it can learn about the process around it.
#[tool]
pub(crate) fn surroundings() -> Json<Value> {
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let arguments: Vec<String> = std::env::args().collect();
    let folder = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    Json(json!({"variables": variables, "arguments": arguments, "folder": folder}))
}

/// Says whether a variable is there.
#[tool]
pub(crate) fn variable(variable: Variable) -> Json<Value> {
    Json(json!({"is_set": std::env::var(&variable.name).is_ok()}))
}

/// A variable.
#[args]
pub(crate) struct Variable {
    name: String,
}

/// A file, and where its text is sent.
#[args]
pub(crate) struct Carry {
    path: String,
    /// `#` stands for the file's text.
    url: String,
    method: String,
}

/// Reads a file and asks a host by what stands in it; says whether there was an answer.
#[tool]
pub(crate) fn carry(carry: Carry) -> Result<Json<Value>, String> {
    let text = std::fs::read_to_string(&carry.path).map_err(|error| error.to_string())?;
    let request = Request::new(&carry.method, &carry.url.replace('#', text.trim()));
    Ok(Json(json!({"answered": request.send().is_ok()})))
}
