//! `wc`: how many lines, words and bytes.

use super::options::Options;
use crate::run::{Call, Inputs};
use crate::stop::Outcome;
use crate::streams::Input;

const OPTIONS: Options = Options::new(
    "lwcmL",
    "",
    &[("lines", 'l'), ("words", 'w'), ("bytes", 'c'), ("chars", 'm'), ("max-line-length", 'L')],
);

/// How wide numbers are that do not come from files, as elsewhere.
const WIDTH_OF_STREAMS: usize = 7;

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    lines: u64,
    words: u64,
    characters: u64,
    bytes: u64,
    longest: u64,
}

pub(super) async fn wc(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let shown: Vec<char> = if given.options.is_empty() {
        vec!['l', 'w', 'c']
    } else {
        "lwmcL".chars().filter(|letter| given.has(*letter)).collect()
    };
    let mut inputs = Inputs::new(&given.operands);
    let is_one_number = shown.len() == 1 && given.operands.len() < 2;
    let width = if is_one_number { 1 } else { width(call, &given.operands) };
    let (mut total, is_many) = (Counts::default(), given.operands.len() > 1);
    while let Some((name, input)) = call.next_input(&mut inputs).await? {
        let counts = match count(&input).await {
            Ok(counts) => counts,
            Err(stop) => {
                inputs.status = call.tell(stop).await?;
                continue;
            }
        };
        total.add(counts);
        let name = if given.operands.is_empty() { "" } else { &name };
        call.out.line(counts.line(&shown, width, name)).await?;
    }
    if is_many {
        call.out.line(total.line(&shown, width, "total")).await?;
    }
    Ok(inputs.status)
}

/// Wide enough for the sizes of all files together.
fn width(call: &Call<'_>, names: &[String]) -> usize {
    let own = || call.shell.streams.input().file_size();
    if names.is_empty() {
        return own().map_or(WIDTH_OF_STREAMS, |size| size.to_string().len());
    }
    let mut sizes = 0;
    for name in names {
        let size = if name == "-" { own() } else { call.shell.metadata(name).ok().map(|found| found.len()) };
        match size {
            Some(size) => sizes += size,
            None if name == "-" => return WIDTH_OF_STREAMS,
            None => {}
        }
    }
    sizes.to_string().len()
}

async fn count(input: &Input) -> Outcome<Counts> {
    let mut counts = Counts::default();
    let (mut in_word, mut length) = (false, 0);
    while let Some(chunk) = input.chunk().await? {
        counts.bytes += chunk.len() as u64;
        for byte in chunk {
            let is_blank = byte.is_ascii_whitespace() || byte == 11;
            counts.words += u64::from(!is_blank && !in_word);
            in_word = !is_blank;
            let begins_character = byte & 0xc0 != 0x80;
            counts.characters += u64::from(begins_character);
            match byte {
                b'\n' => {
                    counts.lines += 1;
                    length = 0;
                }
                b'\t' => length = (length / 8 + 1) * 8,
                _ => length += u64::from(begins_character),
            }
            counts.longest = counts.longest.max(length);
        }
    }
    Ok(counts)
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.words += other.words;
        self.characters += other.characters;
        self.bytes += other.bytes;
        self.longest = self.longest.max(other.longest);
    }

    fn line(&self, shown: &[char], width: usize, name: &str) -> String {
        let number = |letter: &char| match letter {
            'l' => self.lines,
            'w' => self.words,
            'm' => self.characters,
            'L' => self.longest,
            _ => self.bytes,
        };
        let numbers: Vec<String> = shown.iter().map(|letter| format!("{:>width$}", number(letter))).collect();
        let line = numbers.join(" ");
        if name.is_empty() { line } else { format!("{line} {name}") }
    }
}
