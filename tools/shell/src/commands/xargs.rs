//! `xargs`: words of the input as arguments of a command.

use super::options::Options;
use crate::run::{self, Call};
use crate::stop::{Outcome, Stop};
use crate::streams::{Input, Stream};

const OPTIONS: Options = Options::new(
    "0rtx",
    "nIdLsP",
    &[
        ("null", '0'),
        ("no-run-if-empty", 'r'),
        ("verbose", 't'),
        ("max-args", 'n'),
        ("replace", 'I'),
        ("delimiter", 'd'),
        ("max-lines", 'L'),
        ("max-procs", 'P'),
    ],
)
.options_first();

/// Bytes of the arguments of one call, as the usual `xargs` has it. What is more goes into the next call.
const ARGUMENTS_BYTES: usize = 128 * 1024;

/// What parts words, beside the ends of lines. Other blanks of Unicode are letters: they stand in names of files.
const BLANKS: [char; 2] = [' ', '\t'];

/// The status that says that some call failed.
const SOME_FAILED: u8 = 123;

pub(super) async fn xargs(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    if given.number('P')?.is_some_and(|processes| processes > 1) {
        return Err(Stop::failed(
            "`-P` above 1 is not here: there are no processes, calls are made one after the other",
        ));
    }
    if given.value('I') == Some("") {
        return Err(Stop::failed("`-I` wants a mark, as in `-I{}`"));
    }
    if given.has('s') {
        return Err(Stop::failed("`-s` is not here; `-n` bounds the arguments of a call"));
    }
    let mut command = given.operands.clone();
    if command.is_empty() {
        command.push("echo".to_owned());
    }
    let text = call.shell.streams.input().whole().await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let replaced = given.value('I');
    let by_line = replaced.is_some() || given.has('L');
    let items = match (given.has('0'), given.value('d')) {
        (true, _) => separated(&text, '\0'),
        (false, Some(delimiter)) => separated(&text, delimiter_of(delimiter)?),
        (false, None) if replaced.is_some() => one_each_line(&text)?,
        (false, None) if by_line => lines(&text),
        (false, None) => words(&text)?,
    };
    let mut batches: Vec<Vec<String>> = Vec::new();
    if let Some(mark) = replaced {
        for item in items {
            batches.push(command.iter().map(|word| word.replace(mark, &item)).collect());
        }
    } else {
        let most = given.number(if given.has('L') { 'L' } else { 'n' })?;
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        if most == 0 {
            return Err(Stop::failed("a call wants at least one argument"));
        }
        if items.is_empty() && !given.has('r') {
            batches.push(command.clone());
        }
        for batch in batched(&items, most) {
            let arguments = if given.has('L') { words(&batch.join("\n"))? } else { batch.to_vec() };
            batches.push([command.clone(), arguments].concat());
        }
    }
    run_all(call, &batches, given.has('t')).await
}

async fn run_all(call: &mut Call<'_>, batches: &[Vec<String>], is_verbose: bool) -> Outcome<u8> {
    let before = call.shell.streams.clone();
    call.shell.streams.set(0, Stream::In(Input::empty()));
    let mut status = 0;
    for words in batches {
        if is_verbose {
            call.shell.complain(&words.join(" ")).await?;
        }
        match run::run_words_without_functions(call.shell, words).await {
            Ok(0) => {}
            Ok(127) => {
                status = 127;
                break;
            }
            Ok(_) => status = SOME_FAILED,
            // `exit` in a call would leave a process there, and does not leave this shell.
            Err(Stop::Exit(ended)) => status = if ended == 0 { status } else { SOME_FAILED },
            Err(stop) => {
                call.shell.streams = before;
                return Err(stop);
            }
        }
    }
    call.shell.streams = before;
    Ok(status)
}

fn delimiter_of(text: &str) -> Outcome<char> {
    let mut letters = text.chars();
    match (letters.next(), letters.next(), letters.next()) {
        (Some(letter), None, None) => Ok(letter),
        (Some('\\'), Some('n'), None) => Ok('\n'),
        (Some('\\'), Some('t'), None) => Ok('\t'),
        (Some('\\'), Some('0'), None) => Ok('\0'),
        _ => Err(Stop::failed(format!("`-d` wants one character, not `{text}`"))),
    }
}

fn separated(text: &str, delimiter: char) -> Vec<String> {
    let text = text.strip_suffix(delimiter).unwrap_or(text);
    if text.is_empty() { Vec::new() } else { text.split(delimiter).map(ToOwned::to_owned).collect() }
}

/// Lines that have something in them. One that ends with a blank goes on in the next.
fn lines(text: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), String::new());
    for line in text.split('\n') {
        begun.push_str(line);
        let goes_on = line.ends_with(BLANKS);
        if !goes_on && !begun.trim_matches(BLANKS).is_empty() {
            lines.push(std::mem::take(&mut begun));
        }
    }
    if !begun.trim_matches(BLANKS).is_empty() {
        lines.push(begun);
    }
    lines
}

/// Lines as they are, without the blanks before them, but with the quotes taken off.
fn one_each_line(text: &str) -> Outcome<Vec<String>> {
    let mut items = Vec::new();
    for line in text.split('\n') {
        let line = line.trim_start_matches(BLANKS);
        if !line.is_empty() {
            items.extend(parted(line, &[])?);
        }
    }
    Ok(items)
}

/// Words apart by blanks; quotes and backslashes keep blanks in one.
fn words(text: &str) -> Outcome<Vec<String>> {
    parted(text, &[' ', '\t', '\n'])
}

fn parted(text: &str, gaps: &[char]) -> Outcome<Vec<String>> {
    let (mut words, mut word, mut is_word) = (Vec::new(), String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                is_word = true;
                loop {
                    match letters.next() {
                        Some(end) if end == letter => break,
                        Some('\n') | None => {
                            return Err(Stop::failed(format!(
                                "a `{letter}` has no second one; with `-0` or `-d '\\n'` quotes are text"
                            )));
                        }
                        Some(other) => word.push(other),
                    }
                }
            }
            '\\' => {
                is_word = true;
                word.extend(letters.next());
            }
            gap if gaps.contains(&gap) => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => {
                is_word = true;
                word.push(other);
            }
        }
    }
    if is_word {
        words.push(word);
    }
    Ok(words)
}

/// As many as one call takes, by number and by bytes.
fn batched(items: &[String], most: usize) -> Vec<&[String]> {
    let (mut batches, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, item) in items.iter().enumerate() {
        if at > start && (at - start >= most || bytes + item.len() > ARGUMENTS_BYTES) {
            batches.push(&items[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += item.len() + 1;
    }
    if start < items.len() {
        batches.push(&items[start..]);
    }
    batches
}
