//! Compiling: a component's bytes go out as a request, machine code comes back as an answer. `loading` asks through the port
//! [`Compiler`], so that the compiler may be a process of its own that can be killed: what a stranger made decides how long a
//! compiler takes and how much memory.
//!
//! Running code is believing it, so each request carries a fresh key, and an answer counts only with a MAC under that key,
//! over the component and the code. A torn, mixed-up or foreign answer is never mapped.

use std::io::{self, Read, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use agent_core::digest::Digest;
use agent_core::units::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::Engine;

use crate::code::VerifiedCode;
use crate::component::LoadError;
use crate::engine;
use crate::plain_text::error_line;

/// Compiles components, here or elsewhere.
pub trait Compiler: Send + Sync {
    /// Has [`answer`] answer the request, and brings back what it said.
    ///
    /// # Errors
    /// Where there is no answer.
    fn compile(&self, request: &CompileRequest<'_>) -> Result<Vec<u8>, CompileError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A limit was met. Its stable name is `compile_limit`.
    #[error(transparent)]
    Limit(#[from] CompileLimit),
    /// There was no more memory to be had.
    #[error("there is not enough memory to compile the component")]
    OutOfMemory,
    /// The compiler met a component that it has a flaw for.
    #[error("the component breaks the compiler: {0}")]
    Broke(String),
    /// The compiler could not be run.
    #[error("{0}")]
    Failed(String),
}

/// What compiling a component took more of than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompileLimit {
    /// Time.
    #[error("compiling the component takes more than {} s of processor time", .0.as_secs())]
    Time(Duration),
    /// Memory.
    #[error("compiling the component takes more than {0} of memory")]
    Memory(Bytes),
    /// Memory, where whoever started this process left it less than it would have allowed.
    #[error("compiling the component takes more than the {0} of memory that this process was started with")]
    MemoryFromOutside(Bytes),
    /// The compiler's own stack.
    #[error("compiling the component takes more stack than the compiler has")]
    Stack,
}

/// A component to compile, and the key that its answer must be marked with.
pub struct CompileRequest<'a> {
    key: [u8; KEY_BYTES],
    component: &'a [u8],
}

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Largest request. Whether the component is too large was decided before; this only bounds what is read.
const REQUEST_BYTES_MAX: u64 = 1 << 30;

/// Bytes of a MAC.
const TAG_BYTES: usize = 32;

/// Separates this MAC from any other.
const MAC_DOMAIN: &[u8] = b"agent-host compile answer 1";

impl<'a> CompileRequest<'a> {
    /// A request under a key of its own.
    #[must_use]
    pub(crate) fn new(component: &'a [u8]) -> Self {
        Self { key: rand::random(), component }
    }

    /// Writes what [`Self::read`] reads.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        out.write_all(&self.key)?;
        out.write_all(self.component)
    }

    /// Reads a request into `buffer`: the rest of `input`.
    ///
    /// # Errors
    /// Where `input` fails or is no request.
    pub fn read(input: impl Read, buffer: &'a mut Vec<u8>) -> io::Result<Self> {
        input.take(REQUEST_BYTES_MAX).read_to_end(buffer)?;
        let (key, component) = buffer.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self { key: *key, component })
    }

    fn mac(&self) -> Hmac<Sha256> {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            Err(error) => unreachable!("HMAC takes keys of any length: {error}"),
        };
        mac.update(MAC_DOMAIN);
        mac.update(Digest::of(self.component).as_bytes());
        mac
    }
}

/// What came of a request, as the first byte of an answer says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Code follows.
    Compiled = 0,
    /// What is wrong with the component follows.
    Invalid = 1,
}

impl Verdict {
    const ALL: [Self; 2] = [Self::Compiled, Self::Invalid];
}

/// Compiles what is asked for: the one place where Cranelift runs. In a worker process this is all that happens.
///
/// # Errors
/// Where the engine cannot be set up, or memory runs out. That a component is invalid is an answer.
pub fn answer(request: &CompileRequest<'_>) -> Result<Vec<u8>, CompileError> {
    let engine = engine::for_compiling().map_err(|error| CompileError::Failed(error_line(&error)))?;
    answer_with(&engine, request)
}

