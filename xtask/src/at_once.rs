//! Lints and documents our crates while `cargo xtask test` compiles them: this program as cargo's wrapper around rustc, which starts
//! clippy and rustdoc beside it. `cargo clippy` and `cargo doc` have each dependency read once more than its compilation does, and
//! where nothing is built yet, that takes minutes. `cargo xtask check` uses them all the same: it compiles nothing.
//!
//! Rustc compiles what it compiles without a wrapper, since clippy's driver would leave optimisations out. What clippy makes is of no
//! use, and lies where nobody looks for it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::places::Places;
use crate::wasm_target::TARGET;

/// The name under which this program is the wrapper.
const NAME: &str = "rustc-with-lints-and-docs";

/// Where our crates are. What tests have cargo build elsewhere is not ours, though the wrapper is asked for that as well.
const OURS: &str = "AGENT_HOST_XTASK_OURS";

/// Whether they are linted by clippy.
const LINTS: &str = "AGENT_HOST_XTASK_LINTS";

/// Whether they are documented, too. A guest is documented as what it is in a component, and its SDK as what tests see, which have
/// more of it. What a guest declares for this machine alone is left to `cargo doc`, which `check` starts.
const DOCS: &str = "AGENT_HOST_XTASK_DOCS";

/// Whether the tests of what is built are built with it. They hold all that a library or program does, which is then linted with them
/// and not twice: nothing of ours is left out of its tests.
const TESTS: &str = "AGENT_HOST_XTASK_TESTS";

/// What is said to rustc alone: what to make, and where to put it.
const ABOUT_WHAT_IS_MADE: [&str; 3] = ["--emit", "--out-dir", "--json"];

/// The flags among ours whose value is the next word.
const WITH_VALUE: [&str; 2] = ["--out-dir", "-C"];

/// As cargo reads what a compiler says, but that it made something: that, cargo waits for from rustc.
const AS_CARGO_READS: &str = "--json=diagnostic-rendered-ansi,future-incompat";

/// The wrapper, put beside what it compiles. A copy: a build of the workspace puts another program in the place of this one.
pub(crate) fn wrapper(places: &Places) -> Result<PathBuf> {
    let folder = places.target.join("at-once");
    fs::create_dir_all(&folder)?;
    let (partial, path) = (folder.join("partial"), folder.join(NAME));
    fs::copy(&places.own, &partial).with_context(|| format!("cannot copy this program to `{}`", partial.display()))?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

/// Has a cargo lint and document what it compiles, where that was asked for.
pub(crate) fn lint_and_document(places: &Places, cargo: &mut Command) {
    lint(places, cargo);
    cargo.env(DOCS, "yes");
}

/// Has a cargo lint what it compiles, where that was asked for.
pub(crate) fn lint(places: &Places, cargo: &mut Command) {
    if let Some(wrapper) = &places.at_once {
        cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper).env(OURS, &places.repo).env(LINTS, "yes").env_remove(DOCS);
    }
}

/// Tells it that the tests of all that this cargo compiles are among it.
pub(crate) fn tests_are_built_too(cargo: &mut Command) {
    cargo.env(TESTS, "yes");
}

/// Has a cargo only compile what was linted and documented with other features. What rustc warns of is an error all the same.
pub(crate) fn checked_with_other_features(cargo: &mut Command) {
    cargo.env_remove(LINTS).env_remove(DOCS);
}

/// Has a cargo only compile.
pub(crate) fn leave_out(cargo: &mut Command) {
    cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
}

/// If this program was started as the wrapper: what rustc said, or else who checks beside it.
pub(crate) fn as_rustc() -> Option<ExitCode> {
    let (rustc, arguments) = wrapped(|name| name == NAME)?;
    let mut compiler = Command::new(&rustc);
    compiler.args(&arguments);
    if is_ours() {
        // Of a library without its tests, nobody else says what is never used.
        compiler.args(["--deny", "warnings"]);
    }
    Some(with_checks(compiler, checks(&rustc, &arguments)))
}

/// Who checks what rustc compiles with these arguments: nobody where it is not ours, or nothing is compiled.
pub(crate) fn checks(rustc: &OsStr, arguments: &[OsString]) -> Vec<Command> {
    let words: Option<Vec<&str>> = arguments.iter().map(|word| word.to_str()).collect();
    let Some(words) = words.filter(|_| is_ours()) else { return Vec::new() };
    let is_linted = asked(LINTS) && !(asked(TESTS) && has_tests(&words));
    let documentation = documentation(&words).filter(|_| asked(DOCS));
    linting(rustc, &words).filter(|_| is_linted).into_iter().chain(documentation).collect()
}

fn asked(what: &str) -> bool {
    std::env::var_os(what).is_some()
}

/// Whether this is a library or program, and not its tests, an example or a benchmark.
fn has_tests(words: &[&str]) -> bool {
    let source = words.iter().map(Path::new).find(|word| word.extension().is_some_and(|extension| extension == "rs"));
    !words.contains(&"--test") && source.is_some_and(|source| source.iter().any(|folder| folder == "src"))
}

