//! Output that is kept in memory up to a bound: the script's own, and that of a command substitution.

use std::cell::RefCell;
use std::rc::Rc;

use crate::stop::{Outcome, Stop};

/// Bytes up to a bound; beyond it they are counted, up to a second bound, which ends the script.
#[derive(Clone)]
pub(crate) struct Captured(Rc<RefCell<Kept>>);

struct Kept {
    bytes: Vec<u8>,
    left_out: u64,
    bounds: Bounds,
}

/// How much is kept, and how much more may be written for nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) kept_max: usize,
    pub(crate) left_out_max: u64,
    /// What is written, for the error: `the output`.
    pub(crate) of: &'static str,
}

impl Captured {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(Rc::new(RefCell::new(Kept { bytes: Vec::new(), left_out: 0, bounds })))
    }

    pub(crate) fn push(&self, bytes: &[u8]) -> Outcome<()> {
        let mut kept = self.0.borrow_mut();
        let fits = (kept.bounds.kept_max - kept.bytes.len()).min(bytes.len());
        kept.bytes.extend_from_slice(&bytes[..fits]);
        kept.left_out += (bytes.len() - fits) as u64;
        if kept.left_out <= kept.bounds.left_out_max {
            return Ok(());
        }
        let most = kept.bounds.kept_max as u64 + kept.bounds.left_out_max;
        Err(Stop::Limit(format!("{} has more than {most} bytes", kept.bounds.of)))
    }

    /// What was kept, and how many bytes were not.
    pub(crate) fn take(&self) -> (Vec<u8>, u64) {
        let mut kept = self.0.borrow_mut();
        (std::mem::take(&mut kept.bytes), kept.left_out)
    }
}
