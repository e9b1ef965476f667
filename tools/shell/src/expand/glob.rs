//! Names of files that match a pattern.

use std::path::Path;

use super::Pattern;
use crate::stop::{Outcome, Stop};

/// Entries of folders that one pattern looks at.
const ENTRIES_MAX: usize = 50_000;

/// The names that match, in the order of their bytes, or the word itself where none does.
pub(super) fn names(directory: &Path, pattern: &str, word: String) -> Outcome<Vec<String>> {
    let mut found = matching(directory, pattern)?;
    if found.is_empty() {
        return Ok(vec![word]);
    }
    found.sort();
    Ok(found)
}

/// One part of a path after the other: what was found so far, and what may follow it.
fn matching(directory: &Path, pattern: &str) -> Outcome<Vec<String>> {
    let mut found = vec![String::new()];
    let mut looked_at = 0;
    let parts: Vec<&str> = pattern.split('/').collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let compiled = Pattern::new(part);
        let mut next = Vec::new();
        for prefix in &found {
            match compiled.as_literal() {
                Some(name) => {
                    let path = format!("{prefix}{name}");
                    if !is_last || name.is_empty() || directory.join(&path).symlink_metadata().is_ok() {
                        next.push(path);
                    }
                }
                None => entries(directory, prefix, &compiled, &mut looked_at, &mut next)?,
            }
        }
        if !is_last {
            next.retain(|path| path.is_empty() || directory.join(path).is_dir());
            next.iter_mut().for_each(|path| path.push('/'));
        }
        found = next;
    }
    Ok(found)
}

fn entries(
    directory: &Path,
    prefix: &str,
    pattern: &Pattern,
    looked_at: &mut usize,
    found: &mut Vec<String>,
) -> Outcome<()> {
    // A folder that cannot be read has nothing that matches.
    let Ok(entries) = directory.join(prefix).read_dir() else { return Ok(()) };
    for entry in entries.flatten() {
        *looked_at += 1;
        if *looked_at > ENTRIES_MAX {
            return Err(Stop::Limit(format!("a pattern looks at more than {ENTRIES_MAX} names of files")));
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if (!name.starts_with('.') || pattern.begins_with_dot()) && pattern.matches(&name) {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}
