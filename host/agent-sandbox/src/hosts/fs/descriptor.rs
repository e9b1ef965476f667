//! `wasi:filesystem/types`, method by method: each charges, records and passes on to the operation.

use std::os::fd::AsFd;

use agent_core::effect::FileOperation;
use rustix::fs::{AtFlags, Stat};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Host,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, IoError};

use crate::hosts::fs::listing::Listing;
use crate::hosts::fs::metadata::{descriptor_stat, descriptor_type, metadata_hash, stat_spot};
use crate::hosts::fs::node::{Kind, Node};
use crate::hosts::fs::stream::{CHUNK_BYTES_MAX, FileReader, FileWriter, Nothing, StreamFailure, read_at, write_at};
use crate::hosts::fs::tree::node_spot;
use crate::hosts::fs::walk::{LastLink, Spot, read_link};
use crate::hosts::fs::{FileError, wrong_handle};
use crate::state::{CallState, table_stop};
use crate::transcript::{Blob, Operation as Op};

type Fd = Resource<Descriptor>;

impl Host for CallState {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.ask(Op::FilesystemErrorCode, &[error.rep()], &())?;
        let code = match self.recall() {
            Some(told) => told,
            None => Ok(self.table.get(&error)?.downcast_ref().map(|failure: &StreamFailure| failure.code)),
        };
        self.answer(code)
    }
}

