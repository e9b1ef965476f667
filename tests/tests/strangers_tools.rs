//! What comes with a stranger's tool, and what it cannot do before anybody trusts it: its cases, its files, its names.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent_tests::{World, tool};

/// A server that answers anything, its address, and how often it was reached.
fn counting() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (url, reached) = (format!("http://{}", listener.local_addr().expect("an address")), Arc::default());
    let count: Arc<AtomicUsize> = Arc::clone(&reached);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let answer =
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    (url, reached)
}

/// The tool `fetch` in a folder of its own, with a case that sends a request.
fn fetch(world: &World, url: &str) {
    for name in ["tool.toml", "fetch.wasm"] {
        world.write(&format!("fetch/{name}"), fs::read(format!("{}/{name}", tool("fetch"))).expect("it is built"));
    }
    let case = format!(
        "[[case]]\nname = \"a page\"\ncall = \"get\"\narguments = {{ url = \"{url}/x\" }}\nnet = [\"{url}\"]\n"
    );
    world.write("fetch/tests.toml", case + "contains = \"hello\"\n");
}

/// A case is its author's word. On the network of whoever tries the tool it would be his request.
#[test]
fn a_case_sends_nothing_that_this_command_does_not_allow() {
    // With a state folder of its own: it is given a policy.
    let (world, (url, reached)) = (World::untouched(), counting());
    fetch(&world, &url);
    let said = world.run(&["tool", "test", "fetch"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("it was not called") && said.out.contains(&format!("--allow-net {url}")), "{said:?}");
    assert!(said.out.ends_with("0 passed, 0 failed, 1 not called\n"), "{said:?}");
    let json = world.run(&["tool", "test", "--json", "fetch"]);
    assert!(json.code == Some(1) && json.out.contains("\"passed\":false"), "{json:?}");
    let checked = world.run(&["tool", "check", "fetch"]);
    assert!(checked.out.contains("made-up arguments"), "{checked:?}");
    let elsewhere = world.run(&["tool", "test", "--allow-net", "example.org", "fetch"]);
    assert_eq!((elsewhere.code, reached.load(Ordering::SeqCst)), (Some(1), 0), "{elsewhere:?}");

    let allowed = world.run(&["tool", "test", "--allow-net", &url, "fetch"]);
    assert!(allowed.out.ends_with("1 passed, 0 failed\n"), "{allowed:?}");
    assert_eq!(reached.load(Ordering::SeqCst), 1);
    // Any deny wins.
    fs::write(world.home().join("policy.toml"), "[[deny]]\ntool = \"*\"\nhttp = [\"127.0.0.1\"]\n").expect("a policy");
    let denied = world.run(&["tool", "test", "--allow-net", &url, "fetch"]);
    assert_eq!((denied.code, reached.load(Ordering::SeqCst)), (Some(1), 1), "{denied:?}");
}

/// The error output is stripped of escapes where it is no terminal, so what is looked for is that they are shown.
#[test]
fn a_name_in_a_folder_of_tools_is_shown_and_does_nothing() {
    let world = World::new();
    world.write("tools/calc.wasm", fs::read(format!("{}/calc.wasm", tool("calc"))).expect("it is built"));
    world.write("tools/a\u{1b}]52;c;eA==\u{7}\u{202e}.wasm", "no component");
    let said = world.run(&["tool", "list", "--tools", "tools"]);
    assert!(said.code == Some(0) && said.out.contains("calc.evaluate"), "{said:?}");
    assert!(said.err.contains("warning: `tools/a\\u{1b}]52;c;eA==\\u{7}\\u{202e}.wasm` is left out: "), "{said:?}");
}

#[test]
fn a_path_that_is_no_text_is_no_defect() {
    let world = World::new();
    let folder = world.work().join(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::create_dir(&folder).expect("a folder");
    for name in ["tool.toml", "calc.wasm"] {
        fs::copy(format!("{}/{name}", tool("calc")), folder.join(name)).expect("it is built");
    }
    let output = world.command(&["tool", "inspect", "--json"]).arg(&folder).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a program reads is what the tool said, to the byte.
#[test]
fn a_result_is_not_changed_in_a_pipe() {
    let world = World::new();
    world.write("docs/a.txt", "a\u{1b}]rest\u{1b}[31mred");
    let words = [
        "tool",
        "call",
        "--quiet",
        "--tools",
        &tool("files"),
        "--allow-read",
        "docs",
        "files.read",
        "{\"path\":\"a.txt\"}",
    ];
    let said = world.run(&words);
    assert!(said.out.contains("a\u{1b}]rest\u{1b}[31mred"), "{said:?}");
}

/// What is written there is loaded in the next run, with the grants that go by name. In a wider grant it stays as it is.
#[test]
fn no_tool_writes_to_where_tools_are_loaded_from() {
    let world = World::new();
    for name in ["tool.toml", "calc.wasm"] {
        world.write(&format!("tools/calc/{name}"), fs::read(format!("{}/{name}", tool("calc"))).expect("it is built"));
    }
    fs::create_dir(world.work().join("docs")).expect("a folder");
    let call = |granted: &str| {
        world.run(&["tool", "call", "--allow-write", granted, "calc.evaluate", "{\"expression\":\"1+1\"}"])
    };
    for granted in ["docs", "."] {
        assert_eq!(call(granted).ok(), "2\n");
    }
    for granted in ["tools", "tools/calc"] {
        let refused = call(granted);
        assert!(refused.code == Some(1) && refused.err.contains("error[grant_exceeds_policy]"), "{refused:?}");
        assert!(refused.err.contains("could add a tool to"), "{refused:?}");
    }
}
