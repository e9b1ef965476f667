//! `cp`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::made::Made;
use super::options::{Given, Options};
use super::tree::{Entry, Kind, Root, Tree, joined};
use crate::files::{beside, normal, reason};
use crate::identity;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new(
    "rRafnpvTu",
    "t",
    &[
        ("recursive", 'r'),
        ("archive", 'a'),
        ("force", 'f'),
        ("no-clobber", 'n'),
        ("verbose", 'v'),
        ("update", 'u'),
        ("no-target-directory", 'T'),
        ("target-directory", 't'),
    ],
);

pub(super) async fn cp(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let (sources, target, is_folder) = sources_and_target(call, &given)?;
    let mut made = Made::default();
    let mut status = 0;
    for source in sources {
        let to = if is_folder { joined(&target, last_part(&source)) } else { target.clone() };
        match copy(call, &given, &mut made, &source, &to).await {
            Ok(ended) => status = ended.max(status),
            Err(stop) => status = call.tell(stop).await?,
        }
    }
    Ok(status)
}

pub(super) fn last_part(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// What is copied or moved, where to, and whether that is a folder to put it into.
pub(super) fn sources_and_target(call: &Call<'_>, given: &Given) -> Outcome<(Vec<String>, String, bool)> {
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

/// The places of a source and of what it becomes.
pub(super) fn places(call: &Call<'_>, source: &str, to: &str) -> Outcome<(PathBuf, PathBuf)> {
    let from = call.shell.place(source);
    let from = from.map_err(|error| Stop::failed(format!("cannot stat '{source}': {}", reason(&error))))?;
    let into = call.shell.place(to);
    let into = into.map_err(|error| Stop::failed(format!("cannot create '{to}': {}", reason(&error))))?;
    Ok((from, into))
}

async fn copy(call: &mut Call<'_>, given: &Given, made: &mut Made, source: &str, to: &str) -> Outcome<u8> {
    let (from, into) = places(call, source, to)?;
    let is_recursive = ['r', 'R', 'a'].iter().any(|letter| given.has(*letter));
    let found = if is_recursive { fs::symlink_metadata(&from) } else { fs::metadata(&from) };
    let found = found.map_err(|error| Stop::failed(format!("cannot stat '{source}': {}", reason(&error))))?;
    if found.is_dir() {
        if !is_recursive {
            return Err(Stop::failed(format!("-r not specified; omitting directory '{source}'")));
        }
        return folder(call, given, source, to).await;
    }
    if made.has(&from, &into) {
        call.complain(&format!("warning: source file '{source}' specified more than once")).await?;
        return Ok(0);
    }
    if !given.has('n') {
        made.refuse(source, to, &into)?;
    }
    let kind = if found.is_symlink() { Kind::Link } else { Kind::File };
    one(call, given, kind, source, to).await?;
    made.add(&from, &into);
    Ok(0)
}

/// A folder and all that is in it. What cannot be copied is told, and does not keep the rest from it.
async fn folder(call: &mut Call<'_>, given: &Given, source: &str, to: &str) -> Outcome<u8> {
    let (from, into) = places(call, source, to)?;
    if is_within(&into, &from) {
        return Err(Stop::failed(format!("cannot copy a directory, '{source}', into itself, '{to}'")));
    }
    let mut tree = Tree::new(call.shell, source, Root::AsItIs, usize::MAX)?;
    let mut status = 0;
    loop {
        let entry = match tree.next(call.shell) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(status),
            Err(stop) => {
                status = call.tell(stop).await?;
                continue;
            }
        };
        if let Err(stop) = entry_of(call, given, (source, to), &entry).await {
            if entry.kind == Kind::Folder {
                tree.leave_out();
            }
            status = call.tell(stop).await?;
        }
    }
}

/// One entry of a folder that is copied from a source to a target.
async fn entry_of(call: &mut Call<'_>, given: &Given, (source, to): (&str, &str), entry: &Entry) -> Outcome<()> {
    let below = entry.path.strip_prefix(source).unwrap_or_default().trim_start_matches('/');
    let target = if below.is_empty() { to.to_owned() } else { joined(to, below) };
    one(call, given, entry.kind, &entry.path, &target).await
}

/// Whether a place is in a folder or is it, by whatever links its name leads there.
fn is_within(place: &Path, folder: &Path) -> bool {
    let is_folder = |above: &Path| identity::are_same(above, folder);
    normal(place).starts_with(normal(folder)) || place.ancestors().any(is_folder)
}

async fn one(call: &mut Call<'_>, given: &Given, kind: Kind, source: &str, to: &str) -> Outcome<()> {
    let (from, into) = places(call, source, to)?;
    let time = |place: &Path| fs::symlink_metadata(place).and_then(|found| found.modified()).ok();
    let there = fs::symlink_metadata(&into).ok();
    if kind == Kind::Folder {
        return match there {
            Some(there) if there.is_dir() => Ok(()),
            Some(_) => Err(Stop::failed(format!("cannot overwrite non-directory '{to}' with directory '{source}'"))),
            None => fs::create_dir(into)
                .map_err(|error| Stop::failed(format!("cannot create directory '{to}': {}", reason(&error)))),
        };
    }
    if there.is_some() && (given.has('n') || (given.has('u') && time(&into) >= time(&from))) {
        return Ok(());
    }
    if there.is_some_and(|there| there.is_dir()) || (kind != Kind::Link && into.is_dir()) {
        return Err(Stop::failed(format!("cannot overwrite directory '{to}' with non-directory '{source}'")));
    }
    if to.ends_with('/') {
        return Err(Stop::failed(format!("cannot create regular file '{to}': Not a directory")));
    }
    match kind {
        Kind::Link => link(source, to, &from, &into)?,
        Kind::File => file(call, given, (source, to), (&from, &into))?,
        Kind::Folder | Kind::Other => {
            return Err(Stop::failed(format!("'{source}' is neither a file nor a folder")));
        }
    }
    if given.has('v') { call.out.line(format!("'{source}' -> '{to}'")).await } else { Ok(()) }
}

fn are_the_same<T>(source: &str, to: &str) -> Outcome<T> {
    Err(Stop::failed(format!("'{source}' and '{to}' are the same file")))
}

/// A link is made again, to what it says. It takes the place of what is there only when it is made: the host may refuse it.
fn link(source: &str, to: &str, from: &Path, into: &Path) -> Outcome<()> {
    if identity::are_same_unfollowed(from, into) {
        return are_the_same(source, to);
    }
    let made = fs::read_link(from).and_then(|says| {
        let beside = beside(into);
        make_link(&says, &beside)?;
        fs::rename(&beside, into).inspect_err(|_| drop(fs::remove_file(&beside)))
    });
    made.map_err(|error| Stop::failed(format!("cannot create symbolic link '{to}': {}", reason(&error))))
}

#[expect(deprecated, reason = "of the standard library's ways to make a link, the only one that components have")]
fn make_link(says: &Path, place: &Path) -> std::io::Result<()> {
    fs::soft_link(says, place)
}

/// The contents of a file. They are written over what is there, which is cut off only then: where nothing can be written any more,
/// nothing is lost.
fn file(call: &Call<'_>, given: &Given, (source, to): (&str, &str), (from, into): (&Path, &Path)) -> Outcome<()> {
    if identity::are_same(from, into) || normal(from) == normal(into) {
        return are_the_same(source, to);
    }
    if fs::symlink_metadata(into).is_ok_and(|there| there.is_symlink()) && !into.exists() {
        return Err(Stop::failed(format!("not writing through dangling symlink '{to}'")));
    }
    let mut reader = call
        .shell
        .open_file(source)
        .map_err(|error| Stop::failed(format!("cannot open '{source}': {}", reason(&error))))?;
    let created = File::options().write(true).create(true).truncate(false).open(into);
    let mut writer =
        created.map_err(|error| Stop::failed(format!("cannot create regular file '{to}': {}", reason(&error))))?;
    std::io::copy(&mut reader, &mut writer)
        .and_then(|length| writer.set_len(length))
        .map_err(|error| Stop::failed(format!("error writing '{to}': {}", reason(&error))))?;
    if given.has('p') || given.has('a') {
        let time = reader.metadata().and_then(|found| found.modified());
        time.and_then(|time| writer.set_modified(time))
            .map_err(|error| Stop::failed(format!("cannot set the time of '{to}': {}", reason(&error))))?;
    }
    Ok(())
}
