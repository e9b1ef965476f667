//! A piece of a long text, and the words that say how to get the next.

/// Characters given back when the caller does not say: some 5,000 tokens.
const LENGTH_DEFAULT: usize = 20_000;
/// Most characters in one answer.
const LENGTH_MAX: usize = 100_000;

/// A piece of a text, counted in characters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) total: usize,
}

impl Page {
    pub(crate) fn cut(text: &str, start: Option<usize>, length: Option<usize>) -> Result<Self, String> {
        let start = start.unwrap_or(0);
        let length = length.unwrap_or(LENGTH_DEFAULT).clamp(1, LENGTH_MAX);
        let total = text.chars().count();
        if start > 0 && start >= total {
            return Err(format!("`start` is {start}, but the page has {total} characters"));
        }
        let piece: String = text.chars().skip(start).take(length).collect();
        let end = start + piece.chars().count();
        Ok(Self { text: piece, start, end, total })
    }

    /// What to say after the text, if it is not the end.
    pub(crate) fn marker(&self) -> Option<String> {
        let more = self.total - self.end;
        (more > 0).then(|| format!("… {more} more characters: ask again with `start` {}", self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_characters() {
        let page = Page::cut("zürich", Some(1), Some(3));
        assert_eq!(page, Ok(Page { text: "üri".to_owned(), start: 1, end: 4, total: 6 }));
        let marker = page.ok().and_then(|page| page.marker());
        assert_eq!(marker.as_deref(), Some("… 2 more characters: ask again with `start` 4"));
    }

    #[test]
    fn the_last_piece_has_no_marker() {
        assert_eq!(Page::cut("abc", None, None).ok().and_then(|page| page.marker()), None);
        assert!(Page::cut("", None, None).is_ok());
        assert_eq!(Page::cut("abc", Some(3), None), Err("`start` is 3, but the page has 3 characters".to_owned()));
    }
}
