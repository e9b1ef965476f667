//! `wasi:filesystem`: files below the granted mounts, and nothing else of the host.
//!
//! - `walk` resolves a guest's path name by name, on open handles: what is decided about is what is opened. `walls` says which
//!   file systems it may come upon, `handle` opens single names, `pin` a file and nothing else; `path` is what was resolved.
//! - `names` are those that are hidden from guests, or protected from them; `repository` knows the same of bare repositories, and
//!   `unchanging` of what this host reads tools and rules from.
//! - `open`, `tree` and `rename` are the operations; `node` is what a descriptor stands for, `listing` a directory being read.
//! - `quota` bounds what is written, read and created; `change` announces what an undo would restore, before the first change
//!   of each path, and says in which state the path was left; `subtree` finds what a rename changes.
//! - `stream` reads and writes. All work is done inside the host call, so that no file job outlives its call.
//!
//! A refusal is recorded among the call's effects; the guest sees an ordinary error code.

pub(crate) mod before;
mod change;
mod descriptor;
mod follow;
pub(crate) mod handle;
mod kept;
mod listing;
pub(crate) mod look;
mod marks;
mod metadata;
pub(crate) mod names;
mod node;
mod open;
pub(crate) mod path;
pub(crate) mod pin;
mod quota;
mod rename;
mod renames;
pub(crate) mod repository;
pub(crate) mod stream;
mod subtree;
mod tree;
pub(crate) mod unchanging;
pub(crate) mod walk;
pub(crate) mod walls;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use agent_core::effect::{EffectRequest, EffectResult, FileOperation, Refusal};
use agent_core::grant::Access;
use agent_core::limits::Limits;
use agent_core::outcome::Fault;
use rustix::io::Errno;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::defence::{self, Defence};
use crate::effects::{Effects, Permit, Refused};
use crate::gate::GateClosed;
use crate::hosts::fs::change::Changes;
use crate::hosts::fs::handle::Handle;
use crate::hosts::fs::names::is_protected;
use crate::hosts::fs::node::{Kind, Node};
use crate::hosts::fs::path::RelativePath;
use crate::hosts::fs::repository::Around;
pub(crate) use crate::hosts::fs::stream::{CHUNK_BYTES_MAX, StreamFailure};
use crate::hosts::fs::walk::{Lost, Spot};
use crate::hosts::fs::walls::{see, see_open};
use crate::mount::{Identity, Mount};
use crate::replay::diverged;
use crate::state::{CallState, table_stop};
use crate::stop::Stop;
use crate::transcript::Operation as Op;

/// What a command may call the folder that it is in, beside its own name.
const WORKING_FOLDER: &str = ".";

/// The files of one call.
pub(crate) struct Files {
    changes: Arc<Changes>,
    absence_recorded: bool,
    /// What stands for every file of a replay that touches nothing.
    nothing: Option<Arc<File>>,
}

/// Why a file operation did not happen.
pub(crate) enum FileError {
    /// The guest's own mistake, or the file system's answer.
    Code(ErrorCode),
    /// The sandbox refused it.
    Refused { refusal: Refusal, rule: String, code: ErrorCode },
    /// The call ends.
    Stop(Stop),
}

impl Files {
    /// The mounts of a call that is about to begin.
    pub(crate) fn new(mounts: Vec<Mount>, limits: &Limits, effects: Arc<Effects>) -> Self {
        Self { changes: Arc::new(Changes::new(mounts, limits, effects)), absence_recorded: false, nothing: None }
    }

    /// The call is over, and no handle of it is open any more.
    pub(crate) fn end(&self) {
        self.changes.end();
    }

    /// A handle that leads nowhere: an end of a pipe.
    fn nothing(&mut self) -> Result<Arc<File>, Stop> {
        if let Some(nothing) = &self.nothing {
            return Ok(Arc::clone(nothing));
        }
        let (end, _) = std::io::pipe().map_err(|error| Stop::Gate(GateClosed(format!("no pipe: {error}"))))?;
        let nothing = Arc::new(File::from(OwnedFd::from(end)));
        self.nothing = Some(Arc::clone(&nothing));
        Ok(nothing)
    }

