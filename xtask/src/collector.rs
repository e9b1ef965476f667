//! A real collector of traces for the tests, which start it themselves: the program out of a Python package.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::dev_tool;
use crate::places::Places;
use crate::process::read;

/// Where the tests are told that it is.
pub(crate) const VARIABLE: &str = "AGENT_HOST_TEST_COLLECTOR";
/// Says where the package is without running any of it: that would want packages that the program does not need.
const WHERE: &str = "import importlib.util as i; print(i.find_spec('rotel').submodule_search_locations[0])";

/// The program, installed at its first use.
pub(crate) fn installed(places: &Places) -> Result<PathBuf> {
    let requirements = places.repo.join("tests/collector/requirements.txt");
    let python = dev_tool::python_with(places, "collector", &requirements)?;
    let package = read(Command::new(python).args(["-c", WHERE]))?;
    let program = PathBuf::from(package.trim()).join("rotel-agent");
    program.is_file().then_some(program).context("the collector's package has no program in it")
}
