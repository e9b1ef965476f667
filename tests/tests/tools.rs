//! The bundled tools and both doors, called as a user calls them.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::peer::{self, Peer, Role};
use agent_tests::server::{Manner, Server};
use agent_tests::{World, guest, tool};
use serde_json::{Value, json};

/// Calls one tool of `path` and gives back its outcome as recorded.
fn outcome(world: &World, path: &str, more: &[&str], name: &str, arguments: &Value) -> Value {
    let arguments = arguments.to_string();
    let words = [&["tool", "call", "--json", "--tools", path], more, &[name, &arguments]].concat();
    let said = world.run(&words);
    serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))["outcome"].clone()
}

/// The content of a call that must return, as JSON values and texts.
fn returned(world: &World, path: &str, more: &[&str], name: &str, arguments: &Value) -> Vec<Value> {
    let outcome = outcome(world, path, more, name, arguments);
    let content = outcome["returned"]["content"].as_array().unwrap_or_else(|| panic!("{name}: {outcome}"));
    content.iter().map(|part| part.get("json").or(part.get("text")).cloned().unwrap_or(part.clone())).collect()
}

fn failed(world: &World, path: &str, more: &[&str], name: &str, arguments: &Value) -> String {
    let outcome = outcome(world, path, more, name, arguments);
    outcome["failed"]["message"].as_str().unwrap_or_else(|| panic!("{name}: {outcome}")).to_owned()
}

#[test]
fn files_are_written_read_edited_listed_and_searched() {
    let (world, files) = (World::new(), tool("files"));
    std::fs::create_dir(world.work().join("docs")).expect("a folder");
    let call = |name: &str, arguments: Value| returned(&world, &files, &["--allow-write", "docs"], name, &arguments);
    let written = call("files.write", json!({"path": "a/b.txt", "content": "one\ntwo\nthree\n"}));
    assert_eq!(written, [json!({"path": "a/b.txt", "bytes": 14, "created": true})]);
    assert_eq!(world.read("docs/a/b.txt").as_deref(), Some("one\ntwo\nthree\n"));
    let read = call("files.read", json!({"path": "a/b.txt", "from": 2, "lines": 1}));
    assert_eq!(read[0], "2\ttwo\n");
    let edited = call("files.edit", json!({"path": "a/b.txt", "old": "two", "new": "2"}));
    assert_eq!(edited[0]["replacements"], 1);
    assert_eq!(world.read("docs/a/b.txt").as_deref(), Some("one\n2\nthree\n"));
    let listed = call("files.list", json!({"path": "a"}));
    assert_eq!(listed[0]["entries"], json!([{"name": "b.txt", "kind": "file", "bytes": 12}]));
    let found = call("files.search", json!({"pattern": "^th.ee$"}));
    assert_eq!(found[0]["matches"][0]["line"], 3);
    let missing = failed(&world, &files, &["--allow-read", "docs"], "files.read", &json!({"path": "none.txt"}));
    assert!(missing.contains("none.txt"), "{missing}");
}

#[test]
fn scripts_run_over_the_granted_folder() {
    let (world, shell) = (World::new(), tool("shell"));
    world.write("docs/a.txt", "pear\napple\n");
    let call = |grant: &str, arguments: Value| returned(&world, &shell, &[grant, "docs"], "shell.run", &arguments);
    let script = "mkdir -p out; sort *.txt | tee out/sorted | head -1; while true; do echo x; done | head -2; pwd; nosuch; exit 3";
    let ended = call("--allow-write", json!({ "script": script }));
    assert_eq!((&ended[0]["status"], &ended[0]["stdout"]), (&json!(3), &json!("apple\nx\nx\n/data\n")));
    assert!(ended[0]["stderr"].as_str().is_some_and(|said| said.starts_with("shell: nosuch: not found")), "{ended:?}");
    assert_eq!(world.read("docs/out/sorted").as_deref(), Some("apple\npear\n"));
    let ended =
        call("--allow-read", json!({"script": "cat; basename $PWD; echo x > y", "stdin": "in\n", "cwd": "out"}));
    assert_eq!((&ended[0]["status"], &ended[0]["stdout"]), (&json!(1), &json!("in\nout\n")));
    assert!(ended[0]["stderr"].as_str().is_some_and(|said| said.contains("y: Permission denied")), "{ended:?}");
    let touched = call(
        "--allow-write",
        json!({"script": "touch -d 2001-02-03 old; ls -l old; date -u +%Y | wc -c; find . -newer old | wc -l"}),
    );
    assert_eq!(touched[0]["stdout"], "- 0 2001-02-03 00:00 old\n5\n4\n", "{touched:?}");
}

