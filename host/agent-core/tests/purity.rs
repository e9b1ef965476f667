//! The core stays pure: its dependency tree holds nothing that waits, reads, prints, asks the time or rolls dice.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

/// Crates that would let the core act, by name.
const FORBIDDEN: [&str; 21] = [
    "async_io",
    "async_std",
    "cap_std",
    "chrono",
    "crossbeam",
    "futures",
    "getrandom",
    "hyper",
    "io_uring",
    "jiff",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "smol",
    "time",
    "tokio",
    "tracing",
    "wasmtime",
];

/// Whether a library is such a crate, or one of its family: `tokio` forbids `tokio_util` too.
fn acts(library: &str) -> bool {
    FORBIDDEN.iter().any(|name| library.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

#[test]
fn a_crate_of_a_forbidden_family_counts_too() {
    for library in ["tokio", "tokio_util", "futures_core", "rand_core", "wasmtime_environ", "async_io"] {
        assert!(acts(library), "{library}");
    }
    for library in ["timely", "random", "serde_json", "agent_core"] {
        assert!(!acts(library), "{library}");
    }
}

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
        .current_dir(package())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    assert!(tree.lines().any(|line| line == "agent_core"), "the tree was not read: {tree}");
    // A crate that comes again has a mark behind its name.
    let libraries = tree.lines().filter_map(|line| line.split(' ').next());
    let acting: Vec<_> = libraries.filter(|library| acts(library)).collect();
    assert_eq!(acting, Vec::<&str>::new());
}

#[test]
fn the_sources_name_no_way_to_act() {
    let acting = [
        "std::fs",
        "std::io",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "std::process",
        "std::thread",
        "std::env",
        "std::os",
        "use std::{",
        "use std::time::{",
        "Instant",
        "SystemTime",
        "async fn",
        "async move",
        "async {",
        "println!",
        "eprint",
        "dbg!",
    ];
    let mut found = Vec::new();
    for (file, text) in sources(&format!("{}/src", package())) {
        found.extend(acting.iter().filter(|word| text.contains(**word)).map(|word| format!("{file}: {word}")));
    }
    assert_eq!(found, Vec::<String>::new());
}

/// Cargo's word at run time: clones may share a target folder, and with it this program.
fn package() -> String {
    std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests")
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
