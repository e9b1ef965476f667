//! `tests.toml`: the cases by which an author checks a tool. Each is one call with what lies in its folder, and what is to come
//! of it. Read by `agent-host tool test` and `tool check`; it grants nothing outside of them.

use super::file::read_file;
use super::foreign_name::EnvName;
use super::mount::is_clean;
use super::problem::{ProblemKind, Problems, shown};
use super::reader::{Table, Value};
use crate::grant::RuleSource;
use crate::json::JsonText;
use crate::name::Name;
use crate::pattern::UrlPattern;

/// One call, and what is to come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it is about, for the listing.
    pub name: String,
    /// The operation.
    pub call: Name,
    /// Its arguments, as the text of a JSON object.
    pub arguments: JsonText,
    /// What lies in the folder that the tool is granted: relative paths and texts.
    pub files: Vec<(String, String)>,
    /// What it finds in its environment.
    pub env: Vec<(EnvName, String)>,
    /// Where it may really send requests.
    pub net: Vec<UrlPattern>,
    /// How it is to end.
    pub expected: Expected,
    /// All that it is to do, in order, where that is said: `read /data/a.txt`.
    pub effects: Option<Vec<String>>,
    /// Files that are to be in the folder afterwards, with these texts.
    pub leaves: Vec<(String, String)>,
    /// Where it stands in its file.
    pub source: RuleSource,
}

/// How a call is to end.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// It returns this text or JSON value: its one part, or the list of its parts.
    Returns(serde_json::Value),
    /// It returns, and one of its parts contains this text.
    Contains(String),
    /// It fails by its own word, which contains this text.
    Fails(String),
    /// It ends by this name: `guest_trap`, `args_invalid`.
    Ends(String),
}

/// Reads the text of a file of cases. `file` is its name in messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_cases(file: &str, text: &str) -> Result<Vec<Case>, Problems> {
    read_file(ProblemKind::ManifestInvalid, file, text, |root| {
        let example = "[{ name = \"…\", call = \"…\", returns = … }]";
        let list = root.require("case", example)?;
        if list.list()?.is_empty() {
            root.problem("there is no case".to_owned(), Some("write a `[[case]]`".to_owned()));
        }
        Some(list.tables(read_case))
    })
}

fn read_case(table: &mut Table<'_>) -> Option<Case> {
    let name = table.require("name", "\"an empty file\"").and_then(|value| read_line(&value));
    let call = table.require("call", "\"count\"").and_then(|value| value.parse());
    let arguments = match table.get("arguments") {
        None => Some(JsonText::from_value(&serde_json::json!({}))),
        Some(value) => read_arguments(&value),
    };
    let files = read_files(table, "files");
    let env = table.get("env").map(|value| read_env(&value)).unwrap_or_default();
    let net = table.get("net").map(|list| list.each(|url| url.parse())).unwrap_or_default();
    let effects = table.get("effects").map(|list| list.each(|effect| effect.string().map(str::to_owned)));
    let leaves = read_files(table, "leaves");
    let expected = read_expected(table);
    let source = table.source();
    Some(Case {
        name: name?,
        call: call?,
        arguments: arguments?,
        files,
        env,
        net,
        expected: expected?,
        effects,
        leaves,
        source,
    })
}

fn read_line(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let good = !text.trim().is_empty() && !text.chars().any(crate::hidden::is_hidden);
    if !good {
        value.problem("the name is empty or holds characters that nobody sees".to_owned(), None);
    }
    good.then(|| text.to_owned())
}

/// A table, or the text of a JSON object, for what TOML cannot write: null, and numbers of any size.
fn read_arguments(value: &Value<'_>) -> Option<JsonText> {
    if value.is_string() {
        return value.accept(JsonText::parse(value.string()?));
    }
    value.json().map(|json| JsonText::from_value(&json))
}

fn read_files(table: &mut Table<'_>, key: &'static str) -> Vec<(String, String)> {
    let Some(value) = table.get(key) else { return Vec::new() };
    let files = value.pairs().into_iter().filter_map(|(path, text)| {
        if path.is_empty() || path.starts_with('/') || !is_clean(&format!("/{path}")) {
            text.problem(format!("`{}` is not a path within the tool's folder", shown(path)), None);
            return None;
        }
        Some((path.to_owned(), text.string()?.to_owned()))
    });
    files.collect()
}

