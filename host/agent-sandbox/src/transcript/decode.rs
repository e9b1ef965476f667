//! How bytes of a transcript become values again: the counterpart of `encode`, called where a call is replayed. Whoever wrote
//! the bytes may have been another version of this host, or nobody: what does not fit is no value.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as fs;

use super::encode::{Encode, take_blob, take_number};

/// A value that can be read back.
pub(crate) trait Decode: Sized {
    /// Takes a value from the front of `bytes`.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

/// What a guest is given where its call is replayed: a recorded value, or an object that was made anew.
pub(crate) trait Recall: Encode + Sized {
    /// The answer, from its recorded bytes and from what the host function gives now. `None` where they do not fit.
    fn recall(bytes: &[u8], now: Self) -> Option<Self>;
}

/// The value that `bytes` are, all of them.
pub(crate) fn decode_all<T: Decode>(mut bytes: &[u8]) -> Option<T> {
    let value = T::decode(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

impl<T: Decode + Encode> Recall for T {
    fn recall(bytes: &[u8], _: Self) -> Option<Self> {
        decode_all(bytes)
    }
}

impl<T: 'static> Recall for Resource<T> {
    fn recall(bytes: &[u8], now: Self) -> Option<Self> {
        bytes.is_empty().then_some(now)
    }
}

impl<T: 'static> Recall for Vec<(Resource<T>, String)> {
    /// The same names in the same order, each with its object.
    fn recall(bytes: &[u8], now: Self) -> Option<Self> {
        let names: Vec<String> = decode_all(bytes)?;
        names.iter().eq(now.iter().map(|(_, name)| name)).then_some(now)
    }
}

impl Decode for () {
    fn decode(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl Decode for u8 {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(*byte)
    }
}

impl Decode for bool {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        match u8::decode(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                Self::try_from(take_number(bytes)?).ok()
            }
        }
    )*};
}
numbers!(u16, u32, u64);

impl Decode for String {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(take_blob(bytes)?.to_vec()).ok()
    }
}

impl Decode for Vec<u8> {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        take_blob(bytes).map(<[u8]>::to_vec)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        if bool::decode(bytes)? { T::decode(bytes).map(Some) } else { Some(None) }
    }
}

macro_rules! lists {
    ($($type:ty),*) => {$(
        impl Decode for Vec<$type> {
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let count = take_number(bytes)?;
                // Grows as items are really there: the count may be anything.
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(<$type>::decode(bytes)?);
                }
                Some(items)
            }
        }
    )*};
}
lists!(u32, String, (String, Vec<u8>), Option<(String, Vec<u8>)>);

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::decode(bytes)?, B::decode(bytes)?))
    }
}

impl<A: Decode, B: Decode, C: Decode> Decode for (A, B, C) {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::decode(bytes)?, B::decode(bytes)?, C::decode(bytes)?))
    }
}

impl Decode for Datetime {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (seconds, nanoseconds) = Decode::decode(bytes)?;
        Some(Self { seconds, nanoseconds })
    }
}

/// Enums are written as their place in the interface.
fn of_place<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place)).copied()
}

impl Decode for fs::ErrorCode {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        of_place(&FS_CODES, u8::decode(bytes)?)
    }
}

impl Decode for fs::DescriptorType {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        of_place(&DESCRIPTOR_TYPES, u8::decode(bytes)?)
    }
}

impl Decode for fs::DescriptorFlags {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let bits = u8::decode(bytes)?;
        let flags = DESCRIPTOR_FLAGS.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        let flags = flags.fold(Self::empty(), |all, (_, flag)| all | *flag);
        (usize::from(bits) >> DESCRIPTOR_FLAGS.len() == 0).then_some(flags)
    }
}

impl Decode for fs::DescriptorStat {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (type_, link_count, size) = Decode::decode(bytes)?;
        let data_access_timestamp = Decode::decode(bytes)?;
        let data_modification_timestamp = Decode::decode(bytes)?;
        let status_change_timestamp = Decode::decode(bytes)?;
        Some(Self {
            type_,
            link_count,
            size,
            data_access_timestamp,
            data_modification_timestamp,
            status_change_timestamp,
        })
    }
}

impl Decode for fs::DirectoryEntry {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (type_, name) = Decode::decode(bytes)?;
        Some(Self { type_, name })
    }
}

