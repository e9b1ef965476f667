//! Joins what a tool declares and what rules say into the secrets that it holds. Part of `config::resolve`.
//!
//! Any rule may name a secret; only the operator's say where its value comes from. Of several that do, a later file or flag
//! has the last word, and within one the narrowest rule.

use super::authority::{Authority, DenyRule, GrantRule};
use super::ceiling::Ceiling;
use super::problem::{Problem, ProblemKind};
use super::selector::Selector;
use crate::digest::Digest;
use crate::grant::{Grant, RuleSource, SecretGrant};
use crate::name::ToolName;
use crate::secret::{SecretName, SecretSource};

/// What rules say about one secret.
struct Named<'r> {
    name: &'r SecretName,
    /// The narrowest rule that names it.
    rule: &'r GrantRule,
    from: Option<(&'r SecretSource, &'r RuleSource)>,
}

/// The secrets of a tool with this ceiling, as an operation of this component, and what is wrong.
pub(super) fn resolve_secrets(
    tool: &ToolName,
    component: &Digest,
    ceiling: &Ceiling,
    rules: &[&Authority],
    denies: &[DenyRule],
) -> (Vec<SecretGrant>, Vec<Problem>) {
    let (mut grants, mut problems) = (Vec::new(), Vec::new());
    for named in all_named(tool, component, rules) {
        if denies.iter().any(|deny| deny.secrets.contains(named.name)) {
            continue;
        }
        match of_name(tool, ceiling, &named) {
            Ok(new) => grants.extend(new),
            Err(problem) => problems.push(*problem),
        }
    }
    (grants, problems)
}

/// Every secret that a rule for the tool names, in the order of the rules. A rule for another component of this name counts
/// as little as for any other capability.
fn all_named<'r>(tool: &ToolName, component: &Digest, rules: &[&'r Authority]) -> Vec<Named<'r>> {
    let mut all: Vec<Named<'r>> = Vec::new();
    for authority in rules {
        let counting = authority.grants.iter().filter(|rule| rule.selector.covers(tool) && rule.is_for(component));
        let mut covering: Vec<&GrantRule> = counting.filter(|rule| !rule.secrets.is_empty()).collect();
        // From the widest to the narrowest, so that the last word is the narrowest's.
        covering.sort_by(|a, b| a.selector.cmp(&b.selector));
        for rule in covering {
            for secret in &rule.secrets {
                let from = secret.from.as_ref().map(|from| (from, &rule.source));
                match all.iter_mut().find(|named| *named.name == secret.name) {
                    None => all.push(Named { name: &secret.name, rule, from }),
                    Some(named) => {
                        named.from = from.or(named.from);
                        named.rule = if rule.selector > named.rule.selector { rule } else { named.rule };
                    }
                }
            }
        }
    }
    all
}

/// What else a tool holds that a secret of it rules out: the variable that the value comes from, which it would see; and a
/// key of the host's in the same header.
pub(super) fn contradictions(tool: &ToolName, grant: &Grant) -> Vec<Problem> {
    let secrets = || grant.secrets.iter();
    let seen = grant.env.iter().filter_map(|env| {
        let holds =
            |secret: &&SecretGrant| matches!(&secret.from, SecretSource::Env(name) if name.as_str() == env.name);
        let secret = secrets().find(holds)?;
        let message = format!("`{tool}` may see the variable `{}`, which holds its secret `{}`", env.name, secret.name);
        let hint = "grant it as a variable or as a secret, not as both".to_owned();
        Some(Problem::at_source(ProblemKind::SecretBlocked, &env.source, message).with_hint(hint))
    });
    let keyed = grant.http.iter().filter_map(|http| {
        let header = http.idempotency_header.as_ref()?;
        let same = |secret: &&SecretGrant| {
            secret.header.as_str().eq_ignore_ascii_case(header) && secret.url.intersect(&http.url).is_some()
        };
        let secret = secrets().find(same)?;
        let message = format!("`{header}` cannot carry both the host's key and the secret `{}`", secret.name);
        Some(Problem::at_source(ProblemKind::SecretBlocked, &http.source, message))
    });
    seen.chain(keyed).collect()
}

fn of_name(tool: &ToolName, ceiling: &Ceiling, named: &Named<'_>) -> Result<Vec<SecretGrant>, Box<Problem>> {
    let requests: Vec<_> = ceiling.secrets.iter().filter(|request| request.name == *named.name).collect();
    if requests.is_empty() {
        return match named.rule.selector {
            Selector::Everything => Ok(Vec::new()),
            Selector::Component(_) | Selector::Tool(_) => Err(Box::new(undeclared(tool, ceiling, named))),
        };
    }
    let Some((from, source)) = named.from else { return Err(Box::new(without_source(tool, named))) };
    let grant = |request: &super::ceiling::SecretRequest| SecretGrant {
        name: request.name.clone(),
        url: request.url.clone(),
        header: request.header.clone(),
        format: request.format.clone(),
        from: from.clone(),
        source: source.clone(),
    };
    Ok(requests.into_iter().map(grant).collect())
}

fn undeclared(tool: &ToolName, ceiling: &Ceiling, named: &Named<'_>) -> Problem {
    let message = format!("`{}` declares no secret `{}`", tool.component, named.name);
    let mut declared: Vec<String> = ceiling.secrets.iter().map(|secret| format!("`{}`", secret.name)).collect();
    declared.dedup();
    let hint = match declared.as_slice() {
        [] => "a tool declares its secrets in `[[capabilities.secrets]]` of its `tool.toml`".to_owned(),
        declared => format!("it declares {}", declared.join(", ")),
    };
    Problem::at_source(ProblemKind::GrantExceedsManifest, &named.rule.source, message).with_hint(hint)
}

fn without_source(tool: &ToolName, named: &Named<'_>) -> Problem {
    let name = named.name;
    let message = format!("nobody says where the secret `{name}` of `{tool}` comes from");
    let hint = format!(
        "run with `--secret {name}` to take the environment variable of that name, or with `--secret {name}=file:PATH`"
    );
    Problem::at_source(ProblemKind::SecretBlocked, &named.rule.source, message).with_hint(hint)
}
