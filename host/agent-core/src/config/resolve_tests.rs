//! Tables of rules and ceilings, and the grants that they make.

use super::agent_file::AgentFile;
use super::authority::{Authority, DenyRule, GrantRule};
use super::ceiling::Ceiling;
use super::host_path::HostPath;
use super::manifest::Manifest;
use super::policy::parse_policy;
use super::problem::Problems;
use super::resolve::{ToolAuthority, resolve};
use super::selector::Selector;
use crate::digest::Digest;
use crate::grant::{Access, Capability, FileIdentity, Grant, RuleSource, SecretGrant};
use crate::limits::{Limits, LimitsChange};
use crate::units::{Bytes, Millis};

type Failure = Box<dyn std::error::Error>;

/// The grant of `files.read` under a manifest and a policy, one line for each thing granted.
fn granted(capabilities: &str, policy: &str) -> Result<String, Failure> {
    Ok(resolved(capabilities, policy)?.map_or_else(|problems| problems.to_string(), |it| listed(&it.grant)))
}

fn resolved(capabilities: &str, policy: &str) -> Result<Result<ToolAuthority, Problems>, Failure> {
    let tool = "tool = { name = \"files\", version = \"1\", description = \"Read files.\" }";
    let manifest = Manifest::parse("tool.toml", &format!("{tool}\n{capabilities}"))?;
    let policy = parse_policy("policy.toml", "/home/ada", policy)?;
    Ok(resolve(&"files.read".parse()?, &Digest::of(b"component"), &manifest.ceiling, &manifest.limits, &[&policy]))
}

fn listed(grant: &Grant) -> String {
    let fs = grant.fs.iter().map(|fs| format!("{} {} at {} ({})", fs.access, fs.host, fs.mount, fs.source));
    let http = grant.http.iter().map(|http| {
        let methods: Vec<&str> = http.methods.iter().map(|method| method.as_str()).collect();
        let key = http.idempotency_header.iter().map(|header| format!(" keyed by {header}")).collect::<String>();
        format!("{} {}{key} ({})", methods.join(" "), http.url, http.source)
    });
    let env = grant.env.iter().map(|env| format!("{} ({})", env.name, env.source));
    let secrets = grant.secrets.iter().map(|secret| {
        let SecretGrant { name, url, header, format, from, source } = secret;
        format!("{name} from {from} as {header}: {format} to {url} ({source})")
    });
    let kv = grant.kv.iter().map(|kv| format!("{} store {} ({})", kv.access, kv.store, kv.source));
    let lines: Vec<String> = fs.chain(http).chain(env).chain(secrets).chain(kv).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
}

const READS_DATA: &str = "capabilities.fs = [{ mount = \"/data\", access = \"read\" }]";
const TWO_MOUNTS: &str =
    "capabilities.fs = [{ mount = \"/in\", access = \"read\" }, { mount = \"/out\", access = \"write\" }]";
