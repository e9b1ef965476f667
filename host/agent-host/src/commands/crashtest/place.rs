//! Where a crashtest works: a copy of the agent's folder, and of each folder outside it that a grant lets tools write, so that
//! the user's own files stay as they are; with a state folder of its own, so that no key of the user's is lent out. Each trial
//! begins with a fresh copy at the same paths.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use agent_core::digest::Digest;
use agent_core::grant::Access;
use anyhow::{Context, bail, ensure};
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::agent::Agent;
use crate::cli::AllowArgs;
use crate::home::{Home, RUNS_FOLDER};
use crate::input;
use crate::operator;
use crate::trust::TrustStore;

/// Most files and folders that are copied for each trial: some hundred trials must end in minutes.
const ENTRIES_MAX: usize = 20_000;

/// Most bytes that are copied for each trial.
const BYTES_MAX: u64 = 256 << 20;

/// What files are there after a run: their content by their path.
pub(super) type Files = BTreeMap<PathBuf, Digest>;

/// The place.
pub(super) struct Place {
    root: tempfile::TempDir,
    /// The folder that was copied.
    folder: PathBuf,
    /// The agent file's name.
    file: PathBuf,
    /// Folders outside the agent's that a grant names.
    pub(super) outside: Vec<Outside>,
}

/// A folder outside the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What tools may do there. What they may write is copied.
    pub(super) access: Access,
}

impl Place {
    /// Copies what is needed.
    pub(super) fn make(home: &Home, agent: &Path) -> anyhow::Result<Self> {
        let root = tempfile::tempdir().context("there is no room for a copy")?;
        let agent = agent.canonicalize().context("cannot find the agent file")?;
        let folder = agent.parent().context("an agent file stands in a folder")?;
        let file = PathBuf::from(agent.file_name().context("an agent file has a name")?);
        let mut place = Self { root, folder: folder.to_owned(), file, outside: Vec::new() };
        let mut copied = Copied::default();
        copied.folder(folder, &place.pristine().join("agent"))?;
        let moved = place.moved(&agent, folder, &mut copied)?;
        fs::write(place.pristine().join("agent").join(&place.file), moved)?;
        place.make_home(home, &mut copied)?;
        place.lay_out()?;
        let agent = Agent::read(&place.agent())?;
        place.check_moved(&agent)?;
        place.trust(&agent)?;
        Ok(place)
    }

    /// Makes sure that no rule of the copy lets a tool write outside of it, however it was written.
    fn check_moved(&self, agent: &Agent) -> anyhow::Result<()> {
        let root = self.root.path().canonicalize()?;
        let standing = operator::standing_rules(&Home::at(&self.home())?, &AllowArgs::default())?;
        let grants = standing.iter().chain([&agent.proposal]).flat_map(|rules| &rules.grants);
        let mut written = grants.flat_map(|rule| &rule.fs).filter(|fs| fs.access == Access::Write);
        match written.find(|fs| !Path::new(fs.host.as_str()).starts_with(&root)) {
            None => Ok(()),
            Some(fs) => bail!(
                "a grant lets tools write to `{0}`, which cannot be moved into a copy: nothing was run\n  hint: make the \
                 directory, or write its whole path into the grant: `{{ host = \"{0}\", access = \"write\" }}`",
                fs.host
            ),
        }
    }

    fn pristine(&self) -> PathBuf {
        self.root.path().join("pristine")
    }

    /// Where the runs work.
    pub(super) fn now(&self) -> PathBuf {
        self.root.path().join("now")
    }

    /// The state folder.
    pub(super) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The agent file that is run.
    pub(super) fn agent(&self) -> PathBuf {
        self.now().join("agent").join(&self.file)
    }

    /// The folder of its runs.
    pub(super) fn runs(&self) -> PathBuf {
        self.now().join("agent").join(RUNS_FOLDER)
    }

    /// Begins anew: everything as it was copied.
    pub(super) fn lay_out(&self) -> anyhow::Result<()> {
        if self.now().exists() {
            fs::remove_dir_all(self.now()).context("the copy cannot be cleared")?;
        }
        Copied::default().folder(&self.pristine(), &self.now())
    }

    /// What is there now, but for the runs.
    pub(super) fn files(&self) -> anyhow::Result<Files> {
        let (mut files, mut open) = (Files::new(), vec![self.now()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_symlink() || path == self.runs() {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.insert(path.clone(), Digest::of(&fs::read(&path)?));
                }
            }
        }
        Ok(files)
    }

    /// Leaves it to the user.
    pub(super) fn keep(self) -> PathBuf {
        self.root.keep()
    }

