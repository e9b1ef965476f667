//! What a person sees of a run while it goes on: on stderr, one line for each thing that ended, a spinner for what has not.
//! Off a terminal the same lines come without spinner; `--quiet` and `--json` show nothing.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_core::effect::{Decision, Effect};
use agent_core::message::ToolCall;
use agent_core::model::{ModelFailure, ModelReply};
use agent_core::name::{CallNumber, ToolName};
use agent_core::outcome::{MeteredFuel, Metering, ToolOutcome};
use agent_core::units::Millis;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::report::text;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);
/// Longest piece of arguments or message in a line.
const SHOWN_CHARS: usize = 96;
/// Lines of a message that are shown; the rest is counted.
const MESSAGE_LINES: usize = 8;
/// Lines that are kept while a person is asked; the rest is counted. Calls go on meanwhile, and a person may be long.
const KEPT_LINES_MAX: usize = 200;
/// Refused effects that one call's lines name; the rest is counted.
const REFUSALS_SHOWN: usize = 5;

/// Shows a run to a person.
pub struct Reporter {
    spinner: Option<ProgressBar>,
    voice: Voice,
    running: Mutex<Vec<(CallNumber, String)>>,
    /// The last complaint about the model, and how often it came again.
    complaint: Mutex<Option<(String, u32)>>,
    hush: Mutex<Hush>,
}

/// What waits while a person is asked: a line that came between a question and its answer could look like another question.
#[derive(Default)]
struct Hush {
    /// Questions that are being asked, or wait for their turn.
    questions: usize,
    /// What the spinner said.
    message: String,
    /// Lines that are due, and how many more there were.
    lines: Vec<String>,
    left_out: usize,
}

/// The time of one question.
struct Hushed<'r>(&'r Reporter);

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// A line for everything that ended.
    Lines,
    /// Nothing.
    Silent,
}

impl Reporter {
    /// A reporter that speaks on stderr.
    #[must_use]
    pub fn new(voice: Voice) -> Self {
        let spinner = (voice == Voice::Lines && std::io::IsTerminal::is_terminal(&std::io::stderr())).then(spinner);
        Self { spinner, voice, running: Mutex::default(), complaint: Mutex::default(), hush: Mutex::default() }
    }

    /// Does `ask` with nothing new or moving on the screen. What is said meanwhile follows after it.
    pub async fn hushed<T>(&self, ask: impl Future<Output = T>) -> T {
        let _hushed = Hushed::begin(self);
        ask.await
    }

    /// A line of the host itself.
    pub fn note(&self, line: &str) {
        self.line(&format!("{DIM}· {}{DIM:#}", text::whole(line)));
    }

    /// A request to the model left.
    pub fn model_asked(&self, turn: u32, attempt: u32, model: &str) {
        let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        self.status(&format!("turn {turn}: asking {}{again}", text::line(model, SHOWN_CHARS)));
    }

    /// The model replied.
    pub fn model_replied(&self, reply: &ModelReply) {
        self.end_complaint();
        let said = reply.text.trim();
        if !reply.calls.is_empty() && !said.is_empty() {
            self.line(&format!("{DIM}“{}”{DIM:#}", text::line(said, SHOWN_CHARS)));
        }
    }

    /// The model did not reply. What is the same each time is said once, and then counted.
    pub fn model_failed(&self, failure: &ModelFailure) {
        let said = text::line(&failure.message, 2 * SHOWN_CHARS);
        if let Some((last, again)) = &mut *self.complaint.lock().unwrap_or_else(PoisonError::into_inner)
            && *last == said
        {
            *again += 1;
            return;
        }
        self.end_complaint();
        self.line(&format!("{WARN}! model: {said}{WARN:#}"));
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some((said, 0));
    }

