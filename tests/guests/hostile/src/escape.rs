//! Reaches for what was not granted, and reports what it met. Paths are used exactly as given.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use agent_host_tool::http::Request;
use agent_host_tool::{Json, args, json, serde_json::Value, tool};

/// How much of a file, body or stream is reported.
const SHOWN_BYTES_MAX: u64 = 4096;

/// One path, as given.
#[args]
pub(crate) struct Place {
    path: String,
}

/// A link and what it points at.
#[args]
pub(crate) struct Link {
    path: String,
    target: String,
}

/// An address.
#[args]
pub(crate) struct Address {
    address: String,
}

/// A request.
#[args]
pub(crate) struct Connect {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    body: String,
}

fn get() -> String {
    "GET".to_owned()
}

/// How to leave.
#[args]
pub(crate) struct Exit {
    code: i32,
}

/// An error as the guest sees it.
pub(crate) fn seen(error: &io::Error) -> Value {
    json!({"kind": format!("{:?}", error.kind()), "os_error": error.raw_os_error(), "text": error.to_string()})
}

fn report(outcome: io::Result<Value>) -> Json<Value> {
    Json(match outcome {
        Ok(value) => json!({"ok": value}),
        Err(error) => json!({"error": seen(&error)}),
    })
}

/// Reads a file, or lists a folder.
#[tool]
pub(crate) fn read_path(place: Place) -> Json<Value> {
    report(read_any(&place.path))
}

fn read_any(path: &str) -> io::Result<Value> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        let names: io::Result<Vec<String>> =
            fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
        return Ok(names?.into());
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(SHOWN_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into())
}

/// Writes a file.
#[tool]
pub(crate) fn write_path(place: Place) -> Json<Value> {
    report(fs::write(&place.path, "hostile").map(|()| Value::Null))
}

/// Makes a symbolic link, then reads through it.
#[tool]
pub(crate) fn link(link: Link) -> Json<Value> {
    report(symlink(&link.target, &link.path).and_then(|()| read_any(&link.path)))
}

/// `std` can make links on wasip2 by an unstable function only, so the interface is called directly.
#[cfg(target_family = "wasm")]
fn symlink(target: &str, path: &str) -> io::Result<()> {
    let preopens = wasip2::filesystem::preopens::get_directories();
    for (directory, mount) in preopens {
        if let Some(relative) = path.strip_prefix(&mount) {
            let made = directory.symlink_at(target, relative.trim_start_matches('/'));
            return made.map_err(|code| io::Error::other(format!("{code:?}")));
        }
    }
    Err(io::Error::other("no mount holds that path"))
}

#[cfg(not(target_family = "wasm"))]
fn symlink(_target: &str, _path: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends an HTTP request.
#[tool]
pub(crate) fn connect(connect: Connect) -> Json<Value> {
    let request = Request { body: connect.body.into_bytes(), ..Request::new(&connect.method, &connect.url) };
    Json(match request.send() {
        Err(error) => json!({"error": error.to_string()}),
        Ok(response) => {
            let status = response.status;
            match response.read(SHOWN_BYTES_MAX as usize) {
                Ok((body, _)) => json!({"status": status, "body": String::from_utf8_lossy(&body)}),
                Err(error) => json!({"status": status, "error": error.to_string()}),
            }
        }
    })
}

/// Opens a raw TCP connection to `host:port` and says hello.
#[tool]
pub(crate) fn tcp_connect(address: Address) -> Json<Value> {
    report(TcpStream::connect(&address.address).and_then(|mut stream| {
        stream.write_all(b"hello\n")?;
        Ok("connected".into())
    }))
}

/// Shows all environment variables and arguments.
#[tool]
pub(crate) fn environment() -> Json<Value> {
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let arguments: Vec<String> = std::env::args().collect();
    Json(json!({"variables": variables, "arguments": arguments}))
}

/// Leaves the process in the middle of a call.
#[tool]
pub(crate) fn exit(exit: Exit) -> String {
    std::process::exit(exit.code)
}
