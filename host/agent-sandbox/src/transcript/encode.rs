//! How the values that cross to a guest become bytes of a transcript: fixed, small, without text where no text is.

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as fs;

/// A value with a byte form that is the same on every host.
pub(crate) trait Encode {
    /// Appends the byte form, up to what is shared.
    fn encode(&self, out: &mut Vec<u8>);

    /// What the byte form ends with, where somebody holds these bytes anyway: a transcript does not copy them. Asked only of a
    /// whole answer, never of a part of one.
    fn shared(&self) -> Bytes {
        Bytes::new()
    }
}

/// Bytes: one length, then the bytes.
pub(crate) struct Blob<'a>(pub(crate) &'a [u8]);

/// Appends bytes, preceded by their length.
pub(crate) fn put_blob(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Takes bytes that [`put_blob`] wrote from the front of `bytes`.
pub(super) fn take_blob<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (blob, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(blob)
}

/// LEB128: seven bits a byte, the lowest first.
pub(crate) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number that [`put_number`] wrote from the front of `bytes`.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

impl Encode for () {
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl<T: 'static> Encode for Resource<T> {
    /// A new handle needs no bytes: handles are named by their order.
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Encode for u8 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                put_number(u64::from(*self), out);
            }
        }
    )*};
}
numbers!(u16, u32, u64);

impl Encode for Blob<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_blob(self.0, out);
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        put_blob(self.as_bytes(), out);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        put_blob(self.as_bytes(), out);
    }
}

impl Encode for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_blob(self, out);
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }

    fn shared(&self) -> Bytes {
        (**self).shared()
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

macro_rules! lists {
    ($($type:ty),*) => {$(
        impl Encode for Vec<$type> {
            fn encode(&self, out: &mut Vec<u8>) {
                put_number(self.len() as u64, out);
                for value in self {
                    value.encode(out);
                }
            }
        }
    )*};
}
lists!(u32, String, (String, String), (String, Vec<u8>), Option<(String, Vec<u8>)>);

impl<T: 'static> Encode for Vec<(Resource<T>, String)> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(self.len() as u64, out);
        for (_, name) in self {
            name.encode(out);
        }
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Encode, B: Encode, C: Encode> Encode for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }
}

impl<A: Encode, B: Encode, C: Encode, D: Encode> Encode for (A, B, C, D) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
        self.3.encode(out);
    }
}

impl Encode for Datetime {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.seconds, self.nanoseconds).encode(out);
    }
}

impl Encode for fs::ErrorCode {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Encode for fs::DescriptorType {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Encode for fs::DescriptorFlags {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(flag_bits(&[
            self.contains(Self::READ),
            self.contains(Self::WRITE),
            self.contains(Self::FILE_INTEGRITY_SYNC),
            self.contains(Self::DATA_INTEGRITY_SYNC),
            self.contains(Self::REQUESTED_WRITE_SYNC),
            self.contains(Self::MUTATE_DIRECTORY),
        ]));
    }
}

impl Encode for fs::OpenFlags {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(flag_bits(&[
            self.contains(Self::CREATE),
            self.contains(Self::DIRECTORY),
            self.contains(Self::EXCLUSIVE),
            self.contains(Self::TRUNCATE),
        ]));
    }
}

impl Encode for fs::PathFlags {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(flag_bits(&[self.contains(Self::SYMLINK_FOLLOW)]));
    }
}

fn flag_bits(flags: &[bool]) -> u8 {
    flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag))
}

impl Encode for fs::DescriptorStat {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.type_, self.link_count, self.size).encode(out);
        self.data_access_timestamp.encode(out);
        self.data_modification_timestamp.encode(out);
        self.status_change_timestamp.encode(out);
    }
}

impl Encode for fs::DirectoryEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.type_, self.name.as_str()).encode(out);
    }
}

impl Encode for fs::MetadataHashValue {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.lower, self.upper).encode(out);
    }
}

impl Encode for fs::NewTimestamp {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::NoChange => out.push(0),
            Self::Now => out.push(1),
            Self::Timestamp(time) => {
                out.push(2);
                time.encode(out);
            }
        }
    }
}

impl Encode for fs::Advice {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}
