//! What a message of a client may be, before anything reads it into values: the protocol's library keeps some dozens of bytes for
//! each value, so that a mebibyte of `[0,0,0` would become many. Both transports look here.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest message of a client: as long as a call's arguments may be. What is longer is refused before it is read.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Most values in a message: twice as many as arguments may have, so that arguments with too many are told of their own bound.
const VALUES_MAX: usize = 20_000;
/// Bytes of all messages that have no answer yet, of all clients together. A hundred calls of some kilobytes are what happens.
const TOGETHER_BYTES_MAX: usize = 32 << 20;
/// What room is given out in: a small message takes one.
const UNIT_BYTES: usize = 4 << 10;

/// Whether a message has no more values than are read. Each begins it, or stands behind a bracket, a comma or a colon.
#[must_use]
pub fn has_few_values(message: &[u8]) -> bool {
    let (mut in_string, mut escaped, mut values) = (false, false, 1_usize);
    for byte in message {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' | b',' | b':' if !in_string => values += 1,
            _ => {}
        }
    }
    values <= VALUES_MAX
}

/// What is said of a message with more.
#[must_use]
pub fn too_many_values() -> String {
    format!("request_too_large: a message has at most {VALUES_MAX} values")
}

/// The room for messages that have no answer yet.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

/// Room that is taken, as long as this lives.
#[derive(Default)]
pub struct Taken {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOGETHER_BYTES_MAX / UNIT_BYTES)))
    }
}

impl Room {
    /// Makes `taken` enough for so many bytes; `None` where there is no more room.
    #[must_use]
    pub fn enlarge(&self, mut taken: Taken, bytes: usize) -> Option<Taken> {
        while taken.bytes < bytes {
            let more = bytes.saturating_sub(taken.bytes).div_ceil(UNIT_BYTES);
            let permit = Arc::clone(&self.0).try_acquire_many_owned(u32::try_from(more).ok()?).ok()?;
            match &mut taken.permit {
                Some(held) => held.merge(permit),
                None => taken.permit = Some(permit),
            }
            taken.bytes += more * UNIT_BYTES;
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_texts_are_not() {
        let numbers = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(has_few_values(numbers(VALUES_MAX - 1).as_bytes()));
        assert!(!has_few_values(numbers(VALUES_MAX).as_bytes()));
        assert!(has_few_values(format!("{{\"a\":\"\\\"{}\"}}", "[,".repeat(VALUES_MAX)).as_bytes()));
        assert!(!has_few_values("{}".repeat(VALUES_MAX).as_bytes()));
    }

    #[test]
    fn room_is_given_back() {
        let room = Room::default();
        let half = room.enlarge(Taken::default(), TOGETHER_BYTES_MAX / 2);
        let rest = half.and_then(|half| room.enlarge(half, TOGETHER_BYTES_MAX));
        assert!(rest.is_some() && room.enlarge(Taken::default(), 1).is_none());
        drop(rest);
        assert!(room.enlarge(Taken::default(), TOGETHER_BYTES_MAX).is_some());
    }
}
