//! `tail`: the last lines or bytes, or those from a place on.

use std::collections::VecDeque;

use super::head::{size, title, with_number_as_option};
use super::options::Options;
use crate::run::{Call, Inputs};
use crate::stop::{Outcome, Stop};
use crate::streams::{Input, WHOLE_BYTES_MAX, too_much};

const OPTIONS: Options =
    Options::new("qv", "nc", &[("lines", 'n'), ("bytes", 'c'), ("quiet", 'q'), ("silent", 'q'), ("verbose", 'v')]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    LastLines(usize),
    LastBytes(usize),
    FromLine(usize),
    FromByte(usize),
}

pub(super) async fn tail(call: &mut Call<'_>) -> Outcome<u8> {
    let arguments = with_number_as_option(call.arguments, &["-", "+"]);
    let given = OPTIONS.read(call.name, &arguments)?;
    let wanted = match given.last_of("nc") {
        None => Wanted::LastLines(10),
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
        if let Err(stop) = last(call, &input, wanted).await {
            inputs.status = call.tell(stop).await?;
        }
    }
    Ok(inputs.status)
}

fn wanted(option: char, value: &str) -> Outcome<Wanted> {
    let digits = value.trim_start_matches(['-', '+']);
    let count = size(digits).ok_or_else(|| Stop::failed(format!("`-{option}` wants a number, not `{value}`")))?;
    Ok(match (option, value.starts_with('+')) {
        ('c', false) => Wanted::LastBytes(count),
        ('c', true) => Wanted::FromByte(count),
        (_, false) => Wanted::LastLines(count),
        (_, true) => Wanted::FromLine(count),
    })
}

async fn last(call: &mut Call<'_>, input: &Input, wanted: Wanted) -> Outcome<()> {
    let mut line = Vec::new();
    match wanted {
        Wanted::LastLines(count) => {
            let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
            let mut bytes = 0;
            while input.line(&mut line).await? {
                bytes += line.len();
                kept.push_back(std::mem::take(&mut line));
                if kept.len() > count {
                    bytes -= kept.pop_front().map_or(0, |oldest| oldest.len());
                }
                if bytes > WHOLE_BYTES_MAX {
                    return Err(too_much());
                }
            }
            for line in kept {
                call.out.put(line).await?;
            }
        }
        Wanted::LastBytes(count) => {
            let mut kept: Vec<u8> = Vec::new();
            while let Some(chunk) = input.chunk().await? {
                kept.extend_from_slice(&chunk);
                if kept.len() > WHOLE_BYTES_MAX.max(2 * count.min(WHOLE_BYTES_MAX)) {
                    kept.drain(..kept.len() - count.min(kept.len()));
                }
            }
            let start = kept.len().saturating_sub(count);
            call.out.put(&kept[start..]).await?;
        }
        Wanted::FromLine(first) => {
            for _ in 1..first {
                if !input.line(&mut line).await? {
                    return Ok(());
                }
            }
            rest(call, input).await?;
        }
        Wanted::FromByte(first) => {
            let mut left = first.saturating_sub(1);
            while left > 0 {
                let skipped = input.bytes(left.min(64 * 1024)).await?.len();
                if skipped == 0 {
                    return Ok(());
                }
                left -= skipped;
            }
            rest(call, input).await?;
        }
    }
    Ok(())
}

async fn rest(call: &mut Call<'_>, input: &Input) -> Outcome<()> {
    while let Some(chunk) = input.chunk().await? {
        call.out.put(chunk).await?;
    }
    Ok(())
}
