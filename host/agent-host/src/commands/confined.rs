//! A verb that loads tools, in its two halves: what it needs is found out first, by one thread; then the walls go up around
//! the process; then it is done. `main` joins the halves.

use std::process::ExitCode;

use agent_core::hardening::Hardening;
use futures::future::BoxFuture;

use crate::hardening::reach::Reach;

/// The second half of a verb, with what it needs of the file system.
pub struct Confined {
    /// What it may reach.
    pub reach: Reach,
    /// Does it, once the walls stand.
    pub act: Box<dyn FnOnce(Hardening) -> BoxFuture<'static, anyhow::Result<ExitCode>> + Send>,
}

impl Confined {
    /// What `act` does, within `reach`.
    #[must_use]
    pub fn new<F>(reach: Reach, act: impl FnOnce(Hardening) -> F + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<ExitCode>> + Send + 'static,
    {
        Self { reach, act: Box::new(move |hardening| Box::pin(act(hardening))) }
    }
}
