//! What an attempt is charged whose host was killed: what it had taken of its fuel, if nothing that was written can be lost, else
//! all of it.

use serde_json::Value;

use crate::body::number;

/// What an attempt has before it says so.
const FIRST: u64 = 1_000_000_000;

/// The fuel of the last attempt of a call.
#[derive(Debug)]
pub(crate) struct Fuel {
    limit: u64,
    taken: u64,
    boot: Option<u64>,
}

impl Fuel {
    /// Of an attempt that starts; one that continues another takes what that had taken.
    pub(crate) fn of_start(body: &Value, before: Option<&Self>) -> Self {
        let continues = body.get("continues").is_some_and(|continues| !continues.is_null());
        let taken = before.filter(|_| continues).map_or(FIRST, |before| before.taken);
        Self { limit: number(body, "fuel"), taken, boot: boot(body) }
    }

    /// It takes more.
    pub(crate) fn take(&mut self, body: &Value) {
        self.taken = self.taken.max(number(body, "fuel"));
    }

    /// What is lost with its host.
    pub(crate) fn lost(&self, resumed: &Value) -> u64 {
        let nothing_is_lost = self.boot.is_some() && self.boot == boot(resumed);
        if nothing_is_lost { self.taken.min(self.limit) } else { self.limit }
    }
}

fn boot(body: &Value) -> Option<u64> {
    body.get("boot").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_killed_attempt_is_charged_what_it_took() {
        let resumed = json!({"boot": 1});
        let mut fuel = Fuel::of_start(&json!({"fuel": 8 * FIRST, "boot": 1}), None);
        assert_eq!(fuel.lost(&resumed), FIRST);
        fuel.take(&json!({"fuel": 3 * FIRST}));
        fuel.take(&json!({"fuel": 2 * FIRST}));
        let after = |resumed| fuel.lost(&resumed);
        assert_eq!([after(resumed), after(json!({"boot": 2})), after(json!({}))], [3 * FIRST, 8 * FIRST, 8 * FIRST]);
        let continuing = Fuel::of_start(&json!({"fuel": 8 * FIRST, "boot": 1, "continues": 1}), Some(&fuel));
        let anew = Fuel::of_start(&json!({"fuel": 5, "boot": 1, "continues": null}), Some(&fuel));
        assert_eq!([&continuing, &anew].map(|fuel| fuel.lost(&json!({"boot": 1}))), [3 * FIRST, 5]);
    }
}
