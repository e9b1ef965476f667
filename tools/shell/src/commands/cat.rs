//! `cat`: files one after the other.

use super::options::Options;
use crate::run::{Call, Inputs};
use crate::stop::Outcome;
use crate::streams::Input;

const OPTIONS: Options = Options::new(
    "nbsETAvetu",
    "",
    &[
        ("number", 'n'),
        ("number-nonblank", 'b'),
        ("squeeze-blank", 's'),
        ("show-ends", 'E'),
        ("show-tabs", 'T'),
        ("show-all", 'A'),
        ("show-nonprinting", 'v'),
    ],
);

/// Which lines get a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbered {
    None,
    All,
    Filled,
}

/// How lines are shown, and what was shown so far.
struct Shown {
    numbered: Numbered,
    squeezes: bool,
    ends: bool,
    tabs: bool,
    controls: bool,
    number: u64,
    was_blank: bool,
}

pub(super) async fn cat(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let any = |letters: &str| letters.chars().any(|letter| given.has(letter));
    let numbered = match given.last_of("nb") {
        Some('n') if !given.has('b') => Numbered::All,
        Some(_) => Numbered::Filled,
        None => Numbered::None,
    };
    let mut shown = Shown {
        numbered,
        squeezes: given.has('s'),
        ends: any("EAe"),
        tabs: any("TAt"),
        controls: any("vAet"),
        number: 0,
        was_blank: false,
    };
    let is_plain = given.options.iter().all(|(letter, _)| *letter == 'u');
    let mut inputs = Inputs::new(&given.operands);
    while let Some((name, input)) = call.next_input(&mut inputs).await? {
        if name != "-" && call.shell.is_own_output(&name) {
            call.complain(&format!("{name}: input file is output file")).await?;
            inputs.status = 1;
            continue;
        }
        if is_plain {
            while let Some(chunk) = input.chunk().await? {
                call.out.put(chunk).await?;
            }
        } else {
            lines(call, &input, &mut shown).await?;
        }
    }
    Ok(inputs.status)
}

async fn lines(call: &mut Call<'_>, input: &Input, shown: &mut Shown) -> Outcome<()> {
    let mut line = Vec::new();
    while input.line(&mut line).await? {
        let is_blank = line == b"\n";
        if shown.squeezes && is_blank && shown.was_blank {
            continue;
        }
        shown.was_blank = is_blank;
        let has_number = match shown.numbered {
            Numbered::None => false,
            Numbered::All => true,
            Numbered::Filled => !is_blank,
        };
        if has_number {
            shown.number += 1;
            let number = format!("{:>6}\t", shown.number);
            call.out.put(number).await?;
        }
        let text = shown.text(&line);
        call.out.put(text).await?;
    }
    Ok(())
}

impl Shown {
    fn text(&self, line: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(line.len());
        for &byte in line {
            match byte {
                b'\n' if self.ends => text.extend_from_slice(b"$\n"),
                b'\n' => text.push(byte),
                b'\t' if self.tabs => text.extend_from_slice(b"^I"),
                b'\t' => text.push(byte),
                _ if self.controls => visible(byte, &mut text),
                _ => text.push(byte),
            }
        }
        text
    }
}

/// A byte as `cat -v` shows it.
fn visible(byte: u8, text: &mut Vec<u8>) {
    let mut low = byte;
    if byte >= 128 {
        text.extend_from_slice(b"M-");
        low -= 128;
    }
    match low {
        127 => text.extend_from_slice(b"^?"),
        0..32 => text.extend_from_slice(&[b'^', low + 64]),
        _ => text.push(low),
    }
}