/// Compiles and checks at once. The checkers' words come after the compiler's: cargo reads them line by line.
pub(crate) fn with_checks(compiler: Command, checks: Vec<Command>) -> ExitCode {
    let checking: Vec<_> = checks.into_iter().map(|check| thread::spawn(move || Check::by(check))).collect();
    let compiled = ended(compiler);
    let checked = checking.into_iter().map(|check| check.join().unwrap_or_else(|panic| resume_unwind(panic)).say());
    // Each says what it has to say, whatever comes of the others.
    let codes: Vec<_> = std::iter::once(compiled).chain(checked).collect();
    codes.into_iter().find(|code| *code != ExitCode::SUCCESS).unwrap_or(ExitCode::SUCCESS)
}

/// A checker that has ended.
struct Check {
    command: Command,
    came: std::io::Result<Output>,
}

impl Check {
    fn by(mut command: Command) -> Self {
        let came = command.stdin(Stdio::null()).output();
        Self { command, came }
    }

    fn say(self) -> ExitCode {
        match self.came {
            Ok(output) => {
                let _ = std::io::stderr().lock().write_all(&output.stderr);
                code_of(output.status)
            }
            Err(error) => not_started(&self.command, error),
        }
    }
}

/// The path of rustc and its arguments, if this program was started as a wrapper of such a name.
pub(crate) fn wrapped(is_name: impl Fn(&str) -> bool) -> Option<(OsString, Vec<OsString>)> {
    let mut words = std::env::args_os();
    let own = words.next()?;
    if !is_name(Path::new(&own).file_name()?.to_str()?) {
        return None;
    }
    Some((words.next()?, words.collect()))
}

/// Runs the compiler for cargo, and gives its exit code.
fn ended(mut compiler: Command) -> ExitCode {
    match compiler.status() {
        Ok(status) => code_of(status),
        Err(error) => not_started(&compiler, error),
    }
}

fn code_of(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn not_started(command: &Command, error: std::io::Error) -> ExitCode {
    let cannot = format!("cannot start `{}`", command.get_program().display());
    crate::talk::complain(&anyhow::Error::new(error).context(cannot));
    ExitCode::FAILURE
}

/// Whether the crate that cargo has compiled is one of ours.
fn is_ours() -> bool {
    std::env::var_os(OURS).is_some_and(|ours| manifest_is_below(Path::new(&ours)))
}

/// Whatever links the two were named through: a crate that is not found to be ours is not checked.
fn manifest_is_below(folder: &Path) -> bool {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    manifest.is_some_and(|manifest| is_below(&manifest, folder))
}

fn is_below(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(path).starts_with(real(folder))
}

/// The command that lints what rustc compiles with these arguments.
fn linting(rustc: &OsStr, words: &[&str]) -> Option<Command> {
    let folder = Path::new(after(words, "--out-dir")?).join("lints");
    let mut driver = Command::new("clippy-driver");
    // What was learned of an earlier compilation is rustc's alone.
    let read = without(words, |flag, value| flag == "-C" && value.starts_with("incremental="));
    driver.arg(rustc).args(read).args(["--emit=metadata", AS_CARGO_READS]);
    driver.args(["--deny", "warnings", "--out-dir"]).arg(folder);
    Some(driver)
}

/// The command that documents what rustc compiles with these arguments; `None` where `cargo doc` would not: for tests, build
/// scripts, and questions about the compiler. And for a library in a component, which is documented elsewhere.
fn documentation(words: &[&str]) -> Option<Command> {
    let name = after(words, "--crate-name")?;
    let folder = Path::new(after(words, "--out-dir")?).join("documentation").join(name);
    let is_in_component = words.contains(&TARGET) && after(words, "--crate-type") == Some("lib");
    if name.starts_with("build_script_") || words.contains(&"--test") || is_in_component {
        return None;
    }
    let mut rustdoc = Command::new(std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()));
    rustdoc.args(without(words, |flag, _| flag == "-C")).arg(AS_CARGO_READS);
    // Nobody else uses a program's items, so it is documented whole, as cargo does.
    if after(words, "--crate-type") == Some("bin") {
        rustdoc.arg("--document-private-items");
    }
    rustdoc.args(["--deny", "warnings", "--out-dir"]).arg(folder);
    Some(rustdoc)
}

/// The words to rustc without those about what it makes, and without the flags that are left out.
fn without<'w>(words: &[&'w str], is_left_out: impl Fn(&str, &str) -> bool) -> Vec<&'w str> {
    let (mut rest, mut kept) = (words.iter().copied(), Vec::new());
    while let Some(word) = rest.next() {
        let value = WITH_VALUE.contains(&word).then(|| rest.next()).flatten();
        let is_about_made = ABOUT_WHAT_IS_MADE.iter().any(|flag| word.starts_with(flag));
        if !is_about_made && !is_left_out(word, value.unwrap_or_default()) {
            kept.push(word);
            kept.extend(value);
        }
    }
    kept
}

