//! Expansion: what becomes of a word before a command sees it. Called by `run` for each command, and by nothing else.

mod arithmetic;
mod fields;
mod glob;
mod parameter;
mod pattern;

use std::pin::Pin;

pub(crate) use arithmetic::{computed, number, value as arithmetic};
pub(crate) use pattern::{Pattern, class};

use fields::{Fields, Splitting};

use crate::run;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
use crate::syntax::{List, Piece, Quotes, Word, is_name};

/// Most words that one command may get.
const WORDS_MAX: usize = 100_000;

/// Most bytes that the words of one command have together.
const WORDS_BYTES_MAX: usize = 8 << 20;

/// Builtins whose arguments assign: `local x=$y` gives `x` all of `y`.
const DECLARING: [&str; 3] = ["export", "local", "readonly"];

/// Whether a word begins as an assignment.
fn assigns(word: &Word) -> bool {
    let Some(Piece::Bare(text)) = word.pieces.first() else { return false };
    text.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Expands the words of a command: each may become none, one or several.
pub(crate) async fn words(shell: &mut Shell, words: &[Word]) -> Outcome<Vec<String>> {
    let mut expanded: Vec<String> = Vec::with_capacity(words.len());
    let (mut bytes, mut counted) = (0, 0);
    for word in words {
        let is_declaring = expanded.first().is_some_and(|first| DECLARING.contains(&first.as_str()));
        if is_declaring && assigns(word) {
            expanded.push(text(shell, word).await?);
            continue;
        }
        if let [Piece::Bare(text)] = &word.pieces[..]
            && !text.contains(['*', '?', '['])
        {
            expanded.push(text.clone());
            continue;
        }
        let mut fields = Fields::new(Splitting::ByIfs(shell.variables.get("IFS")));
        pieces(shell, &word.pieces, &mut fields, Place::Word).await?;
        for field in fields.finish() {
            match field.pattern.as_deref().filter(|_| !shell.options.noglob) {
                Some(pattern) => expanded.extend(glob::names(&shell.directory, pattern, field.text)?),
                None => expanded.push(field.text),
            }
        }
        if expanded.len() > WORDS_MAX {
            return Err(Stop::Limit(format!("a command would get more than {WORDS_MAX} words")));
        }
        bytes += expanded[counted..].iter().map(String::len).sum::<usize>();
        counted = expanded.len();
        if bytes > WORDS_BYTES_MAX {
            return Err(Stop::Limit(format!("a command would get more than {WORDS_BYTES_MAX} bytes")));
        }
    }
    Ok(expanded)
}

/// Expands a word that stays one: an assignment, the file of a redirection, a here-document.
pub(crate) async fn text(shell: &mut Shell, word: &Word) -> Outcome<String> {
    let mut fields = Fields::new(Splitting::Never);
    pieces(shell, &word.pieces, &mut fields, Place::Word).await?;
    Ok(fields.joined().text)
}

/// Expands a word that is a pattern, as in `case` and `${x%…}`.
pub(crate) async fn pattern(shell: &mut Shell, word: &Word) -> Outcome<Pattern> {
    let mut fields = Fields::new(Splitting::Never);
    pieces(shell, &word.pieces, &mut fields, Place::Word).await?;
    let field = fields.joined();
    Ok(field.pattern.map_or_else(|| Pattern::literal(&field.text), |pattern| Pattern::new(&pattern)))
}

/// Expands a word that is a regular expression, as after `=~`: what is quoted in it is literal.
pub(crate) async fn expression(shell: &mut Shell, word: &Word) -> Outcome<String> {
    let mut fields = Fields::of_expression();
    pieces(shell, &word.pieces, &mut fields, Place::Word).await?;
    let field = fields.joined();
    Ok(field.pattern.unwrap_or(field.text))
}

/// Where a piece stands. Text within `${x:-…}` is split like what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Word,
    Parameter,
}

type Expanding<'a> = Pin<Box<dyn Future<Output = Outcome<()>> + 'a>>;

fn pieces<'a>(shell: &'a mut Shell, pieces: &'a [Piece], fields: &'a mut Fields, place: Place) -> Expanding<'a> {
    Box::pin(async move {
        shell.deeper()?;
        let ended = each(shell, pieces, fields, place).await;
        shell.shallower();
        ended
    })
}

async fn each(shell: &mut Shell, pieces: &[Piece], fields: &mut Fields, place: Place) -> Outcome<()> {
    for piece in pieces {
        match piece {
            Piece::Bare(text) if place == Place::Word => fields.push_bare(text),
            Piece::Bare(text) => fields.split(text)?,
            Piece::Quoted(text) => fields.push_quoted(text),
            Piece::Home => fields.push_quoted(&shell.variables.get("HOME").unwrap_or_default()),
            Piece::Parameter { parameter, quotes } => parameter::expand(shell, parameter, *quotes, fields).await?,
            Piece::Substitution { script, quotes } => {
                let output = substituted(shell, script).await?;
                fields.push(&output, *quotes)?;
            }
            Piece::Arithmetic { expression, quotes } => {
                let value = arithmetic(shell, expression).await?;
                fields.push(&value.to_string(), *quotes)?;
            }
        }
        fields.check()?;
    }
    Ok(())
}

impl Fields {
    fn push(&mut self, text: &str, quotes: Quotes) -> Outcome<()> {
        match quotes {
            Quotes::None => self.split(text),
            Quotes::Double => {
                self.push_quoted(text);
                Ok(())
            }
        }
    }
}

/// `$(…)`: what its commands write, without the ends of lines at its end.
async fn substituted(shell: &mut Shell, script: &List) -> Outcome<String> {
    let (output, status) = run::captured(shell, script).await?;
    shell.status = status;
    shell.substituted = Some(status);
    let mut text =
        String::from_utf8(output).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    // A variable cannot hold it: shells leave it out, too.
    text.retain(|c| c != '\0');
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}