fn read_env(value: &Value<'_>) -> Vec<(EnvName, String)> {
    let variables = value
        .pairs()
        .into_iter()
        .filter_map(|(name, text)| Some((text.accept(name.parse::<EnvName>())?, text.string()?.to_owned())));
    variables.collect()
}

fn read_expected(table: &mut Table<'_>) -> Option<Expected> {
    let text = |value: Value<'_>| value.string().map(str::to_owned);
    let said = [
        table.get("returns").map(|value| value.json().map(Expected::Returns)),
        table.get("contains").map(|value| text(value).map(Expected::Contains)),
        table.get("fails").map(|value| text(value).map(Expected::Fails)),
        table.get("ends").map(|value| text(value).map(Expected::Ends)),
    ];
    let mut said: Vec<_> = said.into_iter().flatten().collect();
    if said.len() != 1 {
        let hint = "write one of `returns = …`, `contains = \"…\"`, `fails = \"…\"`, `ends = \"…\"`";
        table.problem("how the call is to end must be said once".to_owned(), Some(hint.to_owned()));
        return None;
    }
    said.pop().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() -> Result<(), Box<dyn std::error::Error>> {
        let text = r#"
[[case]]
name = "a file"
call = "count"
arguments = { path = "a.txt", deep = [{ on = true }], part = 0.5 }
files = { "docs/a.txt" = "one\n" }
env = { TZ = "UTC" }
net = ["https://example.org"]
returns = { lines = 1 }
effects = ["read /data/docs/a.txt"]
leaves = { "b.txt" = "" }

[[case]]
name = "null"
call = "count"
arguments = '{"path": null}'
ends = "args_invalid"
"#;
        let cases = parse_cases("tests.toml", text)?;
        let first = Case {
            name: "a file".to_owned(),
            call: "count".parse()?,
            arguments: JsonText::parse(r#"{"path":"a.txt","deep":[{"on":true}],"part":0.5}"#)?,
            files: vec![("docs/a.txt".to_owned(), "one\n".to_owned())],
            env: vec![("TZ".parse()?, "UTC".to_owned())],
            net: vec!["https://example.org".parse()?],
            expected: Expected::Returns(serde_json::json!({"lines": 1})),
            effects: Some(vec!["read /data/docs/a.txt".to_owned()]),
            leaves: vec![("b.txt".to_owned(), String::new())],
            source: RuleSource("tests.toml:2".to_owned()),
        };
        assert_eq!(cases[0], first);
        assert_eq!(cases[1].arguments.as_str(), r#"{"path": null}"#);
        assert_eq!(cases[1].expected, Expected::Ends("args_invalid".to_owned()));
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_case_is_said() {
        let said = |text: &str| {
            parse_cases("tests.toml", text).map_or_else(|problems| problems.to_string(), |_| String::new())
        };
        insta::assert_snapshot!(said(""), @r#"
        tests.toml:1:1: `case` is missing
          hint: write `case = [{ name = "…", call = "…", returns = … }]`
        "#);
        insta::assert_snapshot!(said("[[case]]\nname = \"a\"\ncall = \"Count\"\nfile = {}\n"), @r#"
        tests.toml:1:1: how the call is to end must be said once
          hint: write one of `returns = …`, `contains = "…"`, `fails = "…"`, `ends = "…"`
        tests.toml:3:8: `call`: `Count` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter
        tests.toml:4:1: unknown key `file`
          hint: did you mean `files`?
        "#);
        let wrong = "[[case]]\nname = \"a\"\ncall = \"count\"\nreturns = 1979-05-27\nfiles = { \"../a\" = \"\" }\nfails = \"x\"\n";
        insta::assert_snapshot!(said(wrong), @r#"
        tests.toml:1:1: how the call is to end must be said once
          hint: write one of `returns = …`, `contains = "…"`, `fails = "…"`, `ends = "…"`
        tests.toml:4:11: `returns` must be a value of JSON, not a date
        tests.toml:5:20: `../a` is not a path within the tool's folder
        "#);
    }
}
