//! Cases that are Rust tests: found in the test programs that cargo built, and run one by one. And those that the crash harness
//! carries out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use agent_tests::{given, repository};
use serde_json::Value;

use crate::case::Case;
use crate::judge::Figures;

/// The variable that says with which features the tests are built.
const FEATURES: &str = "AGENT_HOST_TEST_FEATURES";

/// What becomes of coded cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coded {
    /// They are run.
    Run,
    /// An earlier step ran them: it is only seen that each is there.
    See,
}

/// The test programs, by package and target.
pub(crate) struct Programs(BTreeMap<(String, String), PathBuf>);

impl Programs {
    /// Builds them and asks cargo where they are.
    pub(crate) fn build() -> Result<Self, String> {
        let mut command = cargo();
        command.args(["test", "--workspace", "--locked", "--no-run", "--message-format", "json"]);
        command.args(["--features", &given(FEATURES).to_string_lossy()]);
        let output = command.output().map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            return Err("the Rust tests do not build".to_owned());
        }
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(Self(messages.filter_map(|message| program(&message)).collect()))
    }

    /// Runs the test of a case, or sees that it is there. What went wrong is empty where it passed.
    pub(crate) fn run(&self, case: &Case, coded: Coded) -> (Figures, Vec<String>) {
        let started = Instant::now();
        let problems = self.find(case).map_or_else(
            |problem| vec![problem],
            |(program, test)| match coded {
                Coded::Run => run(program, &test),
                Coded::See => see(program, &test),
            },
        );
        let outcome = match coded {
            Coded::Run => "its test",
            Coded::See => "ran before",
        };
        let took_ms = (coded == Coded::Run).then(|| u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        (Figures { outcome: outcome.to_owned(), took_ms, ..Figures::default() }, problems)
    }

    /// `PACKAGE TARGET::TEST`, or a test of the built program without these.
    fn find(&self, case: &Case) -> Result<(&PathBuf, String), String> {
        let named = case.form.test.as_deref().unwrap_or_default();
        let elsewhere = named.split_once(' ').and_then(|(package, path)| Some((package, path.split_once("::")?)));
        let (package, (target, test)) = elsewhere.unwrap_or(("agent-tests", ("host", named)));
        let program = self.0.get(&(package.to_owned(), target.to_owned()));
        Ok((program.ok_or(format!("`{package}` has no test target `{target}`"))?, test.to_owned()))
    }
}

/// The methods of the crash harness, which is a step of its own: `cargo xtask crash`.
pub(crate) struct Methods(Vec<String>);

impl Methods {
    /// Builds the harness and asks it.
    pub(crate) fn ask() -> Result<Self, String> {
        let mut command = cargo();
        command.args(["run", "--quiet", "--locked", "--bin", "agent-crash", "--", "--list"]);
        let output = command.output().map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            return Err("the crash harness does not say its methods".to_owned());
        }
        Ok(Self(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()))
    }

    /// Sees that the method of a case is there.
    pub(crate) fn see(&self, case: &Case) -> (Figures, Vec<String>) {
        let method = case.form.method.as_deref().unwrap_or_default();
        let figures = Figures { outcome: format!("crash {method}"), ..Figures::default() };
        let problem = || format!("`cargo xtask crash` has no method `{method}`");
        let there = self.0.iter().any(|known| known == method);
        (figures, (!there).then(problem).into_iter().collect())
    }
}

/// The cargo that started this program, in the host's workspace.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository()).stderr(Stdio::inherit());
    command
}

/// A test program in a message of cargo's.
fn program(message: &Value) -> Option<((String, String), PathBuf)> {
    let executable = message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?;
    let package = PathBuf::from(message["manifest_path"].as_str()?).parent()?.file_name()?.to_str()?.to_owned();
    let package = if package == "tests" { "agent-tests".to_owned() } else { package };
    let target = message["target"]["name"].as_str()?.replace('-', "_");
    Some(((package, target), executable.into()))
}

fn run(program: &PathBuf, test: &str) -> Vec<String> {
    let output = Command::new(program).args(["--exact", test, "--nocapture"]).current_dir(repository()).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return vec![format!("the test does not start: {error}")],
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && said.contains("1 passed") {
        return Vec::new();
    }
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    vec![format!("`{test}` did not pass:\n{}", all.trim())]
}

fn see(program: &PathBuf, test: &str) -> Vec<String> {
    let listed = Command::new(program).args(["--list", "--format", "terse"]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let there = listed.lines().any(|line| line == format!("{test}: test"));
    if there { Vec::new() } else { vec![format!("there is no test `{test}` in `{}`", program.display())] }
}
