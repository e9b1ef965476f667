//! `mkdir` and `rmdir`.

use std::path::Path;

use super::options::Options;
use crate::files::reason;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OF_MKDIR: Options = Options::new("pv", "", &[("parents", 'p'), ("verbose", 'v')]);
const OF_RMDIR: Options = Options::new("pv", "", &[("parents", 'p'), ("verbose", 'v')]);

pub(super) async fn mkdir(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OF_MKDIR)?;
    if given.operands.is_empty() {
        return Err(Stop::failed("a folder is expected"));
    }
    let mut status = 0;
    for name in &given.operands {
        let make = |place| if given.has('p') { std::fs::create_dir_all(place) } else { std::fs::create_dir(place) };
        let made = call.shell.place(name).and_then(make);
        match made {
            Ok(()) if given.has('v') => call.out.line(format!("mkdir: created directory '{name}'")).await?,
            Ok(()) => {}
            Err(error) => {
                call.complain(&format!("cannot create directory '{name}': {}", reason(&error))).await?;
                status = 1;
            }
        }
    }
    Ok(status)
}

pub(super) async fn rmdir(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OF_RMDIR)?;
    if given.operands.is_empty() {
        return Err(Stop::failed("a folder is expected"));
    }
    let mut status = 0;
    for name in &given.operands {
        if call.shell.is_link_with_slash(name) {
            call.complain(&format!("failed to remove '{name}': Symbolic link not followed")).await?;
            status = 1;
            continue;
        }
        let parents = Path::new(name).ancestors().take_while(|part| !part.as_os_str().is_empty() || name.is_empty());
        for part in parents.take(if given.has('p') { usize::MAX } else { 1 }) {
            let part = part.display().to_string();
            if let Err(error) = call.shell.place(&part).and_then(std::fs::remove_dir) {
                call.complain(&format!("failed to remove '{part}': {}", reason(&error))).await?;
                status = 1;
                break;
            }
            if given.has('v') {
                call.out.line(format!("rmdir: removing directory, '{part}'")).await?;
            }
        }
    }
    Ok(status)
}
