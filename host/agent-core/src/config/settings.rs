//! `settings.toml`: the user's choices that are not authority. Which source wins over which is decided in the shell.

use super::file::read_file;
use super::problem::{ProblemKind, Problems};
use super::reader::{Table, Value};
use crate::event::{Durability, ToolMode};

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
}

const TOOL_MODES: [(&str, ToolMode); 3] =
    [("native", ToolMode::Native), ("json", ToolMode::Json), ("json_call_first", ToolMode::JsonCallFirst)];

const DURABILITIES: [(&str, Durability); 2] = [("strict", Durability::Strict), ("relaxed", Durability::Relaxed)];

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
    }
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
        let text = "model = \"anthropic:large\"\ntool_mode = \"json_call_first\"\ndurability = \"relaxed\"\n";
        let expected = UserSettings {
            model: Some("anthropic:large".to_owned()),
            base_url: None,
            tool_mode: Some(ToolMode::JsonCallFirst),
            durability: Some(Durability::Relaxed),
        };
        assert_eq!(UserSettings::parse("settings.toml", text)?, expected);
        assert_eq!(UserSettings::parse("settings.toml", "")?, UserSettings::default());
        Ok(())
    }

    #[test]
    fn broken_settings_are_explained() {
        let text = "modle = \"x\"\ntool_mode = \"jsn\"\nbase_url = 7\n[[grant]]\ntool = \"files\"\n";
        let said = UserSettings::parse("settings.toml", text).map_err(|problems| problems.to_string());
        insta::assert_snapshot!(said.err().unwrap_or_default(), @"
    settings.toml:1:1: unknown key `modle`
      hint: did you mean `model`?
    settings.toml:2:13: `tool_mode` cannot be `jsn`
      hint: did you mean `json`?
    settings.toml:3:12: `base_url` must be a string, not a whole number
    settings.toml:4:3: `grant` is authority, not a choice: write it in `policy.toml` beside this file
    ");
    }
}
