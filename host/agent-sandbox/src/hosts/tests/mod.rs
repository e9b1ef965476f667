//! The host functions as a guest calls them, with a gate that writes down what it is asked.

mod at_once;
mod bodies;
mod charges;
mod files;
mod handles;
mod keeper;
mod others;
mod records;
mod replays;
mod requests;
mod slashes;
mod steps;
mod stores_again;
mod support;
mod unchanging;
mod undoing;
mod waits;

use agent_core::grant::Capability;

use super::known_capability;

#[test]
fn imports_are_known_with_and_without_a_version() {
    assert_eq!(known_capability("wasi:filesystem/types@0.2.3"), Some(Capability::Fs));
    assert_eq!(known_capability("wasi:io/streams"), Some(Capability::Log));
    assert_eq!(known_capability("wasi:keyvalue/store@0.2.0-draft"), Some(Capability::Kv));
    for nobodys in [
        "wasi:keyvalue/store@0.2.0",
        "wasi:keyvalue/store@0.2.0-draft2",
        "wasi:http/incoming-handler@0.2.3",
        "nonsense",
    ] {
        assert_eq!(known_capability(nobodys), None, "{nobodys}");
    }
}
