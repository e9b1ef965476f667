//! Says at a terminal how far the reading of a long run is, where it takes longer than a moment. Whoever reads a run event by event
//! counts them here.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What takes less needs no words.
const MOMENT: Duration = Duration::from_secs(1);

/// Events after which it is looked whether there is anything to say: some milliseconds.
const LOOK_EVERY: u64 = 1_000;

/// How far the reading is.
pub struct Progress {
    what: &'static str,
    since: Instant,
    events: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, since: Instant::now(), events: 0, bar: None }
    }

    /// One more event was read.
    pub fn step(&mut self) {
        self.events += 1;
        if self.events.is_multiple_of(LOOK_EVERY) && self.since.elapsed() > MOMENT {
            let message = format!("{}: {}", self.what, self.events);
            self.bar.get_or_insert_with(bar).set_message(message);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// On standard error, and only where that is a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("· {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}
