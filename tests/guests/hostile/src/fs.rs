//! Works on files by the interface itself, step by step, and reports what came of each step in the interface's own words. The
//! steps are the test's: any path, any order, and at the end a crash if asked for.

use agent_host_tool::{Json, args, tool};

/// What to do.
#[args]
pub(crate) struct Steps {
    /// One after the other, whatever comes of each.
    steps: Vec<Step>,
}

/// One thing to do.
#[args]
#[derive(Clone)]
pub(crate) struct Step {
    /// `read`, `write`, `mkdir` and so on.
    act: String,
    /// A mount and a path below it. What is below no mount is asked of the first one, exactly as it is.
    #[serde(default)]
    at: String,
    /// The same for a second path; the target of a symbolic link.
    #[serde(default)]
    to: String,
    /// What to write.
    #[serde(default)]
    text: String,
    /// Where, or how many bytes.
    #[serde(default)]
    bytes: u64,
    /// How many times.
    #[serde(default)]
    count: u64,
}

/// Does the steps and reports `ok`, `ok: …` or `error: …` for each.
#[tool]
pub(crate) fn fs_steps(steps: Steps) -> Json<Vec<String>> {
    Json(steps.steps.iter().map(work::report).collect())
}

#[cfg(not(target_family = "wasm"))]
mod work {
    pub(super) fn report(step: &super::Step) -> String {
        let super::Step { act, at, to, text, bytes, count } = step;
        format!("no {act} {at} {to} {text} {bytes} {count} outside of a sandbox")
    }
}

#[cfg(target_family = "wasm")]
mod work {
    use std::collections::BTreeSet;

    use wasip2::filesystem::preopens::get_directories;
    use wasip2::filesystem::types::{
        Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
        filesystem_error_code,
    };
    use wasip2::io::streams::StreamError;

    use super::Step;

    type Done = Result<String, ErrorCode>;

    /// How much of a file is read.
    const READ_BYTES_MAX: u64 = 4_096;

    /// Bytes that one write hands over.
    const BLOCK_BYTES: usize = 64 << 10;

    pub(super) fn report(step: &Step) -> String {
        match perform(step) {
            Ok(text) if text.is_empty() => "ok".to_owned(),
            Ok(text) => format!("ok: {text}"),
            Err(code) => format!("error: {}", code.name()),
        }
    }

    fn perform(step: &Step) -> Done {
        let (dir, path) = place(&step.at)?;
        let none = || Ok(String::new());
        match step.act.as_str() {
            "read" => read(&dir, &path, PathFlags::SYMLINK_FOLLOW),
            "read_all" => read_all(&dir, &path),
            "write" => write(&dir, &path, OpenFlags::CREATE | OpenFlags::TRUNCATE, step.text.as_bytes(), 0)
                .and_then(|()| none()),
            "overwrite" => {
                write(&dir, &path, OpenFlags::empty(), step.text.as_bytes(), step.bytes).and_then(|()| none())
            }
            "append" => append(&dir, &path, step.text.as_bytes()).and_then(|()| none()),
            "truncate" => open(&dir, &path, OpenFlags::TRUNCATE, DescriptorFlags::READ).and_then(|_| none()),
            "create" => open(&dir, &path, OpenFlags::CREATE, DescriptorFlags::READ).and_then(|_| none()),
            "resize" => {
                open(&dir, &path, OpenFlags::CREATE, DescriptorFlags::WRITE)?.set_size(step.bytes).and_then(|()| none())
            }
            "mkdir" => dir.create_directory_at(&path).and_then(|()| none()),
            "rmdir" => dir.remove_directory_at(&path).and_then(|()| none()),
            "unlink" => dir.unlink_file_at(&path).and_then(|()| none()),
            "touch" => touch(&dir, &path).and_then(|()| none()),
            "readlink" => dir.readlink_at(&path),
            "type" => dir.stat_at(PathFlags::empty(), &path).map(|stat| kind(stat.type_).to_owned()),
            "size" => dir.stat_at(PathFlags::SYMLINK_FOLLOW, &path).map(|stat| stat.size.to_string()),
            "list" => list(&dir, &path),
            "count" => count(&dir, &path),
            "symlink" => dir.symlink_at(&step.to, &path).and_then(|()| none()),
            "rename" | "link" => two_paths(step, &dir, &path),
            "fill" => fill(&dir, &path, step.bytes).map(|written| written.to_string()),
            "scatter" => scatter(&dir, &path, step).map(|written| written.to_string()),
            "create_many" => create_many(&dir, &path, step.count),
            "go_deep" => go_deep(dir, step.count),
            "race" => race(&dir, &path, step.count),
            "race_write" => race_write(&dir, &path, step),
            "trap" => panic!("as asked"),
            "spin" => loop {
                std::hint::black_box(0);
            },
            other => Ok(format!("there is no act `{other}`")),
        }
    }

