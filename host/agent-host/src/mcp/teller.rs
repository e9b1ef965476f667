//! Tells a client what becomes of one of its calls: progress, logs, and questions to the person there. One for each call, used by
//! `client`.

// Logging is on its way out of the protocol, and clients of today use it.
#![expect(deprecated, reason = "clients of earlier versions of the protocol have nothing else")]

use agent_core::outcome::LogLevel;
use rmcp::model::{
    ElicitRequestParams, ElicitationAction, ElicitationSchema, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, ProgressToken,
};
use rmcp::service::{Peer, RoleServer};
use serde_json::json;

use crate::driver::callers::{ClientAnswer, ClientQuestion, News};
use crate::report::text;

/// What a client's question is answered in.
const ANSWER: &str = "approve";
/// Name of the log that a client sees.
const LOGGER: &str = "agent-host";

/// The place of `info` among the levels.
pub(super) const INFO: u8 = 1;

/// Tells a client what becomes of one of its calls.
pub(super) struct Teller {
    pub(super) peer: Peer<RoleServer>,
    /// What its words of progress come back with; without one it hears of none.
    pub(super) token: Option<ProgressToken>,
    /// The least level of logs that it wants to hear of, as its [`rank`]; without one it hears of none.
    pub(super) level: Option<u8>,
}

impl Teller {
    /// Passes on one piece of news.
    pub(super) async fn tell(&self, news: News) {
        match news {
            News::Progress(progress) => {
                let Some(token) = &self.token else { return };
                let mut told = ProgressNotificationParam::new(token.clone(), progress.fraction.unwrap_or(0.0));
                if progress.fraction.is_some() {
                    told = told.with_total(1.0);
                }
                // Nobody is there any more, and the call hears of that by itself.
                let _ = self.peer.notify_progress(told.with_message(progress.message)).await;
            }
            News::Log(record) => {
                let level = protocol_level(record.level);
                if self.level.is_some_and(|least| rank(level) >= least) {
                    let told = LoggingMessageNotificationParam::new(level, json!(record.message)).with_logger(LOGGER);
                    let _ = self.peer.notify_logging_message(told).await;
                }
            }
            News::Question(question) => self.ask(question).await,
        }
    }

    /// Asks the person at the client. Anything but a clear yes or no is no answer.
    async fn ask(&self, question: ClientQuestion) {
        let Ok(requested_schema) = ElicitationSchema::builder()
            .required_bool_property(ANSWER, |answer| answer.description("Whether the host may do this, once."))
            .build()
        else {
            return;
        };
        let lines = std::iter::once(question.title).chain(question.details);
        let message = lines.map(|line| text::whole(&line)).collect::<Vec<_>>().join("\n");
        let asked = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
        let Ok(answer) = self.peer.create_elicitation(asked).await else { return };
        let approved = answer.content.as_ref().and_then(|content| content.get(ANSWER)).and_then(|yes| yes.as_bool());
        let answer = match (answer.action, approved) {
            (ElicitationAction::Accept, Some(true)) => ClientAnswer::Yes,
            (ElicitationAction::Accept, Some(false)) | (ElicitationAction::Decline, _) => ClientAnswer::No,
            // Put off, or nothing that says yes.
            (_, _) => return,
        };
        // The call may have ended meanwhile.
        let _ = question.answer.send(answer);
    }
}

/// The place of a level among them.
pub(super) fn rank(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => INFO,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}

fn protocol_level(level: LogLevel) -> LoggingLevel {
    match level {
        LogLevel::Debug => LoggingLevel::Debug,
        LogLevel::Info => LoggingLevel::Info,
        LogLevel::Warn => LoggingLevel::Warning,
        LogLevel::Error => LoggingLevel::Error,
    }
}
