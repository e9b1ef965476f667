//! Escapes with a backslash, as in `echo -e`, `printf` and `tr`.

/// Whose escapes: they differ in how an octal number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// `\0123`, also in `printf %b`.
    Echo,
    /// `\123`
    Printf,
}

/// The text with its escapes replaced, and whether output goes on: `\c` ends it.
pub(crate) fn replaced(text: &str, escapes: Escapes) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if rest.starts_with('c') {
            return (bytes, false);
        }
        let used = one(rest, escapes, &mut bytes);
        rest = &rest[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    (bytes, true)
}

/// Writes what stands for the escape after a backslash, and says how many bytes it takes.
pub(crate) fn one(rest: &str, escapes: Escapes, bytes: &mut Vec<u8>) -> usize {
    let Some(letter) = rest.chars().next() else {
        bytes.push(b'\\');
        return 0;
    };
    let byte = match letter {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        'a' => 7,
        'b' => 8,
        'e' => 27,
        'f' => 12,
        'v' => 11,
        '\\' => b'\\',
        '0' if escapes == Escapes::Echo => return 1 + number(&rest[1..], 8, 3, bytes),
        '0'..='7' if escapes == Escapes::Printf => return number(rest, 8, 3, bytes),
        'x' if rest[1..].starts_with(|c: char| c.is_ascii_hexdigit()) => return 1 + number(&rest[1..], 16, 2, bytes),
        '"' | '\'' if escapes == Escapes::Printf => letter as u8,
        other => {
            bytes.push(b'\\');
            bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            return other.len_utf8();
        }
    };
    bytes.push(byte);
    1
}

fn number(rest: &str, base: u32, digits_max: usize, bytes: &mut Vec<u8>) -> usize {
    let digits = rest.bytes().take(digits_max).take_while(|byte| char::from(*byte).is_digit(base)).count();
    let number = u32::from_str_radix(&rest[..digits], base).unwrap_or(0);
    bytes.push(u8::try_from(number & 255).unwrap_or(0));
    digits
}
