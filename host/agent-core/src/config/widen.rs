//! Widening a grant in the middle of a run: the rule that would allow what was refused, how that rule is written in a policy
//! file, and the authority with it. Called when a person is asked; never decides that anything is allowed.

use url::Url;

use super::authority::{Authority, FsRule, GrantRule, HttpRule, SecretRule, TreatAs};
use super::host_path::HostPath;
use super::problem::{Problem, ProblemKind, Problems};
use super::resolve::{ToolAuthority, resolve};
use super::resolve_secrets::contradictions;
use super::selector::Selector;
use crate::effect::{EffectRequest, HttpMethod};
use crate::grant::{Access, Recovery, RuleSource};
use crate::limits::{Limit, LimitsChange};
use crate::name::ToolName;

impl GrantRule {
    /// The narrowest rule by which `tool` could do this: one method of one origin, one variable, or its component's stores. `None` where a request
    /// alone does not say enough, as with a path of the guest, or where no rule could allow it.
    #[must_use]
    pub fn allowing(tool: &ToolName, request: &EffectRequest, source: RuleSource) -> Option<Self> {
        let nothing = Self::for_tool(tool, source);
        match request {
            EffectRequest::Http { method, url, .. } => {
                let rule = HttpRule {
                    url: Url::parse(url).ok()?.origin().ascii_serialization().parse().ok()?,
                    methods: vec![HttpMethod::from_name(method)?],
                    idempotency_header: None,
                    treat_as: TreatAs::Computed,
                };
                Some(Self { http: vec![rule], ..nothing })
            }
            EffectRequest::Env { name } => Some(Self { env: vec![name.parse().ok()?], ..nothing }),
            EffectRequest::Kv { operation, .. } => {
                let selector = Selector::Component(tool.component.clone());
                Some(Self { selector, kv: Some(operation.needs()), ..nothing })
            }
            EffectRequest::File { .. } | EffectRequest::Socket { .. } => None,
        }
    }

    /// The rule by which all tools of `tool`'s component get a directory at their standard mount.
    #[must_use]
    pub fn directory_for(tool: &ToolName, host: HostPath, access: Access, source: RuleSource) -> Self {
        let selector = Selector::Component(tool.component.clone());
        Self {
            selector,
            fs: vec![FsRule { host, mount: None, access, recovery: Recovery::Undo }],
            ..Self::for_tool(tool, source)
        }
    }

    /// The rule as a table of `policy.toml`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut lines = vec!["[[grant]]".to_owned(), format!("tool = {}", quoted(&self.selector.to_string()))];
        let list =
            |key: &str, items: Vec<String>| (!items.is_empty()).then(|| format!("{key} = [{}]", items.join(", ")));
        lines.extend(self.component.map(|only| format!("component = {}", quoted(&only.to_string()))));
        lines.extend(list("fs", self.fs.iter().map(fs_entry).collect()));
        lines.extend(list("http", self.http.iter().map(http_entry).collect()));
        lines.extend(self.kv.map(|access| format!("kv = \"{access}\"")));
        lines.extend(list("env", self.env.iter().map(|name| quoted(name.as_str())).collect()));
        lines.extend(list("secrets", self.secrets.iter().map(secret_entry).collect()));
        lines.extend(limits_entry(&self.limits));
        lines.join("\n") + "\n"
    }

    pub(super) fn for_tool(tool: &ToolName, source: RuleSource) -> Self {
        Self {
            selector: Selector::Tool(tool.clone()),
            component: None,
            fs: Vec::new(),
            http: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            kv: None,
            limits: LimitsChange::default(),
            source,
        }
    }
}

