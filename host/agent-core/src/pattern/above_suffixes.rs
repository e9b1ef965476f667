//! Names that are no public suffix themselves and have some below them: `windows.net`, since strangers register names below
//! `blob.core.windows.net`. The public suffix list says nothing of them, and the crate that holds it cannot be asked what lies
//! below a name. Used by `host`.

/// Every name of two labels or more above a suffix of the list (`psl` 2.1.247), itself none; sorted.
const ABOVE_SUFFIXES: &str = include_str!("above_suffixes.txt");

/// Whether the list has suffixes below this name.
pub(super) fn is_above_suffixes(name: &str) -> bool {
    ABOVE_SUFFIXES.lines().any(|above| above == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_of_plain_names_and_sorted() {
        assert!(ABOVE_SUFFIXES.lines().is_sorted());
        for name in ABOVE_SUFFIXES.lines() {
            assert!(
                name.contains('.')
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b)),
                "{name}"
            );
            assert_ne!(psl::suffix_str(name), Some(name), "{name} is in the list itself");
        }
    }
}