    fn make_home(&mut self, home: &Home, copied: &mut Copied) -> anyhow::Result<()> {
        Home::at(&self.home())?;
        if input::is_there(&home.policy_file())? {
            let moved = self.moved(&home.policy_file(), home.root(), copied)?;
            fs::write(self.home().join("policy.toml"), moved)?;
        }
        let settings = home.settings_file();
        if input::is_there(&settings)? {
            let text = input::read_config(&settings, &settings.display().to_string())?;
            fs::write(self.home().join("settings.toml"), with_whole_key(&text, home.root())?)?;
        }
        Ok(())
    }

    fn trust(&self, agent: &Agent) -> anyhow::Result<()> {
        let source = agent.file.as_ref().context("an agent file is needed")?;
        TrustStore::open(&Home::at(&self.home())?.trust_file())?.accept(source)
    }

    /// An agent file or policy as it reads from the copy: what it names inside the agent's folder is named inside the copy,
    /// what is elsewhere by its whole path.
    fn moved(&mut self, file: &Path, base: &Path, copied: &mut Copied) -> anyhow::Result<String> {
        let shown = || format!("cannot read `{}`", file.display());
        let mut text: DocumentMut = fs::read_to_string(file).with_context(shown)?.parse().with_context(shown)?;
        if let Some(agent) = text.get_mut("agent").and_then(Item::as_table_like_mut) {
            if let Some(tools) = agent.get_mut("tools").and_then(Item::as_array_mut) {
                tools.iter_mut().for_each(|tool| self.move_path(tool, base, ""));
            }
            match agent.get_mut("model").and_then(Item::as_value_mut) {
                Some(Value::Array(models)) => {
                    models.iter_mut().for_each(|model| self.move_path(model, base, "scripted:"));
                }
                Some(model) => self.move_path(model, base, "scripted:"),
                None => {}
            }
        }
        for grant in text.get_mut("grant").into_iter().flat_map(tables) {
            for entry in grant.get_mut("fs").into_iter().flat_map(tables) {
                self.move_grant(entry, base, copied)?;
            }
        }
        Ok(text.to_string())
    }

    /// Names a file that is read by its whole path, where it is not in the copy.
    fn move_path(&self, value: &mut Value, base: &Path, prefix: &str) {
        let Some(path) = value.as_str().and_then(|text| text.strip_prefix(prefix)) else { return };
        let Ok(real) = base.join(path).canonicalize() else { return };
        if !real.starts_with(&self.folder) || base != self.folder {
            *value = format!("{prefix}{}", real.display()).into();
        }
    }

    fn move_grant(&mut self, table: &mut dyn TableLike, base: &Path, copied: &mut Copied) -> anyhow::Result<()> {
        let access = match table.get("access").and_then(Item::as_str) {
            Some("write") => Access::Write,
            Some(_) | None => Access::Read,
        };
        let Some(host) = table.get("host").and_then(Item::as_str).map(str::to_owned) else { return Ok(()) };
        let Ok(real) = base.join(&host).canonicalize() else { return Ok(()) };
        let moved = match real.strip_prefix(&self.folder) {
            Ok(within) => self.now().join("agent").join(within),
            Err(_) => self.moved_outside(real, access, copied)?,
        };
        table.insert("host", toml_edit::value(moved.display().to_string()));
        Ok(())
    }
}

impl Place {
    fn moved_outside(&mut self, real: PathBuf, access: Access, copied: &mut Copied) -> anyhow::Result<PathBuf> {
        self.outside.push(Outside { path: real.clone(), access });
        match access {
            Access::Read => Ok(real),
            Access::Write => {
                let name = format!("outside-{}", self.outside.len());
                copied.folder(&real, &self.pristine().join(&name))?;
                Ok(self.now().join(name))
            }
        }
    }
}

/// Settings with the signing key by its whole path: it is not copied.
fn with_whole_key(settings: &str, root: &Path) -> anyhow::Result<String> {
    let mut text: DocumentMut = settings.parse().context("cannot read the settings")?;
    if let Some(key) = text.get("signing_key").and_then(Item::as_str).map(|key| root.join(key)) {
        text.insert("signing_key", toml_edit::value(key.display().to_string()));
    }
    Ok(text.to_string())
}

/// The tables of a list, in whichever of the two forms of TOML they are written.
fn tables(item: &mut Item) -> Vec<&mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Item::Value(Value::Array(values)) => {
            let inline = values.iter_mut().filter_map(Value::as_inline_table_mut);
            inline.map(|table| table as &mut dyn TableLike).collect()
        }
        Item::None | Item::Value(_) | Item::Table(_) => Vec::new(),
    }
}

