//! The directories, and the entries of the keyring, that rules could give to tools which are not loaded yet: an upper bound of
//! what `config::resolve` will make of them. The file wall around the host is built from it, and the keyring asked, before
//! anything of a tool is read but its manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::authority::{Authority, GrantRule};
use super::ceiling::Ceiling;
use super::host_path::HostPath;
use super::selector::Selector;
use crate::grant::Access;
use crate::keyring::KeyringEntry;
use crate::name::Name;
use crate::secret::{SecretName, SecretSource};

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

/// The entries of the keyring that secrets of the components could come from. Without those that a later rule puts another source
/// in the place of: nobody is asked to unlock a keyring for what is not used.
#[must_use]
pub fn keyring_entries(rules: &[Authority], components: &[(&Name, Option<&Ceiling>)]) -> BTreeSet<KeyringEntry> {
    let mut entries = BTreeSet::new();
    for (component, ceiling) in components {
        let declared = ceiling.iter().flat_map(|ceiling| &ceiling.secrets).map(|request| &request.name);
        for secret in declared.filter(|secret| !is_secret_denied(rules, component, secret)) {
            entries.extend(sources(rules, component, secret).into_iter().filter_map(entry).cloned());
        }
    }
    entries
}

fn entry(source: &SecretSource) -> Option<&KeyringEntry> {
    match source {
        SecretSource::Keyring(entry) => Some(entry),
        SecretSource::Env(_) | SecretSource::File(_) => None,
    }
}

/// The sources that one of the component's tools could be told to take. As in `config::resolve_secrets`, the last word counts; a word
/// for one tool, or for a component of this name that may be another one, leaves those before it to the others.
fn sources<'r>(rules: &'r [Authority], component: &Name, secret: &SecretName) -> Vec<&'r SecretSource> {
    let mut possible = Vec::new();
    for authority in rules {
        let mut covering: Vec<_> = authority.grants.iter().filter(|rule| may_cover(rule, component)).collect();
        covering.sort_by(|a, b| a.selector.cmp(&b.selector));
        for rule in covering {
            let said = rule.secrets.iter().filter(|said| said.name == *secret).filter_map(|said| said.from.as_ref());
            for from in said {
                if is_for_all_tools(rule) {
                    possible.clear();
                }
                possible.push(from);
            }
        }
    }
    possible
}

/// Whether a rule that covers one tool of a component covers all of them, whichever component it is.
fn is_for_all_tools(rule: &GrantRule) -> bool {
    match rule.selector {
        Selector::Everything | Selector::Component(_) => rule.component.is_none(),
        Selector::Tool(_) => false,
    }
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

fn is_secret_denied(rules: &[Authority], component: &Name, secret: &SecretName) -> bool {
    let denies = rules.iter().flat_map(|authority| &authority.denies);
    let mut of_all_its_tools = denies.filter(|deny| match &deny.selector {
        Selector::Everything => true,
        Selector::Component(name) => name == component,
        Selector::Tool(_) => false,
    });
    of_all_its_tools.any(|deny| deny.forbids_tool() || deny.secrets.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ceiling::{FsCeiling, FsRequest};
    use crate::config::manifest::Manifest;
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

    /// The entries for a component `orders` that declares the secret `TOKEN`, beside one without manifest.
    fn asked(policies: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
        const MANIFEST: &str = "[tool]\nname = \"orders\"\nversion = \"1\"\ndescription = \"Orders.\"\n\
                                [[capabilities.http]]\nurl = \"https://api.example.com\"\nmethods = [\"GET\"]\n\
                                [[capabilities.secrets]]\nname = \"TOKEN\"\nurl = \"https://api.example.com\"\n";
        let manifest = Manifest::parse("tool.toml", MANIFEST)?;
        let rules: Result<Vec<_>, _> =
            policies.iter().map(|policy| parse_policy("policy.toml", "/w", policy)).collect();
        let (orders, bare) = ("orders".parse()?, "bare".parse()?);
        let entries = keyring_entries(&rules?, &[(&orders, Some(&manifest.ceiling)), (&bare, None)]);
        Ok(entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_keyring_is_asked_for_what_a_tool_could_use_and_no_more() -> Result<(), Box<dyn std::error::Error>> {
        let grant = |tool: &str, name: &str, from: &str| {
            format!("[[grant]]\ntool = \"{tool}\"\nsecrets = [{{ name = \"{name}\", from = \"{from}\" }}]\n")
        };
        let (all, env) = (grant("*", "TOKEN", "keyring:shop/all"), grant("*", "TOKEN", "env:TOKEN"));
        let pinned = format!("{}component = \"sha256:{}\"\n", grant("orders", "TOKEN", "env:TOKEN"), "0".repeat(64));
        for (policies, expected) in [
            (vec![all.clone()], "shop/all"),
            (vec![grant("bare", "TOKEN", "keyring:shop/all")], ""),
            (vec![grant("*", "OTHER", "keyring:shop/all")], ""),
            (vec![all.clone(), env.clone()], ""),
            (vec![env, all.clone()], "shop/all"),
            (vec![grant("orders", "TOKEN", "keyring:shop/own") + &all], "shop/own"),
            (vec![grant("orders.get", "TOKEN", "keyring:shop/get") + &all], "shop/all shop/get"),
            (vec![all.clone(), grant("orders.get", "TOKEN", "env:TOKEN")], "shop/all"),
            (vec![all.clone(), pinned], "shop/all"),
            (vec![all.clone() + "[[deny]]\nsecrets = [\"TOKEN\"]\n"], ""),
            (vec![all.clone() + "[[deny]]\ntool = \"orders\"\n"], ""),
            (vec![all + "[[deny]]\ntool = \"orders.get\"\n"], "shop/all"),
        ] {
            let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
            assert_eq!(asked(&policies)?, expected, "{policies:?}");
        }
        Ok(())
    }
}
