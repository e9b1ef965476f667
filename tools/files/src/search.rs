//! `search`: lines that match a regular expression, in one file or below a folder.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use agent_host_tool::{Json, args, path, progress, schemars, serde, tool};
use regex::bytes::{Regex, RegexBuilder};

use crate::lines::{Lines, is_binary};
use crate::walk::{ENTRIES_MAX, Kind, NameFilter, Walk};

/// Matches given back when the caller does not say.
const MATCHES_DEFAULT: usize = 50;
/// Most matches in one answer.
const MATCHES_MAX: usize = 500;
/// Most lines shown before and after a match.
const CONTEXT_MAX: usize = 10;
/// Most bytes of text in one answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Largest compiled expression: what people write needs a hundredth of it.
const REGEX_BYTES_MAX: usize = 4 << 20;
/// Deepest folder searched.
const DEPTH_MAX: usize = 64;
/// How often the person who waits hears of it, in files.
const FILES_PER_PROGRESS: u64 = 500;

#[args]
pub(crate) struct Search {
    /// A regular expression (Rust syntax, linear time, no look-around), matched against one line at a time.
    pattern: String,
    /// The file or folder to search, relative to the granted folder. Default: the granted folder itself.
    path: Option<String>,
    /// Only files whose name matches, such as `*.md` or `src/**/*.rs`.
    glob: Option<String>,
    /// Whether upper and lower case are the same. Default: false.
    ignore_case: Option<bool>,
    /// How many lines to show before and after each match, at most 10. Default: 0.
    context: Option<usize>,
    /// How many matches to give back, at most 500. Default: 50.
    matches_max: Option<usize>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
#[serde(crate = "agent_host_tool::serde")]
#[schemars(crate = "agent_host_tool::schemars")]
pub(crate) struct Found {
    matches: Vec<Match>,
    files_searched: u64,
    files_skipped: u64,
    /// Whether the search ended before all files were searched.
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One line that matched.
#[derive(Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
#[serde(crate = "agent_host_tool::serde")]
#[schemars(crate = "agent_host_tool::schemars")]
struct Match {
    path: String,
    line: u64,
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    after: Vec<String>,
}

/// Searches the lines of text files for a regular expression. Binary files and `.git` folders are skipped. `complete` is false
/// if there may be more matches than were given back.
#[tool]
pub(crate) fn search(search: Search) -> Result<Json<Found>, String> {
    let shown = search.path.unwrap_or_else(|| ".".to_owned());
    let place = path::resolve(&shown);
    let pattern = RegexBuilder::new(&search.pattern)
        .case_insensitive(search.ignore_case.unwrap_or(false))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| format!("`pattern` is not a regular expression: {error}"))?;
    let mut searcher = Searcher {
        pattern,
        context: search.context.unwrap_or(0).min(CONTEXT_MAX),
        matches_max: search.matches_max.unwrap_or(MATCHES_DEFAULT).clamp(1, MATCHES_MAX),
        bytes: 0,
        found: Found::default(),
    };
    let problem = |error| path::problem(&error, &shown);
    if fs::metadata(&place).map_err(problem)?.is_dir() {
        let filter = NameFilter::new(search.glob.as_deref())?;
        let mut walk = Walk::new(&place, DEPTH_MAX).map_err(problem)?;
        searcher.folder(&mut walk, &filter, &shown);
    } else {
        searcher.file(&place, &shown).map_err(problem)?;
        searcher.found.complete = !searcher.is_full();
    }
    Ok(Json(searcher.found))
}

struct Searcher {
    pattern: Regex,
    context: usize,
    matches_max: usize,
    bytes: usize,
    found: Found,
}

impl Searcher {
    fn folder(&mut self, walk: &mut Walk, filter: &NameFilter, shown: &str) {
        let files = walk.by_ref().filter(|entry| entry.kind == Kind::File && filter.matches(&entry.name));
        for entry in files.filter(|entry| !is_in_git(&entry.name)) {
            if self.is_full() {
                return;
            }
            let name =
                if shown == "." { entry.name } else { format!("{}/{}", shown.trim_end_matches('/'), entry.name) };
            if self.file(&entry.place, &name).is_err() {
                self.found.files_skipped += 1;
            }
            if self.found.files_searched % FILES_PER_PROGRESS == FILES_PER_PROGRESS - 1 {
                progress(&format!("searched {} files", self.found.files_searched), None);
            }
        }
        self.found.complete = !self.is_full() && !walk.cut;
        if walk.cut {
            let note = format!("only the first {ENTRIES_MAX} entries were looked at: search a folder further down");
            self.found.note = Some(note);
        }
    }

