//! Joins the author's ceiling and the operator's rules into what one tool holds in a run. Called when the tool set of a run
//! is locked, and again when a person widens a grant.
//!
//! What rules allow is added up; then everything is cut down to the ceiling. A rule that names the tool or its component
//! and gives more than the ceiling is a problem, since its author expected something that will not happen; a rule for `*`
//! is cut silently.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::authority::{ApprovalRule, Authority, DenyRule, FsRule, GrantRule, HttpRule, TreatAs};
use super::ceiling::{Ceiling, FsCeiling, HttpCeiling, HttpRequest};
use super::foreign_name::HeaderName;
use super::host_path::HostPath;
use super::mount::Mount;
use super::problem::{Problem, ProblemKind, Problems};
use super::resolve_secrets::{contradictions, resolve_secrets};
use super::selector::Selector;
use crate::digest::Digest;
use crate::effect::{EffectClass, HttpMethod};
use crate::grant::{Access, EnvGrant, FileIdentity, FsGrant, Grant, HttpGrant, KvGrant, RuleSource};
use crate::limits::{Limit, Limits, LimitsChange};
use crate::name::ToolName;
use crate::pattern::UrlPattern;

/// What one tool holds in a run, and what decides about each of its effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolAuthority {
    /// The tool.
    pub tool: ToolName,
    /// The component that it is an operation of: rules that name another do not count.
    pub component: Digest,
    /// The most that rules could give it.
    pub ceiling: Ceiling,
    /// What it holds.
    pub grant: Grant,
    /// What a person is asked about first.
    pub approvals: Vec<ApprovalRule>,
    /// What is forbidden.
    pub denies: Vec<DenyRule>,
}

/// Joins a tool's ceiling and lowered limits with the rules of every file and flag.
///
/// # Errors
/// Rules that give a named tool more than its ceiling, put two directories at one mount, grant a directory around a denied
/// one, or give the tool something only as another component than this.
pub fn resolve(
    tool: &ToolName,
    component: &Digest,
    ceiling: &Ceiling,
    manifest_limits: &LimitsChange,
    rules: &[&Authority],
) -> Result<ToolAuthority, Problems> {
    let grants: Vec<&GrantRule> =
        rules.iter().flat_map(|authority| &authority.grants).filter(|rule| rule.selector.covers(tool)).collect();
    let approvals = rules.iter().flat_map(|authority| &authority.approvals).filter(|rule| rule.selector.covers(tool));
    let denies = rules.iter().flat_map(|authority| &authority.denies).filter(|rule| rule.selector.covers(tool));
    let denies: Vec<DenyRule> = denies.cloned().collect();
    let (grants, foreign): (Vec<_>, Vec<_>) = grants.into_iter().partition(|rule| rule.is_for(component));
    let limits = resolve_limits(manifest_limits, &grants);
    let mut join =
        Join { tool, ceiling, denies: &denies, grant: Grant { limits, ..Grant::nothing() }, problems: Vec::new() };
    if !denies.iter().any(DenyRule::forbids_tool) {
        grants.iter().for_each(|rule| join.add(rule));
        let (secrets, problems) = resolve_secrets(tool, component, ceiling, rules, &denies);
        join.grant.secrets = secrets;
        join.problems.extend(problems);
        join.problems.extend(contradictions(tool, &join.grant));
        join.problems.extend(foreign_to(tool, component, &grants, &foreign));
    }
    Problems::none_of(join.problems)?;
    let grant = join.grant;
    Ok(ToolAuthority {
        tool: tool.clone(),
        component: *component,
        ceiling: ceiling.clone(),
        grant,
        approvals: approvals.cloned().collect(),
        denies,
    })
}

