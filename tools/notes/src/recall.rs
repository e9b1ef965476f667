//! `recall`: one note, whole.

use agent_host_tool::{Json, args, json, serde_json::Value, tool};

use crate::book::Book;
use crate::note;

#[args]
pub(crate) struct Recall {
    /// The note's name, as it was remembered.
    name: String,
}

/// Gives back one note by its name. To find a note by what it says, use `search`.
#[tool]
pub(crate) fn recall(asked: Recall) -> Result<Json<Value>, String> {
    let name = note::name(&asked.name)?;
    let book = Book::open()?;
    let Some(note) = book.note(&name)? else { return Err(book.unknown(&name)?) };
    let changed = note::shown_time(note.changed);
    Ok(Json(json!({"name": name, "text": note.text, "tags": note.tags, "changed": changed})))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::note::Note;

    #[test]
    fn a_note_comes_back_whole_and_a_missing_one_with_its_likes() {
        let book = Book::open().unwrap();
        let note = Note { text: "10 December".to_owned(), tags: vec!["people".to_owned()], changed: 0 };
        book.keep("Ada's birthday", &note).unwrap();
        let ask = |name: &str| recall(Recall { name: name.to_owned() }).map(|Json(value)| value);
        let whole =
            json!({"name": "Ada's birthday", "text": "10 December", "tags": ["people"], "changed": "1970-01-01 00:00"});
        assert_eq!(ask("Ada's birthday"), Ok(whole));
        assert_eq!(ask("birthday"), Err("there is no note `birthday`: there is `Ada's birthday`".to_owned()));
        let nothing = "there is no note `wifi`: use `search` or `list` to see what there is";
        assert_eq!(ask("wifi"), Err(nothing.to_owned()));
    }
}
