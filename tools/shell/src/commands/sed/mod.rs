//! `sed`: a script that is run for each line. `script` reads it, `cycle` runs it.

mod cycle;
mod replacement;
mod script;

use super::options::Options;
use crate::files::{self, failed};
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::streams::{Bounds, Captured, Output, WHOLE_BYTES_MAX, Written};

use cycle::{Cycle, Ended};

const OPTIONS: Options = Options::new(
    "nErsz",
    "ef",
    &[
        ("quiet", 'n'),
        ("silent", 'n'),
        ("regexp-extended", 'E'),
        ("separate", 's'),
        ("null-data", 'z'),
        ("expression", 'e'),
        ("file", 'f'),
    ],
);

/// Whether files are changed in place, and what their earlier contents are kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
enum InPlace {
    No,
    Yes { suffix: String },
}

pub(super) async fn sed(call: &mut Call<'_>) -> Outcome<u8> {
    let (in_place, arguments) = in_place(call.arguments);
    let given = OPTIONS.read(call.name, &arguments)?;
    let mut text = String::new();
    for (option, value) in &given.options {
        match option {
            'e' => text.push_str(value),
            'f' => {
                let whole = call.shell.open_input(value)?.whole().await?;
                text.push_str(String::from_utf8_lossy(&whole).trim_end_matches('\n'));
            }
            _ => continue,
        }
        text.push('\n');
    }
    let mut names = given.operands.clone();
    if !given.has('e') && !given.has('f') {
        if names.is_empty() {
            return Err(Stop::failed("a script is expected, as in `sed 's/a/b/' file`"));
        }
        text = names.remove(0);
    }
    let is_extended = given.has('E') || given.has('r');
    let script = script::read(&text, is_extended)?;
    let is_quiet = given.has('n') || text.starts_with("#n\n");
    let end = if given.has('z') { 0 } else { b'\n' };
    if names.is_empty() && in_place != InPlace::No {
        return Err(Stop::failed("no input files"));
    }
    let files = cycle::opened(call, &script)?;
    if in_place == InPlace::No && (!given.has('s') || names.is_empty()) {
        return Cycle::new(&script, &files, is_quiet, end).run(call, &names).await.map(|ended| ended.status);
    }
    let mut status = 0;
    for name in &names {
        let cycle = Cycle::new(&script, &files, is_quiet, end);
        let ended = match &in_place {
            InPlace::No => cycle.run(call, std::slice::from_ref(name)).await,
            InPlace::Yes { suffix } => change(call, cycle, name, suffix).await,
        };
        match ended {
            Ok(ended) => {
                status = ended.status.max(status);
                // `q` ends all of it: files that follow stay as they are.
                if ended.quits {
                    break;
                }
            }
            Err(stop) => status = call.tell(stop).await?,
        }
    }
    Ok(status)
}

/// Takes `-i` and `-i.bak` out: the suffix is never a word of its own.
fn in_place(arguments: &[String]) -> (InPlace, Vec<String>) {
    let mut in_place = InPlace::No;
    let mut rest = Vec::new();
    let mut are_options = true;
    for argument in arguments {
        are_options &= argument != "--";
        let suffix = argument.strip_prefix("--in-place").map(|suffix| suffix.trim_start_matches('='));
        let letters = argument.strip_prefix('-').filter(|letters| are_options && !letters.starts_with('-'));
        let before = letters
            .and_then(|letters| letters.split_once('i'))
            .filter(|(before, _)| before.chars().all(|c| "nErsz".contains(c)));
        match (suffix, before) {
            (Some(suffix), _) if are_options => in_place = InPlace::Yes { suffix: suffix.to_owned() },
            (_, Some((before, suffix))) => {
                in_place = InPlace::Yes { suffix: suffix.to_owned() };
                if !before.is_empty() {
                    rest.push(format!("-{before}"));
                }
            }
            (_, None) => rest.push(argument.clone()),
        }
    }
    (in_place, rest)
}

/// Runs the script over one file, and then writes what came out into it.
async fn change(call: &mut Call<'_>, cycle: Cycle<'_>, name: &str, suffix: &str) -> Outcome<Ended> {
    let found = call.shell.metadata(name).map_err(|error| failed(name, &error))?;
    if found.is_dir() {
        return Err(Stop::failed(format!("couldn't edit {name}: not a regular file")));
    }
    let bounds = Bounds { kept_max: WHOLE_BYTES_MAX, left_out_max: 0, of: "a file that is changed in place" };
    let captured = Captured::new(bounds);
    call.out.flush().await?;
    let before = std::mem::replace(&mut call.out, Written::to(Output::Captured(captured.clone())));
    let ended = cycle.run(call, &[name.to_owned()]).await;
    call.out.flush().await?;
    call.out = before;
    let ended = ended?;
    let place = call.shell.place(name).map_err(|error| failed(name, &error))?;
    if !suffix.is_empty() {
        let kept = if suffix.contains('*') { suffix.replace('*', name) } else { format!("{name}{suffix}") };
        let copied = call.shell.place(&kept).and_then(|kept| std::fs::copy(&place, kept));
        copied.map_err(|error| failed(&kept, &error))?;
    }
    let contents = captured.take().0;
    let is_link = call.shell.unfollowed(name).is_ok_and(|found| found.is_symlink());
    let written = if is_link { files::replace_link(&place, &contents) } else { files::overwrite(&place, &contents) };
    written.map_err(|error| failed(name, &error))?;
    Ok(ended)
}