/// Problems with rules that are for other components of this name. Where one rule is for this very component, the others are
/// for its other versions, and nobody is mistaken.
fn foreign_to(tool: &ToolName, component: &Digest, counting: &[&GrantRule], foreign: &[&GrantRule]) -> Vec<Problem> {
    if counting.iter().any(|rule| rule.component.is_some()) {
        return Vec::new();
    }
    let problem = |rule: &&GrantRule| {
        let only = rule.component?;
        let name = &tool.component;
        let message = format!("this is for `{name}` as component `{only}`, and the `{name}` here is `{component}`");
        let hint = format!(
            "look at it with `agent-host tool inspect`; if it may have this too, write `component = \"{component}\"`"
        );
        Some(Problem::at_source(ProblemKind::DigestMismatch, &rule.source, message).with_hint(hint))
    };
    foreign.iter().filter_map(problem).collect()
}

/// The limits of a call: the narrowest rule that states one has the last word, and of equally narrow ones the highest. A
/// rule for `*` only moves the defaults, which the manifest then lowers.
fn resolve_limits(manifest: &LimitsChange, grants: &[&GrantRule]) -> Limits {
    let resolved = |limit: Limit| {
        let stated = grants.iter().filter_map(|rule| Some((&rule.selector, *rule.limits.0.get(&limit)?))).max();
        let lowered = |default: u64| manifest.0.get(&limit).map_or(default, |lowered| default.min(*lowered));
        match stated {
            None => lowered(Limits::STANDARD.get(limit)),
            Some((Selector::Everything, default)) => lowered(default),
            Some((Selector::Component(_) | Selector::Tool(_), value)) => value,
        }
    };
    Limit::ALL.iter().fold(Limits::STANDARD, |limits, limit| limits.with(*limit, resolved(*limit)))
}

/// Most things that one tool is granted, counted before each rule: every effect looks through all of them.
const GRANTED_MAX: usize = 256;

/// A grant in the making.
struct Join<'j> {
    tool: &'j ToolName,
    ceiling: &'j Ceiling,
    denies: &'j [DenyRule],
    grant: Grant,
    problems: Vec<Problem>,
}

/// What a rule gives beyond a ceiling.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    /// Is a mistake: the rule names the tool.
    Refused,
    /// Is left out: the rule is for every tool.
    Dropped,
}