impl HostDescriptor for CallState {
    async fn open_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        self.ask(Op::OpenAt, &[fd.rep()], &(follow, &path, open, flags))?;
        let opened = match self.offline(|state| Ok(state.push_nothing()?)) {
            Some(opened) => opened,
            None => self.open(&fd, (follow, &path), open, flags).await,
        };
        self.answer(opened)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(fd.rep());
        self.table.delete(Resource::<Node>::new_own(fd.rep())).map_err(table_stop)?;
        Ok(())
    }

    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        self.ask(Op::ReadViaStream, &[fd.rep()], &offset)?;
        let stream = match self.offline(|state| Ok(state.push(Box::new(Nothing) as DynInputStream)?)) {
            Some(stream) => stream,
            None => self.reader(&fd, offset),
        };
        self.answer(stream)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        self.ask(Op::WriteViaStream, &[fd.rep()], &offset)?;
        let stream = self.writer(&fd, Some(offset));
        self.answer(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.ask(Op::AppendViaStream, &[fd.rep()], &())?;
        let stream = self.writer(&fd, None);
        self.answer(stream)
    }

    async fn read(&mut self, fd: Fd, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        self.ask(Op::FileRead, &[fd.rep()], &(len, offset))?;
        let read = match self.recall_offline() {
            Some(told) => told,
            None => {
                // Read again in a replay, too, for it counts.
                let read = self.read_now(&fd, len, offset);
                self.recall().unwrap_or(read)
            }
        };
        self.answer(read)
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        self.ask(Op::FileWrite, &[fd.rep()], &(Blob(&bytes), offset))?;
        let written = match self.recall_offline() {
            Some(told) => told,
            None => self.write_now(&fd, &bytes, offset).await.map_err(FsError::from),
        };
        self.answer(written)
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.ask(Op::SetSize, &[fd.rep()], &size)?;
        let resized = match self.recall_offline() {
            Some(told) => told,
            None => self.resize(&fd, size).await.map_err(FsError::from),
        };
        self.answer(resized)
    }

    async fn advise(&mut self, fd: Fd, offset: u64, len: u64, advice: Advice) -> FsResult<()> {
        self.ask(Op::Advise, &[fd.rep()], &(offset, len, advice))?;
        // Advice is only that: the host needs none, and what it would do is the machine's, not this call's.
        let advised = match (self.recall(), self.node(&fd)?.kind) {
            (Some(told), _) => told,
            (None, Kind::File { .. }) => Ok(()),
            (None, Kind::Directory) => Err(ErrorCode::BadDescriptor.into()),
        };
        self.answer(advised)
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.ask(Op::SyncData, &[fd.rep()], &())?;
        let synced = match self.recall_offline() {
            Some(told) => told,
            None => self.node(&fd)?.file.sync_data().map_err(|error| FileError::from(error).into()),
        };
        self.answer(synced)
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.ask(Op::Sync, &[fd.rep()], &())?;
        let synced = match self.recall_offline() {
            Some(told) => told,
            None => self.node(&fd)?.file.sync_all().map_err(|error| FileError::from(error).into()),
        };
        self.answer(synced)
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.ask(Op::GetFlags, &[fd.rep()], &())?;
        let flags = match self.recall() {
            Some(told) => told,
            None => self.flags(&fd).map_err(FsError::from),
        };
        self.answer(flags)
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.ask(Op::GetType, &[fd.rep()], &())?;
        let kind = match (self.recall(), self.node(&fd)?.kind) {
            (Some(told), _) => told,
            (None, Kind::Directory) => Ok(DescriptorType::Directory),
            (None, Kind::File { .. }) => Ok(DescriptorType::RegularFile),
        };
        self.answer(kind)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.ask(Op::Stat, &[fd.rep()], &())?;
        let stat = match self.recall() {
            Some(told) => told,
            None => self.stat_of(&fd).map(|stat| descriptor_stat(&stat)).map_err(FsError::from),
        };
        self.answer(stat)
    }

    async fn stat_at(&mut self, fd: Fd, follow: PathFlags, path: String) -> FsResult<DescriptorStat> {
        self.ask(Op::StatAt, &[fd.rep()], &(follow, &path))?;
        let looked = self.look(&fd, follow, &path).await;
        let stat = match self.recall() {
            Some(told) => told,
            None => looked.and_then(|spot| stat_spot(&spot)).map(|stat| descriptor_stat(&stat)).map_err(FsError::from),
        };
        self.answer(stat)
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.ask(Op::MetadataHash, &[fd.rep()], &())?;
        let hash = match self.recall() {
            Some(told) => told,
            None => self.stat_of(&fd).map(|stat| metadata_hash(&stat)).map_err(FsError::from),
        };
        self.answer(hash)
    }

    async fn metadata_hash_at(&mut self, fd: Fd, follow: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        self.ask(Op::MetadataHashAt, &[fd.rep()], &(follow, &path))?;
        let looked = self.look(&fd, follow, &path).await;
        let stat = match self.recall() {
            Some(told) => told,
            None => looked.and_then(|spot| stat_spot(&spot)).map(|stat| metadata_hash(&stat)).map_err(FsError::from),
        };
        self.answer(stat)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.ask(Op::ReadlinkAt, &[fd.rep()], &path)?;
        let looked = self.look(&fd, PathFlags::empty(), &path).await;
        let target = match self.recall() {
            Some(told) => told,
            None => looked.and_then(|spot| link_at(&spot)).map_err(FsError::from),
        };
        self.answer(target)
    }

    async fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.ask(Op::IsSameObject, &[fd.rep(), other.rep()], &())?;
        let identity = |node: &Node| rustix::fs::fstat(node.file.as_fd()).map(|stat| (stat.st_dev, stat.st_ino));
        let same = match self.recall() {
            Some(told) => told,
            None => Ok(identity(&self.node(&fd)?)? == identity(&self.node(&other)?)?),
        };
        self.answer(same)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        self.ask(Op::ReadDirectory, &[fd.rep()], &())?;
        let nothing = |state: &mut Self| Ok(Resource::new_own(state.push(Listing::of_nothing())?.rep()));
        let listing = match self.offline(nothing) {
            Some(listing) => listing,
            None => self.list(&fd).await,
        };
        self.answer(listing)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.ask(Op::CreateDirectoryAt, &[fd.rep()], &path)?;
        let created = match self.recall_offline() {
            Some(told) => told,
            None => self.create_directory(&fd, &path).await,
        };
        self.answer(created)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.ask(Op::RemoveDirectoryAt, &[fd.rep()], &path)?;
        let removed = match self.recall_offline() {
            Some(told) => told,
            None => self.remove(&fd, &path, AtFlags::REMOVEDIR).await,
        };
        self.answer(removed)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.ask(Op::UnlinkFileAt, &[fd.rep()], &path)?;
        let removed = match self.recall_offline() {
            Some(told) => told,
            None => self.remove(&fd, &path, AtFlags::empty()).await,
        };
        self.answer(removed)
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to_fd: Fd, to_path: String) -> FsResult<()> {
        self.ask(Op::RenameAt, &[fd.rep(), to_fd.rep()], &(&path, &to_path))?;
        let renamed = match self.recall_offline() {
            Some(told) => told,
            None => self.rename(&fd, &path, &to_fd, &to_path).await,
        };
        self.answer(renamed)
    }

    async fn link_at(&mut self, fd: Fd, follow: PathFlags, path: String, to_fd: Fd, to_path: String) -> FsResult<()> {
        self.ask(Op::LinkAt, &[fd.rep(), to_fd.rep()], &(follow, &path, &to_path))?;
        let linked = match self.recall_offline() {
            Some(told) => told,
            None if follow.contains(PathFlags::SYMLINK_FOLLOW) => Err(ErrorCode::Invalid.into()),
            None => self.link(&fd, &path, &to_fd, &to_path).await,
        };
        self.answer(linked)
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        self.ask(Op::SymlinkAt, &[fd.rep()], &(&target, &path))?;
        let linked = match self.recall_offline() {
            Some(told) => told,
            None => self.symlink(&fd, &target, &path).await,
        };
        self.answer(linked)
    }

    async fn set_times(&mut self, fd: Fd, access: NewTimestamp, modification: NewTimestamp) -> FsResult<()> {
        self.ask(Op::SetTimes, &[fd.rep()], &(access, modification))?;
        let set = match self.recall_offline() {
            Some(told) => told,
            None => self.set_times_of(&fd, access, modification).await,
        };
        self.answer(set)
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        self.ask(Op::SetTimesAt, &[fd.rep()], &(follow, &path, access, modification))?;
        let set = match self.recall_offline() {
            Some(told) => told,
            None => self.set_times_below(&fd, (follow, &path), access, modification).await,
        };
        self.answer(set)
    }
}

