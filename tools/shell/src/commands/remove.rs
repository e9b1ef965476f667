//! `rm`.

use super::options::Options;
use super::tree::{Kind, Root, Tree};
use crate::files::reason;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options =
    Options::new("rRfdv", "", &[("recursive", 'r'), ("force", 'f'), ("dir", 'd'), ("verbose", 'v')]);

pub(super) async fn rm(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let is_forced = given.has('f');
    if given.operands.is_empty() {
        return if is_forced { Ok(0) } else { Err(Stop::failed("a file is expected")) };
    }
    let mut status = 0;
    for name in &given.operands {
        let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if matches!(last, "." | "..") {
            call.complain(&format!("refusing to remove '.' or '..' directory: skipping '{name}'")).await?;
            status = 1;
            continue;
        }
        let removed = match call.shell.unfollowed(name) {
            _ if call.shell.is_link_with_slash(name) => {
                Err(Stop::failed(format!("cannot remove '{name}': Not a directory")))
            }
            Err(error) if is_forced && error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => Err(Stop::failed(format!("cannot remove '{name}': {}", reason(&error)))),
            Ok(found) if !found.is_dir() => remove(call, name, Kind::File, given.has('v')).await,
            Ok(_) if given.has('r') || given.has('R') => folder(call, name, given.has('v')).await,
            Ok(_) if given.has('d') => remove(call, name, Kind::Folder, given.has('v')).await,
            Ok(_) => Err(Stop::failed(format!("cannot remove '{name}': Is a directory"))),
        };
        if let Err(stop) = removed {
            status = call.tell(stop).await?;
        }
    }
    Ok(status)
}

/// A folder and all that is in it: what is deepest first.
async fn folder(call: &mut Call<'_>, name: &str, is_verbose: bool) -> Outcome<()> {
    let mut tree = Tree::new(call.shell, name, Root::AsItIs, usize::MAX)?;
    let mut entries = Vec::new();
    while let Some(entry) = tree.next(call.shell)? {
        entries.push(entry);
    }
    while let Some(entry) = entries.pop() {
        remove(call, &entry.path, entry.kind, is_verbose).await?;
    }
    Ok(())
}

async fn remove(call: &mut Call<'_>, path: &str, kind: Kind, is_verbose: bool) -> Outcome<()> {
    let remove = |place| if kind == Kind::Folder { std::fs::remove_dir(place) } else { std::fs::remove_file(place) };
    call.shell
        .place(path)
        .and_then(remove)
        .map_err(|error| Stop::failed(format!("cannot remove '{path}': {}", reason(&error))))?;
    if is_verbose {
        let what = if kind == Kind::Folder { "removed directory" } else { "removed" };
        call.out.line(format!("{what} '{path}'")).await?;
    }
    Ok(())
}
