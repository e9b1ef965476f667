//! The person at the terminal, if there is one. All questions go through here, one at a time, on stderr; where nobody is
//! there, no question is answered.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use agent_core::answer_events::{AnswerPlace, AnsweredBy};
use anstyle::{AnsiColor, Style};
use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::report::text;

const BOLD: Style = Style::new().bold();
const QUESTION: Style = AnsiColor::Yellow.on_default().bold();

/// Who can be asked.
pub struct Person {
    presence: Presence,
    /// Held by who asks, so that there is one question at a time.
    typing: Mutex<Typing>,
}

/// The line that is read from the terminal. Nothing ends a thread that waits for Enter, so a question that nobody waits for
/// any more leaves it behind, and the next one takes it over.
#[derive(Default)]
struct Typing {
    line: Option<oneshot::Receiver<Option<String>>>,
    attention: Attention,
}

/// Whether the person answers.
#[derive(Default, PartialEq, Eq)]
enum Attention {
    #[default]
    There,
    /// A question was not answered in time, and nothing was typed since.
    Away,
}

enum Presence {
    Terminal,
    Nobody,
}

/// Nobody answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered;

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
        Self { presence: if there { Presence::Terminal } else { Presence::Nobody }, typing: Mutex::default() }
    }

    /// Nobody, whatever this process was started at: its input and output are another program's.
    #[must_use]
    pub fn nobody() -> Self {
        Self { presence: Presence::Nobody, typing: Mutex::default() }
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

    /// Asks, and waits for a letter for a bounded time, which begins once the question is shown. Who let one pass is asked
    /// nothing more in this way until something is typed.
    ///
    /// # Errors
    /// Where nobody answered in time.
    pub async fn ask_within(&self, question: Question, wait: Duration) -> Result<Option<char>, Unanswered> {
        let Some(mut turn) = self.turn().await else { return Ok(None) };
        turn.typing.forget();
        if turn.typing.attention == Attention::Away {
            return Err(Unanswered);
        }
        let answered = tokio::time::timeout(wait, turn.typing.ask(&question)).await;
        answered.map_err(|_| {
            turn.typing.attention = Attention::Away;
            Unanswered
        })
    }

    /// Asks for a line of text, which may be empty. `None` where nobody is there or the input ended.
    pub async fn ask_line(&self, prompt: String) -> Option<String> {
        let mut turn = self.turn().await?;
        turn.typing.forget();
        write!(anstream::stderr(), "{QUESTION}?{QUESTION:#} {}: ", text::whole(&prompt)).ok()?;
        turn.typing.line().await
    }

    /// Waits until nobody else is asking. What others were told meanwhile may be an answer already. `None` where nobody is
    /// there.
    pub async fn turn(&self) -> Option<Turn<'_>> {
        if !self.is_there() {
            return None;
        }
        Some(Turn { typing: self.typing.lock().await })
    }
}

/// The one who may ask now.
pub struct Turn<'p> {
    typing: MutexGuard<'p, Typing>,
}

impl Turn<'_> {
    /// As [`Person::ask`].
    pub async fn ask(mut self, question: Question) -> Option<char> {
        self.typing.forget();
        self.typing.ask(&question).await
    }
}

fn ask_on_terminal(question: &Question) -> Option<char> {
    let mut err = anstream::stderr();
    forget_what_was_typed();
    put(question, &mut err).ok()?;
    for _ in 0..TRIES {
        put_answers(question, &mut err).ok()?;
        if let Some(letter) = question.chosen(&read_line()?) {
            return Some(letter);
        }
    }
    question.answers.last().map(|(letter, _)| *letter)
}

impl Question {
    /// The answer that was typed, if it is one: its letter alone, all that it means, or the word with which only that begins.
    /// Another word is none, whatever its first letter: `refuse` does not mean `[r] allow for this run`.
    fn chosen(&self, typed: &str) -> Option<char> {
        let typed = typed.to_ascii_lowercase();
        let says = |(letter, meaning): &&(char, &str)| {
            typed == letter.to_string()
                || typed == *meaning
                || (typed == first_word(meaning) && self.begins_one(&typed))
        };
        self.answers.iter().find(says).map(|(letter, _)| *letter)
    }

    fn begins_one(&self, word: &str) -> bool {
        self.answers.iter().filter(|(_, meaning)| first_word(meaning) == word).count() == 1
    }
}

fn first_word(meaning: &str) -> &str {
    meaning.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default()
}

/// How often a person may mistype before the answer is the last one, which is the safe one.
const TRIES: usize = 3;

impl Typing {
    /// What was typed to an earlier question after nobody waited for it any more is no answer to the next; nor is what stands
    /// in the terminal's queue.
    fn forget(&mut self) {
        forget_what_was_typed();
        if self.line.as_mut().is_some_and(|line| line.try_recv() != Err(oneshot::error::TryRecvError::Empty)) {
            self.line = None;
            self.attention = Attention::There;
        }
    }

    async fn ask(&mut self, question: &Question) -> Option<char> {
        put(question, &mut anstream::stderr()).ok()?;
        for _ in 0..TRIES {
            put_answers(question, &mut anstream::stderr()).ok()?;
            if let Some(letter) = question.chosen(&self.line().await?) {
                return Some(letter);
            }
        }
        question.answers.last().map(|(letter, _)| *letter)
    }

    /// The next line; `None` where the input ended.
    async fn line(&mut self) -> Option<String> {
        let line = self.line.get_or_insert_with(|| {
            let (tell, told) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                // Nobody may be waiting any more.
                let _ = tell.send(read_line());
            });
            told
        });
        let typed = line.await;
        self.line = None;
        typed.ok().flatten()
    }
}

/// Who answers now, here or there.
#[must_use]
pub fn answered(place: AnswerPlace) -> AnsweredBy {
    AnsweredBy { user: rustix::process::getuid().as_raw(), place }
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
    write!(out, "  {}  {}: ", text::whole(&question.who), offered.join("  "))?;
    out.flush()
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

    #[test]
    fn a_word_is_not_its_first_letter() {
        let question = |answers| Question { title: String::new(), details: Vec::new(), who: String::new(), answers };
        let widen = question(&[
            ('o', "allow this once"),
            ('r', "allow for this run"),
            ('s', "allow and save to your policy"),
            ('d', "deny"),
        ]);
        let cases = [
            ("o", Some('o')),
            ("r", Some('r')),
            ("S", Some('s')),
            ("deny", Some('d')),
            ("allow for this run", Some('r')),
            ("refuse", None),
            ("reject", None),
            ("stop", None),
            ("skip", None),
            ("once", None),
            ("allow", None),
            ("rr", None),
            ("", None),
        ];
        for (typed, chosen) in cases {
            assert_eq!(widen.chosen(typed), chosen, "{typed}");
        }
        let trust = question(&[('t', "trust this file"), ('o', "run once"), ('n', "no")]);
        assert_eq!(
            ["terminate", "ok", "trust", "no", "N"].map(|typed| trust.chosen(typed)),
            [None, None, Some('t'), Some('n'), Some('n')]
        );
        assert_eq!(question(&[('y', "yes, this once"), ('n', "no")]).chosen("Yes"), Some('y'));
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
