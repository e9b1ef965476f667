//! What is typed or chosen and would have no effect: it is an error that names the cure, or it is said. What is chosen for
//! models in general says nothing of a script.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Stdio;

use agent_tests::{Said, World, tool};

fn script(world: &World) -> String {
    let text = "version = 1\n[[reply]]\ntext = \"hi\"\n";
    format!("scripted:{}", world.write("replies.toml", text).display())
}

fn works(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn refused(said: &Said, words: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    for word in words {
        assert!(said.err.contains(word), "`{word}` is missing: {said:?}");
    }
}

/// What is denied, or asked about, under a name that no tool has would be done unasked.
#[test]
fn a_rule_for_a_misspelt_tool_is_an_error() {
    let world = World::new();
    world.write("deny.toml", "[[deny]]\ntool = \"clac\"\n");
    world.write("approval.toml", "[[approval]]\ntool = \"calc.eval\"\n");
    let (model, calc, notes) = (script(&world), tool("calc"), tool("notes"));
    let run = |more: &[&str]| world.run(&[&["run", "--model", &model, "hello"], more].concat());
    let of_deny =
        ["error[policy_invalid]: deny.toml:1: ", "no tool of this command is called `clac`", "did you mean `calc`?"];
    refused(&run(&["--tools", &calc, "--policy", "deny.toml"]), &of_deny);
    let of_approval = ["no tool of this command is called `calc.eval`", "did you mean `calc.evaluate`?"];
    refused(&run(&["--tools", &calc, "--policy", "approval.toml"]), &of_approval);
    let of_store = ["--allow-kv nots: no tool of this command is called `nots`", "did you mean `notes`?"];
    refused(&run(&["--tools", &notes, "--allow-kv", "nots"]), &of_store);
    let of_secret =
        ["--secret ORDERS_TOKEN: no tool of this command takes a secret `ORDERS_TOKEN`", "declares a secret"];
    refused(&run(&["--tools", &calc, "--secret", "ORDERS_TOKEN"]), &of_secret);
    let of_call =
        ["tool", "call", "--tools", &calc, "calc.evaluate", "{\"expression\": \"1\"}", "--policy", "deny.toml"];
    refused(&world.run(&of_call), &of_deny);
    refused(&world.run(&["mcp", "--tools", &calc, "--policy", "deny.toml"]), &of_deny);
    let looked = world.run(&["tool", "inspect", &calc, "--policy", "deny.toml"]);
    assert!(
        looked.err.contains("warning: deny.toml:1: no tool here is called `clac`; did you mean `calc`?"),
        "{looked:?}"
    );
    works(&looked);
}

/// It is for every folder, so it may well name tools of another one.
#[test]
fn a_misspelt_tool_in_the_saved_policy_is_said() {
    let world = World::untouched();
    std::fs::create_dir_all(world.home()).expect("a folder");
    let policy = "[[deny]]\ntool = \"clac\"\n[[deny]]\ntool = \"payments\"\n";
    std::fs::write(world.home().join("policy.toml"), policy).expect("a file");
    let model = script(&world);
    let said = world.run(&["run", "--tools", &tool("calc"), "--model", &model, "hello"]);
    let warned = said.err.lines().filter(|line| line.starts_with("warning: ")).count();
    assert!(warned == 1 && said.err.contains("did you mean `calc`?"), "{said:?}");
    assert_eq!(said.ok().trim(), "hi");
}

#[test]
fn what_is_chosen_for_models_does_not_break_a_script() {
    let world = World::untouched();
    std::fs::create_dir_all(world.home()).expect("a folder");
    let settings = "base_url = \"https://gateway.example/v1\"\ntool_mode = \"json\"\n";
    std::fs::write(world.home().join("settings.toml"), settings).expect("a file");
    let model = script(&world);
    let arguments = ["run", "--model", &model, "hello"];
    works(&world.run(&arguments));
    let mut with_variables = world.command(&arguments);
    with_variables
        .env("AGENT_HOST_BASE_URL", "https://gateway.example/v1")
        .env("AGENT_HOST_TOOL_MODE", "json-call-first");
    works(&world.said(&with_variables.output().expect("the program starts")));
    let typed = world.run(&[&arguments[..], &["--base-url", "https://gateway.example/v1"]].concat());
    refused(&typed, &["takes no base URL", "leave out `--base-url`"]);
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let world = World::new();
    let model = script(&world);
    let mut command = world.command(&["run", "hello"]);
    command.env("AGENT_HOST_MODEL", &model);
    for name in ["BASE_URL", "TOOL_MODE", "DURABILITY", "LOG"] {
        command.env(format!("AGENT_HOST_{name}"), "");
    }
    works(&world.said(&command.output().expect("the program starts")));
}

/// What the documentation prints can be typed.
#[test]
fn a_mode_has_one_name_everywhere() {
    let world = World::untouched();
    std::fs::create_dir_all(world.home()).expect("a folder");
    let model = script(&world);
    for mode in ["native", "json", "json_call_first", "json-call-first"] {
        std::fs::write(world.home().join("settings.toml"), format!("tool_mode = \"{mode}\"\n")).expect("a file");
        let mut command = world.command(&["run", "--model", &model, "hello"]);
        works(&world.said(&command.env("AGENT_HOST_TOOL_MODE", mode).output().expect("the program starts")));
        let typed = world.run(&["run", "--model", "openai:x", "--tool-mode", mode, "hello"]);
        refused(&typed, &["needs a key"]);
        let agent = format!(
            "agent = {{ name = \"a\", instructions = \"Be brief.\", model = \"{model}\", tool_mode = \"{mode}\" }}\n"
        );
        let file = world.write("agent.toml", agent).display().to_string();
        works(&world.run(&["trust", "--yes", &file]));
        works(&world.run(&["run", "--agent", &file, "hello"]));
        std::fs::remove_file(world.work().join("agent.toml")).expect("it is there");
    }
}

#[test]
fn a_run_without_tools_says_so() {
    let world = World::new();
    let text = "version = 1\n[[reply]]\ncalls = [{ tool = \"files.write\", arguments = {} }]\n[[reply]]\ntext = \"{{ call[0] }}\"\n";
    let model = format!("scripted:{}", world.write("replies.toml", text).display());
    let said = world.run(&["run", "--model", &model, "hello"]);
    assert!(said.err.contains("this run has no tools; `--tools DIR` names some"), "{said:?}");
    let told = said.ok();
    assert!(told.contains("there is no tool `files__write`; this run has no tools"), "{told}");
}

#[test]
fn a_script_that_is_at_its_end_is_mended_before_a_resume() {
    let world = World::new();
    let text = "version = 1\n[[reply]]\ncalls = [{ tool = \"calc.evaluate\", arguments = { expression = \"1\" } }]\n";
    let model = format!("scripted:{}", world.write("replies.toml", text).display());
    let said = world.run(&["run", "--tools", &tool("calc"), "--model", &model, "hello"]);
    refused(&said, &["hint: mend the script (add a `[[reply]]`), then `agent-host resume"]);
}

#[test]
fn a_folder_is_answered_with_the_file_in_it() {
    let world = World::new();
    world.write("agent.toml", "agent = { name = \"a\", instructions = \"Be brief.\", model = \"scripted:r.toml\" }\n");
    refused(&world.run(&["trust", "."]), &["`.` is a folder", "hint: `agent-host trust ./agent.toml`"]);
    refused(&world.run(&["run", "--agent", ".", "hello"]), &["`.` is a folder", "hint: `--agent ./agent.toml`"]);
}

/// `trust` says what `run` will not take.
#[test]
fn trust_says_which_rules_are_for_no_tool_of_the_file() {
    let world = World::new();
    let agent = "agent = { name = \"a\", instructions = \"Be brief.\", model = \"scripted:r.toml\" }\n[[approval]]\ntool = \"archive\"\n";
    let file = world.write("agent.toml", agent).display().to_string();
    let said = world.run(&["trust", "--yes", &file]);
    assert!(said.err.contains("no tool of this agent is called `archive`"), "{said:?}");
    works(&said);
}

/// Whoever reads a listing may have seen enough.
#[test]
fn nobody_has_to_read_a_listing_to_its_end() {
    let world = World::new();
    let calc = tool("calc");
    for arguments in [&["tool", "list", "--json", "--tools", &calc][..], &["tool", "inspect", &calc]] {
        let mut command = world.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        let said = world.said(&child.wait_with_output().expect("it ends"));
        assert!(said.code == Some(0) && !said.err.contains("error"), "{arguments:?}: {said:?}");
    }
}
