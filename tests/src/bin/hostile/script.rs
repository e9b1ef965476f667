//! What the scripted model of a case says: a canary call, the attack, a canary call again, and then nothing for a moment, in
//! which the suite looks at the process.

use std::fmt::Write as _;

use crate::case::{CallForm, Form};
use crate::names::Names;

/// The benign tool that is called before and after the attack.
pub(crate) const CANARY: &str = "canary";

/// A pause before the attack, for a look at the idle host.
const LOOK_BEFORE: &str = "120ms";

/// How long the host stays alive after the second canary: its threads and descriptors must be back within a second.
const STAY: &str = "1100ms";

/// Counts to some millions, which takes about as long as a call that does something, and answers 42.
pub(crate) const CANARY_COMPONENT: &str = r#"(component
    (core module $m
        (func (export "run") (result i32) (local $left i32)
            (local.set $left (i32.const 8000000))
            (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (i32.const 42)))
    (core instance $i (instantiate $m))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;

/// The script's text.
pub(crate) fn script(form: &Form, names: &Names) -> String {
    let canary = |label: &str| format!("calls = [{{ tool = \"{CANARY}.run\", as = \"{label}\" }}]\n");
    let mut text = format!("version = 1\n[[reply]]\n{}", canary("before"));
    for (index, reply) in replies(&form.call).into_iter().enumerate() {
        let delay = if index == 0 { format!("delay = \"{LOOK_BEFORE}\"\n") } else { String::new() };
        // Writing into a string cannot fail.
        let _ = write!(text, "[[reply]]\n{delay}calls = [{}]\n", reply_calls(&form.tool, index, &reply, names));
    }
    let _ = write!(text, "[[reply]]\n{}[[reply]]\ndelay = \"{STAY}\"\ntext = \"{{{{ after }}}}\"\n", canary("after"));
    text
}

/// The calls of each reply.
fn replies(calls: &[CallForm]) -> Vec<Vec<&CallForm>> {
    let mut replies: Vec<Vec<&CallForm>> = Vec::new();
    for call in calls {
        match replies.last_mut() {
            Some(reply) if call.together => reply.push(call),
            _ => replies.extend(std::iter::repeat_n(vec![call], call.times)),
        }
    }
    replies
}

fn reply_calls(tool: &str, reply: usize, calls: &[&CallForm], names: &Names) -> String {
    let copies = calls.iter().flat_map(|call| (1..=call.copies).map(move |copy| (call, copy)));
    let written = copies.map(|(call, copy)| {
        // A text is sent as it is, without the script's own placeholders. JSON's escapes are TOML's.
        let text = names.fill(&call.arguments.text()).replace("${copy}", &format!("{reply}-{copy}"));
        let arguments = serde_json::Value::from(text);
        let name =
            if call.operation.contains('.') { call.operation.clone() } else { format!("{tool}.{}", call.operation) };
        format!("{{ tool = {}, arguments = {arguments} }}", serde_json::Value::from(name))
    });
    written.collect::<Vec<_>>().join(", ")
}

/// The text of the policy file, where there is one: the case's own, and a grant of its limits.
pub(crate) fn policy(form: &Form, names: &Names) -> Option<String> {
    let mut text = names.fill(&form.policy);
    if !form.limits.is_empty() {
        let limits = form.limits.iter().map(|(name, value)| format!("{name} = {value}"));
        let _ = write!(
            text,
            "\n[[grant]]\ntool = \"{}\"\nlimits = {{ {} }}\n",
            form.tool,
            limits.collect::<Vec<_>>().join(", ")
        );
    }
    (!text.trim().is_empty()).then_some(text)
}
