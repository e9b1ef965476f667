//! URL patterns against a second reading of them, made by other means: the `url` crate parses the pattern as if it were a URL,
//! and lists of labels and resolved path segments are compared. Input: two patterns and a URL, or what follows the first
//! pattern in a URL, each on its line.

mod second_reading;

use agent_core::pattern::UrlPattern;
use url::Url;

use self::second_reading::Reading;

/// Reads the lines and compares.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let (first, second, asked) =
        (lines.next().unwrap_or_default(), lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let [first, second] = [first, second].map(read);
    let urls = [asked.to_owned(), first.as_ref().map(|(_, reading)| reading.some_url(asked)).unwrap_or_default()];
    for url in urls.iter().filter_map(|url| Url::parse(url).ok()) {
        for (pattern, reading) in first.iter().chain(&second) {
            covers_agree(pattern, reading, &url);
        }
        if let (Some((one, _)), Some((other, _))) = (&first, &second) {
            intersection_is_what_both_cover(one, other, &url);
        }
    }
    if let (Some((one, _)), Some((other, _))) = (&first, &second) {
        intersection_lies_in_both(one, other);
    }
}

/// The pattern, where `text` is one, and what it means by the other reading.
fn read(text: &str) -> Option<(UrlPattern, Reading)> {
    let pattern = text.parse::<UrlPattern>().ok()?;
    assert_eq!(pattern.to_string().parse().as_ref(), Ok(&pattern), "it is shown as it is not read: {text}");
    let reading = Reading::of(text).unwrap_or_else(|| panic!("only one of two readers accepts {text:?}"));
    let shown = Reading::of(&pattern.to_string());
    assert_eq!(shown.as_ref(), Some(&reading), "it is shown as something else: {text} as {pattern}");
    Some((pattern, reading))
}

fn covers_agree(pattern: &UrlPattern, reading: &Reading, url: &Url) {
    let ours = pattern.covers(url);
    assert!(!ours || reading.allows(url), "{pattern} covers {url}, which leads elsewhere");
    if second_reading::is_plain(url) {
        assert_eq!(ours, reading.allows(url), "{pattern} and {url}");
    }
}

fn intersection_is_what_both_cover(one: &UrlPattern, other: &UrlPattern, url: &Url) {
    let both = one.intersect(other).is_some_and(|both| both.covers(url));
    assert_eq!(both, one.covers(url) && other.covers(url), "{one} and {other} at {url}");
    assert!(!one.covers_pattern(other) || !other.covers(url) || one.covers(url), "{one} covers {other}, not {url}");
}

fn intersection_lies_in_both(one: &UrlPattern, other: &UrlPattern) {
    let both = one.intersect(other);
    assert_eq!(both, other.intersect(one), "{one} and {other}");
    assert!(one.covers_pattern(one), "{one}");
    if let Some(both) = both {
        assert!(one.covers_pattern(&both) && other.covers_pattern(&both), "{one} and {other} share {both}");
        assert_eq!(both.to_string().parse().as_ref(), Ok(&both), "{both}");
    }
}