    /// Says how often the last complaint came again.
    fn end_complaint(&self) {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, again @ 1..)) = complaint {
            let times = if again == 1 { "time" } else { "times" };
            self.line(&format!("{WARN}  the same {again} more {times}{WARN:#}"));
        }
    }

    /// The model is asked again later.
    pub fn waiting_for_model(&self, wait: Millis) {
        self.status(&format!("asking again in {wait}"));
    }

    /// A call started.
    pub fn tool_started(&self, number: CallNumber, tool: &ToolName, arguments: &str) {
        let shown = format!("{tool} {}", shown_arguments(arguments));
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push((number, shown));
        self.show_running();
    }

    /// A guest says how far it is.
    pub fn guest_progress(&self, tool: &ToolName, message: &str, fraction: Option<f64>) {
        let percent = fraction.map(|part| format!(" {:.0} %", part.clamp(0.0, 1.0) * 100.0)).unwrap_or_default();
        self.status(&format!("{tool}: {}{percent}", text::line(message, SHOWN_CHARS)));
    }

    /// A call ended, with this outcome.
    pub fn tool_finished(
        &self,
        number: CallNumber,
        (asked, outcome): (&ToolCall, &ToolOutcome),
        metering: &Metering,
        effects: &[Effect],
    ) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).retain(|(running, _)| *running != number);
        self.tool_line(asked, outcome, &format!("  {DIM}{}{DIM:#}", used(metering)));
        self.refusals(effects);
        self.show_running();
    }

    /// A call was ended without an outcome.
    pub fn tool_suspended(&self, number: CallNumber) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).retain(|(running, _)| *running != number);
        self.show_running();
    }

    /// A call got its outcome without being made.
    pub fn tool_settled(&self, asked: &ToolCall, outcome: &ToolOutcome) {
        self.tool_line(asked, outcome, "");
    }

    /// What an interrupted call had changed is restored.
    pub fn undoing(&self, number: CallNumber, changes: usize) {
        let noun = if changes == 1 { "change" } else { "changes" };
        self.note(&format!("call {number} was interrupted: undoing {changes} {noun}, then running it again"));
    }

    /// Something about a restored path could not be restored: no doubt about its content.
    pub fn not_given_back(&self, path: &str, reason: &str) {
        self.note(&format!("{}: {}", text::whole(path), text::whole(reason)));
    }

    /// A change of a call that was stopped could not be undone: somebody must look.
    pub fn not_undone(&self, path: &str, reason: &str) {
        let (path, reason) = (text::whole(path), text::whole(reason));
        self.line(&format!("    {BAD}not undone{BAD:#}: {path}: {reason}"));
    }

    /// The run stopped: nothing moves any more.
    pub fn finish(&self) {
        self.end_complaint();
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }

    fn tool_line(&self, asked: &ToolCall, outcome: &ToolOutcome, used: &str) {
        let tool = text::line(&asked.tool.replacen("__", ".", 1), SHOWN_CHARS);
        let arguments = shown_arguments(&asked.arguments);
        let (mark, why) = match outcome {
            ToolOutcome::Returned { .. } => (format!("{GOOD}✓{GOOD:#}"), String::new()),
            ToolOutcome::Failed { message } => {
                (format!("{WARN}✗{WARN:#}"), format!("\n    {}", shown_message(message)))
            }
            ToolOutcome::Refused { message, .. } | ToolOutcome::Faulted { message, .. } => {
                let shown = shown_message(message);
                (format!("{BAD}✗{BAD:#}"), format!("\n    {BAD}{}{BAD:#}: {shown}", outcome.name()))
            }
        };
        self.line(&format!("{mark} {tool} {DIM}{arguments}{DIM:#}{used}{why}"));
    }

    fn refusals(&self, effects: &[Effect]) {
        let mut refused: Vec<(String, String, usize)> = Vec::new();
        for (act, why) in effects.iter().filter_map(refusal) {
            match refused.iter_mut().find(|(known, said, _)| *known == act && *said == why) {
                Some((.., times)) => *times += 1,
                None => refused.push((act, why, 1)),
            }
        }
        for (act, why, times) in refused.iter().take(REFUSALS_SHOWN) {
            let times = if *times == 1 { String::new() } else { format!(" ({times} times)") };
            self.line(&format!("{act}{times}{why}"));
        }
        if refused.len() > REFUSALS_SHOWN {
            self.line(&format!("    {WARN}and {} more refused{WARN:#}", refused.len() - REFUSALS_SHOWN));
        }
    }

    fn show_running(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.as_slice() {
            [] => self.status(""),
            [(_, only)] => self.status(only),
            [.., (_, last)] => self.status(&format!("{last} {DIM}and {} more{DIM:#}", running.len() - 1)),
        }
    }

    fn status(&self, line: &str) {
        let mut hush = self.hush();
        if hush.questions > 0 {
            line.clone_into(&mut hush.message);
        } else if let Some(spinner) = &self.spinner {
            spinner.set_message(line.to_owned());
        }
    }

    fn line(&self, line: &str) {
        if self.voice == Voice::Silent {
            return;
        }
        let mut hush = self.hush();
        if hush.questions > 0 {
            return hush.keep(line);
        }
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| write_line(line)),
            None => write_line(line),
        }
    }

    fn hush(&self) -> MutexGuard<'_, Hush> {
        self.hush.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hush {
    fn keep(&mut self, line: &str) {
        if self.lines.len() < KEPT_LINES_MAX {
            self.lines.push(line.to_owned());
        } else {
            self.left_out += 1;
        }
    }

    /// The lines that are due.
    fn take(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.lines);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            lines.push(format!("{DIM}· {left_out} more lines were left out while you were asked{DIM:#}"));
        }
        lines
    }
}

