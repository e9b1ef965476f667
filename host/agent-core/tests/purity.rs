//! The core stays pure: its dependency tree holds nothing that waits, reads, prints, asks the time or rolls dice.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

/// Crates that would let the core act, by name. A crate that merely starts with such a name counts too.
const FORBIDDEN: [&str; 16] = [
    "async-std",
    "cap-std",
    "chrono",
    "futures",
    "getrandom",
    "hyper",
    "jiff",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "time",
    "tokio",
    "tracing",
    "wasmtime",
];

#[test]
fn nothing_in_the_tree_can_act() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--package",
            "agent-core",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{lib}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    assert!(tree.lines().any(|line| line == "agent_core"), "the tree was not read: {tree}");
    let acting: Vec<_> =
        tree.lines().filter(|line| FORBIDDEN.iter().any(|name| *line == name.replace('-', "_"))).collect();
    assert_eq!(acting, Vec::<&str>::new());
}

#[test]
fn the_sources_name_no_way_to_act() {
    let acting = [
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "std::time::Instant",
        "SystemTime",
        "std::thread",
        "std::env",
        "async fn",
        "println!",
    ];
    let mut found = Vec::new();
    for (file, text) in sources(concat!(env!("CARGO_MANIFEST_DIR"), "/src")) {
        found.extend(acting.iter().filter(|word| text.contains(**word)).map(|word| format!("{file}: {word}")));
    }
    assert_eq!(found, Vec::<String>::new());
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("an entry").path();
        let shown = path.display().to_string();
        if path.is_dir() {
            found.extend(sources(&shown));
        } else if shown.ends_with(".rs") {
            found.push((shown, std::fs::read_to_string(&path).expect("UTF-8")));
        }
    }
    assert!(!found.is_empty());
    found
}
