//! Everything around a call that is no file: environment, time, chance, output, the network, compute.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent_host_tool::http::Request;
use agent_host_tool::{Json, Level, args, json, log, progress, serde_json::Value, tool};

/// Longest body that `http` gives back.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The name of an environment variable.
#[args]
pub(crate) struct Variable {
    name: String,
}

/// A time to wait.
#[args]
pub(crate) struct Wait {
    ms: u64,
}

/// How much to print.
#[args]
pub(crate) struct Print {
    stdout_bytes: usize,
    stderr_bytes: usize,
}

/// What to say to the log and to the person who waits.
#[args]
pub(crate) struct Say {
    message: String,
    fraction: Option<f64>,
}

/// A request.
#[args]
pub(crate) struct Ask {
    method: String,
    url: String,
    #[serde(default)]
    body: String,
    /// Pairs of name and value.
    #[serde(default)]
    headers: Vec<(String, String)>,
}

/// How much to compute.
#[args]
pub(crate) struct Compute {
    steps: u64,
}

/// Reads an environment variable: text, or null if there is none.
#[tool]
pub(crate) fn env(variable: Variable) -> Json<Option<String>> {
    Json(std::env::var(variable.name).ok())
}

/// Reads the wall clock in milliseconds since 1970.
#[tool]
pub(crate) fn clock() -> Result<Json<Value>, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    Ok(Json(json!({"unix_ms": since.as_millis() as u64})))
}

/// Sleeps, and says how long it seemed.
#[tool]
pub(crate) fn sleep(wait: Wait) -> Json<Value> {
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(wait.ms));
    Json(json!({"elapsed_ms": begun.elapsed().as_millis() as u64}))
}

/// Draws random bytes, and shows the order of a hash set, which a random seed decides.
#[tool]
pub(crate) fn random() -> Json<Value> {
    let order: Vec<u32> = (0..10).collect::<HashSet<u32>>().into_iter().collect();
    Json(json!({"bytes": random_bytes(), "order": order}))
}

#[cfg(target_family = "wasm")]
pub(crate) fn random_bytes() -> Vec<u8> {
    wasip2::random::random::get_random_bytes(8)
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn random_bytes() -> Vec<u8> {
    Vec::new()
}

/// Prints dots to standard output and standard error.
#[tool]
pub(crate) fn print(print: Print) -> Result<(), String> {
    let dots = |count| ".".repeat(count);
    io::stdout().write_all(dots(print.stdout_bytes).as_bytes()).map_err(|error| error.to_string())?;
    io::stderr().write_all(dots(print.stderr_bytes).as_bytes()).map_err(|error| error.to_string())
}

/// Writes a log record at every level and tells the progress.
#[tool]
pub(crate) fn say(say: Say) {
    for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
        log(level, &say.message);
    }
    progress(&say.message, say.fraction);
}

/// Sends a request, and gives status and body back.
#[tool]
pub(crate) fn http(ask: Ask) -> Result<Json<Value>, String> {
    let request = Request { headers: ask.headers, body: ask.body.into_bytes(), ..Request::new(&ask.method, &ask.url) };
    let response = request.send().map_err(|error| error.to_string())?;
    let status = response.status;
    let location = response.header("location").map(str::to_owned);
    let (body, _) = response.read(BODY_BYTES_MAX).map_err(|error| error.to_string())?;
    Ok(Json(json!({"status": status, "location": location, "body": String::from_utf8_lossy(&body)})))
}

/// Computes for a while; the same steps take the same fuel.
#[tool]
pub(crate) fn compute(compute: Compute) -> Json<Value> {
    let hash =
        (0..compute.steps).fold(0xcbf2_9ce4_8422_2325_u64, |hash, step| (hash ^ step).wrapping_mul(0x0100_0000_01b3));
    Json(json!({"hash": format!("{hash:016x}")}))
}
