//! The rules that count in one command, and who said them: what this command says must be for tools that are there, and the
//! saved policy is for every folder. `operator` reads them; the verbs that load tools check them.

use std::io::Write;
use std::ops::{Deref, Range};

use agent_core::config::authority::Authority;
use agent_core::config::problem::{Problem, ProblemKind, Problems};
use agent_core::config::rule_names::KnownTools;
use agent_core::config::selector::Selector;
use agent_core::secret::SecretName;

use crate::report::text;
use crate::toolset::Loaded;

/// Rules, in the order of their sources.
#[derive(Debug, Clone)]
pub struct Rules {
    all: Vec<Authority>,
    /// Which of them the policy in the state folder says.
    saved: Range<usize>,
    /// Which of them this command says: a `--policy` file and flags.
    command: Range<usize>,
}

/// Whether a name that fits nothing ends the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It does: all tools are here.
    Refused,
    /// One word is said where a tool here is called alike: only one component is looked at, and a policy is for several.
    Told,
}

impl Rules {
    /// The host's own rules, then those of the saved policy, then those of this command.
    #[must_use]
    pub fn new(own: Vec<Authority>, saved: Option<Authority>, command: Vec<Authority>) -> Self {
        let saved_at = own.len()..own.len() + usize::from(saved.is_some());
        let command_at = saved_at.end..saved_at.end + command.len();
        Self { all: own.into_iter().chain(saved).chain(command).collect(), saved: saved_at, command: command_at }
    }

    /// Adds rules that others than the operator say, such as what an agent file proposes.
    pub fn push(&mut self, rules: Authority) {
        self.all.push(rules);
    }

    /// Whether what this command says is for tools that are there: a misspelt name would silently do nothing. Says so of the
    /// saved policy where a tool is called almost as one that it names.
    ///
    /// # Errors
    /// A problem for each rule of this command that is for none, and for each secret that none of the tools takes.
    pub fn check_names(&self, known: &KnownTools, loaded: &[Loaded], misfit: Misfit) -> anyhow::Result<()> {
        let (saved, command) = (&self.all[self.saved.clone()], &self.all[self.command.clone()]);
        let near = |rules: &[Authority]| {
            for line in near_misses(rules, known) {
                let _ = writeln!(anstream::stderr(), "warning: {}", text::lines(&line));
            }
        };
        near(saved);
        if misfit == Misfit::Told {
            near(command);
            return Ok(());
        }
        let mut problems = Vec::new();
        for rules in command {
            let checked = rules.check_selectors(ProblemKind::PolicyInvalid, "command", known);
            problems.extend(checked.err().map(Problems::into_vec).unwrap_or_default());
            problems.extend(secrets_for_nobody(rules, loaded));
        }
        Ok(Problems::none_of(problems)?)
    }
}

impl Deref for Rules {
    type Target = [Authority];

    fn deref(&self) -> &[Authority] {
        &self.all
    }
}

/// The tools of components that are all loaded.
#[must_use]
pub fn known(loaded: &[Loaded]) -> KnownTools {
    let components = loaded.iter().map(|loaded| loaded.found.name.clone()).collect();
    let tools = loaded.iter().flat_map(|loaded| &loaded.component.tools).map(|tool| tool.name.clone()).collect();
    KnownTools { components, tools }
}

/// Rules for no tool here, where one here is called alike and no other rule is for that one: the policy may well be for the
/// tools of another folder.
fn near_misses(rules: &[Authority], known: &KnownTools) -> Vec<String> {
    let named: Vec<String> = rules.iter().flat_map(selectors).map(Selector::to_string).collect();
    let unmatched = rules.iter().flat_map(|rules| rules.unmatched(known));
    let near = unmatched.filter_map(|rule| {
        let meant = rule.meant.filter(|meant| !named.contains(meant))?;
        Some(format!("{}: no tool here is called `{}`; did you mean `{meant}`?", rule.source, rule.selector))
    });
    near.collect()
}

fn selectors(rules: &Authority) -> impl Iterator<Item = &Selector> {
    let grants = rules.grants.iter().map(|rule| &rule.selector);
    let approvals = rules.approvals.iter().map(|rule| &rule.selector);
    grants.chain(approvals).chain(rules.denies.iter().map(|rule| &rule.selector))
}

/// Secrets for every tool that declares one of this name, where none does: the host would read none and say nothing.
fn secrets_for_nobody(rules: &Authority, loaded: &[Loaded]) -> Vec<Problem> {
    let mut declared: Vec<&SecretName> =
        loaded.iter().flat_map(|loaded| &loaded.ceiling.secrets).map(|secret| &secret.name).collect();
    declared.sort();
    declared.dedup();
    let wide = rules.grants.iter().filter(|rule| rule.selector == Selector::Everything);
    let named = wide.flat_map(|rule| rule.secrets.iter().map(move |secret| (&secret.name, &rule.source)));
    let problem = |(name, source): (&SecretName, _)| {
        let names: Vec<String> = declared.iter().map(|name| format!("`{name}`")).collect();
        let hint = match names.is_empty() {
            true => "none of them declares a secret: `[[capabilities.secrets]]` in its `tool.toml`".to_owned(),
            false => format!("they declare {}", names.join(", ")),
        };
        let message = format!("no tool of this command takes a secret `{name}`");
        Problem::at_source(ProblemKind::PolicyInvalid, source, message).with_hint(hint)
    };
    named.filter(|(name, _)| !declared.contains(name)).map(problem).collect()
}

#[cfg(test)]
mod tests {
    use agent_core::config::policy::parse_policy;

    use super::*;

    #[test]
    fn a_saved_rule_for_a_tool_of_another_folder_is_no_slip() -> Result<(), Box<dyn std::error::Error>> {
        let known = KnownTools::of(vec!["words.count".parse()?]);
        let told = |policy: &str| {
            let near = parse_policy("policy.toml", "/", policy).map(|rules| near_misses(&[rules], &known));
            near.map(|near| near.join("\n")).map_err(|problems| problems.to_string())
        };
        let slip = "policy.toml:1: no tool here is called `word`; did you mean `words`?";
        assert_eq!(told("deny = [{ tool = \"word\" }]")?, slip);
        assert_eq!(told("deny = [{ tool = \"payments\" }]")?, "");
        assert_eq!(told("deny = [{ tool = \"word\" }, { tool = \"words\" }]")?, "");
        Ok(())
    }
}
