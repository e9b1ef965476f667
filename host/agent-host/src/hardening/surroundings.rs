//! What the host's own libraries read of the system, whatever is granted: how names are resolved, which certificates are
//! trusted, the program and its libraries, what the kernel says of this process. Nothing here is anybody's data.

use std::path::{Path, PathBuf};

use landlock::{AccessFs, BitFlags};

/// Names, services and the resolver. Each by itself: the rest of `/etc` is nobody's business.
const RESOLVER: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
];

/// Certificates that the system trusts, where the distributions keep them. Never `/etc/ssl` as a whole, which holds private
/// keys too.
const CERTIFICATES: [&str; 10] = [
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
];

/// Where the C library finds what it loads while it runs: modules for name lookup, and this program's libraries in a process
/// that is started to compile.
const LIBRARIES: [&str; 7] =
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/etc/ld.so.cache"];

/// What says how large this machine and this process are, and what time zone it is in.
const MACHINE: [&str; 8] = [
    "/proc/self",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/random/boot_id",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/etc/localtime",
    "/usr/share/zoneinfo",
];

/// Devices without contents, and the terminal. The engine falls back on `/dev/null` where a forked process has no page map.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What starts a program that is linked to shared libraries.
const LOADERS: [&str; 4] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// Variables by which a person names other certificates.
const CERTIFICATE_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// All of it, with what may be done there.
pub(super) fn needed() -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    // Only the host itself, for the process that compiles; it starts behind the same walls.
    let start = AccessFs::ReadFile | AccessFs::Execute;
    let fixed = RESOLVER.into_iter().chain(CERTIFICATES).chain(LIBRARIES).chain(MACHINE).map(PathBuf::from);
    let read_only = fixed.chain(resolver_folder()).chain(named_certificates());
    let devices = DEVICES.into_iter().map(PathBuf::from);
    let programs = LOADERS.into_iter().map(PathBuf::from).chain(std::env::current_exe());
    let all = read_only.map(|path| (path, read));
    all.chain(devices.map(|path| (path, device))).chain(programs.map(|path| (path, start))).collect()
}

/// Where `/etc/resolv.conf` is a link, its target's folder: the file there is replaced whenever the network changes, and a
/// rule for the file would hold for the old one only. Never `/etc` itself.
fn resolver_folder() -> Option<PathBuf> {
    let real = Path::new(RESOLVER[0]).canonicalize().ok()?;
    real.parent().filter(|folder| folder.starts_with("/run")).map(Path::to_owned)
}

fn named_certificates() -> impl Iterator<Item = PathBuf> {
    CERTIFICATE_VARIABLES.into_iter().filter_map(std::env::var_os).map(PathBuf::from)
}
