//! `search`: notes by what they say.

use std::cmp::Reverse;

use agent_host_tool::{Json, args, json, serde_json::Value, tool};

use crate::book::Book;
use crate::note::{self, Note};

/// Notes given back when the caller does not say.
const FOUND_DEFAULT: usize = 10;
/// Most notes in one answer.
const FOUND_MAX: usize = 50;
/// Most bytes of text in one answer.
const ANSWER_BYTES_MAX: usize = 48 << 10;
/// Most bytes shown of one note; `recall` has all of it.
const SHOWN_BYTES_MAX: usize = 2 << 10;
/// Words of a query that count.
const WORDS_MAX: usize = 16;

#[args]
pub(crate) struct Search {
    /// Words that the note holds in its name, tags or text, all of them, whatever their case. Parts of words count.
    query: String,
    /// Only notes with this tag.
    tag: Option<String>,
    /// How many notes to give back, at most 50. Default: 10.
    limit: Option<usize>,
}

/// Finds notes that hold every word, the best first. Long texts are cut: `recall` gives one note whole.
#[tool]
pub(crate) fn search(asked: Search) -> Result<Json<Value>, String> {
    let tag = asked.tag.as_deref().map(note::tag).transpose()?;
    let words: Vec<String> = asked.query.split_whitespace().take(WORDS_MAX).map(str::to_lowercase).collect();
    if words.is_empty() {
        return Err("the query is empty: use `list` to see all notes".to_owned());
    }
    let limit = asked.limit.unwrap_or(FOUND_DEFAULT).clamp(1, FOUND_MAX);
    let notes = Book::open()?.notes()?.into_iter().filter(|(_, note)| has_tag(note, tag.as_deref()));
    let mut hits: Vec<(u32, String, Note)> =
        notes.filter_map(|(name, note)| Some((score(&words, &name, &note)?, name, note))).collect();
    hits.sort_by_key(|(score, _, note)| Reverse((*score, note.changed)));
    let all = hits.len();
    let mut bytes = 0;
    let fits = |(_, _, note): &(u32, String, Note)| {
        bytes += note.text.len().min(SHOWN_BYTES_MAX);
        bytes <= ANSWER_BYTES_MAX
    };
    let found: Vec<Value> =
        hits.into_iter().take(limit).take_while(fits).map(|(_, name, note)| shown(&name, &note)).collect();
    Ok(Json(json!({"more": all - found.len(), "found": found})))
}

pub(crate) fn has_tag(note: &Note, tag: Option<&str>) -> bool {
    tag.is_none_or(|tag| note.tags.iter().any(|has| has == tag))
}

/// How well a note answers; `None` where it lacks a word.
fn score(words: &[String], name: &str, note: &Note) -> Option<u32> {
    let (name, text) = (name.to_lowercase(), note.text.to_lowercase());
    let of_word = |word: &String| {
        let hits = [
            (name.contains(word.as_str()), 4),
            (note.tags.iter().any(|tag| tag.contains(word.as_str())), 2),
            (text.contains(word.as_str()), 1),
        ];
        let score: u32 = hits.iter().filter(|(hit, _)| *hit).map(|(_, score)| score).sum();
        (score > 0).then_some(score)
    };
    words.iter().map(of_word).sum()
}

fn shown(name: &str, note: &Note) -> Value {
    let changed = note::shown_time(note.changed);
    let mut shown = json!({"name": name, "text": note.text, "tags": note.tags, "changed": changed});
    if note.text.len() > SHOWN_BYTES_MAX {
        let cut = &note.text[..note.text.floor_char_boundary(SHOWN_BYTES_MAX)];
        shown["text"] = Value::from(cut);
        shown["cut"] = Value::from(format!("{} more bytes: `recall` has all", note.text.len() - cut.len()));
    }
    shown
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn fill(notes: &[(&str, &str, &str, u64)]) {
        let book = Book::open().unwrap();
        for (name, text, tag, changed) in notes {
            let note = Note { text: (*text).to_owned(), tags: vec![(*tag).to_owned()], changed: *changed };
            book.keep(name, &note).unwrap();
        }
    }

    fn names(query: &str, tag: Option<&str>) -> Vec<String> {
        let asked = Search { query: query.to_owned(), tag: tag.map(str::to_owned), limit: None };
        let Json(value) = search(asked).unwrap();
        let found = value["found"].as_array().unwrap();
        found.iter().map(|note| note["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_word_counts_and_names_count_most() {
        fill(&[
            ("Ada's birthday", "10 December", "people", 1),
            ("gifts", "For Ada's birthday: a loom", "ideas", 2),
            ("party", "Birthday of Grace", "people", 3),
            ("Österreich", "Ausflug mit Schnee", "travel", 4),
        ]);
        assert_eq!(names("BIRTHDAY ada", None), ["Ada's birthday", "gifts"]);
        assert_eq!(names("birthday", Some("People")), ["Ada's birthday", "party"]);
        assert_eq!(names("österreich schn", None), ["Österreich"]);
        assert_eq!(names("people", None), ["party", "Ada's birthday"]);
        assert!(names("birthday mars", None).is_empty());
    }

    #[test]
    fn long_notes_are_cut_and_many_are_counted() {
        let long = "ä".repeat(5_000);
        let notes: Vec<(String, String)> = (0..60).map(|number| (format!("note {number}"), long.clone())).collect();
        let notes: Vec<(&str, &str, &str, u64)> =
            notes.iter().map(|(name, text)| (name.as_str(), text.as_str(), "t", 0)).collect();
        fill(&notes);
        let Json(value) = search(Search { query: "note".to_owned(), tag: None, limit: Some(50) }).unwrap();
        let found = value["found"].as_array().unwrap();
        assert_eq!((found.len(), value["more"].as_u64()), (24, Some(36)));
        assert_eq!(found[0]["cut"], "7952 more bytes: `recall` has all");
    }
}
