//! `cp`.

use std::fs::{self, File};
use std::path::Path;

use super::destination::{self, are_the_same, places};
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
    let mut made = Made::default();
    let mut status = 0;
    for (source, to) in destination::of_sources(call, &given)? {
        match copy(call, &given, &mut made, &source, &to).await {
            Ok(ended) => status = ended.max(status),
            Err(stop) => status = call.tell(stop).await?,
        }
    }
    Ok(status)
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
    let there = fs::symlink_metadata(&into).ok();
    if kind == Kind::Folder {
        return match there {
            Some(there) if there.is_dir() => Ok(()),
            Some(_) => Err(Stop::failed(format!("cannot overwrite non-directory '{to}' with directory '{source}'"))),
            None => fs::create_dir(into)
                .map_err(|error| Stop::failed(format!("cannot create directory '{to}': {}", reason(&error)))),
        };
    }
    if there.as_ref().is_some_and(|there| destination::is_kept(given, there, fs::symlink_metadata(&from).ok().as_ref()))
    {
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

/// A link is made again, to what it says. It takes the place of what is there only when it is made: the host may refuse it.
fn link(source: &str, to: &str, from: &Path, into: &Path) -> Outcome<()> {
    let is_its_file =
        identity::are_same(from, into) && !fs::symlink_metadata(into).is_ok_and(|there| there.is_symlink());
    if is_its_file || identity::are_same_unfollowed(from, into) {
        return Err(are_the_same(source, to));
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
        return Err(are_the_same(source, to));
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
