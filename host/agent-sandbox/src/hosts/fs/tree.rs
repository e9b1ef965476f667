//! Changes of names: create and remove directories, unlink, link, and the times and sizes of files. `rename` has a file of its
//! own.

use agent_core::effect::{EffectRequest, FileOperation, Refusal};
use agent_core::open_file::Doing;
use agent_core::path_state::Becoming;
use agent_core::units::Bytes;
use rustix::fs::{AtFlags, FileType, Mode};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, NewTimestamp, PathFlags};

use crate::effects::Permit;
use crate::hosts::fs::FileError;
use crate::hosts::fs::before::special_file;
use crate::hosts::fs::look::look_at;
use crate::hosts::fs::metadata::timestamps;
use crate::hosts::fs::node::{Kind, Node};
use crate::hosts::fs::path::leads_out;
use crate::hosts::fs::walk::{LastLink, Spot};
use crate::state::CallState;

/// Permission bits of a new directory, before the host's umask.
const NEW_DIRECTORY_MODE: u32 = 0o777;

type Fd = Resource<Descriptor>;

impl CallState {
    pub(super) async fn create_directory(&mut self, fd: &Fd, path: &str) -> FsResult<()> {
        let operation = FileOperation::CreateDirectory;
        let base = self.directory(fd)?;
        let spot = self.find(&base, path.trim_end_matches('/'), LastLink::Keep, operation)?;
        let request = self.request(operation, base.mount, &spot);
        let permit = self.may_change(request, &[(base.mount, &spot)]).await?;
        let done = self.create_directory_now(&permit, base.mount, &spot).await;
        self.conclude(permit, done).await
    }

    async fn create_directory_now(&mut self, permit: &Permit, mount: usize, spot: &Spot) -> Result<(), FileError> {
        if spot.found.is_some() {
            return Err(ErrorCode::Exist.into());
        }
        self.files.changes.quotas.count_created()?;
        self.files.changes.announce_spots(permit, &[(mount, spot, Becoming::New)]).await?;
        let mode = Mode::from_raw_mode(NEW_DIRECTORY_MODE);
        let made = rustix::fs::mkdirat(&spot.dir, spot.name.as_str(), mode);
        self.files.changes.made_at(mount, spot, made)
    }

    /// Removes a directory (`REMOVEDIR`) or anything else.
    pub(super) async fn remove(&mut self, fd: &Fd, path: &str, flags: AtFlags) -> FsResult<()> {
        let base = self.directory(fd)?;
        let spot = self.find(&base, path, LastLink::KeepName, FileOperation::Remove)?;
        let request = self.request(FileOperation::Remove, base.mount, &spot);
        let permit = self.may_change(request, &[(base.mount, &spot)]).await?;
        let done = self.remove_now(&permit, base.mount, &spot, flags).await;
        self.conclude(permit, done).await
    }

    async fn remove_now(
        &mut self,
        permit: &Permit,
        mount: usize,
        spot: &Spot,
        flags: AtFlags,
    ) -> Result<(), FileError> {
        match (spot.found, flags.contains(AtFlags::REMOVEDIR)) {
            (None, _) => return Err(ErrorCode::NoEntry.into()),
            (Some(FileType::Directory), false) => return Err(ErrorCode::IsDirectory.into()),
            (Some(FileType::Directory), true) => {}
            (Some(_), true) => return Err(ErrorCode::NotDirectory.into()),
            (Some(_), false) if spot.directory_only => return Err(ErrorCode::NotDirectory.into()),
            (Some(_), false) => {}
        }
        can_lose_its_name(spot)?;
        let changes = &self.files.changes;
        changes.may_lose_a_name(mount, spot)?;
        changes.announce_spots(permit, &[(mount, spot, Becoming::Gone)]).await?;
        match rustix::fs::unlinkat(&spot.dir, spot.name.as_str(), flags) {
            Ok(()) => changes.left_nothing(&[(mount, spot.path.clone())]),
            Err(errno) => {
                changes.stayed_at(mount, spot)?;
                Err(errno.into())
            }
        }
    }

