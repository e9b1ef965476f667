//! `head`: the first lines or bytes, or all but the last.

use std::collections::VecDeque;

use super::part::{self, Asked, Sign, Unit};
use crate::run::Call;
use crate::stop::Outcome;
use crate::streams::{Input, WHOLE_BYTES_MAX, too_much};

pub(super) async fn head(call: &mut Call<'_>) -> Outcome<u8> {
    part::of_each(call, &[('-', Sign::Minus)], first).await
}

async fn first(call: &mut Call<'_>, input: &Input, asked: Asked) -> Outcome<()> {
    let mut line = Vec::new();
    let Asked { unit, sign, count } = asked;
    match (unit, sign) {
        (Unit::Lines, Sign::Nothing | Sign::Plus) => {
            for _ in 0..count {
                if !input.line(&mut line).await? {
                    break;
                }
                call.out.put(&line).await?;
            }
        }
        (Unit::Bytes, Sign::Nothing | Sign::Plus) => {
            let mut left = count;
            while left > 0 {
                let bytes = input.bytes(left.min(64 * 1024)).await?;
                if bytes.is_empty() {
                    break;
                }
                left -= bytes.len();
                call.out.put(bytes).await?;
            }
        }
        (Unit::Lines, Sign::Minus) => {
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
                if bytes > WHOLE_BYTES_MAX {
                    return Err(too_much());
                }
            }
        }
        (Unit::Bytes, Sign::Minus) => {
            let whole = input.whole().await?;
            call.out.put(&whole[..whole.len().saturating_sub(count)]).await?;
        }
    }
    Ok(())
}
