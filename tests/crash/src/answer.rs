//! Compares the answer of a run that was disturbed with that of one that was not: it quotes what came of each call.

use std::fmt::Write as _;

/// What is said of a call whose host was killed as often as the machine tries it: random kills meet one so now and then.
const GIVEN_UP: &str = "the host was killed during each of 3 attempts";

/// What a request says whose host was stopped while it waited for the answer: on a busy machine that is longer than its time.
pub(crate) const TOO_LONG: &str = "it took too long";

/// What is quoted is separated so.
const BETWEEN: &str = "; ";

/// How `found` differs from `expected`: up to the first call that was given up because each attempt was killed, since what others
/// did may have needed it. `None` where it does not. What ends as `may_be` says is as good as what was expected.
pub(crate) fn difference(found: &str, expected: &str, may_be: Option<&str>) -> Option<String> {
    let (found, expected): (Vec<&str>, Vec<&str>) = (found.split(BETWEEN).collect(), expected.split(BETWEEN).collect());
    let given_up = found.iter().position(|found| found.ends_with(GIVEN_UP));
    let is_allowed = |found: &str| may_be.is_some_and(|end| found.ends_with(end));
    let pairs = found.iter().zip(&expected).take(given_up.unwrap_or(usize::MAX)).enumerate();
    let mut said = String::new();
    for (place, (found, expected)) in
        pairs.filter(|(_, (found, expected))| found != expected && !is_allowed(found)).take(3)
    {
        let _ = writeln!(said, "  quote {place}: {found}\n  instead of: {expected}");
    }
    if said.is_empty() && given_up.is_none() && found.len() != expected.len() {
        said = format!("  it quotes {} things instead of {}\n", found.len(), expected.len());
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_up_to_a_call_that_was_given_up() {
        let given_up = format!("1; stopped (interrupted): {GIVEN_UP}; no such file; 4");
        for (found, is_same) in [
            ("1; 2; 3; 4", true),
            (&given_up, true),
            (&given_up.replacen('1', "0", 1), false),
            ("1; 2; no such file; 4", false),
            ("1; 2; 3", false),
            ("1; 2; refused: it took too long; 4", false),
        ] {
            assert_eq!(difference(found, "1; 2; 3; 4", None).is_none(), is_same, "{found}");
        }
        assert_eq!(difference("1; 2; refused: it took too long; 4", "1; 2; 3; 4", Some(TOO_LONG)), None);
    }
}
