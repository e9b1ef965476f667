//! What a guest is told about a file: type, size, times, identity.

use agent_core::digest::Digest;
use rustix::fs::{AtFlags, FileType, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp,
};

use crate::hosts::fs::FileError;
use crate::hosts::fs::walk::Spot;

/// Looks at what is at a spot, without following it.
pub(crate) fn stat_spot(spot: &Spot) -> Result<Stat, FileError> {
    let stat = rustix::fs::statat(&spot.dir, spot.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
    if spot.directory_only && FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(ErrorCode::NotDirectory.into());
    }
    Ok(stat)
}

/// The type as the guest names it.
pub(crate) fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

/// Type, size and times.
pub(crate) fn descriptor_stat(stat: &Stat) -> DescriptorStat {
    DescriptorStat {
        type_: descriptor_type(FileType::from_raw_mode(stat.st_mode)),
        link_count: number(stat.st_nlink),
        size: number(stat.st_size),
        data_access_timestamp: datetime(i128::from(stat.st_atime), i128::from(stat.st_atime_nsec)),
        data_modification_timestamp: datetime(i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec)),
        status_change_timestamp: datetime(i128::from(stat.st_ctime), i128::from(stat.st_ctime_nsec)),
    }
}

/// A number by which a guest can tell two files apart. Hashed, so that it says nothing about the host's disks.
pub(crate) fn metadata_hash(stat: &Stat) -> MetadataHashValue {
    let identity = [number(stat.st_dev).to_le_bytes(), number(stat.st_ino).to_le_bytes()].concat();
    let digest = Digest::of(&identity);
    let half = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    MetadataHashValue { lower: half(0), upper: half(8) }
}

/// The times that a guest sets.
pub(crate) fn timestamps(access: NewTimestamp, modification: NewTimestamp) -> Result<Timestamps, FileError> {
    Ok(Timestamps { last_access: timespec(access)?, last_modification: timespec(modification)? })
}

fn timespec(time: NewTimestamp) -> Result<Timespec, FileError> {
    Ok(match time {
        NewTimestamp::NoChange => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        NewTimestamp::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        NewTimestamp::Timestamp(time) if time.nanoseconds < 1_000_000_000 => Timespec {
            tv_sec: time.seconds.try_into().map_err(|_| ErrorCode::Overflow)?,
            tv_nsec: time.nanoseconds.into(),
        },
        NewTimestamp::Timestamp(_) => return Err(ErrorCode::Invalid.into()),
    })
}

fn datetime(seconds: i128, nanoseconds: i128) -> Option<Datetime> {
    Some(Datetime { seconds: seconds.try_into().ok()?, nanoseconds: nanoseconds.try_into().ok()? })
}

/// These numbers have different widths on different systems.
fn number(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or(0)
}
