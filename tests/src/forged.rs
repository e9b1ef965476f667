//! An exported run as somebody makes one up who has no key: what it says is what he likes, and its hashes, counts and digests
//! are right. By `docs/journal.md`, and by nothing of the program under test.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A file that `journal export` wrote, to be changed.
pub struct Forged {
    run: String,
    events: Vec<Value>,
    blobs: Vec<Value>,
}

impl Forged {
    /// Reads the file.
    ///
    /// # Panics
    /// Where it is no exported run.
    #[must_use]
    pub fn of(file: &str) -> Self {
        let mut lines = file.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
        let head = lines.next().expect("a first line");
        let rest: Vec<Value> = lines.collect();
        let with = |member: &str| rest.iter().filter(|line| line.get(member).is_some()).cloned().collect();
        Self { run: head["run"].as_str().expect("a run").to_owned(), events: with("seq"), blobs: with("blob") }
    }

    /// Cuts the run off after so many events, and leaves out what only the others named. The marks stay as they are.
    #[must_use]
    pub fn cut(mut self, events: usize) -> Self {
        self.events.truncate(events);
        let bodies: Vec<_> =
            self.events.iter().map(|event| event["body"].as_str().unwrap_or_default().to_owned()).collect();
        let is_named = |blob: &Value| bodies.iter().any(|body| body.contains(blob["blob"].as_str().unwrap_or("none")));
        self.blobs.retain(is_named);
        self
    }

    /// Changes what the first event of a kind says. From then on nothing has a mark.
    ///
    /// # Panics
    /// Where there is no such event.
    #[must_use]
    pub fn with(mut self, kind: &str, change: impl FnOnce(&mut Value)) -> Self {
        let event = self.events.iter_mut().find(|event| event["kind"] == kind).expect("an event of that kind");
        let mut body = serde_json::from_str(event["body"].as_str().expect("a body")).expect("JSON");
        change(&mut body);
        event["body"] = Value::from(body.to_string());
        let mut before = [0; 32];
        for event in &mut self.events {
            before = hash(&self.run, event, &before);
            (event["hash"], event["mac"]) = (Value::from(named(&before)), Value::Null);
        }
        self
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> String {
        let (events, blobs) = (self.events.len(), self.blobs.len());
        let head = json!({ "agent-host-export": 1, "run": self.run, "events": events, "blobs": blobs });
        let lines = std::iter::once(&head).chain(&self.events).chain(&self.blobs);
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        let end = json!({ "end": named(&Sha256::digest(&text).into()) });
        format!("{text}{end}\n")
    }
}

/// The hash of an event behind the one with the hash `before`.
fn hash(run: &str, event: &Value, before: &[u8; 32]) -> [u8; 32] {
    let number = |name: &str| event[name].as_u64().unwrap_or(0).to_le_bytes();
    let text = |name: &str| event[name].as_str().unwrap_or_default().as_bytes();
    let version = u32::try_from(event["version"].as_u64().unwrap_or(0)).unwrap_or(0).to_le_bytes();
    let body = Sha256::digest(text("body"));
    let fields: [&[u8]; 9] = [
        b"agent-host journal event 1",
        before,
        run.as_bytes(),
        &number("seq"),
        &number("epoch"),
        &number("at"),
        text("kind"),
        &version,
        &body,
    ];
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}

fn named(digest: &[u8; 32]) -> String {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}
