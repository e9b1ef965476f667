//! The tools as clients see them: names, schemas, and annotations that are computed from what each tool holds, never from what
//! it says of itself.

use std::collections::HashMap;
use std::sync::Arc;

use agent_core::effect::{EffectClass, HttpMethod};
use agent_core::grant::{Access, Grant, Recovery};
use agent_core::json::JsonText;
use agent_core::run_events::LockedTool;
use anyhow::Context;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};

/// How tools are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By component and operation: `files__read`.
    Whole,
    /// By operation alone, `read`, where no two have the same.
    Operation,
}

/// What is offered.
#[derive(Debug, Default)]
pub struct Offer {
    tools: Vec<Tool>,
    /// The wire names, by the names that clients know.
    wire: HashMap<String, String>,
}

impl Offer {
    /// These tools, as locked.
    ///
    /// # Errors
    /// Where a schema cannot be read.
    pub fn new(locked: &[LockedTool], naming: Naming) -> anyhow::Result<Self> {
        let mut offer = Self::default();
        let mut alike: HashMap<String, usize> = HashMap::new();
        for tool in locked {
            *alike.entry(tool.descriptor.name.operation.skeleton()).or_default() += 1;
        }
        for tool in locked {
            let (wire, operation) = (tool.descriptor.name.wire(), &tool.descriptor.name.operation);
            // A tool that comes later takes no other's name: both are called in full then. A whole name has `__` in it, and no
            // operation has.
            let name = match naming {
                Naming::Operation if alike[&operation.skeleton()] == 1 => operation.to_string(),
                Naming::Operation | Naming::Whole => wire.clone(),
            };
            offer.wire.insert(name.clone(), wire);
            offer.tools.push(described(name, tool)?);
        }
        Ok(offer)
    }

    /// All of them, in the order in which they were found.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The wire name of a tool that a client names. One that there is not keeps its name, and the record says so.
    #[must_use]
    pub fn wire<'n>(&'n self, name: &'n str) -> &'n str {
        self.wire.get(name).map_or(name, String::as_str)
    }

    /// The tool of that name.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

fn described(name: String, tool: &LockedTool) -> anyhow::Result<Tool> {
    let read = |schema: &JsonText| -> anyhow::Result<Arc<JsonObject>> {
        let object = serde_json::from_str(schema.as_str());
        Ok(Arc::new(object.with_context(|| format!("a schema of `{name}` is no JSON object"))?))
    };
    let descriptor = &tool.descriptor;
    let (input, output) = (read(&descriptor.input_schema)?, descriptor.output_schema.as_ref().map(read).transpose()?);
    let described = Tool::new(name, descriptor.description.clone(), input);
    let described = described.with_annotations(annotations(&tool.authority.grant));
    // The library leaves it out for clients whose version of the protocol knows objects alone.
    Ok(output.map_or_else(|| described.clone(), |output| described.clone().with_raw_output_schema(output)))
}

/// What a client may tell its user about a tool. A tool that holds nothing can only compute.
fn annotations(grant: &Grant) -> ToolAnnotations {
    let changes_files = grant.fs.iter().any(|fs| fs.access == Access::Write || fs.recovery == Recovery::Doubt);
    let sends = grant.http.iter().any(|http| {
        let reads = |method: &HttpMethod| matches!(method, HttpMethod::Get | HttpMethod::Head);
        !http.methods.iter().all(reads) || http.class.is_some_and(|class| class > EffectClass::Read)
    });
    let keeps = grant.kv.iter().any(|kv| kv.access == Access::Write);
    let read_only = !changes_files && !sends && !keeps;
    let annotations = ToolAnnotations::new().read_only(read_only).open_world(!grant.http.is_empty());
    if read_only {
        return annotations;
    }
    // Its stores are its own: what it forgets there, nobody else had.
    annotations.destructive(changes_files || sends).idempotent(false)
}

#[cfg(test)]
mod tests {
    use agent_core::config::ceiling::Ceiling;
    use agent_core::config::resolve::ToolAuthority;
    use agent_core::digest::Digest;
    use agent_core::grant::{FsGrant, HttpGrant, KvGrant, RuleSource};
    use agent_core::name::ToolName;
    use agent_core::tool::ToolDescriptor;

