//! Learns the smallest policy from what a run did: for each tool the directories, requests and variables that it used, with
//! the least access that this needed. A pure function of the recorded events. What it makes is for review: it allows nothing,
//! and what was refused stands in it as a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use url::Url;

use super::authority::{FsRule, GrantRule, HttpRule, SecretRule, TreatAs};
use super::host_path::HostPath;
use super::mount::is_at_or_below;
use super::problem::visible;
use super::resolve::ToolAuthority;
use crate::effect::{Decision, Effect, EffectClass, EffectRequest, HttpMethod};
use crate::event::{EffectIntended, Event, Recorded};
use crate::grant::{Access, FsGrant, Grant, HttpGrant, Recovery, RuleSource};
use crate::limits::{Limit, Limits, LimitsChange};
use crate::name::{CallNumber, ToolName};
use crate::once;
use crate::pattern::{PortMatch, UrlPattern};

/// Effects that are listed in words, of one tool: more make no review easier.
const LISTED_MAX: usize = 20;

/// What a run needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// A rule for each tool that used anything.
    pub grants: Vec<GrantRule>,
    /// Tools that were called and used nothing.
    pub needless: Vec<ToolName>,
    /// What was refused, in words, by tool.
    pub refused: Vec<(ToolName, Vec<String>)>,
    /// What a person allowed once, in words, by tool. It is not learned: nobody said that more of its kind may happen.
    pub once: Vec<(ToolName, Vec<String>)>,
    /// Rules by which a person was asked. They are not learned: whoever wants to be asked again keeps them.
    pub asked_by: BTreeSet<String>,
}

/// Learns from the events of a run, at whose end its tools held `authorities`.
#[must_use]
pub fn learn(authorities: &[ToolAuthority], events: &[Recorded]) -> Learned {
    let mut used: BTreeMap<ToolName, Used<'_>> = BTreeMap::new();
    for (authority, deed) in deeds(authorities, events) {
        used.entry(authority.tool.clone()).or_insert_with(|| Used::nothing(authority)).add(deed);
    }
    let mut learned = Learned {
        grants: Vec::new(),
        needless: Vec::new(),
        refused: Vec::new(),
        once: Vec::new(),
        asked_by: BTreeSet::new(),
    };
    for (tool, used) in used {
        learned.asked_by.extend(used.authority.approvals.iter().map(|rule| rule.source.to_string()));
        match used.rule() {
            Some(rule) => learned.grants.push(rule),
            None if used.once.is_empty() => learned.needless.push(tool.clone()),
            None => {}
        }
        if !used.once.is_empty() {
            learned.once.push((tool.clone(), used.once));
        }
        if !used.refused.is_empty() {
            learned.refused.push((tool, used.refused));
        }
    }
    learned
}

impl Learned {
    /// As the text of a policy file. `head` says where it comes from, one line each.
    #[must_use]
    pub fn to_toml(&self, head: &[String]) -> String {
        let mut text = String::new();
        head.iter().for_each(|line| comment(&mut text, line));
        for rule in &self.grants {
            let _ = write!(text, "\n{}", rule.to_toml());
        }
        if !self.needless.is_empty() {
            let names: Vec<_> = self.needless.iter().map(ToString::to_string).collect();
            comment(&mut text, "");
            comment(&mut text, &format!("Called, and in need of nothing: {}", names.join(", ")));
        }
        for rule in &self.asked_by {
            comment(&mut text, "");
            comment(&mut text, &format!("A rule asked you first and is not repeated here: {rule}"));
        }
        for (tool, once) in &self.once {
            comment(&mut text, "");
            comment(&mut text, &format!("Allowed to {tool} once by a person, and not allowed by this file:"));
            once.iter().for_each(|line| comment(&mut text, &format!("  {line}")));
        }
        for (tool, refused) in &self.refused {
            comment(&mut text, "");
            comment(&mut text, &format!("Refused to {tool}, and not allowed by this file:"));
            refused.iter().for_each(|line| comment(&mut text, &format!("  {line}")));
        }
        text
    }
}

/// Comment lines, whatever is in the text: nothing that a tool said may become a rule.
fn comment(text: &mut String, line: &str) {
    let line = visible(line);
    let _ = if line.is_empty() { writeln!(text) } else { writeln!(text, "# {line}") };
}

