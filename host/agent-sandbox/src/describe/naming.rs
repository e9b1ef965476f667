//! Operation names: a function's own name, and its interface's in front only where two would collide.

use std::collections::{BTreeMap, HashMap};

use agent_core::digest::Digest;
use agent_core::name::{NAME_BYTES_MAX, Name};

/// Hexadecimal digits that make a shortened name distinct.
const SUFFIX_DIGITS: usize = 6;

/// An exported function: its interface, if it has one, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExportPath {
    pub(crate) interface: Option<String>,
    pub(crate) function: String,
}

impl ExportPath {
    /// `interface#function`, or only the function's name.
    pub(crate) fn full(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.function),
            None => self.function.clone(),
        }
    }

    /// `tools` of `local:calc/tools@0.1.0`.
    fn short_interface(&self) -> Option<&str> {
        let name = self.interface.as_deref()?.split('@').next()?;
        name.rsplit('/').next()
    }

    fn qualified(&self) -> String {
        self.short_interface()
            .map_or_else(|| self.function.clone(), |interface| format!("{interface}-{}", self.function))
    }
}

/// A name for each of `paths`, in their order, no two the same; or why one has none.
pub(crate) fn assign(paths: &[ExportPath]) -> Vec<Result<Name, String>> {
    let plain: Vec<_> = paths.iter().map(|path| fit(&path.function)).collect();
    let qualified = respelled(&plain, paths, |path| fit(&path.qualified()));
    // Two packages may have an interface of the same name.
    let exact = respelled(&qualified, paths, |path| with_suffix(&path.qualified().to_ascii_lowercase(), &path.full()));
    let mut taken = BTreeMap::new();
    exact.into_iter().zip(paths).map(|(text, path)| name(&text, path, &mut taken)).collect()
}

/// `texts`, each that occurs more than once spelled anew.
fn respelled(texts: &[String], paths: &[ExportPath], spell: impl Fn(&ExportPath) -> String) -> Vec<String> {
    let mut counts = HashMap::new();
    for text in texts {
        *counts.entry(text).or_insert(0_usize) += 1;
    }
    let spell_one = |(text, path): (&String, &ExportPath)| if counts[text] > 1 { spell(path) } else { text.clone() };
    texts.iter().zip(paths).map(spell_one).collect()
}

fn name(text: &str, path: &ExportPath, taken: &mut BTreeMap<String, String>) -> Result<Name, String> {
    if let Some(other) = taken.get(text) {
        return Err(format!("it would be called `{text}`, as `{other}` is"));
    }
    taken.insert(text.to_owned(), path.full());
    text.parse().map_err(|error: agent_core::name::InvalidName| error.to_string())
}

/// `text` in the alphabet and length of a [`Name`]. WIT names are kebab-case, so only capitals and length can be wrong.
fn fit(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if lower.len() <= NAME_BYTES_MAX { lower } else { with_suffix(&lower, &lower) }
}

/// `text`, shortened if need be, with digits that stand for `full`.
fn with_suffix(text: &str, full: &str) -> String {
    let keep = NAME_BYTES_MAX - SUFFIX_DIGITS - 1;
    let kept: String = text.chars().take(keep).collect();
    let digits = &Digest::of(full.as_bytes()).to_hex()[..SUFFIX_DIGITS];
    format!("{}-{digits}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[(&str, &str)], expected: &[&str]) {
        let path = |(interface, function): &(&str, &str)| ExportPath {
            interface: (!interface.is_empty()).then(|| (*interface).to_owned()),
            function: (*function).to_owned(),
        };
        let names = assign(&paths.iter().map(path).collect::<Vec<_>>());
        let names = names.into_iter().map(|name| name.map_or_else(|why| why, |name| name.to_string()));
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_are_qualified_only_where_they_collide() {
        check(&[("", "run-URL"), ("a:b/math@0.1.0", "add")], &["run-url", "add"]);
        check(&[("a:b/math@0.1.0", "add"), ("a:b/set", "add"), ("", "sub")], &["math-add", "set-add", "sub"]);
        check(&[("", "add"), ("a:b/set", "add")], &["add", "set-add"]);
    }

    #[test]
    fn what_has_no_name_says_why() {
        let odd = "`[static]counter.total` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter";
        check(&[("a:b/c", "[static]counter.total"), ("a:b/c", "add")], &[odd, "add"]);
    }

    #[test]
    fn long_names_and_twin_interfaces_get_a_suffix() {
        let long = "get-the-current-weather-of-a-place";
        check(&[("", long)], &["get-the-current-weather-ee9ce0"]);
        check(&[("a:b/math", "add"), ("c:d/math", "add")], &["math-add-0d3ce7", "math-add-cdb28f"]);
    }
}