impl Join<'_> {
    fn add(&mut self, rule: &GrantRule) {
        let granted = self.grant.fs.len() + self.grant.http.len() + self.grant.env.len() + self.grant.kv.len();
        if granted > GRANTED_MAX {
            let message = format!("`{}` is granted more than {GRANTED_MAX} things: this rule is too many", self.tool);
            return self.problems.push(Problem::at_source(ProblemKind::PolicyInvalid, &rule.source, message));
        }
        let excess = match rule.selector {
            Selector::Everything => Excess::Dropped,
            Selector::Component(_) | Selector::Tool(_) => Excess::Refused,
        };
        rule.fs.iter().for_each(|fs| self.add_fs(fs, excess, &rule.source));
        rule.http.iter().for_each(|http| self.add_http(http, excess, &rule.source));
        if let Some(access) = rule.kv {
            self.add_stores(access, excess, &rule.source);
        }
        for name in &rule.env {
            if self.ceiling.env.contains(name) {
                let name = name.to_string();
                self.grant.env.push(EnvGrant { name, source: rule.source.clone() });
            } else {
                self.exceed(excess, &rule.source, &format!("asks for no variable `{name}`"), None);
            }
        }
    }

    fn add_fs(&mut self, rule: &FsRule, excess: Excess, source: &RuleSource) {
        let mount = rule.mount.clone().unwrap_or_else(|| self.ceiling.standard_mount());
        let Some(most) = self.ceiling.fs.access_at(&mount) else {
            let hint = declared_mounts(&self.ceiling.fs);
            return self.exceed(excess, source, &format!("asks for no directory at `{mount}`"), Some(hint));
        };
        if rule.access > most {
            let hint = format!("grant it `access = \"{most}\"` there");
            self.exceed(excess, source, &format!("asks only to {most} at `{mount}`"), Some(hint));
        }
        if !self.is_denied(rule, source) {
            let (host, access) = (rule.host.to_string(), rule.access.min(most));
            let (mount_text, recovery, source) = (mount.to_string(), rule.recovery, source.clone());
            let unchanging = unchanging_in(&rule.host, access, self.denies);
            let unmoved = unmoved_in(&rule.host, access, self.denies);
            let linked = linked_for(access, self.denies);
            let new = FsGrant { host, mount: mount_text, access, recovery, unchanging, unmoved, linked, source };
            self.mount_directory(&mount, new);
        }
    }

    /// Whether a deny takes the directory away. One that denies only a part of it cannot be enforced.
    fn is_denied(&mut self, rule: &FsRule, source: &RuleSource) -> bool {
        let denied = self.denies.iter().flat_map(|deny| deny.fs.iter().map(move |path| (path, &deny.source)));
        for (path, deny) in denied {
            if path.contains(&rule.host) {
                return true;
            }
            if rule.host.contains(path) {
                let message = format!("`{}` holds `{path}`, which {deny} denies", rule.host);
                let hint = "grant the directories beside it one by one".to_owned();
                let problem = Problem::at_source(ProblemKind::GrantExceedsPolicy, source, message);
                self.problems.push(problem.with_hint(hint));
            }
        }
        if rule.access == Access::Write && self.denies.iter().any(|deny| deny.unchanging.contains(&rule.host)) {
            let message = format!("`{}` stays as it is: this host reads tools or rules from it", rule.host);
            self.problems.push(Problem::at_source(ProblemKind::GrantExceedsPolicy, source, message));
        }
        false
    }

    fn mount_directory(&mut self, mount: &Mount, new: FsGrant) {
        let overlaps = |old: &&mut FsGrant| old.mount.parse().is_ok_and(|old: Mount| old.overlaps(mount));
        match self.grant.fs.iter_mut().find(overlaps) {
            None => self.grant.fs.push(new),
            Some(old) if old.mount == new.mount && old.host == new.host => {
                // What rules allow is added up, and changes without undo are more than changes with it.
                if (new.access, new.recovery) > (old.access, old.recovery) {
                    *old = new;
                }
            }
            Some(old) => {
                let message = format!(
                    "`{}` cannot appear at `{}` of `{}`: {} puts `{}` at `{}`",
                    new.host, new.mount, self.tool, old.source, old.host, old.mount
                );
                let hint = match &self.ceiling.fs {
                    FsCeiling::Mounts(requests) if requests.len() == 1 => {
                        format!("`{}` takes one directory: grant one around both", self.tool.component)
                    }
                    FsCeiling::Mounts(_) => {
                        format!("give each a mount of its own: {}", declared_mounts(&self.ceiling.fs))
                    }
                    FsCeiling::Any => "give each a mount of its own in a grant: `mount = \"/other\"`".to_owned(),
                };
                let problem = Problem::at_source(ProblemKind::PolicyInvalid, &new.source, message);
                self.problems.push(problem.with_hint(hint));
            }
        }
    }

    fn add_http(&mut self, rule: &HttpRule, excess: Excess, source: &RuleSource) {
        let HttpCeiling::Requests(requests) = &self.ceiling.http else {
            let header = rule.idempotency_header.as_ref();
            return self.add_requests(http_grant(rule, rule.url.clone(), rule.methods.clone(), header, source));
        };
        let covered = |method: &&HttpMethod| {
            requests.iter().any(|request| request.methods.contains(method) && request.url.covers_pattern(&rule.url))
        };
        if let Some(method) = rule.methods.iter().find(|method| !covered(method)) {
            let hint = declared_requests(requests);
            self.exceed(excess, source, &format!("does not ask for {method} `{}`", rule.url), Some(hint));
        }
        for request in requests {
            let methods: Vec<HttpMethod> =
                rule.methods.iter().filter(|method| request.methods.contains(method)).copied().collect();
            let header = rule.idempotency_header.as_ref().or(request.idempotency_header.as_ref());
            if let (Some(url), false) = (request.url.intersect(&rule.url), methods.is_empty()) {
                self.add_requests(http_grant(rule, url, methods, header, source));
            }
        }
    }

    fn add_requests(&mut self, new: HttpGrant) {
        if !self.grant.http.contains(&new) {
            self.grant.http.push(new);
        }
    }

    /// Every store that the tool asks for, with no more access than it asks for.
    fn add_stores(&mut self, access: Access, excess: Excess, source: &RuleSource) {
        let Some(most) = self.ceiling.kv.iter().map(|request| request.access).max() else {
            let hint = "a manifest asks for one with `[[capabilities.kv]]`".to_owned();
            return self.exceed(excess, source, "asks for no store", Some(hint));
        };
        if access > most {
            let hint = format!("grant it `kv = \"{most}\"`");
            self.exceed(excess, source, &format!("asks only to {most} its stores"), Some(hint));
        }
        for request in &self.ceiling.kv {
            let new =
                KvGrant { store: request.store.clone(), access: access.min(request.access), source: source.clone() };
            match self.grant.kv.iter_mut().find(|old| old.store == new.store) {
                None => self.grant.kv.push(new),
                Some(old) if new.access > old.access => *old = new,
                Some(_) => {}
            }
        }
    }

    fn exceed(&mut self, excess: Excess, source: &RuleSource, what: &str, hint: Option<String>) {
        if excess == Excess::Refused {
            let message = format!("`{}` {what}", self.tool.component);
            let problem = Problem::at_source(ProblemKind::GrantExceedsManifest, source, message);
            self.problems.push(Problem { hint, ..problem });
        }
    }
}

