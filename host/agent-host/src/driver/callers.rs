//! Who waits for the calls of a run that serves clients, and the line to each while its call goes on: to tell it how far the
//! call is, to ask it, and to hear that it gave the call up. A run that asks a model has none. The gate of a call speaks here;
//! whoever serves the client listens at the other end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agent_core::name::CallNumber;
use agent_core::outcome::LogRecord;
use agent_sandbox::gate::Progress;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// News of one call that its client has not taken yet. What does not fit is dropped: a client that does not listen holds
/// nothing up, and all of a log is in the record.
pub const NEWS_MAX: usize = 64;

/// What a client is told while its call goes on.
pub enum News {
    /// How far it is.
    Progress(Progress),
    /// What the tool logs.
    Log(LogRecord),
    /// Something that only a person can decide.
    Question(ClientQuestion),
}

/// A question to the person at the client.
pub struct ClientQuestion {
    /// What is asked, one line.
    pub title: String,
    /// What the person should know, one line each.
    pub details: Vec<String>,
    /// Takes the answer. Dropped, there is none.
    pub answer: oneshot::Sender<ClientAnswer>,
}

/// What came of a question to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAnswer {
    /// The person said yes.
    Yes,
    /// The person said no.
    No,
}

/// Whether the person at a client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanAsk {
    /// The client puts questions to a person.
    Yes,
    /// Nobody can be asked, for this reason.
    No(&'static str),
}

/// The line to one client about one call.
#[derive(Clone)]
pub struct Line {
    /// Ends the call: its client gave it up, or the server ends.
    pub cancel: CancellationToken,
    /// Takes news; `None` where the client wants none.
    pub news: Option<mpsc::Sender<News>>,
    /// Whether it can be asked.
    pub can_ask: CanAsk,
}

/// The lines to everybody who waits.
#[derive(Default)]
pub struct Callers {
    lines: Mutex<HashMap<CallNumber, Line>>,
    /// Something became of a call, for which another may wait.
    pub changed: Notify,
    /// Held between a proposal and the look at which number it got.
    pub proposing: Mutex<()>,
}

/// Keeps a line until the call has ended.
pub struct Listening<'c> {
    callers: &'c Callers,
    call: CallNumber,
}

impl Callers {
    /// Somebody waits for this call.
    pub fn listen(&self, call: CallNumber, line: Line) -> Listening<'_> {
        self.lines().insert(call, line);
        Listening { callers: self, call }
    }

    /// The line to whoever waits for this call.
    pub fn line(&self, call: CallNumber) -> Option<Line> {
        self.lines().get(&call).cloned()
    }

    /// Tells whoever waits, if anybody wants to know.
    pub fn tell(&self, call: CallNumber, news: impl FnOnce() -> News) {
        let lines = self.lines();
        if let Some(Line { news: Some(teller), .. }) = lines.get(&call) {
            // Nobody listens fast enough, or any more.
            let _ = teller.try_send(news());
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<CallNumber, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Puts a question to the person at the client. `None` where there is no answer.
    pub async fn ask(&self, title: String, details: Vec<String>) -> Option<ClientAnswer> {
        let (answer, answered) = oneshot::channel();
        self.news.as_ref()?.send(News::Question(ClientQuestion { title, details, answer })).await.ok()?;
        tokio::select! {
            () = self.cancel.cancelled() => None,
            answer = answered => answer.ok(),
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.callers.lines().remove(&self.call);
        self.callers.changed.notify_waiters();
    }
}
