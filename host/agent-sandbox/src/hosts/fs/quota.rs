//! How much a call may write, read and create. `change` asks before each change, `stream` before each read.

use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agent_core::effect::Refusal;
use agent_core::limits::Limits;
use agent_core::units::Bytes;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::defence::{self, Defence};
use crate::hosts::fs::FileError;
use crate::hosts::fs::node::Node;

/// Bytes of one unit in which systems count what a file occupies.
const BLOCK_BYTES: u64 = 512;

/// The quotas of one call and what is used of them.
pub(crate) struct Quotas {
    write_bytes: u64,
    read_bytes: u64,
    files: u64,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// As sizes tell: a hole counts like data.
    written: u64,
    /// As the disk tells: one byte in a hole occupies a whole block.
    occupied: u64,
    read: u64,
    created: u64,
}

/// What a file occupied before a write.
pub(crate) struct Occupied(u64);

impl Quotas {
    /// All of it still to be used.
    pub(crate) fn new(limits: &Limits) -> Self {
        let unbounded = defence::is_off(Defence::FsQuota);
        let bound = |limit: u64| if unbounded { u64::MAX } else { limit };
        Self {
            write_bytes: bound(limits.fs_write_bytes.0),
            read_bytes: bound(limits.fs_read_bytes.0),
            files: bound(limits.fs_files),
            used: Mutex::default(),
        }
    }

    /// Counts bytes about to be written at an offset. What they occupy is only known afterwards, by [`Quotas::count_occupied`]:
    /// it may exceed the quota by what one write takes, and then no other write follows.
    pub(crate) fn count_write(&self, node: &Node, offset: u64, bytes: u64) -> Result<Occupied, FileError> {
        let metadata = node.file.metadata()?;
        let growth = offset.saturating_add(bytes).saturating_sub(metadata.len());
        let mut used = self.used();
        let written = used.written.saturating_add(growth.max(bytes));
        if written > self.write_bytes || used.occupied > self.write_bytes {
            return Err(over(format!("a call may write {}", Bytes(self.write_bytes))));
        }
        used.written = written;
        Ok(Occupied(metadata.blocks()))
    }

    /// Counts what a write, or a part of one, took of the disk.
    pub(crate) fn count_occupied(&self, node: &Node, before: &Occupied) -> Result<(), FileError> {
        let blocks = node.file.metadata()?.blocks().saturating_sub(before.0);
        let mut used = self.used();
        used.occupied = used.occupied.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
        Ok(())
    }

    /// Says how many of `wanted` bytes may still be read.
    pub(crate) fn may_read(&self, wanted: usize) -> Result<usize, FileError> {
        let left = self.read_bytes - self.used().read;
        if left == 0 && wanted > 0 {
            return Err(over(format!("a call may read {}", Bytes(self.read_bytes))));
        }
        Ok(usize::try_from(left).unwrap_or(usize::MAX).min(wanted))
    }

    /// Counts bytes that were read.
    pub(crate) fn count_read(&self, bytes: usize) {
        let mut used = self.used();
        used.read = used.read.saturating_add(bytes as u64).min(self.read_bytes);
    }

    /// Counts a file, directory or link about to be created.
    pub(crate) fn count_created(&self) -> Result<(), FileError> {
        let mut used = self.used();
        if used.created >= self.files {
            return Err(over(format!("a call may create {} files and directories", self.files)));
        }
        used.created += 1;
        Ok(())
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal by a quota.
pub(crate) fn over(rule: String) -> FileError {
    FileError::Refused { refusal: Refusal::FsQuota, rule, code: ErrorCode::Quota }
}
