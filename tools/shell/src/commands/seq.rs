//! `seq`: numbers. `yes`: a line without end, for who reads only some of it.

use super::options::{Options, Order};
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new("w", "s", &[("equal-width", 'w'), ("separator", 's')]);

/// Digits after the point that are kept exactly.
const DECIMALS_MAX: usize = 9;

pub(super) async fn seq(call: &mut Call<'_>) -> Outcome<u8> {
    // `-1` is a number here, not an option.
    let is_negative = |word: &String| {
        word.len() > 1 && word.starts_with('-') && word[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.')
    };
    let first = call.arguments.iter().position(is_negative).unwrap_or(call.arguments.len());
    let mut given = OPTIONS.read(call.name, &call.arguments[..first])?;
    given.operands.extend_from_slice(&call.arguments[first..]);
    let (from, step, to) = match &given.operands[..] {
        [to] => ("1", "1", to.as_str()),
        [from, to] => (from.as_str(), "1", to.as_str()),
        [from, step, to] => (from.as_str(), step.as_str(), to.as_str()),
        _ => return Err(Stop::failed("one to three numbers are expected: LAST, FIRST LAST, or FIRST STEP LAST")),
    };
    let decimals =
        [from, step].iter().map(|text| text.split_once('.').map_or(0, |(_, after)| after.len())).max().unwrap_or(0);
    let scaled =
        |text: &str| scaled(text, decimals.max(text.split_once('.').map_or(0, |(_, after)| after.len())), decimals);
    let (from, step, to) = (scaled(from)?, scaled(step)?, scaled(to)?);
    if step == 0 {
        return Err(Stop::failed("the step must not be 0"));
    }
    let width = if given.has('w') { shown(from, decimals).len().max(shown(to, decimals).len()) } else { 0 };
    let separator = given.value('s').unwrap_or("\n").to_owned();
    let mut number = from;
    let mut is_first = true;
    // Ends at `to`; a longer sequence is bounded by what may be written.
    while if step > 0 { number <= to } else { number >= to } {
        if !std::mem::take(&mut is_first) {
            call.out.put(&separator).await?;
        }
        call.out.put(padded(&shown(number, decimals), width)).await?;
        let Some(next) = number.checked_add(step) else { break };
        number = next;
    }
    if !is_first {
        call.out.put("\n").await?;
    }
    Ok(0)
}

/// The number in units of its last decimal.
fn scaled(text: &str, has: usize, wanted: usize) -> Outcome<i128> {
    let wrong = || Stop::failed(format!("`{text}` is not a number"));
    let (whole, after) = text.split_once('.').unwrap_or((text, ""));
    if has > DECIMALS_MAX {
        return Err(Stop::failed(format!("`{text}` has more than {DECIMALS_MAX} decimals")));
    }
    let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let digits = whole.trim_start_matches(['-', '+']);
    if !is_plain(digits) || !is_plain(after) || (digits.is_empty() && after.is_empty()) || digits.len() > 18 {
        return Err(wrong());
    }
    let kept = &after[..after.len().min(wanted)];
    let number: i128 = format!("0{digits}{kept:0<wanted$}").parse().map_err(|_| wrong())?;
    Ok(if whole.starts_with('-') { -number } else { number })
}

fn shown(number: i128, decimals: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = decimals + 1);
    let (whole, after) = digits.split_at(digits.len() - decimals);
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{after}") }
}

fn padded(number: &str, width: usize) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    format!("{sign}{digits:0>width$}", width = width.saturating_sub(sign.len()))
}

pub(super) async fn yes(call: &mut Call<'_>) -> Outcome<u8> {
    const NO_OPTIONS: Options = Options { flags: "", values: "", long: &[], order: Order::Any };
    let given = call.options(&NO_OPTIONS)?;
    let line = if given.operands.is_empty() { "y".to_owned() } else { given.operands.join(" ") };
    // Ends when nobody reads any more, or at the bound of what is written.
    loop {
        call.out.line(&line).await?;
    }
}
