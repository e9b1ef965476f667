//! What the machine gives: the kernel, room for the sandbox's pool, open files, the clock, certificates, a keyring.

use std::fs;
use std::path::Path;

use agent_core::units::Bytes;
use agent_sandbox::Sandbox;
use agent_sandbox::sandbox::SandboxOptions;
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::clock;
use crate::keyring;

/// A clock before this is wrong: 1 January 2025. Certificates would not be valid, and times in the journal not true.
const CLOCK_MIN_MS: u64 = 1_735_689_600_000;
/// Less free memory than this, and the usual limits of a few calls do not fit.
const MEMORY_WANTED: u64 = 512 << 20;
/// Open files of a run with several busy tools.
const OPEN_FILES_WANTED: u64 = 4096;
/// The first kernel that tells which pages a call changed: without it each slot is cleared as a whole.
const PAGE_SCAN_SINCE: (u32, u32) = (6, 7);

pub(super) fn look() -> Vec<Finding> {
    vec![kernel(), page_map(), sandbox(), memory(), open_files(), cores(), clock(), certificates(), keyring()]
}

fn release() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())
}

fn kernel() -> Finding {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    match release() {
        Some(release) => Finding::ok("kernel", format!("Linux {release} on {processor}")),
        None => Finding::missing("kernel", format!("{system} on {processor}"), "Linux, for the walls around the host"),
    }
}

fn page_map() -> Finding {
    const NAME: &str = "page map";
    let known = release().and_then(|release| {
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    let readable = fs::File::open("/proc/self/pagemap").is_ok();
    match known {
        Some(version) if version >= PAGE_SCAN_SINCE && readable => {
            Finding::ok(NAME, "only what a call changed is cleared after it")
        }
        Some(_) if readable => Finding::missing(NAME, "each call is cleared up after as a whole", "Linux 6.7 or newer"),
        _ => Finding::missing(NAME, "`/proc/self/pagemap` cannot be read: calls start slower", "mount `/proc`"),
    }
}

/// The one sure sign that the pool finds room: it is laid out as for a run.
fn sandbox() -> Finding {
    let calls = SandboxOptions::default().calls_max;
    match Sandbox::new(SandboxOptions::default()) {
        Ok(_) => Finding::ok("sandbox", format!("there is room for {calls} calls at once")),
        Err(error) => {
            let strict = fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.trim() == "2");
            let cure = if strict {
                "`vm.overcommit_memory` is 2: set it to 0 or 1, the pool reserves address space and not memory"
            } else {
                "lift the limit on address space (`ulimit -v unlimited`)"
            };
            Finding::broken("sandbox", error.to_string(), cure)
        }
    }
}

fn memory() -> Finding {
    let kib = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.trim();
        line.strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    match kib.map(|kib| kib << 10) {
        Some(bytes) if bytes < MEMORY_WANTED => Finding::missing(
            "memory",
            format!("only {} are free", Bytes(bytes)),
            "end other programs, or lower `memory`",
        ),
        Some(bytes) => Finding::ok("memory", format!("{} are free", Bytes(bytes))),
        None => Finding::ok("memory", "this system does not say how much is free"),
    }
}

fn open_files() -> Finding {
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < OPEN_FILES_WANTED => {
            let detail = format!("at most {most}: many calls at once may run out");
            Finding::missing("open files", detail, format!("raise the hard limit: `ulimit -Hn {OPEN_FILES_WANTED}`"))
        }
        Some(most) => Finding::ok("open files", format!("at most {most}")),
        None => Finding::ok("open files", "no limit"),
    }
}

fn cores() -> Finding {
    if getrlimit(Resource::Core).maximum == Some(0) {
        return Finding::ok("core dumps", "off");
    }
    Finding::missing("core dumps", "a crash could leave keys in a core", "`ulimit -c 0` before the host starts")
}

fn clock() -> Finding {
    if clock::now().0 >= CLOCK_MIN_MS {
        return Finding::ok("clock", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    }
    let found = jiff::Timestamp::now().strftime("it says %Y-%m-%d").to_string();
    Finding::broken("clock", found, "set it: certificates and the journal depend on it")
}

fn certificates() -> Finding {
    const PLACES: [&str; 4] = ["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/ssl/cert.pem", "/var/lib/ca-certificates"];
    let named = std::env::var_os("SSL_CERT_FILE").or_else(|| std::env::var_os("SSL_CERT_DIR"));
    let holds = |place: &Path| match fs::read_dir(place) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => place.is_file(),
    };
    let found = named.as_deref().map(Path::new).into_iter().chain(PLACES.map(Path::new)).find(|place| holds(place));
    match found {
        Some(place) => Finding::ok("certificates", format!("in {}", place.display())),
        None if cfg!(target_os = "macos") => Finding::ok("certificates", "those of the system"),
        None => Finding::missing(
            "certificates",
            "none are installed: no HTTPS, so no model of a provider",
            "install the package `ca-certificates`",
        ),
    }
}

/// Only who keeps secrets there needs one.
fn keyring() -> Finding {
    match keyring::look() {
        Ok(detail) => Finding::ok("keyring", detail),
        Err(why) => {
            let why = format!("{why:#}");
            let (detail, cure) = why.split_once("\n  hint: ").unwrap_or((&why, "keep secrets elsewhere"));
            Finding::missing("keyring", detail, cure)
        }
    }
}
