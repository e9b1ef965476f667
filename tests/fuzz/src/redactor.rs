//! The redactor against slow ways to find a secret: whatever is decoded of what passed, in one step, the secret is not in it,
//! and how the text was cut does not matter.
//!
//! Input: a secret up to the first newline, the lengths of pieces up to the second, then a text in which bytes from 1 to 9
//! stand for the secret in some spelling.

use std::borrow::Cow;

use agent_core::redact::{MARK, Redactor};
use agent_core::secret::SecretValue;

/// Reads the parts and looks for what should be gone.
pub(crate) fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let [Some(secret), Some(lengths), Some(template)] = [parts.next(), parts.next(), parts.next()] else { return };
    let Ok(text) = std::str::from_utf8(secret) else { return };
    // Beside a mark, a secret that holds a bracket could come together anew.
    if text.contains(['[', ']']) {
        return;
    }
    let Ok(value) = SecretValue::new(text.to_owned()) else { return };
    let text = filled(template, secret);
    let redactor = Redactor::new([&value]);
    let redacted = redactor.bytes(&text).into_owned();
    assert_eq!(in_pieces(&redactor, &text, lengths), redacted, "it depends on how the text is cut");
    assert!(redacted.len() <= text.len(), "it grew");
    assert!(!shows(&redacted, secret), "the secret is in what passed");
    if redacted != text {
        assert!(shows(&text, secret), "there was no secret to take out");
        assert!(contains(&redacted, MARK.as_bytes()), "something is missing without a mark");
    }
}

fn in_pieces(redactor: &Redactor, text: &[u8], lengths: &[u8]) -> Vec<u8> {
    let (mut stream, mut out, mut rest) = (redactor.stream(), Vec::new(), text);
    for length in lengths.iter().map(|length| usize::from(*length)) {
        let (piece, left) = rest.split_at(length.min(rest.len()));
        stream.push(piece, &mut out);
        rest = left;
    }
    stream.push(rest, &mut out);
    stream.finish(&mut out);
    out
}

/// The text that the template stands for.
fn filled(template: &[u8], secret: &[u8]) -> Vec<u8> {
    template.iter().flat_map(|byte| spelling(*byte, secret)).collect()
}

fn spelling(byte: u8, secret: &[u8]) -> Vec<u8> {
    let each = |spell: fn(&u8) -> String| secret.iter().map(spell).collect::<String>().into_bytes();
    match byte {
        1 => secret.to_vec(),
        2 => each(|byte| format!("{byte:02x}")),
        3 => each(|byte| format!("{byte:02X}")),
        4 => each(|byte| format!("%{byte:02X}")),
        5 => each(|byte| format!("\\u{byte:04x}")),
        6 => secret.iter().flat_map(|byte| if *byte == b'/' { b"\\/".to_vec() } else { vec![*byte] }).collect(),
        7..=9 => {
            let before = &b"ab"[..usize::from(byte - 7)];
            base64(&[before, secret, b"c"].concat())
        }
        other => vec![other],
    }
}

/// Whether somebody who decodes one step finds the secret, or all of it that base64 shows of it alone.
fn shows(text: &[u8], secret: &[u8]) -> bool {
    [Cow::Borrowed(text), percent_decoded(text).into(), json_decoded(text).into()]
        .iter()
        .any(|read| holds(read, secret))
}

fn holds(text: &[u8], secret: &[u8]) -> bool {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let plus: Vec<u8> = secret.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
    let plain = [secret, &plus, hex.as_bytes(), hex.to_uppercase().as_bytes()].iter().any(|form| contains(text, form));
    plain || (0..3).any(|shift| holds_base64(text, secret, shift))
}

/// What base64 shows of the secret alone, after `shift` other bytes, in either alphabet.
fn holds_base64(text: &[u8], secret: &[u8], shift: usize) -> bool {
    let whole = base64(&[&[0; 2][..shift], secret].concat());
    let whole = &whole[(shift * 8).div_ceil(6)..(shift + secret.len()) * 8 / 6];
    let for_urls: Vec<u8> = whole.iter().map(|byte| for_url(*byte)).collect();
    contains(text, whole) || contains(text, &for_urls)
}

fn for_url(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn contains(text: &[u8], form: &[u8]) -> bool {
    text.windows(form.len()).any(|window| window == form)
}

/// Bit by bit; padded with zeros to whole characters, and no `=`.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.resize(bits.len().next_multiple_of(6), 0);
    bits.chunks(6).map(|six| ALPHABET[six.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit))]).collect()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    decoded(text, |rest| match rest {
        [b'%', digits @ ..] => Some((number(digits.get(..2)?)? as u8, 3)),
        _ => None,
    })
}

/// Escapes of characters beyond ASCII, and of control characters, say something that is in no secret.
fn json_decoded(text: &[u8]) -> Vec<u8> {
    const FOREIGN: u8 = 0xff;
    decoded(text, |rest| match rest {
        [b'\\', b'u', digits @ ..] => {
            Some((u8::try_from(number(digits.get(..4)?)?).ok().filter(u8::is_ascii).unwrap_or(FOREIGN), 6))
        }
        [b'\\', b'b' | b'f' | b'n' | b'r' | b't', ..] => Some((FOREIGN, 2)),
        [b'\\', own @ (b'"' | b'\\' | b'/'), ..] => Some((*own, 2)),
        _ => None,
    })
}

fn decoded(text: &[u8], escape: impl Fn(&[u8]) -> Option<(u8, usize)>) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        let (said, length) = escape(&text[at..]).unwrap_or((*byte, 1));
        out.push(said);
        at += length;
    }
    out
}

fn number(digits: &[u8]) -> Option<u32> {
    let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| hexadecimal)?, 16).ok()
}
