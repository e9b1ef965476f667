//! Holds a tool to the schema that its component gave for what it returns: programs rely on it. What a function of a component's
//! own types returns always fits, since its schema is derived from them. Asked after every call, wherever one is made.

use agent_core::outcome::{Content, Fault, ToolOutcome};
use agent_core::tool::ToolDescriptor;
use agent_sandbox::call::CallReport;
use agent_sandbox::component::Component;
use agent_sandbox::describe::Door;
use jsonschema::Validator;

use crate::arguments::Schemas;
use crate::exact_json;

/// Characters of what is wrong with a result: it quotes the result.
const PROBLEM_CHARS_MAX: usize = 200;

/// The report, its outcome a fault where the tool returned something else than it says that it returns.
#[must_use]
pub fn held(report: CallReport, component: &Component, tool: &ToolDescriptor, schemas: &Schemas) -> CallReport {
    let problem = match (&report.outcome, component.door) {
        (ToolOutcome::Returned { content }, Door::World) => problem(content, tool, schemas),
        (ToolOutcome::Returned { .. }, Door::Exports)
        | (ToolOutcome::Failed { .. } | ToolOutcome::Refused { .. } | ToolOutcome::Faulted { .. }, _) => None,
    };
    let Some(problem) = problem else { return report };
    let message = format!("the tool's result is not what it says that it returns: {problem}");
    // As every call that was stopped, it has kept nothing.
    CallReport { outcome: ToolOutcome::Faulted { fault: Fault::ResultInvalid, message }, kv: Vec::new(), ..report }
}

fn problem(content: &[Content], tool: &ToolDescriptor, schemas: &Schemas) -> Option<String> {
    let validator = match schemas.of_result(tool)? {
        Ok(validator) => validator,
        Err(problem) => return Some(problem),
    };
    fits(content, &validator).err()
}

fn fits(content: &[Content], validator: &Validator) -> Result<(), String> {
    let [Content::Json(json)] = content else { return Err("it is not exactly one JSON value".to_owned()) };
    let value = exact_json::read(json.as_str()).ok_or("a number in it needs more than 64 bits")?;
    validator.validate(&value).map_err(|error| {
        let said: String = error.to_string().chars().take(PROBLEM_CHARS_MAX).collect();
        format!("at `{}`: {said}", error.instance_path())
    })
}

#[cfg(test)]
mod tests {
    use agent_core::json::JsonText;

    use super::*;
    use crate::arguments;

    #[test]
    fn a_result_is_what_its_schema_says() -> Result<(), Box<dyn std::error::Error>> {
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
        let validator = arguments::compile(&JsonText::parse(schema)?)?;
        let said = |content: &[Content]| fits(content, &validator).err().unwrap_or_else(|| "fits".to_owned());
        let json = |text: &str| JsonText::parse(text).map(Content::Json);
        assert_eq!(said(&[json(r#"{"n":7}"#)?]), "fits");
        assert_eq!(said(&[json(r#"{"n":"7"}"#)?]), "at `/n`: \"7\" is not of type \"integer\"");
        assert_eq!(said(&[json(r#"{"n":100000000000000000000}"#)?]), "a number in it needs more than 64 bits");
        let one = "it is not exactly one JSON value";
        assert_eq!((said(&[]), said(&[Content::Text("7".to_owned())])), (one.to_owned(), one.to_owned()));
        assert_eq!(said(&[json(r#"{"n":7}"#)?, json("7")?]), one);
        Ok(())
    }
}
