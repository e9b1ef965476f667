//! Characters as `sed` writes them where they cannot be seen: `\t`, `\x27`, `\o047`, `\d039`. Its expressions, sets, replacements and
//! texts all have them; `printf` and `echo` have escapes of their own, in `escapes`.

/// The character that an escape stands for, and how long the escape is, without its backslash. None: it is no such escape.
pub(super) fn one(escape: &str) -> Option<(u8, usize)> {
    let letter = escape.chars().next()?;
    let byte = match letter {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        'f' => 0xc,
        'v' => 0xb,
        'a' => 7,
        'x' => return coded(escape, 16, 2),
        'o' => return coded(escape, 8, 3),
        'd' => return coded(escape, 10, 3),
        _ => return None,
    };
    Some((byte, 1))
}

/// The letters of a text with such escapes in it, as `y` has it. The error names an escape that has no meaning.
pub(super) fn plain(text: &str) -> Result<Vec<char>, String> {
    let (mut letters, mut rest) = (Vec::new(), text);
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter != '\\' {
            letters.push(letter);
            continue;
        }
        let escaped = if rest.starts_with('\\') { Some((b'\\', 1)) } else { one(rest) };
        let Some((byte, length)) = escaped.filter(|(byte, _)| byte.is_ascii()) else {
            return Err(format!("`\\{rest:.1}` has no meaning in `y`"));
        };
        letters.push(char::from(byte));
        rest = &rest[length..];
    }
    Ok(letters)
}

/// A byte by its number, after the letter that tells the base.
fn coded(escape: &str, base: u32, most: usize) -> Option<(u8, usize)> {
    let digits = escape[1..].chars().take(most).take_while(|digit| digit.is_digit(base)).count();
    let byte = u8::from_str_radix(&escape[1..=digits], base).ok()?;
    Some((byte, digits + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_told_from_letters() {
        for (escape, expected) in [
            ("tx", Some((b'\t', 1))),
            ("x27s", Some((b'\'', 3))),
            ("xfg", Some((0xf, 2))),
            ("o1019", Some((b'A', 4))),
            ("d0650", Some((b'A', 4))),
            ("d300", None),
            ("dx", None),
            ("xg", None),
            ("x", None),
            ("q", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(one(escape), expected, "{escape}");
        }
    }
}
