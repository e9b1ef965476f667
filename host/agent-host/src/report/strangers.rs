//! Runs that a stranger made up. Their chain may be right, since it needs no key, and their events may say anything: whatever that is, it is
//! refused or taken without stopping the host, and what a person reads of it does nothing to a terminal.

use agent_core::event::{Event, Recorded, VERSION};
use agent_core::state::State;
use agent_core::trace::Content;
use agent_core::trace::projection::Projection;
use agent_core::trace::totals::Totals;
use agent_core::units::UnixMillis;
use agent_core::{file_changes, machine, settled};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::run::{self, Detail, Known};
use super::{changes, json as scripts, samples, spans, vouching, waiting, waterfall};
use crate::journal::runs::RunStatus;

/// Changes of one run. With more, hardly any event follows on another.
const EDITS_MAX: usize = 8;

/// Numbers that sums and differences go wrong with.
const NUMBERS: [u64; 6] = [0, 1, u32::MAX as u64, i64::MAX as u64, u64::MAX - 1, u64::MAX];

/// An event as a stranger writes it.
#[derive(Debug, Clone)]
struct Told {
    epoch: u64,
    at: u64,
    kind: &'static str,
    body: Value,
}

/// What a stranger changes of a run that happened.
#[derive(Debug, Clone)]
enum Edit {
    Remove(Index),
    Repeat(Index, Index),
    Exchange(Index, Index),
    Epoch(Index, u64),
    Time(Index, u64),
    /// Something that an event says, by its place in it.
    Word(Index, Index, Value),
    /// The same, as it stands in another place of the run.
    Borrowed(Index, Index, (Index, Index)),
}

fn number() -> impl Strategy<Value = u64> {
    prop::sample::select(NUMBERS.to_vec())
}

fn word() -> impl Strategy<Value = Value> {
    let texts = ["", "\u{1b}[2J\u{9b}0m\u{202e}\u{e0041}\r\n", "../../etc/passwd", "orders__notify", "retry"];
    prop_oneof![
        number().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        (0..50_usize).prop_map(|half| "\u{200b}\u{1b}".repeat(half * half).into()),
        prop::sample::select(vec![json!(null), json!(true), json!([]), json!({}), json!(-1), json!(1e300)]),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<Index>;
    prop_oneof![
        1 => place().prop_map(Edit::Remove),
        1 => (place(), place()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        1 => (place(), place()).prop_map(|(one, other)| Edit::Exchange(one, other)),
        1 => (place(), number()).prop_map(|(event, epoch)| Edit::Epoch(event, epoch)),
        1 => (place(), number()).prop_map(|(event, at)| Edit::Time(event, at)),
        6 => (place(), place(), word()).prop_map(|(event, at, word)| Edit::Word(event, at, word)),
        3 => (place(), place(), (place(), place())).prop_map(|(event, at, from)| Edit::Borrowed(event, at, from)),
    ]
}

impl Edit {
    fn make(&self, told: &mut Vec<Told>) {
        let count = told.len();
        match self {
            Self::Remove(event) if count > 1 => drop(told.remove(event.index(count))),
            Self::Remove(_) => {}
            Self::Repeat(from, to) => told.insert(to.index(count + 1), told[from.index(count)].clone()),
            Self::Exchange(one, other) => told.swap(one.index(count), other.index(count)),
            Self::Epoch(event, epoch) => told[event.index(count)].epoch = *epoch,
            Self::Time(event, at) => told[event.index(count)].at = *at,
            Self::Word(event, at, word) => change(&mut told[event.index(count)].body, at, word.clone()),
            Self::Borrowed(event, at, (from, there)) => {
                let mut from = told[from.index(count)].body.clone();
                let mut place = there.index(words(&from));
                let word = word_at(&mut from, &mut place).map(|word| word.take());
                change(&mut told[event.index(count)].body, at, word.unwrap_or_default());
            }
        }
    }
}

fn change(body: &mut Value, at: &Index, word: Value) {
    let mut place = at.index(words(body));
    if let Some(found) = word_at(body, &mut place) {
        *found = word;
    }
}

/// How many things a body says: those of its members that have no members.
fn words(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(words).sum(),
        Value::Object(members) if !members.is_empty() => members.values().map(words).sum(),
        _ => 1,
    }
}

/// The one after `before` others.
fn word_at<'v>(value: &'v mut Value, before: &mut usize) -> Option<&'v mut Value> {
    let has_members = value.as_array().is_some_and(|items| !items.is_empty())
        || value.as_object().is_some_and(|members| !members.is_empty());
    if !has_members && *before == 0 {
        return Some(value);
    }
    match value {
        Value::Array(items) if has_members => items.iter_mut().find_map(|item| word_at(item, before)),
        Value::Object(members) if has_members => members.values_mut().find_map(|item| word_at(item, before)),
        _ => {
            *before -= 1;
            None
        }
    }
}

