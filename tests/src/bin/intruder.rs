//! What a guest would try that broke out of the engine: started behind the walls of a run, it tries one act after the other and
//! says what came of each, one `act result` a line. `tests/hardening.rs` runs it with the walls and without.

#![expect(clippy::print_stdout, reason = "what it says is its result")]

use std::fs::{self, File, OpenOptions};
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, chroot, gethostname, getppid, sethostname};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [granted, outside] = names.as_slice() else {
        println!("usage: intruder GRANTED OUTSIDE");
        std::process::exit(2);
    };
    let file = |folder: &str, name: &str| format!("{folder}/{name}");
    // What must go on working.
    say("read_granted", fs::read(file(granted, "file")));
    say("write_granted", OpenOptions::new().append(true).open(file(granted, "file")));
    say("make_granted", File::create(file(granted, "new")));
    say("resolve", "localhost:80".to_socket_addrs().map(drop));
    say("listen_anywhere", TcpListener::bind("127.0.0.1:0"));
    say("null", OpenOptions::new().write(true).open("/dev/null"));
    // Files.
    say("read_outside", fs::read(file(outside, "file")));
    say("list_outside", fs::read_dir(outside));
    say("write_outside", File::create(file(outside, "new")));
    say("rename_out", fs::rename(file(granted, "file"), file(outside, "moved")));
    say("link_in", fs::hard_link(file(outside, "file"), file(granted, "linked")));
    say("read_passwords", fs::read("/etc/passwd"));
    say("start_shell", Command::new("/bin/sh").args(["-c", "true"]).status().map(drop));
    // Other processes, and what paths mean.
    say("ptrace", ptrace::attach(getppid()));
    say("signal", kill(getppid(), None::<Signal>));
    say("read_memory", read_memory());
    say("mount", mount(Some("none"), granted.as_str(), Some("tmpfs"), MsFlags::empty(), None::<&str>));
    say("chroot", chroot(granted.as_str()));
    say("unshare", unshare(CloneFlags::CLONE_NEWUSER));
    // Where no wall holds it, this must not rename the machine that tests run on.
    say("hostname", gethostname().and_then(sethostname));
    say("personality", personality::set(Persona::empty()).map(drop));
    // The kernel, and other programs.
    say("io_uring", io_uring::IoUring::new(2).map(drop));
    say("unix_socket", UnixStream::connect("/nowhere"));
    say("listen", TcpListener::bind("127.0.0.1:45917"));
    say("vsock", socket(AddressFamily::Vsock, SockType::Stream, SockFlag::empty(), None));
}

/// The result as the name of an error, or `ok`.
fn say<T, E: Into<std::io::Error>>(act: &str, result: Result<T, E>) {
    let said = match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => match error.into().raw_os_error() {
            Some(number) => format!("{:?}", Errno::from_raw(number)),
            None => "failed".to_owned(),
        },
    };
    println!("{act} {said}");
}

fn read_memory() -> nix::Result<usize> {
    let mut buffer = [0; 8];
    let mut into = [std::io::IoSliceMut::new(&mut buffer)];
    process_vm_readv(Pid::this(), &mut into, &[RemoteIoVec { base: 0x1000, len: 8 }])
}
