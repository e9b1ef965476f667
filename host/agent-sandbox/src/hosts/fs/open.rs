//! Opening: the one way in which a guest comes to hold a file.

use std::fs::File;
use std::sync::Arc;

use agent_core::effect::FileOperation;
use agent_core::open_file::Doing;
use agent_core::path_state::Becoming;
use agent_core::units::Bytes;
use rustix::fs::{FileType, Mode, OFlags};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use crate::effects::Permit;
use crate::hosts::fs::FileError;
use crate::hosts::fs::before::not_regular;
use crate::hosts::fs::change::{Changes, Intent};
use crate::hosts::fs::handle::{Handle, open_directory, open_name};
use crate::hosts::fs::look::look_behind;
use crate::hosts::fs::node::{Kind, Node, Writing};
use crate::hosts::fs::pin::{Pinned, open_regular};
use crate::hosts::fs::walk::{LastLink, Spot};
use crate::state::CallState;

/// Permission bits of a new file, before the host's umask.
const NEW_FILE_MODE: u32 = 0o666;

/// What a guest wants to open.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    create: bool,
    exclusive: bool,
    truncate: bool,
    directory: bool,
    read: bool,
    write: bool,
}

impl Wanted {
    fn new(open: OpenFlags, flags: DescriptorFlags) -> Result<Self, ErrorCode> {
        let synced = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synced) {
            return Err(ErrorCode::Unsupported);
        }
        let changing = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open.contains(OpenFlags::DIRECTORY) && open.intersects(changing) {
            return Err(ErrorCode::Invalid);
        }
        Ok(Self {
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            truncate: open.contains(OpenFlags::TRUNCATE),
            directory: open.contains(OpenFlags::DIRECTORY),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        })
    }

    fn may_change(self) -> bool {
        self.create || self.truncate || self.write
    }

    fn operation(self) -> FileOperation {
        if self.may_change() { FileOperation::Write } else { FileOperation::Read }
    }

    fn access(self) -> OFlags {
        // To change a file is also to keep what an undo needs of it, so this host reads it whatever the guest may do.
        if self.may_change() { OFlags::RDWR } else { OFlags::RDONLY }
    }

    fn kind(self) -> Kind {
        Kind::File { readable: self.read || !self.write, writable: self.may_change() }
    }
}

impl CallState {
    /// Opens a path below a directory.
    pub(super) async fn open(
        &mut self,
        directory: &Resource<Descriptor>,
        (follow, path): (PathFlags, &str),
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let wanted = Wanted::new(open, flags)?;
        let base = self.directory(directory)?;
        let last = if follow.contains(PathFlags::SYMLINK_FOLLOW) { LastLink::Follow } else { LastLink::Keep };
        let spot = self.find(&base, path, last, wanted.operation())?;
        let request = self.request(wanted.operation(), base.mount, &spot);
        let permit = match wanted.operation() {
            FileOperation::Write => self.may_change(request, &[(base.mount, &spot)]).await?,
            _ => self.file_permit(request).await?,
        };
        let changes = self.files.changes.clone();
        let node = open_spot(&changes, base.mount, &spot, wanted, &permit).await;
        let node = self.conclude(permit, node).await?;
        Ok(self.push_node(node)?)
    }
}

async fn open_spot(
    changes: &Arc<Changes>,
    mount: usize,
    spot: &Spot,
    wanted: Wanted,
    permit: &Permit,
) -> Result<Node, FileError> {
    let node = |file: File, kind| {
        let renames_seen = changes.renames.count();
        Node { renames_seen, ..Node::opened(file, kind, mount, spot, permit.number) }
    };
    match spot.found {
        None if wanted.create && !spot.directory_only => {
            let made = node(create(changes, mount, spot, wanted, permit).await?, wanted.kind());
            let made = writing(changes, made)?;
            changes.made(mount, &spot.path, look_behind(changes.mount(mount), &made.file)?)?;
            Ok(made)
        }
        None => Err(ErrorCode::NoEntry.into()),
        Some(_) if wanted.create && wanted.exclusive => Err(ErrorCode::Exist.into()),
        Some(FileType::Symlink) => Err(ErrorCode::Loop.into()),
        Some(FileType::Directory) if wanted.may_change() => Err(ErrorCode::IsDirectory.into()),
        Some(FileType::Directory) => {
            let handle = open_directory(&spot.dir, &spot.name, Handle::Read);
            // One that cannot be listed can still be gone through.
            let handle = handle.or_else(|_| open_directory(&spot.dir, &spot.name, Handle::Pass))?;
            Ok(node(handle, Kind::Directory))
        }
        Some(FileType::RegularFile) if wanted.directory || spot.directory_only => Err(ErrorCode::NotDirectory.into()),
        Some(_) => match open_regular(&spot.dir, &spot.name, wanted.access())? {
            Pinned::Regular(file) => {
                let node = node(file, wanted.kind());
                let node = if wanted.may_change() { writing(changes, node)? } else { node };
                truncate_if(changes, &node, wanted, permit).await?;
                Ok(node)
            }
            Pinned::Other(found) => Err(not_regular(found)),
        },
    }
}

async fn create(
    changes: &Changes,
    mount: usize,
    spot: &Spot,
    wanted: Wanted,
    permit: &Permit,
) -> Result<File, FileError> {
    changes.quotas.count_created()?;
    changes.announce_spots(permit, &[(mount, spot, Becoming::New)]).await?;
    // Exclusive although the guest may not have said so: what appeared since is not what was announced.
    let flags = wanted.access() | OFlags::CREATE | OFlags::EXCL;
    match open_name(&spot.dir, &spot.name, flags, Mode::from_raw_mode(NEW_FILE_MODE)) {
        Ok(file) => Ok(File::from(file)),
        Err(errno) => {
            changes.left_nothing(&[(mount, spot.path.clone())])?;
            Err(errno.into())
        }
    }
}

/// A handle through which a file can be changed: when it is closed, it is said how the file was left.
fn writing(changes: &Arc<Changes>, node: Node) -> Result<Node, FileError> {
    if !changes.are_undone(node.mount) {
        return Ok(node);
    }
    let thing = look_behind(changes.mount(node.mount), &node.file)?.thing;
    Ok(Node { writing: Some(Writing::begin(changes, node.mount, thing, &node.file)), ..node })
}

async fn truncate_if(changes: &Changes, node: &Node, wanted: Wanted, permit: &Permit) -> Result<(), FileError> {
    if !wanted.truncate {
        return Ok(());
    }
    let mut intent = Intent::default();
    changes.take_file(&mut intent, node, 0)?;
    changes.announce(permit.number, permit.request.clone(), intent).await?;
    changes.follow(node, || Doing::Length(Bytes(0)), || node.file.set_len(0))
}