fn after<'w>(words: &[&'w str], flag: &str) -> Option<&'w str> {
    words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPILED: &str = "--crate-name agent_core --edition=2024 src/lib.rs --error-format=json \
        --json=diagnostic-rendered-ansi,artifacts --crate-type lib --emit=dep-info,metadata,link -C opt-level=0 -C \
        extra-filename=-1 --out-dir /t/deps -C incremental=/t/inc -L dependency=/t/deps --extern serde=/t/libserde.rmeta \
        --warn=clippy::pedantic";

    fn words(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    fn told(command: Option<Command>) -> Option<String> {
        let command = command?;
        let told: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        Some(told.join(" "))
    }

    #[test]
    fn clippy_is_told_what_rustc_is_and_makes_nothing_that_is_used() {
        let expected = "rustc --crate-name agent_core --edition=2024 src/lib.rs --error-format=json --crate-type lib -C \
            opt-level=0 -C extra-filename=-1 -L dependency=/t/deps --extern serde=/t/libserde.rmeta --warn=clippy::pedantic \
            --emit=metadata --json=diagnostic-rendered-ansi,future-incompat --deny warnings --out-dir /t/deps/lints";
        let told = told(linting(OsStr::new("rustc"), &words(COMPILED)));
        assert_eq!(told.as_deref(), Some(words(expected).join(" ").as_str()));
    }

    #[test]
    fn rustdoc_is_told_what_rustc_is_but_not_what_to_make() {
        let expected = "--crate-name agent_core --edition=2024 src/lib.rs --error-format=json --crate-type lib -L \
            dependency=/t/deps --extern serde=/t/libserde.rmeta --warn=clippy::pedantic \
            --json=diagnostic-rendered-ansi,future-incompat --deny warnings --out-dir /t/deps/documentation/agent_core";
        assert_eq!(told(documentation(&words(COMPILED))).as_deref(), Some(words(expected).join(" ").as_str()));
        let of_program =
            told(documentation(&words("--crate-name agent_host src/main.rs --crate-type bin --out-dir /t")));
        assert!(of_program.is_some_and(|told| told.contains("--document-private-items")));
    }

    #[test]
    fn only_libraries_and_programs_are_linted_with_their_tests() {
        for source in ["host/agent-core/src/lib.rs", "src/main.rs", "/r/tests/src/bin/hostile/main.rs"] {
            assert!(has_tests(&words(&format!("--crate-name c {source} --crate-type lib"))), "{source}");
            assert!(!has_tests(&words(&format!("--crate-name c {source} --test"))), "{source}");
        }
        for source in ["host/agent-sandbox/examples/bare.rs", "benches/call/main.rs", "tests/tests/main.rs", "build.rs"]
        {
            assert!(!has_tests(&words(&format!("--crate-name c {source} --crate-type bin"))), "{source}");
        }
    }

    #[test]
    fn nothing_of_the_host_is_left_out_of_its_tests() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository")?;
        let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
        let members = workspace.lines().find(|line| line.starts_with("members = ")).context("the members")?;
        for member in members.split('"').skip(1).step_by(2) {
            let manifest = fs::read_to_string(root.join(member).join("Cargo.toml"))?;
            assert!(!manifest.lines().any(|line| line.trim() == "test = false"), "`{member}` would not be linted");
        }
        Ok(())
    }

    #[test]
    fn what_cargo_does_not_check_is_not_checked() {
        for text in ["- --crate-name ___ --print=file-names", "-vV"] {
            assert_eq!(told(linting(OsStr::new("rustc"), &words(text))), None, "{text}");
            assert_eq!(told(documentation(&words(text))), None, "{text}");
        }
        for text in [
            "--crate-name agent_core src/lib.rs --test --out-dir /t",
            "--crate-name build_script_build build.rs --crate-type bin --out-dir /t",
            "--crate-name agent_host_tool src/lib.rs --crate-type lib --target wasm32-wasip2 --out-dir /t",
        ] {
            assert_eq!(told(documentation(&words(text))), None, "{text}");
        }
    }

    #[test]
    fn a_crate_is_ours_by_whatever_name_the_checkout_has() -> std::io::Result<()> {
        let folder = std::env::temp_dir().join(format!("agent-host-at-once-{}", std::process::id()));
        fs::create_dir_all(folder.join("checkout/xtask"))?;
        std::os::unix::fs::symlink(folder.join("checkout"), folder.join("link"))?;
        let ours = [["checkout", "checkout"], ["checkout", "link"], ["link", "checkout"]];
        let found = ours.map(|[crates, root]| is_below(&folder.join(crates).join("xtask"), &folder.join(root)));
        let stranger = is_below(&folder, &folder.join("checkout"));
        fs::remove_dir_all(&folder)?;
        assert_eq!((found, stranger), ([true; 3], false));
        Ok(())
    }

    #[test]
    fn whoever_fails_the_compilation_has_failed() {
        let by = |program: &str| Command::new(program);
        assert_eq!(with_checks(by("true"), vec![by("true"), by("true")]), ExitCode::SUCCESS);
        for [compiler, first, second] in
            [["true", "false", "true"], ["true", "true", "false"], ["false", "true", "true"]]
        {
            assert_eq!(with_checks(by(compiler), vec![by(first), by(second)]), ExitCode::from(1));
        }
    }
}
