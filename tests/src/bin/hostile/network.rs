//! A network of the suite's own: the loopback interface and no routes, so that an attack that gets through, above all while a
//! defence is off, reaches nobody. The suite starts itself again inside it.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Tells the suite that it is inside.
const INSIDE: &str = "AGENT_HOST_HOSTILE_NETWORK";

/// Starts this program again inside a network of its own and does not come back; or says why it cannot.
pub(crate) fn enter() -> Result<(), String> {
    if std::env::var_os(INSIDE).is_some() {
        return set_loopback_up().map_err(|error| format!("its loopback interface stays down: {error}"));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let namespaces = namespaces().ok_or("the system gives no network namespace to this user")?;
    let mut command = Command::new("unshare");
    command.args(namespaces).arg("--").arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "yes");
    Err(command.exec().to_string())
}

/// What this user may ask for: a network alone, or with a user namespace around it.
fn namespaces() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
    WAYS.into_iter().find(|way| {
        Command::new("unshare").args(*way).args(["--", "true"]).output().is_ok_and(|output| output.status.success())
    })
}

/// A message that sets the first interface, which is loopback, up: `RTM_NEWLINK` with `IFF_UP`, as `ip link set lo up` sends it.
fn set_loopback_up() -> rustix::io::Result<()> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const LOOPBACK: i32 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    // The header: length, type, flags, sequence, port. The body: family and type, index, flags, and which of them count.
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    // Netlink's first protocol, that of routes, is the default.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // An acknowledgement holds an errno after its header, negated; 0 is success.
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        negated => Err(rustix::io::Errno::from_raw_os_error(negated.wrapping_neg())),
    }
}
