//! The calls of a run as the journal has them: each with its start, its end and its outcome.

use std::collections::HashMap;

use serde_json::Value;

/// One call in the journal.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    /// The tool's name as the model sent it.
    pub(crate) tool: String,
    /// The reply in which the model proposed it: its calls may be under way at once, those of two replies never are.
    pub(crate) reply: usize,
    pub(crate) deadline_ms: Option<u64>,
    /// How many outcomes were recorded.
    pub(crate) ends: usize,
    /// The body of the last one.
    pub(crate) finished: Value,
    started_ms: Option<u64>,
    ended_ms: Option<u64>,
}

const DAY_MS: u64 = 86_400_000;

/// The calls in the order in which the model proposed them.
pub(crate) fn calls(events: &[Value]) -> Vec<Record> {
    let mut calls: Vec<Record> = Vec::new();
    let (mut deadlines, mut replies) = (HashMap::new(), 0);
    for event in events {
        let body = &event["body"];
        deadlines.extend(authorities(body).filter_map(deadline));
        if event["kind"] == "ModelReplied" {
            let proposed = body["reply"]["calls"].as_array().into_iter().flatten();
            let tool = |call: &Value| call["tool"].as_str().unwrap_or_default().to_owned();
            calls.extend(proposed.map(|call| Record { tool: tool(call), reply: replies, ..Record::default() }));
            replies += 1;
        }
        let number = body["call"].as_u64().and_then(|number| usize::try_from(number).ok());
        let Some(record) = number.and_then(|number| calls.get_mut(number.checked_sub(1)?)) else { continue };
        match event["kind"].as_str() {
            Some("ToolStarted") => {
                record.started_ms = time_of_day_ms(event);
                record.deadline_ms = deadlines.get(&record.tool).copied();
            }
            Some("ToolFinished") => {
                record.ends += 1;
                record.ended_ms = time_of_day_ms(event);
                record.finished = body.clone();
            }
            _ => {}
        }
    }
    calls
}

/// What an event says that tools hold: all of them when the run began, one that was allowed more.
fn authorities(body: &Value) -> impl Iterator<Item = &Value> {
    let begun = body["tools"].as_array().into_iter().flatten().map(|tool| &tool["authority"]);
    begun.chain(body.get("authority").filter(|authority| authority.is_object()))
}

/// A tool's name as the model sends it, and how long its calls may take.
fn deadline(authority: &Value) -> Option<(String, u64)> {
    let name = authority["tool"].as_str()?.replacen('.', "__", 1);
    Some((name, authority["grant"]["limits"]["deadline"].as_u64()?))
}

impl Record {
    /// How long it took; `None` for one that did not start or did not end.
    pub(crate) fn took_ms(&self) -> Option<u64> {
        let (start, end) = (self.started_ms?, self.ended_ms?);
        Some(if end >= start { end - start } else { end + DAY_MS - start })
    }

    /// `returned`, `failed`, or the name of the fault or refusal.
    pub(crate) fn outcome(&self) -> &str {
        let outcome = &self.finished["outcome"];
        let name = outcome["faulted"]["fault"].as_str().or_else(|| outcome["refused"]["reason"].as_str());
        let kind = outcome.as_object().and_then(|outcome| outcome.keys().next()).map(String::as_str);
        name.or(kind).unwrap_or("nothing")
    }

    /// The text of a fault, a refusal or a failure; else all that was returned.
    pub(crate) fn text(&self) -> String {
        let outcome = &self.finished["outcome"];
        let message = ["faulted", "refused", "failed"].iter().find_map(|kind| outcome[kind]["message"].as_str());
        message.map_or_else(|| outcome.to_string(), str::to_owned)
    }

    /// What the guest reported: its first piece of content.
    pub(crate) fn reported(&self) -> &Value {
        let content = &self.finished["outcome"]["returned"]["content"][0];
        if content["json"].is_null() { &content["text"] } else { &content["json"] }
    }

    /// The names of the refusals among its effects, each once.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let effects = self.finished["effects"].as_array().into_iter().flatten();
        let names = effects.filter_map(|effect| effect["decision"]["deny"]["refusal"].as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// A figure of the metering.
    pub(crate) fn metered(&self, pointer: &str) -> Option<&Value> {
        self.finished["metering"].pointer(pointer)
    }

    /// The most linear memory that it had.
    pub(crate) fn memory_peak(&self) -> u64 {
        self.metered("/memory_peak").and_then(Value::as_u64).unwrap_or(0)
    }
}

/// The time of an event in its day: `2026-01-31T23:59:59.123Z`.
fn time_of_day_ms(event: &Value) -> Option<u64> {
    let time = event["at"].as_str()?.get(11..23)?;
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<u64>().ok();
    Some(((number(0..2)? * 60 + number(3..5)?) * 60 + number(6..8)?) * 1_000 + number(9..12)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_found_with_its_times_and_its_outcome() {
        let event = |at: &str, kind: &str, body: Value| json!({"at": at, "kind": kind, "body": body});
        let authority = json!({"tool": "a.b", "grant": {"limits": {"deadline": 500}}});
        let events = [
            event("2026-01-31T23:59:59.900Z", "RunStarted", json!({"tools": [{"authority": authority}]})),
            event("2026-01-31T23:59:59.900Z", "ModelReplied", json!({"reply": {"calls": [{"tool": "a__b"}]}})),
            event("2026-01-31T23:59:59.900Z", "ToolStarted", json!({"call": 1})),
            event(
                "2026-02-01T00:00:00.100Z",
                "ToolFinished",
                json!({"call": 1, "outcome": {"faulted": {"fault": "memory_limit", "message": "m"}}, "effects": []}),
            ),
        ];
        let calls = calls(&events);
        let call = &calls[0];
        assert_eq!(
            (call.tool.as_str(), call.took_ms(), call.deadline_ms, call.ends),
            ("a__b", Some(200), Some(500), 1)
        );
        assert_eq!((call.outcome(), call.text().as_str(), call.refusals().len()), ("memory_limit", "m", 0));
    }
}
