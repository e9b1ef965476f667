//! What the driver and the gates of its calls reach the world through. Made once per drive by the command that runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use agent_sandbox::Sandbox;
use tokio_util::sync::CancellationToken;

use super::callers::Callers;
use super::mounts::Mounts;
use super::recorder::Recorder;
use crate::arguments::Schemas;
use crate::asking::Asked;
use crate::components::Components;
use crate::hardening::kept::Widening;
use crate::journal::Journal;
use crate::model::Model;
use crate::person::Person;
use crate::reporter::Reporter;
use crate::secret_values::SecretValues;
use crate::signing::SigningKey;

/// The driver's surroundings.
pub struct Ports {
    /// The run's log and state.
    pub recorder: Recorder,
    /// The journal, for blobs.
    pub journal: Arc<dyn Journal>,
    /// Where calls are made.
    pub sandbox: Arc<Sandbox>,
    /// The components of the run, as its tools are locked to them.
    pub components: Components,
    /// The values of the secrets that its tools hold.
    pub secrets: SecretValues,
    /// The models, in the order in which they are tried.
    pub models: Vec<Box<dyn Model>>,
    /// Who can be asked.
    pub person: Person,
    /// What a person sees of the run while it goes on.
    pub reporter: Reporter,
    /// Where a grant is saved that the person wants to keep.
    pub saved_policy: PathBuf,
    /// What the person was asked already.
    pub asked: Mutex<Asked>,
    /// How a directory that the person grants becomes reachable.
    pub widening: Widening,
    /// The directories of its calls.
    pub mounts: Mounts,
    /// What arguments are checked by.
    pub schemas: Schemas,
    /// What signs the end of the run.
    pub signing: Option<Arc<SigningKey>>,
    /// Who waits for its calls, where it serves clients.
    pub callers: Callers,
    /// Ends the run resumably.
    pub cancel: CancellationToken,
}
