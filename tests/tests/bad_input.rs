//! What the program says to input that is wrong. Each case is a snapshot that a person has read: the error names the thing and
//! the cure, and the exit code says that it did not work.

use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest, tool};

/// The command line, the exit code, and what was said.
fn said(world: &World, arguments: &[&str]) -> String {
    let shown: Vec<_> = arguments
        .iter()
        .map(|word| if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() })
        .collect();
    let said = world.run(arguments);
    let code = said.code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
    // Whether a component is compiled depends on which tests ran before.
    let lines = said.err.lines().filter(|line| !line.starts_with("· compiling"));
    let (out, err) = (said.out.trim_end(), lines.collect::<Vec<_>>().join("\n"));
    let err = err.trim_end();
    let out = if out.is_empty() { String::new() } else { format!("{out}\n") };
    world.steady(&format!("$ agent-host {}\n{out}{err}\nexit {code}\n", shown.join(" ")))
}

/// A snapshot without the folders, identifiers, times and figures of this one run.
fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b01[0-9a-hjkmnp-tv-z]{10,24}\b", "[RUN]");
    settings.add_filter(r"\[REPO\]/tools", "[TOOLS]");
    settings.add_filter(r"[^ `]*/(polite|hostile|plain)\.wasm", "[GUESTS]/$1.wasm");
    settings.add_filter(r"\d+(\.\d+)? m?s\b", "[TIME]");
    settings.add_filter(r"\d+(\.\d+)? ?[kMGT]? fuel", "[FUEL] fuel");
    settings.add_filter(r"\d+(\.\d+)? [KM]iB", "[BYTES]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn script(world: &World, text: &str) -> String {
    format!("scripted:{}", world.write("replies.toml", format!("version = 1\n{text}")).display())
}

#[test]
fn the_command_line() {
    let world = World::new();
    let cases: [&[&str]; 6] = [
        &["run", "--modle", "x", "hello"],
        &["rnu"],
        &["run"],
        &["run", "--max-turns", "0", "hello"],
        &["run", "--max-time", "ten", "hello"],
        &["tool", "call", "calc"],
    ];
    check("command_line", &cases.map(|case| said(&world, case)).join("\n"));
}

#[test]
fn files_that_are_not_there() {
    let world = World::new();
    let model = script(&world, "[[reply]]\ntext = \"hi\"\n");
    let cases: [&[&str]; 7] = [
        &["run", "--agent", "nowhere.toml", "hello"],
        &["run", "--tools", "nowhere", "--model", &model, "hello"],
        &["run", "--model", "scripted:nowhere.toml", "hello"],
        &["run", "--allow-read", "nowhere", "--model", &model, "hello"],
        &["run", "--policy", "nowhere.toml", "--model", &model, "hello"],
        &["show"],
        &["resume"],
    ];
    check("files_that_are_not_there", &cases.map(|case| said(&world, case)).join("\n"));
}

#[test]
fn models_that_cannot_be_asked() {
    let world = World::new();
    let cases: [&[&str]; 5] = [
        &["run", "--model", "openai:gpt-5", "hello"],
        &["run", "--model", "anthropic:claude", "hello"],
        &["run", "--model", "opnai:gpt-5", "hello"],
        &["run", "--model", "gpt-5", "hello"],
        &["run", "--model", "openai:x", "--base-url", "not a url", "hello"],
    ];
    check("models_that_cannot_be_asked", &cases.map(|case| said(&world, case)).join("\n"));
}

#[test]
fn agent_files_with_problems() {
    let world = World::new();
    world.write("broken.toml", "[agent\nname = \"x\"\n");
    let problems = "[agent]\nname = \"Not A Name\"\ninstructions = \"help\"\nmodle = \"x\"\n[budget]\nturns = 0\ncost = 5\n\
                    [[grant]]\ntool = \"files\"\nfs = [{ host = \"../..\", access = \"raed\" }]\n\
                    http = [{ url = \"https://*.com\", methods = [\"GTE\"] }]\n";
    world.write("problems.toml", problems);
    world.write("fine.toml", "[agent]\nname = \"fine\"\ninstructions = \"help\"\n");
    let cases: [&[&str]; 4] = [
        &["run", "--agent", "broken.toml", "hello"],
        &["run", "--agent", "problems.toml", "hello"],
        &["trust", "problems.toml"],
        &["run", "--agent", "fine.toml", "hello"],
    ];
    check("agent_files_with_problems", &cases.map(|case| said(&world, case)).join("\n"));
}

#[test]
fn tools_with_problems() {
    let world = World::new();
    let manifest =
        |name: &str, more: &str| format!("[tool]\nname = \"{name}\"\nversion = \"0.1.0\"\ndescription = \"x\"\n{more}");
    world.write("unbuilt/tool.toml", manifest("unbuilt", ""));
    world.write(
        "limit/tool.toml",
        manifest("limit", "[limits]\nmemroy = \"64MiB\"\ndeadline = \"2h\"\nbandwidth = \"1MiB\"\n"),
    );
    world.write("garbage.wasm", "this is no component");
    world.write("module.wasm", b"\0asm\x01\0\0\0");
    world.write("empty/readme.md", "");
    world.write("twins/one/tool.toml", manifest("twin", ""));
    world.write("twins/one/twin.wasm", "x");
    world.write("twins/two/tool.toml", manifest("twin", ""));
    world.write("twins/two/twin.wasm", "x");
    let model = script(&world, "[[reply]]\ntext = \"hi\"\n");
    let paths = ["unbuilt", "limit", "garbage.wasm", "module.wasm", "empty", "twins"];
    let cases = paths.map(|path| said(&world, &["run", "--tools", path, "--model", &model, "hello"]));
    check("tools_with_problems", &cases.join("\n"));
}

