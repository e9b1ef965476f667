//! `tool.toml`: what a tool's author declares. A ceiling, never a permission; `config::resolve` joins it with the operator's
//! rules. Read when a component is loaded, from the file beside it or from the section embedded in it.

use super::ceiling::{Ceiling, EnvCeiling, FsCeiling, FsRequest, HttpCeiling, HttpRequest, KvRequest, standard_store};
use super::exports::{ExportRules, read_exports};
use super::file::read_file;
use super::foreign_name::EnvName;
use super::limit::{StatedBy, read_limits};
use super::mount::{Mount, is_clean};
use super::problem::{ProblemKind, Problems, shown};
use super::reader::{Table, Value};
use super::secret_request::read_secret_requests;
use crate::effect::HttpMethod;
use crate::grant::Access;
use crate::hidden::{is_hidden, is_invisible};
use crate::limits::LimitsChange;
use crate::name::Name;
use crate::tool::DESCRIPTION_BYTES_MAX;

/// A tool's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The component's name.
    pub name: Name,
    /// The author's version: 1 to 64 of `0-9 A-Z a-z . + -`.
    pub version: String,
    /// What the tool is for: at most [`DESCRIPTION_BYTES_MAX`] of visible text.
    pub description: String,
    /// How `agent-host tool build` makes the component.
    pub build: Option<Build>,
    /// The most that the tool may be granted.
    pub ceiling: Ceiling,
    /// The limits that the author lowers.
    pub limits: LimitsChange,
    /// Which exports are tools, and under which names.
    pub exports: ExportRules,
}

/// How a component is made. Only `tool build` runs this, and only where the operator trusts the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// A command line, run in the manifest's folder.
    pub command: String,
    /// The component that it makes: a path below the manifest's folder.
    pub artifact: String,
    /// The programs that the command calls.
    pub needs: Vec<Need>,
}

/// A program that a build calls, for who does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name, as it is looked up.
    pub program: String,
    /// How to get it, in the author's words. Shown, never run.
    pub cure: String,
}

/// The access words of rules and manifests.
pub(super) const ACCESS_WORDS: [(&str, Access); 2] = [("read", Access::Read), ("write", Access::Write)];

/// Most stores of one tool: each has room of its own.
const STORES_MAX: usize = 8;
/// Most bytes of one word on how to get a program: it is one line of an error.
const CURE_BYTES_MAX: usize = 300;

impl Manifest {
    /// Reads the text of a manifest. `file` is its name in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        read_file(ProblemKind::ManifestInvalid, file, text, read_manifest)
    }
}

fn read_manifest(root: &mut Table<'_>) -> Option<Manifest> {
    let tool = root.require("tool", "{ name = \"…\", version = \"0.1.0\", description = \"…\" }");
    let tool = tool.and_then(|tool| tool.table(read_tool)).flatten();
    let build = root.table("build", read_build).flatten();
    let ceiling = root.table("capabilities", read_ceiling).unwrap_or_else(Ceiling::nothing);
    let limits = root.table("limits", |table| read_limits(table, StatedBy::Author)).unwrap_or_default();
    let exports = root.table("exports", read_exports).unwrap_or_default();
    let (name, version, description) = tool?;
    Some(Manifest { name, version, description, build, ceiling, limits, exports })
}

fn read_tool(table: &mut Table<'_>) -> Option<(Name, String, String)> {
    let name = table.require("name", "\"fetch\"").and_then(|value| value.parse());
    let version = table.require("version", "\"0.1.0\"").and_then(|value| read_version(&value));
    let description = table.require("description", "\"…\"").and_then(|value| read_description(&value));
    Some((name?, version?, description?))
}

fn read_version(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let good = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'));
    if !good {
        value.problem(format!("`{}` is not a version such as `0.1.0`", shown(text)), None);
    }
    good.then(|| text.to_owned())
}

/// A description reaches the model and the person who approves: neither may see something else than the other.
pub(super) fn read_description(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let hidden = |c: char| is_invisible(c) || (c.is_control() && c != '\n' && c != '\t');
    let problem = if text.trim().is_empty() {
        "the description is empty".to_owned()
    } else if text.len() > DESCRIPTION_BYTES_MAX {
        format!("the description has {} bytes: at most {DESCRIPTION_BYTES_MAX} are shown to a model", text.len())
    } else if let Some(c) = text.chars().find(|c| hidden(*c)) {
        format!("the description holds a character that nobody sees: `{}`", c.escape_unicode())
    } else {
        return Some(text.to_owned());
    };
    value.problem(problem, None);
    None
}