/// How much was copied so far.
#[derive(Default)]
struct Copied {
    entries: usize,
    bytes: u64,
}

impl Copied {
    /// Copies a folder with all in it but runs.
    fn folder(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(to).with_context(|| format!("cannot make `{}`", to.display()))?;
        for entry in fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))? {
            let entry = entry?;
            let (source, target, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
            if entry.file_name() == RUNS_FOLDER {
                continue;
            }
            self.entries += 1;
            if kind.is_dir() {
                self.folder(&source, &target)?;
            } else if kind.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                self.bytes += entry.metadata()?.len();
                fs::copy(&source, &target).with_context(|| format!("cannot copy `{}`", source.display()))?;
            }
            ensure!(
                self.entries <= ENTRIES_MAX && self.bytes <= BYTES_MAX,
                "`{}` is too large to be copied for each kill: at most {ENTRIES_MAX} entries and {} MiB\n  hint: give the \
                 agent a smaller folder for the test",
                from.display(),
                BYTES_MAX >> 20
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of a list mean the same to a run.
    #[test]
    fn a_grant_is_moved_however_it_is_written() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let root = temp.path().canonicalize()?;
        for folder in ["agent", "elsewhere", "home"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("home/key.pem"), "")?;
        let home = Home::at(&root.join("home"))?;
        fs::write(home.settings_file(), "signing_key = \"key.pem\"\n")?;
        let elsewhere = root.join("elsewhere").display().to_string();
        let place = |agent: &str, policy: &str| {
            let text = format!("agent = {{ name = \"a\", instructions = \"Be brief.\" }}\n{agent}");
            fs::write(root.join("agent/agent.toml"), text)?;
            fs::write(home.policy_file(), policy)?;
            Place::make(&home, &root.join("agent/agent.toml"))
        };
        let forms = [
            format!("grant = [{{ tool = \"*\", fs = [{{ host = \"{elsewhere}\", access = \"write\" }}] }}]\n"),
            format!("[[grant]]\ntool = \"*\"\n[[grant.fs]]\nhost = \"{elsewhere}\"\naccess = \"write\"\n"),
            format!("[[grant]]\ntool = \"*\"\nfs = [{{ host = \"{elsewhere}\", access = \"write\" }}]\n"),
        ];
        for form in &forms {
            for (agent, policy) in [(form.as_str(), ""), ("", form.as_str())] {
                let place = place(agent, policy)?;
                assert_eq!(place.outside.len(), 1, "{form}");
                let settings = fs::read_to_string(place.home().join("settings.toml"))?;
                assert!(settings.contains(&root.join("home/key.pem").display().to_string()), "{settings}");
            }
        }
        let missing = forms[0].replace("elsewhere", "missing");
        let refused = place(&missing, "").map_or_else(|error| format!("{error:#}"), |_| String::new());
        assert!(refused.contains("cannot be moved into a copy"), "{refused}");
        Ok(())
    }

    #[test]
    fn a_copy_is_written_to_and_the_original_stays() -> anyhow::Result<()> {
        let temp = tempfile::tempdir()?;
        let root = temp.path().canonicalize()?;
        for folder in ["agent/data", "shared", "elsewhere", "home"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("elsewhere/note"), "old")?;
        fs::write(root.join("agent/replies.toml"), "version = 1\n[[reply]]\ntext = \"x\"\n")?;
        let text = "[agent]\nname = \"a\"\ninstructions = \"Be brief.\"\nmodel = \"scripted:replies.toml\"\n\n\
             [[grant]]\ntool = \"*\"\nfs = [{ host = \"./data\", access = \"write\" }, { host = \"../elsewhere\", mount = \"/e\", \
             access = \"write\" }, { host = \"../shared\", mount = \"/s\", access = \"read\" }]\n";
        fs::write(root.join("agent/agent.toml"), text)?;
        let place = Place::make(&Home::at(&root.join("home"))?, &root.join("agent/agent.toml"))?;
        let moved = fs::read_to_string(place.agent())?;
        let now = place.now().display().to_string();
        for expected in [
            "scripted:replies.toml".to_owned(),
            format!("{now}/agent/data"),
            format!("{now}/outside-1"),
            format!("{}", root.join("shared").display()),
        ] {
            assert!(moved.contains(&expected), "{expected}\n{moved}");
        }
        fs::write(place.now().join("outside-1/note"), "new")?;
        assert_eq!(fs::read_to_string(root.join("elsewhere/note"))?, "old");
        place.lay_out()?;
        assert_eq!(fs::read_to_string(place.now().join("outside-1/note"))?, "old");
        Ok(())
    }
}