impl Decode for fs::MetadataHashValue {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (lower, upper) = Decode::decode(bytes)?;
        Some(Self { lower, upper })
    }
}

const DESCRIPTOR_FLAGS: [fs::DescriptorFlags; 6] = [
    fs::DescriptorFlags::READ,
    fs::DescriptorFlags::WRITE,
    fs::DescriptorFlags::FILE_INTEGRITY_SYNC,
    fs::DescriptorFlags::DATA_INTEGRITY_SYNC,
    fs::DescriptorFlags::REQUESTED_WRITE_SYNC,
    fs::DescriptorFlags::MUTATE_DIRECTORY,
];

const DESCRIPTOR_TYPES: [fs::DescriptorType; 8] = [
    fs::DescriptorType::Unknown,
    fs::DescriptorType::BlockDevice,
    fs::DescriptorType::CharacterDevice,
    fs::DescriptorType::Directory,
    fs::DescriptorType::Fifo,
    fs::DescriptorType::SymbolicLink,
    fs::DescriptorType::RegularFile,
    fs::DescriptorType::Socket,
];

const FS_CODES: [fs::ErrorCode; 37] = [
    fs::ErrorCode::Access,
    fs::ErrorCode::WouldBlock,
    fs::ErrorCode::Already,
    fs::ErrorCode::BadDescriptor,
    fs::ErrorCode::Busy,
    fs::ErrorCode::Deadlock,
    fs::ErrorCode::Quota,
    fs::ErrorCode::Exist,
    fs::ErrorCode::FileTooLarge,
    fs::ErrorCode::IllegalByteSequence,
    fs::ErrorCode::InProgress,
    fs::ErrorCode::Interrupted,
    fs::ErrorCode::Invalid,
    fs::ErrorCode::Io,
    fs::ErrorCode::IsDirectory,
    fs::ErrorCode::Loop,
    fs::ErrorCode::TooManyLinks,
    fs::ErrorCode::MessageSize,
    fs::ErrorCode::NameTooLong,
    fs::ErrorCode::NoDevice,
    fs::ErrorCode::NoEntry,
    fs::ErrorCode::NoLock,
    fs::ErrorCode::InsufficientMemory,
    fs::ErrorCode::InsufficientSpace,
    fs::ErrorCode::NotDirectory,
    fs::ErrorCode::NotEmpty,
    fs::ErrorCode::NotRecoverable,
    fs::ErrorCode::Unsupported,
    fs::ErrorCode::NoTty,
    fs::ErrorCode::NoSuchDevice,
    fs::ErrorCode::Overflow,
    fs::ErrorCode::NotPermitted,
    fs::ErrorCode::Pipe,
    fs::ErrorCode::ReadOnly,
    fs::ErrorCode::InvalidSeek,
    fs::ErrorCode::TextFileBusy,
    fs::ErrorCode::CrossDevice,
];

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn reads_back<T: Encode + Decode + Debug + PartialEq>(value: &T) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(decode_all::<T>(&bytes).as_ref(), Some(value));
        bytes.push(0);
        assert_eq!(decode_all::<T>(&bytes), None);
    }

    #[test]
    fn values_read_back() {
        reads_back(&u64::MAX);
        reads_back(&Some("text".to_owned()));
        reads_back(&vec![1_u32, 300]);
        reads_back(&vec![None, Some(("key".to_owned(), vec![1_u8, 2]))]);
        reads_back(&(vec![1_u8; 200], true));
        reads_back(&(fs::DescriptorFlags::READ | fs::DescriptorFlags::MUTATE_DIRECTORY));
    }

    #[test]
    fn every_place_is_its_own_number() {
        for (place, code) in FS_CODES.iter().enumerate() {
            assert_eq!(usize::from(*code as u8), place);
        }
        for (place, kind) in DESCRIPTOR_TYPES.iter().enumerate() {
            assert_eq!(usize::from(*kind as u8), place);
        }
    }

    #[test]
    fn a_count_without_its_items_is_no_list() {
        assert_eq!(decode_all::<Vec<u32>>(&[255, 255, 255, 255, 15, 1]), None);
        assert_eq!(decode_all::<bool>(&[2]), None);
        assert_eq!(decode_all::<fs::DescriptorFlags>(&[64]), None);
    }
}