impl ToolAuthority {
    /// This authority and what `rule` adds, within the ceiling and what is denied.
    ///
    /// # Errors
    /// Where the rule gives more than the ceiling, a directory at a mount that is taken, one that lies in what stays as it is, or a
    /// variable that holds a secret.
    pub fn widened(&self, rule: &GrantRule) -> Result<Self, Problems> {
        Problems::none_of(self.granted_in_unchanging(rule))?;
        let rules = Authority { grants: self.as_rules(rule), approvals: Vec::new(), denies: self.denies.clone() };
        let joined = resolve(&self.tool, &self.component, &self.ceiling, &LimitsChange::default(), &[&rules])?;
        let mut widened = self.clone();
        widened.grant.fs = joined.grant.fs;
        let added = |known: &[_], new| if known.contains(&new) { None } else { Some(new) };
        let http: Vec<_> = joined.grant.http.into_iter().filter_map(|new| added(&self.grant.http, new)).collect();
        widened.grant.http.extend(http);
        widened.grant.env.extend(joined.grant.env);
        for new in joined.grant.kv {
            match widened.grant.kv.iter_mut().find(|old| old.store == new.store) {
                None => widened.grant.kv.push(new),
                Some(old) if new.access > old.access => *old = new,
                Some(_) => {}
            }
        }
        Problems::none_of(contradictions(&self.tool, &widened.grant))?;
        Ok(widened)
    }

    /// Directories in what stays as it is, to be changed. What in it would be loaded was known when the run began, and what it holds
    /// says no more than where that is.
    fn granted_in_unchanging(&self, rule: &GrantRule) -> Vec<Problem> {
        let kept: Vec<&HostPath> = self.denies.iter().flat_map(|deny| &deny.unchanging).collect();
        let problem = |fs: &FsRule| {
            let around = kept.iter().find(|path| path.contains(&fs.host))?;
            let host = &fs.host;
            let message =
                format!("`{host}` lies in `{around}`, which stays as it is: this host reads tools or rules from it");
            Some(Problem::at_source(ProblemKind::GrantExceedsPolicy, &rule.source, message))
        };
        rule.fs.iter().filter(|fs| fs.access == Access::Write).filter_map(problem).collect()
    }

    /// `rule`, and the directories held already as rules, so that joining them finds what collides.
    fn as_rules(&self, rule: &GrantRule) -> Vec<GrantRule> {
        let held = self.grant.fs.iter().filter_map(|fs| {
            let host = HostPath::join("/", &fs.host).ok()?;
            let (mount, access, recovery) = (fs.mount.parse().ok(), fs.access, fs.recovery);
            let directory = FsRule { host, mount, access, recovery };
            Some(GrantRule { fs: vec![directory], ..GrantRule::for_tool(&self.tool, fs.source.clone()) })
        });
        held.chain([rule.clone()]).collect()
    }
}

fn fs_entry(rule: &FsRule) -> String {
    let mount = rule.mount.as_ref().map(|mount| format!(", mount = {}", quoted(mount.as_str()))).unwrap_or_default();
    let access = match rule.access {
        Access::Read => "read",
        Access::Write => "write",
    };
    let undo = match rule.recovery {
        Recovery::Undo => "",
        Recovery::Doubt => ", undo = false",
    };
    format!("{{ host = {}{mount}, access = \"{access}\"{undo} }}", quoted(rule.host.as_str()))
}

fn http_entry(rule: &HttpRule) -> String {
    let methods: Vec<_> = rule.methods.iter().map(|method| quoted(method.as_str())).collect();
    let header = rule.idempotency_header.as_ref();
    let header = header.map(|name| format!(", idempotency_header = {}", quoted(&name.to_string()))).unwrap_or_default();
    let class = match rule.treat_as {
        TreatAs::Computed => "",
        TreatAs::Opaque => ", class = \"opaque\"",
    };
    format!("{{ url = {}, methods = [{}]{header}{class} }}", quoted(&rule.url.to_string()), methods.join(", "))
}

fn limits_entry(limits: &LimitsChange) -> Option<String> {
    let entry = |(limit, value): (&Limit, &u64)| format!("{limit} = {}", quoted(&limit.unit().written(*value)));
    let entries: Vec<_> = limits.0.iter().map(entry).collect();
    (!entries.is_empty()).then(|| format!("limits = {{ {} }}", entries.join(", ")))
}

