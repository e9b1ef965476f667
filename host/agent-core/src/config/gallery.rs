//! Broken files and what the user reads about them. Read the messages as the person who made the mistake.

use proptest::prelude::*;

use super::agent_file::AgentFile;
use super::manifest::Manifest;
use super::policy::parse_policy;
use super::problem::{ProblemKind, Problems};

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
fn secrets_that_could_go_anywhere() {
    let text = "
[[capabilities.http]]
url = \"https://*\"
methods = [\"GET\"]
[[capabilities.http]]
url = \"https://api.example.com/orders\"
methods = [\"POST\"]
idempotency_header = \"X-Key\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://*\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://*.example.com\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://api.example.com:*\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"http://api.example.com\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://api.example.com:8443\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://api.example.com\"
header = \"x-key\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://api.example.com\"
header = \"Host\"
format = \"Bearer\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://api.example.com\"
[[capabilities.secrets]]
name = \"OTHER_TOKEN\"
url = \"https://api.example.com/orders\"
header = \"Authorization\"
[[capabilities.secrets]]
name = \"API TOKEN\"
value = \"tok\"
";
    insta::assert_snapshot!(of_manifest_with(text), @r#"
    tool.toml:12:7: `https://*` leaves the host or the port open, and a secret goes to one that is named
    tool.toml:15:7: `https://*.example.com` leaves the host or the port open, and a secret goes to one that is named
    tool.toml:18:7: `https://api.example.com:*` leaves the host or the port open, and a secret goes to one that is named
    tool.toml:21:7: `http://api.example.com` would carry the secret over the network unencrypted
      hint: write `https://api.example.com`
    tool.toml:24:7: no `[[capabilities.http]]` asks for `https://api.example.com:8443`, so the secret would never be sent
      hint: add `[[capabilities.http]]` with `url = "https://api.example.com:8443"` and its methods
    tool.toml:25:1: `x-key` carries the host's key of requests to `https://api.example.com/orders`
      hint: give the secret a header of its own
    tool.toml:32:10: `header`: `Host` has a meaning of its own and cannot carry a key or a secret
    tool.toml:33:10: `format`: a format is short printable text with one `{}` for the value, such as `Bearer {}`
    tool.toml:37:1: `API_TOKEN` goes into `authorization` of the same requests
      hint: give the two URLs that do not overlap, or two headers
    tool.toml:41:1: `url` is missing
      hint: write `url = "https://api.example.com"`
    tool.toml:42:8: `name`: `API TOKEN` is not one variable's name: use letters, digits and `_`
    tool.toml:43:1: unknown key `value`
      hint: known here: `name`, `url`, `header`, `format`
    "#);
}

#[test]
fn secrets_of_an_agent_file_and_of_a_policy() {
    let text = "
[[grant]]
tool = \"fetch\"
secrets = [\"API_TOKEN\", { name = \"B_TOKEN\", from = \"file:/home/ada/.ssh/id\" }, { from = \"env:X\" }, 7, \"a b\"]
";
    let agent = "agent = { name = \"a\", instructions = \"Be brief.\" }";
    insta::assert_snapshot!(of_agent(&format!("{agent}{text}")), @r#"
    agent.toml:4:52: an agent file does not say where a secret comes from
      hint: leave `from` out; who runs the agent says it: `--secret NAME=file:PATH`, or in a policy
    agent.toml:4:80: `name` is missing
      hint: write `name = "API_TOKEN"`
    agent.toml:4:89: an agent file does not say where a secret comes from
      hint: leave `from` out; who runs the agent says it: `--secret NAME=file:PATH`, or in a policy
    agent.toml:4:100: `secrets` must be a table, not a whole number
    agent.toml:4:103: `secrets`: `a b` is not one variable's name: use letters, digits and `_`
    "#);
    insta::assert_snapshot!(of_policy(text), @r#"
    policy.toml:4:80: `name` is missing
      hint: write `name = "API_TOKEN"`
    policy.toml:4:100: `secrets` must be a table, not a whole number
    policy.toml:4:103: `secrets`: `a b` is not one variable's name: use letters, digits and `_`
    "#);
    let typed = "[[grant]]\ntool = \"fetch\"\nsecrets = [{ name = \"API_TOKEN\", from = \"tok-7f3Qx9Zw\" }]";
    insta::assert_snapshot!(of_policy(typed), @"policy.toml:3:41: `from`: a secret comes from `env:NAME` or `file:PATH`, and is never written down here itself");
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

#[test]
fn directories_that_cannot_be_granted() {
    let text = "
[[grant]]
tool = \"*\"
fs = [
  { host = \"../docs\", access = \"read\" },
  { host = \"~/docs\", access = \"read\" },
  { host = \"$HOME/docs\", access = \"read\" },
  { host = \"docs/*\", access = \"read\" },
  { host = \"/\", access = \"read\" },
  { host = \"/proc/self\", access = \"read\" },
  { host = \".git/hooks\", access = \"write\" },
  { host = \"docs\", mount = \"data\", access = \"read\" },
  { mount = \"/data\" },
]
";
    insta::assert_snapshot!(of_policy(text), @r#"
    policy.toml:5:12: `host`: `..` in `../docs` is refused: name the directory by its absolute path, or move the file above it
    policy.toml:6:12: `host`: `~` in `~/docs` is not expanded: write the absolute path
    policy.toml:7:12: `host`: `$` in `$HOME/docs` is not expanded: write the absolute path
    policy.toml:8:12: `host`: `docs/*` holds a wildcard: grant the directory itself
    policy.toml:9:12: `host`: `/` is the whole machine and cannot be granted: name a directory in it
    policy.toml:10:12: `host`: `/proc/self` lies in `/proc`, where files reach into the kernel and other processes: it cannot be granted
    policy.toml:11:12: `host`: `/home/ada/.git/hooks` lies in a `.git` directory, which cannot be granted
    policy.toml:12:28: `mount`: a mount is an absolute path without `.`, `..`, `//`, or a slash at its end, for instance `/data`
    policy.toml:13:3: `host` is missing
      hint: write `host = "./docs"`
    policy.toml:13:3: `access` is missing
      hint: write `access = "read"`
    "#);
}

#[test]
fn hosts_that_cannot_be_granted() {
    let text = "
[[grant]]
tool = \"fetch\"
http = [
  { url = \"https://*\", methods = [\"GET\"] },
  { url = \"https://*.com\", methods = [\"GET\"] },
  { url = \"https://*.github.io\", methods = [\"GET\"] },
  { url = \"https://*.example.org:*\", methods = [\"GET\"] },
  { url = \"\", methods = [\"GET\"] },
  { url = \"http://10.0.0.0/8\", methods = [\"GET\"] },
  { url = \"https://example.org\", class = \"pure\" },
]
";
    insta::assert_snapshot!(of_policy(text), @r#"
    policy.toml:5:11: `url`: a grant names its hosts: `*` is for a manifest, which states only a ceiling
    policy.toml:6:11: `url`: `*.com` covers hosts of many owners: name the host, or a wildcard below one owner's name
    policy.toml:7:11: `url`: `*.github.io` covers hosts of many owners: name the host, or a wildcard below one owner's name
    policy.toml:8:11: `url`: `https://*.example.org:*` covers every port of many hosts: name the port, or one host
    policy.toml:9:11: `url`: a URL pattern names a host
    policy.toml:10:11: `url`: `10.0.0.0/8` is a range of addresses, which cannot be granted: name each address
    policy.toml:11:3: `methods` is missing
      hint: write `methods = ["GET"]`
    policy.toml:11:42: `class` cannot be `pure`
      hint: known here: `opaque`
    "#);
}

#[test]
fn rules_that_say_nothing_or_too_much() {
    let text = "
[[grant]]
tool = \"fetch.\"
[[grant]]
tool = \"fetch\"
env = [\"*\", \"TZ\", \"A=B\"]
component = \"sha256:12\"
limits = { deadline = \"400s\", memory = \"8GiB\", speed = 1 }
[[approval]]
methods = [\"POST\"]
[[approval]]
effect = \"net\"
[[approval]]
effect = \"fs\"
methods = [\"POST\"]
[[deny]]
[[deny]]
http = [\"https://evil.example/path\", \"evil.example:80\", \"evil.example\"]
[[deny]]
env = []
";
    insta::assert_snapshot!(of_policy(text), @r#"
    policy.toml:2:1: this grant gives nothing
      hint: give `fs`, `http`, `env`, `secrets`, `kv` or `limits`
    policy.toml:3:8: `tool`: `` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter
    policy.toml:6:8: `env`: `*` is not one variable's name: use letters, digits and `_`
    policy.toml:6:19: `env`: `A=B` is not one variable's name: use letters, digits and `_`
    policy.toml:7:13: `component`: not a digest of the form `sha256:…`: sha256:12
    policy.toml:8:23: `deadline` is above `300s`: the sandbox enforces no more
    policy.toml:8:40: `memory` is above `4GiB`: the sandbox enforces no more
    policy.toml:8:48: unknown key `speed`: a limit that cannot be enforced is refused
      hint: known here: `fuel`, `deadline`, `memory`, `table_elements`, `host_calls`, `copy_bytes`, `handles`, `result_bytes`, `output_bytes`, `log_records`, `log_bytes`, `log_record_bytes`, `random_bytes`, `fs_write_bytes`, `fs_read_bytes`, `fs_files`, `http_requests`, `http_concurrent`, `http_hosts`, `http_response_bytes`, `http_request_bytes`, `http_ratio`, `http_header_fields`, `http_header_bytes`, `http_connect`, `http_first_byte`, `http_idle`, `http_total`, `kv_bytes`, `kv_entries`, `kv_key_bytes`, `kv_value_bytes`
    policy.toml:9:1: this approval asks about nothing
      hint: write `tool = "files.write"`, or `effect = "http"`, or both
    policy.toml:10:1: unknown key `methods`
      hint: known here: `tool`, `effect`
    policy.toml:12:10: `effect` cannot be `net`
      hint: known here: `fs`, `http`, `env`, `secret`, `kv`
    policy.toml:15:1: unknown key `methods`
      hint: known here: `tool`, `effect`, `access`
    policy.toml:16:1: this deny forbids nothing
      hint: write `tool = "fetch"`, or `http`, `fs`, `env` or `secrets` with a list, or `kv`
    policy.toml:18:9: a deny names a host, and holds on every port and path
      hint: write `"evil.example"`
    policy.toml:18:38: a deny names a host, and holds on every port and path
      hint: write `"evil.example"`
    policy.toml:20:7: the list is empty, so nothing is denied
    "#);
}

/// A file by somebody else is shown on the operator's terminal before anything in it is trusted.
#[test]
fn no_message_obeys_the_file_that_it_is_about() {
    let text = "[tool]\nname = \"a\\u001b[2J\\tb\"\nversion = \"1\"\ndescription = \"d\"\n[limits]\ndeadline = \"\\u202e1s\"\n";
    insta::assert_snapshot!(of_manifest(text), @r"
    tool.toml:2:8: `name`: `a\u{1b}[2J\u{9}b` is not a name: use 1 to 31 of a-z, 0-9, `-` and single `_`, beginning with a letter
    tool.toml:6:12: `deadline`: `\u{202e}1s` does not begin with a whole number such as `20` or `200_000`
    ");
    let long = format!("[tool]\nname = \"{}\"\nversion = \"1\"\ndescription = \"d\"\n", "x".repeat(100_000));
    assert!(of_manifest(&long).len() < 1_000);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let problems = Manifest::parse("tool.toml", &"#".repeat((1 << 20) + 1)).map_err(Problems::into_vec);
    let problems = problems.err().unwrap_or_default();
    assert_eq!(problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::RequestTooLarge]);
}

#[test]
fn bombs_are_refused() {
    let nested = "[".repeat(100_000);
    let dotted = format!("{}a = 1", "a.".repeat(100_000));
    let tables = "[[capabilities.fs]]\n".repeat(50_000);
    let keys: String = (0..100_000).map(|number| format!("k{number}=1\n")).collect();
    let mounts: String = (0..20_000).map(|number| format!("{{mount=\"/a{number}\",access=\"read\"}},")).collect();
    let mounts = format!("capabilities.fs = [{mounts}]");
    for text in [format!("a = {nested}"), dotted, tables, keys, mounts, "=\n".repeat(500_000)] {
        let problems = Manifest::parse("tool.toml", &text).map_err(Problems::into_vec).err().unwrap_or_default();
        assert!((1..=51).contains(&problems.len()), "{} problems of {} bytes", problems.len(), text.len());
    }
}

const PARTS: [&str; 26] = [
    "[agent]\n",
    "[tool]\n",
    "[[grant]]\n",
    "[[approval]]\n",
    "[[deny]]\n",
    "[limits]\n",
    "[budget]\n",
    "[build]\n",
    "[[capabilities.fs]]\n",
    "[[capabilities.http]]\n",
    "[[capabilities.env]]\n",
    "[[capabilities.secrets]]\n",
    "secrets = [{ name = \"A\", from = \"env:A\" }]\n",
    "tool = \"files\"\n",
    "name = \"a\"\n",
    "instructions = \"Be brief.\"\n",
    "effect = \"http\"\n",
    "methods = [\"POST\"]\n",
    "http = [\"example.org\"]\n",
    "fs = [{ host = \"a\", access = \"read\" }]\n",
    "url = \"https://*\"\n",
    "mount = \"/data\"\n",
    "access = \"write\"\n",
    "deadline = \"1s\"\n",
    "turns = 1\n",
    "version = 1\n",
];

proptest! {
    #[test]
    fn any_file_is_read_or_refused(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..12), noise in "\\PC{0,4}", at in 0_usize..200,
    ) {
        let mut text = parts.concat();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &noise);
        for said in [of_manifest(&text), of_agent(&text), of_policy(&text)] {
            prop_assert!(!said.is_empty());
        }
    }
}
