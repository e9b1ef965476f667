//! Questions to the person at the terminal.

use std::time::Duration;

use agent_tests::terminal::Terminal;
use agent_tests::{World, tool};

const AGENT: &str = r#"
[agent]
name = "sums"
instructions = "Answer with the tool."
model = "scripted:replies.toml"
tools = ["TOOL"]
"#;

const REMEMBER_TWICE: &str = r#"
version = 1
[[reply]]
calls = [{ tool = "notes.remember", arguments = { name = "list", text = "milk" } }]
[[reply]]
calls = [{ tool = "notes.remember", arguments = { name = "list", text = "bread" } }]
[[reply]]
text = "done"
"#;

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

#[test]
fn an_agent_file_is_trusted_for_good_for_once_or_not_at_all() {
    let world = World::new();
    let answered = |file: &str, letter: &str| {
        world.write(file, AGENT.replace("TOOL", &tool("calc")));
        world.write(&file.replace("agent.toml", "replies.toml"), SCRIPT);
        let mut terminal = Terminal::start(&world, &["run", "--agent", file, "go"].map(str::to_owned));
        terminal.expect("[t] trust this file  [o] run once  [n] no");
        terminal.say(&format!("{letter}\n"));
        terminal.end()
    };
    let asked_again = |file: &str| {
        let said = world.run(&["run", "--agent", file, "go"]);
        (said.code == Some(1) && said.err.contains("is not trusted yet"), said)
    };

    let (said, code) = answered("no/agent.toml", "n");
    assert!(code == Some(1) && said.contains("was not trusted: nothing ran"), "{said}");
    assert!(!world.work().join("no/.agent-host").exists(), "nothing was recorded");

    let (said, code) = answered("once/agent.toml", "o");
    assert!(code == Some(0) && said.contains("✓ completed"), "{said}");
    let (asked, said) = asked_again("once/agent.toml");
    assert!(asked, "{said:?}");

    let (said, code) = answered("good/agent.toml", "t");
    assert!(code == Some(0) && said.contains("✓ completed"), "{said}");
    let (asked, said) = asked_again("good/agent.toml");
    assert!(!asked && said.code == Some(0), "{said:?}");
}

/// What nobody granted, asked for in the middle of a run.
#[test]
fn a_need_is_denied_allowed_once_for_the_run_or_for_good() {
    let world = World::untouched();
    world.write("replies.toml", REMEMBER_TWICE);
    let notes = tool("notes");
    let words = ["run", "--tools", &notes, "--model", "scripted:replies.toml", "go"].map(str::to_owned);
    let question = "[o] allow this once  [r] allow for this run  [s] allow and save to your policy  [d] deny";
    let policy = || std::fs::read_to_string(world.home().join("policy.toml")).unwrap_or_default();
    // It wants to look first, and then to write. The second call wants the same.
    let answered = |letter: &str, questions: usize| {
        let mut terminal = Terminal::start(&world, &words);
        for asked in 1..=questions {
            terminal.expect_times(question, asked);
            terminal.say(&format!("{letter}\n"));
        }
        let (said, code) = terminal.end();
        assert!(code == Some(0) && said.contains("done"), "{said}");
        assert_eq!(said.matches(question).count(), questions, "{said}");
        let widened = world.events(&[]).iter().filter(|event| event["kind"] == "GrantWidened").count();
        (said.matches("✓ notes.remember").count(), widened > 0, !policy().is_empty())
    };
    assert_eq!(answered("d", 1), (0, false, false), "neither call, no grant, nothing saved");
    assert_eq!(answered("o", 4), (2, false, false), "both calls, each use asked about, and no grant");
    assert_eq!(answered("r", 2), (2, true, false), "both calls, and nothing saved");
    assert_eq!(answered("s", 2), (2, true, true), "both calls, and saved");
    assert!(policy().contains("tool = \"notes"), "{}", policy());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = world.run(&words);
    assert!(said.code == Some(0) && said.err.matches("✓ notes.remember").count() == 2, "{said:?}");
}
