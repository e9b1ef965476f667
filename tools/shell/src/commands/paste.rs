//! `paste`: lines of several files side by side, or those of one file in one line.

use super::options::Options;
use crate::run::Call;
use crate::stop::{Outcome, Stop};
use crate::streams::Input;

const OPTIONS: Options = Options::new("s", "d", &[("serial", 's'), ("delimiters", 'd')]);

/// Most files that are open at once.
const FILES_MAX: usize = 100;

pub(super) async fn paste(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let delimiters = delimiters(given.value('d').unwrap_or("\t"));
    let names = if given.operands.is_empty() { vec!["-".to_owned()] } else { given.operands.clone() };
    if names.len() > FILES_MAX {
        return Err(Stop::failed(format!("at most {FILES_MAX} files stand side by side")));
    }
    let mut inputs = Vec::new();
    for name in &names {
        inputs.push(call.shell.open_input(name)?);
    }
    if given.has('s') {
        for input in inputs {
            serial(call, &input, &delimiters).await?;
        }
    } else {
        side_by_side(call, &inputs, &delimiters).await?;
    }
    Ok(0)
}

fn delimiters(text: &str) -> Vec<String> {
    let mut delimiters = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        delimiters.push(match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => "\n".to_owned(),
                Some('t') => "\t".to_owned(),
                Some('0') => String::new(),
                Some(other) => other.to_string(),
                None => "\\".to_owned(),
            },
            (letter, false) => letter.to_string(),
        });
    }
    if delimiters.is_empty() { vec![String::new()] } else { delimiters }
}

async fn serial(call: &mut Call<'_>, input: &Input, delimiters: &[String]) -> Outcome<()> {
    let mut line = Vec::new();
    let mut number = 0;
    while input.line(&mut line).await? {
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if number > 0 {
            call.out.put(&delimiters[(number - 1) % delimiters.len()]).await?;
        }
        call.out.put(&line).await?;
        number += 1;
    }
    call.out.put("\n").await
}

async fn side_by_side(call: &mut Call<'_>, inputs: &[Input], delimiters: &[String]) -> Outcome<()> {
    let mut line = Vec::new();
    loop {
        let (mut row, mut is_any) = (Vec::new(), false);
        for (number, input) in inputs.iter().enumerate() {
            if number > 0 {
                row.extend_from_slice(delimiters[(number - 1) % delimiters.len()].as_bytes());
            }
            if input.line(&mut line).await? {
                is_any = true;
                row.extend_from_slice(super::lines::without_end(&line));
            }
        }
        if !is_any {
            return Ok(());
        }
        call.out.line(row).await?;
    }
}
