//! `tr`: characters replaced, deleted or squeezed.

use super::options::Options;
use crate::expand::class;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new(
    "dscCt",
    "",
    &[("delete", 'd'), ("squeeze-repeats", 's'), ("complement", 'c'), ("truncate-set1", 't')],
);

/// Most characters of one set, for `[x*n]`.
const SET_MAX: usize = 65_536;

pub(super) async fn tr(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let is_complement = given.has('c') || given.has('C');
    let (deletes, squeezes) = (given.has('d'), given.has('s'));
    let (first, second) = match &given.operands[..] {
        [first] if deletes || squeezes => (first, None),
        [first, second] => (first, Some(second)),
        _ => return Err(Stop::failed("two sets are expected, as in `tr a-z A-Z`, or one with -d or -s")),
    };
    let first = Set::read(first, None)?;
    let second = second.map(|second| Set::read(second, Some(first.letters.len()))).transpose()?;
    let is_in_first = |c: char| first.letters.contains(&c) != is_complement;
    let squeezed = if squeezes { second.as_ref().or(Some(&first)) } else { None };
    let is_squeezed = |c: char| match (&squeezed, &second) {
        (None, _) => false,
        (Some(_), None) => is_in_first(c),
        (Some(set), Some(_)) => set.letters.contains(&c),
    };
    let replaces = second.is_some() && !deletes;
    let letters_of_second = second.as_ref().map_or(&[][..], |second| &second.letters);
    let replaced = |c: char| {
        if !replaces || !is_in_first(c) {
            return c;
        }
        let at =
            if is_complement { usize::MAX } else { first.letters.iter().rposition(|letter| *letter == c).unwrap_or(0) };
        let is_cut = given.has('t') && at >= letters_of_second.len() && !is_complement;
        if is_cut { c } else { letters_of_second.get(at).or(letters_of_second.last()).copied().unwrap_or(c) }
    };
    let input = call.shell.streams.input();
    let (mut held, mut last) = (Vec::new(), None);
    while let Some(chunk) = input.chunk().await? {
        held.extend_from_slice(&chunk);
        let (text, rest) = complete(&held);
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            if deletes && is_in_first(c) {
                continue;
            }
            let c = replaced(c);
            if last == Some(c) && is_squeezed(c) {
                continue;
            }
            last = Some(c);
            push(&mut out, c);
        }
        held = rest;
        call.out.put(out).await?;
    }
    call.out.put(held).await?;
    Ok(0)
}

/// Where bytes that are not UTF-8 go while characters are looked at: above all that Unicode has of letters.
const BYTES_FROM: u32 = 0x10_0000;

/// The text that is complete, and the beginning of a character that is not. Other bytes stand for themselves.
fn complete(bytes: &[u8]) -> (String, Vec<u8>) {
    let mut text = String::with_capacity(bytes.len());
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid();
        let is_begun =
            chunks.peek().is_none() && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if is_begun {
            return (text, invalid.to_vec());
        }
        text.extend(invalid.iter().filter_map(|byte| char::from_u32(BYTES_FROM + u32::from(*byte))));
    }
    (text, Vec::new())
}

fn push(out: &mut Vec<u8>, c: char) {
    let code = u32::from(c);
    match code.checked_sub(BYTES_FROM).and_then(|byte| u8::try_from(byte).ok()) {
        Some(byte) => out.push(byte),
        None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

struct Set {
    letters: Vec<char>,
}

impl Set {
    /// Reads `a-z`, `[:digit:]`, `\n`, `[x*3]`. `[x*]` fills up to the length of the first set.
    fn read(text: &str, fill: Option<usize>) -> Outcome<Self> {
        let mut letters: Vec<char> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((name, after)) = rest.strip_prefix("[:").and_then(|inside| inside.split_once(":]")) {
                let is_in = class(name).ok_or_else(|| Stop::failed(format!("`[:{name}:]` is not a class")))?;
                letters.extend((0_u8..128).map(char::from).filter(|c| is_in(*c)));
                rest = after;
                continue;
            }
            if let Some((letter, count, after)) = repeated(rest) {
                let count = count.unwrap_or_else(|| fill.unwrap_or(0).saturating_sub(letters.len()));
                letters.extend(std::iter::repeat_n(letter, count.min(SET_MAX)));
                rest = after;
                continue;
            }
            let (from, after) = letter(rest);
            rest = after;
            if let Some(end) = rest.strip_prefix('-').filter(|end| !end.is_empty()) {
                let (to, after) = letter(end);
                if to < from {
                    return Err(Stop::failed(format!("the range `{from}-{to}` goes backwards")));
                }
                letters.extend((from..=to).take(SET_MAX));
                rest = after;
            } else {
                letters.push(from);
            }
            if letters.len() > SET_MAX {
                return Err(Stop::failed(format!("a set has more than {SET_MAX} characters")));
            }
        }
        if letters.is_empty() && fill.is_some() {
            return Err(Stop::failed("the second set must not be empty"));
        }
        Ok(Self { letters })
    }
}

/// `[x*3]`
fn repeated(text: &str) -> Option<(char, Option<usize>, &str)> {
    let (letter, rest) = letter(text.strip_prefix('[')?);
    let (count, after) = rest.strip_prefix('*')?.split_once(']')?;
    let count = if count.is_empty() { None } else { Some(count.parse().ok()?) };
    Some((letter, count, after))
}

fn letter(text: &str) -> (char, &str) {
    let mut letters = text.chars();
    let first = letters.next().unwrap_or('\0');
    let Some(escape) = letters.next().filter(|_| first == '\\') else { return (first, letters_rest(text, first)) };
    let letter = match escape {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '0'..='7' => {
            let digits = text[1..].bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let code = u32::from_str_radix(&text[1..=digits], 8).unwrap_or(0);
            return (char::from_u32(code).unwrap_or('\0'), &text[1 + digits..]);
        }
        other => other,
    };
    (letter, letters.as_str())
}

fn letters_rest(text: &str, first: char) -> &str {
    &text[first.len_utf8().min(text.len())..]
}