/// Something that a call did, or would have done.
#[derive(Clone, Copy)]
enum Deed<'e> {
    Nothing,
    Done(&'e Effect),
    /// A write whose result is not recorded. It was allowed, or it would not have been announced.
    Announced(&'e EffectRequest),
}

/// What the calls of the run did, by tool. A call that ended has all its effects in one place; of others only the writes are
/// recorded.
fn deeds<'e>(authorities: &'e [ToolAuthority], events: &'e [Recorded]) -> Vec<(&'e ToolAuthority, Deed<'e>)> {
    let tools = tools_by_call(authorities, events);
    let permitted = permitted_once(events);
    let is_once = |body: &EffectIntended| permitted.contains(&(body.call, body.number, &body.request));
    let deed = |call: &CallNumber, deed| Some((*tools.get(call)?, deed));
    let of_event = |event: &'e Event| -> Vec<Option<(&'e ToolAuthority, Deed<'e>)>> {
        match event {
            Event::ToolFinished(body) => {
                let done = body.effects.iter().map(|effect| deed(&body.call, Deed::Done(effect)));
                [deed(&body.call, Deed::Nothing)].into_iter().chain(done).collect()
            }
            Event::EffectIntended(body) if is_once(body) => Vec::new(),
            Event::EffectIntended(body) => vec![deed(&body.call, Deed::Announced(&body.request))],
            Event::EffectDone(body) => vec![deed(&body.call, Deed::Done(&body.effect))],
            _ => Vec::new(),
        }
    };
    events.iter().flat_map(|recorded| of_event(&recorded.event)).flatten().collect()
}

/// What a person permitted once. Whichever attempt announces it, nobody said that more of its kind may happen.
fn permitted_once(events: &[Recorded]) -> Vec<(CallNumber, u32, &EffectRequest)> {
    let permitted = events.iter().filter_map(|recorded| match &recorded.event {
        Event::EffectPermitted(body) => Some((body.call, body.number, &body.request)),
        _ => None,
    });
    permitted.collect()
}

fn list(lines: &mut Vec<String>, line: String) {
    if lines.len() < LISTED_MAX && !lines.contains(&line) {
        lines.push(line);
    }
}

/// Which tool each call is of. Calls are numbered over the whole run, in the order in which they were proposed.
fn tools_by_call<'e>(authorities: &'e [ToolAuthority], events: &[Recorded]) -> BTreeMap<CallNumber, &'e ToolAuthority> {
    let proposed = events.iter().filter_map(|recorded| match &recorded.event {
        Event::ModelReplied(body) => Some(&body.reply.calls),
        _ => None,
    });
    let by_wire = |wire: &str| authorities.iter().find(|authority| authority.tool.wire() == wire);
    let numbered = proposed.flatten().zip(1..);
    numbered.filter_map(|(call, number)| Some((CallNumber(number), by_wire(&call.tool)?))).collect()
}

/// What one tool used, in the making.
struct Used<'s> {
    authority: &'s ToolAuthority,
    /// Mounts with the least access.
    fs: BTreeMap<&'s str, Access>,
    /// The longest path that all requests of a method to an origin begin with, by origin and method.
    http: BTreeMap<(String, HttpMethod), Http<'s>>,
    env: BTreeSet<String>,
    secrets: BTreeSet<String>,
    /// The least access to the tool's stores.
    kv: Option<Access>,
    refused: Vec<String>,
    once: Vec<String>,
}

struct Http<'s> {
    grant: &'s HttpGrant,
    /// Every request's. At least one.
    urls: Vec<Url>,
    prefix: String,
}

impl<'s> Used<'s> {
    fn nothing(authority: &'s ToolAuthority) -> Self {
        Self {
            authority,
            fs: BTreeMap::new(),
            http: BTreeMap::new(),
            env: BTreeSet::new(),
            secrets: BTreeSet::new(),
            kv: None,
            refused: Vec::new(),
            once: Vec::new(),
        }
    }

    fn add(&mut self, deed: Deed<'_>) {
        match deed {
            Deed::Nothing => {}
            Deed::Announced(request) => self.add_allowed(request),
            Deed::Done(effect) => match &effect.decision {
                Decision::Allow { rule } if once::is_by(rule) => list(&mut self.once, effect.request.to_string()),
                Decision::Allow { .. } => {
                    self.add_allowed(&effect.request);
                    self.secrets.extend(effect.secrets.iter().map(ToString::to_string));
                }
                Decision::Deny { refusal, rule, .. } => {
                    list(&mut self.refused, format!("{}: {refusal}: {rule}", effect.request));
                }
            },
        }
    }

    fn add_allowed(&mut self, request: &EffectRequest) {
        match request {
            EffectRequest::File { operation, path, to } => {
                let paths = [Some(path), to.as_ref()];
                paths.into_iter().flatten().for_each(|path| self.add_path(path, operation.needs()));
            }
            EffectRequest::Http { method, url, .. } => drop(self.add_request(method, url)),
            EffectRequest::Env { name } => drop(self.env.insert(name.clone())),
            EffectRequest::Kv { operation, .. } => self.kv = self.kv.max(Some(operation.needs())),
            EffectRequest::Socket { .. } => {}
        }
    }

    fn add_path(&mut self, path: &str, access: Access) {
        let grant = &self.authority.grant;
        let Some(mount) = grant.fs.iter().find(|fs| is_at_or_below(path, &fs.mount)) else { return };
        let least = self.fs.entry(&mount.mount).or_insert(access);
        *least = (*least).max(access);
    }

