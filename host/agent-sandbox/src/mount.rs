//! A granted directory as a handle: opened once by the caller, never again by path.

use std::sync::Arc;

use agent_core::grant::Access;

/// A directory of the host at one place of the guest.
#[derive(Clone)]
pub struct Mount {
    /// Where the guest sees it, such as `/data`.
    pub guest: String,
    /// What may be done below it.
    pub access: Access,
    /// The directory.
    pub dir: Arc<cap_std::fs::Dir>,
}
