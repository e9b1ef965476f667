//! Whether `[[ … ]]` holds. What it asks of files and numbers is what `test` asks.

use std::pin::Pin;

use crate::builtins::condition;
use crate::commands::regular::{Letters, Syntax, compile};
use crate::expand;
use crate::shell::Shell;
use crate::stop::Outcome;
use crate::syntax::Test;

pub(super) fn holds<'a>(shell: &'a mut Shell, test: &'a Test) -> Pin<Box<dyn Future<Output = Outcome<bool>> + 'a>> {
    Box::pin(async move {
        shell.deeper()?;
        let answer = answer(shell, test).await;
        shell.shallower();
        answer
    })
}

async fn answer(shell: &mut Shell, test: &Test) -> Outcome<bool> {
    Ok(match test {
        Test::Not(inner) => !holds(shell, inner).await?,
        Test::And(left, right) => holds(shell, left).await? && holds(shell, right).await?,
        Test::Or(left, right) => holds(shell, left).await? || holds(shell, right).await?,
        Test::Unary(operator, word) => {
            let operand = expand::text(shell, word).await?;
            condition::unary(shell, operator, &operand)?
        }
        Test::Binary(left, operator, right) => {
            let left = expand::text(shell, left).await?;
            match operator.as_str() {
                "==" | "=" => expand::pattern(shell, right).await?.matches(&left),
                "!=" => !expand::pattern(shell, right).await?.matches(&left),
                "=~" => {
                    let expression = expand::expression(shell, right).await?;
                    compile(&expression, Syntax::Extended, Letters::Exact)?.is_match(left.as_bytes())
                }
                numbers if condition::is_about_numbers(numbers) => {
                    let right = expand::text(shell, right).await?;
                    let (left, right) = (expand::computed(shell, &left)?, expand::computed(shell, &right)?);
                    condition::of_numbers(left, numbers, right)
                }
                _ => {
                    let right = expand::text(shell, right).await?;
                    condition::binary(shell, &left, operator, &right)?
                }
            }
        }
    })
}
