//! `comm`: what two sorted files have in common.

use super::lines::lines_of;
use super::options::Options;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new("123", "", &[]);

pub(super) async fn comm(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let [left, right] = &given.operands[..] else { return Err(Stop::failed("two files are expected")) };
    let a = call.shell.open_input(left)?.whole().await?;
    let b = call.shell.open_input(right)?.whole().await?;
    let (a, b) = (lines_of(&a), lines_of(&b));
    for (number, lines) in [(1, &a), (2, &b)] {
        if !lines.is_sorted() {
            return Err(Stop::failed(format!("file {number} is not in sorted order: `sort` it first")));
        }
    }
    let (mut at, mut of) = (0, 0);
    while at < a.len() || of < b.len() {
        let order = match (a.get(at), b.get(of)) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        let (column, line) = match order {
            std::cmp::Ordering::Less => ('1', a[at]),
            std::cmp::Ordering::Greater => ('2', b[of]),
            std::cmp::Ordering::Equal => ('3', a[at]),
        };
        at += usize::from(column != '2');
        of += usize::from(column != '1');
        if given.has(column) {
            continue;
        }
        let tabs = "12".chars().filter(|before| *before < column && !given.has(*before)).count();
        call.out.put("\t".repeat(tabs)).await?;
        call.out.line(line).await?;
    }
    Ok(0)
}
