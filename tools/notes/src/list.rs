//! `list`: which notes there are.

use std::cmp::Reverse;

use agent_host_tool::{Json, args, json, serde_json::Value, tool};

use crate::book::Book;
use crate::note::{self, Note};
use crate::search::has_tag;

/// Most notes in one answer.
const LISTED_MAX: usize = 50;
/// Characters shown of a note's first line.
const BEGINS_CHARS_MAX: usize = 80;

#[args]
pub(crate) struct List {
    /// Only notes with this tag.
    tag: Option<String>,
    /// How many notes to leave out, for the rest of a long list. Default: 0.
    skip: Option<usize>,
}

/// Lists the notes, the last changed first, each with its tags and how it begins.
#[tool]
pub(crate) fn list(asked: List) -> Result<Json<Value>, String> {
    let tag = asked.tag.as_deref().map(note::tag).transpose()?;
    let mut notes = Book::open()?.notes()?;
    notes.retain(|(_, note)| has_tag(note, tag.as_deref()));
    notes.sort_by_key(|(_, note)| Reverse(note.changed));
    let skip = asked.skip.unwrap_or(0).min(notes.len());
    let listed: Vec<Value> = notes.iter().skip(skip).take(LISTED_MAX).map(|(name, note)| line(name, note)).collect();
    Ok(Json(json!({"more": notes.len() - skip - listed.len(), "notes": listed})))
}

fn line(name: &str, note: &Note) -> Value {
    let begins: String = note.text.lines().next().unwrap_or_default().chars().take(BEGINS_CHARS_MAX).collect();
    json!({"name": name, "tags": note.tags, "changed": note::shown_time(note.changed), "begins": begins})
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn the_last_changed_comes_first_and_the_rest_is_counted() {
        let book = Book::open().unwrap();
        for number in 0..60_u64 {
            let tag = if number % 2 == 0 { "even" } else { "odd" };
            let note = Note { text: format!("{number}\nmore"), tags: vec![tag.to_owned()], changed: number };
            book.keep(&format!("note {number}"), &note).unwrap();
        }
        let ask = |tag: Option<&str>, skip| list(List { tag: tag.map(str::to_owned), skip }).unwrap().0;
        let first = ask(None, None);
        assert_eq!((first["notes"].as_array().unwrap().len(), &first["more"]), (50, &json!(10)));
        let newest = json!({"name": "note 59", "tags": ["odd"], "changed": "1970-01-01 00:00", "begins": "59"});
        assert_eq!(first["notes"][0], newest);
        assert_eq!(ask(None, Some(50))["notes"].as_array().unwrap().len(), 10);
        assert_eq!(ask(Some("even"), None)["notes"].as_array().unwrap().len(), 30);
    }
}
