//! What a note is: a name, a text, tags, and when it was changed.

use agent_host_tool::serde::{Deserialize, Serialize};

/// Longest name in bytes: a name is what one would say, not the note itself.
const NAME_BYTES_MAX: usize = 120;
/// Longest tag in bytes.
const TAG_BYTES_MAX: usize = 40;
/// Most tags of a note.
const TAGS_MAX: usize = 16;
/// Longest text in bytes. A longer one is a file.
pub(crate) const TEXT_BYTES_MAX: usize = 32 << 10;

/// A note as it is kept, under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "agent_host_tool::serde", deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) tags: Vec<String>,
    /// Seconds since 1970.
    pub(crate) changed: u64,
}

/// A note's name, as it is kept: without spaces around it, on one line, visible.
pub(crate) fn name(text: &str) -> Result<String, String> {
    word(text, "name", NAME_BYTES_MAX)
}

/// Tags, each once, in their order.
pub(crate) fn tags(texts: &[String]) -> Result<Vec<String>, String> {
    let mut tags = texts.iter().map(|text| tag(text)).collect::<Result<Vec<_>, _>>()?;
    tags.sort();
    tags.dedup();
    if tags.len() > TAGS_MAX { Err(format!("a note has at most {TAGS_MAX} tags")) } else { Ok(tags) }
}

/// A tag, in lower case: it is typed in many ways and means one thing.
pub(crate) fn tag(text: &str) -> Result<String, String> {
    word(&text.to_lowercase(), "tag", TAG_BYTES_MAX)
}

fn word(text: &str, what: &str, bytes_max: usize) -> Result<String, String> {
    let word = text.trim();
    if word.is_empty() {
        Err(format!("the {what} is empty"))
    } else if word.len() > bytes_max {
        Err(format!("the {what} has {} bytes, at most {bytes_max} are kept: say it shorter", word.len()))
    } else if word.chars().any(is_hidden) {
        Err(format!("the {what} holds a line break or a character that nobody sees: leave it out"))
    } else {
        Ok(word.to_owned())
    }
}

/// Characters that would let two names look the same.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// `2026-01-31 08:05`, in UTC.
pub(crate) fn shown_time(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3_600, second / 60 % 60)
}

/// The date of a day counted from 1970-01-01, by the proleptic Gregorian calendar: years of 400 years' eras that begin in
/// March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_and_short() {
        assert_eq!(name("  Ada's birthday "), Ok("Ada's birthday".to_owned()));
        assert_eq!(name(" "), Err("the name is empty".to_owned()));
        for bad in ["two\nlines", "a\u{200b}b", "tags\u{e0041}", &"x".repeat(121)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tags_are_lower_case_and_each_once() {
        let written = ["People".to_owned(), "dates".to_owned(), "people".to_owned()];
        assert_eq!(tags(&written), Ok(vec!["dates".to_owned(), "people".to_owned()]));
        let many: Vec<String> = (0..17).map(|number| number.to_string()).collect();
        assert!(tags(&many).is_err());
    }

    #[test]
    fn times_are_read_by_people() {
        let cases = [(0, "1970-01-01 00:00"), (951_782_400, "2000-02-29 00:00"), (1_735_689_599, "2024-12-31 23:59")];
        for (seconds, shown) in cases {
            assert_eq!(shown_time(seconds), shown);
        }
    }
}
