//! Rules of a policy that give nothing, too much, or something to the wrong place; and secrets, wherever they are asked for.

use super::{of_agent, of_manifest_with, of_policy};

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
    insta::assert_snapshot!(of_policy(typed), @"policy.toml:3:41: `from`: a secret comes from `env:NAME`, `file:PATH` or `keyring:SERVICE/ACCOUNT`, and is never written down here itself");
    let misspelt = "[[grant]]\ntool = \"fetch\"\nsecrets = [{ name = \"API_TOKEN\", from = \"keychain:orders/ada\" },\n\
                    { name = \"B_TOKEN\", from = \"keyring:orders\" }]";
    insta::assert_snapshot!(of_policy(misspelt), @"
    policy.toml:3:41: `from`: a secret comes from `env:NAME`, `file:PATH` or `keyring:SERVICE/ACCOUNT`: did you mean `keyring:`?
    policy.toml:4:28: `from`: what follows `keyring:` is not `SERVICE/ACCOUNT`: two names, neither of which begins with `-`
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
    policy.toml:8:23: `deadline` is above `300s`: no more can be enforced
    policy.toml:8:40: `memory` is above `4GiB`: no more can be enforced
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

#[test]
fn what_a_grant_says_and_nothing_would_keep() {
    let text = "
[[grant]]
tool = \"fetch\"
http = [{ url = \"https://example.org\", methods = [\"GET\"], idempotency_header = \"X-Key\" }]
limits = { result_bytes = \"1000GiB\", output_bytes = \"5MiB\", log_bytes = \"1GiB\", log_records = \"1M\", http_response_bytes = \"1GiB\" }
";
    insta::assert_snapshot!(of_policy(text), @"
    policy.toml:4:80: no method here writes, so the header would never be sent
    policy.toml:5:27: `result_bytes` is above `24MiB`: no more can be enforced
    policy.toml:5:53: `output_bytes` is above `4MiB`: no more can be enforced
    policy.toml:5:73: `log_bytes` is above `4MiB`: no more can be enforced
    policy.toml:5:95: `log_records` is above `100k`: no more can be enforced
    policy.toml:5:123: `http_response_bytes` is above `128MiB`: no more can be enforced
    ");
}

/// What a hint says can be done.
#[test]
fn a_limit_that_an_author_cannot_state_is_granted_as_far_as_it_goes() {
    let text = "
[limits]
deadline = \"2h\"
memory = \"1GiB\"
table_elements = 30_000
fuel = \"1T\"
";
    insta::assert_snapshot!(of_manifest_with(text), @r#"
    tool.toml:4:12: `deadline` is above `30s`: a manifest can only lower it
      hint: only the operator raises a limit, and not so far: `limits = { deadline = "300s" }` in a grant
    tool.toml:5:10: `memory` is above `128MiB`: a manifest can only lower it
      hint: only the operator raises a limit: `limits = { memory = "1GiB" }` in a grant
    tool.toml:6:18: `table_elements` is above `20k`: a manifest can only lower it
      hint: nobody can raise it
    tool.toml:7:8: `fuel` is above `200G`: a manifest can only lower it
      hint: only the operator raises a limit: `limits = { fuel = "1T" }` in a grant
    "#);
}
