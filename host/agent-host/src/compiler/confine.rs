//! What a worker takes from itself before it reads a byte that a stranger wrote: privileges to gain, memory and time without
//! end, and every system call that compiling does not need. Even where a component finds a hole in the compiler, it has no
//! file, no network and no other process to turn to, only its answer. That answer is the code that will run, and nothing can
//! check it: the cache's MAC says that this host asked for it, not that a worker which was taken over compiled it honestly. What
//! such code can do is then up to the walls around the host.

use std::io;

use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};

/// Address space beyond the memory it may take: the program itself, its libraries, and what allocators reserve and do not touch.
const SPACE_BYTES_BESIDE: u64 = 512 << 20;

/// Bytes that a worker may write to files: its complaint goes to one in memory.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Seconds from the signal that ends a worker out of time to the one that nothing can hold up.
const KILL_GRACE_S: u64 = 5;

/// Confines this process, which must have one thread.
///
/// # Errors
/// Where a limit cannot be set, or the parent is gone already.
pub fn confine(memory_bytes: u64, cpu_seconds: u64, parent: i32) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the line above.
    if getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != parent) {
        return Err(io::Error::other("the process that wanted the answer is gone"));
    }
    // Memory that can be written, and is this process's own; the program is not, however large a build of it is. Mappings that
    // are shared would not be counted: the calls below allow none, and the space bounds them where there is no such list.
    limit(Resource::Data, memory_bytes, memory_bytes)?;
    let space = space_beside(memory_bytes);
    limit(Resource::As, space, space)?;
    limit(Resource::Cpu, cpu_seconds, cpu_seconds + KILL_GRACE_S)?;
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Fsize, FILE_BYTES_MAX, FILE_BYTES_MAX)?;
    // A kernel without seccomp leaves the limits above, which are what ends a bomb.
    let _ = forbid_other_calls();
    Ok(())
}

/// The memory that a worker of this process has, where that is less than it would be given: whoever started this process left it no more.
pub fn less_from_outside(memory_bytes: u64) -> Option<u64> {
    let left = |resource, asked: u64| getrlimit(resource).maximum.filter(|left| *left < asked);
    let (data, space) = (left(Resource::Data, memory_bytes), left(Resource::As, space_beside(memory_bytes)));
    data.into_iter().chain(space).min()
}

fn space_beside(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_add(SPACE_BYTES_BESIDE)
}

/// Limits that this process was started with may be lower, and cannot be raised.
fn limit(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let before = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Ok(setrlimit(resource, Rlimit { current: Some(current.min(before)), maximum: Some(maximum.min(before)) })?)
}

/// What is not listed answers as if this kernel did not have it, so that the C library takes older ways that can be looked at
/// (`clone` for `clone3`).
fn forbid_other_calls() -> Result<(), seccompiler::Error> {
    let mut rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect::<Vec<_>>();
    rules.extend(conditional()?);
    let arch = std::env::consts::ARCH.try_into().map_err(seccompiler::Error::Backend)?;
    let missing = SeccompAction::Errno(rustix::io::Errno::NOSYS.raw_os_error().unsigned_abs());
    let filter = SeccompFilter::new(rules.into_iter().collect(), missing, SeccompAction::Allow, arch)?;
    let program: seccompiler::BpfProgram = filter.try_into()?;
    apply_filter(&program)
}

/// Memory, threads, time, and ending.
const ALLOWED: [i64; 28] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_prctl,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_membarrier,
    libc::SYS_lseek,
];

/// What is allowed only in one way: standard input and output and no other descriptor that came along, threads and no
/// processes, memory of its own that holds no code, signals to itself.
fn conditional() -> Result<Vec<(i64, Vec<SeccompRule>)>, seccompiler::Error> {
    let is = |argument, value: u64| condition(argument, SeccompCmpOp::Eq, value);
    let not_executable = || condition(2, SeccompCmpOp::MaskedEq(flag(libc::PROT_EXEC)), 0);
    let private =
        condition(3, SeccompCmpOp::MaskedEq(flag(libc::MAP_SHARED | libc::MAP_PRIVATE)), flag(libc::MAP_PRIVATE))?;
    let thread = condition(0, SeccompCmpOp::MaskedEq(flag(libc::CLONE_THREAD)), flag(libc::CLONE_THREAD))?;
    let said = || -> Result<_, seccompiler::Error> { Ok(vec![rule(is(0, 1)?)?, rule(is(0, 2)?)?]) };
    Ok(vec![
        (libc::SYS_read, vec![rule(is(0, 0)?)?]),
        (libc::SYS_write, said()?),
        (libc::SYS_writev, said()?),
        (libc::SYS_clone, vec![rule(thread)?]),
        (libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable()?, private])?]),
        (libc::SYS_mprotect, vec![rule(not_executable()?)?]),
        (libc::SYS_tgkill, vec![rule(is(0, u64::from(std::process::id()))?)?]),
    ])
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?)
}

fn rule(condition: SeccompCondition) -> Result<SeccompRule, seccompiler::Error> {
    Ok(SeccompRule::new(vec![condition])?)
}

fn flag(bits: i32) -> u64 {
    u64::from(bits.unsigned_abs())
}
