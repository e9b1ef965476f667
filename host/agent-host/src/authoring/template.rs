//! The tools that `agent-host tool new` begins with: one in each language, small and whole. Their files lie under `templates/`
//! as they are written, but for the name of the tool. A test builds, checks and calls all of them: `tests/tests/languages.rs`.

use agent_core::name::Name;
use clap::ValueEnum;

/// A language that there is a template for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// By cargo, for wasm32-wasip2.
    Rust,
    /// JavaScript, by jco.
    Js,
    /// TypeScript, by jco.
    Ts,
    /// By componentize-py.
    Python,
    /// By Go itself and jco.
    Go,
    /// By zig and jco.
    C,
}

/// One file of a template: its path in the tool's folder, and its text.
pub struct File {
    /// Where it goes.
    pub path: &'static str,
    text: &'static str,
}

/// What stands in a template where the tool's name belongs.
const NAME: &str = "{{name}}";

macro_rules! files {
    ($($path:literal <- $from:literal),+ $(,)?) => {
        &[$(File { path: $path, text: include_str!(concat!("templates/", $from)) }),+]
    };
}

const RUST: &[File] = files! {
    "tool.toml" <- "rust/tool.toml",
    "wit/tool.wit" <- "file-words/tool.wit",
    "src/lib.rs" <- "rust/src/lib.rs",
    "Cargo.toml" <- "rust/Cargo.toml.in",
    "tests.toml" <- "file-words/tests.toml",
    "README.md" <- "rust/README.md",
    ".gitignore" <- "rust/gitignore",
};
const JS: &[File] = files! {
    "tool.toml" <- "js/tool.toml",
    "wit/tool.wit" <- "text-matches/tool.wit",
    "tool.js" <- "js/tool.js",
    "package.json" <- "js/package.json",
    "tests.toml" <- "text-matches/tests.toml",
    "README.md" <- "js/README.md",
    ".gitignore" <- "js/gitignore",
};
const TS: &[File] = files! {
    "tool.toml" <- "ts/tool.toml",
    "wit/tool.wit" <- "text-matches/tool.wit",
    "tool.ts" <- "ts/tool.ts",
    "package.json" <- "ts/package.json",
    "tests.toml" <- "text-matches/tests.toml",
    "README.md" <- "ts/README.md",
    ".gitignore" <- "ts/gitignore",
};
const PYTHON: &[File] = files! {
    "tool.toml" <- "python/tool.toml",
    "wit/tool.wit" <- "file-words/tool.wit",
    "app.py" <- "python/app.py",
    "requirements.txt" <- "python/requirements.txt",
    "tests.toml" <- "file-words/tests.toml",
    "README.md" <- "python/README.md",
    ".gitignore" <- "python/gitignore",
};
const GO: &[File] = files! {
    "tool.toml" <- "go/tool.toml",
    "wit/tool.wit" <- "file-words/tool.wit",
    "tool.go" <- "go/tool.go",
    "component.go" <- "go/component.go",
    "go.mod" <- "go/go.mod.in",
    "package.json" <- "go/package.json",
    "tests.toml" <- "file-words/tests.toml",
    "README.md" <- "go/README.md",
    ".gitignore" <- "go/gitignore",
};
const C: &[File] = files! {
    "tool.toml" <- "c/tool.toml",
    "wit/tool.wit" <- "file-words/tool.wit",
    "tool.c" <- "c/tool.c",
    "tool.h" <- "c/tool.h",
    "component.c" <- "c/component.c",
    "package.json" <- "c/package.json",
    "tests.toml" <- "file-words/tests.toml",
    "README.md" <- "c/README.md",
    ".gitignore" <- "c/gitignore",
};

impl Language {
    /// The files of its template.
    #[must_use]
    pub fn files(self) -> &'static [File] {
        match self {
            Self::Rust => RUST,
            Self::Js => JS,
            Self::Ts => TS,
            Self::Python => PYTHON,
            Self::Go => GO,
            Self::C => C,
        }
    }

    /// A first call of the tool, as one types it after `agent-host tool call`: the flag that grants it its own folder, if it needs one,
    /// the operation, the arguments.
    #[must_use]
    pub fn first_call(self) -> (Option<&'static str>, &'static str, &'static str) {
        match self {
            Self::Rust | Self::Python | Self::Go | Self::C => {
                (Some("--allow-read"), "count", r#"{"path": "tool.toml"}"#)
            }
            Self::Js | Self::Ts => (None, "find", r#"{"text": "12 or 345", "pattern": "\\d+"}"#),
        }
    }
}

impl File {
    /// Its text, for a tool of this name.
    #[must_use]
    pub fn text(&self, name: &Name) -> String {
        self.text.replace(NAME, name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use agent_core::config::cases::parse_cases;
    use agent_core::config::manifest::Manifest;

    use super::*;

    #[test]
    fn every_template_is_a_whole_tool() -> anyhow::Result<()> {
        let name: Name = "my-tool".parse()?;
        for language in Language::value_variants() {
            let text = |path: &str| {
                let file = language.files().iter().find(|file| file.path == path);
                file.map(|file| file.text(&name)).unwrap_or_default()
            };
            let manifest = Manifest::parse("tool.toml", &text("tool.toml"))?;
            assert_eq!(manifest.name, name);
            assert!(manifest.build.is_some_and(|build| !build.needs.is_empty()), "{language:?}");
            assert!(parse_cases("tests.toml", &text("tests.toml"))?.len() > 3, "{language:?}");
            for said in ["agent-host tool build", "agent-host tool test", "tests.toml", "wit/tool.wit"] {
                assert!(text("README.md").contains(said), "{language:?}: {said}");
            }
            assert!(text(".gitignore").contains("/my-tool.wasm"), "{language:?}");
        }
        Ok(())
    }

    /// What is to be had beforehand, and the line that installs what builds a tool.
    fn installed_by(language: Language) -> (&'static [&'static str], &'static str) {
        match language {
            Language::Rust => (&["Rust"], "rustup target add wasm32-wasip2"),
            Language::Js | Language::Ts => (&["Node.js 20 or later"], "npm install"),
            Language::Python => {
                (&["Python 3.10 or later"], "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt")
            }
            Language::Go => (&["Go 1.24 or later", "Node.js 20 or later"], "npm install"),
            Language::C => (&["Zig 0.13 or later", "Node.js 20 or later"], "npm install"),
        }
    }

    #[test]
    fn a_readme_says_what_to_install_and_by_which_line() -> anyhow::Result<()> {
        let name: Name = "my-tool".parse()?;
        for language in Language::value_variants() {
            let text = |path: &str| {
                let file = language.files().iter().find(|file| file.path == path);
                file.map(|file| file.text(&name)).unwrap_or_default()
            };
            let readme = text("README.md");
            let section =
                readme.split("\n## ").find(|section| section.starts_with("Install, once\n")).unwrap_or_default();
            let (needed, line) = installed_by(*language);
            for what in needed {
                assert!(section.contains(what), "{language:?}: {what}: {section}");
            }
            assert!(section.contains(&format!("\n```\n{line}\n```\n")), "{language:?}: {line}: {section}");
            // A build that misses it says the same.
            assert!(text("tool.toml").contains(line), "{language:?}: {line}");
        }
        Ok(())
    }
}