fn told(recorded: &Recorded) -> Told {
    let body = serde_json::from_str(&recorded.event.to_body().unwrap()).unwrap();
    Told { epoch: recorded.epoch, at: recorded.at.0, kind: recorded.event.kind(), body }
}

/// The run as far as its events can be read, and follow on each other: those that do not are left out, as by a stranger who tries again.
fn taken(told: &[Told]) -> Option<(State, Vec<Recorded>)> {
    let (mut state, mut events): (Option<State>, Vec<Recorded>) = (None, Vec::new());
    for Told { epoch, at, kind, body } in told {
        let Ok(event) = Event::from_stored(kind, VERSION, &body.to_string()) else { continue };
        let (run, seq) = (samples::run_id(1), events.len() as u64 + 1);
        let next = Recorded { run, seq, epoch: *epoch, at: UnixMillis(*at), event };
        let followed = match &state {
            None => State::begin(&next).ok(),
            Some(state) => {
                let mut state = state.clone();
                state.apply(&next).is_ok().then_some(state)
            }
        };
        if let Some(followed) = followed {
            state = Some(followed);
            events.push(next);
        }
    }
    state.map(|state| (state, events))
}

/// Whatever is written of the run for a person or a script.
fn read(state: &State, events: &[Recorded]) -> Vec<String> {
    let mut projection = Projection::new(Content::Captured);
    let mut ended: Vec<_> = events.iter().flat_map(|event| projection.follow(event, None)).collect();
    ended.extend(projection.interrupted());
    let mut totals = Totals::default();
    ended.iter().for_each(|span| totals.count(span));
    let started = events[0].at;
    let known = Known { state, status: RunStatus::Interrupted, started, hardening: &state.started.hardening };
    let all = || events.iter().cloned().map(Ok);
    let mut pages = vec![
        printed(|out| run::write(&known, all(), &TimeZone::UTC, Detail::Effects, out)),
        printed(|out| Ok(waterfall::write(&ended, 80, waterfall::Effects::All, out)?)),
        printed(|out| Ok(spans::write(&ended, out)?)),
        printed(|out| Ok(events.iter().try_for_each(|event| scripts::write_event(event, out))?)),
        printed(|out| Ok(waiting::write(&waiting::of_run(state), state.run.as_str(), "  waits  ", out)?)),
    ];
    if let Ok(told) = file_changes::of_run(events) {
        pages.push(printed(|out| {
            let mut listing = changes::Listing::begin(changes::Form::Text, out)?;
            told.attempts.iter().try_for_each(|attempt| listing.add(attempt))?;
            listing.end()?;
            Ok(())
        }));
    }
    pages.extend(vouching::lines(state, events).into_iter().map(|lines| lines.join("\n")));
    pages
}

fn printed(print: impl FnOnce(&mut dyn std::io::Write) -> anyhow::Result<()>) -> String {
    let mut out = Vec::new();
    print(&mut out).unwrap();
    // Only the styles that are our own are taken out: what a stranger wrote is held against the text as it is.
    let text = String::from_utf8(out).unwrap();
    let (mut plain, mut rest) = (String::new(), text.as_str());
    while let Some((before, style)) = rest.split_once("\u{1b}[") {
        plain += before;
        let end = style.find('m').filter(|end| style[..*end].chars().all(|c| c.is_ascii_digit() || c == ';'));
        rest = end.map_or("\u{1b} is no style of ours", |end| &style[end + 1..]);
    }
    plain + rest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_stranger_says_is_taken_or_refused_and_safe_to_read(
        writes in any::<bool>(),
        edits in prop::collection::vec(edit(), 1..=EDITS_MAX),
    ) {
        let happened = if writes { samples::writing() } else { samples::recorded() };
        let mut run: Vec<_> = happened.iter().map(told).collect();
        edits.iter().for_each(|edit| edit.make(&mut run));
        if let Some((state, events)) = taken(&run) {
            let _ = (machine::next(&state), settled::fork_points(&events));
            for page in read(&state, &events) {
                let acts = page.chars().find(|c| *c != '\n' && agent_core::hidden::is_hidden(*c));
                prop_assert_eq!(acts, None, "{}", page);
            }
        }
    }
}

#[test]
fn a_run_that_happened_is_taken_whole() {
    for happened in [samples::recorded(), samples::writing()] {
        let (state, events) = taken(&happened.iter().map(told).collect::<Vec<_>>()).unwrap();
        assert_eq!((events.len(), state.seq), (happened.len(), happened.len() as u64));
        assert!(read(&state, &events)[..4].iter().all(|page| !page.is_empty()));
    }
}