fn secret_entry(rule: &SecretRule) -> String {
    let name = quoted(rule.name.as_str());
    match &rule.from {
        None => name,
        Some(from) => format!("{{ name = {name}, from = {} }}", quoted(&from.to_string())),
    }
}

/// A TOML basic string, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::decide::Verdict;
    use super::super::policy::parse_policy;
    use super::*;
    use crate::config::authority::DenyRule;
    use crate::config::ceiling::Ceiling;
    use crate::digest::Digest;
    use crate::grant::Capability;
    use crate::units::Bytes;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn get(url: &str) -> EffectRequest {
        EffectRequest::Http { method: "GET".into(), url: url.into(), body_bytes: Bytes(0), digest: Digest::of(b"") }
    }

    fn source() -> RuleSource {
        RuleSource("answered".into())
    }

    #[test]
    fn a_wider_grant_allows_what_was_asked_and_no_more() -> TestResult {
        let tool: ToolName = "fetch.get".parse()?;
        let ceiling = Ceiling::of_imports(&[Capability::Http]);
        let before = resolve(&tool, &Digest::of(b""), &ceiling, &LimitsChange::default(), &[])?;
        let rule = GrantRule::allowing(&tool, &get("https://example.org/a?b"), source()).ok_or("no rule")?;
        let after = before.widened(&rule)?;
        assert!(matches!(before.decide(&get("https://example.org/a")), Verdict::Deny(_)));
        assert!(matches!(after.decide(&get("https://example.org/other")), Verdict::Allow(_)));
        assert!(matches!(after.decide(&get("https://example.com/")), Verdict::Deny(_)));
        assert!(matches!(after.decide(&get("https://example.org:8443/")), Verdict::Deny(_)));
        Ok(())
    }

    /// Who goes on with a run knows of its tools only where they are, and not which folders tools are found in.
    #[test]
    fn no_wider_grant_lies_in_what_stays_as_it_is() -> TestResult {
        let tool: ToolName = "files.write".parse()?;
        let ceiling = Ceiling::of_imports(&[Capability::Fs]);
        let deny =
            DenyRule { unchanging: vec!["/work/tools".parse()?], ..DenyRule::of(Selector::Everything, source()) };
        let rules = Authority { denies: vec![deny], ..Authority::nothing() };
        let held = resolve(&tool, &Digest::of(b""), &ceiling, &LimitsChange::default(), &[&rules])?;
        let widened = |host: &str, access| {
            let rule = GrantRule::directory_for(&tool, HostPath::join("/", host)?, access, source());
            Ok::<_, Box<dyn std::error::Error>>(
                held.widened(&rule).map(|wider| wider.grant.fs[0].unchanging.clone()).ok(),
            )
        };
        for host in ["/work/tools", "/work/tools/new", "/work/tools/calc/target"] {
            assert_eq!(widened(host, Access::Write)?, None, "{host}");
            assert_eq!(widened(host, Access::Read)?, Some(Vec::new()), "{host}");
        }
        assert_eq!(widened("/work", Access::Write)?, Some(vec!["/work/tools".to_owned()]));
        assert_eq!(widened("/work/docs", Access::Write)?, Some(Vec::new()));
        Ok(())
    }

    #[test]
    fn a_written_rule_reads_back() -> TestResult {
        let tool: ToolName = "files.read".parse()?;
        let host = HostPath::join("/", "/home/a \"b\"")?;
        let directory = GrantRule::directory_for(&tool, host, Access::Write, source());
        let request = GrantRule::allowing(&tool, &get("https://example.org/"), source()).ok_or("no rule")?;
        let pinned = request.clone().only_for(Digest::of(b"component"));
        for rule in [directory, request, pinned] {
            let read = parse_policy("policy.toml", "/", &rule.to_toml())?;
            let read = GrantRule { source: source(), ..read.grants[0].clone() };
            assert_eq!(read, rule);
        }
        Ok(())
    }
}
