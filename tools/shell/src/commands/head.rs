//! `head`: the first lines or bytes.

use std::collections::VecDeque;

use super::options::Options;
use crate::run::{Call, Inputs};
use crate::stop::{Outcome, Stop};
use crate::streams::Input;

const OPTIONS: Options =
    Options::new("qv", "nc", &[("lines", 'n'), ("bytes", 'c'), ("quiet", 'q'), ("silent", 'q'), ("verbose", 'v')]);

/// How much is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Lines(usize),
    Bytes(usize),
    AllButLines(usize),
    AllButBytes(usize),
}

pub(super) async fn head(call: &mut Call<'_>) -> Outcome<u8> {
    let arguments = with_number_as_option(call.arguments, &["-"]);
    let given = OPTIONS.read(call.name, &arguments)?;
    let wanted = match given.last_of("nc") {
        None => Wanted::Lines(10),
        Some(option) => wanted(option, given.value(option).unwrap_or_default())?,
    };
    let mut inputs = Inputs::new(&given.operands);
    let has_titles = given.has('v') || (given.operands.len() > 1 && !given.has('q'));
    let mut number = 0;
    while let Some((name, input)) = call.next_input(&mut inputs).await? {
        if has_titles {
            call.out.put(title(number, &name)).await?;
        }
        number += 1;
        if let Err(stop) = first(call, &input, wanted).await {
            inputs.status = call.tell(stop).await?;
        }
    }
    Ok(inputs.status)
}

/// What stands above each of several files.
pub(super) fn title(number: usize, name: &str) -> String {
    let gap = if number == 0 { "" } else { "\n" };
    let name = if name == "-" { "standard input" } else { name };
    format!("{gap}==> {name} <==\n")
}

/// Turns the old `-5` into `-n 5`.
pub(super) fn with_number_as_option(arguments: &[String], signs: &[&str]) -> Vec<String> {
    let mut arguments = arguments.to_vec();
    if let Some(first) = arguments.first_mut() {
        let digits = signs.iter().find_map(|sign| first.strip_prefix(sign)).unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            *first = format!("-n{}", first.strip_prefix('-').unwrap_or(first));
        }
    }
    arguments
}

fn wanted(option: char, value: &str) -> Outcome<Wanted> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let count = size(digits).ok_or_else(|| Stop::failed(format!("`-{option}` wants a number, not `{value}`")))?;
    Ok(match (option, value.starts_with('-')) {
        ('c', false) => Wanted::Bytes(count),
        ('c', true) => Wanted::AllButBytes(count),
        (_, false) => Wanted::Lines(count),
        (_, true) => Wanted::AllButLines(count),
    })
}

/// A count with a unit: `10`, `2k`, `1M`.
pub(super) fn size(text: &str) -> Option<usize> {
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

async fn first(call: &mut Call<'_>, input: &Input, wanted: Wanted) -> Outcome<()> {
    let mut line = Vec::new();
    match wanted {
        Wanted::Lines(count) => {
            for _ in 0..count {
                if !input.line(&mut line).await? {
                    break;
                }
                call.out.put(&line).await?;
            }
        }
        Wanted::Bytes(mut left) => {
            while left > 0 {
                let bytes = input.bytes(left.min(64 * 1024)).await?;
                if bytes.is_empty() {
                    break;
                }
                left -= bytes.len();
                call.out.put(bytes).await?;
            }
        }
        Wanted::AllButLines(count) => {
            let mut kept = VecDeque::new();
            let mut bytes = 0;
            while input.line(&mut line).await? {
                bytes += line.len();
                kept.push_back(std::mem::take(&mut line));
                if kept.len() > count
                    && let Some(oldest) = kept.pop_front()
                {
                    bytes -= oldest.len();
                    call.out.put(oldest).await?;
                }
                if bytes > crate::streams::WHOLE_BYTES_MAX {
                    return Err(crate::streams::too_much());
                }
            }
        }
        Wanted::AllButBytes(count) => {
            let whole = input.whole().await?;
            call.out.put(&whole[..whole.len().saturating_sub(count)]).await?;
        }
    }
    Ok(())
}
