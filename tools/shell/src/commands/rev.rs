//! `rev`: each line backwards. `tac`: the lines backwards.

use super::lines::Lines;
use super::options::Options;
use crate::run::{Call, Inputs};
use crate::stop::Outcome;

const OPTIONS: Options = Options::new("", "", &[]);

pub(super) async fn rev(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let mut lines = Lines::new(&given.operands);
    let mut line = Vec::new();
    while lines.next(call, &mut line).await? {
        let turned: String = String::from_utf8_lossy(&line).chars().rev().collect();
        call.out.put(turned).await?;
        if lines.had_end {
            call.out.put("\n").await?;
        }
    }
    Ok(lines.inputs.status)
}

pub(super) async fn tac(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let mut inputs = Inputs::new(&given.operands);
    while let Some((_, input)) = call.next_input(&mut inputs).await? {
        let whole = input.whole().await?;
        for line in whole.split_inclusive(|byte| *byte == b'\n').rev() {
            call.out.put(line).await?;
        }
    }
    Ok(inputs.status)
}
