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
use crate::report::text;

/// Characters of what is wrong with a result, and of where: both quote the result.
const PROBLEM_CHARS_MAX: usize = 200;

/// Characters of all that is said of it, on one line.
const MESSAGE_CHARS_MAX: usize = 1_000;

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
    let message = text::line(&message, MESSAGE_CHARS_MAX);
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
        let [at, said] =
            [error.instance_path().to_string(), error.to_string()].map(|part| text::line(&part, PROBLEM_CHARS_MAX));
        format!("at `{at}`: {said}")
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
        let any = arguments::compile(&JsonText::parse(r#"{"additionalProperties":{"type":"integer"}}"#)?)?;
        let long = format!("{{\"{}\\n\":\"x\"}}", "k".repeat(10_000));
        let said_of_long = fits(&[json(&long)?], &any).err().unwrap_or_default();
        assert!(said_of_long.starts_with("at `/kkk") && said_of_long.len() < 1_000, "{said_of_long}");
        assert!(!said_of_long.contains('\n'));
        let one = "it is not exactly one JSON value";
        assert_eq!((said(&[]), said(&[Content::Text("7".to_owned())])), (one.to_owned(), one.to_owned()));
        assert_eq!(said(&[json(r#"{"n":7}"#)?, json("7")?]), one);
        Ok(())
    }
}
