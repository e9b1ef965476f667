//! `touch`: files that are there, and a new time for those that were.

use std::fs::File;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::date;
use super::options::Options;
use crate::files::{failed, reason};
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new("cm", "dr", &[("no-create", 'c'), ("date", 'd'), ("reference", 'r')]);

pub(super) async fn touch(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    if given.operands.is_empty() {
        return Err(Stop::failed("a file is expected"));
    }
    let time = match (given.value('d'), given.value('r')) {
        (Some(text), _) => {
            let seconds = date::read(text)?;
            let seconds = u64::try_from(seconds).map_err(|_| Stop::failed(format!("`{text}` is before 1970")))?;
            UNIX_EPOCH + Duration::from_secs(seconds)
        }
        (None, Some(name)) => {
            call.shell.metadata(name).and_then(|found| found.modified()).map_err(|error| failed(name, &error))?
        }
        (None, None) => SystemTime::now(),
    };
    let mut status = 0;
    for name in &given.operands {
        let there = call.shell.metadata(name).is_ok();
        if !there && given.has('c') {
            continue;
        }
        let opened = call.shell.place(name).and_then(|place| match place.is_dir() {
            true => File::open(place),
            false => File::options().append(true).create(true).open(place),
        });
        let touched = opened.and_then(|file| {
            let is_new_now = !there && !given.has('d') && !given.has('r');
            if is_new_now { Ok(()) } else { file.set_modified(time) }
        });
        if let Err(error) = touched {
            call.complain(&format!("cannot touch '{name}': {}", reason(&error))).await?;
            status = 1;
        }
    }
    Ok(status)
}
