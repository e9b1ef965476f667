//! Patterns: `*`, `?`, `[a-z]`, `[!x]`, `[[:digit:]]`, and a backslash that takes a meaning away. Used by names of files, `case`,
//! `${x%…}` and `find -name`.

#[derive(Debug, Clone)]
enum Element {
    /// `*`
    Many,
    /// `?`
    One,
    Letter(char),
    Set {
        is_negated: bool,
        items: Vec<Item>,
    },
}

#[derive(Debug, Clone, Copy)]
enum Item {
    Range(char, char),
    Class(fn(char) -> bool),
}

#[derive(Debug, Clone)]
pub(crate) struct Pattern(Vec<Element>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        let (mut elements, mut at) = (Vec::new(), 0);
        while at < letters.len() {
            let (element, used) = match letters[at] {
                '*' => (Element::Many, 1),
                '?' => (Element::One, 1),
                '[' => set(&letters[at..]).unwrap_or((Element::Letter('['), 1)),
                '\\' if at + 1 < letters.len() => (Element::Letter(letters[at + 1]), 2),
                letter => (Element::Letter(letter), 1),
            };
            // Two `*` are one, and matching them would take longer.
            if !(matches!(element, Element::Many) && matches!(elements.last(), Some(Element::Many))) {
                elements.push(element);
            }
            at += used;
        }
        Self(elements)
    }

    pub(crate) fn literal(text: &str) -> Self {
        Self(text.chars().map(Element::Letter).collect())
    }

    /// The pattern in small letters, for `-iname`.
    pub(crate) fn without_case(text: &str) -> Self {
        Self::new(&text.to_lowercase())
    }

    /// The text that it stands for, if it can match only one.
    pub(super) fn as_literal(&self) -> Option<String> {
        self.0.iter().map(|element| if let Element::Letter(letter) = element { Some(*letter) } else { None }).collect()
    }

    pub(super) fn begins_with_dot(&self) -> bool {
        matches!(self.0.first(), Some(Element::Letter('.')))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        self.matches_letters(&letters)
    }

    /// Goes back to the last `*` only: what an earlier one took need not be looked at again.
    fn matches_letters(&self, letters: &[char]) -> bool {
        let elements = &self.0;
        let (mut element, mut at, mut last_star) = (0, 0, None);
        while at < letters.len() {
            match elements.get(element) {
                Some(Element::Many) => {
                    last_star = Some((element, at));
                    element += 1;
                }
                Some(other) if other.takes(letters[at]) => {
                    element += 1;
                    at += 1;
                }
                Some(_) | None => {
                    let Some((star, from)) = last_star else { return false };
                    last_star = Some((star, from + 1));
                    element = star + 1;
                    at = from + 1;
                }
            }
        }
        elements[element..].iter().all(|element| matches!(element, Element::Many))
    }

    /// How many letters at the front match: the shortest or the longest such part.
    pub(super) fn front(&self, letters: &[char], longest: bool) -> Option<usize> {
        let mut lengths = 0..=letters.len();
        let matches = |length: &usize| self.matches_letters(&letters[..*length]);
        if longest { lengths.rev().find(matches) } else { lengths.find(matches) }
    }

    /// Where the part at the back begins that matches.
    pub(super) fn back(&self, letters: &[char], longest: bool) -> Option<usize> {
        let mut starts = 0..=letters.len();
        let matches = |start: &usize| self.matches_letters(&letters[*start..]);
        if longest { starts.find(matches) } else { starts.rev().find(matches) }
    }
}

impl Element {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Many | Self::One => true,
            Self::Letter(letter) => *letter == c,
            Self::Set { is_negated, items } => items.iter().any(|item| item.takes(c)) != *is_negated,
        }
    }
}

impl Item {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Range(from, to) => (from..=to).contains(&c),
            Self::Class(is_in) => is_in(c),
        }
    }
}

/// Reads `[…]`, and says how many letters it takes. None: it does not close, and is a letter.
fn set(letters: &[char]) -> Option<(Element, usize)> {
    let mut at = 1;
    let is_negated = matches!(letters.get(at), Some('!' | '^'));
    if is_negated {
        at += 1;
    }
    let first = at;
    let mut items = Vec::new();
    loop {
        match *letters.get(at)? {
            ']' if at > first => return Some((Element::Set { is_negated, items }, at + 1)),
            '[' if letters.get(at + 1) == Some(&':') => {
                let length = letters[at + 2..].windows(2).position(|two| two == [':', ']'])?;
                let name: String = letters[at + 2..at + 2 + length].iter().collect();
                items.push(Item::Class(class(&name)?));
                at += length + 4;
            }
            letter => {
                let (from, used) = literal(letters, at, letter);
                at += used;
                let is_range = letters.get(at) == Some(&'-') && letters.get(at + 1).is_some_and(|next| *next != ']');
                if is_range {
                    let (to, used) = literal(letters, at + 1, letters[at + 1]);
                    items.push(Item::Range(from, to));
                    at += 1 + used;
                } else {
                    items.push(Item::Range(from, from));
                }
            }
        }
    }
}

fn literal(letters: &[char], at: usize, letter: char) -> (char, usize) {
    match letters.get(at + 1) {
        Some(next) if letter == '\\' => (*next, 2),
        _ => (letter, 1),
    }
}

/// A class of characters by its name, as in `[[:digit:]]` and `tr`.
pub(crate) fn class(name: &str) -> Option<fn(char) -> bool> {
    Some(match name {
        "alpha" => char::is_alphabetic,
        "digit" => |c| c.is_ascii_digit(),
        "alnum" => char::is_alphanumeric,
        "upper" => char::is_uppercase,
        "lower" => char::is_lowercase,
        "space" => |c| c.is_ascii_whitespace() || c == '\u{b}',
        "blank" => |c| c == ' ' || c == '\t',
        "punct" => |c| c.is_ascii_punctuation(),
        "print" => |c| !c.is_control(),
        "graph" => |c| !c.is_control() && c != ' ',
        "cntrl" => char::is_control,
        "xdigit" => |c| c.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match() {
        for (pattern, text, expected) in [
            ("*.md", "a.md", true),
            ("*.md", "a.mdx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[[:digit:]]*", "1a", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*", "", true),
            ("", "", true),
            ("[a\\]]", "]", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!Pattern::new(&"*a".repeat(50)).matches(&"a".repeat(49)));
        assert!(!Pattern::new(&"a*".repeat(50)).matches(&format!("{}b", "a".repeat(5_000)).replace('a', "c")));
    }
}
