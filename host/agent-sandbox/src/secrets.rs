//! The secrets of a call: what `hosts::http` puts into headers, and what is taken out of everything that comes back. A guest
//! never holds one.

use std::fmt;
use std::sync::Arc;

use agent_core::effect::{Effect, EffectResult};
use agent_core::json::JsonText;
use agent_core::outcome::{Content, Printed, ResourceBody, ToolOutcome};
use agent_core::redact::{MARK, Redactor};
use agent_core::secret::{SecretName, SecretValue};

use crate::call::CallReport;
use crate::defence::{self, Defence};
use crate::effects::texts;

/// The values that a call's requests may carry, by name, and a redactor of every secret of the run.
#[derive(Clone, Default)]
pub struct CallSecrets {
    values: Arc<[(SecretName, Arc<SecretValue>)]>,
    redactor: Redactor,
}

impl CallSecrets {
    /// The values that were granted, and the redactor of them and of all others.
    #[must_use]
    pub fn new(values: Vec<(SecretName, Arc<SecretValue>)>, redactor: Redactor) -> Self {
        Self {
            values: values.into(),
            redactor: if defence::is_off(Defence::Secrets) { Redactor::default() } else { redactor },
        }
    }

    /// The value of this name.
    pub(crate) fn value(&self, name: &SecretName) -> Option<&SecretValue> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// What takes secrets out of a text.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Takes secrets out of all that a call reports. A second net: no guest was given one, but a tool may find one in a file
    /// that it was granted, and from here a text goes to the model, the journal and the terminal.
    pub(crate) fn scrub(&self, report: &mut CallReport) {
        if self.redactor.is_idle() {
            return;
        }
        match &mut report.outcome {
            ToolOutcome::Returned { content } => content.iter_mut().for_each(|content| self.scrub_content(content)),
            ToolOutcome::Failed { message }
            | ToolOutcome::Refused { message, .. }
            | ToolOutcome::Faulted { message, .. } => self.scrub_text(message),
        }
        for printed in [&mut report.said.stdout, &mut report.said.stderr] {
            if let std::borrow::Cow::Owned(redacted) = self.redactor.text(&printed.text) {
                // The bytes hold it, too.
                *printed = Printed { text: redacted, base64: None };
            }
        }
        report.said.log.iter_mut().for_each(|record| self.scrub_text(&mut record.message));
        report.effects.iter_mut().for_each(|effect| self.scrub_effect(effect));
    }

    /// `text` without secrets.
    pub(crate) fn scrub_text(&self, text: &mut String) {
        if let std::borrow::Cow::Owned(redacted) = self.redactor.text(text) {
            *text = redacted;
        }
    }

    fn scrub_content(&self, content: &mut Content) {
        let holds = |text: &str| matches!(self.redactor.text(text), std::borrow::Cow::Owned(_));
        match content {
            Content::Text(text) => self.scrub_text(text),
            Content::Json(json) => {
                if let std::borrow::Cow::Owned(redacted) = self.redactor.text(json.as_str()) {
                    // A secret that reaches over the edge of a JSON text leaves none.
                    *content = JsonText::parse(&redacted).map_or(Content::Text(redacted), Content::Json);
                }
            }
            // Cut short, a picture would be none.
            Content::Image(media) | Content::Audio(media) if holds(&media.base64) || holds(&media.mime_type) => {
                *content = Content::Text(MARK.to_owned());
            }
            Content::Image(_) | Content::Audio(_) => {}
            Content::Resource { uri, mime_type, body } => {
                self.scrub_text(uri);
                if let Some(mime_type) = mime_type {
                    self.scrub_text(mime_type);
                }
                match body {
                    ResourceBody::Text(text) => self.scrub_text(text),
                    ResourceBody::Base64(base64) if holds(base64) => *body = ResourceBody::Text(MARK.to_owned()),
                    ResourceBody::Base64(_) => {}
                }
            }
        }
    }

    fn scrub_effect(&self, effect: &mut Effect) {
        texts(&mut effect.request).into_iter().for_each(|text| self.scrub_text(text));
        match &mut effect.result {
            EffectResult::Done(text)
            | EffectResult::NotSent(text)
            | EffectResult::Unknown(text)
            | EffectResult::Failed(text) => self.scrub_text(text),
            EffectResult::Refused => {}
        }
    }
}

impl fmt::Debug for CallSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(name, _)| name.as_str())).finish()
    }
}
