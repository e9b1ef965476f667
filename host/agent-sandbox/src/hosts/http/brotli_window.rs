//! How much of what it has decoded a brotli decoder must keep to look back at: the sender chooses it in the first byte. The
//! standard's own bound is 16 MiB; an extension of it asks for up to 1 GiB, and the decoder would believe it.

/// Whether a brotli stream keeps to the standard's look-back.
pub(super) fn is_bounded(stream: &[u8]) -> bool {
    stream.first().and_then(|first| bits(*first)).is_some()
}

/// RFC 7932 section 9.1; `None` for the pattern that stands for larger windows.
fn bits(first: u8) -> Option<u32> {
    let (low, high) = (u32::from(first >> 1 & 7), u32::from(first >> 4 & 7));
    match (first & 1, low, high) {
        (0, _, _) => Some(16),
        (_, 0, 0) => Some(17),
        (_, 0, 1) => None,
        (_, 0, high) => Some(8 + high),
        (_, low, _) => Some(17 + low),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_standards_windows_are_believed() {
        for (first, expected) in [
            (0b0000_0000, Some(16)),
            (0b0000_0001, Some(17)),
            (0b0000_0011, Some(18)),
            (0b0000_1111, Some(24)),
            (0b0010_0001, Some(10)),
            (0b0111_0001, Some(15)),
            (0b0001_0001, None),
        ] {
            assert_eq!(bits(first), expected, "{first:#b}");
        }
        assert!(!is_bounded(&[]) && !is_bounded(&[0b0001_0001, 30]));
    }
}
