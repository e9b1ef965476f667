//! Whether the tools that rules name are there. A rule for a misspelt tool would silently do nothing: what was denied would be
//! allowed, and what a person was to be asked about would be done unasked. Which rules must fit is for the shell to say.

use super::authority::Authority;
use super::problem::{Problem, ProblemKind, Problems, did_you_mean, quoted};
use super::selector::Selector;
use crate::grant::RuleSource;
use crate::name::{Name, ToolName};

/// Most names that are listed where none of them is alike.
const LISTED_MAX: usize = 12;

/// The tools that rules can be for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownTools {
    /// The components that were found.
    pub components: Vec<Name>,
    /// The tools of those that were loaded.
    pub tools: Vec<ToolName>,
}

/// A rule that is for no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched<'r> {
    /// Whom it is for.
    pub selector: &'r Selector,
    /// Where it is said.
    pub source: &'r RuleSource,
    /// Whom it was probably meant for.
    pub meant: Option<String>,
}

impl KnownTools {
    /// These tools and their components.
    #[must_use]
    pub fn of(tools: Vec<ToolName>) -> Self {
        Self { components: tools.iter().map(|tool| tool.component.clone()).collect(), tools }
    }

    fn has(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Everything => true,
            Selector::Component(name) => self.components.contains(name),
            // What a component exports is known once it is loaded.
            Selector::Tool(tool) if self.tools.iter().all(|known| known.component != tool.component) => {
                self.components.contains(&tool.component)
            }
            Selector::Tool(tool) => self.tools.contains(tool),
        }
    }

    fn names(&self) -> Vec<String> {
        let components = self.components.iter().map(Name::to_string);
        components.chain(self.tools.iter().map(ToolName::to_string)).collect()
    }

    /// What a rule with this selector could have been meant for: the name that is alike, else all where they are few.
    fn hint(&self, selector: &Selector, meant: Option<String>) -> Option<String> {
        if let Some(meant) = meant {
            return Some(format!("did you mean `{meant}`?"));
        }
        let of_component: Vec<String> = match selector {
            Selector::Everything | Selector::Component(_) => Vec::new(),
            Selector::Tool(tool) => {
                let tools = self.tools.iter().filter(|known| known.component == tool.component);
                tools.map(ToolName::to_string).collect()
            }
        };
        let mut known =
            if of_component.is_empty() { self.components.iter().map(Name::to_string).collect() } else { of_component };
        known.sort();
        known.dedup();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        match known.len() {
            0 => Some("there are no tools here".to_owned()),
            1..=LISTED_MAX => Some(format!("there are: {}", quoted(&known))),
            _ => None,
        }
    }
}

impl Authority {
    /// The rules that select none of the tools.
    #[must_use]
    pub fn unmatched(&self, known: &KnownTools) -> Vec<Unmatched<'_>> {
        let grants = self.grants.iter().map(|rule| (&rule.selector, &rule.source));
        let approvals = self.approvals.iter().map(|rule| (&rule.selector, &rule.source));
        let denies = self.denies.iter().map(|rule| (&rule.selector, &rule.source));
        let rules = grants.chain(approvals).chain(denies).filter(|(selector, _)| !known.has(selector));
        let names = known.names();
        let unmatched = rules.map(|(selector, source)| {
            let meant = did_you_mean(&selector.to_string(), names.iter().map(String::as_str)).map(str::to_owned);
            Unmatched { selector, source, meant }
        });
        unmatched.collect()
    }

    /// Whether every rule selects one of the tools. `of` says whose they are.
    ///
    /// # Errors
    /// A problem for each rule that selects nothing, with the name that was probably meant.
    pub fn check_selectors(&self, kind: ProblemKind, of: &str, known: &KnownTools) -> Result<(), Problems> {
        let problem = |rule: Unmatched<'_>| {
            let message = format!("no tool of this {of} is called `{}`", rule.selector);
            let hint = known.hint(rule.selector, rule.meant);
            Problem { hint, ..Problem::at_source(kind, rule.source, message) }
        };
        Problems::none_of(self.unmatched(known).into_iter().map(problem).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::parse_policy;
    use super::*;

    fn said(rule: &str, known: &KnownTools) -> Result<String, Box<dyn std::error::Error>> {
        let policy = parse_policy("p.toml", "/", rule)?;
        let problems = policy.check_selectors(ProblemKind::PolicyInvalid, "command", known);
        Ok(problems.err().map(|problems| problems.to_string()).unwrap_or_default())
    }

    #[test]
    fn a_rule_for_no_tool_is_a_problem() -> Result<(), Box<dyn std::error::Error>> {
        let known = KnownTools::of(vec!["words.count".parse()?, "words.split".parse()?, "notes.add".parse()?]);
        for (rule, hint) in [
            ("deny = [{ tool = \"word\" }]", "did you mean `words`?"),
            ("approval = [{ tool = \"words.cont\" }]", "did you mean `words.count`?"),
            ("deny = [{ tool = \"quux\" }]", "there are: `notes`, `words`"),
        ] {
            let said = said(rule, &known)?;
            assert!(said.contains("no tool of this command is called") && said.contains(hint), "{rule}: {said}");
        }
        for rule in ["*", "words", "words.count", "notes"] {
            assert_eq!(said(&format!("deny = [{{ tool = \"{rule}\" }}]"), &known)?, "", "{rule}");
        }
        Ok(())
    }

    /// A command that calls one tool loads its component alone.
    #[test]
    fn what_was_found_and_not_loaded_may_have_any_tool() -> Result<(), Box<dyn std::error::Error>> {
        let known =
            KnownTools { components: vec!["words".parse()?, "notes".parse()?], tools: vec!["words.count".parse()?] };
        for (rule, fits) in [("notes.add", true), ("notes", true), ("words.add", false), ("note.add", false)] {
            assert_eq!(said(&format!("deny = [{{ tool = \"{rule}\" }}]"), &known)?.is_empty(), fits, "{rule}");
        }
        Ok(())
    }
}
