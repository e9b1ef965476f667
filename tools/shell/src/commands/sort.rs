//! `sort`: lines in an order.

use std::cmp::Ordering;

use super::lines::{Lines, lines_of};
use super::options::{Given, Options};
use crate::files::Opening;
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::streams::{WHOLE_BYTES_MAX, Written, too_much};

const OPTIONS: Options = Options::new(
    "nrufbdicCshVgMzm",
    "kto",
    &[
        ("numeric-sort", 'n'),
        ("reverse", 'r'),
        ("unique", 'u'),
        ("ignore-case", 'f'),
        ("ignore-leading-blanks", 'b'),
        ("dictionary-order", 'd'),
        ("ignore-nonprinting", 'i'),
        ("check", 'c'),
        ("stable", 's'),
        ("human-numeric-sort", 'h'),
        ("version-sort", 'V'),
        ("general-numeric-sort", 'g'),
        ("month-sort", 'M'),
        ("zero-terminated", 'z'),
        ("merge", 'm'),
        ("key", 'k'),
        ("field-separator", 't'),
        ("output", 'o'),
    ],
);

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Bytes,
    Number,
    General,
    Human,
    Version,
    Month,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manner {
    by: By,
    is_reversed: bool,
    folds_case: bool,
    skips_blanks: bool,
    only_words: bool,
}

/// `-k 2.3n,4`: a part of a line, and how it is compared.
#[derive(Debug, Clone)]
struct Key {
    from: (usize, usize),
    to: Option<(usize, usize)>,
    manner: Manner,
    skips_blanks_of_end: bool,
}

struct Order {
    keys: Vec<Key>,
    manner: Manner,
    separator: Option<u8>,
    is_stable: bool,
    is_unique: bool,
}

pub(super) async fn sort(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let order = order(&given)?;
    let end = if given.has('z') { 0 } else { b'\n' };
    let (mut whole, mut line) = (Vec::new(), Vec::new());
    let mut lines = Lines::ending_with(&given.operands, end);
    while lines.next(call, &mut line).await? {
        whole.extend_from_slice(&line);
        whole.push(end);
        if whole.len() > WHOLE_BYTES_MAX {
            return Err(too_much());
        }
    }
    // Part of an order is none, and would take the place of what is in the file for it.
    if lines.inputs.status != 0 {
        return Ok(2);
    }
    let mut sorted: Vec<&[u8]> = if end == 0 {
        whole.strip_suffix(&[0]).map_or(Vec::new(), |all| all.split(|byte| *byte == 0).collect())
    } else {
        lines_of(&whole)
    };
    if given.has('c') || given.has('C') {
        return checked(call, &given, &order, &sorted).await;
    }
    sorted.sort_by(|a, b| order.compare(a, b));
    if order.is_unique {
        sorted.dedup_by(|a, b| order.compare_keys(a, b) == Ordering::Equal);
    }
    if let Some(name) = given.value('o') {
        call.out = Written::to(call.shell.open_output(name, Opening::Truncated)?);
    }
    for line in sorted {
        call.out.put(line).await?;
        call.out.put([end]).await?;
    }
    Ok(0)
}

async fn checked(call: &mut Call<'_>, given: &Given, order: &Order, lines: &[&[u8]]) -> Outcome<u8> {
    let is_wrong = |two: &&[&[u8]]| match order.compare(two[0], two[1]) {
        Ordering::Less => false,
        Ordering::Equal => order.is_unique,
        Ordering::Greater => true,
    };
    let Some(at) = lines.windows(2).position(|two| is_wrong(&two)) else { return Ok(0) };
    if given.has('c') {
        let name = given.operands.first().map_or("-", String::as_str);
        call.complain(&format!("{name}:{}: disorder: {}", at + 2, String::from_utf8_lossy(lines[at + 1]))).await?;
    }
    Ok(1)
}

fn order(given: &Given) -> Outcome<Order> {
    let letters: String =
        given.options.iter().map(|(letter, _)| *letter).filter(|letter| "nrfbdihVgM".contains(*letter)).collect();
    let manner = manner(&letters, given)?;
    let separator = match given.value('t') {
        None => None,
        Some("\\0") => Some(0),
        Some("\\t") => Some(b'\t'),
        Some(text) if text.len() == 1 => Some(text.as_bytes()[0]),
        Some(text) => return Err(Stop::usage(format!("`-t` wants one character, not `{text}`"))),
    };
    let mut keys = Vec::new();
    for text in given.values('k') {
        keys.push(key(text, manner, given)?);
    }
    Ok(Order { keys, manner, separator, is_stable: given.has('s'), is_unique: given.has('u') })
}