    fn is_full(&self) -> bool {
        self.found.matches.len() >= self.matches_max || self.bytes >= ANSWER_BYTES_MAX
    }

    fn file(&mut self, place: &Path, name: &str) -> io::Result<()> {
        let mut reader = BufReader::new(File::open(place)?);
        if is_binary(reader.fill_buf()?) {
            self.found.files_skipped += 1;
            return Ok(());
        }
        self.found.files_searched += 1;
        let mut lines = Lines::new(reader);
        let mut number = 0;
        let mut before = VecDeque::new();
        // The matches, by their index, that still want lines after them.
        let mut open: Vec<usize> = Vec::new();
        while let Some(line) = lines.next_line()? {
            number += 1;
            let matches = !self.is_full() && self.pattern.is_match(line.bytes);
            if self.is_full() && open.is_empty() {
                return Ok(());
            }
            if !matches && self.context == 0 {
                continue;
            }
            let text = line.text();
            for &index in &open {
                self.bytes += text.len();
                self.found.matches[index].after.push(text.clone());
            }
            open.retain(|&index| self.found.matches[index].after.len() < self.context);
            if matches {
                let before: Vec<String> = before.iter().cloned().collect();
                self.bytes += text.len() + before.iter().map(String::len).sum::<usize>();
                let found =
                    Match { path: name.to_owned(), line: number, text: text.clone(), before, after: Vec::new() };
                self.found.matches.push(found);
                if self.context > 0 {
                    open.push(self.found.matches.len() - 1);
                }
            }
            before.push_back(text);
            if before.len() > self.context {
                before.pop_front();
            }
        }
        Ok(())
    }
}

/// What lies below a `.git` folder is a database, not somebody's text.
fn is_in_git(name: &str) -> bool {
    name.split('/').any(|part| part == ".git")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use agent_host_tool::serde_json::{Value, json, to_value};

    use super::*;

    fn ask(arguments: Value) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        fs::create_dir_all(folder.path().join("docs")).unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        fs::write(folder.path().join("a.txt"), "one\ntwo\nthree\nTwo\n").unwrap();
        fs::write(folder.path().join("docs/b.md"), "two\r\nfour").unwrap();
        fs::write(folder.path().join("c.bin"), b"two\0").unwrap();
        fs::write(folder.path().join(".git/x"), "two").unwrap();
        let mut arguments = arguments;
        arguments["path"] = root.into();
        let found = search(agent_host_tool::arguments::parse(&arguments.to_string()).unwrap())?;
        let text = to_value(found.0).unwrap().to_string().replace(&format!("{root}/"), "");
        Ok(agent_host_tool::serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn matches_are_found_in_the_order_of_names() {
        let expected = json!({
            "matches": [
                {"path": "a.txt", "line": 2, "text": "two"},
                {"path": "docs/b.md", "line": 1, "text": "two"},
            ],
            "files_searched": 2,
            "files_skipped": 1,
            "complete": true,
        });
        assert_eq!(ask(json!({"pattern": "^two$"})), Ok(expected));
    }

    #[test]
    fn context_case_and_glob() {
        let found = ask(json!({"pattern": "TWO", "ignore_case": true, "context": 1, "glob": "*.txt"})).unwrap();
        let expected = json!([
            {"path": "a.txt", "line": 2, "text": "two", "before": ["one"], "after": ["three"]},
            {"path": "a.txt", "line": 4, "text": "Two", "before": ["three"]},
        ]);
        assert_eq!(found["matches"], expected);
    }

    #[test]
    fn a_full_answer_is_not_complete() {
        let found = ask(json!({"pattern": "two", "matches_max": 1})).unwrap();
        assert_eq!((found["matches"].as_array().unwrap().len(), &found["complete"]), (1, &json!(false)));
    }

    #[test]
    fn a_wrong_expression_is_explained() {
        let said = ask(json!({"pattern": "("})).unwrap_err();
        assert!(said.starts_with("`pattern` is not a regular expression: "), "{said}");
    }
}
