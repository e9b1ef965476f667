//! `nl`: lines with numbers.

use super::lines::Lines;
use super::options::Options;
use super::regular::{Letters, Syntax, compile};
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options =
    Options::new("", "bnwsvi", &[("body-numbering", 'b'), ("number-width", 'w'), ("number-separator", 's')]);

/// Widest number.
const WIDTH_MAX: usize = 100;

pub(super) async fn nl(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let pattern = match given.value('b').unwrap_or("t") {
        "a" | "t" | "n" => None,
        other => match other.strip_prefix('p') {
            Some(expression) => Some(compile(expression, Syntax::Basic, Letters::Exact)?),
            None => return Err(Stop::failed(format!("`-b {other}` is not known; there are a t n pEXPRESSION"))),
        },
    };
    let all = given.value('b') == Some("a");
    let none = given.value('b') == Some("n");
    let width = given.number('w')?.map_or(6, |width| usize::try_from(width).unwrap_or(WIDTH_MAX).min(WIDTH_MAX));
    let step = given.number('i')?.unwrap_or(1);
    let separator = given.value('s').unwrap_or("\t").to_owned();
    let mut number = given.number('v')?.unwrap_or(1);
    let mut lines = Lines::new(&given.operands);
    let mut line = Vec::new();
    while lines.next(call, &mut line).await? {
        let is_numbered = match &pattern {
            Some(pattern) => pattern.is_match(&line),
            None => !none && (all || !line.is_empty()),
        };
        if !is_numbered {
            call.out.put(" ".repeat(width + separator.len())).await?;
            call.out.line(&line).await?;
            continue;
        }
        let shown = match given.value('n').unwrap_or("rn") {
            "ln" => format!("{number:<width$}"),
            "rz" => format!("{number:0>width$}"),
            "rn" => format!("{number:>width$}"),
            other => return Err(Stop::failed(format!("`-n {other}` is not known; there are ln rn rz"))),
        };
        call.out.put(shown).await?;
        call.out.put(&separator).await?;
        call.out.line(&line).await?;
        number = number.saturating_add(step);
    }
    Ok(lines.inputs.status)
}