fn read_build(table: &mut Table<'_>) -> Option<Build> {
    let command = table.require("command", "\"cargo build --release\"").and_then(|value| read_command(&value));
    let artifact = table.require("artifact", "\"target/….wasm\"").and_then(|value| read_artifact(&value));
    let needs = table.get("needs").map(|value| read_needs(&value)).unwrap_or_default();
    Some(Build { command: command?, artifact: artifact?, needs })
}

fn read_needs(value: &Value<'_>) -> Vec<Need> {
    let needs = value.pairs().into_iter().filter_map(|(program, cure)| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
        if program.is_empty() || !program.chars().all(good) {
            cure.problem(format!("`{}` is not the name of a program", shown(program)), None);
            return None;
        }
        let text = cure.string()?;
        if text.trim().is_empty() || text.len() > CURE_BYTES_MAX || text.chars().any(is_hidden) {
            let wanted = format!("how to get `{program}` is said in one line of at most {CURE_BYTES_MAX} bytes");
            cure.problem(wanted, None);
            return None;
        }
        Some(Need { program: program.to_owned(), cure: text.to_owned() })
    });
    needs.collect()
}

fn read_command(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let good = !text.trim().is_empty() && !text.chars().any(is_hidden);
    if !good {
        value.problem("the command is empty or holds characters that nobody sees".to_owned(), None);
    }
    good.then(|| text.to_owned())
}

fn read_artifact(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    // A member of a cargo workspace leaves its component in the workspace's target folder, above its own.
    let below = text.trim_start_matches("../");
    let good = is_clean(&format!("/{below}")) && !text.contains('\\') && !below.is_empty();
    if !good {
        value.problem(format!("`{}` is not a path relative to this file's folder", shown(text)), None);
    }
    good.then(|| text.to_owned())
}

fn read_ceiling(table: &mut Table<'_>) -> Ceiling {
    let mut mounts: Vec<FsRequest> = Vec::new();
    table.tables("fs", |entry| {
        let request = read_fs_request(entry)?;
        match mounts.iter().find(|earlier| earlier.mount.overlaps(&request.mount)) {
            Some(earlier) => entry.problem(format!("mounts `{}` and `{}` overlap", earlier.mount, request.mount), None),
            None => mounts.push(request),
        }
        Some(())
    });
    let http = table.tables("http", read_http_request);
    let env = table.tables("env", |entry| entry.require("name", "\"TZ\"")?.parse::<EnvName>());
    let secrets = read_secret_requests(table, &http);
    let kv = read_stores(table);
    refuse_other_capabilities(table);
    let (fs, http, env) = (FsCeiling::Mounts(mounts), HttpCeiling::Requests(http), EnvCeiling::Names(env));
    Ceiling { fs, http, env, secrets, kv }
}

fn read_stores(table: &mut Table<'_>) -> Vec<KvRequest> {
    let mut stores: Vec<KvRequest> = Vec::new();
    table.tables("kv", |entry| {
        let store = entry.get("store").map_or_else(|| Some(standard_store()), |value| value.parse());
        let access = entry.require("access", "\"write\"").and_then(|value| value.one_of(&ACCESS_WORDS));
        let (store, access) = (store?, access?);
        if stores.iter().any(|earlier| earlier.store == store) {
            entry.problem(format!("store `{store}` is asked for twice"), None);
        } else if stores.len() == STORES_MAX {
            entry.problem(format!("a tool has at most {STORES_MAX} stores"), None);
        } else {
            stores.push(KvRequest { store, access });
        }
        Some(())
    });
    stores
}

/// Refuses the words for capabilities that this version does not have, or that need no request.
pub(super) fn refuse_other_capabilities(table: &mut Table<'_>) {
    table.refuse("sockets", "is not supported in this version, and what cannot be enforced is refused");
    for key in ["clock", "random", "log"] {
        table.refuse(key, "is always granted: leave it out");
    }
}

fn read_fs_request(table: &mut Table<'_>) -> Option<FsRequest> {
    let mount = table.require("mount", "\"/data\"").and_then(|value| value.parse::<Mount>());
    let access = table.require("access", "\"read\"").and_then(|value| value.one_of(&ACCESS_WORDS));
    Some(FsRequest { mount: mount?, access: access? })
}

fn read_http_request(table: &mut Table<'_>) -> Option<HttpRequest> {
    let url = table.require("url", "\"https://example.org\"").and_then(|value| value.parse());
    let methods = table.require("methods", "[\"GET\"]").and_then(|value| read_methods(&value));
    let header = table.get("idempotency_header");
    let idempotency_header = match &header {
        None => None,
        Some(value) => Some(value.parse()?),
    };
    let methods = methods?;
    check_header(header.as_ref(), &methods);
    Some(HttpRequest { url: url?, methods, idempotency_header })
}

