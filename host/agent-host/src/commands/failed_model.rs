//! What helps a run whose model gave no reply. `launch` says it where such a run ends.

use agent_core::model::ModelFailureKind;
use agent_core::state::{Asking, Phase, State};

use crate::model;

/// The model that gave no reply last: what may help depends on why.
#[derive(Debug, Clone, Copy)]
pub struct FailedModel {
    kind: ModelFailureKind,
    /// A file of replies, in the place of a provider.
    is_script: bool,
}

impl FailedModel {
    /// The one of this run, where it waits for a reply.
    #[must_use]
    pub fn of(state: &State) -> Option<Self> {
        let Phase::Asking(Asking { model, last: Some(failure), .. }) = &state.phase else { return None };
        let is_script = state.started.models.get(*model).is_some_and(|model| model::is_script(&model.name));
        Some(Self { kind: failure.kind, is_script })
    }

    /// What to do before a resume, where the same request would fail in the same way.
    #[must_use]
    pub fn cure(self, run: &str) -> Option<String> {
        match (self.kind, self.is_script) {
            (ModelFailureKind::BadRequest | ModelFailureKind::BadReply, true) => {
                Some(format!("mend the script (add a `[[reply]]`), then `agent-host resume {run}`"))
            }
            (ModelFailureKind::Unauthorized, _) => {
                Some(format!("set a key that the provider takes, then `agent-host resume {run}`"))
            }
            (ModelFailureKind::BadRequest, false) => Some(format!(
                "the same request would be refused again: `agent-host journal rebase {run} --model PROVIDER:NAME` has \
                 another model asked"
            )),
            (
                ModelFailureKind::RateLimited
                | ModelFailureKind::ServerError
                | ModelFailureKind::Timeout
                | ModelFailureKind::Network
                | ModelFailureKind::BadReply,
                _,
            ) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_alone_is_not_advised_where_it_would_meet_the_same() {
        let cure = |kind, is_script| FailedModel { kind, is_script }.cure("01x").unwrap_or_default();
        assert!(cure(ModelFailureKind::BadRequest, true).contains("add a `[[reply]]`"));
        assert!(cure(ModelFailureKind::Unauthorized, false).starts_with("set a key"));
        assert!(cure(ModelFailureKind::BadRequest, false).contains("journal rebase 01x --model"));
        assert_eq!(cure(ModelFailureKind::Network, false), "");
    }
}
