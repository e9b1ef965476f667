//! Repeats the secret that it was sent, in every form that a server might: what the host must take out again before a guest, a
//! record or a person sees it.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::streams::gzip;

/// Answers a request with this head. Whoever sends `expected` as `authorization` is known.
pub(super) fn give(stream: &mut impl Write, head: &str, expected: &str) -> io::Result<()> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let sent = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
    let known = if sent == expected { "I know you" } else { "who are you?" };
    let secret = sent.rsplit(' ').next().unwrap_or_default();
    match path {
        "/headers" => {
            let (token, code) = (percent(secret, 0), base64(secret, 1));
            let fields = format!("location: /next?token={token}\r\nset-cookie: id={secret}\r\nx-echo: {code}");
            answer(stream, &format!("302 Found\r\n{fields}"), known.as_bytes())
        }
        "/forms" => answer(stream, "200 OK", format!("{known}\n{}", forms(secret)).as_bytes()),
        "/chunks" => chunked(stream, format!("{known}\n{}", forms(secret)).as_bytes()),
        "/gzip" => answer(stream, "200 OK\r\ncontent-encoding: gzip", &gzip(secret.as_bytes())?),
        "/unknown-coding" => answer(stream, "200 OK\r\ncontent-encoding: x-own", secret.as_bytes()),
        // What is no answer at all may show in the words of whoever tried to read it.
        "/garbage" => write!(stream, "HTTP/{secret} {secret}\r\n{secret}\r\n\r\n"),
        "/reason" => answer(stream, &format!("500 {secret}"), known.as_bytes()),
        "/cut" => write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{secret}"),
        _ => answer(stream, "200 OK", known.as_bytes()),
    }
}

fn answer(stream: &mut impl Write, head: &str, body: &[u8]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// A chunk for each byte, each sent by itself.
fn chunked(stream: &mut impl Write, body: &[u8]) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")?;
    for byte in body {
        stream.write_all(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n'])?;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Every form, one a line.
fn forms(secret: &str) -> String {
    let json = serde_json::json!({ "token": secret, "nested": format!("{{\"t\":\"{secret}\"}}") });
    let unicode: String = secret.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
    let lines = [
        secret.to_owned(),
        base64(secret, 0),
        base64(secret, 1),
        base64(secret, 2),
        base64(secret, 1).replace('+', "-").replace('/', "_"),
        hex(secret),
        hex(secret).to_uppercase(),
        percent(secret, 0),
        percent(secret, 1),
        json.to_string(),
        unicode,
        format!("{secret}{secret}"),
    ];
    lines.join("\n")
}

fn hex(secret: &str) -> String {
    secret.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// In percent-encoding; of the letters and digits only each second one if `every` is 1.
fn percent(secret: &str, every: usize) -> String {
    secret.bytes().enumerate().fold(String::new(), |mut out, (index, byte)| {
        let plain = byte.is_ascii_alphanumeric() && (every == 0 || index % 2 == 0);
        let _ = if plain { write!(out, "{}", char::from(byte)) } else { write!(out, "%{byte:02X}") };
        out
    })
}

/// In base64 after `shift` other bytes, and before one more.
fn base64(secret: &str, shift: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{}{secret}~", "~".repeat(shift));
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let characters = (0..=group.len()).map(|place| char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        out.extend(characters);
    }
    out
}
