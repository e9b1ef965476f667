//! What comes of what a call began: results of its effects, its end, its doubt and the word on that. [`Walk::step`] calls it.

use serde_json::Value;

use super::{Walk, broken};
use crate::Invariant;
use crate::body::{self, each, number, text};
use crate::call::Broken;

impl Walk {
    pub(super) fn effect_done(&mut self, body: &Value) -> Result<(), Broken> {
        let effect = body.get("effect").cloned().unwrap_or_default();
        let place = number(&effect, "number");
        let call = self.call(body)?;
        let Some(attempt) = call.attempt(number(body, "attempt")) else {
            return broken(Invariant::I6, "no such attempt is going on");
        };
        attempt.is_permitted(&effect)?;
        let Some(intent) = attempt.intents.get_mut(&place) else {
            return broken(Invariant::I5, format!("effect {place} has a result and was never announced"));
        };
        if intent.result.is_some() {
            return broken(Invariant::I6, format!("effect {place} has two results"));
        }
        intent.result = effect.get("result").cloned();
        Ok(())
    }

    pub(super) fn call_undone(&mut self, body: &Value) -> Result<(), Broken> {
        match self.call(body)?.attempt(number(body, "attempt")) {
            Some(attempt) => {
                attempt.undone = true;
                Ok(())
            }
            None => broken(Invariant::I6, "no such attempt was made"),
        }
    }

    /// A person had changes undone: each attempt that is named.
    pub(super) fn changes_undone(&mut self, body: &Value) -> Result<(), Broken> {
        for undone in body.get("attempts").and_then(Value::as_array).into_iter().flatten() {
            if let Some(attempt) = self.call(undone)?.attempt(number(undone, "attempt")) {
                attempt.undone = true;
            }
        }
        Ok(())
    }

    /// An attempt ends without outcome: it waits for a person, or the run was stopped.
    pub(super) fn tool_suspended(&mut self, body: &Value) -> Result<(), Broken> {
        let Some(attempt) = self.call(body)?.attempt(number(body, "attempt")).filter(|attempt| !attempt.interrupted)
        else {
            return broken(Invariant::I6, "no such attempt is going on");
        };
        attempt.interrupted = true;
        each(body, "effects").try_for_each(|effect| attempt.is_permitted(effect))?;
        if let Some(effect) = attempt.doubtful_send() {
            return broken(Invariant::I7, format!("the attempt is given up while write {effect} is in doubt"));
        }
        if attempt.has_changes() {
            return broken(Invariant::I4, "the attempt is given up, and its changes were not undone");
        }
        Ok(())
    }

    pub(super) fn tool_finished(&mut self, body: &Value) -> Result<(), Broken> {
        let number = number(body, "call");
        let fuel = body.pointer("/metering/fuel/exact").and_then(Value::as_u64).unwrap_or(0);
        let outcome = body.get("outcome").cloned().unwrap_or_default();
        let effects = body.get("effects").and_then(Value::as_array).cloned().unwrap_or_default();
        let call = self.call(body)?;
        if call.is_over() {
            return broken(Invariant::I6, format!("call {number} has two outcomes"));
        }
        if call.in_doubt {
            return broken(Invariant::I7, format!("call {number} is in doubt and gets an outcome"));
        }
        let (returned, faulted) = (outcome.get("returned").is_some(), outcome.get("faulted").is_some());
        let Some(attempt) = call.attempts.last() else {
            if returned {
                return broken(Invariant::I6, format!("call {number} returned and never started"));
            }
            call.outcome = Some(outcome);
            self.spent.tool_calls += 1;
            return Ok(());
        };
        if returned && attempt.interrupted {
            return broken(Invariant::I6, format!("call {number} returned from an attempt whose host had ended"));
        }
        // A call that was stopped is told of a keyed one, and nothing sends that again.
        let open = if faulted { attempt.doubtful_send() } else { attempt.open_send().map(|(effect, _)| effect) };
        if let Some(effect) = open {
            return broken(Invariant::I7, format!("call {number} gets an outcome while write {effect} is in doubt"));
        }
        if faulted && attempt.has_changes() {
            return broken(Invariant::I4, format!("call {number} faulted, and its changes were not undone"));
        }
        for effect in &effects {
            attempt.is_permitted(effect)?;
            let is_send = matches!(text(effect, "class"), "keyed_write" | "opaque_write");
            let happened = effect.pointer("/result/done").is_some();
            if is_send && happened && !attempt.intents.contains_key(&body::number(effect, "number")) {
                return broken(Invariant::I5, format!("call {number} did something that it had not announced"));
            }
        }
        call.outcome = Some(outcome);
        self.spent.tool_calls += 1;
        self.spent.fuel += fuel;
        Ok(())
    }

    pub(super) fn tool_in_doubt(&mut self, body: &Value) -> Result<(), Broken> {
        let number = number(body, "call");
        let call = self.call(body)?;
        if call.is_over() || call.attempts.is_empty() {
            return broken(Invariant::I6, "no attempt of the call could be in doubt");
        }
        call.in_doubt = true;
        if let Some(last) = call.attempts.last_mut() {
            each(body, "effects").try_for_each(|effect| last.is_permitted(effect))?;
            // Also in a host that lives: nothing of it goes on that a later resume could find.
            last.interrupted = true;
        }
        self.to_be_doubted.retain(|doubted| *doubted != number);
        Ok(())
    }

    pub(super) fn doubt_resolved(&mut self, body: &Value) -> Result<(), Broken> {
        let number = number(body, "call");
        let resolution = body.get("resolution").cloned().unwrap_or_default();
        let call = self.call(body)?;
        if !call.in_doubt {
            return broken(Invariant::I6, "the call was not in doubt");
        }
        if resolution == "unknown" {
            // Whoever was asked does not know either: it stays in doubt.
            return Ok(());
        }
        call.in_doubt = false;
        if resolution == "retry" {
            call.retries += 1;
            self.retried.push(number);
        } else {
            call.settled_by_word = true;
            call.outcome = Some(resolution);
            self.spent.tool_calls += 1;
        }
        Ok(())
    }
}
