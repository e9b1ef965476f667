//! What replaces a match of `s`.

use regex::bytes::Captures;

/// A part of what replaces a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    Group(usize),
    /// `\U`, `\L`, `\u`, `\l`, `\E`
    Case(char),
}

/// What replaces a match: `&`, `\1`, `\n`, `\U`…
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let part = match letter {
            '&' => Part::Group(0),
            '\\' => match letters.next() {
                Some(digit @ '0'..='9') => Part::Group(usize::from(digit as u8 - b'0')),
                Some(case @ ('U' | 'L' | 'u' | 'l' | 'E')) => Part::Case(case),
                Some(other) => {
                    let meant = match other {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        other => other,
                    };
                    plain.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
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
    parts
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
        let text = String::from_utf8_lossy(text);
        let text = match lasting {
            Some('U') => text.to_uppercase(),
            Some(_) => text.to_lowercase(),
            None => text.into_owned(),
        };
        let first = text.chars().next().map_or(0, char::len_utf8);
        if first > 0 {
            match once.take() {
                Some('u') => out.extend_from_slice(text[..first].to_uppercase().as_bytes()),
                Some(_) => out.extend_from_slice(text[..first].to_lowercase().as_bytes()),
                None => out.extend_from_slice(&text.as_bytes()[..first]),
            }
            out.extend_from_slice(&text.as_bytes()[first..]);
        }
    }
}
