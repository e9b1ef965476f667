//! Goes through the events of one run in their order and says where one of them breaks a promise. What is left of the run is
//! what others are compared with. `outcomes` is what comes of what a call began.

mod outcomes;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::body::{Adopted, Holder, Started, Widened, digest_of, is_kept, number, text, unreadable};
use crate::call::{Announced, Broken, Call, Intent, Question};
use crate::evidence::Spent;
use crate::file::{Blobs, Event, Run};
use crate::fuel::Fuel;
use crate::{Invariant, Violation};

/// What may follow a stop: a host that takes the run up, a person's word, what is about the record.
const AFTER_A_STOP: [&str; 8] = [
    "RunResumed",
    "DoubtResolved",
    "ApprovalDecided",
    "RunRebased",
    "RunAdopted",
    "HeadSigned",
    "PathsMarked",
    "ChangesUndone",
];

/// How a run stopped, and what it had used by then.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) reason: String,
    pub(crate) answer: Option<String>,
    pub(crate) spent: Spent,
}

/// What the events of a run add up to.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) run: String,
    /// Each event's hash and epoch.
    pub(crate) seen: Vec<([u8; 32], u64)>,
    /// The model's replies: text and calls.
    pub(crate) replies: Vec<Value>,
    pub(crate) calls: BTreeMap<u64, Call>,
    /// Each stop, in order.
    pub(crate) stops: Vec<Stop>,
    pub(crate) spent: Spent,
    /// Bytes of its events and of the blobs that only they name.
    pub(crate) event_bytes: u64,
    asked: bool,
    ended: bool,
    /// By a tool's wire name: the digest of what it may do now.
    authorities: BTreeMap<String, String>,
    /// Calls whose interrupted write may have happened and that are not yet in doubt.
    to_be_doubted: Vec<u64>,
    retried: Vec<u64>,
    fuel_of: BTreeMap<u64, Fuel>,
}

/// Walks through a run. Stops at the first event that cannot be understood.
pub(crate) fn walk(run: &Run, blobs: &Blobs) -> (Walk, Vec<Violation>) {
    let mut walk = Walk { run: run.id.clone(), ..Walk::default() };
    let mut found = Vec::new();
    let mut epoch = 0;
    for event in &run.events {
        let at = |(invariant, what): Broken| Violation {
            invariant,
            run: run.id.clone(),
            seq: Some(event.seq),
            what: format!("`{}`: {what}", event.kind),
        };
        if event.epoch < epoch {
            found.push(at((Invariant::I8, format!("epoch {} after epoch {epoch}", event.epoch))));
        }
        if event.epoch > epoch && epoch > 0 && !may_begin_epoch(&event.kind) {
            found.push(at((Invariant::I8, "an epoch begins with it, and not with who took the run over".to_owned())));
        }
        epoch = event.epoch.max(epoch);
        walk.seen.push((event.hash, event.epoch));
        walk.event_bytes += event.body.len() as u64 + 192;
        let body: Value = match serde_json::from_str(&event.body) {
            Ok(body) => body,
            Err(error) => {
                found.push(at((Invariant::I9, format!("its body is not JSON: {error}"))));
                break;
            }
        };
        if let Err(broken) = walk.step(event, &body, blobs) {
            found.push(at(broken));
        }
    }
    (walk, found)
}

/// What the first event under a new lease can be: who takes a run over says so, or records a person's word.
fn may_begin_epoch(kind: &str) -> bool {
    kind == "RunStarted" || AFTER_A_STOP.contains(&kind)
}

/// What is announced, without the digest of all of it: that has the name in it by which runs are told apart.
fn comparable(class: &str, request: &Value) -> Value {
    let mut request = request.clone();
    if let Some(http) = request.get_mut("http").and_then(Value::as_object_mut) {
        http.remove("digest");
    }
    serde_json::json!({ "class": class, "request": request })
}

fn broken<T>(invariant: Invariant, what: impl Into<String>) -> Result<T, Broken> {
    Err((invariant, what.into()))
}

impl Walk {
    /// How the run stopped, if it has and was not taken up again.
    pub(crate) fn stopped(&self) -> Option<&Stop> {
        self.stops.last().filter(|_| self.ended)
    }

