//! What confined the host's own process, behind the sandbox: recorded with a run, so that whoever reads it later knows what a
//! guest would have met that broke out of the engine. Put up by the program; here it is only a fact.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The walls around the host's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardening {
    /// Files outside the grants and the host's own folders are out of reach.
    pub landlock: Wall,
    /// System calls that no run needs are refused.
    pub seccomp: Wall,
    /// No program that is started from here gets more rights than this process has.
    pub no_new_privileges: Wall,
    /// Other programs of the same user cannot look into this process, and a crash leaves no core.
    pub private_memory: Wall,
}

/// One wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wall {
    /// It stands; in which form, where there are several.
    Up(String),
    /// It does not, and why.
    Down(String),
}

impl Hardening {
    /// None of the walls, for one reason.
    #[must_use]
    pub fn none(reason: &str) -> Self {
        let down = || Wall::Down(reason.to_owned());
        Self { landlock: down(), seccomp: down(), no_new_privileges: down(), private_memory: down() }
    }

    /// Every wall with its name, as people call it.
    #[must_use]
    pub fn walls(&self) -> [(&'static str, &Wall); 4] {
        [
            ("landlock", &self.landlock),
            ("seccomp", &self.seccomp),
            ("no new privileges", &self.no_new_privileges),
            ("private memory", &self.private_memory),
        ]
    }
}

impl Wall {
    /// It stands.
    #[must_use]
    pub fn up(detail: impl Into<String>) -> Self {
        Self::Up(detail.into())
    }

    /// Whether it stands.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }
}

impl fmt::Display for Hardening {
    /// In one line: `landlock (ABI 7), seccomp, no new privileges; without private memory: the system has none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut up = Vec::new();
        let mut down = Vec::new();
        for (name, wall) in self.walls() {
            match wall {
                Wall::Up(detail) if detail.is_empty() => up.push(name.to_owned()),
                Wall::Up(detail) => up.push(format!("{name} ({detail})")),
                Wall::Down(reason) => down.push(format!("without {name}: {reason}")),
            }
        }
        let up = (!up.is_empty()).then(|| up.join(", "));
        f.write_str(&up.into_iter().chain(down).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_stands_and_what_does_not() {
        let all = Hardening {
            landlock: Wall::up("ABI 7"),
            seccomp: Wall::up(""),
            no_new_privileges: Wall::up(""),
            private_memory: Wall::Down("not on this system".to_owned()),
        };
        assert_eq!(
            all.to_string(),
            "landlock (ABI 7), seccomp, no new privileges; without private memory: not on this system"
        );
        let none = Hardening::none("no kernel has it").to_string();
        assert!(none.starts_with("without landlock: no kernel has it; without seccomp"), "{none}");
    }
}
