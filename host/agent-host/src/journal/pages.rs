//! Reading a run once more, some events at a time, for who has read it to its end before and does something slow with each event:
//! nothing is held open in between, and never more than a page is in memory. That the run hangs together was found out by the
//! first reading.

use std::vec::IntoIter;

use agent_core::event::Recorded;
use agent_core::name::RunId;

use super::Journal;
use super::error::JournalError;

/// Events of a page: some hundred kilobytes of an ordinary run. Where they are long, a page ends sooner.
const EVENTS: usize = 512;

/// The events of a run, in order.
pub struct Pages<'j> {
    journal: &'j dyn Journal,
    run: &'j RunId,
    upto: u64,
    page: IntoIter<Recorded>,
    /// The number of the last event of the page.
    last: u64,
}

impl<'j> Pages<'j> {
    /// Those up to number `upto`, whatever was recorded since.
    #[must_use]
    pub fn of(journal: &'j dyn Journal, run: &'j RunId, upto: u64) -> Self {
        Self { journal, run, upto, page: Vec::new().into_iter(), last: 0 }
    }

    fn turn(&mut self) -> Result<(), JournalError> {
        let page = self.journal.events_after(self.run, self.last, EVENTS)?;
        let page: Vec<_> = page.into_iter().map(|(recorded, _)| recorded).collect();
        self.last = page.last().map_or(self.upto, |last| last.seq);
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && self.last < self.upto
            && let Err(error) = self.turn()
        {
            self.last = self.upto;
            return Some(Err(error));
        }
        self.page.next().filter(|recorded| recorded.seq <= self.upto).map(Ok)
    }
}
