//! Rules and grants in words, for a person who decides: one line each, most consequential first.

use agent_core::config::authority::{ApprovalRule, Asks, Authority, DenyRule, GrantRule};
use agent_core::effect::HttpMethod;
use agent_core::grant::{Access, Grant, Recovery, SecretGrant};
use agent_core::pattern::UrlPattern;

/// What the rules of an agent file or policy say.
#[must_use]
pub fn describe(authority: &Authority) -> Vec<String> {
    let grants = authority.grants.iter().flat_map(grant_lines);
    let approvals = authority.approvals.iter().map(approval_line);
    let denies = authority.denies.iter().map(deny_line);
    let lines: Vec<_> = grants.chain(approvals).chain(denies).collect();
    if lines.is_empty() {
        vec!["nothing: its tools compute, and touch no file, host or variable".to_owned()]
    } else {
        lines
    }
}

/// What a tool holds.
#[must_use]
pub fn describe_grant(grant: &Grant) -> Vec<String> {
    let fs = grant.fs.iter().map(|fs| {
        let (may, but) = (access_words(fs.access, fs.recovery), unchanging_words(&fs.host, &fs.unchanging));
        format!("{may} {} as {}{but}  ({})", fs.host, fs.mount, fs.source)
    });
    let http = grant.http.iter().map(|http| {
        format!("send {} to {}{}  ({})", methods(&http.methods), http.url, choice_words(&http.url), http.source)
    });
    let env = grant.env.iter().map(|env| format!("see variable {}  ({})", env.name, env.source));
    let secrets = grant.secrets.iter().map(|secret| {
        let SecretGrant { name, url, header, from, source, .. } = secret;
        format!("use your secret {name} from {from}, as `{header}` of requests to {url}  ({source})")
    });
    let kv = grant.kv.iter().map(|kv| {
        format!(
            "{} its own store {}, kept from call to call  ({})",
            access_words(kv.access, Recovery::Undo),
            kv.store,
            kv.source
        )
    });
    let lines: Vec<_> = secrets.chain(fs).chain(http).chain(env).chain(kv).collect();
    if lines.is_empty() { vec!["nothing beyond clock, random numbers and log".to_owned()] } else { lines }
}

fn grant_lines(rule: &GrantRule) -> Vec<String> {
    let only = rule.component.map(|only| format!(" (only component {})", only.short())).unwrap_or_default();
    let who = format!("{}{only}", rule.selector);
    let fs = rule.fs.iter().map(|fs| {
        let mount = fs.mount.as_ref().map(|mount| format!(" as {mount}")).unwrap_or_default();
        format!("{who}: {} {}{mount}", access_words(fs.access, fs.recovery), fs.host)
    });
    let http = rule
        .http
        .iter()
        .map(|http| format!("{who}: send {} to {}{}", methods(&http.methods), http.url, choice_words(&http.url)));
    let env = rule.env.iter().map(|name| format!("{who}: see variable {name}"));
    let secrets = rule.secrets.iter().map(|secret| match &secret.from {
        Some(from) => format!("{who}: use your secret {} from {from}", secret.name),
        None => format!("{who}: use your secret {}, if you say where it is: `--secret {}`", secret.name, secret.name),
    });
    let limits = (!rule.limits.0.is_empty()).then(|| {
        let changed: Vec<_> =
            rule.limits.0.iter().map(|(limit, value)| format!("{limit} = {}", limit.unit().written(*value))).collect();
        format!("{who}: limits {}", changed.join(", "))
    });
    let kv = rule.kv.map(|access| {
        format!("{who}: {} its own stores, kept from call to call", access_words(access, Recovery::Undo))
    });
    secrets.chain(fs).chain(http).chain(env).chain(kv).chain(limits).collect()
}

