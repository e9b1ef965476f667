//! `[exports]` of a manifest: which functions of a component are tools, what they are called and what is said of them. The author
//! chooses among what there is; what is not chosen cannot be called. Applied when a component is loaded.

use super::manifest::read_description;
use super::reader::{Table, Value};
use crate::name::Name;

/// Longest name of an export: what a component may have.
const EXPORT_BYTES_MAX: usize = 512;

/// What an author says of a component's exports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportRules {
    /// Which are tools.
    pub chosen: Chosen,
    /// What is said of single ones.
    pub named: Vec<NamedExport>,
}

/// Which exports are tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Chosen {
    /// All of them.
    #[default]
    All,
    /// Only these.
    Only(Vec<ExportName>),
    /// All but these.
    Without(Vec<ExportName>),
}

/// One export with words of the manifest's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedExport {
    /// The export.
    pub function: ExportName,
    /// What its tool is called instead.
    pub name: Option<Name>,
    /// What is said of it instead.
    pub description: Option<String>,
}

/// How a manifest names an export: `function`, or `interface#function`, the interface with its version or without; `#function` is
/// one that stands in no interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportName(String);

/// Why a text names no export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of an export: write `function` or `package:name/interface#function`")]
pub struct InvalidExport(String);

impl std::str::FromStr for ExportName {
    type Err = InvalidExport;

    fn from_str(text: &str) -> Result<Self, InvalidExport> {
        let good =
            (1..=EXPORT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'`');
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidExport(super::problem::shown(text))) }
    }
}

impl std::fmt::Display for ExportName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ExportName {
    /// The name of the export that is called this in full, and of no other: a function without an interface is not one of the
    /// same name in any interface.
    fn exactly(export: &str) -> Self {
        Self(if export.contains('#') { export.to_owned() } else { format!("#{export}") })
    }

    /// Whether it names the export of this full name, such as `local:calc/tools@0.1.0#round`.
    #[must_use]
    pub fn covers(&self, export: &str) -> bool {
        let (interface, function) = export.split_once('#').unwrap_or(("", export));
        match self.0.split_once('#') {
            None => self.0 == function,
            Some((own, own_function)) => {
                let unversioned = interface.split('@').next().unwrap_or_default();
                own_function == function && (own == interface || own == unversioned)
            }
        }
    }
}

impl ExportRules {
    /// The rules by which exactly these exports are tools, under these names: what was once found by other rules.
    #[must_use]
    pub fn exactly<'t>(tools: impl Iterator<Item = (&'t str, &'t Name)>) -> Self {
        let named = tools.map(|(export, name)| NamedExport {
            function: ExportName::exactly(export),
            name: Some(name.clone()),
            description: None,
        });
        let named: Vec<_> = named.collect();
        Self { chosen: Chosen::Only(named.iter().map(|export| export.function.clone()).collect()), named }
    }

    /// Whether they say anything at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this export is a tool.
    #[must_use]
    pub fn offers(&self, export: &str) -> bool {
        let covered = |names: &[ExportName]| names.iter().any(|name| name.covers(export));
        match &self.chosen {
            Chosen::All => true,
            Chosen::Only(names) => covered(names),
            Chosen::Without(names) => !covered(names),
        }
    }

    /// What is said of this export.
    #[must_use]
    pub fn of(&self, export: &str) -> Option<&NamedExport> {
        self.named.iter().find(|named| named.function.covers(export))
    }

    /// A name among them that covers none of `exports`, or gives several of them one name: a mistake.
    #[must_use]
    pub fn mistake(&self, exports: &[String]) -> Option<String> {
        let chosen = match &self.chosen {
            Chosen::All => [].as_slice(),
            Chosen::Only(names) | Chosen::Without(names) => names,
        };
        let count = |name: &ExportName| exports.iter().filter(|export| name.covers(export)).count();
        let named = self.named.iter().map(|named| &named.function);
        if let Some(name) = chosen.iter().chain(named).find(|name| count(name) == 0) {
            let known: Vec<_> = exports.iter().map(|export| format!("`{export}`")).collect();
            return Some(format!(
                "`[exports]` names `{name}`, and there is no such export; there are {}",
                known.join(", ")
            ));
        }
        let ambiguous = self.named.iter().find(|named| count(&named.function) > 1)?;
        let name = &ambiguous.function;
        Some(format!(
            "`[exports]` names `{name}`, which several exports are called: write its interface and `#` in front, or `#` alone \
             for the one without"
        ))
    }
}

