//! What a denial names: the line that would allow it, within what the tool's author asked for.

use super::super::authority::Authority;
use super::super::manifest::Manifest;
use super::super::resolve::resolve;
use super::{EVERY, Failure, env, file, http, said_to, under};
use crate::digest::Digest;
use crate::effect::FileOperation;

#[test]
fn without_rules_a_denial_names_the_line_that_would_allow_it() -> Result<(), Failure> {
    let requests = [
        file(FileOperation::Read, "", None),
        file(FileOperation::Write, "/data/a", None),
        http("GET", "https://example.org/"),
        http("POST", "http://[::1]:3000/"),
        env("TZ"),
    ];
    insta::assert_snapshot!(said_to(&under(&EVERY, "")?, &requests), @r#"
    read any file
      fs_denied: no rule grants directories to `fetch.get`
      hint: add `{ host = "DIR", mount = "/data", access = "read" }` to a grant of `fetch`, or run with `--allow-read DIR`
    write /data/a
      fs_denied: no rule grants directories to `fetch.get`
      hint: add `{ host = "DIR", mount = "/data", access = "write" }` to a grant of `fetch`, or run with `--allow-write DIR`
    GET https://example.org/
      net_denied: no rule grants HTTP requests to `fetch.get`
      hint: add `{ url = "https://example.org", methods = ["GET"] }` to a grant of `fetch`, or run with `--allow-net example.org`
    POST http://[::1]:3000/
      net_denied: no rule grants HTTP requests to `fetch.get`
      hint: add `{ url = "http://[::1]:3000", methods = ["POST"] }` to a grant of `fetch`, or run with `--allow-net http://[::1]:3000`
    read variable TZ
      env_denied: no rule grants this variable to `fetch.get`
      hint: add `env = ["TZ"]` to a grant of `fetch`, or run with `--allow-env TZ`
    "#);
    insta::assert_snapshot!(said_to(&under(&[], "")?, &requests), @"
    read any file
      fs_denied: `fetch` does not ask for it, so no rule can grant it
    write /data/a
      fs_denied: `fetch` does not ask for it, so no rule can grant it
    GET https://example.org/
      net_denied: `fetch` does not ask for it, so no rule can grant it
    POST http://[::1]:3000/
      net_denied: `fetch` does not ask for it, so no rule can grant it
    read variable TZ
      env_denied: `fetch` does not ask for it, so no rule can grant it
    ");
    Ok(())
}

#[test]
fn the_hint_stays_within_the_manifest() -> Result<(), Failure> {
    let manifest = "
        tool = { name = \"fetch\", version = \"1\", description = \"Fetch.\" }
        capabilities.fs = [{ mount = \"/in\", access = \"read\" }]
        capabilities.http = [
            { url = \"https://*\", methods = [\"GET\"] },
            { url = \"http://*:*\", methods = [\"GET\"] },
        ]";
    let manifest = Manifest::parse("tool.toml", manifest)?;
    let nothing = Authority::nothing();
    let authority =
        resolve(&"fetch.get".parse()?, &Digest::of(b"component"), &manifest.ceiling, &manifest.limits, &[&nothing])?;
    let requests = [
        file(FileOperation::Read, "/in/a", None),
        file(FileOperation::Write, "/in/a", None),
        http("GET", "https://example.org/"),
        http("POST", "https://example.org/"),
        http("GET", "http://127.0.0.1:8099/"),
        http("GET", "https://example.org:8443/"),
        env("TZ"),
    ];
    insta::assert_snapshot!(said_to(&authority, &requests), @r#"
    read /in/a
      fs_denied: no rule grants directories to `fetch.get`
      hint: add `{ host = "DIR", mount = "/in", access = "read" }` to a grant of `fetch`, or run with `--allow-read DIR`
    write /in/a
      fs_denied: `fetch` does not ask for it, so no rule can grant it
    GET https://example.org/
      net_denied: no rule grants HTTP requests to `fetch.get`
      hint: add `{ url = "https://example.org", methods = ["GET"] }` to a grant of `fetch`, or run with `--allow-net example.org`
    POST https://example.org/
      net_denied: `fetch` does not ask for it, so no rule can grant it
    GET http://127.0.0.1:8099/
      net_denied: no rule grants HTTP requests to `fetch.get`
      hint: add `{ url = "http://127.0.0.1:8099", methods = ["GET"] }` to a grant of `fetch`, or run with `--allow-net http://127.0.0.1:8099`
    GET https://example.org:8443/
      net_denied: `fetch` does not ask for it, so no rule can grant it
    read variable TZ
      env_denied: `fetch` does not ask for it, so no rule can grant it
    "#);
    Ok(())
}