    /// Where relative paths begin.
    pub(crate) fn first_mount(&self) -> Option<&str> {
        self.changes.mounts().first().map(|mount| mount.guest.as_str())
    }

    fn guest_path(&self, mount: usize, path: &RelativePath) -> String {
        let root = self.changes.mounts().get(mount).map_or("", |mount| mount.guest.as_str());
        match path.as_str() {
            "" => root.to_owned(),
            path => format!("{}/{path}", root.trim_end_matches('/')),
        }
    }
}

impl preopens::Host for CallState {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.ask(Op::GetDirectories, &[], &())?;
        let directories = match self.offline(Self::preopens_on_nothing) {
            Some(directories) => directories,
            None => self.preopens(),
        };
        self.answer(directories)
    }
}

impl CallState {
    fn preopens(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mounts = self.files.changes.mounts().to_vec();
        if mounts.is_empty() && !std::mem::replace(&mut self.files.absence_recorded, true) {
            let request = EffectRequest::File { operation: FileOperation::Read, path: String::new(), to: None };
            self.effects.refuse(request, Refusal::FsDenied, "no directory was granted", Some("--allow-read DIR"));
        }
        let mut directories = Vec::with_capacity(mounts.len());
        for (number, mount) in mounts.iter().enumerate() {
            let node = Node::root(root_handle(mount)?, number);
            directories.push((self.push_node(node)?, mount.guest.clone()));
        }
        // C libraries do not ask in which folder a program is: relative paths lead to what is called so, if anything is. Last, for
        // others take the first one for that folder.
        if let (Some(first), true) = (mounts.first(), self.console.is_of_command()) {
            let node = Node::root(root_handle(first)?, 0);
            directories.push((self.push_node(node)?, WORKING_FOLDER.to_owned()));
        }
        Ok(directories)
    }

    /// The recorded mounts, each of them a handle of nothing.
    fn preopens_on_nothing(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let names: Vec<String> = self.recall::<_, wasmtime::Error>().transpose()?.unwrap_or_default();
        names.into_iter().map(|name| Ok((self.push_nothing()?, name))).collect()
    }

    /// A descriptor of nothing, for a replay that touches nothing: all that it is asked is in the record.
    fn push_nothing(&mut self) -> Result<Resource<Descriptor>, Stop> {
        let nothing = self.files.nothing()?;
        self.push_node(Node::of_nothing(nothing))
    }

    /// wasmtime's bindings name a type of its own for descriptors; what is behind the handle is ours.
    fn push_node(&mut self, node: Node) -> Result<Resource<Descriptor>, Stop> {
        Ok(Resource::new_own(self.push(node)?.rep()))
    }

    fn node(&self, descriptor: &Resource<Descriptor>) -> Result<Node, Stop> {
        let handle = Resource::<Node>::new_borrow(descriptor.rep());
        let mut node = self.table.get(&handle).cloned().map_err(table_stop)?;
        self.files.changes.renames.follow(&mut node);
        Ok(node)
    }

    fn directory(&self, descriptor: &Resource<Descriptor>) -> Result<Node, FileError> {
        let node = self.node(descriptor)?;
        match node.kind {
            Kind::Directory => Ok(node),
            Kind::File { .. } => Err(FileError::Code(ErrorCode::NotDirectory)),
        }
    }

    /// Resolves a guest's path below a directory. Leaving the directory is refused and recorded; so is a look at what no
    /// guest may know of, which the guest is told does not exist.
    fn find(&self, base: &Node, path: &str, last: walk::LastLink, operation: FileOperation) -> Result<Spot, FileError> {
        let walls = self.files.changes.walls(base.mount);
        walk::find(walls, &base.file, &base.path, path, last).map_err(|lost| match FileError::from(lost) {
            FileError::Refused { refusal, rule, code } => {
                let shown = format!("{}/{path}", self.files.guest_path(base.mount, &base.path));
                let request = EffectRequest::File { operation, path: shown, to: None };
                self.effects.refuse(request, refusal, &rule, None);
                FileError::Code(code)
            }
            other => other,
        })
    }

