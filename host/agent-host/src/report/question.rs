//! A question to the person at a client, who sees what it says and nothing else: no scrolling back, no second command that shows
//! the rest. So it has everything, up to what a dialogue can hold, and says clearly where it has not. Put by `driver/serving`.

use agent_core::answer_events::ApprovalSubject;
use agent_core::effect::EffectRequest;
use agent_core::pending::PendingCall;
use agent_core::state::State;

use super::{pretty, waiting};

/// Characters of a call's arguments that a question has: some screens of a dialogue.
const ARGUMENT_CHARS_MAX: usize = 10_000;
/// Characters of an effect: a URL is longer only where it carries something.
const EFFECT_CHARS_MAX: usize = 4_000;

/// What a person should know of what is asked, one line each. Not yet neutralised.
#[must_use]
pub fn lines(state: &State, call: &PendingCall, subject: &ApprovalSubject) -> Vec<String> {
    let details = waiting::about(state, call, subject);
    let whole = match subject {
        ApprovalSubject::Call => abridged(&pretty::json(&call.call.arguments), ARGUMENT_CHARS_MAX),
        ApprovalSubject::Effect { request, .. } => effect(request),
    };
    whole.lines().map(str::to_owned).chain(details).collect()
}

/// The effect, where the title had to cut it.
fn effect(request: &EffectRequest) -> String {
    let whole = request.to_string();
    if waiting::shown(request) == whole { String::new() } else { abridged(&whole, EFFECT_CHARS_MAX) }
}

/// All of `text`, or its beginning and its end, and between them how much is missing.
fn abridged(text: &str, chars_max: usize) -> String {
    let chars = text.chars().count();
    if chars <= chars_max {
        return text.to_owned();
    }
    let half = chars_max / 2;
    let place = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (&text[..place(half)], &text[place(chars - half)..]);
    let missing = chars - 2 * half;
    format!("{head}\n*** {missing} characters are not shown here: `agent-host show --json` has all of them ***\n{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said_and_the_end_is_there() {
        let text = format!("{}the sting", "é".repeat(20_000));
        let shown = abridged(&text, 1_000);
        assert!(shown.ends_with("the sting") && shown.contains("*** 19009 characters are not shown here"), "{shown}");
        assert_eq!(abridged("short", 1_000), "short");
    }
}
