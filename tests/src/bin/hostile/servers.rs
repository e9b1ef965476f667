//! The servers of a case on loopback: each answers in its manner and counts what reached it.

use agent_tests::peer::certificates::{self, Certificate};
use agent_tests::peer::{Manner, Peer, Role};
use serde::Deserialize;

use crate::names::Names;

/// A server as a case states it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerForm {
    /// `${NAME.url}`, `${NAME.address}` and `${NAME.port}` stand for where it is.
    pub(crate) name: String,
    #[serde(default)]
    manner: Manner,
    /// What it answers. May name servers before it.
    #[serde(default)]
    body: String,
    /// How often that is repeated.
    #[serde(default = "once")]
    times: usize,
    /// What it shows for TLS; without, it speaks plainly.
    certificate: Option<Certificate>,
    /// Where it listens.
    #[serde(default = "loopback")]
    ip: String,
    /// Connections that must have reached it in the end.
    hits: Option<usize>,
    /// Requests that must have reached it, of those connections.
    requests: Option<usize>,
    /// The most requests that a late server must have had before it at once.
    at_once: Option<usize>,
}

fn once() -> usize {
    1
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

/// Servers that run, in the order of the case.
pub(crate) struct Servers(Vec<(String, Peer)>);

/// What reached a server.
#[derive(Debug)]
pub(crate) struct Visits {
    pub(crate) server: String,
    pub(crate) connections: usize,
    requests: usize,
    at_once: usize,
}

impl Servers {
    /// Starts them and tells the names where they are, and `${ca}`, the file of the authority that good certificates are from.
    pub(crate) fn start(forms: &[ServerForm], names: &mut Names) -> Self {
        if forms.iter().any(|form| form.certificate.is_some()) {
            names.add("ca", &certificates::trusted_file().display().to_string());
        }
        let mut start = |form: &ServerForm| {
            let body = names.fill(&form.body).repeat(form.times).into_bytes();
            let role = Role { manner: form.manner, body, certificate: form.certificate };
            let peer = Peer::start(&form.ip, role);
            let (address, scheme) = (peer.address(), if form.certificate.is_some() { "https" } else { "http" });
            names.add(&format!("{}.url", form.name), &format!("{scheme}://{address}"));
            names.add(&format!("{}.address", form.name), &address.to_string());
            names.add(&format!("{}.port", form.name), &address.port().to_string());
            (form.name.clone(), peer)
        };
        Self(forms.iter().map(&mut start).collect())
    }

    /// What reached each so far.
    pub(crate) fn visits(&self) -> Vec<Visits> {
        let visits = |(server, peer): &(String, Peer)| Visits {
            server: server.clone(),
            connections: peer.connections(),
            requests: peer.requests(),
            at_once: peer.most_at_once(),
        };
        self.0.iter().map(visits).collect()
    }
}

impl ServerForm {
    /// What is not as the case states.
    pub(crate) fn problems(&self, visits: &Visits) -> Vec<String> {
        let stated = [
            (self.hits, visits.connections, "connections"),
            (self.requests, visits.requests, "requests"),
            (self.at_once, visits.at_once, "requests at once"),
        ];
        let wrong = stated.iter().filter_map(|(expected, seen, what)| {
            let expected = expected.filter(|expected| expected != seen)?;
            Some(format!("server `{}` had {seen} {what}, not {expected}", self.name))
        });
        wrong.collect()
    }
}
