//! Whom a rule is for: every tool, the tools of one component, or one tool.

use std::fmt;
use std::str::FromStr;

use crate::name::{InvalidName, Name, ToolName};
use crate::pattern::stored_as_text;

/// Whom a rule is for. Ordered from the widest to the narrowest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// Every tool: `*`.
    Everything,
    /// The tools of one component: `files`.
    Component(Name),
    /// One tool: `files.write`.
    Tool(ToolName),
}

impl Selector {
    /// Whether the rule is for this tool.
    #[must_use]
    pub fn covers(&self, tool: &ToolName) -> bool {
        match self {
            Self::Everything => true,
            Self::Component(component) => *component == tool.component,
            Self::Tool(name) => name == tool,
        }
    }
}

impl FromStr for Selector {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text {
            "*" => Ok(Self::Everything),
            _ if text.contains('.') => text.parse().map(Self::Tool),
            _ => text.parse().map(Self::Component),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Component(component) => write!(f, "{component}"),
            Self::Tool(tool) => write!(f, "{tool}"),
        }
    }
}

stored_as_text!(Selector);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_covers_what_it_names() -> Result<(), InvalidName> {
        let tool = "files.write".parse()?;
        let cases = [("*", true), ("files", true), ("files.write", true), ("files.read", false), ("file", false)];
        for (text, covers) in cases {
            let selector: Selector = text.parse()?;
            assert_eq!((selector.covers(&tool), selector.to_string().as_str()), (covers, text));
        }
        for bad in ["", "**", "files.*", "*.write", "files.write.x"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
        Ok(())
    }
}
