//! What replaces a match of `s`.

use regex::bytes::Captures;

use crate::commands::characters;
use crate::stop::{Outcome, Stop};

/// A part of what replaces a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    Group(usize),
    /// `\U`, `\L`, `\u`, `\l`, `\E`
    Case(char),
}

/// What replaces a match: `&`, `\1`, `\n`, `\U`…
pub(super) fn parts(text: &str) -> Outcome<Vec<Part>> {
    let mut parts = Vec::new();
    let mut plain = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\'
            && let Some((byte, length)) = characters::one(letters.as_str())
        {
            plain.push(byte);
            letters = letters.as_str()[length..].chars();
            continue;
        }
        let part = match letter {
            '&' => Part::Group(0),
            '\\' => match letters.next() {
                Some(digit @ '0'..='9') => Part::Group(usize::from(digit as u8 - b'0')),
                Some(case @ ('U' | 'L' | 'u' | 'l' | 'E')) => Part::Case(case),
                Some(letter) if letter.is_ascii_alphabetic() => {
                    let message = format!("script: `\\{letter}` has no meaning in what replaces a match: `{text}`");
                    return Err(Stop::failed(message));
                }
                Some(other) => {
                    plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                None => break,
            },
            other => {
                plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(part);
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// Writes what replaces one match.
pub(super) fn replace(parts: &[Part], captures: &Captures<'_>, out: &mut Vec<u8>) {
    let (mut lasting, mut once) = (None, None);
    for part in parts {
        let text = match part {
            Part::Case(case @ ('U' | 'L')) => {
                lasting = Some(*case);
                continue;
            }
            Part::Case('E') => {
                (lasting, once) = (None, None);
                continue;
            }
            Part::Case(case) => {
                once = Some(*case);
                continue;
            }
            Part::Text(text) => text,
            Part::Group(group) => captures.get(*group).map_or(&[][..], |found| found.as_bytes()),
        };
        if lasting.is_none() && once.is_none() {
            out.extend_from_slice(text);
            continue;
        }
        let (first, rest) = text.split_at(first_letter(text));
        // The first letter has a case of its own, if there is one.
        put(first, if first.is_empty() { lasting } else { once.take().or(lasting) }, out);
        put(rest, lasting, out);
    }
}

/// How many bytes the first letter has.
fn first_letter(text: &[u8]) -> usize {
    let Some(chunk) = text.utf8_chunks().next() else { return 0 };
    chunk.valid().chars().next().map_or(chunk.invalid().len(), char::len_utf8)
}

/// Writes a text in a case. What is not UTF-8 in it stays as it is.
fn put(text: &[u8], case: Option<char>, out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        match case {
            Some('U' | 'u') => out.extend_from_slice(chunk.valid().to_uppercase().as_bytes()),
            Some(_) => out.extend_from_slice(chunk.valid().to_lowercase().as_bytes()),
            None => out.extend_from_slice(chunk.valid().as_bytes()),
        }
        out.extend_from_slice(chunk.invalid());
    }
}