#[test]
fn hostile_scripts_end_in_words_and_not_in_traps() {
    let (world, shell) = (World::new(), tool("shell"));
    world.write("docs/a.txt", "a");
    world.write("other/b.txt", "b");
    let call = |script: &str| {
        let content = returned(&world, &shell, &["--allow-write", "docs"], "shell.run", &json!({ "script": script }));
        content.into_iter().next().expect("a result")
    };
    for script in [
        "f() { f; }; f",
        "f() { if true; then case a in a) { ( echo $(f) | cat ); } ;; esac; fi; }; f",
        "f() { for i in 1; do while true; do until false; do f; done; done; done; }; f",
        "x='eval \"$x\"'; eval \"$x\"",
        "f() { while :; do while :; do while :; do while :; do while :; do while :; do f; done; done; done; done; done; done; }; f",
        "f() { : ${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-${a:-$(f)}}}}}}}}}}}}}}; }; f",
        "echo 'echo a | xargs -I{} sh s' > s; sh s",
        "echo 'find s -exec sh s \\;' > s; sh s",
    ] {
        let ended = call(script);
        assert_eq!(ended["status"], 125, "{script}: {ended}");
        assert!(
            ended["notes"][0].as_str().is_some_and(|note| note.contains("deep in each other")),
            "{script}: {ended}"
        );
    }
    for open in [
        "(",
        "$(",
        "{ ",
        "if ",
        "while ",
        "for i in a; do ",
        "case a in a) ",
        "echo \"$(",
        "${x:-",
        "echo $((1+(",
        "[[ ! ",
        "f() { ",
    ] {
        let script = format!("echo; {}", open.repeat(3_000));
        let ended = call(&script);
        assert_eq!(ended["status"], 2, "{open}: {ended}");
    }
    let deepest = format!("{}echo deep{}", "( ".repeat(40), " )".repeat(40));
    assert_eq!(call(&deepest)["stdout"], "deep\n");
    let arithmetic = format!("echo $(({}1{}))", "(".repeat(45), ")".repeat(45));
    assert_eq!(call(&arithmetic)["stdout"], "1\n");
    call("rm -rf / /* ../* .. ../other; ls");
    assert_eq!(world.read("other/b.txt").as_deref(), Some("b"));
    assert!(call("cat /etc/passwd; cat ../other/b.txt; cat /data/../other/b.txt")["stdout"] == "");
    let endless =
        outcome(&world, &shell, &["--allow-write", "docs"], "shell.run", &json!({"script": "for ((;;)); do :; done"}));
    assert!(
        endless["faulted"]["fault"] == "fuel_exhausted" || endless.to_string().contains("ran more than"),
        "{endless}"
    );
}

#[test]
fn tables_are_described_and_asked() {
    let (world, table) = (World::new(), tool("table"));
    world.write("data/t.csv", "city,rain\nOslo,1.1\nRome,0.2\nOslo,2.2\n");
    let call = |name: &str, arguments: Value| returned(&world, &table, &["--allow-read", "data"], name, &arguments);
    let described = call("table.describe", json!({"file": "t.csv"}));
    assert_eq!((&described[0]["rows"], &described[0]["columns"][1]["type"]), (&json!(3), &json!("number")));
    let asked = call(
        "table.query",
        json!({"file": "t.csv", "group_by": ["city"], "aggregate": [{"op": "sum", "column": "rain", "as": "mm"}], "sort": ["mm desc"]}),
    );
    assert_eq!(asked[0]["rows"], json!([{"city": "Oslo", "mm": 3.3}, {"city": "Rome", "mm": 0.2}]));
}

