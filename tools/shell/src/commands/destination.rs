//! What `cp` and `mv` have in common: which file goes where, and what is left as it is there.

use std::fs::Metadata;
use std::path::PathBuf;

use super::options::Given;
use super::tree::joined;
use crate::files::reason;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

/// Each source, and where it goes.
pub(super) fn of_sources(call: &Call<'_>, given: &Given) -> Outcome<Vec<(String, String)>> {
    let (sources, target, is_folder) = sources_and_target(call, given)?;
    let to = |source: &str| match last_part(source) {
        // What is in it goes into the folder, and not beside it.
        ".." => target.clone(),
        last if is_folder => joined(&target, last),
        _ => target.clone(),
    };
    Ok(sources.into_iter().map(|source| (source.clone(), to(&source))).collect())
}

/// The places of a source and of what it becomes.
pub(super) fn places(call: &Call<'_>, source: &str, to: &str) -> Outcome<(PathBuf, PathBuf)> {
    let from = call.shell.place(source);
    let from = from.map_err(|error| Stop::failed(format!("cannot stat '{source}': {}", reason(&error))))?;
    let into = call.shell.place(to);
    let into = into.map_err(|error| Stop::failed(format!("cannot create '{to}': {}", reason(&error))))?;
    Ok((from, into))
}

/// Whether what is there stays: by `-n`, or by `-u` where what would come is not newer.
pub(super) fn is_kept(given: &Given, there: &Metadata, coming: Option<&Metadata>) -> bool {
    let time = |found: &Metadata| found.modified().ok();
    given.has('n') || (given.has('u') && time(there) >= coming.and_then(time))
}

pub(super) fn are_the_same(source: &str, to: &str) -> Stop {
    Stop::failed(format!("'{source}' and '{to}' are the same file"))
}

pub(super) fn last_part(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// What is copied or moved, where to, and whether that is a folder to put it into.
fn sources_and_target(call: &Call<'_>, given: &Given) -> Outcome<(Vec<String>, String, bool)> {
    let is_folder = |name: &str| call.shell.metadata(name).is_ok_and(|found| found.is_dir());
    if let Some(target) = given.value('t') {
        if !is_folder(target) {
            return Err(Stop::failed(format!("target directory '{target}': Not a directory")));
        }
        return Ok((given.operands.clone(), target.to_owned(), true));
    }
    let [sources @ .., target] = &given.operands[..] else { return Err(Stop::failed("a file is expected")) };
    if sources.is_empty() {
        return Err(Stop::failed(format!("missing destination file operand after '{target}'")));
    }
    let into = is_folder(target) && !given.has('T');
    if !into && sources.len() > 1 {
        return Err(Stop::failed(format!("target '{target}': Not a directory")));
    }
    Ok((sources.to_vec(), target.clone(), into))
}