fn answer_with(engine: &Engine, request: &CompileRequest<'_>) -> Result<Vec<u8>, CompileError> {
    let (verdict, said) = match engine.precompile_component(request.component) {
        Ok(code) => (Verdict::Compiled, code),
        Err(error) if is_out_of_memory(&error) => return Err(CompileError::OutOfMemory),
        Err(error) => (Verdict::Invalid, error_line(&error).into_bytes()),
    };
    let verdict = verdict as u8;
    let tag = request.mac().chain_update([verdict]).chain_update(&said).finalize().into_bytes();
    let mut answer = Vec::with_capacity(TAG_BYTES + 1 + said.len());
    answer.extend_from_slice(&tag);
    answer.push(verdict);
    answer.extend_from_slice(&said);
    Ok(answer)
}

/// Memory runs out by a typed error, or by one of the system's when code memory cannot be mapped.
fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    let of_system = |error: &io::Error| error.kind() == io::ErrorKind::OutOfMemory;
    error.is::<wasmtime::OutOfMemory>() || error.downcast_ref::<io::Error>().is_some_and(of_system)
}

/// The code in an answer to `request`, if it is one.
pub(crate) fn code_in(request: &CompileRequest<'_>, mut answer: Vec<u8>) -> Result<VerifiedCode, LoadError> {
    let foreign = || LoadError::Host("the compiler's answer is torn or not its own".to_owned());
    let (tag, body) = answer.split_at_checked(TAG_BYTES).ok_or_else(foreign)?;
    request.mac().chain_update(body).verify_slice(tag).map_err(|_| foreign())?;
    let (verdict, said) = body.split_first().ok_or_else(foreign)?;
    match Verdict::ALL.into_iter().find(|known| *known as u8 == *verdict).ok_or_else(foreign)? {
        Verdict::Compiled => {
            answer.drain(..=TAG_BYTES);
            Ok(VerifiedCode::just_compiled(answer))
        }
        Verdict::Invalid => Err(LoadError::refused(String::from_utf8_lossy(said).into_owned())),
    }
}

/// Compiles in this process: for programs that use this crate as a library and trust their components, for tests and
/// benchmarks. Nothing bounds the time and memory that a hostile component takes here.
#[derive(Default)]
pub struct InProcess {
    engine: OnceLock<Engine>,
    /// One at a time: each uses every core already.
    compiling: Mutex<()>,
}

impl Compiler for InProcess {
    fn compile(&self, request: &CompileRequest<'_>) -> Result<Vec<u8>, CompileError> {
        let _one_at_a_time = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match self.engine.get() {
            Some(engine) => engine,
            None => {
                let engine = engine::for_compiling().map_err(|error| CompileError::Failed(error_line(&error)))?;
                self.engine.get_or_init(|| engine)
            }
        };
        answer_with(engine, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn said(answer: Vec<u8>, request: &CompileRequest<'_>) -> String {
        code_in(request, answer).map_or_else(|error| error.to_string(), |_| "code".to_owned())
    }

    #[test]
    fn an_answer_counts_for_its_request_alone() -> Result<(), CompileError> {
        let compiler = InProcess::default();
        let (request, other) = (CompileRequest::new(COMPONENT), CompileRequest::new(COMPONENT));
        let answer = compiler.compile(&request)?;
        assert_eq!(said(answer.clone(), &request), "code");
        assert!(said(answer.clone(), &other).contains("not its own"));
        assert!(said(answer[..answer.len() - 1].to_vec(), &request).contains("torn"));
        assert!(said(Vec::new(), &request).contains("torn"));
        for place in [0, TAG_BYTES, TAG_BYTES + 1, answer.len() - 1] {
            let mut bent = answer.clone();
            bent[place] ^= 1;
            assert!(said(bent, &request).contains("torn"), "{place}");
        }
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_component_is_an_answer() -> Result<(), CompileError> {
        let request = CompileRequest::new(b"\0asm\x0d\0\x01\0\xff");
        assert!(said(InProcess::default().compile(&request)?, &request).contains("not a valid component"));
        Ok(())
    }

    #[test]
    fn a_request_reads_back() -> io::Result<()> {
        let (mut bytes, mut buffer) = (Vec::new(), Vec::new());
        let request = CompileRequest::new(COMPONENT);
        request.write(&mut bytes)?;
        let read = CompileRequest::read(bytes.as_slice(), &mut buffer)?;
        assert_eq!((read.key, read.component), (request.key, request.component));
        assert!(CompileRequest::read([0; 31].as_slice(), &mut Vec::new()).is_err());
        Ok(())
    }
}
