//! A model as the operator names it: `PROVIDER:NAME`. Called where flags, agent file and settings are read. Not for
//! opening it: that is `opening`'s.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use genai::adapter::AdapterKind;

/// The provider name of scripts.
const SCRIPTED: &str = "scripted";

/// A model that was named, not yet opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelChoice {
    /// As the operator wrote it.
    pub(super) written: String,
    pub(super) source: ModelSource,
}

/// Where replies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModelSource {
    /// A model at a provider.
    Provider { kind: AdapterKind, model: String },
    /// A file of replies.
    Script(PathBuf),
}

/// Why a model name means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidModel {
    /// No provider before a colon.
    #[error(
        "`{0}` is not a model: write `PROVIDER:NAME`, for instance `anthropic:NAME`, `ollama:NAME` or `scripted:FILE`"
    )]
    Shape(String),
    /// A provider that nobody knows.
    #[error("`{given}` is not a model provider{}\n  hint: one of {}", suggested(.nearest.as_deref()), providers().join(", "))]
    UnknownProvider {
        /// What was written.
        given: String,
        /// The known name that is closest to it.
        nearest: Option<String>,
    },
}

impl ModelChoice {
    /// Whether it is a file of replies.
    pub(super) fn is_script(&self) -> bool {
        match self.source {
            ModelSource::Script(_) => true,
            ModelSource::Provider { .. } => false,
        }
    }
}

impl FromStr for ModelChoice {
    type Err = InvalidModel;

    fn from_str(written: &str) -> Result<Self, InvalidModel> {
        let shape = || InvalidModel::Shape(written.to_owned());
        let (provider, name) = written.split_once(':').ok_or_else(shape)?;
        if provider.is_empty() || name.is_empty() || name.chars().any(char::is_control) {
            return Err(shape());
        }
        let source = if provider == SCRIPTED {
            ModelSource::Script(PathBuf::from(name))
        } else {
            let kind = provider_kind(provider).ok_or_else(|| unknown_provider(provider))?;
            ModelSource::Provider { kind, model: name.to_owned() }
        };
        Ok(Self { written: written.to_owned(), source })
    }
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The provider of that name. `-` and `_` are the same, and genai's own spelling is taken.
fn provider_kind(name: &str) -> Option<AdapterKind> {
    AdapterKind::all().iter().copied().find(|kind| kind.as_lower_str() == name.replace('-', "_"))
}

fn providers() -> Vec<&'static str> {
    AdapterKind::all().iter().map(AdapterKind::as_lower_str).chain([SCRIPTED]).collect()
}

fn unknown_provider(given: &str) -> InvalidModel {
    /// How unlike a suggestion may be.
    const SIMILARITY_MIN: f64 = 0.7;
    let folded = given.to_lowercase();
    let scored = providers().into_iter().map(|known| (strsim::jaro_winkler(&folded, known), known));
    let best = scored.filter(|(score, _)| *score >= SIMILARITY_MIN).max_by(|(a, _), (b, _)| a.total_cmp(b));
    InvalidModel::UnknownProvider { given: given.to_owned(), nearest: best.map(|(_, known)| known.to_owned()) }
}

fn suggested(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(": did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_choices() {
        for good in ["openai:gpt-5", "anthropic:claude", "open-router:a/b", "open_router:a/b:free", "scripted:a b.toml"]
        {
            assert_eq!(good.parse::<ModelChoice>().map(|choice| choice.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "gpt-5", ":x", "openai:", "openai:a\nb"] {
            assert!(matches!(bad.parse::<ModelChoice>(), Err(InvalidModel::Shape(_))), "{bad:?}");
        }
        for (given, nearest) in [
            ("antropic:x", Some("anthropic")),
            ("OpenAI:x", Some("openai")),
            ("script:x", Some("scripted")),
            ("zzzz:x", None),
        ] {
            let Err(InvalidModel::UnknownProvider { nearest: found, .. }) = given.parse::<ModelChoice>() else {
                panic!("{given}")
            };
            assert_eq!(found.as_deref(), nearest, "{given}");
        }
    }
}