#[test]
fn sums_are_exact() {
    let (world, calc) = (World::new(), tool("calc"));
    for (expression, value) in
        [("0.1 + 0.2", "0.3"), ("2^100", "1267650600228229401496703205376"), ("round(2 / 3, 4)", "0.6667")]
    {
        assert_eq!(returned(&world, &calc, &[], "calc.evaluate", &json!({ "expression": expression })), [value]);
    }
    let bomb = failed(&world, &calc, &[], "calc.evaluate", &json!({"expression": "9^9^9^9"}));
    assert!(!bomb.is_empty());
}

#[test]
fn pages_come_as_markdown() {
    let (world, fetch) = (World::new(), tool("fetch"));
    let server = Server::start(Manner::Answer("plain words of the server"));
    let url = format!("{}/page", server.url());
    let content = returned(&world, &fetch, &["--allow-net", &server.url()], "fetch.get", &json!({ "url": url }));
    assert_eq!((&content[0]["status"], &content[1]), (&json!(200), &json!("plain words of the server")));
    assert_eq!(server.hits(), 1);
    assert!(server.requests()[0].starts_with("GET /page HTTP/1.1"), "{:?}", server.requests());
}

#[test]
fn compressed_pages_come_as_markdown_too() {
    let (world, fetch) = (World::new(), tool("fetch"));
    let role = Role { manner: peer::Manner::Gzip, body: b"words of a compressed page".to_vec(), certificate: None };
    let url = format!("http://{}", Peer::start("127.0.0.1", role).address());
    let content = returned(&world, &fetch, &["--allow-net", &url], "fetch.get", &json!({ "url": url }));
    assert_eq!(content[1], json!("words of a compressed page"));
}

#[test]
fn plain_exports_are_tools_by_reflection_alone() {
    let (world, plain) = (World::new(), guest("plain"));
    let call = |name: &str, arguments: Value| returned(&world, &plain, &[], name, &arguments);
    let large = u64::MAX - 1;
    assert_eq!(call("plain.add", json!({"a": large, "b": "1"})), [json!(u64::MAX.to_string())]);
    assert_eq!(call("plain.extremes", json!({}))[0][7], json!(i64::MIN.to_string()));
    assert_eq!(call("plain.reverse", json!({"bytes": [1, 2, 255]})), [json!("/wIB")]);
    assert_eq!(call("plain.reverse", json!({"bytes": "/wIB"})), [json!("AQL/")]);
    assert_eq!(call("plain.nested", json!({"value": {"some": 6}})), [json!({"some": 7})]);
    assert_eq!(call("plain.nested", json!({"value": {"some": null}})), [json!({"some": null})]);
    assert_eq!(call("plain.nested", json!({})), [json!(null)]);
    assert_eq!(call("plain.letters", json!({"text": "aé"})), [json!(["a", "é"])]);
    assert_ne!(call("plain.greet", json!({"name": "Ada"})), call("plain.greet", json!({"name": null})));
    let triangle = json!({"polygon": [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 0, "y": 3}]});
    assert_eq!(call("plain.area", json!({ "shape": triangle })), [json!(6.0)]);
    let line = json!({"polygon": [{"x": 0, "y": 0}]});
    assert!(failed(&world, &plain, &[], "plain.area", &json!({ "shape": line })).contains("corners"));
}

