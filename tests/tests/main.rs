//! The tests of the built program, a file for each thing that a user or an intruder does. One test program and not fifty: each would
//! be compiled, linted and linked apart, which on a fresh machine takes minutes.

mod adoption;
mod approvals;
mod asking;
mod bad_input;
mod bad_journals;
mod bad_tool_input;
mod changed_components;
mod changes;
mod clock;
mod crashtest;
mod cut_off;
mod diagnostics;
mod doubt;
mod exports;
mod foreign;
mod foreign_builds;
mod graceful_stop;
mod hardening;
mod hostile_fs;
mod hostile_load;
mod hostile_secrets;
mod keeping;
mod keyring;
mod kill;
mod languages;
mod long_runs;
mod main_job;
mod mcp;
mod mcp_changes;
mod mcp_hostile;
mod mcp_http;
mod mcp_peers;
mod mcp_telemetry;
mod meant;
mod metrics;
mod once;
mod other_languages;
mod packing;
mod plain_build;
mod real_model;
mod records;
mod replay;
mod schemas;
mod strangers_tools;
mod syncs;
mod telemetry;
mod tools;
mod trying_tools;
mod two_in_flight;

/// Cargo compiles what is named here alone: a file that is forgotten would be a test that nobody runs.
#[test]
fn every_file_beside_this_one_is_named_here() -> std::io::Result<()> {
    for entry in std::fs::read_dir(agent_tests::repository().join("tests/tests"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_named = name == "main" || include_str!("main.rs").contains(&format!("\nmod {name};\n"));
        assert!(
            is_named || path.extension().is_none_or(|extension| extension != "rs"),
            "`{}` is not run",
            path.display()
        );
    }
    Ok(())
}
