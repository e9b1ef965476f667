//! The documentation of a tool's exported functions, from the WIT files beside its manifest. Toolchains drop these comments, so
//! `agent-host tool build` puts them into the component, where a model will read them.

use std::path::Path;

use agent_sandbox::describe::docs_section::Docs;
use anyhow::anyhow;
use wit_parser::{Function, PackageId, Resolve, WorldItem, WorldKey};

/// The folder with WIT files beside a manifest.
pub const FOLDER: &str = "wit";

/// The comments of every function that a world in `folder` exports. Without the folder there is nothing to say.
///
/// # Errors
/// Where the WIT is not valid.
pub fn read(folder: &Path) -> anyhow::Result<Docs> {
    if !folder.is_dir() {
        return Ok(Docs::default());
    }
    let mut resolve = Resolve::default();
    let pushed =
        resolve.push_dir(folder).map_err(|error| anyhow!("the WIT in `{}` is not valid: {error}", folder.display()));
    let (package, _) = pushed?;
    Ok(Docs { functions: documented(&resolve, package).collect() })
}

fn documented(resolve: &Resolve, package: PackageId) -> impl Iterator<Item = (String, String)> {
    let worlds = resolve.packages[package].worlds.values();
    worlds.flat_map(|world| &resolve.worlds[*world].exports).flat_map(|(key, item)| item_docs(resolve, key, item))
}

fn item_docs(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> Vec<(String, String)> {
    match item {
        WorldItem::Function(function) => function_docs("", function).into_iter().collect(),
        WorldItem::Interface { id, .. } => {
            let prefix = format!("{}#", resolve.name_world_key(key));
            resolve.interfaces[*id].functions.values().filter_map(|function| function_docs(&prefix, function)).collect()
        }
        WorldItem::Type { .. } => Vec::new(),
    }
}

fn function_docs(prefix: &str, function: &Function) -> Option<(String, String)> {
    let docs = function.docs.contents.as_deref()?.trim();
    (!docs.is_empty()).then(|| (format!("{prefix}{}", function.name), docs.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_under_the_names_that_a_component_exports() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let wit = "package local:calc@0.1.0;\n\
                   interface more {\n  /// Rounds a number.\n  round: func(x: f64) -> f64;\n  silent: func();\n}\n\
                   world calc {\n  export more;\n  /// Calculates exactly.\n  export evaluate: func(expression: string) -> string;\n}\n";
        std::fs::write(folder.path().join("calc.wit"), wit)?;
        let docs: Vec<_> = read(folder.path())?.functions.into_iter().collect();
        let expected = [("evaluate", "Calculates exactly."), ("local:calc/more@0.1.0#round", "Rounds a number.")];
        assert_eq!(docs, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(read(&folder.path().join("none"))?, Docs::default());
        Ok(())
    }
}
