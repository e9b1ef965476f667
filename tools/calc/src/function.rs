//! The functions an expression may call.

use std::cmp::Ordering;

use crate::number::{NoNumber, Number};

/// All of them, for errors.
pub(crate) const NAMES: &str = "abs, ceil, floor, max, mean, min, round, sqrt, sum, trunc";

/// Calls a function. There is at least one argument.
pub(crate) fn call(name: &str, arguments: &[Number]) -> Result<Number, String> {
    let text = |problem: NoNumber| problem.to_string();
    match name {
        "abs" => one(name, arguments).map(Number::absolute),
        "ceil" => one(name, arguments).map(Number::ceiled),
        "floor" => one(name, arguments).map(Number::floored),
        "trunc" => one(name, arguments).map(Number::truncated),
        "sqrt" => one(name, arguments)?.root().map_err(text),
        "round" => round(arguments),
        "min" => Ok(extreme(arguments, Ordering::Less)),
        "max" => Ok(extreme(arguments, Ordering::Greater)),
        "sum" => sum(arguments).map_err(text),
        "mean" => sum(arguments).and_then(|sum| sum.divide(&Number::from_count(arguments.len()))).map_err(text),
        _ => Err(format!("there is no function `{name}`: {NAMES}")),
    }
}

fn one<'a>(name: &str, arguments: &'a [Number]) -> Result<&'a Number, String> {
    match arguments {
        [only] => Ok(only),
        several => Err(format!("`{name}` takes 1 argument, not {}", several.len())),
    }
}

fn round(arguments: &[Number]) -> Result<Number, String> {
    let (number, places) = match arguments {
        [number] => (number, 0),
        [number, places] => (number, places.to_i32().ok_or("the digits of `round` must be a small whole number")?),
        several => return Err(format!("`round` takes 1 or 2 arguments, not {}", several.len())),
    };
    number.rounded(places).map_err(|problem| problem.to_string())
}

fn extreme(arguments: &[Number], wanted: Ordering) -> Number {
    let mut best = &arguments[0];
    for argument in arguments {
        if argument.compare(best) == wanted {
            best = argument;
        }
    }
    best.clone()
}

fn sum(arguments: &[Number]) -> Result<Number, NoNumber> {
    arguments.iter().try_fold(Number::from_count(0), |sum, argument| sum.add(argument))
}