    fn request(&self, operation: FileOperation, mount: usize, spot: &Spot) -> EffectRequest {
        EffectRequest::File { operation, path: self.files.guest_path(mount, &spot.path), to: None }
    }

    /// Asks whether a guest may look at something. Only a refusal is recorded: what was seen is in the transcript.
    async fn may_look(&mut self, mount: usize, spot: &Spot) -> Result<(), FileError> {
        let request = self.request(FileOperation::Stat, mount, spot);
        self.effects.decide_look(request).await.map_err(not_permitted)
    }

    /// Asks whether a change may happen: the mount must be granted for writing, the path not protected, the gate content.
    async fn may_change(&mut self, request: EffectRequest, touched: &[(usize, &Spot)]) -> Result<Permit, FileError> {
        let EffectRequest::File { operation, .. } = request else { unreachable!("a change of files is of files") };
        for (mount, spot) in touched {
            if let Some((rule, hint)) = self.why_not_change(*mount, spot, operation) {
                self.effects.refuse(request, Refusal::FsDenied, &rule, hint);
                return Err(FileError::Code(ErrorCode::NotPermitted));
            }
        }
        self.file_permit(request).await
    }

    /// Asks the gate. What failed then is not tried again in a replay, whatever would come of it now.
    async fn file_permit(&mut self, request: EffectRequest) -> Result<Permit, FileError> {
        let number = self.effects.number();
        let Some(failure) = self.replay.recall_failure::<FsError>() else {
            return self.effects.decide(number, request).await.map_err(not_permitted);
        };
        let permit = self.effects.decide_told(number, request).await.map_err(not_permitted)?;
        let code = failure.downcast().map_err(|_| diverged("what failed then is no file's error"))?;
        if code == ErrorCode::Quota {
            let rule = ("as before the call was interrupted", None);
            self.effects.refuse_numbered(permit.number, permit.request, Refusal::FsQuota, rule);
        } else {
            self.effects.settle(permit, EffectResult::Failed(code.name().to_owned()));
        }
        Err(FileError::Code(code))
    }

    fn why_not_change(
        &self,
        mount: usize,
        spot: &Spot,
        operation: FileOperation,
    ) -> Option<(String, Option<&'static str>)> {
        let granted = self.files.changes.mounts().get(mount)?;
        if defence::is_off(Defence::FsDenied) {
            return None;
        }
        if granted.access == Access::Read {
            return Some((format!("`{}` is granted for reading only", granted.guest), Some("--allow-write DIR")));
        }
        // Also where a link of such a name led: what reads it finds the change under that name.
        if let Some(name) = spot.path.names().find(|name| is_protected(name)).or(spot.protected_link.as_deref()) {
            return Some((format!("`{name}` is read-only inside a write grant"), None));
        }
        let rule = why_not_unchanging(granted, spot, operation).or_else(|| why_not_in_repository(granted, spot));
        rule.map(|rule| (rule, None))
    }

    /// Records what came of a permitted operation and turns a failure into the guest's error.
    async fn conclude<T>(&mut self, permit: Permit, result: Result<T, FileError>) -> Result<T, FsError> {
        let number = permit.number;
        match &result {
            Ok(_) => self.effects.settle(permit, EffectResult::Done(String::new())),
            Err(FileError::Refused { refusal, rule, .. }) => {
                self.effects.refuse_numbered(permit.number, permit.request, *refusal, (rule, None));
            }
            Err(FileError::Code(code)) => self.effects.settle(permit, EffectResult::Failed(code.name().to_owned())),
            Err(FileError::Stop(stop)) => self.effects.settle(permit, EffectResult::Failed(stop.to_string())),
        }
        if result.is_err() {
            // What certainly did not happen leaves no doubt, though it was announced.
            self.effects.clear_doubt(number).await.map_err(Stop::from)?;
        }
        result.map_err(FsError::from)
    }
}

fn why_not_unchanging(mount: &Mount, spot: &Spot, operation: FileOperation) -> Option<String> {
    mount.unchanging.why_not(mount.dir.as_fd(), spot, operation).unwrap_or_else(cannot_be_looked_at)
}

