//! `write`: a whole file.

use std::fs;

use agent_host_tool::{Json, args, json, path, serde_json::Value, tool};

#[args]
pub(crate) struct Write {
    /// The file, relative to the granted folder. Folders on the way to it are created.
    path: String,
    /// The whole new content.
    content: String,
}

/// Writes a whole file: creates it, or replaces what it held. To change a part of a file, use `edit`.
#[tool]
pub(crate) fn write(write: Write) -> Result<Json<Value>, String> {
    let place = path::resolve(&write.path);
    let problem = |error| path::problem(&error, &write.path);
    let created = match fs::metadata(&place) {
        Ok(metadata) if metadata.is_dir() => return Err(format!("`{}` is a folder, not a file", write.path)),
        Ok(_) => false,
        Err(_) => true,
    };
    if let Some(folder) = place.parent()
        && !folder.is_dir()
    {
        fs::create_dir_all(folder).map_err(problem)?;
    }
    fs::write(&place, &write.content).map_err(problem)?;
    Ok(Json(json!({"path": write.path, "bytes": write.content.len(), "created": created})))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_with_its_folders_and_then_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/c.txt");
        let path = file.to_str().unwrap().to_owned();
        for (content, created) in [("first", true), ("2nd", false)] {
            let said = write(Write { path: path.clone(), content: content.to_owned() });
            assert_eq!(said, Ok(Json(json!({"path": path, "bytes": content.len(), "created": created}))));
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let said = write(Write { path: "/".to_owned(), content: String::new() });
        assert_eq!(said, Err("`/` is a folder, not a file".to_owned()));
    }
}
