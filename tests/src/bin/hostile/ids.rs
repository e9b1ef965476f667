//! Every case that there must be, and where each is: in a folder, not applicable on this machine, or still owed. One that is
//! nowhere fails the suite, so that none is skipped in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::case::Case;

/// The families, each with its numbers. Of what a model may say (P), what concerns approvals is here.
const FAMILIES: [(char, RangeInclusive<u32>); 11] = [
    ('C', 1..=19),
    ('M', 1..=18),
    ('F', 1..=26),
    ('N', 1..=28),
    ('E', 1..=11),
    ('O', 1..=14),
    ('K', 1..=17),
    ('A', 1..=10),
    ('S', 1..=14),
    ('V', 1..=12),
    ('P', 11..=11),
];

/// The cases of the suite, sorted by where they are.
pub(crate) struct Suite {
    pub(crate) cases: Vec<Case>,
    /// Cases that this machine cannot have, each with what its probe said.
    pub(crate) inapplicable: Vec<(String, String)>,
    /// Cases that are known to be missing, or to lack something, each with the reason.
    pub(crate) owed: Vec<(String, String)>,
    /// What is wrong with the suite itself.
    pub(crate) problems: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InapplicableFile {
    #[serde(default, rename = "case")]
    cases: Vec<Inapplicable>,
}

/// A case that some machines cannot have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inapplicable {
    id: String,
    why: String,
    /// A shell command that succeeds where the case applies.
    applies: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwedFile {
    /// Cases that have no folder yet.
    #[serde(default)]
    missing: BTreeMap<String, String>,
    /// Cases that have one, and parts that come later.
    #[serde(default)]
    partly: BTreeMap<String, String>,
}

impl Suite {
    /// Reads all of it.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let (inapplicable, not_here) = inapplicable(&folder.join("inapplicable.toml"))?;
        let owed: OwedFile = read(&folder.join("owed.toml"))?;
        let mut suite = Self { cases: Vec::new(), inapplicable, owed: Vec::new(), problems: Vec::new() };
        for path in folders(folder)? {
            match Case::read(&path) {
                Ok(case) if suite.inapplicable.iter().any(|(id, _)| *id == case.id) => {}
                Ok(case) => suite.cases.push(case),
                Err(problem) => suite.problems.push(problem),
            }
        }
        suite.cases.sort_by_key(|case| sort_key(&case.id));
        suite.account_for(&not_here, &owed);
        suite.owed = owed.missing.into_iter().chain(owed.partly).collect();
        suite.owed.sort_by_key(|(id, _)| sort_key(id));
        Ok(suite)
    }

    fn account_for(&mut self, not_here: &BTreeSet<String>, owed: &OwedFile) {
        let known: BTreeSet<String> = all().collect();
        let present: BTreeSet<&str> = self.cases.iter().map(|case| base(&case.id)).collect();
        for id in &known {
            let (here, missing) = (present.contains(id.as_str()), owed.missing.contains_key(id));
            if here && missing {
                self.problems.push(format!("{id} has a folder: strike it from `owed.toml`"));
            } else if !here && !missing && !not_here.contains(id) {
                self.problems.push(format!("{id} is nowhere: it needs a folder, or a line in `owed.toml`"));
            }
        }
        let named = self.cases.iter().map(|case| base(&case.id)).chain(owed.missing.keys().map(String::as_str));
        let named = named.chain(owed.partly.keys().map(|id| base(id)));
        let unknown: BTreeSet<&str> = named.filter(|id| !known.contains(*id)).collect();
        self.problems.extend(unknown.into_iter().map(|id| format!("there is no case {id}")));
    }
}

fn all() -> impl Iterator<Item = String> {
    FAMILIES.into_iter().flat_map(|(family, numbers)| numbers.map(move |number| format!("{family}{number}")))
}

/// `F7` of `F7b`: a case may have several folders.
fn base(id: &str) -> &str {
    id.trim_end_matches(|c: char| c.is_ascii_lowercase())
}

/// Families in the order above, numbers as numbers.
pub(crate) fn sort_key(id: &str) -> (usize, u32, String) {
    let family = id.chars().next().and_then(|first| FAMILIES.iter().position(|(family, _)| *family == first));
    let number = base(id).get(1..).and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
    (family.unwrap_or(usize::MAX), number, id.to_owned())
}

