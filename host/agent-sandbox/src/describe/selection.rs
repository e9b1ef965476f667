//! What the rules of a manifest make of the operations that were found: some are left out, some have other names and other
//! words. Names are given to all of them first, so that leaving one out changes no other's.

use std::collections::BTreeMap;

use agent_core::config::exports::ExportRules;
use agent_core::name::Name;

use crate::describe::{Description, Unusable};

/// The chosen operations, and the name that the component itself has for each that is called otherwise.
pub(crate) struct Selected {
    pub(crate) descriptions: Vec<Description>,
    pub(crate) own_names: BTreeMap<Name, Name>,
}

/// Applies `rules`.
///
/// # Errors
/// Where they name no export, or give two of them one name.
pub(crate) fn select(found: Vec<Description>, rules: &ExportRules) -> Result<Selected, Unusable> {
    let exports: Vec<String> = found.iter().map(|description| description.export.clone()).collect();
    if let Some(mistake) = rules.mistake(&exports) {
        return Err(Unusable(mistake));
    }
    let mut selected = Selected { descriptions: Vec::new(), own_names: BTreeMap::new() };
    for mut description in found.into_iter().filter(|description| rules.offers(&description.export)) {
        let own = description.operation.clone();
        if let Some(named) = rules.of(&description.export) {
            description.operation = named.name.clone().unwrap_or(description.operation);
            description.description = named.description.clone().unwrap_or(description.description);
        }
        let name = description.operation.clone();
        if let Some(other) = selected.own_names.insert(name.clone(), own) {
            return Err(Unusable(format!("`[exports]` calls both `{other}` and `{}` `{name}`", description.export)));
        }
        selected.descriptions.push(description);
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use agent_core::config::manifest::Manifest;

    use super::*;

    fn selected(exports: &str) -> Result<Vec<String>, String> {
        let head = "tool = { name = \"calc\", version = \"1\", description = \"Calculate.\" }\n";
        let manifest = Manifest::parse("tool.toml", &format!("{head}{exports}")).map_err(|error| error.to_string())?;
        let found = ["add", "a:b/c@1.0.0#round"].map(|export| {
            let operation = export.rsplit('#').next().unwrap_or_default();
            let operation = operation.parse().unwrap_or_else(|error| panic!("{error}"));
            let (description, input_schema) = (format!("{export}."), serde_json::json!({}));
            Description { export: export.to_owned(), operation, description, input_schema, output_schema: None }
        });
        let selected = select(found.into(), &manifest.exports).map_err(|error| error.to_string())?;
        let shown = |one: &Description| {
            let own = &selected.own_names[&one.operation];
            format!("{} ({own}): {}", one.operation, one.description)
        };
        Ok(selected.descriptions.iter().map(shown).collect())
    }

    #[test]
    fn rules_choose_rename_and_describe() {
        let rules = "[exports]\nonly = [\"round\"]\n[[exports.tool]]\nfunction = \"a:b/c#round\"\nname = \"whole\"\ndescription = \"Rounds.\"";
        assert_eq!(selected(rules), Ok(vec!["whole (round): Rounds.".to_owned()]));
        assert_eq!(selected("").map(|all| all.len()), Ok(2));
        let twice = "[[exports.tool]]\nfunction = \"round\"\nname = \"add\"";
        assert_eq!(selected(twice), Err("`[exports]` calls both `add` and `a:b/c@1.0.0#round` `add`".to_owned()));
        assert!(selected("[exports]\nhide = [\"sub\"]").is_err_and(|said| said.contains("there is no such export")));
    }
}