/// Where the path leads nowhere any more, [`why_not_in_repository`] has the word.
fn cannot_be_looked_at(errno: Errno) -> Option<String> {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => None,
        errno => Some(format!("the folders that it is in cannot be looked at: {errno}")),
    }
}

fn why_not_in_repository(mount: &Mount, spot: &Spot) -> Option<String> {
    let holder = match repository::around(mount.dir.as_fd(), &spot.path) {
        Ok(Around::Repository(path)) if path.is_empty() => {
            return Some(format!("`{}` is a git repository, which is read-only inside a write grant", mount.guest));
        }
        Ok(Around::Repository(path)) => {
            return Some(format!("`{path}` is a git repository, which is read-only inside a write grant"));
        }
        Ok(Around::Plain(holder)) => holder,
        Err(errno) => return cannot_be_looked_at(errno).or_else(|| why_not_astray(spot)),
    };
    match leads_to(&holder, spot) {
        Ok(true) if spot.found.is_none() && repository::becomes_repository(&spot.dir, &spot.name) => {
            Some(format!("`{}` would make a git repository of the folder, and what is in one runs programs", spot.name))
        }
        Ok(true) => None,
        Ok(false) => why_not_astray(spot),
        Err(errno) => cannot_be_looked_at(errno).or_else(|| why_not_astray(spot)),
    }
}

/// Whether the path of a spot leads to what is open there. `holder` is what its last name was found in just now.
fn leads_to(holder: &File, spot: &Spot) -> Result<bool, Errno> {
    let opened = see_open(&spot.dir)?;
    let named = match spot.path.names().last() {
        // The path is that of what is open itself.
        Some(name) if spot.name == "." => see(holder, name)?,
        Some(_) | None => Some(see_open(holder)?),
    };
    Ok(named.is_some_and(|named| Identity::of(named) == Identity::of(opened)))
}

/// Something else moved what is open, or the guest did through another mount, and nobody knows where it is: so nobody can say
/// whether that may be changed. What is removed needs no rule; the operation says so itself.
fn why_not_astray(spot: &Spot) -> Option<String> {
    let is_removed = rustix::fs::fstat(&spot.dir).is_ok_and(|stat| stat.st_nlink == 0);
    (!is_removed).then(|| "it is not where it was opened: something has moved it, or a folder around it".to_owned())
}

/// A mount's own handle for a call: one that can be listed, else one that can only be gone through.
fn root_handle(mount: &Mount) -> std::io::Result<File> {
    let dir = mount.dir.try_clone()?.into_std_file();
    let listed = handle::open_directory(&dir, ".", Handle::Read);
    listed.or_else(|_| handle::open_directory(&dir, ".", Handle::Pass)).or(Ok(dir))
}

impl From<Lost> for FileError {
    fn from(lost: Lost) -> Self {
        let (refusal, rule, code) = match lost {
            Lost::Code(code) => return Self::Code(code),
            Lost::Escapes => (Refusal::FsDenied, "the path leads out of the mount", ErrorCode::NotPermitted),
            Lost::Hidden => (Refusal::FsDenied, "this host's own records are hidden from tools", ErrorCode::NoEntry),
            Lost::Walled(rule) => (Refusal::FsDenied, rule, ErrorCode::NotPermitted),
            Lost::TooDeep => (Refusal::FsQuota, "no path may have more than 255 names", ErrorCode::NameTooLong),
        };
        Self::Refused { refusal, rule: rule.to_owned(), code }
    }
}

impl From<ErrorCode> for FileError {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<Stop> for FileError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> Self {
        Self::Code(walk::code(errno))
    }
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        Self::Code(walk::io_code(&error))
    }
}

impl From<FileError> for FsError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Code(code) | FileError::Refused { code, .. } => code.into(),
            FileError::Stop(stop) => stop.into(),
        }
    }
}

/// What a guest sees of a refusal.
fn not_permitted(_: Refused) -> FileError {
    FileError::Code(ErrorCode::NotPermitted)
}

/// A handle of the wrong kind: the guest forged it, or this host is wrong.
fn wrong_handle() -> Stop {
    Stop::fault(Fault::GuestTrap, "the tool used a handle of another kind")
}
