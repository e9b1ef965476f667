//! `forget`: removes a note.

use agent_host_tool::{Json, args, json, serde_json::Value, tool};

use crate::book::Book;
use crate::note;

#[args]
pub(crate) struct Forget {
    /// The note's name, as it was remembered.
    name: String,
}

/// Removes one note for good.
#[tool]
pub(crate) fn forget(asked: Forget) -> Result<Json<Value>, String> {
    let name = note::name(&asked.name)?;
    let book = Book::open()?;
    if !book.names()?.contains(&name) {
        return Err(book.unknown(&name)?);
    }
    let notes = book.remove(&name)?;
    Ok(Json(json!({"name": name, "forgotten": true, "notes": notes})))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::note::Note;

    #[test]
    fn a_forgotten_note_is_gone() {
        let book = Book::open().unwrap();
        let note = Note { text: "x".to_owned(), tags: Vec::new(), changed: 0 };
        book.keep("a", &note).unwrap();
        book.keep("b", &note).unwrap();
        let ask = |name: &str| forget(Forget { name: name.to_owned() }).map(|Json(value)| value);
        assert_eq!(ask("a"), Ok(json!({"name": "a", "forgotten": true, "notes": 1})));
        assert_eq!(book.note("a"), Ok(None));
        assert!(ask("a").is_err());
    }
}
