//! The bundled tools that are not in Rust, built by `cargo xtask languages`: each by its own cases, and what the cases cannot say.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::{World, tool};
use serde_json::{Value, json};

fn folder(name: &str) -> String {
    tool(&format!("other-languages/{name}"))
}

fn call(world: &World, name: &str, operation: &str, arguments: &Value) -> Value {
    let (folder, operation, arguments) = (folder(name), format!("{name}.{operation}"), arguments.to_string());
    let said = world.run(&["tool", "call", "--json", "--tools", &folder, "--allow-write", ".", &operation, &arguments]);
    serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))["outcome"].clone()
}

fn returned(world: &World, name: &str, operation: &str, arguments: &Value) -> Value {
    let outcome = call(world, name, operation, arguments);
    let part = &outcome["returned"]["content"][0];
    assert!(!part.is_null(), "{outcome}");
    part.get("json").or(part.get("text")).cloned().unwrap_or_default()
}

fn failed(world: &World, name: &str, operation: &str, arguments: &Value) -> String {
    let outcome = call(world, name, operation, arguments);
    outcome["failed"]["message"].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

fn passes_its_cases(name: &str) {
    let said = World::new().run(&["tool", "test", &folder(name)]);
    assert!(said.code == Some(0) && said.out.ends_with(", 0 failed\n"), "{said:?}");
}

fn is_checked(name: &str) -> Value {
    let said = World::new().run(&["tool", "check", "--json", &folder(name)]);
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).expect("a JSON object")
}

#[test]
fn python_passes_its_cases() {
    passes_its_cases("python");
}

#[test]
fn javascript_passes_its_cases() {
    passes_its_cases("javascript");
}

#[test]
fn nothing_is_wrong_with_them() {
    for name in ["python", "javascript", "archive"] {
        let checked = is_checked(name);
        assert_eq!(checked["problems"], json!([]), "{checked}");
        assert!(checked["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{checked}");
    }
}

/// Archives of every kind that `archive` knows, made by Python where it is bundled.
const MAKE_ARCHIVES: &str = r#"
import io, tarfile, zipfile
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("docs/one.txt", "first\n" * 100)
    archive.writestr("docs/two.bin", bytes(range(256)))
    archive.writestr("évil/../../three.txt", "outside")
with zipfile.ZipFile("good.zip", "w") as archive:
    archive.mkdir("docs")
    archive.writestr("docs/one.txt", "one")
    archive.writestr("docs/deep/two.txt", "two")
    archive.writestr("other.txt", "other")
for kind in ["", "gz", "bz2"]:
    try:
        with tarfile.open(f"b.tar.{kind}".rstrip("."), f"w:{kind}") as archive:
            about = tarfile.TarInfo("./docs/one.txt")
            about.size = 6
            archive.addfile(about, io.BytesIO(b"tarred"))
            link = tarfile.TarInfo("docs/link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    except tarfile.CompressionError as error:
        print(error)
"#;

#[test]
fn archives_of_every_kind_are_listed_read_and_unpacked() {
    let world = World::new();
    returned(&world, "python", "run", &json!({ "code": MAKE_ARCHIVES }));
    let listed = returned(&world, "archive", "list", &json!({"path": "good.zip"}));
    let paths: Vec<_> = listed["entries"].as_array().expect("entries").iter().map(|one| &one["path"]).collect();
    assert_eq!(paths, ["docs/", "docs/one.txt", "docs/deep/two.txt", "other.txt"]);
    assert_eq!((&listed["entries"][0]["is-folder"], &listed["entries"][1]["bytes"]), (&json!(true), &json!(3)));
    for name in ["b.tar", "b.tar.gz"] {
        let listed = returned(&world, "archive", "list", &json!({ "path": name }));
        let expected = json!([{"path": "./docs/one.txt", "bytes": 6, "is-folder": false}]);
        assert_eq!(listed["entries"], expected, "{name}");
        assert_eq!(returned(&world, "archive", "read", &json!({"path": name, "entry": "docs/one.txt"})), "tarred");
    }
    let arguments = json!({"path": "good.zip", "into": "out", "only": "docs"});
    assert_eq!(returned(&world, "archive", "extract", &arguments), json!({"files": 2, "bytes": 6}));
    assert_eq!(world.read("out/docs/deep/two.txt").as_deref(), Some("two"));
    assert_eq!(world.read("out/other.txt"), None);
    assert!(failed(&world, "archive", "extract", &arguments).contains("exist"), "nothing is written over");
}

#[test]
fn archives_that_lie_are_refused() {
    let world = World::new();
    returned(&world, "python", "run", &json!({ "code": MAKE_ARCHIVES }));
    let outside = failed(&world, "archive", "extract", &json!({"path": "a.zip", "into": "out"}));
    assert!(outside.contains("outside of the folder"), "{outside}");
    let binary = failed(&world, "archive", "read", &json!({"path": "a.zip", "entry": "docs/two.bin"}));
    assert!(binary.contains("not text"), "{binary}");
    let missing = failed(&world, "archive", "read", &json!({"path": "a.zip", "entry": "none"}));
    assert!(missing.contains("no file `none`"), "{missing}");
    world.write("no.zip", "plain words, of which there are enough for a header".repeat(20));
    let none = failed(&world, "archive", "list", &json!({"path": "no.zip"}));
    assert!(none.contains("neither a zip nor a tar"), "{none}");
}

#[test]
fn python_cannot_do_what_was_not_granted() {
    let world = World::new();
    let code = "
import os
def tried(what):
    try:
        return repr(what())
    except BaseException as error:
        return type(error).__name__
{
    'environment': tried(lambda: dict(os.environ)),
    'outside': tried(lambda: open('/etc/passwd').read()),
    'above': tried(lambda: open('/data/../etc/passwd').read()),
    'root': tried(lambda: os.listdir('/')),
    'process': tried(lambda: os.popen('id').read()),
    'socket': tried(lambda: __import__('socket').create_connection(('127.0.0.1', 80))),
}
";
    let value = returned(&world, "python", "run", &json!({ "code": code }));
    let value = value["value"].as_str().expect("a value").to_owned();
    assert!(value.contains("'environment': '{}'"), "{value}");
    assert_eq!(value.matches("Error").count(), 5, "{value}");
    let memory = call(&world, "python", "run", &json!({"code": "x = bytearray(1 << 30)"}));
    let message = memory["failed"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("MemoryError") || memory["faulted"]["fault"] == "memory_limit", "{memory}");
}
