//! All notes, in the tool's store. Every operation opens the book, and what it changes is kept when its call ends.

use std::time::{SystemTime, UNIX_EPOCH};

use agent_host_tool::kv::{Error, Store};

use crate::note::Note;

/// Most notes. A list of more helps nobody.
const NOTES_MAX: usize = 2_000;

/// The open book.
pub(crate) struct Book(Store);

impl Book {
    pub(crate) fn open() -> Result<Self, String> {
        Store::open().map(Self).map_err(|error| problem(&error))
    }

    pub(crate) fn note(&self, name: &str) -> Result<Option<Note>, String> {
        self.0.get_json(name).map_err(|error| problem(&error))
    }

    /// The names, in their order.
    pub(crate) fn names(&self) -> Result<Vec<String>, String> {
        self.0.keys().map_err(|error| problem(&error))
    }

    /// Every note with its name. One that cannot be read is left out: another version of this tool wrote it.
    pub(crate) fn notes(&self) -> Result<Vec<(String, Note)>, String> {
        let names = self.names()?;
        let values = self.0.get_many(&names).map_err(|error| problem(&error))?;
        let read = |(name, value): (String, Option<Vec<u8>>)| {
            Some((name, agent_host_tool::serde_json::from_slice(&value?).ok()?))
        };
        Ok(names.into_iter().zip(values).filter_map(read).collect())
    }

    /// Keeps a note under its name, in the place of one that was there. Says whether it is new.
    pub(crate) fn keep(&self, name: &str, note: &Note) -> Result<Kept, String> {
        let names = self.names()?;
        let created = !names.iter().any(|known| known == name);
        if created && names.len() >= NOTES_MAX {
            return Err(format!("there are {NOTES_MAX} notes already: forget some first"));
        }
        self.0.set_json(name, note).map_err(|error| problem(&error))?;
        Ok(Kept { created, notes: names.len() + usize::from(created) })
    }

    /// Removes a note. Says how many are left.
    pub(crate) fn remove(&self, name: &str) -> Result<usize, String> {
        self.0.remove(name).map_err(|error| problem(&error))?;
        Ok(self.names()?.len())
    }

    /// What a tool says of a note that is not there, with the names that are most like it.
    pub(crate) fn unknown(&self, name: &str) -> Result<String, String> {
        /// Names that are offered.
        const OFFERED: usize = 3;
        /// How alike two names are that may be meant for each other.
        const ALIKE: f64 = 0.75;
        let asked = name.to_lowercase();
        let likeness = |known: String| {
            let lower = known.to_lowercase();
            let contains = lower.contains(&asked) || asked.contains(&lower);
            (if contains { 1.0 } else { strsim::jaro_winkler(&lower, &asked) }, known)
        };
        let mut alike: Vec<(f64, String)> = self.names()?.into_iter().map(likeness).collect();
        alike.retain(|(likeness, _)| *likeness >= ALIKE);
        alike.sort_by(|a, b| b.0.total_cmp(&a.0));
        let offered: Vec<String> = alike.into_iter().take(OFFERED).map(|(_, known)| format!("`{known}`")).collect();
        let hint = if offered.is_empty() {
            "use `search` or `list` to see what there is".to_owned()
        } else {
            format!("there is {}", offered.join(", "))
        };
        Ok(format!("there is no note `{name}`: {hint}"))
    }
}

/// What came of keeping a note.
pub(crate) struct Kept {
    pub(crate) created: bool,
    /// All notes now.
    pub(crate) notes: usize,
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn problem(error: &Error) -> String {
    match error {
        Error::Refused => {
            "the notes were not granted for this: the operator grants them with `--allow-kv notes`".to_owned()
        }
        Error::NoSuchStore | Error::Failed(_) | Error::Unreadable { .. } => error.to_string(),
    }
}
