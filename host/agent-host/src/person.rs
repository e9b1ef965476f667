//! The person at the terminal, if there is one. All questions go through here, one at a time, on stderr; where nobody is
//! there, the answer to every question is no.

use std::io::{BufRead, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use tokio::sync::{Mutex, MutexGuard};

use crate::report::text;

const BOLD: Style = Style::new().bold();
const QUESTION: Style = AnsiColor::Yellow.on_default().bold();

/// Who can be asked.
pub struct Person {
    presence: Presence,
    one_at_a_time: Mutex<()>,
}

enum Presence {
    Terminal,
    Nobody,
}

/// A question with its possible answers.
pub struct Question {
    /// What is asked, one line.
    pub title: String,
    /// What the person should know, one line each; neutralised here. Cut by who asks, where a stranger chose the length.
    pub details: Vec<String>,
    /// Who wants it. Stands once more beside the answers, whatever stands above them.
    pub who: String,
    /// The answers: the letter to type and what it means. The last one is the answer where nothing sensible is typed.
    pub answers: &'static [(char, &'static str)],
}

impl Person {
    /// A person is there if both input and error output are a terminal.
    #[must_use]
    pub fn at_terminal() -> Self {
        let there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self { presence: if there { Presence::Terminal } else { Presence::Nobody }, one_at_a_time: Mutex::new(()) }
    }

    /// Whether somebody can be asked.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.presence, Presence::Terminal)
    }

    /// Asks, and waits for a letter. `None` where nobody is there or the input ended.
    pub async fn ask(&self, question: Question) -> Option<char> {
        self.turn().await?.ask(question).await
    }

    /// As [`Person::ask`], for verbs that do one thing after the other and have no runtime.
    #[must_use]
    pub fn ask_at_once(&self, question: &Question) -> Option<char> {
        if self.is_there() { ask_on_terminal(question) } else { None }
    }

    /// Asks for a line of text, which may be empty. `None` where nobody is there or the input ended.
    pub async fn ask_line(&self, prompt: String) -> Option<String> {
        let _turn = self.turn().await?;
        let line = tokio::task::spawn_blocking(move || {
            forget_what_was_typed();
            write!(anstream::stderr(), "{QUESTION}?{QUESTION:#} {}: ", text::whole(&prompt)).ok()?;
            read_line()
        });
        line.await.ok().flatten()
    }

    /// Waits until nobody else is asking. What others were told meanwhile may be an answer already. `None` where nobody is
    /// there.
    pub async fn turn(&self) -> Option<Turn<'_>> {
        if !self.is_there() {
            return None;
        }
        Some(Turn { _alone: self.one_at_a_time.lock().await })
    }
}

/// The one who may ask now.
pub struct Turn<'p> {
    _alone: MutexGuard<'p, ()>,
}

impl Turn<'_> {
    /// As [`Person::ask`].
    pub async fn ask(self, question: Question) -> Option<char> {
        tokio::task::spawn_blocking(move || ask_on_terminal(&question)).await.ok().flatten()
    }
}

/// How often a person may mistype before the answer is the last one, which is the safe one.
const TRIES: usize = 3;

fn ask_on_terminal(question: &Question) -> Option<char> {
    let mut err = anstream::stderr();
    forget_what_was_typed();
    put(question, &mut err).ok()?;
    for _ in 0..TRIES {
        put_answers(question, &mut err).ok()?;
        err.flush().ok()?;
        let typed = read_line()?;
        let letter = typed.chars().next().map(|c| c.to_ascii_lowercase());
        if let Some(letter) = letter.filter(|letter| question.answers.iter().any(|(known, _)| known == letter)) {
            return Some(letter);
        }
    }
    question.answers.last().map(|(letter, _)| *letter)
}

/// What stands in the terminal's queue was typed before the question could be read, so it answers another one, or none.
fn forget_what_was_typed() {
    // Where it cannot be done the input is no terminal, and nobody typed anything.
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
}

fn read_line() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    if read == 0 {
        // Ctrl-D leaves the cursor behind the question.
        let _ = writeln!(anstream::stderr());
        return None;
    }
    Some(line.trim().to_owned())
}

/// What is asked, and what the person should know: nothing of it hides or moves anything on the screen.
fn put(question: &Question, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{QUESTION}?{QUESTION:#} {BOLD}{}{BOLD:#}", text::whole(&question.title))?;
    question.details.iter().try_for_each(|detail| writeln!(out, "    {}", text::whole(detail)))
}

/// The last line of a question: whom the answer is for, and what it may be.
fn put_answers(question: &Question, out: &mut dyn Write) -> std::io::Result<()> {
    let offered: Vec<_> = question.answers.iter().map(|(letter, meaning)| format!("[{letter}] {meaning}")).collect();
    write!(out, "  {}  {}: ", text::whole(&question.who), offered.join("  "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn a_question_hides_nothing() {
        let hostile = "safe\rrm -rf \u{202e}txt\u{200b}\u{e0041}\u{9b}2J\u{1b}]52;c;eA\u{7}";
        let question = Question {
            title: format!("may `files.write` do this: write {hostile}?"),
            details: vec![hostile.to_owned(), "two\nlines".to_owned()],
            who: "`files.write`".to_owned(),
            answers: &[('y', "yes"), ('n', "no")],
        };
        let mut out = Vec::new();
        put(&question, &mut anstream::StripStream::new(&mut out)).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let escaped = "safe\\u{d}rm -rf \\u{202e}txt\\u{200b}\\u{e0041}\\u{9b}2J\\u{1b}]52;c;eA\\u{7}";
        assert_eq!(shown, format!("? may `files.write` do this: write {escaped}?\n    {escaped}\n    two\\nlines\n"));
    }

    /// What stands above may have been scrolled away by then.
    #[test]
    fn the_answers_say_whom_they_are_for() {
        let question = Question {
            title: "may `notes.save` be called?".to_owned(),
            details: vec!["\"text\": \"…\"".to_owned(); 30],
            who: "`notes.save`".to_owned(),
            answers: &[('y', "yes, this once"), ('n', "no")],
        };
        let mut out = Vec::new();
        put_answers(&question, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "  `notes.save`  [y] yes, this once  [n] no: ");
    }
}
