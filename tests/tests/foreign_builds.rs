//! What other people's toolchains make of programs and functions that know nothing of this host: adapted where that is needed,
//! called, and refused where WASI 0.3 is in it. The compilers are those that `cargo xtask languages` put into the user's cache folder; a
//! missing one is a failure. Components of componentize-py and of jco's larger engine are the tools in `tools/other-languages`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

use agent_tests::World;
use serde_json::{Value, json};

/// A line of the shell in the working folder, with the compilers.
fn build(world: &World, line: &str) {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"))).expect("a cache folder");
    let mut path = cache.join("agent-host/languages/bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh").args(["-c", line]).current_dir(world.work()).env("PATH", path).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn outcome(world: &World, name: &str, operation: &str, arguments: &Value) -> Value {
    let (path, operation, arguments) = (format!("{name}.wasm"), format!("{name}.{operation}"), arguments.to_string());
    world.write("data/note.txt", "from a file\n");
    let words = ["tool", "call", "--json", "--tools", &path, "--allow-read", "data", &operation, &arguments];
    let said = world.run(&words);
    serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))["outcome"].clone()
}

/// The text that a call returned.
fn text(world: &World, name: &str, operation: &str, arguments: &Value) -> String {
    let outcome = outcome(world, name, operation, arguments);
    outcome["returned"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

/// Adapts what was built for WASI preview 1, after seeing that it is refused as it is.
fn adapt(world: &World, name: &str) {
    let core = format!("{name}-core.wasm");
    let refused = world.run(&["tool", "list", "--tools", &core]);
    assert!(refused.code == Some(1) && refused.err.contains("`agent-host tool adapt`"), "{refused:?}");
    let _ = world.run(&["tool", "adapt", &core, "--output", &format!("{name}.wasm")]).ok();
}

/// What a program is asked that knows arguments, standard input, files and exit codes.
fn is_a_command(world: &World, name: &str) {
    let call = |arguments: Value| text(world, name, "run", &arguments);
    assert_eq!(call(json!({"args": ["args", "a b", ""]})), format!("{name} [a b] []\n"));
    assert_eq!(call(json!({"args": ["upper"], "stdin": "one\ntwo\n"})), "ONE\nTWO\n");
    assert_eq!(call(json!({"args": ["cat", "/data/note.txt"]})), "from a file\n");
    // WASI 0.2 has one code for every failure.
    let failed = outcome(world, name, "run", &json!({"args": ["fail"]}));
    let message = failed["failed"]["message"].as_str().unwrap_or_else(|| panic!("{failed}"));
    assert_eq!(message, "the command ended with exit code 1\nstandard error:\nno such thing\nstandard output:\nhalf");
    let outside = outcome(world, name, "run", &json!({"args": ["cat", "/etc/passwd"]}));
    assert!(outside["failed"]["message"].as_str().is_some_and(|message| !message.contains("root:")), "{outside}");
}

const C_PROGRAM: &str = r#"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int copy(FILE *from, int upper) {
  int c;
  if (!from) return perror("cannot open"), 1;
  while ((c = getc(from)) != EOF) putchar(upper ? toupper(c) : c);
  return 0;
}

int main(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "";
  if (!strcmp(word, "upper")) return copy(stdin, 1);
  if (!strcmp(word, "cat")) return copy(fopen(argv[2], "r"), 0);
  if (!strcmp(word, "fail")) return fputs("half", stdout), fputs("no such thing\n", stderr), 3;
  printf("%s", argv[0]);
  for (int i = 2; i < argc; i++) printf(" [%s]", argv[i]);
  puts("");
}
"#;

#[test]
fn a_program_in_c_for_wasi_preview_1() {
    let world = World::new();
    world.write("program.c", C_PROGRAM);
    build(&world, "zig cc -target wasm32-wasi -Os -s program.c -o from-c-core.wasm");
    adapt(&world, "from-c");
    is_a_command(&world, "from-c");
}

const GO_PROGRAM: &str = r#"package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	switch os.Args[1] {
	case "upper":
		all, _ := io.ReadAll(os.Stdin)
		fmt.Print(strings.ToUpper(string(all)))
	case "cat":
		all, err := os.ReadFile(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		fmt.Print(string(all))
	case "fail":
		fmt.Print("half")
		fmt.Fprintln(os.Stderr, "no such thing")
		os.Exit(3)
	default:
		fmt.Print(os.Args[0])
		for _, argument := range os.Args[2:] {
			fmt.Printf(" [%s]", argument)
		}
		fmt.Println()
	}
}
"#;

#[test]
fn a_program_in_go_for_wasi_preview_1() {
    let world = World::new();
    world.write("program.go", GO_PROGRAM);
    let line = "GOTOOLCHAIN=local GOOS=wasip1 GOARCH=wasm go build -ldflags='-s -w' -o from-go-core.wasm program.go";
    build(&world, line);
    adapt(&world, "from-go");
    is_a_command(&world, "from-go");
}

/// jco's smaller engine takes asynchronous parts of WASI 0.3 for every program, also for one that has none.
#[test]
fn what_jco_makes_for_wasi_0_3_is_refused() {
    for (wit, program, words) in [
        ("func", "export function wait(text) {\n  return text;\n}\n", "it uses the asynchronous functions of WASI 0.3"),
        ("async func", "export async function wait(text) {\n  return text;\n}\n", "needs WASI 0.3, for export `wait`"),
    ] {
        let world = World::new();
        let wit = format!("package local:words;\nworld words {{\n  export wait: {wit}(text: string) -> string;\n}}\n");
        world.write("words.wit", wit);
        world.write("words.js", program);
        build(&world, "jco componentize words.js --wit words.wit --world-name words --backend qjs -o words.wasm");
        let said = world.run(&["tool", "list", "--tools", "words.wasm"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains("error[component_invalid]") && said.err.contains(words), "{said:?}");
    }
}