    pub(super) async fn link(&mut self, fd: &Fd, path: &str, to_fd: &Fd, to_path: &str) -> FsResult<()> {
        let operation = FileOperation::Link;
        let (base, to_base) = (self.directory(fd)?, self.directory(to_fd)?);
        let from = self.find(&base, path, LastLink::KeepName, operation)?;
        let to = self.find(&to_base, to_path, LastLink::KeepName, operation)?;
        let request = self.two_paths(operation, (base.mount, &from), (to_base.mount, &to));
        // Both: who can write to the one name can then write to the other.
        let permit = self.may_change(request, &[(base.mount, &from), (to_base.mount, &to)]).await?;
        let done = self.link_now(&permit, (base.mount, &from), (to_base.mount, &to)).await;
        self.conclude(permit, done).await
    }

    async fn link_now(
        &mut self,
        permit: &Permit,
        (mount, from): (usize, &Spot),
        (to_mount, to): (usize, &Spot),
    ) -> Result<(), FileError> {
        match (from.found, to.found) {
            (None, _) => return Err(ErrorCode::NoEntry.into()),
            (Some(found), _) if from.directory_only && found != FileType::Directory => {
                return Err(ErrorCode::NotDirectory.into());
            }
            (_, Some(_)) => return Err(ErrorCode::Exist.into()),
            (_, None) if to.directory_only => return Err(ErrorCode::NoEntry.into()),
            (Some(FileType::RegularFile), None) => {}
            (Some(FileType::Directory), None) => return Err(ErrorCode::NotPermitted.into()),
            (Some(_), None) => return Err(special_file()),
        }
        if !self.files.changes.recover_alike(mount, to_mount) {
            return Err(ErrorCode::CrossDevice.into());
        }
        self.files.changes.quotas.count_created()?;
        let changes = &self.files.changes;
        let linked = look_at(changes.mount(mount), from)?.ok_or(ErrorCode::NoEntry)?;
        let both = [(mount, from, Becoming::Itself), (to_mount, to, linked.to_come())];
        changes.announce_spots(permit, &both).await?;
        let (name, to_name) = (from.name.as_str(), to.name.as_str());
        let linked = rustix::fs::linkat(&from.dir, name, &to.dir, to_name, AtFlags::empty());
        changes.stayed_at(mount, from)?;
        changes.made_at(to_mount, to, linked)
    }

    pub(super) async fn symlink(&mut self, fd: &Fd, target: &str, path: &str) -> FsResult<()> {
        let base = self.directory(fd)?;
        let spot = self.find(&base, path, LastLink::KeepName, FileOperation::Link)?;
        let request = self.request(FileOperation::Link, base.mount, &spot);
        if leads_out(&spot.path, target) {
            let rule = "the link would lead out of the mount";
            self.effects.refuse(request, Refusal::FsDenied, rule, None);
            return Err(ErrorCode::NotPermitted.into());
        }
        let permit = self.may_change(request, &[(base.mount, &spot)]).await?;
        let done = self.symlink_now(&permit, base.mount, &spot, target).await;
        self.conclude(permit, done).await
    }

    async fn symlink_now(&mut self, permit: &Permit, mount: usize, spot: &Spot, target: &str) -> Result<(), FileError> {
        if spot.found.is_some() {
            return Err(ErrorCode::Exist.into());
        }
        if spot.directory_only {
            return Err(ErrorCode::NoEntry.into());
        }
        self.files.changes.quotas.count_created()?;
        let becoming = Becoming::Link(target.to_owned());
        self.files.changes.announce_spots(permit, &[(mount, spot, becoming)]).await?;
        let made = rustix::fs::symlinkat(target, &spot.dir, spot.name.as_str());
        self.files.changes.made_at(mount, spot, made)
    }

