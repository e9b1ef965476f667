//! `wasi:cli`: the granted environment, the arguments and standard input of a command and none for others, bounded standard output
//! and error, no terminals.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_core::effect::{EffectRequest, Refusal};
use agent_core::outcome::Fault;
use agent_core::units::Bytes;
use bytes::Bytes as Chunk;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin,
    terminal_stdout,
};
use wasmtime_wasi::p2::pipe::{ClosedInputStream, MemoryInputPipe};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, OutputStream, Pollable, StreamResult};

use crate::call::Variable;
use crate::command::{CommandLine, Exit};
use crate::defence::{self, Defence};
use crate::layer::{self, Layer};
use crate::replay::diverged;
use crate::state::CallState;
use crate::stop::Stop;
use crate::transcript::Operation as Op;

/// Most bytes that one write to standard output takes: as much as any other WASI stream.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// What a call sees of a console, and what it printed.
pub(crate) struct Console {
    env: Vec<Variable>,
    env_seen: bool,
    printed: Arc<Mutex<Printing>>,
    command: Option<Command>,
}

/// What only a command has.
struct Command {
    args: Vec<String>,
    stdin: MemoryInputPipe,
    exited: Option<Exit>,
}

/// What was printed: the kept part, and how many bytes were dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) dropped: Bytes,
}

/// Printed bytes so far. The bound is on both streams together.
struct Printing {
    kept: Printed,
    left: usize,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Error,
}

impl Console {
    /// A console with this environment.
    pub(crate) fn new(env: Vec<Variable>, limit: Bytes) -> Self {
        let left = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let printed = Arc::new(Mutex::new(Printing { kept: Printed::default(), left }));
        Self { env, env_seen: false, printed, command: None }
    }

    /// Makes it the console of a command.
    pub(crate) fn give(&mut self, line: &CommandLine) {
        let stdin = MemoryInputPipe::new(line.stdin.clone());
        self.command = Some(Command { args: line.args.clone(), stdin, exited: None });
    }

    /// Whether it is the console of a command.
    pub(crate) fn is_of_command(&self) -> bool {
        self.command.is_some()
    }

    /// How the command exited, if it did.
    pub(crate) fn exited(&self) -> Option<Exit> {
        self.command.as_ref().and_then(|command| command.exited)
    }

    /// What was printed.
    pub(crate) fn finish(self) -> Printed {
        let mut printed = std::mem::take(&mut lock(&self.printed).kept);
        if printed.dropped != Bytes(0) {
            printed.end_at_characters();
        }
        printed
    }

    fn writer(&self, stream: Stream) -> DynOutputStream {
        Box::new(Writer { stream, printed: self.printed.clone() })
    }
}

impl Printed {
    /// Drops what is left of a character in whose middle it was cut: for that, the rest would not be text any more.
    fn end_at_characters(&mut self) {
        for bytes in [&mut self.stdout, &mut self.stderr] {
            let problem = std::str::from_utf8(bytes).err();
            let Some(problem) = problem.filter(|problem| problem.error_len().is_none()) else { continue };
            let more = bytes.len() - problem.valid_up_to();
            bytes.truncate(problem.valid_up_to());
            self.dropped = self.dropped.saturating_add(Bytes(more as u64));
        }
    }
}

impl Printing {
    /// Keeps what fits and counts the rest: printing never fails, since a tool that talks too much may still be right.
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if layer::is_off(Layer::Console) {
            return;
        }
        let (kept, dropped) = bytes.split_at(bytes.len().min(self.left));
        match stream {
            Stream::Out => self.kept.stdout.extend_from_slice(kept),
            Stream::Error => self.kept.stderr.extend_from_slice(kept),
        }
        self.left -= kept.len();
        self.kept.dropped = self.kept.dropped.saturating_add(Bytes(dropped.len() as u64));
    }
}

