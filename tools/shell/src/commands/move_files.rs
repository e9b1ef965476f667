//! `mv`.

use std::fs::{self, Metadata};
use std::path::Path;

use super::destination::{self, are_the_same, last_part, places};
use super::made::Made;
use super::options::{Given, Options};
use crate::files::{normal, reason};
use crate::identity;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new(
    "fnvTu",
    "t",
    &[
        ("force", 'f'),
        ("no-clobber", 'n'),
        ("verbose", 'v'),
        ("update", 'u'),
        ("no-target-directory", 'T'),
        ("target-directory", 't'),
    ],
);

pub(super) async fn mv(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let mut made = Made::default();
    let mut status = 0;
    for (source, to) in destination::of_sources(call, &given)? {
        match moved(call, &given, &mut made, &source, &to) {
            Ok(true) if given.has('v') => call.out.line(format!("renamed '{source}' -> '{to}'")).await?,
            Ok(_) => {}
            Err(stop) => status = call.tell(stop).await?,
        }
    }
    Ok(status)
}

/// Renames: all of a mount is one file system. False: it was left where it is.
fn moved(call: &Call<'_>, given: &Given, made: &mut Made, source: &str, to: &str) -> Outcome<bool> {
    let (from, into) = places(call, source, to)?;
    let cannot = |why: &str| Stop::failed(format!("cannot move '{source}' to '{to}': {why}"));
    let found = fs::symlink_metadata(&from);
    let found = found.map_err(|error| Stop::failed(format!("cannot stat '{source}': {}", reason(&error))))?;
    if matches!(last_part(source), "." | "..") {
        return Err(cannot("it is a folder that the shell is in"));
    }
    if call.shell.is_link_with_slash(source) || call.shell.is_link_with_slash(to) {
        return Err(cannot("Not a directory"));
    }
    let there = fs::symlink_metadata(&into).ok();
    if let Some(there) = &there {
        if destination::is_kept(given, there, Some(&found)) {
            return Ok(false);
        }
        refuse_overwriting((source, to), (&from, &into), &found, there)?;
        if !found.is_dir() {
            made.refuse(source, to, &into)?;
        }
    }
    if !found.is_dir() && to.ends_with('/') {
        return Err(cannot("Not a directory"));
    }
    if found.is_dir() && normal(&into).starts_with(normal(&from)) {
        return Err(Stop::failed(format!("cannot move '{source}' to a subdirectory of itself, '{to}'")));
    }
    fs::rename(&from, &into).map_err(|error| cannot(&reason(&error)))?;
    made.add(&from, &into);
    Ok(true)
}

/// What is there must not be lost by a name that leads to it.
fn refuse_overwriting(
    (source, to): (&str, &str),
    (from, into): (&Path, &Path),
    found: &Metadata,
    there: &Metadata,
) -> Outcome<()> {
    let is_link_to_it = found.is_symlink() && !there.is_symlink() && identity::are_same(from, into);
    let are_one = normal(from) == normal(into) || identity::are_same_unfollowed(from, into);
    match (found.is_dir(), there.is_dir()) {
        _ if is_link_to_it || are_one => Err(are_the_same(source, to)),
        (false, true) => Err(Stop::failed(format!("cannot overwrite directory '{to}' with non-directory"))),
        (true, false) => Err(Stop::failed(format!("cannot overwrite non-directory '{to}' with directory '{source}'"))),
        (true, true) | (false, false) => Ok(()),
    }
}
