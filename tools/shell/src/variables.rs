//! The variables of a shell. Subshells share them until one of the two changes something.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::stop::{Outcome, Stop};

/// Longest value of one variable, and longest result of one expansion.
pub(crate) const VALUE_BYTES_MAX: usize = 1 << 20;

/// What all variables of a shell may take together.
const ALL_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variable {
    /// None: it is declared, by `export` or `local`, and has no value.
    pub(crate) value: Option<Rc<str>>,
    pub(crate) is_exported: bool,
    pub(crate) is_readonly: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Variables {
    by_name: Rc<BTreeMap<String, Variable>>,
    bytes: usize,
}

impl Variables {
    pub(crate) fn get(&self, name: &str) -> Option<Rc<str>> {
        self.by_name.get(name).and_then(|variable| variable.value.clone())
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&Variable> {
        self.by_name.get(name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.by_name.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        self.refuse_readonly(name)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Stop::Limit(format!("`{name}` would have more than {VALUE_BYTES_MAX} bytes")));
        }
        let by_name = Rc::make_mut(&mut self.by_name);
        let variable = by_name.entry(name.to_owned()).or_default();
        let before = variable.value.as_ref().map_or(0, |value| value.len() + name.len());
        variable.value = Some(Rc::from(value));
        self.bytes = self.bytes + value.len() + name.len() - before;
        if self.bytes > ALL_BYTES_MAX {
            return Err(Stop::Limit(format!("all variables together would have more than {ALL_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    pub(crate) fn unset(&mut self, name: &str) -> Outcome<()> {
        self.refuse_readonly(name)?;
        self.put_back(name, None);
        Ok(())
    }

    /// Makes a variable what it was, as at the end of a function or of a command with assignments before it.
    pub(crate) fn put_back(&mut self, name: &str, variable: Option<Variable>) {
        let size = |variable: &Variable| variable.value.as_ref().map_or(0, |value| value.len() + name.len());
        let by_name = Rc::make_mut(&mut self.by_name);
        let added = variable.as_ref().map_or(0, size);
        let removed = match variable {
            Some(variable) => by_name.insert(name.to_owned(), variable),
            None => by_name.remove(name),
        };
        self.bytes = self.bytes + added - removed.as_ref().map_or(0, size);
    }

    /// Takes away what is not exported, as for a shell of its own.
    pub(crate) fn keep_exported(&mut self) {
        let by_name = Rc::make_mut(&mut self.by_name);
        by_name.retain(|_, variable| variable.is_exported);
        let size = |(name, variable): (&String, &Variable)| {
            variable.value.as_ref().map_or(0, |value| value.len() + name.len())
        };
        self.bytes = by_name.iter().map(size).sum();
    }

    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Variable)) {
        change(Rc::make_mut(&mut self.by_name).entry(name.to_owned()).or_default());
    }

    fn refuse_readonly(&self, name: &str) -> Outcome<()> {
        if self.by_name.get(name).is_some_and(|variable| variable.is_readonly) {
            return Err(Stop::Fatal { status: 2, message: format!("{name}: is read only") });
        }
        Ok(())
    }
}
