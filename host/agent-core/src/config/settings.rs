//! `settings.toml`: the user's choices that are not authority. Which source wins over which is decided in the shell.

use std::str::FromStr;

use super::file::read_file;
use super::problem::{ProblemKind, Problems};
use super::quantity::InvalidQuantity;
use super::reader::{Table, Value};
use crate::run_events::{Durability, ToolMode};
use crate::units::{Bytes, Millis};

/// What a settings file states; `None` leaves a choice to the next source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSettings {
    /// The model to use where nothing else names one.
    pub model: Option<String>,
    /// The model's server.
    pub base_url: Option<String>,
    /// How tool calls are asked for.
    pub tool_mode: Option<ToolMode>,
    /// How much of the journal survives what.
    pub durability: Option<Durability>,
    /// Memory that compiling one component may take.
    pub compile_memory: Option<Bytes>,
    /// Processor time that compiling one component may take.
    pub compile_time: Option<Millis>,
    /// The file with the key that signs the end of each run: as written, so relative to the settings file.
    pub signing_key: Option<String>,
}

/// How tool calls are asked for. The last has two spellings: flags are written with `-`, keys with `_`.
pub(super) const TOOL_MODES: [(&str, ToolMode); 4] = [
    ("native", ToolMode::Native),
    ("json", ToolMode::Json),
    ("json_call_first", ToolMode::JsonCallFirst),
    ("json-call-first", ToolMode::JsonCallFirst),
];

const DURABILITIES: [(&str, Durability); 3] =
    [("strict", Durability::Strict), ("group", Durability::Group), ("relaxed", Durability::Relaxed)];

impl UserSettings {
    /// Reads the text of a settings file. `file` is its name in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        read_file(ProblemKind::SettingsInvalid, file, text, |root| Some(read_settings(root)))
    }
}

fn read_settings(root: &mut Table<'_>) -> UserSettings {
    for key in ["grant", "approval", "deny"] {
        root.refuse(key, "is authority, not a choice: write it in `policy.toml` beside this file");
    }
    UserSettings {
        model: root.get("model").and_then(|value| read_line(&value)),
        base_url: root.get("base_url").and_then(|value| read_line(&value)),
        tool_mode: root.get("tool_mode").and_then(|value| value.one_of(&TOOL_MODES)),
        durability: root.get("durability").and_then(|value| value.one_of(&DURABILITIES)),
        compile_memory: root.get("compile_memory").and_then(|value| read_compile_limit(&value)),
        compile_time: root.get("compile_time").and_then(|value| read_compile_limit(&value)),
        signing_key: root.get("signing_key").and_then(|value| read_line(&value)),
    }
}

/// A quantity of which a compile takes at least something.
fn read_compile_limit<T: FromStr<Err = InvalidQuantity> + Default + PartialEq>(value: &Value<'_>) -> Option<T> {
    let amount: T = value.accept(value.quantity()?.parse())?;
    if amount == T::default() {
        value.problem("with nothing at all no component compiles".to_owned(), None);
        return None;
    }
    Some(amount)
}

/// A text of one line that is not empty.
pub(super) fn read_line(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let good = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if !good {
        value.problem("an empty text, or one with control characters".to_owned(), None);
    }
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_as_they_are_written() -> Result<(), Problems> {
        let text = "model = \"anthropic:large\"\ntool_mode = \"json_call_first\"\ndurability = \"relaxed\"\n\
                    compile_memory = \"4GiB\"\ncompile_time = \"5m\"\nsigning_key = \"key.pem\"\n";
        let expected = UserSettings {
            model: Some("anthropic:large".to_owned()),
            base_url: None,
            tool_mode: Some(ToolMode::JsonCallFirst),
            durability: Some(Durability::Relaxed),
            compile_memory: Some(Bytes(4 << 30)),
            compile_time: Some(Millis(300_000)),
            signing_key: Some("key.pem".to_owned()),
        };
        assert_eq!(UserSettings::parse("settings.toml", text)?, expected);
        assert_eq!(UserSettings::parse("settings.toml", "")?, UserSettings::default());
        Ok(())
    }

    #[test]
    fn broken_settings_are_explained() {
        let text = "modle = \"x\"\ncompile_time = \"0s\"\ncompile_memory = \"2\"\ntool_mode = \"jsn\"\nbase_url = 7\n[[grant]]\ntool = \"files\"\n";
        let said = UserSettings::parse("settings.toml", text).map_err(|problems| problems.to_string());
        insta::assert_snapshot!(said.err().unwrap_or_default(), @"
        settings.toml:1:1: unknown key `modle`
          hint: did you mean `model`?
        settings.toml:2:16: with nothing at all no component compiles
        settings.toml:3:18: `compile_memory`: `2` needs one of the units `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`, for instance `64MiB`
        settings.toml:4:13: `tool_mode` cannot be `jsn`
          hint: did you mean `json`?
        settings.toml:5:12: `base_url` must be a string, not a whole number
        settings.toml:6:3: `grant` is authority, not a choice: write it in `policy.toml` beside this file
        ");
    }
}
