//! `list`: what is in a folder.

use std::fs;

use agent_host_tool::{Json, args, json, path, serde_json::Value, tool};

use crate::walk::{ENTRIES_MAX, Kind, NameFilter, Walk};

/// Entries given back.
const ANSWER_ENTRIES_MAX: usize = 500;
/// Deepest listing.
const DEPTH_MAX: usize = 32;

#[args]
pub(crate) struct List {
    /// The folder, relative to the granted folder. Default: the granted folder itself.
    path: Option<String>,
    /// How deep to go: 1 (the default) lists the folder's own entries, 2 also those of its folders, at most 32.
    depth: Option<usize>,
    /// Only entries whose name matches, such as `*.md` or `src/**/*.rs`. Combine it with `depth`.
    glob: Option<String>,
}

/// Lists a folder: names, kinds and sizes, in the order of names. At most 500 entries are shown; `total` counts all.
#[tool]
pub(crate) fn list(list: List) -> Result<Json<Value>, String> {
    let shown = list.path.unwrap_or_else(|| ".".to_owned());
    let place = path::resolve(&shown);
    let problem = |error| path::problem(&error, &shown);
    if fs::metadata(&place).map_err(problem)?.is_file() {
        return Err(format!("`{shown}` is a file: use `read`"));
    }
    let filter = NameFilter::new(list.glob.as_deref())?;
    let mut walk = Walk::new(&place, list.depth.unwrap_or(1).clamp(1, DEPTH_MAX)).map_err(problem)?;

    let mut entries = Vec::new();
    let mut total = 0;
    for entry in walk.by_ref().filter(|entry| filter.matches(&entry.name)) {
        total += 1;
        if entries.len() >= ANSWER_ENTRIES_MAX {
            continue;
        }
        let bytes = fs::metadata(&entry.place).map(|metadata| metadata.len());
        entries.push(match (entry.kind, bytes) {
            (Kind::File, Ok(bytes)) => json!({"name": entry.name, "kind": "file", "bytes": bytes}),
            (Kind::File, Err(_)) => json!({"name": entry.name, "kind": "file"}),
            (Kind::Folder, _) => json!({"name": entry.name, "kind": "folder"}),
            (Kind::Link, _) => json!({"name": entry.name, "kind": "link"}),
            (Kind::Other, _) => json!({"name": entry.name, "kind": "other"}),
        });
    }
    let mut answer = json!({"path": shown, "entries": entries, "total": total});
    if let Some(note) = note(total, walk.cut) {
        answer["note"] = note.into();
    }
    Ok(Json(answer))
}

fn note(total: usize, cut: bool) -> Option<String> {
    if cut {
        Some(format!("only the first {ENTRIES_MAX} entries were looked at: list a folder further down"))
    } else if total > ANSWER_ENTRIES_MAX {
        Some(format!("{} more entries are not shown: narrow it by `glob` or `path`", total - ANSWER_ENTRIES_MAX))
    } else {
        None
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn entries_have_names_kinds_and_sizes() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        fs::write(folder.path().join("docs/a.md"), "12345").unwrap();
        fs::write(folder.path().join("b.txt"), "").unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let ask = |depth, glob: Option<&str>| {
            let list = list(List { path: Some(path.clone()), depth, glob: glob.map(str::to_owned) });
            list.unwrap().0["entries"].clone()
        };
        let flat = json!([{"name": "b.txt", "kind": "file", "bytes": 0}, {"name": "docs", "kind": "folder"}]);
        assert_eq!(ask(None, None), flat);
        assert_eq!(ask(Some(2), Some("*.md")), json!([{"name": "docs/a.md", "kind": "file", "bytes": 5}]));
    }

    #[test]
    fn what_is_left_out_is_said() {
        assert_eq!(note(500, false), None);
        assert_eq!(note(501, false), Some("1 more entries are not shown: narrow it by `glob` or `path`".to_owned()));
        assert!(note(7, true).is_some_and(|note| note.contains("20000")));
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let said = list(List { path: Some("/no/such".to_owned()), depth: None, glob: None });
        assert_eq!(said, Err("`/no/such` does not exist".to_owned()));
    }
}
