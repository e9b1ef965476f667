//! The tool of the crash comparison: one payment, by one POST. It knows nothing of keys, retries or crashes: that is the
//! host's part.

use agent_host_tool::http::Request;
use agent_host_tool::{args, json, tool};

/// The server answers with one line.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// A payment.
#[args]
struct Payment {
    /// Where the payment server is.
    server: String,
    /// Who is paid.
    to: String,
    /// How much, in whole euros.
    euros: u32,
}

/// Pays somebody, once.
#[tool]
fn send(payment: Payment) -> Result<String, String> {
    let body = json!({ "to": payment.to, "euros": payment.euros }).to_string();
    let request = Request::post(&format!("{}/payments", payment.server), body);
    let response = request.header("content-type", "application/json").send().map_err(|error| error.to_string())?;
    let status = response.status;
    let (bytes, _) = response.read(ANSWER_BYTES_MAX).map_err(|error| format!("the answer broke off: {error}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if status == 200 { Ok(text) } else { Err(format!("the payment server answered {status}: {text}")) }
}

agent_host_tool::export!(send);