fn approval_line(rule: &ApprovalRule) -> String {
    let about = match &rule.asks {
        Asks::Call => "each call".to_owned(),
        Asks::Fs(Access::Read) => "each use of a file".to_owned(),
        Asks::Fs(Access::Write) => "each change of a file".to_owned(),
        Asks::Http(list) if list.is_empty() => "each HTTP request".to_owned(),
        Asks::Http(list) => format!("each {} request", methods(list)),
        Asks::Env => "each look at a variable".to_owned(),
        Asks::Secret => "each request with a secret".to_owned(),
        Asks::Kv(Access::Read) => "each use of a store".to_owned(),
        Asks::Kv(Access::Write) => "each change of a store".to_owned(),
    };
    format!("{}: you are asked before {about}", rule.selector)
}

fn deny_line(rule: &DenyRule) -> String {
    let http = rule.http.iter().map(ToString::to_string);
    let fs = rule.fs.iter().map(ToString::to_string);
    let unchanging = rule.unchanging.iter().map(|path| format!("a change of {path}"));
    let unmoved = rule.unmoved.iter().map(|path| format!("a move of {path}"));
    let linked = (!rule.linked.is_empty()).then(|| "a change of what these are by other names".to_owned());
    let env = rule.env.iter().map(|name| format!("variable {name}"));
    let secrets = rule.secrets.iter().map(|name| format!("secret {name}"));
    let kv = rule.kv.map(|access| match access {
        Access::Read => "a store".to_owned(),
        Access::Write => "a change of a store".to_owned(),
    });
    let what: Vec<_> =
        http.chain(fs).chain(unchanging).chain(unmoved).chain(linked).chain(env).chain(secrets).chain(kv).collect();
    if what.is_empty() {
        format!("{}: never called", rule.selector)
    } else {
        format!("{}: never {}", rule.selector, what.join(", "))
    }
}

fn access_words(access: Access, recovery: Recovery) -> &'static str {
    match (access, recovery) {
        (Access::Read, _) => "read",
        (Access::Write, Recovery::Undo) => "read and change",
        (Access::Write, Recovery::Doubt) => "read, and change without undo,",
    }
}

/// What in a directory stays as it is.
fn unchanging_words(host: &str, unchanging: &[String]) -> String {
    /// More of them tell nobody anything.
    const SHOWN_MAX: usize = 5;
    let below = |path: &String| path.strip_prefix(host).unwrap_or(path).trim_start_matches('/').to_owned();
    let shown: Vec<_> = unchanging.iter().take(SHOWN_MAX).map(below).collect();
    match unchanging.len() {
        0 => String::new(),
        number if number > shown.len() => {
            format!(", where {} and {} more stay as they are", shown.join(", "), number - shown.len())
        }
        1 => format!(", where {} stays as it is", shown.join(", ")),
        _ => format!(", where {} stay as they are", shown.join(", ")),
    }
}

/// Under a wildcard the tool chooses names, and looking up a name tells it to whoever owns the domain.
fn choice_words(url: &UrlPattern) -> &'static str {
    if url.host.is_wildcard() { ", where the names themselves can carry data out" } else { "" }
}

fn methods(methods: &[HttpMethod]) -> String {
    if methods.len() == HttpMethod::ALL.len() {
        return "any request".to_owned();
    }
    methods.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is asked for trust reads what raises the cost.
    #[test]
    fn limits_are_shown_with_their_units() -> Result<(), agent_core::config::problem::Problems> {
        let text = "[[grant]]\ntool = \"fetch\"\nlimits = { deadline = \"60s\", memory = \"4GiB\", fuel = \"2T\" }\n";
        let policy = agent_core::config::policy::parse_policy("policy.toml", "/", text)?;
        assert_eq!(describe(&policy), ["fetch: limits fuel = 2T, deadline = 60s, memory = 4GiB"]);
        Ok(())
    }

    #[test]
    fn a_wildcard_is_shown_as_a_way_out() -> Result<(), agent_core::pattern::InvalidPattern> {
        let said = |pattern: &str| pattern.parse().map(|url| choice_words(&url));
        assert_eq!(said("https://*.example.org")?, ", where the names themselves can carry data out");
        assert_eq!(said("https://example.org")?, "");
        Ok(())
    }
}