fn manner(letters: &str, given: &Given) -> Outcome<Manner> {
    let by = match letters.chars().rfind(|letter| "nhVgM".contains(*letter)) {
        Some('n') => By::Number,
        Some('h') => By::Human,
        Some('V') => By::Version,
        Some('g') => By::General,
        Some('M') => By::Month,
        _ => By::Bytes,
    };
    if given.has('i') {
        return Err(Stop::usage("`-i` is not here: there is `-d`, which compares letters, digits and blanks only"));
    }
    let has = |letter| letters.contains(letter);
    Ok(Manner { by, is_reversed: has('r'), folds_case: has('f'), skips_blanks: has('b'), only_words: has('d') })
}

fn key(text: &str, usual: Manner, given: &Given) -> Outcome<Key> {
    let wrong = || Stop::usage(format!("`{text}` is not a key, as in `-k 2,2n`"));
    let (from, to) = text.split_once(',').map_or((text, None), |(from, to)| (from, Some(to)));
    let (from, from_letters) = place(from).ok_or_else(wrong)?;
    let (to, to_letters) = match to {
        Some(to) => place(to).map(|(place, letters)| (Some(place), letters)).ok_or_else(wrong)?,
        None => (None, ""),
    };
    let letters = format!("{from_letters}{to_letters}");
    if from.0 == 0 || letters.chars().any(|letter| !"nrfbdhVgM".contains(letter)) {
        return Err(wrong());
    }
    let mut manner_of_key = if letters.is_empty() { usual } else { manner(&letters, given)? };
    manner_of_key.skips_blanks = from_letters.contains('b') || (letters.is_empty() && usual.skips_blanks);
    Ok(Key {
        from: (from.0, from.1.unwrap_or(1)),
        to: to.map(|to| (to.0, to.1.unwrap_or(0))),
        manner: manner_of_key,
        skips_blanks_of_end: to_letters.contains('b'),
    })
}

/// `2.3n` as a field, a character and letters.
fn place(text: &str) -> Option<((usize, Option<usize>), &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let field = text[..digits].parse().ok()?;
    let rest = &text[digits..];
    let Some(after) = rest.strip_prefix('.') else { return Some(((field, None), rest)) };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    Some(((field, Some(after[..digits].parse().ok()?)), &after[digits..]))
}

impl Order {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let by_keys = self.compare_keys(a, b);
        if by_keys != Ordering::Equal || self.is_stable || self.is_unique {
            return by_keys;
        }
        // The last resort, so that the order is always the same.
        let by_bytes = a.cmp(b);
        if self.manner.is_reversed { by_bytes.reverse() } else { by_bytes }
    }

    fn compare_keys(&self, a: &[u8], b: &[u8]) -> Ordering {
        if self.keys.is_empty() {
            return self.manner.compare(a, b);
        }
        for key in &self.keys {
            let order = key.manner.compare(self.part(key, a), self.part(key, b));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    /// The part of a line that a key names.
    fn part<'a>(&self, key: &Key, line: &'a [u8]) -> &'a [u8] {
        let mut start = self.field(line, key.from.0).0;
        if key.manner.skips_blanks {
            start += blanks(&line[start..]);
        }
        start = (start + key.from.1.saturating_sub(1)).min(line.len());
        let end = match key.to {
            None => line.len(),
            Some((field, 0)) => self.field(line, field).1,
            Some((field, character)) => {
                let mut end = self.field(line, field).0;
                if key.skips_blanks_of_end {
                    end += blanks(&line[end..]);
                }
                (end + character).min(line.len())
            }
        };
        &line[start..end.max(start)]
    }

    /// Where a field, counted from 1, begins and ends. Without a separator, the blanks before it belong to it.
    fn field(&self, line: &[u8], number: usize) -> (usize, usize) {
        let mut start = 0;
        for turn in 1..=number {
            let rest = &line[start..];
            let length = match self.separator {
                Some(separator) => rest.iter().take_while(|byte| **byte != separator).count(),
                None => {
                    let before = blanks(rest);
                    before + rest[before..].iter().take_while(|byte| !is_blank(**byte)).count()
                }
            };
            if turn == number {
                return (start, start + length);
            }
            start += length + usize::from(self.separator.is_some());
            if start >= line.len() {
                return (line.len(), line.len());
            }
        }
        (line.len(), line.len())
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_blank(**byte)).count()
}