pub(super) fn read_exports(table: &mut Table<'_>) -> ExportRules {
    let only = table.get("only").map(|value| names(&value));
    let hide = table.get("hide");
    let chosen = match (only, &hide) {
        (Some(_), Some(hide)) => {
            hide.problem("`only` says already what is a tool".to_owned(), Some("leave out `hide`".to_owned()));
            Chosen::All
        }
        (Some(only), None) => Chosen::Only(only),
        (None, Some(hide)) => Chosen::Without(names(hide)),
        (None, None) => Chosen::All,
    };
    let named = table.tables("tool", read_named);
    ExportRules { chosen, named }
}

fn names(value: &Value<'_>) -> Vec<ExportName> {
    value.each(|element| element.parse())
}

fn read_named(table: &mut Table<'_>) -> Option<NamedExport> {
    let function = table.require("function", "\"round\"").and_then(|value| value.parse());
    let name = table.get("name").map(|value| value.parse());
    let description = table.get("description").map(|value| read_description(&value));
    if name.is_none() && description.is_none() {
        table.problem("it says nothing of this export".to_owned(), Some("write `name` or `description`".to_owned()));
    }
    // What is there must be good.
    let (name, description) = (name.map_or(Some(None), |name| name.map(Some))?, description);
    let description = description.map_or(Some(None), |description| description.map(Some))?;
    Some(NamedExport { function: function?, name, description })
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Manifest;
    use super::*;

    fn rules(text: &str) -> Result<ExportRules, String> {
        let head = "tool = { name = \"calc\", version = \"1\", description = \"Calculate.\" }\n";
        let manifest = Manifest::parse("tool.toml", &format!("{head}{text}"));
        manifest.map(|manifest| manifest.exports).map_err(|problems| problems.to_string())
    }

    #[test]
    fn exports_are_chosen_hidden_renamed_and_described() -> Result<(), String> {
        let (round, add) = ("local:calc/tools@0.1.0#round", "add");
        let only = rules("[exports]\nonly = [\"local:calc/tools#round\"]")?;
        assert_eq!((only.offers(round), only.offers(add)), (true, false));
        let hidden = rules("[exports]\nhide = [\"round\"]\n[[exports.tool]]\nfunction = \"add\"\nname = \"plus\"")?;
        assert_eq!((hidden.offers(round), hidden.offers(add)), (false, true));
        assert_eq!(
            hidden.of(add).and_then(|named| named.name.clone()).map(|name| name.to_string()),
            Some("plus".into())
        );
        assert_eq!(hidden.mistake(&[round.to_owned(), add.to_owned()]), None);
        let none = "`[exports]` names `round`, and there is no such export; there are `add`";
        assert_eq!(hidden.mistake(&[add.to_owned()]).as_deref(), Some(none));
        assert!(rules("")?.is_empty());
        Ok(())
    }

    /// A run that goes on has no manifest any more: only what it was locked to.
    #[test]
    fn what_was_found_once_is_exactly_that_again() -> Result<(), Box<dyn std::error::Error>> {
        let exports = ["add", "a:b/c@1.0.0#add", "a:b/d#add", "sub"].map(str::to_owned);
        let (plus, more) = ("plus".parse::<Name>()?, "more".parse::<Name>()?);
        let rules = ExportRules::exactly([("add", &plus), ("a:b/c@1.0.0#add", &more)].into_iter());
        assert_eq!(rules.mistake(&exports), None);
        let offered: Vec<_> = exports.iter().filter(|export| rules.offers(export)).collect();
        assert_eq!(offered, [&exports[0], &exports[1]]);
        let named = |export: &str| rules.of(export).and_then(|named| named.name.clone());
        assert_eq!((named("add"), named("a:b/c@1.0.0#add"), named("a:b/d#add")), (Some(plus), Some(more), None));
        Ok(())
    }

    #[test]
    fn what_would_do_nothing_is_a_problem() {
        let said = |text: &str| rules(text).err().unwrap_or_default();
        assert!(said("[exports]\nonly = [\"a\"]\nhide = [\"b\"]").contains("`only` says already"));
        assert!(said("[[exports.tool]]\nfunction = \"a\"").contains("says nothing of this export"));
        assert!(said("[[exports.tool]]\nfunction = \"a\"\nname = \"Not A Name\"").contains("is not a name"));
        assert!(said("[exports]\nonly = [\"two words\"]").contains("is not the name of an export"));
    }
}
