//! Reading through escapes, a byte at a time: what a text says, and where in the text it says it.

/// A way to read a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lens {
    /// As it stands.
    Plain,
    /// `%2B` says `+`.
    Percent,
    /// `\/` says `/`, and so does `\u002f`.
    Json,
}

/// A byte that a text says, and the part of the text that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) byte: u8,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The longest escape, without its last character: `\u002`.
const BEGUN_MAX: usize = 5;

/// Said by an escape of a character that is in no secret: these are ASCII.
const FOREIGN: u8 = 0xff;

/// An escape that has begun. The text is read byte by byte, so it may end in another piece.
#[derive(Debug, Default)]
pub(super) struct Begun {
    bytes: [u8; BEGUN_MAX],
    length: usize,
}

/// How an escape goes on.
enum Next {
    /// It is longer.
    More,
    /// It is complete and says this.
    Says(u8),
    /// It was none.
    NotOne,
}

impl Lens {
    /// Whether an escape may begin with this byte, under any lens.
    pub(super) fn any_begins(byte: u8) -> bool {
        matches!(byte, b'%' | b'\\')
    }

    fn begins(self, byte: u8) -> bool {
        match self {
            Self::Plain => false,
            Self::Percent => byte == b'%',
            Self::Json => byte == b'\\',
        }
    }

    fn next(self, begun: &[u8], byte: u8) -> Next {
        match (self, begun) {
            (Self::Plain, _) => Next::NotOne,
            (Self::Percent, [_]) if byte.is_ascii_hexdigit() => Next::More,
            (Self::Percent, [_, high]) if byte.is_ascii_hexdigit() => Next::Says(value(*high) << 4 | value(byte)),
            (Self::Json, [_]) => simple_escape(byte),
            (Self::Json, [_, _, digits @ ..]) if byte.is_ascii_hexdigit() => match digits {
                [b'0', b'0', high] => Next::Says(ascii(value(*high) << 4 | value(byte))),
                [_, _, _] => Next::Says(FOREIGN),
                _ => Next::More,
            },
            (Self::Percent | Self::Json, _) => Next::NotOne,
        }
    }
}

fn simple_escape(byte: u8) -> Next {
    match byte {
        b'u' => Next::More,
        b'"' | b'\\' | b'/' => Next::Says(byte),
        b'b' | b'f' | b'n' | b'r' | b't' => Next::Says(FOREIGN),
        _ => Next::NotOne,
    }
}

fn ascii(byte: u8) -> u8 {
    if byte.is_ascii() { byte } else { FOREIGN }
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

impl Begun {
    /// Whether an escape is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads the byte at `at` and passes on what the text is then known to say.
    pub(super) fn read(&mut self, lens: Lens, byte: u8, at: u64, say: &mut impl FnMut(Said)) {
        if self.length > 0 {
            match lens.next(&self.bytes[..self.length], byte) {
                Next::More => return self.add(byte),
                Next::Says(said) => {
                    let start = at - self.length as u64;
                    self.length = 0;
                    return say(Said { byte: said, start, end: at + 1 });
                }
                Next::NotOne => self.give_up(at, say),
            }
        }
        if lens.begins(byte) {
            self.add(byte);
        } else {
            say(Said { byte, start: at, end: at + 1 });
        }
    }

    /// The text ends at `at`, or goes on otherwise than an escape would: its characters stand for themselves.
    pub(super) fn give_up(&mut self, at: u64, say: &mut impl FnMut(Said)) {
        let start = at - self.length as u64;
        for (byte, start) in self.bytes[..self.length].iter().zip(start..) {
            say(Said { byte: *byte, start, end: start + 1 });
        }
        self.length = 0;
    }

    fn add(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}