    fn add_request(&mut self, method: &str, url: &str) -> Option<()> {
        let (method, url) = (HttpMethod::from_name(method)?, Url::parse(url).ok()?);
        let covers = |http: &&HttpGrant| http.methods.contains(&method) && http.url.covers(&url);
        let grant = self.authority.grant.http.iter().find(covers)?;
        let key = (url.origin().ascii_serialization(), method);
        match self.http.get_mut(&key) {
            Some(known) => {
                known.prefix = common_prefix(&known.prefix, url.path());
                known.urls.push(url);
            }
            None => drop(self.http.insert(key, Http { grant, prefix: url.path().to_owned(), urls: vec![url] })),
        }
        Some(())
    }

    /// The rule that would have been enough; `None` where no rule was needed.
    fn rule(&self) -> Option<GrantRule> {
        let rule = GrantRule {
            fs: self.authority.grant.fs.iter().filter_map(|fs| self.fs_rule(fs)).collect(),
            http: self.http_rules(),
            env: self.env.iter().filter_map(|name| name.parse().ok()).collect(),
            secrets: self.secret_rules(),
            kv: self.kv,
            limits: raised(&self.authority.grant),
            ..GrantRule::for_tool(&self.authority.tool, RuleSource("learned".to_owned()))
        };
        let nothing = GrantRule::for_tool(&self.authority.tool, rule.source.clone());
        // As with what a person answers: for the component that was watched, not for what takes its name later.
        (rule != nothing).then(|| rule.only_for(self.authority.component))
    }

    fn fs_rule(&self, grant: &FsGrant) -> Option<FsRule> {
        let access = *self.fs.get(grant.mount.as_str())?;
        let mount = grant.mount.parse().ok()?;
        let written = (mount != self.authority.ceiling.standard_mount()).then_some(mount);
        let recovery = if access == Access::Write { grant.recovery } else { Recovery::Undo };
        Some(FsRule { host: HostPath::join("/", &grant.host).ok()?, mount: written, access, recovery })
    }

    fn secret_rules(&self) -> Vec<SecretRule> {
        let used = self.authority.grant.secrets.iter().filter(|held| self.secrets.contains(&held.name.to_string()));
        used.map(|held| SecretRule { name: held.name.clone(), from: Some(held.from.clone()) }).collect()
    }

    /// Methods that reach the same place stand in one rule.
    fn http_rules(&self) -> Vec<HttpRule> {
        let mut rules: Vec<HttpRule> = Vec::new();
        for ((_, method), http) in &self.http {
            let Some(new) = http.rule(*method) else { continue };
            let same = |old: &&mut HttpRule| {
                HttpRule { methods: Vec::new(), ..(*old).clone() } == HttpRule { methods: Vec::new(), ..new.clone() }
            };
            match rules.iter_mut().find(same) {
                Some(old) => old.methods.push(*method),
                None => rules.push(new),
            }
        }
        rules
    }
}

impl Http<'_> {
    /// The rule for one method. Where a path can be spelled in several ways, it is for the whole of what was granted.
    fn rule(&self, method: HttpMethod) -> Option<HttpRule> {
        let first = self.urls.first()?;
        let port = PortMatch::One(first.port_or_known_default()?);
        let host = first.host_str().and_then(|host| host.parse().ok());
        let url = UrlPattern { port, host: host.unwrap_or(self.grant.url.host.clone()), ..self.grant.url.clone() };
        // Read back as a policy would be: a prefix that no file can state is none.
        let narrow = UrlPattern { path_prefix: self.prefix.clone(), ..url.clone() }.to_string().parse::<UrlPattern>();
        let narrow = narrow.ok().filter(|narrow| self.urls.iter().all(|url| narrow.covers(url)));
        let treat_as = match self.grant.class {
            Some(EffectClass::OpaqueWrite) => TreatAs::Opaque,
            Some(EffectClass::Pure | EffectClass::Read | EffectClass::OwnedWrite | EffectClass::KeyedWrite) | None => {
                TreatAs::Computed
            }
        };
        let header = self.grant.idempotency_header.as_ref().and_then(|header| header.parse().ok());
        let url = narrow.unwrap_or(url);
        Some(HttpRule { url, methods: vec![method], idempotency_header: header, treat_as })
    }
}

/// The longest path at a segment's end that both begin with.
fn common_prefix(one: &str, other: &str) -> String {
    if one == other {
        return one.to_owned();
    }
    let both = one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other);
    let common = both.map(|(segment, _)| segment).collect::<Vec<_>>().join("/");
    if common.is_empty() { "/".to_owned() } else { common }
}

/// Limits above the usual ones: they were granted, and a policy without them would have stopped the tool earlier.
fn raised(grant: &Grant) -> LimitsChange {
    let raised = Limit::ALL.iter().filter(|limit| grant.limits.get(**limit) > Limits::STANDARD.get(**limit));
    LimitsChange(raised.map(|limit| (*limit, grant.limits.get(*limit))).collect())
}
