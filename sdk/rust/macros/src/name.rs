//! The rule for an operation's name, checked while the tool is compiled: the host would refuse to load the component.

/// Longest name in bytes. With the component's name and `__` it fits into the 64 that model providers allow.
const NAME_BYTES_MAX: usize = 31;

/// Says what is wrong with `name`, if anything is.
pub(crate) fn problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("`{name}` has {} bytes, an operation's name at most {NAME_BYTES_MAX}", name.len()));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        return Some(format!(
            "`{name}` is not an operation's name: use a-z, 0-9, `-` and `_`, beginning with a letter"
        ));
    }
    if name.contains("__") || name.ends_with('_') {
        return Some(format!("`{name}` has a `_` too many: `__` joins the tool's and the operation's name"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn good_names_have_no_problem() {
        for name in ["grep", "read_lines", "x1", "top-10", &"a".repeat(31)] {
            assert_eq!(problem(name), None);
        }
    }

    #[test]
    fn bad_names_are_told_why() {
        let cases = [
            ("Grep", "is not an operation's name"),
            ("1x", "is not an operation's name"),
            ("", "is not an operation's name"),
            ("naïve", "is not an operation's name"),
            ("a__b", "has a `_` too many"),
            ("a_", "has a `_` too many"),
            (&"a".repeat(32), "has 32 bytes"),
        ];
        for (name, expected) in cases {
            assert!(problem(name).is_some_and(|said| said.contains(expected)), "{name}");
        }
    }
}
