//! Bytes that no honest server sends: compressed streams that grow, frames of HTTP/2 that nobody asked for.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// 32 MiB of zeros, made once by brotli's own encoder.
pub(super) const BROTLI_BOMB: &[u8] =
    b"\xcf\xff\xff\x7f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x9f\xff\xff\xff\xf0\x4f\x00\xc4\x61\x01\x80\xee\xfd\xff";

/// The beginning of a stream with a window of 2^30 bytes, by brotli's extension for large windows.
pub(super) const BROTLI_WINDOW: &[u8] = &[0b0001_0001, 30, 0, 0, 0, 0];

pub(super) fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// So many zeros as blocks that say "128 KiB of this byte", of four bytes each.
pub(super) fn zstd_bomb(bytes: usize) -> Vec<u8> {
    const BLOCK_BYTES: usize = 128 << 10;
    const REPEATED: usize = 0b010;
    let blocks = bytes / BLOCK_BYTES;
    // The magic number, no options, a window of 8 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3];
    for block in 1..=blocks {
        let header = BLOCK_BYTES << 3 | REPEATED | usize::from(block == blocks);
        frame.extend([header as u8, (header >> 8) as u8, (header >> 16) as u8, 0]);
    }
    frame
}

/// One frame of HTTP/2.
pub(super) fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![(length >> 16) as u8, (length >> 8) as u8, length as u8, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A thousand frames with payloads of zeros.
pub(super) fn http2_frames(kind: u8, flags: u8, stream: u32, payload_bytes: usize) -> Vec<u8> {
    http2_frame(kind, flags, stream, &vec![0; payload_bytes]).repeat(1000)
}

/// Settings, and a header that says that more of it follows.
pub(super) fn http2_header_without_end() -> Vec<u8> {
    [http2_frame(4, 0, 0, &[]), http2_frame(1, 0, 1, &[0x88])].concat()
}
