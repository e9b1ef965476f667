//! Words of a case that are known only when it runs: `${NAME}` in its texts.

use std::path::Path;

use agent_tests::given;

/// What stands for what.
#[derive(Default)]
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    /// The world's folder as `${world}`, the working folder as `${work}`, that of the bundled tools as `${tools}`.
    pub(crate) fn of_world(work: &Path) -> Self {
        let world = work.parent().unwrap_or(work);
        let mut names = Self::default();
        names.add("world", &world.display().to_string());
        names.add("work", &work.display().to_string());
        names.add("tools", &given("AGENT_HOST_TEST_TOOLS").display().to_string());
        names
    }

    /// One more.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.0.push((format!("${{{name}}}"), value.to_owned()));
    }

    /// `text` with every name replaced.
    pub(crate) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}
