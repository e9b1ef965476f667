//! `find`: what is below a folder, and what to do with it. `expression` reads what is asked.

mod expression;

use super::tree::{Entry, Kind, Root, Tree};
use crate::files::failed;
use crate::run::{self, Call};
use crate::stop::{Outcome, Stop};

use expression::{Action, Compared, Expression, Search};

/// Bytes of the names that one call of `-exec … +` gets, as the usual `find` has it.
const ARGUMENTS_BYTES: usize = 128 * 1024;

/// What a walk has found so far.
#[derive(Default)]
struct Found {
    status: u8,
    /// Names for `-exec … +`, for each such action.
    batches: Vec<Vec<String>>,
    is_over: bool,
}

pub(super) async fn find(call: &mut Call<'_>) -> Outcome<u8> {
    let search = expression::read(call.shell, call.arguments)?;
    let mut found = Found { batches: vec![Vec::new(); search.batches], ..Found::default() };
    for root in &search.roots {
        let tree = match Tree::new(call.shell, root, Root::AsItIs, search.depth_max) {
            Ok(tree) => tree,
            Err(stop) => {
                found.status = call.tell(stop).await?;
                continue;
            }
        };
        walk(call, &search, tree, &mut found).await?;
        if found.is_over {
            break;
        }
    }
    for (number, words) in search.commands() {
        let names = std::mem::take(&mut found.batches[number]);
        run_batch(call, words, &names, &mut found).await?;
    }
    Ok(found.status)
}

async fn walk(call: &mut Call<'_>, search: &Search, mut tree: Tree, found: &mut Found) -> Outcome<()> {
    let mut contents_first = Vec::new();
    while !found.is_over {
        let entry = match tree.next(call.shell) {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(stop) => {
                found.status = call.tell(stop).await?;
                continue;
            }
        };
        if entry.depth < search.depth_min {
            continue;
        }
        if search.contents_first {
            contents_first.push(entry);
        } else if looked_at(call, search, &entry, found).await? == Below::LeftOut {
            tree.leave_out();
        }
    }
    // What is in a folder comes after it in the walk: backwards, it comes before.
    while let Some(entry) = contents_first.pop() {
        looked_at(call, search, &entry, found).await?;
    }
    Ok(())
}

/// Whether the walk goes into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    Visited,
    LeftOut,
}

async fn looked_at(call: &mut Call<'_>, search: &Search, entry: &Entry, found: &mut Found) -> Outcome<Below> {
    let mut below = Below::Visited;
    match holds(call, &search.expression, entry, found, &mut below).await {
        Ok(_) => {}
        Err(stop) => found.status = call.tell(stop).await?,
    }
    Ok(below)
}

type Holding<'a> = std::pin::Pin<Box<dyn Future<Output = Outcome<bool>> + 'a>>;

fn holds<'a>(
    call: &'a mut Call<'_>,
    expression: &'a Expression,
    entry: &'a Entry,
    found: &'a mut Found,
    below: &'a mut Below,
) -> Holding<'a> {
    Box::pin(async move {
        call.shell.deeper()?;
        let answer = answer(call, expression, entry, found, below).await;
        call.shell.shallower();
        answer
    })
}

async fn answer(
    call: &mut Call<'_>,
    expression: &Expression,
    entry: &Entry,
    found: &mut Found,
    below: &mut Below,
) -> Outcome<bool> {
    Ok(match expression {
        Expression::Not(inner) => !holds(call, inner, entry, found, below).await?,
        Expression::And(left, right) => {
            // After `-quit`, nothing more is done.
            let holds_so_far = holds(call, left, entry, found, below).await? && !found.is_over;
            holds_so_far && holds(call, right, entry, found, below).await?
        }
        Expression::Or(left, right) => {
            let holds_so_far = holds(call, left, entry, found, below).await? || found.is_over;
            holds_so_far || holds(call, right, entry, found, below).await?
        }
        Expression::Then(left, right) => {
            holds(call, left, entry, found, below).await?;
            found.is_over || holds(call, right, entry, found, below).await?
        }
        Expression::Always(holds) => *holds,
        Expression::Name(pattern) => pattern.matches(entry.name()),
        Expression::NameAnyCase(pattern) => pattern.matches(&entry.name().to_lowercase()),
        Expression::Path(pattern) => pattern.matches(&entry.path),
        Expression::Type(kinds) => kinds.contains(&entry.kind),
        Expression::Size(size) => {
            let bytes = entry.metadata(call.shell)?.len();
            size.holds(bytes.div_ceil(size.unit))
        }
        Expression::Empty => is_empty(call, entry)?,
        Expression::Newer(than) => entry.metadata(call.shell)?.modified().is_ok_and(|time| time > *than),
        Expression::Age(age) => {
            let modified = entry.metadata(call.shell)?.modified().map_err(|error| failed(&entry.path, &error))?;
            let seconds = std::time::SystemTime::now().duration_since(modified).map_or(0, |age| age.as_secs());
            age.holds(seconds / age.unit)
        }
        Expression::Prune => {
            *below = Below::LeftOut;
            true
        }
        Expression::Act(action) => act(call, action, entry, found).await?,
    })
}