    /// The calls in doubt, each with the URLs of what it had announced.
    pub(crate) fn in_doubt(&self) -> Vec<(u64, Vec<String>)> {
        let urls = |call: &Call| call.sends.values().map(|send| send.url.clone()).collect();
        let in_doubt = self.calls.iter().filter(|(_, call)| call.in_doubt);
        in_doubt.map(|(number, call)| (*number, urls(call))).collect()
    }

    /// The calls of which a person was asked something and has not answered.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let waiting = self.calls.iter().filter(|(_, call)| call.waits_for_an_answer());
        waiting.map(|(number, _)| *number).collect()
    }

    fn step(&mut self, event: &Event, body: &Value, blobs: &Blobs) -> Result<(), Broken> {
        if event.seq == 1 && event.kind != "RunStarted" {
            return broken(Invariant::I6, "a run begins with `RunStarted`");
        }
        if self.ended && !AFTER_A_STOP.contains(&event.kind.as_str()) {
            return broken(Invariant::I6, "the run had stopped");
        }
        match event.kind.as_str() {
            "RunStarted" => self.run_started(event, body, blobs),
            "ModelRequested" => self.model_requested(body),
            "ModelReplied" => self.model_replied(body),
            "ModelFailed" => {
                self.asked = false;
                Ok(())
            }
            "ToolProposed" => {
                // A client asks: there is no reply that would.
                self.calls.insert(self.calls.len() as u64 + 1, Call::new(body, self.replies.len()));
                Ok(())
            }
            "ApprovalRequested" => self.approval_requested(body),
            "ApprovalDecided" => {
                let approved = body.pointer("/answer/approved").is_some();
                self.call(body)?.answer(text(body, "digest"), approved, event.at)
            }
            "GrantWidened" => {
                let widened: Widened = serde_json::from_str(&event.body).map_err(unreadable)?;
                self.authorities.insert(widened.tool, digest_of(widened.authority));
                Ok(())
            }
            "EffectPermitted" => self.effect_permitted(body),
            "ToolStarted" => self.tool_started(event.at, body),
            "FuelTaken" => self.fuel_taken(body),
            "EffectIntended" => self.effect_intended(event.at, body, blobs),
            "EffectDone" => self.effect_done(body),
            "CallUndone" => self.call_undone(body),
            "ToolSuspended" => self.tool_suspended(body),
            "ToolFinished" => self.tool_finished(body),
            "ToolInDoubt" => self.tool_in_doubt(body),
            "DoubtResolved" => self.doubt_resolved(body),
            "RunRebased" => self.take_tools(event, body, blobs),
            "ChangesUndone" => self.changes_undone(body),
            // About paths, which the host alone follows; about the record, and not about the run.
            "PathsMarked" | "HeadSigned" => Ok(()),
            "RunAdopted" => self.run_adopted(event),
            "RunResumed" => self.run_resumed(body),
            "RunEnded" => self.run_ended(body),
            unknown => broken(Invariant::I9, format!("there is no such kind of event: {unknown}")),
        }
    }

    fn call(&mut self, body: &Value) -> Result<&mut Call, Broken> {
        let number = number(body, "call");
        self.calls.get_mut(&number).ok_or_else(|| (Invariant::I6, format!("no reply asked for call {number}")))
    }

    fn run_started(&mut self, event: &Event, body: &Value, blobs: &Blobs) -> Result<(), Broken> {
        if event.seq != 1 {
            return broken(Invariant::I6, "a run begins once");
        }
        self.take_tools(event, body, blobs)
    }

    /// The tools of the run from now on.
    fn take_tools(&mut self, event: &Event, whole: &Value, blobs: &Blobs) -> Result<(), Broken> {
        let started: Started = serde_json::from_str(&event.body).map_err(unreadable)?;
        self.authorities.clear();
        for (tool, place) in started.tools.iter().zip(0..) {
            let name = text(&tool.descriptor, "name").replacen('.', "__", 1);
            self.authorities.insert(name, digest_of(tool.authority));
            let component = whole.pointer(&format!("/tools/{place}/component")).and_then(Value::as_str);
            if !component.is_some_and(|digest| is_kept(blobs, digest)) {
                return broken(Invariant::I9, "the component that a tool is pinned to is not kept");
            }
        }
        Ok(())
    }

    /// What the tools hold from now on. No approval of before counts any more.
    fn run_adopted(&mut self, event: &Event) -> Result<(), Broken> {
        let adopted: Adopted<'_> = serde_json::from_str(&event.body).map_err(unreadable)?;
        for authority in adopted.authorities {
            let holder: Holder = serde_json::from_str(authority.get()).map_err(unreadable)?;
            self.authorities.insert(holder.tool.replacen('.', "__", 1), digest_of(authority));
        }
        self.calls.values_mut().for_each(Call::forget_approvals);
        Ok(())
    }

    fn model_requested(&mut self, body: &Value) -> Result<(), Broken> {
        self.nothing_undoubted()?;
        let (turn, next) = (number(body, "turn"), self.replies.len() as u64 + 1);
        if turn != next {
            return broken(Invariant::I3, format!("the model is asked for reply {turn}, and {next} is the next"));
        }
        if let Some((number, _)) = self.calls.iter().find(|(_, call)| !call.is_over()) {
            return broken(Invariant::I3, format!("the model is asked while call {number} has no outcome"));
        }
        self.asked = true;
        Ok(())
    }

    fn model_replied(&mut self, body: &Value) -> Result<(), Broken> {
        let (turn, next) = (number(body, "turn"), self.replies.len() as u64 + 1);
        if turn != next || !self.asked {
            return broken(Invariant::I6, format!("reply {turn} was not asked for"));
        }
        self.asked = false;
        let reply = body.get("reply").cloned().unwrap_or_default();
        let calls = reply.get("calls").and_then(Value::as_array).cloned().unwrap_or_default();
        for proposed in &calls {
            self.calls.insert(self.calls.len() as u64 + 1, Call::new(proposed, self.replies.len() + 1));
        }
        self.spent.turns += 1;
        let used = |name| reply.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
        self.spent.input_tokens += used("input");
        self.spent.output_tokens += used("output");
        self.replies.push(serde_json::json!({ "text": reply.get("text"), "calls": calls }));
        Ok(())
    }

    fn approval_requested(&mut self, body: &Value) -> Result<(), Broken> {
        let subject = body.get("subject").cloned().unwrap_or_default();
        let digest = text(body, "digest").to_owned();
        self.call(body)?.questions.push(Question { subject, digest, approved: None, answered_at: 0 });
        Ok(())
    }

    fn effect_permitted(&mut self, body: &Value) -> Result<(), Broken> {
        let request = body.get("request").cloned().unwrap_or_default();
        match self.call(body)?.attempt(number(body, "attempt")).filter(|attempt| !attempt.interrupted) {
            Some(attempt) => attempt.permit(number(body, "number"), request),
            None => broken(Invariant::I6, "no such attempt is going on"),
        }
    }

    fn tool_started(&mut self, at: u64, body: &Value) -> Result<(), Broken> {
        let (number, attempt) = (number(body, "call"), number(body, "attempt"));
        let continues = body.get("continues").is_some_and(|continues| !continues.is_null());
        let retried = self.retried.contains(&number);
        self.retried.retain(|retried| *retried != number);
        let tool = {
            let call = self.call(body)?;
            call.start(at, attempt, continues, retried)?;
            call.tool.clone()
        };
        let fuel = Fuel::of_start(body, self.fuel_of.get(&number));
        self.fuel_of.insert(number, fuel);
        match self.authorities.get(&tool) {
            Some(authority) if authority == text(body, "authority") => Ok(()),
            Some(_) => broken(Invariant::I11, "it runs under another authority than the run's"),
            None => broken(Invariant::I11, format!("`{tool}` is no tool of the run")),
        }
    }

    fn fuel_taken(&mut self, body: &Value) -> Result<(), Broken> {
        let going_on = self.call(body)?.attempt(number(body, "attempt")).is_some_and(|attempt| !attempt.interrupted);
        match self.fuel_of.get_mut(&number(body, "call")).filter(|_| going_on) {
            Some(fuel) => {
                fuel.take(body);
                Ok(())
            }
            None => broken(Invariant::I6, "no such attempt is going on"),
        }
    }

    fn effect_intended(&mut self, at: u64, body: &Value, blobs: &Blobs) -> Result<(), Broken> {
        let request = body.get("request").cloned().unwrap_or_default();
        let (effect, class) = (number(body, "number"), text(body, "class").to_owned());
        let call = self.call(body)?;
        call.announced.insert(effect, comparable(&class, &request));
        let going_on = call.attempt(number(body, "attempt")).filter(|attempt| !attempt.interrupted);
        let Some(attempt) = going_on else { return broken(Invariant::I6, "no such attempt is going on") };
        let repeated = attempt.intents.contains_key(&effect);
        // What is announced once more was allowed when it was announced first.
        let since = if repeated { None } else { Some(at) };
        let (by_word, intent) =
            (attempt.by_word, Intent { class: class.clone(), result: None, inherited: false, repeated });
        if attempt.intents.insert(effect, intent).is_some_and(|before| !before.may_be_repeated(by_word)) {
            return broken(Invariant::I6, format!("effect {effect} was announced before"));
        }
        attempt.undone &= class != "owned_write";
        for entry in body.get("undo").and_then(Value::as_array).into_iter().flatten() {
            let content = entry.pointer("/before/content/digest").and_then(Value::as_str);
            if content.is_some_and(|digest| !is_kept(blobs, digest)) {
                return broken(Invariant::I5, "what an undo would restore is not kept");
            }
        }
        call.effect_allowed_by_person(since, effect, &request)?;
        if let Some(http) = request.get("http") {
            if !body.get("transcript").and_then(Value::as_str).is_some_and(|digest| is_kept(blobs, digest)) {
                return broken(Invariant::I5, "the transcript that belongs to it is not kept");
            }
            let key = body.get("idempotency_key").and_then(Value::as_str).map(str::to_owned);
            if class == "keyed_write" && key.is_none() {
                return broken(Invariant::I5, "a keyed write without its key");
            }
            let (method, url) = (text(http, "method").to_owned(), text(http, "url").to_owned());
            let announced = Announced { method, url, class, key };
            let known = call.sends.entry(effect).or_insert_with(|| Announced {
                method: announced.method.clone(),
                url: announced.url.clone(),
                class: announced.class.clone(),
                key: announced.key.clone(),
            });
            if known.url == announced.url && known.key != announced.key {
                return broken(Invariant::I4, format!("effect {effect} has another key than in the attempt before"));
            }
            *known = announced;
        }
        Ok(())
    }

    fn run_resumed(&mut self, body: &Value) -> Result<(), Broken> {
        if self.stops.last().is_some_and(|stop| stop.reason == "completed") {
            return broken(Invariant::I6, "the run was complete");
        }
        // What was asked and not answered is asked again, and counts as well.
        self.spent.turns += u64::from(self.asked);
        (self.ended, self.asked) = (false, false);
        for (number, call) in self.calls.iter_mut().filter(|(_, call)| !call.is_over() && !call.in_doubt) {
            let Some(attempt) = call.attempts.last_mut().filter(|attempt| !attempt.interrupted) else { continue };
            attempt.interrupted = true;
            self.spent.fuel += self.fuel_of.get(number).map_or(0, |fuel| fuel.lost(body));
            if attempt.open_send().is_some_and(|(_, intent)| intent.class == "opaque_write") {
                self.to_be_doubted.push(*number);
            }
        }
        Ok(())
    }

    fn run_ended(&mut self, body: &Value) -> Result<(), Broken> {
        let (stop, answer) = (text(body, "stop").to_owned(), body.get("answer").and_then(Value::as_str));
        self.ended = true;
        self.stops.push(Stop { reason: stop.clone(), answer: answer.map(str::to_owned), spent: self.spent });
        let in_doubt = self.calls.values().any(|call| call.in_doubt);
        match stop.as_str() {
            "completed" => {
                if let Some((number, _)) = self.calls.iter().find(|(_, call)| !call.is_over()) {
                    return broken(Invariant::I3, format!("the run is complete, and call {number} has no outcome"));
                }
                let last = self.replies.last().and_then(|reply| reply.get("text")).and_then(Value::as_str);
                if last != answer {
                    return broken(Invariant::I3, "its answer is not what the model said last");
                }
            }
            "suspended-doubt" if !in_doubt => {
                return broken(Invariant::I7, "the run is suspended for a doubt that no call has");
            }
            _ => {}
        }
        // A host that is told to stop, or that finds no room, leaves what is under way to the resume.
        if matches!(stop.as_str(), "cancelled" | "store-full") { Ok(()) } else { self.nothing_undoubted() }
    }

    fn nothing_undoubted(&self) -> Result<(), Broken> {
        match self.to_be_doubted.first() {
            Some(number) => {
                broken(Invariant::I7, format!("the run goes on, and the doubt of call {number} is not shown"))
            }
            None => Ok(()),
        }
    }
}
