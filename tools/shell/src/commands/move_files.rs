//! `mv`.

use super::copy::{last_part, sources_and_target};
use super::options::{Given, Options};
use super::tree::joined;
use crate::files::{normal, reason};
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
    let (sources, target, is_folder) = sources_and_target(call, &given)?;
    let mut status = 0;
    for source in sources {
        let to = if is_folder { joined(&target, last_part(&source)) } else { target.clone() };
        match moved(call, &given, &source, &to) {
            Ok(true) if given.has('v') => call.out.line(format!("renamed '{source}' -> '{to}'")).await?,
            Ok(_) => {}
            Err(stop) => status = call.tell(stop).await?,
        }
    }
    Ok(status)
}

/// Renames: all of a mount is one file system. False: it was left where it is.
fn moved(call: &Call<'_>, given: &Given, source: &str, to: &str) -> Outcome<bool> {
    let (from, into) = (call.shell.place(source), call.shell.place(to));
    let found = std::fs::symlink_metadata(&from);
    let found = found.map_err(|error| Stop::failed(format!("cannot stat '{source}': {}", reason(&error))))?;
    let there = std::fs::symlink_metadata(&into).ok();
    if there.is_some() && given.has('n') {
        return Ok(false);
    }
    let newer = |other: &std::fs::Metadata| other.modified().ok() >= found.modified().ok();
    if given.has('u') && there.as_ref().is_some_and(newer) {
        return Ok(false);
    }
    if normal(&from) == normal(&into) {
        return Err(Stop::failed(format!("'{source}' and '{to}' are the same file")));
    }
    if found.is_dir() && normal(&into).starts_with(normal(&from)) {
        return Err(Stop::failed(format!("cannot move '{source}' to a subdirectory of itself, '{to}'")));
    }
    if there.is_some_and(|there| there.is_dir()) && !found.is_dir() {
        return Err(Stop::failed(format!("cannot overwrite directory '{to}' with non-directory")));
    }
    std::fs::rename(&from, &into)
        .map_err(|error| Stop::failed(format!("cannot move '{source}' to '{to}': {}", reason(&error))))?;
    Ok(true)
}