#[test]
fn a_grant_beyond_the_ceiling_of_the_tool_that_it_names() {
    let world = World::new();
    world.write("data/rain.csv", "month,mm\n");
    world.write("policy.toml", "[[grant]]\ntool = \"table\"\nfs = [{ host = \"data\", access = \"write\" }]\n");
    let model = script(&world, "[[reply]]\ntext = \"hi\"\n");
    let table = tool("table");
    let case = said(&world, &["run", "--tools", &table, "--policy", "policy.toml", "--model", &model, "hello"]);
    check("a_grant_beyond_the_ceiling", &case);
}

#[test]
fn models_that_misbehave() {
    let world = World::new();
    let calc = tool("calc");
    let replies = "[[reply]]\ncalls = [\n\
                   { tool = \"calc.evalute\", arguments = { expression = \"1\" } },\n\
                   { tool = \"calc.evaluate\", arguments = { expresion = \"1\" } },\n\
                   { tool = \"calc.evaluate\", arguments = \"not json\" },\n\
                   { tool = \"calc.evaluate\", arguments = { expression = \"1 +\" } },\n]\n[[reply]]\ntext = \"done\"\n";
    let model = script(&world, replies);
    let told = said(&world, &["run", "--tools", &calc, "--model", &model, "go"]);
    let failing = script(
        &world,
        "[[reply]]\ntext = \"late\"\nerror = { kind = \"rate_limited\", message = \"too many requests\", times = 2 }\n",
    );
    let retried = said(&world, &["run", "--model", &failing, "go"]);
    let garbage = Server::start(Manner::Answer("<html>this is no model</html>"));
    let base = format!("{}/v1", garbage.url());
    let given_up = said(&world, &["run", "--model", "openai:x", "--base-url", &base, "go"]);
    let nobody = said(&world, &["run", "--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1", "go"]);
    check("models_that_misbehave", &[told, retried, given_up, nobody].join("\n"));
}

#[test]
fn what_was_not_granted() {
    let world = World::new();
    let (files, polite) = (tool("files"), guest("polite"));
    let read = said(&world, &["tool", "call", "--tools", &files, "files.read", "{\"path\": \"notes.txt\"}"]);
    let ask = "{\"method\": \"GET\", \"url\": \"https://example.org/\"}";
    let fetch = said(&world, &["tool", "call", "--tools", &polite, "polite.http", ask]);
    world.write("data/notes.txt", "hello");
    let write = "{\"path\": \"new.txt\", \"content\": \"x\"}";
    let written = said(&world, &["tool", "call", "--tools", &files, "--allow-read", "data", "files.write", write]);
    let unknown = said(&world, &["tool", "call", "--tools", &files, "files.red", "{}"]);
    let wrong = said(&world, &["tool", "call", "--tools", &files, "files.read", "{\"pth\": 1}"]);
    check("what_was_not_granted", &[read, fetch, written, unknown, wrong].join("\n"));
}

#[test]
fn builds_that_nobody_trusts_or_that_fail() {
    let world = World::new();
    let manifest = "[tool]\nname = \"mine\"\nversion = \"0.1.0\"\ndescription = \"x\"\n[build]\ncommand = \"echo building; exit 7\"\n\
                    artifact = \"mine.wasm\"\n";
    world.write("mine/tool.toml", manifest);
    let untrusted = said(&world, &["tool", "build", "mine"]);
    let failing = said(&world, &["tool", "build", "--yes", "mine"]);
    world.write("none/tool.toml", "[tool]\nname = \"none\"\nversion = \"0.1.0\"\ndescription = \"x\"\n");
    let nothing = said(&world, &["tool", "build", "none"]);
    check("builds_that_fail", &[untrusted, failing, nothing].join("\n"));
}

#[test]
fn what_people_do_with_journals() {
    let world = World::new();
    let model = script(&world, "[[reply]]\ntext = \"hi\"\n");
    let nothing: [&[&str]; 4] = [
        &["journal", "gc"],
        &["journal", "rm", "01abc"],
        &["journal", "verify", "--file", "nowhere.jsonl"],
        &["journal", "import", "nowhere.jsonl"],
    ];
    let before = nothing.map(|case| said(&world, case));
    world.write("bad.jsonl", "{\"agent-host-export\":7}\n");
    world.write(
        "cut.jsonl",
        "{\"agent-host-export\":1,\"run\":\"01hf7yat010w3ge1r70w3ge1r7\",\"events\":1,\"blobs\":0}\n",
    );
    let _ = world.run(&["run", "--model", &model, "--session", "talk", "hello"]).ok();
    let cases: [&[&str]; 13] = [
        &["run", "--model", &model, "--session", "Not A Name", "hello"],
        &["run", "--model", &model, "--carry", "1", "hello"],
        &["run", "--model", &model, "--meta", "a=1", "--meta", "a=2", "hello"],
        &["ls", "--status", "asleep"],
        &["ls", "--all", "--session", "talk"],
        &["journal", "rm", "01abc"],
        &["journal", "fork", "01abc", "--at", "1"],
        &["journal", "rebase"],
        &["journal", "rebase", "--model", &model],
        &["journal", "export", "01abc", "out.jsonl"],
        &["journal", "import", "bad.jsonl"],
        &["journal", "import", "--yes", "cut.jsonl"],
        &["journal", "verify", "--file", "cut.jsonl"],
    ];
    let after = cases.map(|case| said(&world, case));
    check("journal_verbs", &[&before[..], &after[..]].concat().join("\n"));
}