impl Manner {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let order = match self.by {
            By::Bytes => self.bytes(a, b),
            By::Number => compare_numbers(a, b),
            By::General => general(a).total_cmp(&general(b)),
            By::Human => (unit(a), Number::of(a)).partial_cmp(&(unit(b), Number::of(b))).unwrap_or(Ordering::Equal),
            By::Version => compare_versions(a, b),
            By::Month => month(a).cmp(&month(b)),
        };
        if self.is_reversed { order.reverse() } else { order }
    }

    fn bytes(&self, a: &[u8], b: &[u8]) -> Ordering {
        if !self.folds_case && !self.skips_blanks && !self.only_words {
            return a.cmp(b);
        }
        let seen = |text: &[u8]| {
            let text = if self.skips_blanks { &text[blanks(text)..] } else { text };
            let kept = text.iter().filter(|byte| !self.only_words || byte.is_ascii_alphanumeric() || is_blank(**byte));
            kept.map(|byte| if self.folds_case { byte.to_ascii_uppercase() } else { *byte }).collect::<Vec<u8>>()
        };
        seen(a).cmp(&seen(b))
    }
}

/// A number by its digits: as long as it likes, and exact.
#[derive(PartialEq)]
struct Number<'a> {
    is_negative: bool,
    whole: &'a [u8],
    after: &'a [u8],
}

impl<'a> Number<'a> {
    fn of(text: &'a [u8]) -> Self {
        let text = &text[blanks(text)..];
        let (is_negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let zeros = text.iter().take_while(|byte| **byte == b'0').count();
        let text = &text[zeros..];
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (whole, rest) = text.split_at(digits(text));
        let after = rest.strip_prefix(b".").unwrap_or_default();
        let mut after = &after[..digits(after)];
        while let Some(shorter) = after.strip_suffix(b"0") {
            after = shorter;
        }
        Self { is_negative: is_negative && !(whole.is_empty() && after.is_empty()), whole, after }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let size = |a: &Self, b: &Self| {
            a.whole.len().cmp(&b.whole.len()).then(a.whole.cmp(b.whole)).then(a.after.cmp(b.after))
        };
        Some(match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self, other),
            (true, true) => size(other, self),
        })
    }
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    Number::of(a).partial_cmp(&Number::of(b)).unwrap_or(Ordering::Equal)
}

/// The number at the beginning, with an exponent if there is one. What is none comes first.
fn general(text: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(&text[blanks(text)..]).into_owned();
    let length =
        (1..=text.len()).rev().find(|length| text.is_char_boundary(*length) && text[..*length].parse::<f64>().is_ok());
    length.and_then(|length| text[..length].parse().ok()).unwrap_or(f64::NEG_INFINITY)
}

/// The size of the unit after a number: `1K` is more than `900`. Negative numbers count the other way.
fn unit(text: &[u8]) -> i32 {
    let text = &text[blanks(text)..];
    let is_negative = text.starts_with(b"-");
    let letter = text.iter().find(|byte| !byte.is_ascii_digit() && !b".-".contains(byte)).copied().unwrap_or(0);
    let size = b"KMGTPEZY"
        .iter()
        .position(|unit| *unit == letter.to_ascii_uppercase())
        .map_or(0, |at| i32::try_from(at).unwrap_or(0) + 1);
    if is_negative { -size } else { size }
}

fn month(text: &[u8]) -> usize {
    const MONTHS: [&[u8]; 12] =
        [b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"];
    let start = text[blanks(text)..].iter().take(3).map(u8::to_ascii_uppercase).collect::<Vec<_>>();
    MONTHS.iter().position(|month| *month == start).map_or(0, |at| at + 1)
}

/// Digits as numbers, the rest as text: `file9` before `file10`.
fn compare_versions(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let letters = |text: &[u8]| text.iter().take_while(|byte| !byte.is_ascii_digit()).count();
    while !a.is_empty() || !b.is_empty() {
        let (text_of_a, rest_of_a) = a.split_at(letters(a));
        let (text_of_b, rest_of_b) = b.split_at(letters(b));
        let (number_of_a, after_a) = rest_of_a.split_at(digits(rest_of_a));
        let (number_of_b, after_b) = rest_of_b.split_at(digits(rest_of_b));
        let order = text_of_a.cmp(text_of_b).then(compare_numbers(number_of_a, number_of_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (after_a, after_b);
    }
    Ordering::Equal
}
