//! `remember`: keeps a note.

use agent_host_tool::{Json, args, json, serde_json::Value, tool};

use crate::book::{Book, now};
use crate::note::{self, Note, TEXT_BYTES_MAX};

#[args]
pub(crate) struct Remember {
    /// A short name by which the note is found again, such as `Ada's birthday`.
    name: String,
    /// What to remember.
    text: String,
    /// Words to group notes by, such as `people`. Default: none, or with `append` those that the note has.
    tags: Option<Vec<String>>,
    /// Whether the text is added to the note of that name as a new line. Default: false, which replaces it.
    append: Option<bool>,
}

/// Keeps a note under a name, for this and later conversations. A note of the same name is replaced, or added to.
#[tool]
pub(crate) fn remember(asked: Remember) -> Result<Json<Value>, String> {
    let name = note::name(&asked.name)?;
    let tags = asked.tags.as_deref().map(note::tags).transpose()?;
    let book = Book::open()?;
    let before = if asked.append.unwrap_or(false) { book.note(&name)? } else { None };
    let note = match before {
        Some(before) => {
            Note { text: format!("{}\n{}", before.text, asked.text), tags: tags.unwrap_or(before.tags), changed: now() }
        }
        None => Note { text: asked.text, tags: tags.unwrap_or_default(), changed: now() },
    };
    if note.text.trim().is_empty() {
        return Err("the text is empty: use `forget` to remove a note".to_owned());
    }
    if note.text.len() > TEXT_BYTES_MAX {
        let (bytes, most) = (note.text.len(), TEXT_BYTES_MAX);
        return Err(format!("the note would have {bytes} bytes, at most {most} are kept: split it, or say it shorter"));
    }
    let kept = book.keep(&name, &note)?;
    Ok(Json(json!({"name": name, "created": kept.created, "notes": kept.notes})))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn ask(name: &str, text: &str, tags: Option<&[&str]>, append: bool) -> Result<Value, String> {
        let tags = tags.map(|tags| tags.iter().map(|tag| (*tag).to_owned()).collect());
        let asked = Remember { name: name.to_owned(), text: text.to_owned(), tags, append: Some(append) };
        remember(asked).map(|Json(value)| value)
    }

    #[test]
    fn a_note_is_kept_then_replaced_then_added_to() {
        assert_eq!(ask("a", "one", Some(&["X"]), false).unwrap(), json!({"name": "a", "created": true, "notes": 1}));
        assert_eq!(ask(" a ", "two", None, false).unwrap(), json!({"name": "a", "created": false, "notes": 1}));
        let note = Book::open().unwrap().note("a").unwrap().unwrap();
        assert_eq!((note.text.as_str(), note.tags.len()), ("two", 0));
        ask("a", "three", Some(&["y"]), true).unwrap();
        ask("a", "four", None, true).unwrap();
        let note = Book::open().unwrap().note("a").unwrap().unwrap();
        assert_eq!((note.text.as_str(), note.tags), ("two\nthree\nfour", vec!["y".to_owned()]));
        assert_eq!(ask("b", "one", None, true).unwrap(), json!({"name": "b", "created": true, "notes": 2}));
    }

    #[test]
    fn what_cannot_be_kept_says_why() {
        assert!(ask("a", " \n", None, false).unwrap_err().contains("the text is empty"));
        assert!(ask("a", &"x".repeat(40_000), None, false).unwrap_err().contains("at most 32768"));
        assert!(ask("a\nb", "x", None, false).unwrap_err().contains("line break"));
    }
}
