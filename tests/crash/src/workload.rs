//! The work that is disturbed: five kinds of runs, each a script for a model that replies at once, so that the same work has
//! the same answer. A tag of fixed length tells the runs of one store apart: their files and URLs never mix.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use agent_tests::{guest, tool};

use crate::counter::KEY_HEADER;

/// Whether the work keeps notes. Not where hosts are stopped: a tool's stores are held by one call at a time of all processes, and a
/// host that is stopped holds them on. Then another host's call is told to come again, and the answer is rightly another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notes {
    Kept,
    None,
}

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Workload {
    /// 50 calls that only compute.
    Pure,
    /// 20 writes of files, half of them appended to one, and 20 reads.
    Files,
    /// 20 POSTs that nothing deduplicates.
    Posts,
    /// 32 calls of one turn, side by side: sums, files, notes, keyed and opaque writes to the counter. Some need an approval:
    /// the call as a whole, or a request in its middle.
    Mixed,
    /// A long run of everything in turn, which is also told to stop. There are no sub-agents that it could have.
    Long,
}

/// The words that name the tools of all work.
pub(crate) fn tool_words() -> Vec<String> {
    let paths = [tool("calc"), tool("files"), tool("notes"), guest("polite")];
    paths.into_iter().flat_map(|path| ["--tools".to_owned(), path]).collect()
}

impl Workload {
    pub(crate) const ALL: [Self; 5] = [Self::Pure, Self::Files, Self::Posts, Self::Mixed, Self::Long];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pure => "W1 pure",
            Self::Files => "W2 files",
            Self::Posts => "W3 posts",
            Self::Mixed => "W4 mixed",
            Self::Long => "W5 long",
        }
    }

    /// The one whose name begins so.
    pub(crate) fn named(short: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name().split(' ').next() == Some(short))
    }

    /// Whether it makes writes that may be in doubt.
    pub(crate) fn may_doubt(self) -> bool {
        match self {
            Self::Pure | Self::Files => false,
            Self::Posts | Self::Mixed | Self::Long => true,
        }
    }

    /// Whether a person is asked for approvals.
    pub(crate) fn may_ask(self) -> bool {
        match self {
            Self::Mixed => true,
            Self::Pure | Self::Files | Self::Posts | Self::Long => false,
        }
    }

    /// Writes its script below `work` and gives the command line that runs it. `url` is the counter's.
    pub(crate) fn lay_out(self, work: &Path, url: &str, tag: &str, notes: Notes) -> Result<Vec<String>, String> {
        let told = |error: std::io::Error| format!("the work cannot be laid out: {error}");
        fs::create_dir_all(work.join("data")).map_err(told)?;
        let script = work.join(format!("{tag}.toml"));
        fs::write(&script, self.script(url, tag, notes)).map_err(told)?;
        let asking = if self.may_ask() { ASKING } else { "" };
        fs::write(work.join("policy.toml"), policy(url) + asking).map_err(told)?;
        let mut words: Vec<String> = ["run", "--json"].map(str::to_owned).to_vec();
        words.extend(tool_words());
        words.extend(["--policy", "policy.toml", "--model"].map(str::to_owned));
        words.push(format!("scripted:{}", script.display()));
        words.extend(["--max-turns", "500", "--max-tool-calls", "5000", "--max-time", "10m"].map(str::to_owned));
        words.extend(["--max-fuel", FUEL, "go"].map(str::to_owned));
        Ok(words)
    }

    fn script(self, url: &str, tag: &str, notes: Notes) -> String {
        let mut script = Script { url, tag, notes, text: "version = 1\n".to_owned(), calls: 0 };
        match self {
            Self::Pure => (0..25).for_each(|turn| script.turn(vec![script.sum(turn), script.sum(100 + turn)])),
            Self::Files => (0..20).for_each(|turn| script.turn(vec![script.write(turn), script.read(turn)])),
            Self::Posts => (0..10).for_each(|turn| script.turn(vec![script.post(turn), script.post(100 + turn)])),
            Self::Mixed => script.turn((0..32).map(|call| script.any(call)).collect()),
            Self::Long => {
                for turn in 0..20 {
                    script.turn(vec![script.any(turn), script.any(40 + turn)]);
                }
            }
        }
        script.answer()
    }
}

/// More than enough: of a call whose host was killed, all the fuel that it could have used is counted as used, and 32 of W4 are
/// killed at once.
const FUEL: &str = "1000T";

/// A host that is stopped for many seconds finds its limits of time used up when it goes on, and the run then says other things than
/// an undisturbed one: as it should, and not what is looked for here.
const PATIENT: &str =
    "limits = { deadline = \"5m\", http_connect = \"5m\", http_first_byte = \"5m\", http_total = \"5m\" }";