fn lock(printed: &Mutex<Printing>) -> MutexGuard<'_, Printing> {
    printed.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    stream: Stream,
    printed: Arc<Mutex<Printing>>,
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Chunk) -> StreamResult<()> {
        lock(&self.printed).write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl environment::Host for CallState {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.ask(Op::GetEnvironment, &[], &())?;
        if defence::is_off(Defence::Env) {
            return Ok(std::env::vars().collect());
        }
        if !std::mem::replace(&mut self.console.env_seen, true) {
            self.record_env();
        }
        // The values are constants of the call and may be secrets: recorded is only how many there are.
        let count = self.console.env.len() as u64;
        let told = self.answer::<_, wasmtime::Error>(Ok(count))?;
        if told != count {
            let text = format!("{told} of the granted variables were set then; now {count} are");
            return Err(diverged(text).into());
        }
        Ok(self.console.env.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.pay()?;
        Ok(self.console.command.as_ref().map(|command| command.args.clone()).unwrap_or_default())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.ask(Op::InitialCwd, &[], &())?;
        let here = self.files.first_mount().map(str::to_owned);
        self.answer(Ok(here))
    }
}

impl CallState {
    /// A guest reads its environment as a whole, so which variable it wanted is not known.
    fn record_env(&self) {
        for Variable { name, value, rule } in &self.console.env {
            self.effects.note(EffectRequest::Env { name: name.clone() }, rule, Bytes(value.len() as u64));
        }
        if self.console.env.is_empty() {
            let all = EffectRequest::Env { name: "*".to_owned() };
            let hint = "add `env = [\"NAME\"]` to a grant of the tool, or run with `--allow-env NAME`";
            self.effects.refuse(all, Refusal::EnvDenied, "no variable was granted", Some(hint));
        }
    }

    fn exit_with(&mut self, code: u8) -> wasmtime::Result<()> {
        self.pay()?;
        if let Some(command) = &mut self.console.command {
            command.exited = Some(Exit(code));
        }
        Err(Stop::fault(Fault::GuestTrap, format!("the tool exited with code {code}")).into())
    }
}

impl exit::Host for CallState {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        self.exit_with(u8::from(status.is_err()))
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        self.exit_with(code)
    }
}

impl stdin::Host for CallState {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        self.pay()?;
        // Every handle reads on where the others have read to.
        let stdin: DynInputStream = match &self.console.command {
            Some(command) => Box::new(command.stdin.clone()),
            None => Box::new(ClosedInputStream),
        };
        Ok(self.push(stdin)?)
    }
}

impl stdout::Host for CallState {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.pay()?;
        let writer = self.console.writer(Stream::Out);
        Ok(self.push(writer)?)
    }
}

impl stderr::Host for CallState {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.pay()?;
        let writer = self.console.writer(Stream::Error);
        Ok(self.push(writer)?)
    }
}

impl terminal_input::Host for CallState {}
impl terminal_output::Host for CallState {}

impl terminal_input::HostTerminalInput for CallState {
    fn drop(&mut self, terminal: Resource<terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::HostTerminalOutput for CallState {
    fn drop(&mut self, terminal: Resource<terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for CallState {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<terminal_input::TerminalInput>>> {
        self.pay()?;
        Ok(None)
    }
}

impl terminal_stdout::Host for CallState {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        self.pay()?;
        Ok(None)
    }
}

impl terminal_stderr::Host for CallState {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        self.pay()?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_exactly() {
        let console = Console::new(Vec::new(), Bytes(5));
        lock(&console.printed).write(Stream::Out, b"abc");
        lock(&console.printed).write(Stream::Error, b"defg");
        lock(&console.printed).write(Stream::Out, b"hi");
        let output = console.finish();
        assert_eq!(output, Printed { stdout: b"abc".to_vec(), stderr: b"de".to_vec(), dropped: Bytes(4) });
    }
    #[test]
    fn what_is_cut_off_ends_with_a_whole_character() {
        let kept = |limit: u64, text: &[u8]| {
            let console = Console::new(Vec::new(), Bytes(limit));
            lock(&console.printed).write(Stream::Out, text);
            let Printed { stdout, dropped, .. } = console.finish();
            (stdout, dropped.0)
        };
        let text = "aé€x";
        assert_eq!(kept(2, text.as_bytes()), (b"a".to_vec(), 6));
        assert_eq!(kept(5, text.as_bytes()), ("aé".into(), 4));
        assert_eq!(kept(6, text.as_bytes()), ("aé€".into(), 1));
        // What was printed so is kept so.
        assert_eq!(kept(7, b"a\xc3"), (b"a\xc3".to_vec(), 0));
        assert_eq!(kept(2, b"a\xffb"), (b"a\xff".to_vec(), 1));
    }
}