/// An idempotency header goes along with writes.
pub(super) fn check_header(header: Option<&Value<'_>>, methods: &[HttpMethod]) {
    if let Some(header) = header
        && !methods.iter().any(|method| method.is_write())
    {
        header.problem("no method here writes, so the header would never be sent".to_owned(), None);
    }
}

/// A list of methods, in the order of [`HttpMethod::ALL`] and each once.
pub(super) fn read_methods(value: &Value<'_>) -> Option<Vec<HttpMethod>> {
    let words: Vec<(&'static str, HttpMethod)> =
        HttpMethod::ALL.iter().map(|method| (method.as_str(), *method)).collect();
    let mut methods = value.list()?.iter().map(|element| element.one_of(&words)).collect::<Option<Vec<_>>>()?;
    if methods.is_empty() {
        value.problem(
            "`methods` is empty, so nothing is covered".to_owned(),
            Some("write `methods = [\"GET\"]`".to_owned()),
        );
        return None;
    }
    methods.sort();
    methods.dedup();
    Some(methods)
}

#[cfg(test)]
mod tests {
    use super::super::ceiling::SecretRequest;
    use super::*;
    use crate::limits::Limit;

    const FETCH: &str = r#"
[tool]
name = "fetch"
version = "0.1.0"
description = "Fetch a page and return it as Markdown."
[build]
command = "cargo build --release --target wasm32-wasip2"
artifact = "target/wasm32-wasip2/release/fetch.wasm"
needs = { cargo = "https://rustup.rs" }
[[capabilities.http]]
url = "https://*"
methods = ["HEAD", "GET", "GET"]
[[capabilities.http]]
url = "https://api.example.com/orders"
methods = ["POST"]
idempotency_header = "Idempotency-Key"
[[capabilities.fs]]
mount = "/data"
access = "read"
[[capabilities.env]]
name = "TZ"
[[capabilities.secrets]]
name = "ORDERS_TOKEN"
url = "https://api.example.com"
format = "Bearer {}"
[[capabilities.kv]]
access = "write"
[[capabilities.kv]]
store = "pages"
access = "read"
[limits]
memory = "64MiB"
deadline = "20s"
log_records = 0
"#;

    #[test]
    fn a_manifest_reads_as_it_is_written() -> Result<(), Box<dyn std::error::Error>> {
        let orders = HttpRequest {
            url: "https://api.example.com/orders".parse()?,
            methods: vec![HttpMethod::Post],
            idempotency_header: Some("Idempotency-Key".parse()?),
        };
        let pages = HttpRequest {
            url: "https://*".parse()?,
            methods: vec![HttpMethod::Get, HttpMethod::Head],
            idempotency_header: None,
        };
        let limits = [(Limit::Memory, 64 << 20), (Limit::Deadline, 20_000), (Limit::LogRecords, 0)];
        let expected = Manifest {
            name: "fetch".parse()?,
            version: "0.1.0".to_owned(),
            description: "Fetch a page and return it as Markdown.".to_owned(),
            build: Some(Build {
                command: "cargo build --release --target wasm32-wasip2".to_owned(),
                artifact: "target/wasm32-wasip2/release/fetch.wasm".to_owned(),
                needs: vec![Need { program: "cargo".to_owned(), cure: "https://rustup.rs".to_owned() }],
            }),
            ceiling: Ceiling {
                fs: FsCeiling::Mounts(vec![FsRequest { mount: "/data".parse()?, access: Access::Read }]),
                http: HttpCeiling::Requests(vec![pages, orders]),
                env: EnvCeiling::Names(vec!["TZ".parse()?]),
                secrets: vec![SecretRequest {
                    name: "ORDERS_TOKEN".parse()?,
                    url: "https://api.example.com".parse()?,
                    header: "authorization".parse()?,
                    format: "Bearer {}".parse()?,
                }],
                kv: vec![
                    KvRequest { store: "default".parse()?, access: Access::Write },
                    KvRequest { store: "pages".parse()?, access: Access::Read },
                ],
            },
            limits: LimitsChange(limits.into()),
            exports: ExportRules::default(),
        };
        assert_eq!(Manifest::parse("tool.toml", FETCH)?, expected);
        Ok(())
    }

    #[test]
    fn a_manifest_that_asks_for_nothing_has_an_empty_ceiling() -> Result<(), Problems> {
        let text = "tool = { name = \"calc\", version = \"1\", description = \"Calculate.\" }";
        let manifest = Manifest::parse("tool.toml", text)?;
        assert_eq!((manifest.ceiling, manifest.limits), (Ceiling::nothing(), LimitsChange::default()));
        Ok(())
    }
}
