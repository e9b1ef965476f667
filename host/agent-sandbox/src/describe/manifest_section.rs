//! The custom section `agent-host:manifest`: the text of a tool's `tool.toml` inside its component, so that one file carries all
//! that its author says of it. `agent-host tool pack` writes it; where no `tool.toml` stands beside the component, it counts.

use agent_tool_docs::section;

/// The section's name.
const NAME: &str = "agent-host:manifest";

/// Largest section: no manifest is longer, as a file or inside.
const BYTES_MAX: usize = 1 << 20;

/// Why the section is no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoManifest {
    /// It is longer than any manifest.
    #[error("section `{NAME}` has {0} bytes: at most {BYTES_MAX} are read")]
    TooLong(usize),
    /// It is not text.
    #[error("section `{NAME}` is not UTF-8 text")]
    NotText,
}

/// The manifest's text in `component`; `None` where it has none.
///
/// # Errors
/// Where it is not text, or longer than any manifest.
pub fn read(component: &[u8]) -> Result<Option<String>, NoManifest> {
    let Some(data) = section::last(component, NAME) else { return Ok(None) };
    if data.len() > BYTES_MAX {
        return Err(NoManifest::TooLong(data.len()));
    }
    let text = std::str::from_utf8(data).map_err(|_| NoManifest::NotText)?;
    Ok(Some(text.to_owned()))
}

/// `component` with this manifest instead of any that it had.
#[must_use]
pub fn write(component: &[u8], manifest: &str) -> Vec<u8> {
    section::replace(component, NAME, manifest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_last() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert_eq!(read(empty), Ok(None));
        let packed = write(&write(empty, "[tool]"), "[tool] # ß");
        assert_eq!(read(&packed), Ok(Some("[tool] # ß".to_owned())));
        let long = write(empty, &"\n".repeat(BYTES_MAX + 1));
        assert_eq!(read(&long), Err(NoManifest::TooLong(BYTES_MAX + 1)));
        let broken = section::replace(empty, NAME, &[0xff]);
        assert_eq!(read(&broken), Err(NoManifest::NotText));
    }
}
