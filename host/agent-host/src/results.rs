//! Holds a tool to the schema that its component gave for what it returns: programs rely on it. What a function of a component's
//! own types returns always fits, since its schema is derived from them. Asked after every call, wherever one is made.

use std::time::Duration;

use agent_core::outcome::{Content, Fault, ToolOutcome};
use agent_core::tool::ToolDescriptor;
use agent_core::units::Millis;
use agent_sandbox::call::CallReport;
use agent_sandbox::component::Component;
use agent_sandbox::describe::Door;

use crate::arguments::Schemas;
use crate::aside;
use crate::exact_json;
use crate::own_schema::OwnSchema;
use crate::report::text;

/// Time for the check of a call that took all of its own: as late as a deadline may be. Honest checks take a millisecond.
const TIME_MIN: Duration = Duration::from_millis(200);

/// Characters of what is wrong with a result, and of where: both quote the result.
const PROBLEM_CHARS_MAX: usize = 200;

/// Characters of all that is said of it, on one line.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The report of a call that had `deadline`, its outcome a fault where the tool returned something else than it says that it
/// returns. The check has what is left of the call's time.
pub async fn held(
    report: CallReport,
    component: &Component,
    tool: &ToolDescriptor,
    schemas: &Schemas,
    deadline: Millis,
) -> CallReport {
    let content = match (&report.outcome, component.door) {
        (ToolOutcome::Returned { content }, Door::World) => content.clone(),
        (ToolOutcome::Returned { .. }, Door::Exports)
        | (ToolOutcome::Failed { .. } | ToolOutcome::Refused { .. } | ToolOutcome::Faulted { .. }, _) => return report,
    };
    let Some(schema) = tool.output_schema.clone() else { return report };
    let left = deadline.to_duration().saturating_sub(report.metering.duration.to_duration()).max(TIME_MIN);
    let (schemas, name) = (schemas.clone(), tool.name.clone());
    let check = move || schemas.of_result(&name, &schema).and_then(|schema| fits(&content, &schema));
    let (fault, message) = match aside::within(left, check).await {
        Some(Ok(())) => return report,
        Some(Err(problem)) => {
            let message = format!("the tool's result is not what it says that it returns: {problem}");
            (Fault::ResultInvalid, text::line(&message, MESSAGE_CHARS_MAX))
        }
        None => {
            let message = "to check the tool's result by its own schema took longer than its call may";
            (Fault::DeadlineExceeded, message.to_owned())
        }
    };
    // As every call that was stopped, it has kept nothing.
    CallReport { outcome: ToolOutcome::Faulted { fault, message }, kv: Vec::new(), ..report }
}

fn fits(content: &[Content], schema: &OwnSchema) -> Result<(), String> {
    let [Content::Json(json)] = content else { return Err("it is not exactly one JSON value".to_owned()) };
    let value = exact_json::read(json.as_str()).ok_or("a number in it needs more than 64 bits")?;
    match schema.misfits(&value).first() {
        None => Ok(()),
        Some(misfit) => {
            let [at, said] = [&misfit.at, &misfit.said].map(|part| text::line(part, PROBLEM_CHARS_MAX));
            Err(format!("result{at}: {said}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_core::json::JsonText;

    use super::*;

    #[test]
    fn a_result_is_what_its_schema_says() -> Result<(), Box<dyn std::error::Error>> {
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
        let one_integer = OwnSchema::compile(&JsonText::parse(schema)?)?;
        let said = |content: &[Content]| fits(content, &one_integer).err().unwrap_or_else(|| "fits".to_owned());
        let json = |text: &str| JsonText::parse(text).map(Content::Json);
        assert_eq!(said(&[json(r#"{"n":7}"#)?]), "fits");
        assert_eq!(said(&[json(r#"{"n":"7"}"#)?]), "result.n: \"7\" is not of type \"integer\"");
        assert_eq!(said(&[json(r#"{"n":100000000000000000000}"#)?]), "a number in it needs more than 64 bits");
        let any = OwnSchema::compile(&JsonText::parse(r#"{"additionalProperties":{"type":"integer"}}"#)?)?;
        let long = format!("{{\"{}\\n\":\"x\"}}", "k".repeat(10_000));
        let said_of_long = fits(&[json(&long)?], &any).err().unwrap_or_default();
        assert!(said_of_long.starts_with("result.kkk") && said_of_long.len() < 1_000, "{said_of_long}");
        assert!(!said_of_long.contains('\n'));
        let one = "it is not exactly one JSON value";
        assert_eq!((said(&[]), said(&[Content::Text("7".to_owned())])), (one.to_owned(), one.to_owned()));
        assert_eq!(said(&[json(r#"{"n":7}"#)?, json("7")?]), one);
        Ok(())
    }
}
