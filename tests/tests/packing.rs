//! `tool pack`: one file, put into any folder of tools, tells a model all that its own folder told: what the comments of the WIT say of
//! functions, of the fields and cases of what they take, and of what they return.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::{World, guest, repository};
use serde_json::{Value, json};

const MANIFEST: &str = "[tool]\nname = \"drawings\"\nversion = \"0.1.0\"\ndescription = \"Shapes on a plane.\"\n\
                        [exports]\nonly = [\"describe\", \"move-by\"]\n";

/// A tool's folder, with comments where the guest's own WIT has none.
fn folder(world: &World) {
    let mut wit = std::fs::read_to_string(repository().join("tests/guests/plain/wit/plain.wit")).expect("its WIT");
    let comments = [
        ("    red,", "As a ripe tomato."),
        ("    dashed,", "Lines with gaps."),
        ("    tags:", "Each with its weight."),
    ];
    for (line, comment) in comments {
        assert!(wit.contains(line), "{line}");
        wit = wit.replace(line, &format!("    /// {comment}\n{line}"));
    }
    world.write("drawings/wit/plain.wit", wit);
    world.write("drawings/tool.toml", MANIFEST);
    world.write("drawings/drawings.wasm", std::fs::read(guest("plain")).expect("a guest"));
}

#[test]
fn a_packed_file_tells_what_its_folder_told() {
    let world = World::new();
    folder(&world);
    world.write("elsewhere/readme.md", "");
    let packed = world.run(&["tool", "pack", "drawings", "--output", "elsewhere/some-name.wasm"]);
    assert_eq!((packed.code, packed.out.as_str()), (Some(0), "elsewhere/some-name.wasm\n"), "{packed:?}");
    std::fs::remove_dir_all(world.work().join("drawings")).expect("the folder goes");

    let listed = world.run(&["tool", "list", "--json", "--tools", "elsewhere"]).ok();
    let tools: Vec<Value> = serde_json::from_str(&listed).expect("a JSON array");
    assert_eq!(tools.len(), 2, "the manifest inside offers no more: {listed}");
    let tool =
        |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("{name}: {listed}"));
    let (describe, moved) = (tool("drawings.describe"), tool("drawings.move-by"));
    let said = describe["description"].as_str().expect("a description");
    assert!(said.starts_with("Puts a drawing into words."), "{said}");
    are_described(&describe["input_schema"]["properties"]);
    are_described(&moved["input_schema"]["properties"]["drawing"]["properties"]);
    are_described(&moved["output_schema"]["properties"]);

    let checked = world.run(&["tool", "check", "--json", "elsewhere/some-name.wasm"]);
    let found: Value = serde_json::from_str(&checked.out).expect("a JSON object");
    assert_eq!((checked.code, &found["problems"]), (Some(0), &json!([])), "{found}");
}

/// The fields of a drawing have all that is said of them, and of what they are made of.
fn are_described(fields: &Value) {
    let said = |schema: &Value| schema["description"].as_str().unwrap_or_default().to_owned();
    assert_eq!(said(&fields["at"]), "A place on the plane.", "a type");
    assert_eq!(said(&fields["at"]["properties"]["x"]), "To the right.", "a field of a record in a record");
    assert_eq!(said(&fields["colour"]), "- `red`: As a ripe tomato.", "a case of an enum");
    assert_eq!(said(&fields["style"]), "Each at most once.\n- `dashed`: Lines with gaps.", "a flag");
    assert!(said(&fields["tags"]).starts_with("Each with its weight."), "a field");
    let cases = &fields["shape"]["anyOf"];
    let circle = &cases[1]["properties"]["circle"];
    assert_eq!(said(circle), "A radius.", "a case of a variant: {cases}");
    let polygon = &cases[2]["properties"]["polygon"];
    assert_eq!(said(polygon), "Corners in order.", "{cases}");
    assert_eq!(said(&polygon["items"]["properties"]["y"]), "Upwards.", "a field of the elements of a list: {cases}");
}