/// The cases that do not apply here with what their probes said, and their identifiers.
type Inapplicables = (Vec<(String, String)>, BTreeSet<String>);

/// Asks the probes.
fn inapplicable(file: &Path) -> Result<Inapplicables, String> {
    let form: InapplicableFile = read(file)?;
    let (mut not_here, mut ids) = (Vec::new(), BTreeSet::new());
    for case in form.cases {
        let probe = Command::new("sh").args(["-c", &case.applies]).output();
        let probe = probe.map_err(|error| format!("{}: its probe does not start: {error}", case.id))?;
        if !probe.status.success() {
            let said = String::from_utf8_lossy(&[probe.stdout, probe.stderr].concat()).trim().replace('\n', " ⏎ ");
            not_here.push((case.id.clone(), format!("{} (`{}`: {said})", case.why, case.applies)));
            ids.insert(case.id);
        }
    }
    Ok((not_here, ids))
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T, String> {
    let told = |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| told(&error))?;
    toml::from_str(&text).map_err(|error| told(&error))
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = folder.read_dir().map_err(|error| format!("cannot list `{}`: {error}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_read_and_is_somewhere() -> Result<(), String> {
        let suite = Suite::read(&agent_tests::repository().join("tests/hostile"))?;
        assert_eq!(suite.problems, Vec::<String>::new());
        Ok(())
    }

    /// A defence that never failed to be there was never tested: each that a test build can switch off is off in a run that must then
    /// fail. The names are read where they are defined: a build without the switches has none.
    #[test]
    fn every_defence_that_can_be_missing_is_missed_somewhere() -> Result<(), String> {
        const DEFINED: &str = "host/agent-sandbox/src/defence.rs";
        /// What is no defence against a call or a component has Rust tests, which switch it off by name.
        const CODED: [(&str, &str); 3] = [
            ("cache_rejected", "tests/tests/hostile_load.rs"),
            ("landlock", "tests/tests/hardening.rs"),
            ("seccomp", "tests/tests/hardening.rs"),
        ];
        let read = |file: &str| {
            std::fs::read_to_string(agent_tests::repository().join(file)).map_err(|error| format!("{file}: {error}"))
        };
        let defined = read(DEFINED)?;
        let names: Vec<&str> =
            defined.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\";")).collect();
        assert!(names.len() > 30, "the defences of `{DEFINED}`: {names:?}");
        // Those too that this machine cannot have.
        let cases = folders(&agent_tests::repository().join("tests/hostile"))?;
        let cases: Vec<Case> = cases.iter().map(|folder| Case::read(folder)).collect::<Result<_, _>>()?;
        let without = cases.iter().flat_map(|case| &case.form.without);
        let missed: BTreeSet<&str> = without.flat_map(|without| &without.defence).map(String::as_str).collect();
        for name in names.iter().filter(|name| !missed.contains(*name)) {
            let coded = CODED.iter().find(|(coded, _)| coded == name);
            let file = coded.map(|(_, file)| *file).ok_or(format!("no `[[without]]` switches `{name}` off"))?;
            assert!(read(file)?.contains(&format!("\"{name}\")")), "`{file}` does not switch `{name}` off");
        }
        let unknown: Vec<_> = missed.iter().filter(|name| !names.contains(name)).collect();
        assert!(unknown.is_empty(), "there are no defences {unknown:?}");
        Ok(())
    }

    #[test]
    fn what_a_machine_cannot_have_is_told_with_what_its_probe_said() -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("inapplicable.toml");
        let case =
            |id: &str, applies: &str| format!("[[case]]\nid = \"{id}\"\nwhy = \"no luck\"\napplies = \"{applies}\"\n");
        let text = format!("{}{}", case("F17", "echo no device >&2; false"), case("F16", "true"));
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        let (told, ids) = inapplicable(&file)?;
        assert_eq!(told, [("F17".to_owned(), "no luck (`echo no device >&2; false`: no device)".to_owned())]);
        assert_eq!(ids, BTreeSet::from(["F17".to_owned()]));
        Ok(())
    }

    #[test]
    fn ids_sort_as_people_count() {
        let mut ids = ["F7b", "M2", "F10", "C1", "F7"];
        ids.sort_by_key(|id| sort_key(id));
        assert_eq!(ids, ["C1", "M2", "F7", "F7b", "F10"]);
        assert_eq!((all().count(), base("F7b"), base("F10")), (170, "F7", "F10"));
    }
}