    use super::*;

    fn locked(name: &str) -> Result<LockedTool, Box<dyn std::error::Error>> {
        let name: ToolName = name.parse()?;
        let (input_schema, component) = (JsonText::parse(r#"{"type":"object"}"#)?, Digest::of(b"tool"));
        let output_schema = Some(JsonText::parse(r#"{"type":"array"}"#)?);
        let descriptor = ToolDescriptor { name: name.clone(), description: String::new(), input_schema, output_schema };
        let (ceiling, grant) = (Ceiling::nothing(), Grant::nothing());
        let (approvals, denies) = (Vec::new(), Vec::new());
        let authority = ToolAuthority { tool: name, component, ceiling, grant, approvals, denies };
        Ok(LockedTool { descriptor, component, export: None, authority })
    }

    /// A tool that comes later does not take over what a client allowed another.
    #[test]
    fn a_short_name_is_only_one_tools() -> Result<(), Box<dyn std::error::Error>> {
        let tools = ["files.read", "fetch.read", "files.write", "notes.reca11", "table.recall"];
        let locked = tools.into_iter().map(locked).collect::<Result<Vec<_>, _>>()?;
        let offer = Offer::new(&locked, Naming::Operation)?;
        let names: Vec<_> = offer.tools().iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names, ["files__read", "fetch__read", "write", "notes__reca11", "table__recall"]);
        assert_eq!((offer.wire("write"), offer.wire("read")), ("files__write", "read"));
        assert!(offer.tools().iter().all(|tool| tool.output_schema.is_some()));
        Ok(())
    }

    fn hints(grant: &Grant) -> (Option<bool>, Option<bool>, Option<bool>) {
        let of = annotations(grant);
        (of.read_only_hint, of.destructive_hint, of.open_world_hint)
    }

    #[test]
    fn annotations_say_what_a_tool_can_do_and_not_what_it_says() -> Result<(), Box<dyn std::error::Error>> {
        let source = || RuleSource("test".to_owned());
        let fs = |access, recovery| {
            let (host, mount) = ("/a".to_owned(), "/data".to_owned());
            let (unchanging, unmoved, linked) = (Vec::new(), Vec::new(), Vec::new());
            let directory = FsGrant { host, mount, access, recovery, unchanging, unmoved, linked, source: source() };
            Grant { fs: vec![directory], ..Grant::nothing() }
        };
        let http = |methods: Vec<HttpMethod>, class| -> Result<Grant, Box<dyn std::error::Error>> {
            let url = "https://example.org".parse()?;
            let granted = HttpGrant { url, methods, idempotency_header: None, class, source: source() };
            Ok(Grant { http: vec![granted], ..Grant::nothing() })
        };
        let store = KvGrant { store: "notes".parse()?, access: Access::Write, source: source() };
        for (grant, expected) in [
            (Grant::nothing(), (Some(true), None, Some(false))),
            (fs(Access::Read, Recovery::Undo), (Some(true), None, Some(false))),
            (fs(Access::Write, Recovery::Undo), (Some(false), Some(true), Some(false))),
            (http(vec![HttpMethod::Get], None)?, (Some(true), None, Some(true))),
            (http(vec![HttpMethod::Get], Some(EffectClass::OpaqueWrite))?, (Some(false), Some(true), Some(true))),
            (http(vec![HttpMethod::Post], None)?, (Some(false), Some(true), Some(true))),
            (Grant { kv: vec![store], ..Grant::nothing() }, (Some(false), Some(false), Some(false))),
        ] {
            assert_eq!(hints(&grant), expected, "{grant:?}");
        }
        Ok(())
    }
}
