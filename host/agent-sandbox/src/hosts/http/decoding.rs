//! Compressed answers are decompressed here, so that guests get plain bytes, each limit is about plain bytes, and nothing
//! reaches a guest that the host could not look into. One coding at most; the others are refused.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_core::effect::Refusal;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, header};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::Error;

use crate::hosts::http::bounds::Bounds;
use crate::hosts::http::brotli_window;
use crate::hosts::http::exchange::{Failure, Reached};
use crate::hosts::http::held::{self, Share};

/// What is offered to servers, best known first.
const OFFER: HeaderValue = HeaderValue::from_static("gzip, br, zstd");

/// Up to here an answer may become as large as it likes: a short text of repetitions is no attack.
const HARMLESS_BYTES: u64 = 256 << 10;

/// Decoded at once before it is looked at.
const STEP_BYTES: usize = 64 << 10;

/// Largest look-back of zstd: what RFC 9659 lets servers use on the Web.
const ZSTD_WINDOW_BYTES_MAX: u64 = 8 << 20;

/// Decoders of the process that work at once: brotli's look-back takes 16 MiB each at worst, zstd's 8.
const DECODERS_MAX: usize = 2;

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

/// Asks for compressed answers in the codings that can be decompressed here, whatever others the guest could read: it gets
/// plain bytes in any case. Not where it wants plain ones only, or a part of a file, which cannot be decompressed.
pub(super) fn offer(headers: &mut HeaderMap) {
    let plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    let wanted = headers.get(header::ACCEPT_ENCODING).is_some_and(plain);
    if !wanted && !headers.contains_key(header::RANGE) {
        headers.insert(header::ACCEPT_ENCODING, OFFER);
    }
}

impl Coding {
    /// The coding that an answer's header names, if any.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let fields = headers.get_all(header::CONTENT_ENCODING).iter();
        let names = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
        let mut codings = names
            .map(|name| name.trim_ascii().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != b"identity");
        let coding = match codings.next().as_deref() {
            None => return Ok(None),
            Some(b"gzip" | b"x-gzip") => Self::Gzip,
            Some(b"br") => Self::Brotli,
            Some(b"zstd") => Self::Zstd,
            Some(_) => return Err(Refused::Unknown),
        };
        if codings.next().is_some() { Err(Refused::Nested) } else { Ok(Some(coding)) }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// An answer that is not decoded at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Compressed twice: each layer multiplies.
    Nested,
    /// By a coding that this host does not know.
    Unknown,
}

/// Removes what was true of the compressed bytes only.
pub(super) fn forget(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
}

/// Decompresses a whole body within its bounds, on a thread that may be busy for long: some bodies are much work and give not
/// one byte. Given up when dropped.
pub(super) async fn decode(
    coding: Coding,
    body: &Bytes,
    (bounds, share): (&Bounds, &mut Share),
) -> Result<Bytes, Cause> {
    static DECODERS: Semaphore = Semaphore::const_new(DECODERS_MAX);
    let place = DECODERS.acquire().await.map_err(|_| Cause::Broken)?;
    let given_up = GiveUp::default();
    let mut work =
        Work { coding, body: body.clone(), bounds: *bounds, share: share.split(), given_up: Arc::clone(&given_up.0) };
    let working = tokio::task::spawn_blocking(move || {
        let decoded = work.decoded();
        // Not before: the place is free when the thread is.
        drop(place);
        (decoded, work.share)
    });
    let (decoded, held) = working.await.map_err(|_| Cause::Broken)?;
    *share = held;
    decoded
}

/// Tells the thread, when dropped, that nobody waits for it any more.
#[derive(Default)]
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the thread does.
struct Work {
    coding: Coding,
    body: Bytes,
    bounds: Bounds,
    share: Share,
    given_up: Arc<AtomicBool>,
}

impl Work {
    fn decoded(&mut self) -> Result<Bytes, Cause> {
        let most = self.bounds.response_bytes.0;
        let by_ratio = (self.body.len() as u64).saturating_mul(self.bounds.ratio).max(HARMLESS_BYTES);
        let mut decoder = decoder(self.coding, &self.body, &self.given_up)?;
        let (mut decoded, mut piece) = (Vec::new(), vec![0; STEP_BYTES]);
        loop {
            let length = decoder.read(&mut piece).map_err(|_| Cause::Broken)?;
            if length == 0 {
                return Ok(decoded.into());
            }
            let total = (decoded.len() + length) as u64;
            if total > most {
                return Err(Cause::TooLarge);
            }
            if total > by_ratio {
                return Err(Cause::Ratio);
            }
            if !self.share.grow(length as u64) {
                return Err(Cause::TooMuchHeld);
            }
            held::append(&mut decoded, &piece[..length], most.min(by_ratio));
        }
    }
}