const REACHES: &str = "
[[capabilities.http]]
url = \"https://*\"
methods = [\"GET\"]
[[capabilities.http]]
url = \"https://api.example.com/orders\"
methods = [\"POST\"]
idempotency_header = \"Idempotency-Key\"
";

#[test]
fn nothing_is_granted_by_default() -> Result<(), Failure> {
    for ceiling in ["", READS_DATA, REACHES] {
        assert_eq!(granted(ceiling, "")?, "nothing");
    }
    Ok(())
}

const SENDS: &str = "
[[capabilities.http]]
url = \"https://*\"
methods = [\"GET\", \"POST\"]
[[capabilities.env]]
name = \"API_TOKEN\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://api.example.com\"
format = \"Bearer {}\"
[[capabilities.secrets]]
name = \"API_TOKEN\"
url = \"https://files.example.com\"
header = \"X-Api-Key\"
";

/// The grant of `files.read` under a policy, an agent file's rules, and flags: in the order in which they count.
fn with_secrets(policy: &str, agent: &str, flags: Vec<GrantRule>) -> Result<String, Failure> {
    let tool = "tool = { name = \"files\", version = \"1\", description = \"Read files.\" }";
    let manifest = Manifest::parse("tool.toml", &format!("{tool}\n{SENDS}"))?;
    let policy = parse_policy("policy.toml", "/home/ada", policy)?;
    let agent = format!("agent = {{ name = \"a\", instructions = \"Be brief.\" }}\n{agent}");
    let agent = AgentFile::parse("agent.toml", "/home/ada", &agent)?.authority;
    let flags = Authority { grants: flags, ..Authority::nothing() };
    let resolved = resolve(
        &"files.read".parse()?,
        &Digest::of(b"component"),
        &manifest.ceiling,
        &manifest.limits,
        &[&policy, &flags, &agent],
    );
    Ok(resolved.map_or_else(|problems| problems.to_string(), |it| listed(&it.grant)))
}

#[test]
fn a_secret_comes_from_where_the_operator_says() -> Result<(), Failure> {
    let named = "grant = [{ tool = \"files\", secrets = [\"API_TOKEN\"] }]";
    let wide = "grant = [{ tool = \"*\", secrets = [{ name = \"API_TOKEN\", from = \"file:token\" }] }]";
    let both = "grant = [
        { tool = \"files\", secrets = [\"API_TOKEN\"] },
        { tool = \"*\", secrets = [{ name = \"API_TOKEN\", from = \"file:token\" }, \"NOT_DECLARED\"] }]";
    let flag = |from: &str| -> Result<Vec<GrantRule>, Failure> {
        Ok(vec![GrantRule::secret("API_TOKEN".parse()?, from.parse()?, RuleSource("--secret".into()))])
    };
    insta::assert_snapshot!(with_secrets("", named, Vec::new())?, @"
    agent.toml:2: nobody says where the secret `API_TOKEN` of `files.read` comes from
      hint: run with `--secret API_TOKEN` to take the environment variable of that name, or with `--secret API_TOKEN=file:PATH`
    ");
    insta::assert_snapshot!(with_secrets("", named, flag("env:MINE")?)?, @"
    API_TOKEN from env:MINE as authorization: Bearer {} to https://api.example.com (--secret)
    API_TOKEN from env:MINE as x-api-key: {} to https://files.example.com (--secret)
    ");
    insta::assert_snapshot!(with_secrets(wide, named, Vec::new())?, @"
    API_TOKEN from file:/home/ada/token as authorization: Bearer {} to https://api.example.com (policy.toml:1)
    API_TOKEN from file:/home/ada/token as x-api-key: {} to https://files.example.com (policy.toml:1)
    ");
    insta::assert_snapshot!(with_secrets(wide, "", flag("env:MINE")?)?, @"
    API_TOKEN from env:MINE as authorization: Bearer {} to https://api.example.com (--secret)
    API_TOKEN from env:MINE as x-api-key: {} to https://files.example.com (--secret)
    ");
    insta::assert_snapshot!(with_secrets(both, "", Vec::new())?, @"
    API_TOKEN from env:API_TOKEN as authorization: Bearer {} to https://api.example.com (policy.toml:2)
    API_TOKEN from env:API_TOKEN as x-api-key: {} to https://files.example.com (policy.toml:2)
    ");
    Ok(())
}

#[test]
fn a_secret_is_denied_undeclared_or_contradicted() -> Result<(), Failure> {
    let secret = "[[grant]]\ntool = \"files\"\nsecrets = [\"API_TOKEN\"]\n";
    let denied = format!("{secret}[[deny]]\nsecrets = [\"API_TOKEN\"]");
    assert_eq!(with_secrets(&denied, "", Vec::new())?, "nothing");
    let undeclared = "grant = [{ tool = \"files\", secrets = [\"OTHER\"] }]";
    insta::assert_snapshot!(with_secrets(undeclared, "", Vec::new())?, @"
    policy.toml:1: `files` declares no secret `OTHER`
      hint: it declares `API_TOKEN`
    ");
    insta::assert_snapshot!(granted(READS_DATA, undeclared)?, @"
    policy.toml:1: `files` declares no secret `OTHER`
      hint: a tool declares its secrets in `[[capabilities.secrets]]` of its `tool.toml`
    ");
    let seen = format!("{secret}[[grant]]\ntool = \"*\"\nenv = [\"API_TOKEN\"]");
    insta::assert_snapshot!(with_secrets(&seen, "", Vec::new())?, @"
    policy.toml:4: `files.read` may see the variable `API_TOKEN`, which holds its secret `API_TOKEN`
      hint: grant it as a variable or as a secret, not as both
    ");
    let keyed = "
        [[grant]]
        tool = \"files\"
        secrets = [\"API_TOKEN\"]
        http = [{ url = \"https://files.example.com/a\", methods = [\"POST\"], idempotency_header = \"x-api-key\" }]";
    insta::assert_snapshot!(with_secrets(keyed, "", Vec::new())?, @"policy.toml:2: `x-api-key` cannot carry both the host's key and the secret `API_TOKEN`");
    Ok(())
}

#[test]
fn rules_for_others_do_not_count() -> Result<(), Failure> {
    let policy = "
        grant = [
            { tool = \"files.write\", fs = [{ host = \"a\", access = \"read\" }] },
            { tool = \"fetch\", fs = [{ host = \"b\", access = \"read\" }] },
            { tool = \"files\", fs = [{ host = \"c\", access = \"read\" }] },
        ]";
    insta::assert_snapshot!(granted(READS_DATA, policy)?, @"read /home/ada/c at /data (policy.toml:5)");
    Ok(())
}

#[test]
fn a_rule_for_every_tool_is_cut_to_the_ceiling() -> Result<(), Failure> {
    let policy = "
        [[grant]]
        tool = \"*\"
        fs = [{ host = \"docs\", access = \"write\" }, { host = \"more\", mount = \"/more\", access = \"read\" }]
        http = [{ url = \"https://*.example.com\", methods = [\"GET\", \"POST\", \"PUT\"] }]
        env = [\"TZ\"]";
    insta::assert_snapshot!(granted(READS_DATA, policy)?, @"read /home/ada/docs at /data (policy.toml:2)");
    insta::assert_snapshot!(granted(REACHES, policy)?, @"
    GET https://*.example.com (policy.toml:2)
    POST https://api.example.com/orders keyed by Idempotency-Key (policy.toml:2)
    ");
    assert_eq!(granted("", policy)?, "nothing");
    Ok(())
}

#[test]
fn ports_are_granted_within_the_ceiling() -> Result<(), Failure> {
    let every_port = "capabilities.http = [{ url = \"http://*:*\", methods = [\"GET\"] }]";
    let own_port = "capabilities.http = [{ url = \"http://*\", methods = [\"GET\"] }]";
    let rule =
        |tool, url| format!("grant = [{{ tool = \"{tool}\", http = [{{ url = \"{url}\", methods = [\"GET\"] }}] }}]");
    insta::assert_snapshot!(granted(every_port, &rule("files", "http://127.0.0.1:8099"))?, @"GET http://127.0.0.1:8099 (policy.toml:1)");
    insta::assert_snapshot!(granted(every_port, &rule("files", "http://127.0.0.1:*"))?, @"GET http://127.0.0.1:* (policy.toml:1)");
    insta::assert_snapshot!(granted(every_port, &rule("files", "http://127.0.0.1"))?, @"GET http://127.0.0.1 (policy.toml:1)");
    insta::assert_snapshot!(granted(own_port, &rule("files", "http://127.0.0.1:*"))?, @"
    policy.toml:1: `files` does not ask for GET `http://127.0.0.1:*`
      hint: it asks for GET `http://*`
    ");
    insta::assert_snapshot!(granted(own_port, &rule("*", "http://127.0.0.1:*"))?, @"GET http://127.0.0.1 (policy.toml:1)");
    Ok(())
}

#[test]
fn a_rule_for_one_tool_may_not_exceed_its_ceiling() -> Result<(), Failure> {
    let policy = "
        [[grant]]
        tool = \"files\"
        fs = [{ host = \"docs\", access = \"write\" }, { host = \"more\", mount = \"/more\", access = \"read\" }]
        http = [{ url = \"https://api.example.com\", methods = [\"GET\", \"POST\"] }]
        env = [\"TZ\"]";
    insta::assert_snapshot!(granted(READS_DATA, policy)?, @r#"
    policy.toml:2: `files` asks only to read at `/data`
      hint: grant it `access = "read"` there
    policy.toml:2: `files` asks for no directory at `/more`
      hint: it asks for `/data` to read
    policy.toml:2: `files` does not ask for GET `https://api.example.com`
      hint: it asks for no requests
    policy.toml:2: `files` asks for no variable `TZ`
    "#);
    insta::assert_snapshot!(granted(REACHES, policy)?, @"
    policy.toml:2: `files` asks for no directory at `/data`
      hint: it asks for no directories
    policy.toml:2: `files` asks for no directory at `/more`
      hint: it asks for no directories
    policy.toml:2: `files` does not ask for POST `https://api.example.com`
      hint: it asks for GET `https://*`; POST `https://api.example.com/orders`
    policy.toml:2: `files` asks for no variable `TZ`
    ");
    Ok(())
}

#[test]
fn a_write_is_keyed_where_the_manifest_names_a_header() -> Result<(), Failure> {
    let policy = "
        [[grant]]
        tool = \"files\"
        http = [{ url = \"https://api.example.com/orders/new\", methods = [\"GET\", \"POST\"] }]";
    insta::assert_snapshot!(granted(REACHES, policy)?, @"
    GET https://api.example.com/orders/new (policy.toml:2)
    POST https://api.example.com/orders/new keyed by Idempotency-Key (policy.toml:2)
    ");
    Ok(())
}

#[test]
fn a_directory_without_mount_goes_where_the_tool_expects_it() -> Result<(), Failure> {
    let policy = "grant = [{ tool = \"files\", fs = [{ host = \"docs\", access = \"read\" }] }]";
    let at_in = "capabilities.fs = [{ mount = \"/in\", access = \"read\" }]";
    insta::assert_snapshot!(granted(at_in, policy)?, @"read /home/ada/docs at /in (policy.toml:1)");
    insta::assert_snapshot!(granted(TWO_MOUNTS, policy)?, @"
    policy.toml:1: `files` asks for no directory at `/data`
      hint: it asks for `/in` to read; `/out` to write
    ");
    Ok(())
}

#[test]
fn one_directory_at_one_mount_has_the_higher_access() -> Result<(), Failure> {
    let policy = "
        [[grant]]
        tool = \"*\"
        fs = [{ host = \"docs\", mount = \"/out\", access = \"read\" }]
        [[grant]]
        tool = \"files\"
        fs = [{ host = \"./docs/\", mount = \"/out\", access = \"write\" }]";
    insta::assert_snapshot!(granted(TWO_MOUNTS, policy)?, @"write /home/ada/docs at /out (policy.toml:5)");
    Ok(())
}

#[test]
fn two_directories_do_not_share_a_mount() -> Result<(), Failure> {
    let policy = "
        [[grant]]
        tool = \"files\"
        fs = [{ host = \"a\", access = \"read\" }, { host = \"b\", access = \"read\" }]";
    insta::assert_snapshot!(granted(READS_DATA, policy)?, @r#"
    policy.toml:2: `/home/ada/b` cannot appear at `/data` of `files.read`: policy.toml:2 puts `/home/ada/a` at `/data`
      hint: `files` takes one directory: grant one around both
    "#);
    Ok(())
}

#[test]
fn a_denied_directory_is_not_mounted() -> Result<(), Failure> {
    let policy = "
        grant = [{ tool = \"*\", fs = [{ host = \"docs/private\", access = \"read\" }] }]
        deny = [{ fs = [\"docs\"] }]";
    assert_eq!(granted(READS_DATA, policy)?, "nothing");
    let around = "
        grant = [{ tool = \"*\", fs = [{ host = \"docs\", access = \"read\" }] }]
        deny = [{ fs = [\"docs/private\"] }]";
    insta::assert_snapshot!(granted(READS_DATA, around)?, @"
    policy.toml:2: `/home/ada/docs` holds `/home/ada/docs/private`, which policy.toml:3 denies
      hint: grant the directories beside it one by one
    ");
    Ok(())
}

/// No file says so; the host does, of what it reads tools and rules from.
#[test]
fn what_stays_as_it_is_or_where_it_is_is_left_out_of_a_write_grant() -> Result<(), Failure> {
    let paths = |paths: &[&str]| paths.iter().map(|path| path.parse()).collect::<Result<Vec<HostPath>, _>>();
    let source = RuleSource("agent-host".to_owned());
    let linked = FileIdentity { device: (8, 1), inode: 7 };
    let deny = DenyRule {
        unchanging: paths(&["/work/tools", "/work/tools/calc/deep/calc.wasm", "/elsewhere/far.wasm"])?,
        unmoved: paths(&["/work", "/work/build/out", "/elsewhere"])?,
        linked: vec![linked],
        ..DenyRule::of(Selector::Everything, source.clone())
    };
    assert!(!DenyRule { unchanging: Vec::new(), ..deny.clone() }.forbids_tool());
    let host = Authority { denies: vec![deny], ..Authority::nothing() };
    let left_out = |directory: &str, access| -> Result<_, Failure> {
        let grants = vec![GrantRule::directory(directory.parse()?, access, source.clone())];
        let granted = Authority { grants, ..Authority::nothing() };
        let ceiling = Ceiling::of_imports(&[Capability::Fs]);
        let resolved = resolve(
            &"files.write".parse()?,
            &Digest::of(b"component"),
            &ceiling,
            &LimitsChange::default(),
            &[&host, &granted],
        );
        Ok(resolved.ok().map(|held| {
            let fs = &held.grant.fs[0];
            assert_eq!(fs.linked, if access == Access::Write { vec![linked] } else { Vec::new() });
            (fs.unchanging.join(" "), fs.unmoved.join(" "))
        }))
    };
    let some = |unchanging: &str, unmoved: &str| Some((unchanging.to_owned(), unmoved.to_owned()));
    assert_eq!(left_out("/work", Access::Write)?, some("/work/tools", "/work/build/out"));
    assert_eq!(left_out("/work/build", Access::Write)?, some("", "/work/build/out"));
    assert_eq!(left_out("/work/build/out", Access::Write)?, some("", ""));
    assert_eq!(left_out("/work/tools/calc/deep", Access::Write)?, some("/work/tools/calc/deep/calc.wasm", ""));
    assert_eq!(left_out("/work", Access::Read)?, some("", ""));
    assert_eq!(left_out("/work/tools", Access::Write)?, None);
    Ok(())
}

#[test]
fn a_forbidden_tool_holds_nothing() -> Result<(), Failure> {
    let policy = "
        grant = [{ tool = \"files\", fs = [{ host = \"docs\", access = \"read\" }] }]
        deny = [{ tool = \"files\" }]";
    let authority = resolved(READS_DATA, policy)??;
    assert_eq!(listed(&authority.grant), "nothing");
    assert_eq!(authority.forbidden_by(), Some(&RuleSource("policy.toml:3".to_owned())));
    Ok(())
}

#[test]
fn limits_follow_the_narrowest_rule() -> Result<(), Failure> {
    let standard = Limits::STANDARD.deadline.0;
    let star = "{ tool = \"*\", limits = { deadline = \"60s\" } }";
    let component = "{ tool = \"files\", limits = { deadline = \"90s\" } }";
    let lower = "{ tool = \"files\", limits = { deadline = \"5s\" } }";
    let tool = "{ tool = \"files.read\", limits = { deadline = \"10s\" } }";
    let cases = [
        ("", vec![], standard),
        ("20s", vec![], 20_000),
        ("", vec![star], 60_000),
        ("20s", vec![star], 20_000),
        ("20s", vec![component], 90_000),
        ("20s", vec![lower], 5_000),
        ("20s", vec![component, lower], 90_000),
        ("20s", vec![star, component, tool], 10_000),
    ];
    for (manifest, grants, deadline) in cases {
        let lowered = if manifest.is_empty() { String::new() } else { format!("limits.deadline = \"{manifest}\"") };
        let policy = format!("grant = [{}]", grants.join(", "));
        let limits = resolved(&lowered, &policy)??.grant.limits;
        assert_eq!(limits, Limits { deadline: Millis(deadline), ..Limits::STANDARD }, "{manifest} and {policy}");
    }
    let memory =
        resolved("limits.memory = \"1MiB\"", "grant = [{ tool = \"files\", limits = { memory = \"4GiB\" } }]")??;
    assert_eq!(memory.grant.limits.memory, Bytes(4 << 30));
    Ok(())
}

#[test]
fn stores_are_those_that_the_tool_asks_for() -> Result<(), Failure> {
    let two = "capabilities.kv = [{ access = \"write\" }, { store = \"pages\", access = \"read\" }]";
    let reads = "capabilities.kv = [{ access = \"read\" }]";
    let cases = [
        (two, "grant = [{ tool = \"files\", kv = \"write\" }]"),
        (two, "grant = [{ tool = \"files\", kv = \"read\" }]"),
        (two, "grant = [{ tool = \"*\", kv = \"read\" }, { tool = \"files.read\", kv = \"write\" }]"),
        (reads, "grant = [{ tool = \"*\", kv = \"write\" }]"),
        (reads, "grant = [{ tool = \"files\", kv = \"write\" }]"),
        ("", "grant = [{ tool = \"files\", kv = \"read\" }]"),
        ("", "grant = [{ tool = \"*\", kv = \"read\" }]"),
    ];
    let said = cases.iter().map(|(asked, policy)| granted(asked, policy)).collect::<Result<Vec<_>, _>>()?;
    insta::assert_snapshot!(said.join("\n--\n"), @r#"
    write store default (policy.toml:1)
    read store pages (policy.toml:1)
    --
    read store default (policy.toml:1)
    read store pages (policy.toml:1)
    --
    write store default (policy.toml:1)
    read store pages (policy.toml:1)
    --
    read store default (policy.toml:1)
    --
    policy.toml:1: `files` asks only to read its stores
      hint: grant it `kv = "read"`
    --
    policy.toml:1: `files` asks for no store
      hint: a manifest asks for one with `[[capabilities.kv]]`
    --
    nothing
    "#);
    Ok(())
}

#[test]
fn flags_grant_to_every_tool_that_imports_the_capability() -> Result<(), Failure> {
    let source = |flag: &str| RuleSource(flag.to_owned());
    let grants = vec![
        GrantRule::directory("/srv/docs".parse()?, Access::Write, source("--allow-write")),
        GrantRule::host("example.org".parse()?, source("--allow-net"))?,
        GrantRule::variable("TZ".parse()?, source("--allow-env")),
    ];
    let flags = Authority { grants, ..Authority::nothing() };
    let grant = |imports: &[Capability]| -> Result<String, Failure> {
        let ceiling = Ceiling::of_imports(imports);
        let resolved = resolve(
            &"any.tool".parse()?,
            &Digest::of(b"component"),
            &ceiling,
            &LimitsChange::default(),
            &[&Authority::nothing(), &flags],
        )?;
        Ok(listed(&resolved.grant))
    };
    assert_eq!(grant(&[Capability::Clock])?, "nothing");
    insta::assert_snapshot!(grant(&[Capability::Fs, Capability::Http, Capability::Env])?, @"
    write /srv/docs at /data (--allow-write)
    GET HEAD OPTIONS POST PUT PATCH DELETE https://example.org (--allow-net)
    TZ (--allow-env)
    ");
    assert!(GrantRule::host("https://*.com".parse()?, source("--allow-net")).is_err());
    let every_port = GrantRule::host("http://127.0.0.1:*".parse()?, source("--allow-net")).map_err(|it| it.to_string());
    insta::assert_snapshot!(every_port.err().unwrap_or_default(), @"a flag grants one port: name it, or grant `http://127.0.0.1:*` in a policy");
    Ok(())
}

#[test]
fn a_grant_for_one_component_counts_for_that_one() -> Result<(), Failure> {
    let (ours, other) = (Digest::of(b"component"), Digest::of(b"other"));
    let grant = |component: &Digest, host: &str| {
        format!(
            "[[grant]]\ntool = \"files\"\ncomponent = \"{component}\"\nfs = [{{ host = \"{host}\", access = \"read\" }}]\n"
        )
    };
    assert_eq!(granted(READS_DATA, &grant(&ours, "docs"))?, "read /home/ada/docs at /data (policy.toml:1)");
    let both = grant(&other, "old") + &grant(&ours, "docs");
    assert_eq!(granted(READS_DATA, &both)?, "read /home/ada/docs at /data (policy.toml:5)");
    insta::assert_snapshot!(granted(READS_DATA, &grant(&other, "docs"))?, @r#"
    policy.toml:1: this is for `files` as component `sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa`, and the `files` here is `sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa`
      hint: look at it with `agent-host tool inspect`; if it may have this too, write `component = "sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa"`
    "#);
    let forbidden = grant(&other, "docs") + "[[deny]]\ntool = \"files\"\n";
    assert_eq!(granted(READS_DATA, &forbidden)?, "nothing");
    Ok(())
}

/// A secret is as much part of a grant as anything else in it: another component of the same name gets none.
#[test]
fn a_secret_for_one_component_is_for_that_one() -> Result<(), Failure> {
    let grant = |component: &[u8], rest: &str| {
        format!("[[grant]]\ntool = \"files\"\ncomponent = \"{}\"\n{rest}\n", Digest::of(component))
    };
    let secret = |from: &str| format!("secrets = [{{ name = \"API_TOKEN\", from = \"{from}\" }}]");
    let reads = "http = [{ url = \"https://api.example.com\", methods = [\"GET\"] }]";
    let other_has_it = grant(b"other", &secret("file:production")) + &grant(b"component", reads);
    let without = "GET https://api.example.com (policy.toml:5)";
    assert_eq!(with_secrets(&other_has_it, "", Vec::new())?, without);
    let undeclared = grant(b"other", "secrets = [\"OTHER\"]") + &grant(b"component", reads);
    assert_eq!(with_secrets(&undeclared, "", Vec::new())?, without, "what another declares is no problem here");
    for both in [
        grant(b"component", &secret("file:ours")) + &grant(b"other", &secret("file:production")),
        grant(b"other", &secret("file:production")) + &grant(b"component", &secret("file:ours")),
    ] {
        let granted = with_secrets(&both, "", Vec::new())?;
        assert!(granted.contains("/ours") && !granted.contains("production"), "{granted}");
    }
    Ok(())
}
