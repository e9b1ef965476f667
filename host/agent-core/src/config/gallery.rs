//! Broken files and what the user reads about them. Read the messages as the person who made the mistake.

mod attacks;
mod rules;

use super::agent_file::AgentFile;
use super::manifest::Manifest;
use super::policy::parse_policy;
use super::problem::Problems;

fn of_manifest(text: &str) -> String {
    said(Manifest::parse("tool.toml", text))
}

/// A manifest that is broken by nothing but `rest`.
fn of_manifest_with(rest: &str) -> String {
    let tool = "tool = { name = \"fetch\", version = \"0.1.0\", description = \"Fetch a page.\" }";
    of_manifest(&format!("{tool}\n{rest}"))
}

fn of_agent(text: &str) -> String {
    said(AgentFile::parse("agent.toml", "/home/ada/agents", text))
}

fn of_policy(text: &str) -> String {
    said(parse_policy("policy.toml", "/home/ada", text))
}

fn said<T>(result: Result<T, Problems>) -> String {
    result.map_or_else(|problems| problems.to_string(), |_| "no problem".to_owned())
}

#[test]
fn an_empty_manifest() {
    insta::assert_snapshot!(of_manifest(""), @r#"
    tool.toml:1:1: `tool` is missing
      hint: write `tool = { name = "…", version = "0.1.0", description = "…" }`
    "#);
}

#[test]
fn text_that_is_not_toml() {
    insta::assert_snapshot!(of_manifest("[tool]\nname = fetch\nversion = \"0.1.0\n[limits\n"), @r#"
    tool.toml:2:8: invalid boolean, expected `false`: `fetch`
    tool.toml:3:17: invalid basic string, expected `"`
    tool.toml:4:8: unclosed table, expected `]`
    "#);
}

#[test]
fn a_key_twice() {
    insta::assert_snapshot!(of_manifest("[tool]\nname = \"fetch\"\nname = \"other\"\n\n[tool]\n"), @"
    tool.toml:3:1: duplicate key: `name`
    tool.toml:5:2: duplicate key: `tool`
    ");
}

#[test]
fn misspelled_keys() {
    let text = "
[tool]
name = \"fetch\"
verison = \"0.1.0\"
description = \"Fetch a page.\"
[capabilites]
[[capabilities.http]]
ulr = \"https://*\"
mehtods = [\"GET\"]
[limits]
dedline = \"20s\"
epochs = 7
";
    insta::assert_snapshot!(of_manifest(text), @"
    tool.toml:4:1: unknown key `verison`
      hint: did you mean `version`?
    tool.toml:6:2: unknown key `capabilites`
      hint: did you mean `capabilities`?
    tool.toml:8:1: unknown key `ulr`
      hint: did you mean `url`?
    tool.toml:9:1: unknown key `mehtods`
      hint: did you mean `methods`?
    tool.toml:11:1: unknown key `dedline`: a limit that cannot be enforced is refused
      hint: did you mean `deadline`?
    tool.toml:12:1: unknown key `epochs`: a limit that cannot be enforced is refused
      hint: known here: `fuel`, `deadline`, `memory`, `table_elements`, `host_calls`, `copy_bytes`, `handles`, `result_bytes`, `output_bytes`, `log_records`, `log_bytes`, `log_record_bytes`, `random_bytes`, `fs_write_bytes`, `fs_read_bytes`, `fs_files`, `http_requests`, `http_concurrent`, `http_hosts`, `http_response_bytes`, `http_request_bytes`, `http_ratio`, `http_header_fields`, `http_header_bytes`, `http_connect`, `http_first_byte`, `http_idle`, `http_total`, `kv_bytes`, `kv_entries`, `kv_key_bytes`, `kv_value_bytes`
    ");
}

#[test]
fn wrong_types() {
    let text = "
tool = [\"fetch\"]
build = \"make\"
[[capabilities.fs]]
mount = 7
access = true
[[capabilities.http]]
url = 1979-05-27
methods = \"GET\"
[capabilities.env]
name = \"TZ\"
[limits]
memory = 1.5
fuel = [5]
deadline = inf
";
    insta::assert_snapshot!(of_manifest(text), @"
    tool.toml:2:8: `tool` must be a table, not a list
    tool.toml:3:9: `build` must be a table, not a string
    tool.toml:5:9: `mount` must be a string, not a whole number
    tool.toml:6:10: `access` must be a string, not true or false
    tool.toml:8:7: `url` must be a string, not a date
    tool.toml:9:11: `methods` must be a list, not a string
    tool.toml:10:1: `env` must be a list, not a table
    tool.toml:13:10: `memory` must be a whole number, or a number and a unit in quotes, not a number with a fraction
    tool.toml:14:8: `fuel` must be a whole number, or a number and a unit in quotes, not a list
    tool.toml:15:12: `deadline` must be a whole number, or a number and a unit in quotes, not a number with a fraction
    ");
}

#[test]
fn limits_that_cannot_be() {
    let text = "
[limits]
fuel = -1
deadline = \"60s\"
memory = \"∞\"
table_elements = 1e30
host_calls = 0
copy_bytes = 64
handles = \"99999999999999999999\"
result_bytes = \"1e30MiB\"
output_bytes = \"64 Mib\"
log_records = 0
fs_files = 0x10
";
    insta::assert_snapshot!(of_manifest_with(text), @r#"
    tool.toml:4:8: `fuel`: a quantity is not negative
    tool.toml:5:12: `deadline` is above `30s`: a manifest can only lower it
      hint: only the operator raises a limit: `limits = { deadline = "60s" }` in a grant
    tool.toml:6:10: `memory`: there is no unlimited: write a number
    tool.toml:7:18: `table_elements` must be a whole number, or a number and a unit in quotes, not a number with a fraction
    tool.toml:8:14: `host_calls` is zero: no call could run
    tool.toml:9:14: `copy_bytes`: `64` needs one of the units `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`, for instance `64MiB`
    tool.toml:10:11: `handles`: `99999999999999999999` is too large
    tool.toml:11:16: `result_bytes`: `1e30MiB` does not begin with a whole number such as `20` or `200_000`
    tool.toml:12:16: `output_bytes`: `64 Mib` needs one of the units `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`, for instance `64MiB`
    "#);
}

#[test]
fn words_of_the_tool() {
    let text = "
[tool]
name = \"Fetch It\"
version = \"one two\"
description = \"Fetch\u{202e} a page.\"
[build]
command = \" \"
artifact = \"/fetch.wasm\"
";
    insta::assert_snapshot!(of_manifest(text), @r"
    tool.toml:3:8: `name`: `Fetch It` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter
    tool.toml:4:11: `one two` is not a version such as `0.1.0`
    tool.toml:5:15: the description holds a character that nobody sees: `\u{202e}`
    tool.toml:7:11: the command is empty or holds characters that nobody sees
    tool.toml:8:12: `/fetch.wasm` is not a path relative to this file's folder
    ");
}

#[test]
fn capabilities_that_are_not_there() {
    let text = "
[[capabilities.kv]]
store = \"My Notes\"
access = \"write\"
[[capabilities.kv]]
access = \"read\"
[[capabilities.kv]]
store = \"default\"
access = \"write\"
[capabilities.clock]
[capabilities.net]
";
    insta::assert_snapshot!(of_manifest_with(text), @"
    tool.toml:4:9: `store`: `My Notes` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter
    tool.toml:8:1: store `default` is asked for twice
    tool.toml:11:15: `clock` is always granted: leave it out
    tool.toml:12:15: unknown key `net`
      hint: known here: `fs`, `http`, `env`, `secrets`, `kv`
    ");
}

#[test]
fn patterns_that_cannot_match_safely() {
    let text = "
[[capabilities.http]]
url = \"ftp://example.org\"
methods = [\"GET\"]
[[capabilities.http]]
url = \"https://user@example.org\"
methods = [\"get\"]
[[capabilities.http]]
url = \"https://127.1\"
methods = []
[[capabilities.http]]
url = \"https://api.*.org/a/../b\"
methods = [\"FETCH\"]
[[capabilities.http]]
url = \"https://example.org/a/../b\"
methods = [\"GET\"]
idempotency_header = \"Idempotency-Key\"
[[capabilities.http]]
url = \"https://example.org?q=1\"
methods = [\"POST\"]
idempotency_header = \"Authorization\"
[[capabilities.http]]
url = \"https://example.org:80-90\"
methods = [\"GET\"]
";
    insta::assert_snapshot!(of_manifest_with(text), @r#"
    tool.toml:4:7: `url`: scheme `ftp` cannot be granted: use `https` or `http`
    tool.toml:7:7: `url`: a URL pattern holds no user name or password
    tool.toml:8:12: `methods` cannot be `get`
      hint: did you mean `GET`?
    tool.toml:10:7: `url`: `127.1` is an unusual spelling of an address: write `127.0.0.1`
    tool.toml:11:11: `methods` is empty, so nothing is covered
      hint: write `methods = ["GET"]`
    tool.toml:13:7: `url`: `*` in `api.*.org` must be alone or the whole first label: `*.example.org`
    tool.toml:14:12: `methods` cannot be `FETCH`
      hint: known here: `GET`, `HEAD`, `OPTIONS`, `POST`, `PUT`, `PATCH`, `DELETE`
    tool.toml:16:7: `url`: path `/a/../b` would be sent as `/b`: write that
    tool.toml:18:22: no method here writes, so the header would never be sent
    tool.toml:20:7: `url`: a URL pattern ends with its path: a query or fragment decides nothing
    tool.toml:22:22: `idempotency_header`: `Authorization` has a meaning of its own and cannot carry a key or a secret
    tool.toml:24:7: `url`: `80-90` is not a port: write one number from 1 to 65535, or `*` for every port
    "#);
}

#[test]
fn mounts_that_overlap() {
    let text = "
[capabilities]
fs = [
  { mount = \"/data\", access = \"read\" },
  { mount = \"/data/in\", access = \"write\" },
  { mount = \"data\", access = \"all\" },
]
";
    insta::assert_snapshot!(of_manifest_with(text), @"
    tool.toml:6:3: mounts `/data` and `/data/in` overlap
    tool.toml:7:13: `mount`: a mount is an absolute path without `.`, `..`, `//`, or a slash at its end, for instance `/data`
    tool.toml:7:30: `access` cannot be `all`
      hint: known here: `read`, `write`
    ");
}

#[test]
fn an_agent_with_several_mistakes() {
    let text = "
[agent]
name = \"support\"
instructions = \"../prompt.md\"
modle = \"ollama:qwen\"
tool_mode = \"JSON\"
tools = \"tools\"
[budget]
cost = \"5 EUR\"
turns = 0
tokens = \"many\"
time = \"10\"
steps = 3
[[grants]]
tool = \"files\"
";
    insta::assert_snapshot!(of_agent(text), @"
    agent.toml:4:16: `../prompt.md` is not a path below this file's folder
    agent.toml:5:1: unknown key `modle`
      hint: did you mean `model`?
    agent.toml:6:13: `tool_mode` cannot be `JSON`
      hint: did you mean `json`?
    agent.toml:7:9: `tools` must be a list, not a string
    agent.toml:9:1: `cost` cannot be enforced yet, since prices are not known to the host: give `tokens` instead
    agent.toml:10:9: a run that may spend nothing cannot begin
    agent.toml:11:10: `tokens`: `many` does not begin with a whole number such as `20` or `200_000`
    agent.toml:12:8: `time`: `10` needs one of the units `ms`, `s`, `m`, `h`, for instance `20s`
    agent.toml:13:1: unknown key `steps`: a budget that cannot be enforced is refused
      hint: known here: `turns`, `tool_calls`, `tokens`, `fuel`, `time`
    agent.toml:14:3: unknown key `grants`
      hint: did you mean `grant`?
    ");
}