/// What stays as it is of a directory that is granted.
pub(crate) fn unchanging_in(host: &HostPath, access: Access, denies: &[DenyRule]) -> Vec<String> {
    if access == Access::Read {
        return Vec::new();
    }
    let inside = denies.iter().flat_map(|deny| &deny.unchanging).filter(|path| host.contains(path) && *path != host);
    let inside: BTreeSet<&HostPath> = inside.collect();
    let is_outermost = |path: &HostPath| !inside.iter().any(|other| *other != path && other.contains(path));
    inside.iter().filter(|path| is_outermost(path)).map(ToString::to_string).collect()
}

/// Which folders of a directory that is granted stay where they are. It does itself: no guest moves its mount.
pub(crate) fn unmoved_in(host: &HostPath, access: Access, denies: &[DenyRule]) -> Vec<String> {
    if access == Access::Read {
        return Vec::new();
    }
    let inside = denies.iter().flat_map(|deny| &deny.unmoved).filter(|path| host.contains(path) && *path != host);
    let inside: BTreeSet<&HostPath> = inside.collect();
    inside.into_iter().map(ToString::to_string).collect()
}

/// Which files stay as they are under whatever name: where their other names are nobody knows.
pub(crate) fn linked_for(access: Access, denies: &[DenyRule]) -> Vec<FileIdentity> {
    if access == Access::Read {
        return Vec::new();
    }
    let linked: BTreeSet<FileIdentity> = denies.iter().flat_map(|deny| deny.linked.iter().copied()).collect();
    linked.into_iter().collect()
}

fn http_grant(
    rule: &HttpRule,
    url: UrlPattern,
    methods: Vec<HttpMethod>,
    header: Option<&HeaderName>,
    source: &RuleSource,
) -> HttpGrant {
    let idempotency_header = header.map(ToString::to_string);
    let class = match rule.treat_as {
        TreatAs::Computed => None,
        TreatAs::Opaque => Some(EffectClass::OpaqueWrite),
    };
    HttpGrant { url, methods, idempotency_header, class, source: source.clone() }
}

fn declared_mounts(ceiling: &FsCeiling) -> String {
    let FsCeiling::Mounts(requests) = ceiling else { return "it may be granted at any mount".to_owned() };
    let declared = requests.iter().map(|request| format!("`{}` to {}", request.mount, request.access));
    listed("directories", declared)
}

fn declared_requests(requests: &[HttpRequest]) -> String {
    let methods =
        |request: &HttpRequest| request.methods.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    listed("requests", requests.iter().map(|request| format!("{} `{}`", methods(request), request.url)))
}

fn listed(what: &str, declared: impl Iterator<Item = String>) -> String {
    /// More than these make no hint.
    const LISTED_MAX: usize = 5;
    let declared: Vec<String> = declared.take(LISTED_MAX).collect();
    if declared.is_empty() { format!("it asks for no {what}") } else { format!("it asks for {}", declared.join("; ")) }
}
