//! `basename` and `dirname`: the parts of a path, by its text alone.

use super::options::Options;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OF_BASENAME: Options = Options::new("a", "s", &[("multiple", 'a'), ("suffix", 's')]);
const OF_DIRNAME: Options = Options::new("", "", &[]);

pub(super) async fn basename(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OF_BASENAME)?;
    let (paths, suffix) = match &given.operands[..] {
        [] => return Err(Stop::failed("a path is expected")),
        paths if given.has('a') || given.has('s') => (paths, given.value('s').unwrap_or_default()),
        [_] => (&given.operands[..], ""),
        [_, suffix] => (&given.operands[..1], suffix.as_str()),
        [_, _, extra, ..] => return Err(Stop::failed(format!("`{extra}` is too much"))),
    };
    for path in paths {
        let last = last_part(path);
        let kept = last.strip_suffix(suffix).filter(|kept| !kept.is_empty()).unwrap_or(last);
        call.out.line(kept).await?;
    }
    Ok(0)
}

fn last_part(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() && !path.is_empty() { "/" } else { trimmed.rsplit('/').next().unwrap_or_default() }
}

pub(super) async fn dirname(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OF_DIRNAME)?;
    if given.operands.is_empty() {
        return Err(Stop::failed("a path is expected"));
    }
    for path in &given.operands {
        let trimmed = path.trim_end_matches('/');
        let folder = match trimmed.rsplit_once('/') {
            Some((folder, _)) => folder.trim_end_matches('/'),
            None if trimmed.is_empty() && !path.is_empty() => "",
            None => ".",
        };
        call.out.line(if folder.is_empty() { "/" } else { folder }).await?;
    }
    Ok(0)
}
