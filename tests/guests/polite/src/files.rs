//! Files below the mount.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use agent_host_tool::http::Request;
use agent_host_tool::{Json, args, path, tool};

/// One path.
#[args]
pub(crate) struct Place {
    path: String,
}

/// A path and what to write there.
#[args]
pub(crate) struct Content {
    path: String,
    content: String,
}

/// Two paths.
#[args]
pub(crate) struct Move {
    from: String,
    to: String,
}

/// Two files, written one after the other.
#[args]
pub(crate) struct Twice {
    first: String,
    second: String,
    content: String,
    /// How long to sleep between the two.
    pause_ms: u64,
}

/// A request between two writes.
#[args]
pub(crate) struct WritePostWrite {
    first: String,
    url: String,
    second: String,
    content: String,
}

/// Reads a file as text.
#[tool]
pub(crate) fn read_file(place: Place) -> Result<String, String> {
    fs::read_to_string(path::resolve(&place.path)).map_err(|error| path::problem(&error, &place.path))
}

/// Creates or replaces a file.
#[tool]
pub(crate) fn write_file(file: Content) -> Result<String, String> {
    put(&file.path, &file.content)?;
    Ok(format!("wrote {} bytes", file.content.len()))
}

/// Appends to a file, which is created if need be.
#[tool]
pub(crate) fn append_file(file: Content) -> Result<(), String> {
    let opened = OpenOptions::new().create(true).append(true).open(path::resolve(&file.path));
    opened
        .and_then(|mut opened| opened.write_all(file.content.as_bytes()))
        .map_err(|error| path::problem(&error, &file.path))
}

/// Renames a file or folder.
#[tool]
pub(crate) fn rename(names: Move) -> Result<(), String> {
    fs::rename(path::resolve(&names.from), path::resolve(&names.to)).map_err(|error| path::problem(&error, &names.from))
}

/// Removes a file, or a folder with all that is in it.
#[tool]
pub(crate) fn remove(place: Place) -> Result<(), String> {
    let target = path::resolve(&place.path);
    let removed = if target.is_dir() { fs::remove_dir_all(target) } else { fs::remove_file(target) };
    removed.map_err(|error| path::problem(&error, &place.path))
}

/// Creates a folder and those on the way to it.
#[tool]
pub(crate) fn make_folder(place: Place) -> Result<(), String> {
    fs::create_dir_all(path::resolve(&place.path)).map_err(|error| path::problem(&error, &place.path))
}

/// Lists the names in a folder, sorted.
#[tool]
pub(crate) fn list_folder(place: Place) -> Result<Json<Vec<String>>, String> {
    let problem = |error| path::problem(&error, &place.path);
    let mut names = Vec::new();
    for entry in fs::read_dir(path::resolve(&place.path)).map_err(problem)? {
        names.push(entry.map_err(problem)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(Json(names))
}

/// Writes one file, sleeps, and writes another: a host killed in between must undo the first.
#[tool]
pub(crate) fn write_twice(files: Twice) -> Result<String, String> {
    put(&files.first, &files.content)?;
    thread::sleep(Duration::from_millis(files.pause_ms));
    put(&files.second, &files.content)?;
    Ok("wrote both".to_owned())
}

/// Writes one file, posts its content, and writes another: a host killed in between must not post twice.
#[tool]
pub(crate) fn write_post_write(files: WritePostWrite) -> Result<String, String> {
    put(&files.first, &files.content)?;
    let response = Request::post(&files.url, files.content.clone()).send().map_err(|error| error.to_string())?;
    put(&files.second, &files.content)?;
    Ok(format!("posted with status {}", response.status))
}

fn put(shown: &str, content: &str) -> Result<(), String> {
    fs::write(path::resolve(shown), content).map_err(|error| path::problem(&error, shown))
}
