//! The directories that rules could give to tools which are not loaded yet: an upper bound of what `config::resolve` will
//! make of them. The file wall around the host is built from it, before anything of a tool is read but its manifest.

use std::collections::BTreeMap;

use super::authority::{Authority, GrantRule};
use super::ceiling::Ceiling;
use super::host_path::HostPath;
use super::selector::Selector;
use crate::grant::Access;
use crate::name::Name;

/// Each directory with the most that a tool of one of the components could do there. A component comes with its ceiling where
/// a manifest states one.
#[must_use]
pub fn reachable(rules: &[Authority], components: &[(&Name, Option<&Ceiling>)]) -> BTreeMap<HostPath, Access> {
    let grants = rules.iter().flat_map(|authority| &authority.grants);
    let mut reached = BTreeMap::new();
    for rule in grants {
        let most =
            components.iter().filter(|(name, _)| may_cover(rule, name)).filter_map(|(_, ceiling)| most(*ceiling));
        let Some(most) = most.max() else { continue };
        for fs in rule.fs.iter().filter(|fs| !is_denied_to_all(rules, &fs.host)) {
            let access = reached.entry(fs.host.clone()).or_insert(Access::Read);
            *access = (*access).max(fs.access.min(most));
        }
    }
    reached
}

fn may_cover(rule: &GrantRule, component: &Name) -> bool {
    match &rule.selector {
        Selector::Everything => true,
        Selector::Component(name) => name == component,
        Selector::Tool(tool) => tool.component == *component,
    }
}

/// The most that a tool may do anywhere; `None` if it takes no directory at all.
fn most(ceiling: Option<&Ceiling>) -> Option<Access> {
    ceiling.map_or(Some(Access::Write), |ceiling| ceiling.fs.most())
}

fn is_denied_to_all(rules: &[Authority], host: &HostPath) -> bool {
    let denies = rules.iter().flat_map(|authority| &authority.denies);
    let mut to_all = denies.filter(|deny| deny.selector == Selector::Everything);
    to_all.any(|deny| deny.forbids_tool() || deny.fs.iter().any(|path| path.contains(host)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ceiling::{FsCeiling, FsRequest};
    use crate::config::mount::Mount;
    use crate::config::policy::parse_policy;

    fn ceiling(access: Option<Access>) -> Ceiling {
        let requests = access.map(|access| FsRequest { mount: Mount::standard(), access });
        Ceiling { fs: FsCeiling::Mounts(requests.into_iter().collect()), ..Ceiling::nothing() }
    }

    fn reached(policy: &str, components: &[(&str, Option<Ceiling>)]) -> Result<Vec<String>, String> {
        let rules = parse_policy("policy.toml", "/w", policy).map_err(|error| error.to_string())?;
        let names = components.iter().map(|(name, _)| name.parse()).collect::<Result<Vec<Name>, _>>();
        let names = names.map_err(|error| error.to_string())?;
        let components: Vec<_> = names.iter().zip(components.iter().map(|(_, ceiling)| ceiling.as_ref())).collect();
        Ok(reachable(&[rules], &components).iter().map(|(path, access)| format!("{access} {path}")).collect())
    }

    /// A policy, components with their ceilings, and what is reached.
    type Case<'c> = (String, &'c [(&'c str, Option<Ceiling>)], &'c [&'c str]);

    #[test]
    fn it_covers_what_any_of_the_tools_could_be_given_and_no_more() {
        let grant = |tool: &str, fs: &str| format!("[[grant]]\ntool = \"{tool}\"\nfs = [{fs}]\n");
        let docs = r#"{ host = "docs", access = "write" }"#;
        let all = grant("*", docs);
        let reader = || [("files", Some(ceiling(Some(Access::Read))))];
        let cases: [Case<'_>; 9] = [
            (all.clone(), &[("bare", None)], &["write /w/docs"]),
            (all.clone(), &reader(), &["read /w/docs"]),
            (all.clone(), &[("calc", Some(ceiling(None)))], &[]),
            (all.clone(), &[], &[]),
            (grant("files", docs), &[("other", None)], &[]),
            (grant("files.read", docs), &[("files", None)], &["write /w/docs"]),
            (
                format!("{all}{}", grant("*", r#"{ host = "in", access = "read" }"#)),
                &[("a", None)],
                &["write /w/docs", "read /w/in"],
            ),
            (format!("{all}[[deny]]\nfs = [\".\"]\n"), &[("a", None)], &[]),
            (format!("{all}[[deny]]\ntool = \"b\"\nfs = [\"docs\"]\n"), &[("a", None)], &["write /w/docs"]),
        ];
        for (policy, components, expected) in cases {
            assert_eq!(reached(&policy, components).map(|all| all.join(" ")), Ok(expected.join(" ")), "{policy}");
        }
    }
}
