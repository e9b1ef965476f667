//! Says what it is told to say, in every way in which a tool can say something.

use std::io::Write as _;

use agent_host_tool::{Level, args, log, tool};

#[args]
pub(crate) struct Say {
    /// The text, as it is.
    text: String,
}

#[args]
pub(crate) struct Amount {
    /// Mebibytes, or records.
    count: u64,
}

#[args]
pub(crate) struct Bytes {
    /// Hexadecimal digits.
    hex: String,
}

/// Returns a text.
#[tool]
pub(crate) fn say(say: Say) -> String {
    say.text
}

/// Fails with a text.
#[tool]
pub(crate) fn say_failed(say: Say) -> Result<String, String> {
    Err(say.text)
}

/// Logs a text as one record.
#[tool]
pub(crate) fn say_log(say: Say) -> String {
    log(Level::Warn, &say.text);
    "logged".to_owned()
}

/// Opens a file by this name, so that the host speaks of it.
#[tool]
pub(crate) fn say_path(say: Say) -> String {
    match std::fs::read(format!("/data/{}", say.text)) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.kind().to_string(),
    }
}

/// Prints these bytes.
#[tool]
pub(crate) fn print_bytes(bytes: Bytes) -> Result<String, String> {
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits = bytes.hex.chars().map(digit).collect::<Option<Vec<u8>>>().ok_or("no hexadecimal digits")?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect();
    std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush()).map_err(|error| error.to_string())?;
    Ok("printed".to_owned())
}

/// Prints so many mebibytes without one line break.
#[tool]
pub(crate) fn print_amount(amount: Amount) -> Result<String, String> {
    let piece = vec![b'x'; 64 << 10];
    let mut out = std::io::stderr().lock();
    for _ in 0..amount.count * 16 {
        out.write_all(&piece).map_err(|error| error.to_string())?;
    }
    Ok("printed".to_owned())
}

/// Logs so many short records.
#[tool]
pub(crate) fn log_amount(amount: Amount) -> String {
    for _ in 0..amount.count {
        log(Level::Info, "0123456789");
    }
    "logged".to_owned()
}
