//! Whether `[[ … ]]` holds. What it asks of files and numbers is what `test` asks.

use std::pin::Pin;

use regex::Regex;

use crate::builtins::condition;
use crate::expand;
use crate::shell::Shell;
use crate::stop::{Outcome, Stop};
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
                    let expression = expand::text(shell, right).await?;
                    let regex = Regex::new(&expression)
                        .map_err(|_| Stop::usage(format!("`{expression}` is not a regular expression")))?;
                    regex.is_match(&left)
                }
                _ => {
                    let right = expand::text(shell, right).await?;
                    condition::binary(shell, &left, operator, &right)?
                }
            }
        }
    })
}
