//! Compares a journal with what others know: the client that was told things, and the counter that was reached.

use std::collections::BTreeMap;

use crate::evidence::{Ack, Evidence, Hit, Spent};
use crate::walk::Walk;
use crate::{Invariant, Violation};

/// How long a run that nobody disturbs may take to its end or to a suspension.
const SETTLE_MS_MAX: u64 = 30_000;

pub(crate) fn compare(walks: &[&Walk], evidence: &Evidence, found: &mut Vec<Violation>) {
    let by_run: BTreeMap<&str, &Walk> = walks.iter().map(|walk| (walk.run.as_str(), *walk)).collect();
    let mut told: BTreeMap<&str, Spent> = BTreeMap::new();
    for ack in &evidence.acks {
        let result = match ack {
            Ack::Seen { run, seq, hash, epoch } => seen(&by_run, run, *seq, hash, *epoch),
            Ack::Ended { run, stop, answer, spent } => {
                ended(&by_run, run, stop, answer.as_deref(), spent).and_then(|()| never_less(&mut told, run, spent))
            }
            Ack::Restarted { run, took_ms, settled } => in_time(run, *took_ms, *settled),
        };
        found.extend(result.err());
    }
    if let Some(hits) = &evidence.hits {
        intents(walks, hits, found);
    }
}

fn broken(invariant: Invariant, run: &str, seq: Option<u64>, what: String) -> Violation {
    Violation { invariant, run: run.to_owned(), seq, what }
}

fn seen(walks: &BTreeMap<&str, &Walk>, run: &str, seq: u64, hash: &str, epoch: u64) -> Result<(), Violation> {
    let lost = |what: &str| broken(Invariant::I1, run, Some(seq), what.to_owned());
    let walk = walks.get(run).ok_or_else(|| lost("the run is gone"))?;
    let place = usize::try_from(seq).ok().and_then(|seq| seq.checked_sub(1));
    let (found, at) = place.and_then(|place| walk.seen.get(place)).ok_or_else(|| lost("the event is gone"))?;
    if hex::encode(found) != hash {
        return Err(lost("another event stands in the place of one that a client has seen"));
    }
    if *at != epoch {
        return Err(broken(Invariant::I8, run, Some(seq), format!("its epoch was {epoch} and is {at}")));
    }
    Ok(())
}

fn ended(
    walks: &BTreeMap<&str, &Walk>,
    run: &str,
    stop: &str,
    answer: Option<&str>,
    spent: &Spent,
) -> Result<(), Violation> {
    let walk = walks.get(run).ok_or_else(|| broken(Invariant::I1, run, None, "the run is gone".to_owned()))?;
    let recorded = walk.stops.iter().find(|told| told.reason == stop && told.answer.as_deref() == answer);
    let Some(first) = recorded else {
        let what = format!("a client was told that the run ended with `{stop}`, and the journal does not know");
        return Err(broken(Invariant::I1, run, None, what));
    };
    if let Some(what) = less_in(&walk.spent, spent) {
        return Err(broken(Invariant::I10, run, None, format!("a client was told of more {what} than there were")));
    }
    // A host that took the run over and forgot what it had used.
    match less_in(spent, &first.spent) {
        Some(what) => {
            Err(broken(Invariant::I10, run, None, format!("a client was told of less {what} than the run had used")))
        }
        None => Ok(()),
    }
}

fn never_less<'a>(told: &mut BTreeMap<&'a str, Spent>, run: &'a str, spent: &Spent) -> Result<(), Violation> {
    let before = told.insert(run, *spent).unwrap_or_default();
    match less_in(spent, &before).or((spent.fuel < before.fuel).then_some("fuel")) {
        Some(what) => {
            Err(broken(Invariant::I10, run, None, format!("less {what} is used than a client was told before")))
        }
        None => Ok(()),
    }
}

/// In what `now` is less than `before`. The fuel of an attempt that was cut off is charged as its limit, which a journal need
/// not spell out: it is compared from what a client was told alone.
fn less_in(now: &Spent, before: &Spent) -> Option<&'static str> {
    let pairs = [
        ("turns", now.turns, before.turns),
        ("tool calls", now.tool_calls, before.tool_calls),
        ("input tokens", now.input_tokens, before.input_tokens),
        ("output tokens", now.output_tokens, before.output_tokens),
    ];
    pairs.into_iter().find(|(_, now, before)| now < before).map(|(name, ..)| name)
}

fn in_time(run: &str, took_ms: u64, settled: bool) -> Result<(), Violation> {
    if settled && took_ms <= SETTLE_MS_MAX {
        return Ok(());
    }
    let how = if settled { "ended only" } else { "had neither ended nor been suspended" };
    Err(broken(Invariant::I12, run, None, format!("it {how} {took_ms} ms after its host was started again")))
}

/// What may have reached the counter under one method and URL.
#[derive(Default)]
struct Allowed<'w> {
    run: &'w str,
    /// How often at most where nothing deduplicates.
    opaque: u64,
    keys: Vec<&'w str>,
}

fn intents(walks: &[&Walk], hits: &[Hit], found: &mut Vec<Violation>) {
    let mut allowed: BTreeMap<(&str, &str), Allowed<'_>> = BTreeMap::new();
    for walk in walks {
        for call in walk.calls.values() {
            for send in call.sends.values() {
                let entry = allowed.entry((&send.method, &send.url)).or_default();
                entry.run = &walk.run;
                match &send.key {
                    Some(key) => entry.keys.push(key),
                    None => entry.opaque += 1 + call.retries,
                }
            }
        }
    }
    let mut counted: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut acted: BTreeMap<&str, u64> = BTreeMap::new();
    for hit in hits.iter().filter(|hit| !matches!(hit.method.as_str(), "GET" | "HEAD" | "OPTIONS")) {
        let place = (hit.method.as_str(), hit.url.as_str());
        let Some(allowed) = allowed.get(&place) else {
            let what = format!("{} {} reached the counter, and no run had announced it", hit.method, hit.url);
            found.push(broken(Invariant::I5, "", None, what));
            continue;
        };
        if let Some(key) = &hit.key {
            if !allowed.keys.contains(&key.as_str()) {
                let what = format!("{} {} came with a key that no run had announced", hit.method, hit.url);
                found.push(broken(Invariant::I5, allowed.run, None, what));
            }
            let acted = acted.entry(key).or_default();
            *acted += u64::from(hit.acted);
            if *acted > 1 {
                let what = format!("{} {} acted twice under one key", hit.method, hit.url);
                found.push(broken(Invariant::I4, allowed.run, None, what));
            }
            continue;
        }
        let count = counted.entry(place).or_default();
        *count += 1;
        if *count > allowed.opaque {
            let what = format!("{} {} happened {count} times, {} allowed", hit.method, hit.url, allowed.opaque);
            found.push(broken(Invariant::I4, allowed.run, None, what));
        }
    }
}
