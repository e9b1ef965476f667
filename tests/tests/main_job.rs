//! The main job on real data: the example's answer is checked against figures that this test computes itself, and another
//! table gives another answer.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use agent_tests::{World, repository, tool};

const QUESTION: &str = "Which month was the wettest, and by how much?";

/// Precipitation of the two wettest months, in tenths of a millimetre, computed by nothing of ours.
fn wettest(csv: &str) -> [(String, i64); 2] {
    let mut months: BTreeMap<String, i64> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let mut cells = line.split(',');
        let (date, rain) = (cells.next().unwrap(), cells.next().unwrap());
        let (whole, tenth) = rain.split_once('.').unwrap_or((rain, "0"));
        let tenths = whole.parse::<i64>().unwrap() * 10 + tenth.parse::<i64>().unwrap();
        *months.entry(date[..7].to_owned()).or_default() += tenths;
    }
    let mut months: Vec<_> = months.into_iter().collect();
    months.sort_by_key(|(_, rain)| -rain);
    months.truncate(2);
    months.try_into().expect("two months")
}

fn millimetres(tenths: i64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10).trim_end_matches(".0").to_owned()
}

fn expected(csv: &str) -> String {
    let [first, second] = wettest(csv);
    format!(
        "{} was the wettest month: {} mm of precipitation, {} mm more than the second, {}, with {} mm.\n",
        first.0,
        millimetres(first.1),
        millimetres(first.1 - second.1),
        second.0,
        millimetres(second.1)
    )
}

/// A copy of the example in the world's own folder, with the tools where they are.
fn example(world: &World, data: &str) {
    let from = repository().join("examples/weather");
    let text = |name: &str| std::fs::read_to_string(from.join(name)).expect("the example");
    let tools =
        |text: String| text.replace("../../tools/table", &tool("table")).replace("../../tools/calc", &tool("calc"));
    world.write("agent.toml", tools(text("agent.toml")));
    world.write("prompt.md", text("prompt.md"));
    world.write("replies.toml", text("replies.toml"));
    world.write("data/seattle-weather.csv", data);
    assert!(world.run(&["trust", "--yes", "agent.toml"]).ok().contains("table: read [WORLD]/work/data"));
}

fn data() -> String {
    std::fs::read_to_string(repository().join("examples/weather/data/seattle-weather.csv")).expect("the weather")
}

#[test]
fn the_example_answers_from_its_data() {
    let world = World::new();
    example(&world, &data());
    let said = world.run(&["run", "--agent", "agent.toml", QUESTION]);
    assert_eq!(said.out, expected(&data()), "{}", said.err);
    assert_eq!(said.code, Some(0));
    for line in ["✓ table.describe", "✓ table.query", "✓ calc.evaluate", "✓ completed 4 turns · 3 calls"] {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
}

#[test]
fn another_table_gives_another_answer() {
    let world = World::new();
    let altered = data().replace("2013-07-04,0.0,", "2013-07-04,512.3,");
    assert_ne!(altered, data());
    example(&world, &altered);
    let out = world.run(&["run", "--agent", "agent.toml", QUESTION]).ok();
    assert_eq!(out, expected(&altered));
    assert!(out.starts_with("2013-07 "), "{out}");
}

#[test]
fn the_journal_holds_what_happened() {
    let world = World::new();
    example(&world, &data());
    let result = world.run(&["run", "--json", "--agent", "agent.toml", QUESTION]).ok();
    let result: serde_json::Value = serde_json::from_str(&result).expect("one JSON object");
    assert_eq!((&result["stop"], &result["spent"]["tool_calls"]), (&"completed".into(), &3.into()));
    let events = world.events(&[]);
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let turn = ["ModelRequested", "ModelReplied", "ToolStarted", "ToolFinished"];
    let turns = turn.into_iter().cycle().take(12);
    let expected: Vec<_> =
        ["RunStarted"].into_iter().chain(turns).chain(["ModelRequested", "ModelReplied", "RunEnded"]).collect();
    assert_eq!(kinds, expected);
    let finished: Vec<_> = events.iter().filter(|event| event["kind"] == "ToolFinished").collect();
    for call in &finished {
        assert!(call["body"]["metering"]["fuel"]["exact"].as_u64().unwrap() > 10_000, "{call}");
    }
    let read = &finished[0]["body"]["effects"][0];
    assert_eq!(read["request"]["file"]["path"], "/data/seattle-weather.csv", "{read}");
    assert!(read["bytes_in"].as_u64().unwrap() >= data().len() as u64, "{read}");
    assert_eq!(finished[2]["body"]["effects"], serde_json::json!([]));
    let verified = world.run(&["journal", "verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn an_agent_whose_file_or_tool_changed_must_be_trusted_again() {
    let world = World::new();
    example(&world, &data());
    let copy = |name: &str| {
        for file in ["tool.toml", &format!("{name}.wasm")] {
            let bytes = std::fs::read(std::path::Path::new(&tool(name)).join(file)).expect("the tool");
            world.write(&format!("tools/{name}/{file}"), bytes);
        }
    };
    ["table", "calc"].iter().for_each(|name| copy(name));
    let agent = world.read("agent.toml").expect("the agent").replace(&tool("table"), "tools/table");
    world.write("agent.toml", agent.replace(&tool("calc"), "tools/calc"));
    let run = || world.run(&["run", "--agent", "agent.toml", QUESTION]);
    assert!(run().err.contains("has changed since you trusted it"), "the file did");
    let _ = world.run(&["trust", "--yes", "agent.toml"]).ok();
    let _ = run().ok();
    // Another component in the place of the one that was granted something.
    world.write(
        "tools/table/table.wasm",
        std::fs::read(std::path::Path::new(&tool("calc")).join("calc.wasm")).expect("a tool"),
    );
    let said = run();
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.err.contains("one of its tools has changed since you trusted it"), "{said:?}");
}
