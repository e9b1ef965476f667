//! System calls that no run needs, refused with "not permitted" rather than by ending the process: a library that tries one
//! and can do without goes on. A list of what is denied, not of what is allowed: what the host's own libraries use changes
//! with their versions, and a run that dies of an update is no safety.

use std::collections::BTreeMap;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Denied whatever the arguments are, each group for its reason.
const DENIED: &[i64] = &[
    // Looks into other processes of the same user, or steers them: their memory, their open files.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Changes what a path means, on which every file rule rests.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    // New namespaces give rights within them, and with these the parts of the kernel that are attacked most.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Opens files by number or watches all of them, past any path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // Large and much attacked parts of the kernel. io_uring also does its work past this very list.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // The kernel's key rings are those of the whole user.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Changes the kernel, the machine or its clock. Only root could; where the host runs as root, it must not.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Turns off the random layout of memory for what is started next.
    libc::SYS_personality,
];

/// The same, of this processor only: access to its ports and segments.
#[cfg(target_arch = "x86_64")]
const DENIED_OF_PROCESSOR: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_OF_PROCESSOR: &[i64] = &[];

/// The second set of numbers by which this processor's kernel takes the same calls.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: Option<i64> = None;

/// Denied to `clone`: the flags that make new namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Denied to `ioctl`: they type into the terminal that this process shares with the person's shell.
const TYPING: [u64; 2] = [0x5412, 0x541c];

/// The only kinds of socket that a run opens: to the network, and to ask the kernel for this machine's addresses. Above all
/// not those of other programs (`AF_UNIX`): a container service or a desktop bus starts programs for whoever asks.
const SOCKETS: [libc::c_int; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Refuses them, to every thread of this process.
///
/// # Errors
/// Where the kernel cannot, or this processor is not known.
pub(super) fn refuse() -> Result<String, String> {
    programs()?.iter().try_for_each(|program| apply(program, seccompiler::apply_filter_all_threads))?;
    Ok(String::new())
}

/// Whether the kernel can. Found out by a thread that has them refused to itself, and ends.
///
/// # Errors
/// Why it cannot.
pub(super) fn on_trial() -> Result<String, String> {
    let trial = || programs()?.iter().try_for_each(|program| apply(program, seccompiler::apply_filter));
    let tried = thread::spawn(trial).join().unwrap_or_else(|_| Err("it cannot be tried".to_owned()));
    tried.map(|()| String::new())
}

fn apply(program: &BpfProgram, by: fn(&[seccompiler::sock_filter]) -> seccompiler::Result<()>) -> Result<(), String> {
    by(program).map_err(|error| error.to_string())
}

/// One filter for each answer: the second says that `clone3` is not there, since its flags lie in memory where no filter sees
/// them, and every C library then takes `clone`.
fn programs() -> Result<[BpfProgram; 2], String> {
    let unknown = BTreeMap::from_iter(with_other_numbers([(libc::SYS_clone3, Vec::new())]));
    Ok([program(denied()?, libc::EPERM)?, program(unknown, libc::ENOSYS)?])
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, answer: libc::c_int) -> Result<BpfProgram, String> {
    let processor: TargetArch = std::env::consts::ARCH.try_into().map_err(|_| "not for this processor".to_owned())?;
    let denied = SeccompAction::Errno(answer.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, processor);
    filter.and_then(TryInto::try_into).map_err(|error: seccompiler::BackendError| error.to_string())
}

type Rules = (i64, Vec<SeccompRule>);

fn denied() -> Result<BTreeMap<i64, Vec<SeccompRule>>, String> {
    let whole = DENIED.iter().chain(DENIED_OF_PROCESSOR).map(|number| (*number, Vec::new()));
    let by_argument = [
        (libc::SYS_clone, any_of(NAMESPACES.map(|flag| has_flag(0, flag)))?),
        (libc::SYS_ioctl, any_of(TYPING.map(|request| is(1, SeccompCmpOp::Eq, request)))?),
        (libc::SYS_socket, vec![none_of(&SOCKETS)?]),
    ];
    Ok(with_other_numbers(whole.chain(by_argument)).collect())
}

/// The rules by both sets of numbers.
fn with_other_numbers(rules: impl IntoIterator<Item = Rules>) -> impl Iterator<Item = Rules> {
    rules.into_iter().flat_map(|(number, rules)| {
        let other = OTHER_NUMBERS.map(|bit| (number | bit, rules.clone()));
        [Some((number, rules)), other].into_iter().flatten()
    })
}

fn is(argument: u8, compared: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compared, value).map_err(|error| error.to_string())
}

fn has_flag(argument: u8, flag: libc::c_int) -> Result<SeccompCondition, String> {
    let flag = u64::from(flag.cast_unsigned());
    is(argument, SeccompCmpOp::MaskedEq(flag), flag)
}

/// A rule for each condition.
fn any_of<const N: usize>(conditions: [Result<SeccompCondition, String>; N]) -> Result<Vec<SeccompRule>, String> {
    conditions.into_iter().map(|condition| rule(vec![condition?])).collect()
}

/// One rule: the kind is none of these.
fn none_of(kinds: &[libc::c_int]) -> Result<SeccompRule, String> {
    let others = kinds.iter().map(|kind| is(0, SeccompCmpOp::Ne, u64::from(kind.cast_unsigned())));
    rule(others.collect::<Result<_, _>>()?)
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// In a thread of its own: what is refused stays refused.
    fn behind_the_filter<T: Send + 'static>(act: fn() -> T) -> T {
        let thread = thread::spawn(move || {
            let applied: Result<Vec<()>, String> =
                programs().and_then(|all| all.iter().map(|one| apply(one, seccompiler::apply_filter)).collect());
            assert_eq!(applied.map(|all| all.len()), Ok(2));
            act()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    #[test]
    fn a_run_can_still_do_what_it_needs() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        assert!(listener.is_ok());
        let (started, resolved, pair) = behind_the_filter(|| {
            let started = std::process::Command::new("true").status().is_ok_and(|status| status.success());
            let resolved = std::net::ToSocketAddrs::to_socket_addrs("localhost:80").is_ok();
            (started && thread::spawn(|| ()).join().is_ok(), resolved, UnixStream::pair().is_ok())
        });
        assert!(started && resolved && pair, "{started} {resolved} {pair}");
    }

    #[test]
    fn sockets_of_other_programs_are_refused() {
        let refused = behind_the_filter(|| UnixStream::connect("/nowhere").map_err(|error| error.kind()));
        assert_eq!(refused.err(), Some(ErrorKind::PermissionDenied));
        let otherwise = UnixStream::connect("/nowhere").map_err(|error| error.kind());
        assert_eq!(otherwise.err(), Some(ErrorKind::NotFound));
    }
}
