//! A FUSE file system with one file, which stops answering: at once, or when the file is read. Speaks just enough of the
//! kernel's protocol for that.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// What the file system answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Not even the kernel's first question.
    Nothing,
    /// Everything until somebody reads.
    AllButReads,
}

/// It, mounted until this is dropped: then all that wait are sent away.
pub struct Fuse {
    point: PathBuf,
    _device: Arc<File>,
}

// Numbers and lengths of `linux/fuse.h`.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const FILE_INODE: u64 = 2;
const IN_HEADER_BYTES: usize = 40;
const REQUEST_BYTES_MAX: usize = 1 << 20;

impl Fuse {
    /// Mounts it.
    pub fn mounted_at(point: &Path, answers: Answers) -> Self {
        fs::create_dir_all(point).expect("a folder");
        let device = Arc::new(OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("root may use FUSE"));
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = std::ffi::CString::new(options).expect("text");
        mount("stalled", point, "fuse", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
            .expect("root may mount");
        if answers == Answers::AllButReads {
            let device = Arc::clone(&device);
            thread::spawn(move || serve(&device));
        }
        Self { point: point.to_owned(), _device: device }
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        // Ends the connection too, so that nothing waits any more.
        let _ = unmount(&self.point, UnmountFlags::FORCE);
        let _ = unmount(&self.point, UnmountFlags::DETACH);
    }
}

/// Answers until the file system is unmounted, and reads never.
fn serve(mut device: &File) {
    let mut request = vec![0; REQUEST_BYTES_MAX];
    while let Ok(length) = device.read(&mut request) {
        if length < IN_HEADER_BYTES {
            return;
        }
        let number = |at: usize| u32::from_ne_bytes([request[at], request[at + 1], request[at + 2], request[at + 3]]);
        let (operation, node) = (number(4), u64::from(number(16)));
        let unique = request[8..16].to_vec();
        let body = match operation {
            FORGET | READ => continue,
            INIT => Ok(init()),
            GETATTR => Ok([&[0; 16][..], &attributes(node)].concat()),
            LOOKUP => Ok([&FILE_INODE.to_ne_bytes()[..], &[0; 32], &attributes(FILE_INODE)].concat()),
            OPEN | OPENDIR => Ok(vec![0; 16]),
            _ => Err(-38_i32),
        };
        let (error, body) = body.map_or_else(|error| (error, Vec::new()), |body| (0, body));
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        let answer = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique, &body].concat();
        if device.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Protocol 7.31, nothing optional.
fn init() -> Vec<u8> {
    let mut body = Vec::new();
    for word in [7_u32, 31, 0, 0, 0, 4096] {
        body.extend(word.to_ne_bytes());
    }
    body.resize(64, 0);
    body
}

/// `struct fuse_attr`: a folder with the number 1, else a file of 4 KiB.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = if node == 1 { (0o40755_u32, 0_u64) } else { (0o100_644, 4096) };
    let mut body = Vec::new();
    for word in [node, size, 8, 0, 0, 0] {
        body.extend(word.to_ne_bytes());
    }
    for word in [0_u32, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        body.extend(word.to_ne_bytes());
    }
    body
}
