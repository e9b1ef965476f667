//! `tool.toml`: any text is read or refused with problems; what is read asks for nothing that a manifest may not ask for.

use agent_core::config::ceiling::{Ceiling, EnvCeiling, FsCeiling, HttpCeiling};
use agent_core::config::manifest::Manifest;
use agent_core::limits::Limits;
use agent_core::tool::DESCRIPTION_BYTES_MAX;

use crate::problems;

/// Reads one text.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Manifest::parse("tool.toml", text) {
        Ok(manifest) => check(&manifest),
        Err(found) => problems::check(&found, text),
    }
}

fn check(manifest: &Manifest) {
    let Manifest { name, version, description, .. } = manifest;
    assert_eq!(name.to_string().parse().as_ref(), Ok(name));
    assert!((1..=64).contains(&version.len()) && version.is_ascii(), "{version:?}");
    assert!(!description.trim().is_empty() && description.len() <= DESCRIPTION_BYTES_MAX, "{description:?}");
    for (limit, amount) in &manifest.limits.0 {
        let standard = Limits::STANDARD.get(*limit);
        assert!(*amount <= standard, "an author may only lower {limit:?}, to {amount} of {standard}");
    }
    check_ceiling(&manifest.ceiling);
}

fn check_ceiling(ceiling: &Ceiling) {
    let FsCeiling::Mounts(mounts) = &ceiling.fs else { panic!("a manifest names its mounts") };
    for (index, one) in mounts.iter().enumerate() {
        assert_eq!(one.mount.to_string().parse().as_ref(), Ok(&one.mount));
        let overlapping = mounts[..index].iter().find(|other| other.mount.overlaps(&one.mount));
        assert_eq!(overlapping, None, "{}", one.mount);
    }
    let HttpCeiling::Requests(requests) = &ceiling.http else { panic!("a manifest names its hosts") };
    for request in requests {
        assert_eq!(request.url.to_string().parse().as_ref(), Ok(&request.url));
        assert!(!request.methods.is_empty() && request.methods.is_sorted(), "{:?}", request.methods);
    }
    assert!(matches!(ceiling.env, EnvCeiling::Names(_)), "a manifest names its variables");
}
