//! `cut`: some fields, characters or bytes of each line.

use super::lines::Lines;
use super::options::Options;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new(
    "sn",
    "fcbdO",
    &[
        ("fields", 'f'),
        ("characters", 'c'),
        ("bytes", 'b'),
        ("delimiter", 'd'),
        ("only-delimited", 's'),
        ("output-delimiter", 'O'),
    ],
);

/// What is kept: ranges of places, counted from 1.
struct Ranges {
    ranges: Vec<(usize, usize)>,
    is_complement: bool,
}

pub(super) async fn cut(call: &mut Call<'_>) -> Outcome<u8> {
    let is_complement = call.arguments.iter().any(|word| word == "--complement");
    let arguments: Vec<String> = call.arguments.iter().filter(|word| *word != "--complement").cloned().collect();
    let given = OPTIONS.read(call.name, &arguments)?;
    let Some(unit) = given.last_of("fcb") else {
        return Err(Stop::failed("one of -f, -c and -b says what is kept, as in `cut -d , -f 1,3`"));
    };
    let ranges = Ranges { ranges: ranges(given.value(unit).unwrap_or_default())?, is_complement };
    let delimiter = given.value('d').unwrap_or("\t").as_bytes().to_vec();
    if given.value('d').is_some_and(|text| text.chars().count() != 1) {
        return Err(Stop::failed("the delimiter must be a single character"));
    }
    let joined = given.value('O').map(|text| text.as_bytes().to_vec());
    let mut lines = Lines::new(&given.operands);
    let mut line = Vec::new();
    while lines.next(call, &mut line).await? {
        let kept = match unit {
            'f' => fields(&line, &ranges, &delimiter, joined.as_deref(), given.has('s')),
            'b' => Some(pieces(&line.chunks(1).collect::<Vec<_>>(), &ranges, joined.as_deref())),
            _ => Some(pieces(&characters(&line), &ranges, joined.as_deref())),
        };
        if let Some(kept) = kept {
            call.out.line(kept).await?;
        }
    }
    Ok(lines.inputs.status)
}

/// `1,3-5,7-`
fn ranges(text: &str) -> Outcome<Vec<(usize, usize)>> {
    let wrong = || Stop::failed(format!("`{text}` is not a list of places, as in `1,3-5,7-`"));
    let place = |text: &str, usual: usize| if text.is_empty() { Ok(usual) } else { text.parse().map_err(|_| wrong()) };
    let mut ranges = Vec::new();
    for part in text.split([',', ' ']) {
        let range = match part.split_once('-') {
            Some(("", "")) => return Err(wrong()),
            Some((from, to)) => (place(from, 1)?, place(to, usize::MAX)?),
            None => (part.parse().map_err(|_| wrong())?, part.parse().map_err(|_| wrong())?),
        };
        if range.0 == 0 || range.0 > range.1 {
            return Err(wrong());
        }
        ranges.push(range);
    }
    Ok(ranges)
}

impl Ranges {
    fn keep(&self, place: usize) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&place)) != self.is_complement
    }
}

fn fields(line: &[u8], ranges: &Ranges, delimiter: &[u8], joined: Option<&[u8]>, only: bool) -> Option<Vec<u8>> {
    let parts = split(line, delimiter);
    if parts.len() == 1 {
        return (!only).then(|| line.to_vec());
    }
    let kept: Vec<&[u8]> =
        parts.into_iter().enumerate().filter(|(at, _)| ranges.keep(at + 1)).map(|(_, part)| part).collect();
    Some(kept.join(joined.unwrap_or(delimiter)))
}

fn split<'a>(line: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < line.len() {
        if line[at..].starts_with(delimiter) {
            parts.push(&line[start..at]);
            at += delimiter.len();
            start = at;
        } else {
            at += 1;
        }
    }
    parts.push(&line[start..]);
    parts
}

/// A line by its characters. Bytes that are not UTF-8 are one each.
fn characters(line: &[u8]) -> Vec<&[u8]> {
    let mut characters = Vec::new();
    for chunk in line.utf8_chunks() {
        let valid = chunk.valid();
        characters.extend(valid.char_indices().map(|(at, c)| &valid.as_bytes()[at..at + c.len_utf8()]));
        characters.extend(chunk.invalid().chunks(1));
    }
    characters
}

/// Pieces that are kept. Ranges that do not touch are joined by the output's delimiter, if there is one.
fn pieces(pieces: &[&[u8]], ranges: &Ranges, joined: Option<&[u8]>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut last = None;
    for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| ranges.keep(at + 1)) {
        if let (Some(joined), Some(last)) = (joined, last)
            && last + 1 != at
        {
            kept.extend_from_slice(joined);
        }
        kept.extend_from_slice(piece);
        last = Some(at);
    }
    kept
}