#[test]
fn wrong_arguments_are_told_where_they_are_wrong() {
    let (world, plain) = (World::new(), guest("plain"));
    let refused = |name: &str, arguments: Value| {
        let said = world.run(&["tool", "call", "--tools", &plain, name, &arguments.to_string()]);
        assert_ne!(said.code, Some(0), "{said:?}");
        said.err.lines().next().unwrap_or_default().to_owned()
    };
    let drawing = |colour: &str, tag: Value| json!({"name": "x", "at": {"x": 0, "y": 1}, "shape": "nothing", "colour": colour, "style": [], "tags": [["a", 1], tag]});
    for (name, arguments, expected) in [
        (
            "plain.describe",
            drawing("mauve", json!(["b", 2])),
            "arguments.colour: expected one of `red`, `green`, `blue`, found `mauve`",
        ),
        (
            "plain.describe",
            drawing("red", json!(["b", -1])),
            "arguments.tags[1][1]: expected an integer from 0 to 18446744073709551615, found `-1`",
        ),
        ("plain.describe", drawing("red", json!(["b"])), "arguments.tags[1]: expected 2 items, found 1"),
        ("plain.reverse", json!({"bytes": "?"}), "arguments.bytes: not base64: invalid symbol 63, offset 0"),
    ] {
        let said = refused(name, arguments);
        assert!(said.ends_with(expected), "{said}");
    }
}

#[test]
fn a_program_with_main_is_a_tool() {
    let (world, command) = (World::new(), guest("command"));
    world.write("data/note.txt", "from a file\n");
    let call = |more: &[&str], arguments: Value| outcome(&world, &command, more, "command.run", &arguments);
    let text = |outcome: &Value| outcome["returned"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert_eq!(text(&call(&[], json!({"args": ["args", "a b", ""]}))), "command [\"args\", \"a b\", \"\"]\n");
    assert_eq!(text(&call(&[], json!({"args": ["upper"], "stdin": "one\ntwo"}))), "ONE\nTWO");
    // Relative paths begin at the granted folder.
    for path in ["/data/note.txt", "note.txt", "./note.txt"] {
        let read = call(&["--allow-read", "data"], json!({"args": ["cat", path]}));
        assert_eq!(text(&read), "from a file\n", "{path}: {read}");
    }
    assert_eq!(text(&call(&[], json!({"args": ["exit"]}))), "");
    let warned = call(&[], json!({"args": ["warn"]}));
    assert_eq!(warned["returned"]["content"][1]["text"], "standard error:\ncareful\n");
    let flood = call(&[], json!({"args": ["flood"]}));
    assert_eq!(text(&flood).len(), 256 << 10);
    assert!(
        flood["returned"]["content"][1]["text"].as_str().is_some_and(|text| text.contains("more were printed")),
        "{flood}"
    );
    let bytes = call(&[], json!({"args": ["bytes"]}));
    assert_eq!(bytes["returned"]["content"][0]["resource"]["body"], json!({"base64": "/wD+"}), "{bytes}");
    // WASI 0.2 has one code for every failure.
    let failed = call(&[], json!({"args": ["fail"]}));
    let expected = "the command ended with exit code 1\nstandard error:\nno such thing\nstandard output:\nhalf";
    assert_eq!(failed["failed"]["message"], expected);
}

#[test]
fn every_kind_of_content_comes_through() {
    let (world, polite) = (World::new(), guest("polite"));
    let outcome = outcome(&world, &polite, &[], "polite.parts", &json!({}));
    let parts = outcome["returned"]["content"].as_array().expect("content");
    let mut kinds: Vec<_> = parts.iter().filter_map(|part| part.as_object()?.keys().next().cloned()).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["audio", "image", "json", "resource", "text"]);
}

#[test]
fn the_clock_is_virtual_and_random_numbers_are_seeded() {
    let (world, polite) = (World::new(), guest("polite"));
    let slept = outcome(&world, &polite, &[], "polite.sleep", &json!({"ms": 120}));
    assert!(slept.get("returned").is_some(), "{slept}");
    let random = |_: u32| returned(&world, &polite, &[], "polite.random", &json!({}));
    assert_ne!(random(1), random(2), "each call has a seed of its own");
}
