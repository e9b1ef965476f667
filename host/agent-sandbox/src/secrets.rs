//! The secrets of a call: what `hosts::http` puts into headers, and what is taken out of everything that comes back. A guest
//! never holds one.

use std::fmt;
use std::sync::Arc;

use agent_core::effect::{Decision, Effect, EffectRequest, EffectResult};
use agent_core::json::JsonText;
use agent_core::outcome::{Content, LogRecord, Printed, ResourceBody, ToolOutcome};
use agent_core::redact::{MARK, Redactor};
use agent_core::secret::{SecretName, SecretValue};
use agent_core::units::Bytes;

use crate::call::CallReport;
use crate::defence::{self, Defence};
use crate::effects::texts;
use crate::plain_text::CUT;

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
            ToolOutcome::Failed { message } => self.scrub_text(message),
            ToolOutcome::Refused { message, .. } | ToolOutcome::Faulted { message, .. } => {
                self.scrub_quotations(message);
            }
        }
        let is_cut = report.metering.output_dropped > Bytes(0);
        for printed in [&mut report.said.stdout, &mut report.said.stderr] {
            let left_out = if is_cut { self.scrub_beginning(printed) } else { self.scrub_printed(printed) };
            report.metering.output_dropped = report.metering.output_dropped.saturating_add(left_out);
        }
        self.scrub_log(&mut report.said.log);
    }

    /// Takes secrets out of records of a log, as of one text: a tool may print a long line in pieces.
    pub(crate) fn scrub_log(&self, records: &mut [LogRecord]) {
        if !self.redactor.is_idle() {
            self.redactor.texts(&mut records.iter_mut().map(|record| &mut record.message).collect::<Vec<_>>());
        }
    }

    fn scrub_printed(&self, printed: &mut Printed) -> Bytes {
        if let std::borrow::Cow::Owned(redacted) = self.redactor.text(&printed.text) {
            // The bytes hold it, too.
            *printed = Printed { text: redacted, base64: None };
        }
        Bytes(0)
    }

    /// What was printed beyond the limit is gone, and a secret may have gone on there. Says how much more was left out for that.
    fn scrub_beginning(&self, printed: &mut Printed) -> Bytes {
        let beginning = self.redactor.beginning(printed.text.as_bytes());
        let left_out = Bytes(beginning.left_out as u64);
        if let std::borrow::Cow::Owned(bytes) = beginning.bytes {
            // Secrets are ASCII: at most a character before one was cut through.
            let text = String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}').to_owned();
            *printed = Printed { text, base64: None };
        }
        left_out
    }

    /// The beginning of a text, without secrets: a cut through one would leave a piece that nothing finds.
    pub(crate) fn cut(&self, mut text: String, bytes_max: usize) -> String {
        if text.len() <= bytes_max {
            return text;
        }
        // Enough of it to see any secret that begins before the cut.
        shorten(&mut text, bytes_max.saturating_add(self.redactor.spelling_bytes_max()));
        self.scrub_text(&mut text);
        shorten(&mut text, bytes_max);
        // A guest that passes 4 MiB must not keep them allocated for as long as the text is kept.
        text.shrink_to_fit();
        text
    }

    /// A request as it may be recorded and shown: a tool may put into a URL or a path what it found in a file. The digest in it
    /// stays that of what is asked for.
    #[must_use]
    pub fn without_secrets(&self, mut request: EffectRequest) -> EffectRequest {
        if !self.redactor.is_idle() {
            texts(&mut request).into_iter().for_each(|text| self.scrub_text(text));
        }
        request
    }

    /// `text` without secrets.
    pub(crate) fn scrub_text(&self, text: &mut String) {
        if let std::borrow::Cow::Owned(redacted) = self.redactor.text(text) {
            *text = redacted;
        }
    }

    /// A text of this host's own without secrets. It quotes the tool, and where a quotation was cut, which `…` shows, it may end
    /// in a piece of one.
    fn scrub_quotations(&self, text: &mut String) {
        self.scrub_text(text);
        let Some((quotations, end)) = text.rsplit_once(CUT) else { return };
        let mut scrubbed = String::with_capacity(text.len());
        for quotation in quotations.split(CUT) {
            let beginning = self.redactor.beginning(quotation.as_bytes());
            // Secrets are ASCII, so what is left is text.
            scrubbed.push_str(&String::from_utf8_lossy(&beginning.bytes));
            scrubbed.push(CUT);
        }
        scrubbed.push_str(end);
        *text = scrubbed;
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

    /// Takes secrets out of an effect that is about to be recorded.
    pub(crate) fn scrub_effect(&self, effect: &mut Effect) {
        if self.redactor.is_idle() {
            return;
        }
        texts(&mut effect.request).into_iter().for_each(|text| self.scrub_text(text));
        if let Decision::Deny { rule, hint, .. } = &mut effect.decision {
            [rule].into_iter().chain(hint).for_each(|text| self.scrub_text(text));
        }
        match &mut effect.result {
            EffectResult::Done(text)
            | EffectResult::NotSent(text)
            | EffectResult::Unknown(text)
            | EffectResult::Failed(text) => self.scrub_text(text),
            EffectResult::Refused => {}
        }
    }
}

