//! `cp`.

use super::options::{Given, Options};
use super::tree::{Kind, Tree, joined};
use crate::files::{normal, reason};
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
    let mut status = 0;
    for source in sources {
        let to = if is_folder { joined(&target, last_part(&source)) } else { target.clone() };
        if let Err(stop) = copy(call, &given, &source, &to).await {
            status = call.tell(stop).await?;
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

async fn copy(call: &mut Call<'_>, given: &Given, source: &str, to: &str) -> Outcome<()> {
    let found = call
        .shell
        .metadata(source)
        .map_err(|error| Stop::failed(format!("cannot stat '{source}': {}", reason(&error))))?;
    if !found.is_dir() {
        return file(call, given, source, to).await;
    }
    if !['r', 'R', 'a'].iter().any(|letter| given.has(*letter)) {
        return Err(Stop::failed(format!("-r not specified; omitting directory '{source}'")));
    }
    let (from, into) = (normal(&call.shell.place(source)), normal(&call.shell.place(to)));
    if into.starts_with(&from) {
        return Err(Stop::failed(format!("cannot copy a directory, '{source}', into itself, '{to}'")));
    }
    let mut tree = Tree::new(call.shell, source, usize::MAX)?;
    while let Some(entry) = tree.next(call.shell)? {
        let below = entry.path.strip_prefix(source).unwrap_or_default().trim_start_matches('/');
        let target = if below.is_empty() { to.to_owned() } else { joined(to, below) };
        match entry.kind {
            Kind::Folder => {
                let place = call.shell.place(&target);
                if !place.is_dir() {
                    std::fs::create_dir(place).map_err(|error| {
                        Stop::failed(format!("cannot create directory '{target}': {}", reason(&error)))
                    })?;
                }
            }
            Kind::File | Kind::Link => file(call, given, &entry.path, &target).await?,
            Kind::Other => return Err(Stop::failed(format!("'{}' is neither a file nor a folder", entry.path))),
        }
    }
    Ok(())
}

async fn file(call: &mut Call<'_>, given: &Given, source: &str, to: &str) -> Outcome<()> {
    let (from, into) = (call.shell.place(source), call.shell.place(to));
    let exists = into.exists();
    if exists && given.has('n') {
        return Ok(());
    }
    let time = |place: &std::path::Path| place.metadata().and_then(|found| found.modified()).ok();
    if exists && given.has('u') && time(&into) >= time(&from) {
        return Ok(());
    }
    let same = from.canonicalize().ok().zip(into.canonicalize().ok()).is_some_and(|(from, into)| from == into);
    if same || normal(&from) == normal(&into) {
        return Err(Stop::failed(format!("'{source}' and '{to}' are the same file")));
    }
    if into.is_dir() {
        return Err(Stop::failed(format!("cannot overwrite directory '{to}' with non-directory '{source}'")));
    }
    let mut reader = call
        .shell
        .open_file(source)
        .map_err(|error| Stop::failed(format!("cannot open '{source}': {}", reason(&error))))?;
    let created = std::fs::File::create(&into);
    let mut writer =
        created.map_err(|error| Stop::failed(format!("cannot create regular file '{to}': {}", reason(&error))))?;
    std::io::copy(&mut reader, &mut writer)
        .map_err(|error| Stop::failed(format!("error writing '{to}': {}", reason(&error))))?;
    if (given.has('p') || given.has('a'))
        && let Some(time) = time(&from)
    {
        writer
            .set_modified(time)
            .map_err(|error| Stop::failed(format!("cannot set the time of '{to}': {}", reason(&error))))?;
    }
    if given.has('v') {
        call.out.line(format!("'{source}' -> '{to}'")).await?;
    }
    Ok(())
}