impl HostDirectoryEntryStream for CallState {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.ask(Op::ReadDirectoryEntry, &[stream.rep()], &())?;
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        // Goes on in a replay, too, so that what follows is the rest.
        let now = self.table.get_mut(&listing).map_err(|_| wrong_handle())?.next();
        let entry = self.recall().unwrap_or_else(|| now.map_err(FsError::from));
        self.answer(entry)
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(stream.rep());
        self.table.delete(Resource::<Listing>::new_own(stream.rep())).map_err(table_stop)?;
        Ok(())
    }
}

impl CallState {
    fn reader(&mut self, fd: &Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let node = self.readable(fd)?;
        let stream: DynInputStream = Box::new(FileReader::new(node, offset, self.files.changes.clone()));
        Ok(self.push(stream)?)
    }

    fn writer(&mut self, fd: &Fd, offset: Option<u64>) -> FsResult<Resource<DynOutputStream>> {
        if let Some(stream) = self.offline(|state| Ok(state.push(Box::new(Nothing) as DynOutputStream)?)) {
            return stream;
        }
        let node = self.writable(fd)?;
        let stream: DynOutputStream = Box::new(FileWriter::new(node, offset, self.files.changes.clone()));
        let stream = self.push(stream)?;
        if let Some(log) = self.replay.log() {
            log.file_writers.insert(stream.rep());
        }
        Ok(stream)
    }

    fn stat_of(&self, fd: &Fd) -> Result<Stat, FileError> {
        let node = self.node(fd)?;
        Ok(rustix::fs::fstat(node.file.as_fd())?)
    }

    fn readable(&self, fd: &Fd) -> Result<Node, FileError> {
        let node = self.node(fd)?;
        match node.kind {
            Kind::File { readable: true, .. } => Ok(node),
            Kind::File { readable: false, .. } => Err(ErrorCode::BadDescriptor.into()),
            Kind::Directory => Err(ErrorCode::IsDirectory.into()),
        }
    }

    fn read_now(&self, fd: &Fd, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let node = self.readable(fd)?;
        let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK_BYTES_MAX);
        let bytes = read_at(&self.files.changes, &node, offset, wanted)?;
        let end = bytes.is_empty() && wanted > 0;
        Ok((bytes, end))
    }

    async fn write_now(&mut self, fd: &Fd, bytes: &[u8], offset: u64) -> Result<u64, FileError> {
        let node = self.writable(fd)?;
        // A guest may hand over more than one chunk; it is told how much was taken, as by any write.
        let bytes = &bytes[..bytes.len().min(CHUNK_BYTES_MAX)];
        let announced = self.files.changes.announce_write(&node, offset).await;
        self.files.changes.reported(&node, FileOperation::Write, announced)?;
        write_at(&self.files.changes, &node, offset, bytes)?;
        Ok(bytes.len() as u64)
    }

    fn flags(&self, fd: &Fd) -> Result<DescriptorFlags, FileError> {
        let node = self.node(fd)?;
        let spot = node_spot(&node);
        let mut flags = DescriptorFlags::empty();
        let (read, write) = match node.kind {
            Kind::File { readable, writable } => (readable, writable),
            Kind::Directory => {
                if self.why_not_change(node.mount, &spot, FileOperation::Write).is_none() {
                    flags |= DescriptorFlags::MUTATE_DIRECTORY;
                }
                (true, false)
            }
        };
        let none = DescriptorFlags::empty();
        Ok(flags | if read { DescriptorFlags::READ } else { none } | if write { DescriptorFlags::WRITE } else { none })
    }

    /// Resolves a path that a guest wants to know something of.
    async fn look(&mut self, fd: &Fd, follow: PathFlags, path: &str) -> Result<Spot, FileError> {
        if self.replay.is_offline() {
            return Err(ErrorCode::NoEntry.into());
        }
        let base = self.directory(fd)?;
        let last = if follow.contains(PathFlags::SYMLINK_FOLLOW) { LastLink::Follow } else { LastLink::Keep };
        let spot = self.find(&base, path, last, FileOperation::Stat)?;
        self.may_look(base.mount, &spot).await?;
        Ok(spot)
    }

    async fn list(&mut self, fd: &Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let node = self.directory(fd)?;
        // Opening a directory was an effect of its own; a mount was never opened.
        let listing = if node.effect.is_none() {
            let path = self.files.guest_path(node.mount, &node.path);
            let request = agent_core::effect::EffectRequest::File { operation: FileOperation::Read, path, to: None };
            let permit = self.file_permit(request).await?;
            self.conclude(permit, Listing::of(&node.file)).await?
        } else {
            Listing::of(&node.file)?
        };
        Ok(Resource::new_own(self.push(listing)?.rep()))
    }
}

fn link_at(spot: &Spot) -> Result<String, FileError> {
    match spot.found.map(descriptor_type) {
        None => Err(ErrorCode::NoEntry.into()),
        Some(DescriptorType::SymbolicLink) => read_link(&spot.dir, &spot.name).map_err(FileError::from),
        Some(_) => Err(ErrorCode::Invalid.into()),
    }
}
