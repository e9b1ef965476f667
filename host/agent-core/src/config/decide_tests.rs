//! One policy, many effects, and what is answered to each.

mod bounds;
mod hints;

use super::ceiling::Ceiling;
use super::decide::{Permit, Verdict};
use super::manifest::Manifest;
use super::policy::parse_policy;
use super::refusal::Denial;
use super::resolve::{ToolAuthority, resolve};
use crate::digest::Digest;
use crate::effect::{Decision, EffectClass, EffectRequest, FileOperation, KvOperation, Refusal};
use crate::grant::{Capability, Grant};
use crate::limits::LimitsChange;
use crate::units::Bytes;

type Failure = Box<dyn std::error::Error>;

const POLICY: &str = "
[[grant]]
tool = \"fetch\"
fs = [
  { host = \"docs\", mount = \"/data\", access = \"read\" },
  { host = \"out\", mount = \"/out\", access = \"write\" },
]
http = [
  { url = \"https://example.org\", methods = [\"GET\", \"POST\"] },
  { url = \"https://*.example.org\", methods = [\"GET\"], class = \"opaque\" },
  { url = \"https://api.example.com/orders\", methods = [\"POST\"], idempotency_header = \"Idempotency-Key\" },
  { url = \"http://127.0.0.1:3000\", methods = [\"DELETE\"] },
]
env = [\"TZ\", \"TOKEN\"]
[[approval]]
effect = \"http\"
methods = [\"DELETE\"]
[[approval]]
tool = \"fetch\"
effect = \"fs\"
access = \"write\"
[[approval]]
tool = \"other\"
effect = \"env\"
[[deny]]
http = [\"evil.example.org\"]
[[deny]]
env = [\"TOKEN\"]
";

fn under(imports: &[Capability], policy: &str) -> Result<ToolAuthority, Failure> {
    let policy = parse_policy("policy.toml", "/home/ada", policy)?;
    let ceiling = Ceiling::of_imports(imports);
    Ok(resolve(&"fetch.get".parse()?, &Digest::of(b"component"), &ceiling, &LimitsChange::default(), &[&policy])?)
}

fn file(operation: FileOperation, path: &str, to: Option<&str>) -> EffectRequest {
    EffectRequest::File { operation, path: path.to_owned(), to: to.map(str::to_owned) }
}

fn http(method: &str, url: &str) -> EffectRequest {
    let (method, url) = (method.to_owned(), url.to_owned());
    EffectRequest::Http { method, url, body_bytes: Bytes(0), digest: Digest::of(b"") }
}

fn env(name: &str) -> EffectRequest {
    EffectRequest::Env { name: name.to_owned() }
}

fn kv(operation: KvOperation, store: &str) -> EffectRequest {
    EffectRequest::Kv { operation, store: store.to_owned(), key: Some("a".to_owned()), value: None }
}

fn socket() -> EffectRequest {
    EffectRequest::Socket { operation: "wasi:sockets/tcp start-connect".to_owned() }
}

fn said(verdict: &Verdict) -> String {
    let permitted = |permit: &Permit| {
        let key = permit.idempotency_header.iter().map(|header| format!(" with {header}")).collect::<String>();
        format!("{} as {:?}{key}", permit.rule, permit.class)
    };
    match verdict {
        Verdict::Allow(permit) => format!("allow: {}", permitted(permit)),
        Verdict::Ask { rule, permit } => format!("ask: {rule}, then {}", permitted(permit)),
        Verdict::Deny(Denial { refusal, rule, hint }) => {
            let hint = hint.iter().map(|hint| format!("\n  hint: {hint}")).collect::<String>();
            format!("{refusal}: {rule}{hint}")
        }
    }
}

fn said_to(authority: &ToolAuthority, requests: &[EffectRequest]) -> String {
    let lines = requests.iter().map(|request| format!("{request}\n  {}", said(&authority.decide(request))));
    lines.collect::<Vec<_>>().join("\n")
}

const EVERY: [Capability; 4] = [Capability::Fs, Capability::Http, Capability::Env, Capability::Kv];

#[test]
fn files_are_decided_by_mount_and_access() -> Result<(), Failure> {
    use FileOperation::{Link, Read, Remove, Rename, SetTimes, Stat, Write};
    let requests = [
        file(Read, "/data", None),
        file(Stat, "/data/a/b", None),
        file(Write, "/data/a", None),
        file(SetTimes, "/data/a", None),
        file(Write, "/out/a", None),
        file(Read, "/out/a", None),
        file(Remove, "/out/a", None),
        file(Rename, "/out/a", Some("/out/b")),
        file(Rename, "/data/a", Some("/out/b")),
        file(Rename, "/out/a", Some("/data/b")),
        file(Link, "/data/a", Some("/out/b")),
        file(Read, "/database", None),
        file(Read, "/data/../etc/passwd", None),
        file(Read, "/etc/passwd", None),
        file(Read, "", None),
    ];
    insta::assert_snapshot!(said_to(&under(&EVERY, POLICY)?, &requests), @r#"
    read /data
      allow: policy.toml:2 as Read
    look at /data/a/b
      allow: policy.toml:2 as Read
    write /data/a
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
      hint: add `{ host = "/home/ada/docs", mount = "/data", access = "write" }` to a grant of `fetch`, or run with `--allow-write /home/ada/docs`
    set the times of /data/a
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
      hint: add `{ host = "/home/ada/docs", mount = "/data", access = "write" }` to a grant of `fetch`, or run with `--allow-write /home/ada/docs`
    write /out/a
      ask: policy.toml:18, then policy.toml:2 as OwnedWrite
    read /out/a
      allow: policy.toml:2 as Read
    remove /out/a
      ask: policy.toml:18, then policy.toml:2 as OwnedWrite
    rename /out/a to /out/b
      ask: policy.toml:18, then policy.toml:2 as OwnedWrite
    rename /data/a to /out/b
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
      hint: add `{ host = "/home/ada/docs", mount = "/data", access = "write" }` to a grant of `fetch`, or run with `--allow-write /home/ada/docs`
    rename /out/a to /data/b
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
      hint: add `{ host = "/home/ada/docs", mount = "/data", access = "write" }` to a grant of `fetch`, or run with `--allow-write /home/ada/docs`
    link /data/a to /out/b
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
      hint: add `{ host = "/home/ada/docs", mount = "/data", access = "write" }` to a grant of `fetch`, or run with `--allow-write /home/ada/docs`
    read /database
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
    read /data/../etc/passwd
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
    read /etc/passwd
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
    read any file
      fs_denied: policy.toml:2 allows only to read `/data`, beside one other grant
    "#);
    Ok(())
}

#[test]
fn requests_are_decided_by_pattern_and_method() -> Result<(), Failure> {
    let requests = [
        http("GET", "https://example.org/page"),
        http("POST", "https://example.org/page"),
        http("PUT", "https://example.org/page"),
        http("PROPFIND", "https://example.org/page"),
        http("GET", "https://www.example.org/delete?id=1"),
        http("POST", "https://api.example.com/orders/7"),
        http("POST", "https://api.example.com/orders/..%2fadmin"),
        http("DELETE", "http://127.0.0.1:3000/x"),
        http("GET", "http://localhost:3000/x"),
        http("GET", "https://evil.example.org/"),
        http("GET", "https://other.example:8443/"),
        http("GET", "file:///etc/passwd"),
        http("GET", "not a URL"),
    ];
    insta::assert_snapshot!(said_to(&under(&EVERY, POLICY)?, &requests), @r#"
    GET https://example.org/page
      allow: policy.toml:2 as Read
    POST https://example.org/page
      allow: policy.toml:2 as OpaqueWrite
    PUT https://example.org/page
      net_denied: policy.toml:2 allows only GET, POST `https://example.org`, beside 3 other grants
      hint: add `{ url = "https://example.org", methods = ["PUT"] }` to a grant of `fetch`, or run with `--allow-net example.org`
    PROPFIND https://example.org/page
      net_denied: method `PROPFIND` cannot be granted in this version
    GET https://www.example.org/delete?id=1
      allow: policy.toml:2 as OpaqueWrite
    POST https://api.example.com/orders/7
      allow: policy.toml:2 as KeyedWrite with Idempotency-Key
    POST https://api.example.com/orders/..%2fadmin
      net_denied: policy.toml:2 allows only POST `https://api.example.com/orders`, beside 3 other grants
      hint: add `{ url = "https://api.example.com", methods = ["POST"] }` to a grant of `fetch`, or run with `--allow-net api.example.com`
    DELETE http://127.0.0.1:3000/x
      ask: policy.toml:15, then policy.toml:2 as OpaqueWrite
    GET http://localhost:3000/x
      net_denied: policy.toml:2 allows only GET, POST `https://example.org`, beside 3 other grants
      hint: add `{ url = "http://localhost:3000", methods = ["GET"] }` to a grant of `fetch`, or run with `--allow-net http://localhost:3000`
    GET https://evil.example.org/
      net_denied: policy.toml:25 denies `evil.example.org`
    GET https://other.example:8443/
      net_denied: policy.toml:2 allows only GET, POST `https://example.org`, beside 3 other grants
      hint: add `{ url = "https://other.example:8443", methods = ["GET"] }` to a grant of `fetch`, or run with `--allow-net other.example:8443`
    GET file:///etc/passwd
      net_denied: `file:///etc/passwd` is not an HTTP URL that can be granted
    GET not a URL
      net_denied: `not a URL` is not an HTTP URL that can be granted
    "#);
    Ok(())
}

#[test]
fn variables_and_sockets_are_decided_by_name() -> Result<(), Failure> {
    let requests = [env("TZ"), env("TOKEN"), env("HOME"), env("A=B"), socket()];
    insta::assert_snapshot!(said_to(&under(&EVERY, POLICY)?, &requests), @r#"
    read variable TZ
      allow: policy.toml:2 as Read
    read variable TOKEN
      env_denied: policy.toml:27 denies `TOKEN`
    read variable HOME
      env_denied: no rule grants this variable to `fetch.get`
      hint: add `env = ["HOME"]` to a grant of `fetch`, or run with `--allow-env HOME`
    read variable A=B
      env_denied: `A=B` is not the name of a variable
    use wasi:sockets/tcp start-connect
      net_denied: raw sockets cannot be granted in this version
    "#);
    Ok(())
}

#[test]
fn a_forbidden_tool_may_do_nothing() -> Result<(), Failure> {
    let policy = format!("{POLICY}\n[[deny]]\ntool = \"fetch.get\"\n");
    let authority = under(&EVERY, &policy)?;
    for request in
        [file(FileOperation::Read, "/data/a", None), http("GET", "https://example.org/"), env("TZ"), socket()]
    {
        assert_eq!(
            said(&authority.decide(&request)).split_once(": ").map(|(_, rule)| rule),
            Some("policy.toml:30 denies `fetch.get`")
        );
    }
    Ok(())
}

#[test]
fn a_call_is_asked_about_by_the_rule_for_its_tool() -> Result<(), Failure> {
    let asks = |policy: &str| -> Result<Option<String>, Failure> {
        Ok(under(&EVERY, policy)?.asks_before_call().map(ToString::to_string))
    };
    assert_eq!(asks("approval = [{ tool = \"fetch.get\" }]")?.as_deref(), Some("policy.toml:1"));
    assert_eq!(asks("approval = [{ tool = \"fetch.put\" }]")?, None);
    assert_eq!(asks(POLICY)?, None);
    Ok(())
}

#[test]
fn a_grant_alone_decides_without_denies_and_approvals() -> Result<(), Failure> {
    let authority = under(&EVERY, POLICY)?;
    let (tool, grant) = (&authority.tool, &authority.grant);
    let allowed = [env("TOKEN"), http("DELETE", "http://127.0.0.1:3000/x"), file(FileOperation::Write, "/out/a", None)];
    for request in allowed {
        assert!(matches!(grant.decide(tool, &request), Decision::Allow { .. }), "{request}");
    }
    let nothing = Grant::nothing().decide(tool, &env("TZ"));
    let expected = Decision::Deny {
        refusal: Refusal::EnvDenied,
        rule: "no rule grants this variable to `fetch.get`".to_owned(),
        hint: Some("add `env = [\"TZ\"]` to a grant of `fetch`, or run with `--allow-env TZ`".to_owned()),
    };
    assert_eq!(nothing, expected);
    Ok(())
}

#[test]
fn the_highest_class_of_all_that_cover_a_request_counts() -> Result<(), Failure> {
    let policy = "
        [[grant]]
        tool = \"fetch\"
        http = [
          { url = \"https://example.org\", methods = [\"GET\", \"POST\"], idempotency_header = \"Key\" },
          { url = \"https://example.org/act\", methods = [\"GET\", \"POST\"], class = \"opaque\" },
        ]";
    let authority = under(&EVERY, policy)?;
    let cases = [
        ("GET", "https://example.org/", EffectClass::Read, None),
        ("POST", "https://example.org/", EffectClass::KeyedWrite, Some("Key")),
        ("GET", "https://example.org/act", EffectClass::OpaqueWrite, None),
        ("POST", "https://example.org/act", EffectClass::OpaqueWrite, None),
    ];
    for (method, url, class, header) in cases {
        let permit = authority.grant.permit(&http(method, url)).ok_or("covered")?;
        assert_eq!((permit.class, permit.idempotency_header.as_deref()), (class, header), "{method} {url}");
    }
    Ok(())
}

#[test]
fn a_secret_goes_with_what_is_allowed_to_its_url() -> Result<(), Failure> {
    let tool = "tool = { name = \"fetch\", version = \"1\", description = \"Fetch.\" }";
    let capabilities = "
        [[capabilities.http]]
        url = \"https://*\"
        methods = [\"GET\"]
        [[capabilities.secrets]]
        name = \"API_TOKEN\"
        url = \"https://api.example.org/a\"";
    let policy = "
        [[grant]]
        tool = \"fetch\"
        http = [{ url = \"https://api.example.org\", methods = [\"GET\"] }]
        secrets = [\"API_TOKEN\"]
        [[approval]]
        effect = \"secret\"";
    let manifest = Manifest::parse("tool.toml", &format!("{tool}{capabilities}"))?;
    let policy = parse_policy("policy.toml", "/home/ada", policy)?;
    let authority =
        resolve(&"fetch.get".parse()?, &Digest::of(b"component"), &manifest.ceiling, &manifest.limits, &[&policy])?;
    let carried = |url: &str| match authority.decide(&http("GET", url)) {
        Verdict::Allow(permit) => format!("allowed with {}", permit.secrets.len()),
        Verdict::Ask { permit, .. } => format!("asked with {}", permit.secrets.len()),
        Verdict::Deny(_) => "denied".to_owned(),
    };
    for (url, expected) in [
        ("https://api.example.org/a/b", "asked with 1"),
        ("https://api.example.org/", "allowed with 0"),
        ("https://api.example.org/ab", "allowed with 0"),
        ("https://api.example.org:8443/a", "denied"),
        ("http://api.example.org/a", "denied"),
        ("https://evil.example/a", "denied"),
    ] {
        assert_eq!(carried(url), expected, "{url}");
    }
    Ok(())
}

#[test]
fn stores_are_decided_by_name_and_access() -> Result<(), Failure> {
    use KvOperation::{List, Read, Remove, Write};
    let requests = [kv(Read, "default"), kv(List, "default"), kv(Write, "default"), kv(Remove, "default")];
    let other = [kv(Read, "pages")];
    let imports = [Capability::Kv];
    let under = |policy: &str| under(&imports, policy);
    let said = [
        said_to(&under("grant = [{ tool = \"fetch\", kv = \"read\" }]")?, &requests),
        said_to(&under("grant = [{ tool = \"fetch\", kv = \"write\" }]\ndeny = [{ kv = \"write\" }]")?, &requests),
        said_to(
            &under("approval = [{ effect = \"kv\", access = \"write\" }]\ngrant = [{ tool = \"*\", kv = \"write\" }]")?,
            &requests[1..3],
        ),
        said_to(&under("")?, &requests[1..2]),
        said_to(&under("")?, &other),
    ];
    insta::assert_snapshot!(said.join("\n--\n"), @r#"
    read key a of store default
      allow: policy.toml:1 as Read
    list the keys of store default
      allow: policy.toml:1 as Read
    write key a of store default
      kv_denied: policy.toml:1 allows only to read store `default`
      hint: add `kv = "write"` to a grant of `fetch`, or run with `--allow-kv fetch`
    remove key a of store default
      kv_denied: policy.toml:1 allows only to read store `default`
      hint: add `kv = "write"` to a grant of `fetch`, or run with `--allow-kv fetch`
    --
    read key a of store default
      allow: policy.toml:1 as Read
    list the keys of store default
      allow: policy.toml:1 as Read
    write key a of store default
      kv_denied: policy.toml:2 denies changes of stores
    remove key a of store default
      kv_denied: policy.toml:2 denies changes of stores
    --
    list the keys of store default
      allow: policy.toml:2 as Read
    write key a of store default
      ask: policy.toml:1, then policy.toml:2 as OwnedWrite
    --
    list the keys of store default
      kv_denied: no rule grants a store to `fetch.get`
      hint: add `kv = "read"` to a grant of `fetch`, or run with `--allow-kv fetch`
    --
    read key a of store pages
      kv_denied: `fetch` does not ask for it, so no rule can grant it
    "#);
    Ok(())
}
