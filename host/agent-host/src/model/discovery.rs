//! What models could be used here: keys in the environment and local servers that answer. Only for the error of a run
//! without a model, and for `doctor`; nothing is ever chosen by itself.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use genai::adapter::AdapterKind;
use serde_json::Value;

/// Longest wait for a local server. It stands in the way of an error message.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// Largest answer of a probe.
const PROBE_BYTES_MAX: usize = 256 * 1024;

/// Most models of a server that are listed.
const LISTED_MAX: usize = 3;

/// One way to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AvailableModel {
    /// A provider whose key is set.
    Key {
        /// The provider, as in `PROVIDER:NAME`.
        provider: &'static str,
        /// The environment variable.
        variable: &'static str,
    },
    /// A server on this machine.
    Server {
        /// The provider, as in `PROVIDER:NAME`.
        provider: &'static str,
        /// What to give as base URL, where the provider does not know it already.
        base_url: Option<String>,
        /// Where it answers.
        address: String,
        /// Some of its models.
        models: Vec<String>,
    },
}

/// Everything that could be used. Takes at most as long as one probe.
pub(crate) async fn available() -> Vec<AvailableModel> {
    let (ollama, llama_cpp) = tokio::join!(
        probe(
            LocalServer { provider: "ollama", origin: "http://127.0.0.1:11434".to_owned(), base_path: None },
            PROBE_TIMEOUT
        ),
        probe(
            LocalServer { provider: "openai", origin: "http://127.0.0.1:8080".to_owned(), base_path: Some("/v1") },
            PROBE_TIMEOUT
        ),
    );
    let is_set = |variable: &str| std::env::var(variable).is_ok_and(|key| !key.trim().is_empty());
    keys(is_set).into_iter().chain(ollama).chain(llama_cpp).collect()
}

/// A server that may be there.
struct LocalServer {
    provider: &'static str,
    origin: String,
    base_path: Option<&'static str>,
}

/// Providers whose key is set. One variable may serve several providers; the first is named.
fn keys(is_set: impl Fn(&str) -> bool) -> Vec<AvailableModel> {
    let mut seen = BTreeSet::new();
    let with_variable =
        AdapterKind::all().iter().filter_map(|kind| Some((kind.as_lower_str(), kind.default_key_env_name()?)));
    let set = with_variable.filter(|(_, variable)| is_set(variable) && seen.insert(*variable));
    set.map(|(provider, variable)| AvailableModel::Key { provider, variable }).collect()
}

async fn probe(server: LocalServer, timeout: Duration) -> Option<AvailableModel> {
    let list = tokio::time::timeout(timeout, list_models(&server.origin)).await.ok()??;
    let names = list.get("data")?.as_array()?.iter().filter_map(|model| model.get("id")?.as_str());
    let models = names.take(LISTED_MAX).map(|name| super::failure::plain(name, 80)).collect();
    let base_url = server.base_path.map(|path| format!("{}{path}", server.origin));
    Some(AvailableModel::Server { provider: server.provider, base_url, address: server.origin, models })
}

/// The list that OpenAI-compatible servers give, Ollama's among them.
async fn list_models(origin: &str) -> Option<Value> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().ok()?;
    let mut response = client.get(format!("{origin}/v1/models")).send().await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > PROBE_BYTES_MAX {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

impl fmt::Display for AvailableModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { provider, variable } => write!(f, "`{provider}:NAME`: {variable} is set"),
            Self::Server { provider, base_url, address, models } => {
                let name = models.first().map_or("NAME", String::as_str);
                match base_url {
                    Some(base_url) => {
                        write!(f, "`{provider}:{name}` with the base URL {base_url}: a server answers there")
                    }
                    None => write!(f, "`{provider}:{name}`: a server answers at {address}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::canned_server::{Answer, CannedServer, SILENCE};

    #[test]
    fn each_key_is_named_once() {
        let found = keys(|variable| matches!(variable, "OPENAI_API_KEY" | "ANTHROPIC_API_KEY"));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["`openai:NAME`: OPENAI_API_KEY is set", "`anthropic:NAME`: ANTHROPIC_API_KEY is set"]);
    }

    #[tokio::test]
    async fn a_server_is_found_by_its_models() {
        let server = CannedServer::start(vec![Answer::json(200, r#"{"data":[{"id":"smollm2"}]}"#)]);
        let local = LocalServer { provider: "openai", origin: server.origin(), base_path: Some("/v1") };
        let shown = probe(local, SILENCE).await.map(|found| found.to_string().replace(&server.origin(), "ORIGIN"));
        assert_eq!(shown.as_deref(), Some("`openai:smollm2` with the base URL ORIGIN/v1: a server answers there"));
    }

    #[tokio::test]
    async fn a_silent_port_is_no_server() {
        let server = CannedServer::start(vec![Answer::silence()]);
        let local = LocalServer { provider: "openai", origin: server.origin(), base_path: None };
        assert_eq!(probe(local, PROBE_TIMEOUT).await, None);
    }
}
