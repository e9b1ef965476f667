//! The limits of this process, set before anything else runs. They are inherited by the programs that are started: a
//! tool's build, and what asks the desktop's keyring.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files: every call that may run at once may hold a thousand handles, and the journal must still open its own. Usual
/// systems start a process with 1,024, which one guest could use up.
const OPEN_FILES_WANTED: u64 = 65_536;

/// Sets them, as far as the system allows: where it does not, the host works all the same.
pub fn set() {
    // A core would hold model keys, granted variables and the host's key, in a file that nobody looks after.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(OPEN_FILES_WANTED, |most| most.min(OPEN_FILES_WANTED));
    if files.current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: files.maximum });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_leaves_no_core_and_one_guest_cannot_take_every_file() {
        set();
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
        let files = getrlimit(Resource::Nofile);
        let most = files.maximum.unwrap_or(u64::MAX).min(OPEN_FILES_WANTED);
        assert!(files.current.is_none_or(|current| current >= most), "{files:?}");
    }
}
