//! A set of tools that is served: loaded, locked to what each may do, and as clients see it. Runs of a server are locked to one.

use std::collections::HashSet;

use agent_core::name::Name;
use agent_core::run_events::LockedTool;

use super::offer::Offer;
use crate::toolset::{self, Loaded};

/// What in a schema says that an argument is repeated in a header of its request, for who stands between client and server.
const HEADER_OF: &str = "\"x-mcp-header\"";

/// A set of tools.
#[derive(Default)]
pub struct Tools {
    /// What runs are locked to.
    pub locked: Vec<LockedTool>,
    /// The components, with their bytes for the record.
    pub loaded: Vec<Loaded>,
    /// How clients see them.
    pub offer: Offer,
}

impl Tools {
    /// The place of the tool that a client names so.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        let wire = self.offer.wire(name);
        self.locked.iter().position(|tool| tool.descriptor.name.wire() == wire)
    }

    /// The components that are gone by now, or others than were loaded.
    #[must_use]
    pub fn gone(&self) -> HashSet<Name> {
        let gone = self.loaded.iter().filter(|loaded| !toolset::is_unchanged(loaded));
        gone.map(|loaded| loaded.found.name.clone()).collect()
    }

    /// Whether the headers of a call that were held against one schema could be others by that of this set.
    #[must_use]
    pub fn has_other_headers(&self, seen: &Self, name: &str) -> bool {
        let schema = |tools: &Self| tools.offer.tool(name).map(|tool| tool.input_schema.clone());
        let (own, seen) = (schema(self), schema(seen));
        let has_headers = [&own, &seen]
            .into_iter()
            .flatten()
            .any(|schema| serde_json::to_string(&**schema).is_ok_and(|schema| schema.contains(HEADER_OF)));
        has_headers && own != seen
    }
}

#[cfg(test)]
mod tests {
    use agent_core::config::ceiling::Ceiling;
    use agent_core::config::resolve::ToolAuthority;
    use agent_core::digest::Digest;
    use agent_core::grant::Grant;
    use agent_core::json::JsonText;
    use agent_core::name::ToolName;
    use agent_core::tool::ToolDescriptor;

    use super::*;
    use crate::mcp::offer::Naming;

    fn serving(schema: &str) -> Result<Tools, Box<dyn std::error::Error>> {
        let (name, component): (ToolName, _) = ("maps.route".parse()?, Digest::of(b"tool"));
        let input_schema = JsonText::parse(schema)?;
        let descriptor =
            ToolDescriptor { name: name.clone(), description: String::new(), input_schema, output_schema: None };
        let (ceiling, grant) = (Ceiling::nothing(), Grant::nothing());
        let authority =
            ToolAuthority { tool: name, component, ceiling, grant, approvals: Vec::new(), denies: Vec::new() };
        let locked = vec![LockedTool { descriptor, component, export: None, authority }];
        let offer = Offer::new(&locked, Naming::Whole)?;
        Ok(Tools { locked, loaded: Vec::new(), offer })
    }

    #[test]
    fn headers_are_others_where_a_schema_names_others() -> Result<(), Box<dyn std::error::Error>> {
        let plain = r#"{"type":"object","properties":{"to":{"type":"string"}}}"#;
        let wider = r#"{"type":"object","properties":{"to":{"type":"string"},"by":{"type":"string"}}}"#;
        let header = r#"{"type":"object","properties":{"to":{"type":"string","x-mcp-header":"To"}}}"#;
        for (own, seen, expected) in [
            (plain, plain, false),
            (plain, wider, false),
            (header, header, false),
            (header, plain, true),
            (plain, header, true),
        ] {
            let other = serving(own)?.has_other_headers(&serving(seen)?, "maps__route");
            assert_eq!(other, expected, "{own} after {seen}");
        }
        assert!(serving(plain)?.has_other_headers(&serving(header)?, "maps__route"));
        assert!(Tools::default().has_other_headers(&serving(header)?, "maps__route"), "it is gone");
        assert_eq!((serving(plain)?.find("maps__route"), serving(plain)?.find("maps__other")), (Some(0), None));
        Ok(())
    }
}
