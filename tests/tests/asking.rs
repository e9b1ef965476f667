//! Questions to the person at the terminal.

use std::time::Duration;

use agent_tests::terminal::Terminal;
use agent_tests::{World, tool};

const SCRIPT: &str = r#"
version = 1
[[reply]]
calls = [
    { tool = "calc.evaluate", arguments = { expression = "40 + 2" } },
    { tool = "calc.evaluate", arguments = { expression = "40 + 3" } },
]
[[reply]]
text = "done"
"#;

/// Somebody types ahead, or a paste has more lines than the question: only the first is an answer to it.
#[test]
fn what_is_typed_before_a_question_is_no_answer_to_it() {
    let world = World::new();
    world.write("policy.toml", "[[approval]]\ntool = \"calc\"\n");
    world.write("replies.toml", SCRIPT);
    let calc = tool("calc");
    let words = ["run", "--tools", &calc, "--policy", "policy.toml", "--model", "scripted:replies.toml", "go"];
    let mut terminal = Terminal::start(&world, &words.map(str::to_owned));
    terminal.expect("`calc.evaluate`  [y] yes, this once");
    terminal.say("y\ny\n");
    terminal.expect_times("`calc.evaluate`  [y] yes, this once", 2);
    // Long enough for an answer that is there already.
    std::thread::sleep(Duration::from_millis(500));
    terminal.expect_times("[y] yes, this once", 2);
    terminal.say("n\n");
    let (said, code) = terminal.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("approval_denied") && said.contains("done"), "{said}");
}
