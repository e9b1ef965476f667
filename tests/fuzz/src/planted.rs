//! A bug that is there on purpose: who does not find it in seconds does not follow coverage, and finds nothing else either.
//! Guessing it takes 256 to the power of 5 tries; one byte after the other, some hundred thousand.

/// Panics at one input only.
pub(crate) fn run(bytes: &[u8]) {
    if first_wrong(bytes, b"plant").is_none() {
        panic!("the planted bug was found");
    }
}

/// Where `bytes` first differs. Each further byte that is right reaches a line that no input before it has reached.
fn first_wrong(bytes: &[u8], secret: &[u8; 5]) -> Option<usize> {
    macro_rules! each {
        ($($at:literal)*) => {$(
            if bytes.get($at) != Some(&secret[$at]) {
                return Some($at);
            }
        )*};
    }
    each!(0 1 2 3 4);
    None
}