fn shorten(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

impl fmt::Debug for CallSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(name, _)| name.as_str())).finish()
    }
}

#[cfg(test)]
mod tests {
    use agent_core::outcome::LogLevel;

    use super::*;
    use crate::plain_text::one_line;
    use crate::report;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const TOKEN: &str = "tok-7f3Qx9Zw";

    fn secrets() -> Result<CallSecrets, Box<dyn std::error::Error>> {
        Ok(CallSecrets::new(Vec::new(), Redactor::new([&SecretValue::new(TOKEN.to_owned())?])))
    }

    #[test]
    fn a_text_that_is_cut_keeps_no_piece_of_a_secret() -> TestResult {
        for before in 4_080..4_100 {
            let cut = secrets()?.cut(format!("{}{TOKEN}, and more", "x".repeat(before)), 4_096);
            assert!(!cut.contains("to") && cut.len() <= 4_096 && cut.starts_with("xxxx"), "{before}: {cut}");
        }
        assert_eq!(secrets()?.cut("ä".repeat(8), 5), "ää");
        Ok(())
    }

    /// Every text of a request is a guest's to choose, the name of a store among them: it asks for one that is not its own.
    #[test]
    fn no_text_of_a_request_holds_a_secret() -> TestResult {
        let (token, operation) = (TOKEN.to_owned(), agent_core::effect::KvOperation::Read);
        let (store, key) = (token.clone(), Some(token.clone()));
        for request in [
            EffectRequest::Kv { operation, store, key, value: None },
            EffectRequest::Env { name: token.clone() },
            EffectRequest::Socket { operation: token },
        ] {
            let recorded = format!("{:?}", secrets()?.without_secrets(request));
            assert!(!recorded.contains(TOKEN) && recorded.contains("[secret]"), "{recorded}");
        }
        Ok(())
    }

    /// The sandbox quotes the tool, cuts what it quotes, and only then are secrets looked for.
    #[test]
    fn a_quotation_that_was_cut_keeps_no_piece_of_a_secret() -> TestResult {
        for room in 1..TOKEN.len() {
            let quoted = one_line(&format!("says: {TOKEN}"), "says: ".len() + room);
            let mut report = report::refused(
                agent_core::outcome::RefusedCall::Overloaded,
                format!("`{quoted}` is no type, nor `{quoted}`, {TOKEN} is none… either"),
            );
            secrets()?.scrub(&mut report);
            let ToolOutcome::Refused { message, .. } = report.outcome else { return Err("not refused".into()) };
            let pieces: Vec<&str> = message.split('…').collect();
            // What comes before a piece may look like the beginning of another spelling, and is left out with it.
            let quoted = [pieces[0].trim_end(), pieces[1].trim_end()];
            assert_eq!(quoted, ["`says:", "` is no type, nor `says:"], "{room}: {message}");
            assert_eq!(pieces[2..], ["`, [secret] is none", " either"], "{room}: {message}");
        }
        Ok(())
    }

    #[test]
    fn a_secret_that_is_split_over_records_of_the_log_is_found() -> TestResult {
        let record = |message: &str| LogRecord { level: LogLevel::Info, message: message.to_owned() };
        let mut report = report::refused(agent_core::outcome::RefusedCall::Overloaded, "");
        let first = format!("whole {TOKEN}, half ü{}", &TOKEN[..5]);
        let messages = [first.as_str(), &TOKEN[5..7], "", &TOKEN[7..], "ü is next"];
        report.said.log = messages.iter().map(|message| record(message)).collect();
        secrets()?.scrub(&mut report);
        let log: Vec<&str> = report.said.log.iter().map(|record| record.message.as_str()).collect();
        assert_eq!(log, ["whole [secret], half ü[secret]", "", "", "", "ü is next"]);
        Ok(())
    }

    #[test]
    fn what_was_printed_and_cut_ends_with_no_piece_of_a_secret() -> TestResult {
        let mut report = report::refused(agent_core::outcome::RefusedCall::Overloaded, "");
        report.said.stdout = Printed { text: format!("ä token: {}", &TOKEN[..7]), base64: None };
        report.said.stderr = Printed { text: format!("{TOKEN} was it!"), base64: None };
        report.said.log.push(LogRecord { level: LogLevel::Info, message: TOKEN.to_owned() });
        report.metering.output_dropped = Bytes(10);
        secrets()?.scrub(&mut report);
        assert!(report.said.stdout.text.starts_with("ä token:") && !report.said.stdout.text.contains("to-"));
        assert!(!report.said.stdout.text.contains(&TOKEN[..4]), "{}", report.said.stdout.text);
        assert_eq!(report.said.stderr.text, "[secret] was it!");
        assert_eq!(report.said.log[0].message, MARK);
        assert!(report.metering.output_dropped >= Bytes(17), "{}", report.metering.output_dropped);
        Ok(())
    }
}