    /// The mount that a place is below and the path from there.
    fn place(at: &str) -> Result<(Descriptor, String), ErrorCode> {
        let mut mounts = get_directories();
        let below = |mount: &str| at == mount || at.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'));
        let index = mounts.iter().position(|(_, mount)| below(mount));
        if mounts.is_empty() {
            return Err(ErrorCode::BadDescriptor);
        }
        let (dir, mount) = mounts.swap_remove(index.unwrap_or(0));
        let path = match index {
            Some(_) => at[mount.len()..].strip_prefix('/').unwrap_or("."),
            None => at,
        };
        Ok((dir, path.to_owned()))
    }

    fn open(dir: &Descriptor, path: &str, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
        dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags)
    }

    fn read(dir: &Descriptor, path: &str, follow: PathFlags) -> Done {
        let file = dir.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::READ)?;
        let (bytes, _) = file.read(READ_BYTES_MAX, 0)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn read_all(dir: &Descriptor, path: &str) -> Done {
        let file = open(dir, path, OpenFlags::empty(), DescriptorFlags::READ)?;
        let mut total = 0;
        loop {
            match file.read(u64::MAX, total) {
                Ok((bytes, end)) => {
                    total += bytes.len() as u64;
                    if end {
                        return Ok(total.to_string());
                    }
                }
                Err(code) => return Ok(format!("{total} then {}", code.name())),
            }
        }
    }

    fn write(dir: &Descriptor, path: &str, how: OpenFlags, bytes: &[u8], at: u64) -> Result<(), ErrorCode> {
        let file = open(dir, path, how, DescriptorFlags::WRITE)?;
        file.write(bytes, at).map(|_| ())
    }

    fn append(dir: &Descriptor, path: &str, bytes: &[u8]) -> Result<(), ErrorCode> {
        let file = open(dir, path, OpenFlags::empty(), DescriptorFlags::WRITE)?;
        let stream = file.append_via_stream()?;
        stream.blocking_write_and_flush(bytes).map_err(|error| stream_code(&error))
    }

    fn touch(dir: &Descriptor, path: &str) -> Result<(), ErrorCode> {
        dir.set_times_at(PathFlags::empty(), path, NewTimestamp::Now, NewTimestamp::Now)
    }

    fn list(dir: &Descriptor, path: &str) -> Done {
        let folder = open(dir, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?;
        let entries = folder.read_directory()?;
        let mut names = BTreeSet::new();
        while let Some(entry) = entries.read_directory_entry()? {
            names.insert(entry.name);
        }
        Ok(names.into_iter().collect::<Vec<_>>().join(" "))
    }

    fn count(dir: &Descriptor, path: &str) -> Done {
        let folder = open(dir, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?;
        let entries = folder.read_directory()?;
        let mut count = 0_u64;
        while entries.read_directory_entry()?.is_some() {
            count += 1;
        }
        Ok(count.to_string())
    }

    fn two_paths(step: &Step, dir: &Descriptor, path: &str) -> Done {
        let (to_dir, to_path) = place(&step.to)?;
        let done = match step.act.as_str() {
            "link" => dir.link_at(PathFlags::empty(), path, &to_dir, &to_path),
            _ => dir.rename_at(path, &to_dir, &to_path),
        };
        done.map(|()| String::new())
    }

    /// Writes as a program writes: through a stream, until it is stopped.
    fn fill(dir: &Descriptor, path: &str, bytes: u64) -> Result<u64, ErrorCode> {
        let file = open(dir, path, OpenFlags::CREATE, DescriptorFlags::WRITE)?;
        let stream = file.write_via_stream(0)?;
        let block = vec![b'x'; BLOCK_BYTES];
        let mut written = 0;
        while written < bytes {
            stream.subscribe().block();
            let room = stream.check_write().map_err(|error| stream_code(&error))?;
            let length = room.min(BLOCK_BYTES as u64).min(bytes - written);
            stream.write(&block[..length as usize]).map_err(|error| stream_code(&error))?;
            written += length;
        }
        Ok(written)
    }

    /// One byte after the other, each in a place of its own.
    fn scatter(dir: &Descriptor, path: &str, step: &Step) -> Result<u64, ErrorCode> {
        let file = open(dir, path, OpenFlags::empty(), DescriptorFlags::WRITE)?;
        for number in 0..step.count {
            file.write(b"x", number * step.bytes)?;
        }
        Ok(step.count)
    }

    fn create_many(dir: &Descriptor, path: &str, count: u64) -> Done {
        for number in 0..count {
            let name = format!("{path}/{number}");
            if let Err(code) = open(dir, &name, OpenFlags::CREATE, DescriptorFlags::WRITE) {
                return Ok(format!("{number} then {}", code.name()));
            }
        }
        Ok(count.to_string())
    }

    /// A directory in a directory, each by the handle of the one before.
    fn go_deep(mut dir: Descriptor, count: u64) -> Done {
        for number in 0..count {
            let made = dir
                .create_directory_at("d")
                .and_then(|()| open(&dir, "d", OpenFlags::DIRECTORY, DescriptorFlags::READ));
            match made {
                Ok(inner) => dir = inner,
                Err(code) => return Ok(format!("{number} then {}", code.name())),
            }
        }
        Ok(count.to_string())
    }

    /// Reads a path again and again: whether it could be read at all, and what was read. Time stands still in a call.
    fn race(dir: &Descriptor, path: &str, count: u64) -> Done {
        let mut seen = BTreeSet::new();
        for _ in 0..count {
            if let Ok(text) = read(dir, path, PathFlags::SYMLINK_FOLLOW) {
                seen.insert(text);
            }
        }
        Ok(seen.into_iter().collect::<Vec<_>>().join(" "))
    }

    /// Creates and overwrites a path again and again: how often that went well.
    fn race_write(dir: &Descriptor, path: &str, step: &Step) -> Done {
        let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let writes = (0..step.count).filter(|_| write(dir, path, how, step.text.as_bytes(), 0).is_ok()).count();
        Ok(writes.to_string())
    }

    fn stream_code(error: &StreamError) -> ErrorCode {
        match error {
            StreamError::Closed => ErrorCode::Pipe,
            StreamError::LastOperationFailed(error) => filesystem_error_code(error).unwrap_or(ErrorCode::Io),
        }
    }

    fn kind(kind: DescriptorType) -> &'static str {
        match kind {
            DescriptorType::Unknown => "unknown",
            DescriptorType::BlockDevice => "block device",
            DescriptorType::CharacterDevice => "character device",
            DescriptorType::Directory => "directory",
            DescriptorType::Fifo => "fifo",
            DescriptorType::SymbolicLink => "link",
            DescriptorType::RegularFile => "file",
            DescriptorType::Socket => "socket",
        }
    }
}