impl Compared {
    fn holds(&self, number: u64) -> bool {
        match self.how {
            std::cmp::Ordering::Less => number < self.number,
            std::cmp::Ordering::Equal => number == self.number,
            std::cmp::Ordering::Greater => number > self.number,
        }
    }
}

fn is_empty(call: &Call<'_>, entry: &Entry) -> Outcome<bool> {
    match entry.kind {
        Kind::File => Ok(entry.metadata(call.shell)?.len() == 0),
        Kind::Folder => {
            let entries = call.shell.place(&entry.path).and_then(|place| place.read_dir());
            let mut entries = entries.map_err(|error| failed(&entry.path, &error))?;
            Ok(entries.next().is_none())
        }
        Kind::Link | Kind::Other => Ok(false),
    }
}

async fn act(call: &mut Call<'_>, action: &Action, entry: &Entry, found: &mut Found) -> Outcome<bool> {
    match action {
        Action::Print => call.out.line(&entry.path).await?,
        Action::PrintWithZero => {
            call.out.put(&entry.path).await?;
            call.out.put([0]).await?;
        }
        Action::Formatted(format) => {
            let text = formatted(call, format, entry)?;
            call.out.put(text).await?;
        }
        // The folder that the shell is in stays, as with the usual `find`.
        Action::Delete if entry.path == "." => {}
        Action::Delete => {
            let remove = |place| {
                if entry.kind == Kind::Folder { std::fs::remove_dir(place) } else { std::fs::remove_file(place) }
            };
            call.shell.place(&entry.path).and_then(remove).map_err(|error| {
                Stop::failed(format!("cannot delete '{}': {}", entry.path, crate::files::reason(&error)))
            })?;
        }
        Action::Quit => found.is_over = true,
        Action::Run(words) => {
            call.out.flush().await?;
            let words: Vec<String> = words.iter().map(|word| word.replace("{}", &entry.path)).collect();
            return run_one(call, &words).await.map(|status| status == 0);
        }
        Action::Batch { number, words } => {
            found.batches[*number].push(entry.path.clone());
            let bytes: usize = found.batches[*number].iter().map(|name| name.len() + 1).sum();
            if bytes > ARGUMENTS_BYTES {
                let names = std::mem::take(&mut found.batches[*number]);
                run_batch(call, words, &names, found).await?;
            }
        }
    }
    Ok(true)
}

/// A command for one or several names. `exit` in it leaves it, and not this shell.
async fn run_one(call: &mut Call<'_>, words: &[String]) -> Outcome<u8> {
    match run::run_words_without_functions(call.shell, words).await {
        Err(Stop::Exit(status)) => Ok(status),
        other => other,
    }
}

async fn run_batch(call: &mut Call<'_>, words: &[String], names: &[String], found: &mut Found) -> Outcome<()> {
    if names.is_empty() {
        return Ok(());
    }
    call.out.flush().await?;
    let all = [words, names].concat();
    if run_one(call, &all).await? != 0 {
        found.status = 1;
    }
    Ok(())
}

/// `-printf`: `%p` and its like, and escapes.
fn formatted(call: &Call<'_>, format: &str, entry: &Entry) -> Outcome<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find(['%', '\\']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let is_escape = rest.as_bytes()[at] == b'\\';
        rest = &rest[at + 1..];
        if is_escape {
            let used = super::escapes::one(rest, super::escapes::Escapes::Printf, &mut out);
            rest = &rest[used..];
            continue;
        }
        let letter = rest.chars().next().unwrap_or('%');
        let text = match letter {
            '%' => "%".to_owned(),
            'p' => entry.path.clone(),
            'f' => entry.name().to_owned(),
            'h' => entry.path.rsplit_once('/').map_or_else(|| ".".to_owned(), |(folder, _)| folder.to_owned()),
            'P' => {
                let parts: Vec<&str> = entry.path.rsplitn(entry.depth + 1, '/').collect();
                parts[..entry.depth.min(parts.len())].iter().rev().copied().collect::<Vec<_>>().join("/")
            }
            's' => entry.metadata(call.shell)?.len().to_string(),
            'd' => entry.depth.to_string(),
            'y' => match entry.kind {
                Kind::File => "f",
                Kind::Folder => "d",
                Kind::Link => "l",
                Kind::Other => "U",
            }
            .to_owned(),
            other => {
                return Err(Stop::failed(format!(
                    "`%{other}` is not known to -printf; there are %p %f %h %P %s %y %d"
                )));
            }
        };
        out.extend_from_slice(text.as_bytes());
        rest = &rest[letter.len_utf8().min(rest.len())..];
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}