    /// Sets the times of what is at a path.
    pub(super) async fn set_times_below(
        &mut self,
        fd: &Fd,
        (follow, path): (PathFlags, &str),
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        let times = timestamps(access, modification)?;
        let base = self.directory(fd)?;
        let last = if follow.contains(PathFlags::SYMLINK_FOLLOW) { LastLink::Follow } else { LastLink::Keep };
        let spot = self.find(&base, path, last, FileOperation::SetTimes)?;
        let request = self.request(FileOperation::SetTimes, base.mount, &spot);
        let permit = self.may_change(request, &[(base.mount, &spot)]).await?;
        let changes = &self.files.changes;
        let set = changes.announce_touch(&permit, base.mount, &spot).await.and_then(|()| {
            let set = || rustix::fs::utimensat(&spot.dir, spot.name.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW);
            let set = changes.follow_at((base.mount, &spot), || Doing::Times, set);
            changes.stayed_at(base.mount, &spot)?;
            set
        });
        self.conclude(permit, set).await
    }

    /// Sets the times of an open file or directory.
    pub(super) async fn set_times_of(
        &mut self,
        fd: &Fd,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        let times = timestamps(access, modification)?;
        let node = self.node(fd)?;
        let spot = node_spot(&node);
        let request = self.request(FileOperation::SetTimes, node.mount, &spot);
        let permit = self.may_change(request, &[(node.mount, &spot)]).await?;
        let changes = &self.files.changes;
        let set = match node.kind {
            // A directory's handle may be one that can only be gone through.
            Kind::Directory => changes.announce_touch(&permit, node.mount, &spot).await.and_then(|()| {
                let set = rustix::fs::utimensat(&node.file, ".", &times, AtFlags::empty());
                changes.stayed_at(node.mount, &spot)?;
                Ok(set?)
            }),
            Kind::File { .. } => changes.announce_write(&node, u64::MAX).await.and_then(|()| {
                let set = changes.follow(&node, || Doing::Times, || rustix::fs::futimens(&node.file, &times));
                changes.left_open(&node)?;
                set
            }),
        };
        self.conclude(permit, set).await
    }

    /// Cuts or extends an open file.
    pub(super) async fn resize(&mut self, fd: &Fd, size: u64) -> Result<(), FileError> {
        let node = self.writable(fd)?;
        let changes = &self.files.changes;
        let may = match changes.quotas.count_write(&node, size, 0) {
            Ok(_) => changes.announce_write(&node, size).await,
            Err(error) => Err(error),
        };
        changes.reported(&node, FileOperation::Write, may)?;
        changes.follow(&node, || Doing::Length(Bytes(size)), || node.file.set_len(size))
    }

    /// A file that was opened for writing.
    pub(super) fn writable(&self, fd: &Fd) -> Result<Node, FileError> {
        let node = self.node(fd)?;
        match node.kind {
            Kind::File { writable: true, .. } => Ok(node),
            Kind::File { writable: false, .. } => Err(ErrorCode::NotPermitted.into()),
            Kind::Directory => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    pub(super) fn two_paths(
        &self,
        operation: FileOperation,
        from: (usize, &Spot),
        to: (usize, &Spot),
    ) -> EffectRequest {
        EffectRequest::File {
            operation,
            path: self.files.guest_path(from.0, &from.1.path),
            to: Some(self.files.guest_path(to.0, &to.1.path)),
        }
    }
}

/// The mount itself stays where it is, and so does a directory that is meant by `.`.
pub(super) fn can_lose_its_name(spot: &Spot) -> Result<(), FileError> {
    match (spot.name.as_str(), spot.path.as_str()) {
        (".", "") => {
            let rule = "the granted directory itself stays where it is".to_owned();
            Err(FileError::Refused { refusal: Refusal::FsDenied, rule, code: ErrorCode::Busy })
        }
        (".", _) => Err(ErrorCode::Busy.into()),
        _ => Ok(()),
    }
}

/// What is open as a spot; a file only for decisions about it.
pub(super) fn node_spot(node: &Node) -> Spot {
    let found = match node.kind {
        Kind::Directory => FileType::Directory,
        Kind::File { .. } => FileType::RegularFile,
    };
    let (path, found) = (node.path.clone(), Some(found));
    Spot { dir: node.file.clone(), name: ".".to_owned(), path, found, directory_only: false, protected_link: None }
}
