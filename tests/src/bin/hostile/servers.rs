//! The servers of a case on loopback: each answers in its manner and counts what reached it.

use agent_tests::server::{Manner, Server};
use serde::Deserialize;

use crate::names::Names;

/// A server as a case states it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerForm {
    /// `${NAME.url}`, `${NAME.address}` and `${NAME.port}` stand for where it is.
    pub(crate) name: String,
    #[serde(default)]
    manner: MannerForm,
    /// What it answers.
    #[serde(default)]
    body: String,
    /// How often that is repeated.
    #[serde(default = "once")]
    times: usize,
    /// Requests that must have reached it in the end.
    pub(crate) hits: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MannerForm {
    #[default]
    Answer,
    Silent,
}

fn once() -> usize {
    1
}

/// Servers that run, in the order of the case.
pub(crate) struct Servers(Vec<(String, Server)>);

impl Servers {
    /// Starts them and tells the names where they are.
    pub(crate) fn start(forms: &[ServerForm], names: &mut Names) -> Self {
        let start = |form: &ServerForm| {
            let server = Server::start(match form.manner {
                // A server lives as long as the process, and so may its text.
                MannerForm::Answer => Manner::Answer(Box::leak(form.body.repeat(form.times).into_boxed_str())),
                MannerForm::Silent => Manner::Silent,
            });
            let url = server.url();
            let address = url.trim_start_matches("http://");
            names.add(&format!("{}.url", form.name), &url);
            names.add(&format!("{}.address", form.name), address);
            names.add(&format!("{}.port", form.name), address.rsplit(':').next().unwrap_or_default());
            (form.name.clone(), server)
        };
        Self(forms.iter().map(start).collect())
    }

    /// What reached each so far.
    pub(crate) fn hits(&self) -> Vec<(String, usize)> {
        self.0.iter().map(|(name, server)| (name.clone(), server.hits())).collect()
    }
}