impl<'r> Hushed<'r> {
    fn begin(reporter: &'r Reporter) -> Self {
        let mut hush = reporter.hush();
        hush.questions += 1;
        if let (1, Some(spinner)) = (hush.questions, &reporter.spinner) {
            hush.message = spinner.message();
            spinner.disable_steady_tick();
            spinner.finish_and_clear();
        }
        Self(reporter)
    }
}

// Also where the question is given up because the run is cancelled.
impl Drop for Hushed<'_> {
    fn drop(&mut self) {
        let mut hush = self.0.hush();
        hush.questions -= 1;
        if hush.questions > 0 {
            return;
        }
        hush.take().iter().for_each(|line| write_line(line));
        if let Some(spinner) = &self.0.spinner {
            spinner.reset();
            spinner.set_message(std::mem::take(&mut hush.message));
            spinner.enable_steady_tick(TICK);
        }
    }
}

/// A tool's or the host's words, each line below the other.
fn shown_message(message: &str) -> String {
    text::block(message, MESSAGE_LINES, 2 * SHOWN_CHARS).join("\n    ")
}

/// Arguments on one line, without the spaces and line breaks that a model put between them.
fn shown_arguments(arguments: &str) -> String {
    let compact = serde_json::from_str::<serde_json::Value>(arguments).map(|value| value.to_string());
    text::line(compact.as_deref().unwrap_or(arguments), SHOWN_CHARS)
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(TICK);
    spinner
}

/// What a call used: `12 ms · 1.28 M fuel · 2.1 MiB`.
#[must_use]
pub fn used(metering: &Metering) -> String {
    let fuel = match metering.fuel {
        MeteredFuel::Exact(fuel) => format!("{fuel} fuel"),
        MeteredFuel::AtLeast(fuel) => format!("at least {fuel} fuel"),
    };
    format!("{} · {fuel} · {}", metering.duration, metering.memory_peak)
}

/// What was refused, and why, apart: the same is said once.
fn refusal(effect: &Effect) -> Option<(String, String)> {
    let Decision::Deny { refusal, rule, hint } = &effect.decision else { return None };
    let act = text::line(&effect.request.to_string(), SHOWN_CHARS);
    let rule = text::whole(rule);
    let hint = hint.as_deref().map(|hint| format!("\n      hint: {}", text::whole(hint))).unwrap_or_default();
    Some((format!("    {WARN}{refusal}{WARN:#}: may not {act}"), format!("\n      rule: {rule}{hint}")))
}

fn write_line(line: &str) {
    // Nobody reads stderr any more: there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_said_between_a_question_and_its_answer() {
        let reporter = Reporter::new(Voice::Lines);
        let kept = reporter.hushed(async {
            reporter.note("first");
            let inner = reporter.hushed(async { reporter.note("second") });
            inner.await;
            (0..KEPT_LINES_MAX).for_each(|_| reporter.note("more"));
            let hush = reporter.hush();
            (hush.lines[0].contains("first"), hush.lines.len(), hush.left_out)
        });
        assert_eq!(kept.await, (true, KEPT_LINES_MAX, 2));
        let after = reporter.hush();
        assert_eq!((after.questions, after.lines.len()), (0, 0));
    }
}
