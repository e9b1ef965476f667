//! Whatever an author asks for and an operator grants: what is allowed is both.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::super::ceiling::Ceiling;
use super::super::decide::Verdict;
use super::super::manifest::Manifest;
use super::super::policy::parse_policy;
use super::super::resolve::resolve;
use super::{EVERY, env, file, http, kv, socket};
use crate::digest::Digest;
use crate::effect::{EffectRequest, FileOperation, KvOperation};

const ASKED: [&str; 7] = [
    "capabilities.fs = [{ mount = \"/data\", access = \"read\" }]",
    "capabilities.fs = [{ mount = \"/data\", access = \"write\" }, { mount = \"/in\", access = \"read\" }]",
    "capabilities.http = [{ url = \"https://*.example.org/a\", methods = [\"GET\", \"POST\"] }]",
    "capabilities.http = [{ url = \"http://*:*\", methods = [\"GET\"] }, { url = \"https://*:*\", methods = [\"PUT\"] }]",
    "capabilities.http = [{ url = \"https://*\", methods = [\"GET\"] }]\ncapabilities.env = [{ name = \"TZ\" }]",
    "capabilities.kv = [{ access = \"read\" }]",
    "",
];

const ALLOWED: [&str; 10] = [
    "{ tool = \"*\", fs = [{ host = \"docs\", access = \"write\" }] }",
    "{ tool = \"*\", fs = [{ host = \"in\", mount = \"/in\", access = \"write\" }] }",
    "{ tool = \"*\", http = [{ url = \"https://api.example.org\", methods = [\"GET\", \"POST\", \"PUT\"] }] }",
    "{ tool = \"*\", http = [{ url = \"https://*.example.org/a/b\", methods = [\"POST\"] }] }",
    "{ tool = \"*\", http = [{ url = \"http://example.org\", methods = [\"GET\"] }] }",
    "{ tool = \"*\", http = [{ url = \"http://127.0.0.1:8099\", methods = [\"GET\"] }] }",
    "{ tool = \"*\", http = [{ url = \"https://api.example.org:*\", methods = [\"GET\", \"PUT\"] }] }",
    "{ tool = \"*\", env = [\"TZ\", \"HOME\"] }",
    "{ tool = \"*\", kv = \"write\" }",
    "{ tool = \"other\", env = [\"HOME\"] }",
];

fn requests() -> Vec<EffectRequest> {
    let paths = ["/data", "/data/a", "/in/a", "/etc/passwd", ""];
    let files = paths
        .iter()
        .flat_map(|path| [FileOperation::Read, FileOperation::Write].map(|operation| file(operation, path, None)));
    let urls = [
        "https://api.example.org/",
        "https://api.example.org/a/b",
        "https://api.example.org:8443/a",
        "https://b.example.org/a",
        "http://example.org/",
        "http://127.0.0.1:8099/",
        "http://127.0.0.1/",
    ];
    let https = urls.iter().flat_map(|url| ["GET", "POST", "PUT"].map(|method| http(method, url)));
    let stores = [kv(KvOperation::Read, "default"), kv(KvOperation::Write, "default"), kv(KvOperation::Read, "other")];
    files.chain(https).chain([env("TZ"), env("HOME"), socket()]).chain(stores).collect()
}

proptest! {
    /// What is allowed is what the author asked for and the operator granted: no more and no less.
    #[test]
    fn nothing_is_allowed_beyond_ceiling_and_rules(
        asked in prop::sample::select(ASKED.to_vec()), allowed in subsequence(ALLOWED.to_vec(), 0..=ALLOWED.len()),
    ) {
        let tool = "tool = { name = \"fetch\", version = \"1\", description = \"Fetch.\" }";
        let manifest = Manifest::parse("tool.toml", &format!("{tool}\n{asked}"));
        let policy = parse_policy("policy.toml", "/home/ada", &format!("grant = [{}]", allowed.join(", ")));
        let (Ok(manifest), Ok(policy), Ok(tool)) = (manifest, policy, "fetch.get".parse()) else {
            return Err(TestCaseError::fail("the texts are well-formed"));
        };
        let decided = |ceiling: &Ceiling| resolve(&tool, &Digest::of(b"component"), ceiling, &manifest.limits, &[&policy]);
        let unbounded = Ceiling::of_imports(&EVERY);
        let (Ok(narrow), Ok(wide)) = (decided(&manifest.ceiling), decided(&unbounded)) else {
            return Err(TestCaseError::fail("rules for every tool never exceed a ceiling"));
        };
        for request in requests() {
            let allowed = matches!(narrow.decide(&request), Verdict::Allow(_));
            let within = manifest.ceiling.may_hold(&request) && matches!(wide.decide(&request), Verdict::Allow(_));
            prop_assert_eq!(allowed, within, "{}", request);
        }
    }
}
