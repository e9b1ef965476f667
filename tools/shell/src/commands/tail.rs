//! `tail`: the last lines or bytes, or those from a place on.

use std::collections::VecDeque;

use super::part::{self, Asked, Sign, Unit};
use crate::run::Call;
use crate::stop::Outcome;
use crate::streams::{Input, WHOLE_BYTES_MAX, too_much};

pub(super) async fn tail(call: &mut Call<'_>) -> Outcome<u8> {
    part::of_each(call, &[('-', Sign::Minus), ('+', Sign::Plus)], last).await
}

async fn last(call: &mut Call<'_>, input: &Input, asked: Asked) -> Outcome<()> {
    let mut line = Vec::new();
    let Asked { unit, sign, count } = asked;
    match (unit, sign) {
        (Unit::Lines, Sign::Nothing | Sign::Minus) => {
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
        (Unit::Bytes, Sign::Nothing | Sign::Minus) => {
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
        (Unit::Lines, Sign::Plus) => {
            for _ in 1..count {
                if !input.line(&mut line).await? {
                    return Ok(());
                }
            }
            rest(call, input).await?;
        }
        (Unit::Bytes, Sign::Plus) => {
            let mut left = count.saturating_sub(1);
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
