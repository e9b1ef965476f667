//! What `head` and `tail` have in common: how much of each input is asked for, and a title above each of several.

use super::options::Options;
use crate::run::{Call, Inputs};
use crate::stop::{Outcome, Stop};
use crate::streams::Input;

const OPTIONS: Options =
    Options::new("qv", "nc", &[("lines", 'n'), ("bytes", 'c'), ("quiet", 'q'), ("silent", 'q'), ("verbose", 'v')]);

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) unit: Unit,
    pub(super) sign: Sign,
    pub(super) count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Lines,
    Bytes,
}

/// What stands before the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Nothing,
    Minus,
    Plus,
}

/// What is given where nothing is said.
const STANDARD: Asked = Asked { unit: Unit::Lines, sign: Sign::Nothing, count: 10 };

/// Gives a part of each input, as `give` does it. One of `signs` may stand before the number.
pub(super) async fn of_each(
    call: &mut Call<'_>,
    signs: &[(char, Sign)],
    give: impl AsyncFn(&mut Call<'_>, &Input, Asked) -> Outcome<()>,
) -> Outcome<u8> {
    let arguments = with_number_as_option(call.arguments, signs);
    let given = OPTIONS.read(call.name, &arguments)?;
    let asked = match given.last_of("nc") {
        None => STANDARD,
        Some(option) => asked(option, given.value(option).unwrap_or_default(), signs)?,
    };
    let mut inputs = Inputs::new(&given.operands);
    let has_titles = given.has('v') || (given.operands.len() > 1 && !given.has('q'));
    let mut number = 0;
    while let Some((name, input)) = call.next_input(&mut inputs).await? {
        if has_titles {
            call.out.put(title(number, &name)).await?;
        }
        number += 1;
        if let Err(stop) = give(call, &input, asked).await {
            inputs.status = call.tell(stop).await?;
        }
    }
    Ok(inputs.status)
}

/// What stands above each of several files.
fn title(number: usize, name: &str) -> String {
    let gap = if number == 0 { "" } else { "\n" };
    let name = if name == "-" { "standard input" } else { name };
    format!("{gap}==> {name} <==\n")
}

/// Turns the old `-5` into `-n 5`.
fn with_number_as_option(arguments: &[String], signs: &[(char, Sign)]) -> Vec<String> {
    let mut arguments = arguments.to_vec();
    if let Some(first) = arguments.first_mut() {
        let digits = signs.iter().find_map(|(sign, _)| first.strip_prefix(*sign)).unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            *first = format!("-n{}", first.strip_prefix('-').unwrap_or(first));
        }
    }
    arguments
}

fn asked(option: char, value: &str, signs: &[(char, Sign)]) -> Outcome<Asked> {
    let signed = signs.iter().find_map(|(sign, means)| Some((value.strip_prefix(*sign)?, *means)));
    let (digits, sign) = signed.unwrap_or((value, Sign::Nothing));
    let count = size(digits).ok_or_else(|| Stop::failed(format!("`-{option}` wants a number, not `{value}`")))?;
    Ok(Asked { unit: if option == 'c' { Unit::Bytes } else { Unit::Lines }, sign, count })
}

/// A count with a unit: `10`, `2k`, `1M`.
fn size(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: usize = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" => 1,
        "b" => 512,
        "kB" | "KB" => 1_000,
        "k" | "K" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(unit)
}