fn decoder<'a>(coding: Coding, body: &'a [u8], given_up: &'a AtomicBool) -> Result<Box<dyn Read + 'a>, Cause> {
    let input = Input { rest: body, given_up };
    Ok(match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(input)),
        Coding::Brotli if !brotli_window::is_bounded(body) => return Err(Cause::Window),
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(input, STEP_BYTES)),
        Coding::Zstd => Box::new(Frames { rest: input, current: None }),
    })
}

/// The compressed bytes, which end with an error once nobody waits for the others.
struct Input<'a> {
    rest: &'a [u8],
    given_up: &'a AtomicBool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up"));
        }
        self.rest.read(buffer)
    }
}

/// The frames of a zstd stream, one after the other.
struct Frames<'a> {
    rest: Input<'a>,
    current: Option<StreamingDecoder<Input<'a>, FrameDecoder>>,
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut frame) = self.current.take() {
                let length = frame.read(buffer)?;
                if length > 0 {
                    self.current = Some(frame);
                    return Ok(length);
                }
                self.rest.rest = frame.into_inner().rest;
            }
            if self.rest.rest.is_empty() {
                return Ok(0);
            }
            let input = Input { ..self.rest };
            let next = StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW_BYTES_MAX);
            self.current = Some(next.map_err(io::Error::other)?);
        }
    }
}

/// Why a body could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Larger than an answer may be.
    TooLarge,
    /// Larger than what was received allows.
    Ratio,
    /// The call holds too much already.
    TooMuchHeld,
    /// It asks for more to look back at than a decoder may keep.
    Window,
    /// Not what its header says.
    Broken,
}

impl Cause {
    /// As the answer's failure.
    pub(super) fn failure(self, coding: Coding, reached: Reached, bounds: &Bounds) -> Failure {
        let coding = coding.name();
        let (refusal, text) = match self {
            Self::TooLarge => return Failure::too_long(reached, bounds),
            Self::TooMuchHeld => return Failure::too_much_held(reached),
            Self::Ratio => {
                let text =
                    format!("the answer becomes more than {} times larger when it is decompressed", bounds.ratio);
                (Some(Refusal::NetLimit), text)
            }
            Self::Window => {
                let text = format!("the answer's {coding} coding wants more memory than a decoder may have");
                (Some(Refusal::NetLimit), text)
            }
            Self::Broken => (None, format!("the answer is not the {coding} that its header says")),
        };
        // Named where more may be allowed.
        let named = (self == Self::Ratio).then(|| coding.to_owned());
        Failure { reached, refusal, error: Error::HttpResponseContentCoding(named), text }
    }
}

impl Refused {
    /// As the answer's failure.
    pub(super) fn failure(self, reached: Reached) -> Failure {
        let (refusal, text) = match self {
            Self::Nested => (Refusal::NetLimit, "the answer is compressed more than once"),
            Self::Unknown => (Refusal::NetDenied, "the answer is compressed by a coding other than gzip, br and zstd"),
        };
        Failure {
            reached,
            refusal: Some(refusal),
            error: Error::HttpResponseContentCoding(None),
            text: text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::pin::pin;
    use std::time::{Duration, Instant};

    use agent_core::limits::Limits;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::hosts::http::held::Memory;

    /// 16 MiB of zeros.
    const BROTLI_BOMB: &[u8] =
        b"\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4f\x00\xc4\x61\x11\x80\xee\xfd\xdf";

    fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain)?;
        encoder.finish()
    }

