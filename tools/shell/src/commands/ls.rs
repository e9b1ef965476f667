//! `ls`: what is in folders. There are no owners and no permissions here, so that `-l` shows kind, size, time and name.

use std::cmp::Reverse;
use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use super::date;
use super::options::{Given, Options};
use super::tree::{Kind, Root, Tree, joined};
use crate::files::reason;
use crate::run::Call;
use crate::stop::Outcome;

const OPTIONS: Options = Options::new(
    "1aAldtSrRpFh",
    "",
    &[
        ("all", 'a'),
        ("almost-all", 'A'),
        ("directory", 'd'),
        ("reverse", 'r'),
        ("recursive", 'R'),
        ("classify", 'F'),
        ("human-readable", 'h'),
    ],
);

/// One name, with what is known of it where that is shown or sorted by.
struct Listed {
    name: String,
    kind: Kind,
    metadata: Option<Metadata>,
}

pub(super) async fn ls(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let roots = if given.operands.is_empty() { vec![".".to_owned()] } else { given.operands.clone() };
    let (mut files, mut folders, mut status) = (Vec::new(), Vec::new(), 0);
    for root in &roots {
        match call.shell.metadata(root).or_else(|_| call.shell.unfollowed(root)) {
            Ok(found) if found.is_dir() && !given.has('d') => folders.push(root.clone()),
            Ok(found) => {
                files.push(Listed { name: root.clone(), kind: Kind::of(found.file_type()), metadata: Some(found) });
            }
            Err(error) => {
                call.complain(&format!("cannot access '{root}': {}", reason(&error))).await?;
                status = 2;
            }
        }
    }
    sort(&given, &mut files);
    folders.sort();
    let has_titles = roots.len() > 1 || given.has('R');
    let mut is_first = files.is_empty();
    show(call, &given, &files).await?;
    for root in folders {
        for folder in if given.has('R') { below(call, &root, &given)? } else { vec![root] } {
            if has_titles {
                let gap = if std::mem::take(&mut is_first) { "" } else { "\n" };
                call.out.line(format!("{gap}{folder}:")).await?;
            }
            match entries(call, &given, &folder) {
                Ok(mut entries) => {
                    sort(&given, &mut entries);
                    show(call, &given, &entries).await?;
                }
                Err(error) => {
                    call.complain(&format!("cannot open directory '{folder}': {}", reason(&error))).await?;
                    status = 2;
                }
            }
        }
    }
    Ok(status)
}

/// The folder and all below it.
fn below(call: &Call<'_>, root: &str, given: &Given) -> Outcome<Vec<String>> {
    let mut tree = Tree::new(call.shell, root, Root::Followed, usize::MAX)?;
    let mut folders = Vec::new();
    while let Some(entry) = tree.next(call.shell)? {
        let is_hidden = entry.depth > 0 && entry.name().starts_with('.') && !given.has('a') && !given.has('A');
        if is_hidden {
            tree.leave_out();
        } else if entry.kind == Kind::Folder {
            folders.push(entry.path);
        }
    }
    Ok(folders)
}

fn entries(call: &Call<'_>, given: &Given, folder: &str) -> std::io::Result<Vec<Listed>> {
    let wants_metadata = given.has('l') || given.has('t') || given.has('S');
    let mut entries = Vec::new();
    for entry in call.shell.place(folder)?.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && !given.has('a') && !given.has('A') {
            continue;
        }
        let kind = Kind::of(entry.file_type()?);
        let metadata = if wants_metadata { call.shell.unfollowed(&joined(folder, &name)).ok() } else { None };
        entries.push(Listed { name, kind, metadata });
    }
    if given.has('a') {
        for name in [".", ".."] {
            let metadata = call.shell.metadata(&joined(folder, name)).ok().filter(|_| wants_metadata);
            entries.push(Listed { name: name.to_owned(), kind: Kind::Folder, metadata });
        }
    }
    Ok(entries)
}

fn sort(given: &Given, entries: &mut [Listed]) {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    match given.last_of("tS") {
        Some('t') => {
            entries.sort_by_key(|entry| Reverse(entry.metadata.as_ref().and_then(|found| found.modified().ok())));
        }
        Some(_) => entries.sort_by_key(|entry| Reverse(entry.metadata.as_ref().map_or(0, Metadata::len))),
        None => {}
    }
    if given.has('r') {
        entries.reverse();
    }
}

async fn show(call: &mut Call<'_>, given: &Given, entries: &[Listed]) -> Outcome<()> {
    let sizes: Vec<String> = entries
        .iter()
        .map(|entry| entry.metadata.as_ref().map_or(0, Metadata::len))
        .map(|bytes| if given.has('h') { human(bytes) } else { bytes.to_string() })
        .collect();
    let width = sizes.iter().map(String::len).max().unwrap_or(0);
    for (entry, size) in entries.iter().zip(&sizes) {
        let mark = match entry.kind {
            Kind::Folder if given.has('p') || given.has('F') => "/",
            Kind::Link if given.has('F') => "@",
            Kind::Folder | Kind::File | Kind::Link | Kind::Other => "",
        };
        if !given.has('l') {
            call.out.line(format!("{}{mark}", entry.name)).await?;
            continue;
        }
        let kind = match entry.kind {
            Kind::Folder => 'd',
            Kind::File => '-',
            Kind::Link => 'l',
            Kind::Other => '?',
        };
        let modified = entry.metadata.as_ref().and_then(|found| found.modified().ok());
        let seconds = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |age| age.as_secs());
        let time = date::formatted("%Y-%m-%d %H:%M", i64::try_from(seconds).unwrap_or(0))?;
        call.out.line(format!("{kind} {size:>width$} {time} {}{mark}", entry.name)).await?;
    }
    Ok(())
}

/// `1.5K`
fn human(bytes: u64) -> String {
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10);
    while tenths >= 10 * 1024 {
        tenths = tenths.div_ceil(1024);
        unit += 1;
    }
    let letter = ["", "K", "M", "G", "T", "P", "E"].get(unit).copied().unwrap_or("");
    if unit == 0 || tenths >= 100 {
        format!("{}{letter}", tenths.div_ceil(10))
    } else {
        format!("{}.{}{letter}", tenths / 10, tenths % 10)
    }
}
