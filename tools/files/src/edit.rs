//! `edit`: an exact replacement. What is not exact is refused with the places that come near.

use std::fs;

use agent_host_tool::{Json, args, json, path, serde_json::Value, tool};

/// Largest file that is edited: it is held in memory twice.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How many places an error names.
const PLACES_MAX: usize = 10;

#[args]
pub(crate) struct Edit {
    /// The file, relative to the granted folder.
    path: String,
    /// The text to replace, exactly as it stands in the file, without line numbers. Enough of it to occur only once.
    old: String,
    /// The text to put in its place. Empty to delete.
    new: String,
    /// Whether to replace every occurrence. Default: false, and then `old` must occur exactly once.
    replace_all: Option<bool>,
}

/// Replaces a text in a file by another. The old text must match exactly and occur once, unless `replace_all` is true; an
/// error says where it occurs.
#[tool]
pub(crate) fn edit(edit: Edit) -> Result<Json<Value>, String> {
    let place = path::resolve(&edit.path);
    let problem = |error| path::problem(&error, &edit.path);
    let metadata = fs::metadata(&place).map_err(problem)?;
    if metadata.is_dir() {
        return Err(format!("`{}` is a folder, not a file", edit.path));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!(
            "`{}` has {} bytes, more than the {FILE_BYTES_MAX} that can be edited",
            edit.path,
            metadata.len()
        ));
    }
    let text = String::from_utf8(fs::read(&place).map_err(problem)?)
        .map_err(|_| format!("`{}` is not UTF-8 text and cannot be edited", edit.path))?;
    let (changed, lines) = replace(&text, &edit)?;
    fs::write(&place, changed).map_err(problem)?;
    Ok(Json(json!({"path": edit.path, "replacements": lines.len(), "lines": &lines[..lines.len().min(PLACES_MAX)]})))
}

/// The changed text, and the lines of the old one at which something was replaced.
fn replace(text: &str, edit: &Edit) -> Result<(String, Vec<usize>), String> {
    if edit.old.is_empty() {
        return Err("`old` must not be empty: use `write` to write a whole file".to_owned());
    }
    if edit.old == edit.new {
        return Err("`old` and `new` are the same: nothing would change".to_owned());
    }
    let (old, new) = with_line_ends_of(text, edit);
    let lines = lines_of(text, &old);
    match lines.len() {
        0 => Err(absent(text, edit)),
        1 => Ok((text.replacen(&old, &new, 1), lines)),
        _ if edit.replace_all.unwrap_or(false) => Ok((text.replace(&old, &new), lines)),
        count => Err(format!(
            "`old` occurs {count} times in `{}`, at lines {}: give more of the text around it, or set `replace_all`",
            edit.path,
            listed(&lines),
        )),
    }
}

/// Models write `\n`; where the file ends its lines by `\r\n`, that is what they mean.
fn with_line_ends_of(text: &str, edit: &Edit) -> (String, String) {
    if text.contains("\r\n") && !edit.old.contains('\r') {
        (edit.old.replace('\n', "\r\n"), edit.new.replace('\n', "\r\n"))
    } else {
        (edit.old.clone(), edit.new.clone())
    }
}

/// The lines, counted from 1, at which `wanted` begins.
fn lines_of(text: &str, wanted: &str) -> Vec<usize> {
    let mut line = 1;
    let mut counted = 0;
    text.match_indices(wanted)
        .map(|(at, _)| {
            line += text[counted..at].matches('\n').count();
            counted = at;
            line
        })
        .collect()
}

fn absent(text: &str, edit: &Edit) -> String {
    let first = edit.old.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let near: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !first.is_empty() && line.contains(first))
        .map(|(index, _)| index + 1)
        .collect();
    let hint = if near.is_empty() {
        "read the file again and copy the text as it stands there".to_owned()
    } else {
        format!(
            "its first line stands at line {}, but what surrounds or follows it differs (mind the spaces)",
            listed(&near)
        )
    };
    format!("`old` does not occur in `{}`: {hint}", edit.path)
}

fn listed(lines: &[usize]) -> String {
    let named: Vec<String> = lines.iter().take(PLACES_MAX).map(ToString::to_string).collect();
    let more = lines.len().saturating_sub(PLACES_MAX);
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    fn check(text: &str, old: &str, new: &str, replace_all: Option<bool>) -> Result<(String, Vec<usize>), String> {
        replace(text, &Edit { path: "a.txt".to_owned(), old: old.to_owned(), new: new.to_owned(), replace_all })
    }

    #[test]
    fn one_occurrence_is_replaced() {
        assert_eq!(check("a\nb\nc\n", "b\n", "B\n", None), Ok(("a\nB\nc\n".to_owned(), vec![2])));
        assert_eq!(check("a\r\nb\r\nc", "a\nb", "x\ny\nz", None), Ok(("x\r\ny\r\nz\r\nc".to_owned(), vec![1])));
    }

    #[test]
    fn several_occurrences_need_to_be_meant() {
        let expected =
            "`old` occurs 3 times in `a.txt`, at lines 1, 2, 4: give more of the text around it, or set `replace_all`";
        assert_eq!(check("x\nx\n\nx", "x", "y", None), Err(expected.to_owned()));
        assert_eq!(check("x\nx\n\nx", "x", "y", Some(true)), Ok(("y\ny\n\ny".to_owned(), vec![1, 2, 4])));
    }

    #[test]
    fn an_absent_text_is_looked_for_nearby() {
        let expected = "`old` does not occur in `a.txt`: its first line stands at line 2, but what surrounds or follows it \
                        differs (mind the spaces)";
        assert_eq!(check("a\n  if x {\n    y", "if x {\ny", "", None), Err(expected.to_owned()));
        let expected = "`old` does not occur in `a.txt`: read the file again and copy the text as it stands there";
        assert_eq!(check("a", "b", "c", None), Err(expected.to_owned()));
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        assert!(check("a", "", "c", None).is_err());
        assert!(check("a", "a", "a", None).is_err());
    }

    #[test]
    fn the_file_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        fs::write(&file, "one two").unwrap();
        let path = file.to_str().unwrap().to_owned();
        let said =
            edit(Edit { path: path.clone(), old: "two".to_owned(), new: "2".to_owned(), replace_all: None }).unwrap();
        assert_eq!(said, Json(json!({"path": path, "replacements": 1, "lines": [1]})));
        assert_eq!(fs::read_to_string(&file).unwrap(), "one 2");
    }
}