    /// A frame with a window of 8 MiB and these blocks: a byte and how often it is repeated.
    fn zstd(window: u8, blocks: &[(u8, u32)]) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
        for (place, (byte, times)) in blocks.iter().enumerate() {
            let header = times << 3 | 0b10 | u32::from(place + 1 == blocks.len());
            frame.extend(&header.to_le_bytes()[..3]);
            frame.push(*byte);
        }
        frame
    }

    async fn check(coding: Coding, body: Vec<u8>, limits: &Limits) -> (Result<Bytes, Cause>, u64) {
        let memory = Memory::new(u64::MAX);
        let mut share = memory.share();
        let decoded = decode(coding, &body.into(), (&Bounds::of(limits), &mut share)).await;
        (decoded, share.bytes())
    }

    #[tokio::test]
    async fn each_coding_is_decoded() -> io::Result<()> {
        let brotli = b"\x1b\x16\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x20\x6f\x21\x4f\x1c\xe0\x38".to_vec();
        let twice = [gzip(b"hello hello ")?, gzip(b"hello hello")?].concat();
        let frames = [zstd(0, &[(b'h', 2), (b'o', 1)]), zstd(0, &[(b'!', 1)])].concat();
        for (coding, body, plain) in [
            (Coding::Gzip, twice, "hello hello hello hello"),
            (Coding::Brotli, brotli, "hello hello hello hello"),
            (Coding::Zstd, frames, "hho!"),
        ] {
            assert_eq!(check(coding, body, &Limits::STANDARD).await.0, Ok(Bytes::from(plain)), "{coding:?}");
        }
        Ok(())
    }

    /// Whatever they would become, no more than the limit is ever held of them.
    #[tokio::test]
    async fn bombs_are_stopped_at_their_bounds() -> io::Result<()> {
        let by_size = Limits { http_ratio: u64::MAX, ..Limits::STANDARD };
        let bombs = [
            (Coding::Gzip, gzip(&vec![0; 16 << 20])?),
            (Coding::Brotli, BROTLI_BOMB.to_vec()),
            (Coding::Zstd, zstd(13 << 3, &[(0, 128 << 10); 128])),
        ];
        for (coding, bomb) in bombs {
            let (stopped, held) = check(coding, bomb.clone(), &Limits::STANDARD).await;
            assert_eq!(stopped, Err(Cause::Ratio), "{coding:?}");
            assert!(held <= HARMLESS_BYTES.max(bomb.len() as u64 * 100), "{coding:?}: {held}");
            let (stopped, held) = check(coding, bomb, &by_size).await;
            assert_eq!(stopped, Err(Cause::TooLarge), "{coding:?}");
            assert!(held <= Limits::STANDARD.http_response_bytes.0, "{coding:?}: {held}");
        }
        Ok(())
    }

    /// Frames, members and blocks that hold nothing are work all the same. Whoever waits for it can give it up, and everything
    /// else goes on meanwhile.
    #[tokio::test]
    async fn a_body_that_decodes_to_nothing_holds_nobody_up() -> io::Result<()> {
        let body = |piece: &[u8]| Bytes::from(piece.repeat((8 << 20) / piece.len()));
        // A window of 16 bits, then blocks of metadata without a byte.
        let brotli = [&[0b0000_1100][..], &body(&[0b0000_0110])].concat().into();
        for (coding, body) in
            [(Coding::Zstd, body(&zstd(0, &[(0, 0)]))), (Coding::Gzip, body(&gzip(b"")?)), (Coding::Brotli, brotli)]
        {
            let (bounds, memory) = (Bounds::of(&Limits::STANDARD), Memory::new(u64::MAX));
            let (mut share, started, mut ticks) = (memory.share(), Instant::now(), 0);
            let mut decoding =
                pin!(tokio::time::timeout(Duration::from_millis(50), decode(coding, &body, (&bounds, &mut share))));
            while tokio::time::timeout(Duration::from_millis(5), &mut decoding).await.is_err() {
                ticks += 1;
            }
            assert!(started.elapsed() < Duration::from_millis(200), "{coding:?}: {:?}", started.elapsed());
            assert!(ticks > 0 || started.elapsed() < Duration::from_millis(20), "{coding:?}: {ticks}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_is_broken_or_looks_back_too_far_is_refused() -> io::Result<()> {
        let mut cut = gzip(b"hello hello hello hello")?;
        cut.truncate(cut.len() - 9);
        for (coding, body, cause) in [
            (Coding::Gzip, cut, Cause::Broken),
            (Coding::Gzip, b"plain".to_vec(), Cause::Broken),
            (Coding::Brotli, BROTLI_BOMB[..9].to_vec(), Cause::Broken),
            // The pattern for windows beyond the standard, 30 bits.
            (Coding::Brotli, vec![0b0001_0001, 30, 0, 0], Cause::Window),
            (Coding::Zstd, zstd(31 << 3, &[(0, 1)]), Cause::Broken),
            (Coding::Zstd, b"plain".to_vec(), Cause::Broken),
        ] {
            let shown = format!("{coding:?} {body:?}");
            assert_eq!(check(coding, body, &Limits::STANDARD).await.0, Err(cause), "{shown}");
        }
        Ok(())
    }

    #[test]
    fn what_can_be_decompressed_is_offered() {
        for (name, value, offered) in [
            ("x", "y", Some(OFFER)),
            ("accept-encoding", "deflate, gzip", Some(OFFER)),
            ("accept-encoding", "identity", Some(HeaderValue::from_static("identity"))),
            ("range", "bytes=0-9", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            offer(&mut headers);
            assert_eq!(headers.get(header::ACCEPT_ENCODING), offered.as_ref(), "{name}: {value}");
        }
    }

    #[test]
    fn at_most_one_known_coding_is_taken() {
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&["identity"], Ok(None)),
            (&["gzip"], Ok(Some(Coding::Gzip))),
            (&["X-GZIP , identity"], Ok(Some(Coding::Gzip))),
            (&["br"], Ok(Some(Coding::Brotli))),
            (&["zstd"], Ok(Some(Coding::Zstd))),
            (&["gzip, gzip"], Err(Refused::Nested)),
            (&["gzip", "br"], Err(Refused::Nested)),
            (&["deflate"], Err(Refused::Unknown)),
            (&["dcz"], Err(Refused::Unknown)),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(Coding::of(&headers), expected, "{values:?}");
        }
    }
}