/// What the tools may do: each exactly what its part of the work needs, so that calls without files are not kept apart.
fn policy(url: &str) -> String {
    let data = "fs = [{ host = \"data\", mount = \"/data\", access = \"write\" }]";
    format!(
        "[[grant]]\ntool = \"files\"\n{data}\n[[grant]]\ntool = \"polite.append_file\"\n{data}\n\
         [[grant]]\ntool = \"polite.read_file\"\n{data}\n\
         [[grant]]\ntool = \"polite.http\"\nhttp = [\
         {{ url = \"{url}/once\", methods = [\"POST\"] }}, \
         {{ url = \"{url}/keyed\", methods = [\"POST\", \"PUT\"], idempotency_header = \"{KEY_HEADER}\" }}]\n{PATIENT}\n\
         [[grant]]\ntool = \"notes\"\nkv = \"write\"\n"
    )
}

/// What a person wants to be asked about: whole calls, and requests in the middle of one.
const ASKING: &str = "\
[[approval]]
tool = \"polite.compute\"
[[approval]]
tool = \"*\"
effect = \"http\"
methods = [\"PUT\"]
";

/// A script as it grows.
struct Script<'w> {
    url: &'w str,
    tag: &'w str,
    notes: Notes,
    text: String,
    calls: usize,
}

impl Script<'_> {
    fn turn(&mut self, calls: Vec<(String, String)>) {
        self.text.push_str("[[reply]]\nusage = { input = 10, output = 2 }\ncalls = [\n");
        for (tool, arguments) in calls {
            let _ = writeln!(self.text, "  {{ tool = \"{tool}\", arguments = {{ {arguments} }} }},");
            self.calls += 1;
        }
        self.text.push_str("]\n");
    }

    /// The answer quotes every result: whatever was lost, done twice or done otherwise is seen in it.
    fn answer(mut self) -> String {
        let quotes: Vec<String> = (0..self.calls).map(|call| format!("{{{{ call[{call}] }}}}")).collect();
        let _ = writeln!(self.text, "[[reply]]\ntext = '''{}'''", quotes.join("; "));
        self.text
    }

    fn sum(&self, number: usize) -> (String, String) {
        ("calc.evaluate".to_owned(), format!("expression = \"{number} * 3 + 1\""))
    }

    /// Appends to one file, or writes one of its own.
    fn write(&self, number: usize) -> (String, String) {
        let tag = self.tag;
        if number.is_multiple_of(2) {
            let arguments = format!("path = \"{tag}-log.txt\", content = \"line {number}; \"");
            ("polite.append_file".to_owned(), arguments)
        } else {
            let arguments = format!("path = \"{tag}-{number}.txt\", content = \"file {number} of {tag}\"");
            ("files.write".to_owned(), arguments)
        }
    }

    /// Reads what was written last.
    fn read(&self, number: usize) -> (String, String) {
        let tag = self.tag;
        let path = if number.is_multiple_of(2) { format!("{tag}-log.txt") } else { format!("{tag}-{number}.txt") };
        ("polite.read_file".to_owned(), format!("path = \"{path}\""))
    }

    fn post(&self, number: usize) -> (String, String) {
        let (url, tag) = (self.url, self.tag);
        let arguments = format!("method = \"POST\", url = \"{url}/once/{tag}/{number}\", body = \"{number}\"");
        ("polite.http".to_owned(), arguments)
    }

    fn keyed(&self, number: usize) -> (String, String) {
        let (url, tag) = (self.url, self.tag);
        let method = if number % 16 < 8 { "POST" } else { "PUT" };
        let arguments = format!("method = \"{method}\", url = \"{url}/keyed/{tag}/{number}\", body = \"{number}\"");
        ("polite.http".to_owned(), arguments)
    }

    /// Under a name that each run uses: the tool counts its notes, which must not differ from run to run.
    fn note(&self, number: usize) -> (String, String) {
        let tag = self.tag;
        ("notes.remember".to_owned(), format!("name = \"note {number}\", text = \"written by {tag}\""))
    }

    fn any(&self, number: usize) -> (String, String) {
        match number % 8 {
            0 | 4 => self.sum(number),
            1 => self.write(2 * number),
            2 => self.post(number),
            3 => self.keyed(number),
            5 => self.write(2 * number + 1),
            6 if self.notes == Notes::Kept => self.note(number),
            _ => {
                let steps = 20_000 + number;
                ("polite.compute".to_owned(), format!("steps = {steps}"))
            }
        }
    }
}
