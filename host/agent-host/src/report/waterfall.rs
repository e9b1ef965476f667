//! `agent-host trace RUN`: the spans of a run as bars over time, each beneath what it is part of. Time in which nobody drove the
//! run is left out, so that a run that waited for a person over night can still be read.

use std::collections::BTreeMap;
use std::io::{self, Write};

use agent_core::trace::names::{self, Subject, note};
use agent_core::trace::{Ended, Note, Span, SpanId, Status, Value};
use agent_core::units::{Bytes, Fuel, Millis, UnixMillis};
use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{HEADING, QUIET, text};

/// The narrowest picture: below this nothing can be told apart.
const WIDTH_MIN: usize = 72;
/// The widest: longer lines are not read across.
const WIDTH_MAX: usize = 200;
/// What a picture of the usual width gives its columns; what a wider one has more, or a narrower one less, is shared out.
const WIDTH_USUAL: usize = 80;
const LABEL_WIDTH: usize = 28;
const TIME_WIDTH: usize = 8;
const DETAIL_WIDTH: usize = 19;
/// Effects of one attempt that are drawn where nobody asked for all.
const EFFECTS_SHOWN: usize = 4;
/// What stands for a text that was cut.
const CUT: char = '…';

const MODEL: Style = AnsiColor::Blue.on_default();
const TOOL: Style = AnsiColor::Green.on_default();
const EFFECT: Style = AnsiColor::Cyan.on_default();
const WRONG: Style = AnsiColor::Red.on_default();
const BROKEN: Style = AnsiColor::Yellow.on_default();

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    /// The first of each call, and those that went wrong.
    Some,
    /// All of them.
    All,
}

/// Draws the spans, `width` columns wide.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write(spans: &[Span], width: usize, effects: Effects, out: &mut dyn Write) -> io::Result<()> {
    let picture = Picture::new(spans, width, effects);
    picture.write_heading(out)?;
    picture.write_axis(out)?;
    for (index, drive) in picture.drives.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).map(|before| &picture.drives[before]) {
            picture.write_gap(before, drive, out)?;
        }
        picture.write_span(drive.span, drive, 0, out)?;
    }
    Ok(())
}

/// One drive of the run, and where on the picture it begins.
struct Drive<'s> {
    span: &'s Span,
    /// Active time before it.
    before: Millis,
}

struct Picture<'s> {
    /// By what they are part of, in the order in which they began.
    children: BTreeMap<SpanId, Vec<&'s Span>>,
    drives: Vec<Drive<'s>>,
    /// Active time of all drives.
    total: Millis,
    label: usize,
    bar: usize,
    detail: usize,
    effects: Effects,
}

/// All at once: to look for those of each span would take as many looks as there are spans, each time.
fn children(spans: &[Span]) -> BTreeMap<SpanId, Vec<&Span>> {
    let mut children: BTreeMap<SpanId, Vec<&Span>> = BTreeMap::new();
    for (parent, span) in spans.iter().filter_map(|span| Some((span.parent?, span))) {
        children.entry(parent).or_default().push(span);
    }
    let order =
        |child: &&Span| (child.start, child.number(&names::CALL), child.number(&names::EFFECT_INDEX), child.end);
    children.values_mut().for_each(|of_one| of_one.sort_by_key(order));
    children
}

impl<'s> Picture<'s> {
    fn new(spans: &'s [Span], width: usize, effects: Effects) -> Self {
        let mut roots: Vec<&Span> = spans.iter().filter(|span| span.subject == Subject::Run).collect();
        roots.sort_by_key(|span| span.number(&names::DRIVE));
        let mut total = Millis(0);
        let mut drives = Vec::new();
        for span in roots {
            drives.push(Drive { span, before: total });
            total = total.saturating_add(span.duration());
        }
        let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
        let (more, less) = (width.saturating_sub(WIDTH_USUAL), WIDTH_USUAL.saturating_sub(width));
        let (label, detail) = (LABEL_WIDTH + more / 3 - less / 4, DETAIL_WIDTH + more / 6 - less / 3);
        // Of the narrowest, nineteen cells.
        let bar = width - (label + TIME_WIDTH + detail + 3);
        Self { children: children(spans), drives, total, label, bar, detail, effects }
    }

    /// What the run is, and what it used over all its drives.
    fn write_heading(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(first), Some(last)) = (self.drives.first(), self.drives.last()) else { return Ok(()) };
        let sum = |attribute| -> u64 {
            let numbers = self.drives.iter().filter_map(|drive| drive.span.number(attribute));
            numbers.filter_map(|number| u64::try_from(number).ok()).sum()
        };
        let run = first.span.text(&names::RUN).unwrap_or_default();
        writeln!(out, "{HEADING}run {run}{HEADING:#}  {} in {}", how(last.span), self.total)?;
        let (turns, calls) = (counted(sum(&names::TURNS), "turn"), counted(sum(&names::TOOL_CALLS), "tool call"));
        let (input, output) = (sum(&names::INPUT_TOKENS), sum(&names::OUTPUT_TOKENS));
        let fuel = Fuel(sum(&names::FUEL));
        let starts = if self.drives.len() > 1 { format!(" · {} starts", self.drives.len()) } else { String::new() };
        let said = if input + output > 0 { format!(" · {}", tokens(input, output)) } else { String::new() };
        writeln!(out, "{turns} · {calls}{said} · {fuel} fuel{starts}")?;
        writeln!(out, "{QUIET}trace {}{QUIET:#}\n", first.span.trace.to_hex())
    }

    fn write_axis(&self, out: &mut dyn Write) -> io::Result<()> {
        let (from, to) = ("0", self.total.to_string());
        let middle = Millis(self.total.0 / 2).to_string();
        let mut line = vec![' '; self.bar];
        let mut put = |at: usize, text: &str| {
            for (place, c) in line.iter_mut().skip(at).zip(text.chars()) {
                *place = c;
            }
        };
        put(0, from);
        if self.total.0 > 1 && self.bar > 2 * (to.len() + middle.len()) {
            put((self.bar - middle.len()) / 2, &middle);
        }
        put(self.bar.saturating_sub(to.len()), &to);
        let line: String = line.into_iter().collect();
        let indent = self.label + TIME_WIDTH + 2;
        writeln!(out, "{:indent$}{QUIET}{}{QUIET:#}", "", line.trim_end())
    }

    /// The time between two drives, which is not drawn.
    fn write_gap(&self, before: &Drive<'_>, after: &Drive<'_>, out: &mut dyn Write) -> io::Result<()> {
        let pause = after.span.start.since(before.span.end);
        writeln!(out, "{BROKEN}{} · goes on {} later{BROKEN:#}", how(before.span), long(pause))
    }

    fn write_span(&self, span: &Span, drive: &Drive<'_>, depth: usize, out: &mut dyn Write) -> io::Result<()> {
        let (words, again) = label(span);
        let room = self.label.saturating_sub(again.len());
        let label = fitted(&format!("{}{}", "  ".repeat(depth), words), room);
        let label = fitted(&format!("{}{again}", label.trim_end()), self.label);
        let (before, bar, after) = self.bar(span, drive);
        let style = style(span);
        let detail = fitted(&detail(span), self.detail);
        let heading = if span.subject == Subject::Run { HEADING } else { Style::new() };
        let line = format!(
            "{heading}{label}{heading:#} {:>TIME_WIDTH$} {before}{style}{bar}{style:#}{after} {}",
            span.duration().to_string(),
            detail.trim_end()
        );
        writeln!(out, "{}", line.trim_end())?;
        span.notes.iter().try_for_each(|note| self.write_note(note, span, depth + 1, out))?;
        let children = self.children.get(&span.id).map_or(&[][..], Vec::as_slice);
        let (shown, hidden) = self.chosen(children);
        shown.iter().try_for_each(|child| self.write_span(child, drive, depth + 1, out))?;
        let count = |name| span.number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        match hidden + count(&names::EFFECTS_OMITTED) + count(&names::EFFECTS_DROPPED) {
            0 => Ok(()),
            more => {
                let noun = if more == 1 { "effect" } else { "effects" };
                let text = format!("{}{CUT} {more} more {noun}", "  ".repeat(depth + 1));
                writeln!(out, "{QUIET}{text}{QUIET:#}")
            }
        }
    }

    fn write_note(&self, note: &Note, of: &Span, depth: usize, out: &mut dyn Write) -> io::Result<()> {
        let words = format!("{}· {}", "  ".repeat(depth), note_words(note));
        let when = if note.at >= of.start { format!("+{}", note.at.since(of.start)) } else { String::new() };
        // It has no bar: longer words may take its place.
        let room = self.label + self.bar;
        let words = if words.width() > self.label {
            fitted(&words, room).trim_end().to_owned()
        } else {
            fitted(&words, self.label)
        };
        writeln!(out, "{QUIET}{}{QUIET:#}", format!("{words} {when:>TIME_WIDTH$}").trim_end())
    }

    /// Those that are drawn, and how many are not.
    fn chosen(&self, children: &[&'s Span]) -> (Vec<&'s Span>, usize) {
        let is_effect = |span: &&&Span| span.subject == Subject::Effect;
        let effects = children.iter().filter(is_effect).count();
        if self.effects == Effects::All || effects <= EFFECTS_SHOWN {
            return (children.to_vec(), 0);
        }
        let wrong = children.iter().filter(is_effect).filter(|span| span.status != Status::Fine).count();
        let (mut wrong_left, mut fine_left) = (EFFECTS_SHOWN, EFFECTS_SHOWN.saturating_sub(wrong));
        let mut take = |span: &&&Span| {
            let left = if span.status == Status::Fine { &mut fine_left } else { &mut wrong_left };
            let taken = span.subject != Subject::Effect || *left > 0;
            *left = left.saturating_sub(usize::from(span.subject == Subject::Effect));
            taken
        };
        let shown: Vec<&Span> = children.iter().filter(|span| take(span)).copied().collect();
        let hidden = children.len() - shown.len();
        (shown, hidden)
    }

    /// The bar with what is left free before and after it. It has at least one cell.
    fn bar(&self, span: &Span, drive: &Drive<'_>) -> (String, String, String) {
        let cell = |at: UnixMillis| {
            let active = at.since(drive.span.start).saturating_add(drive.before).0.min(self.total.0);
            let cells = u128::from(active) * self.bar as u128 / u128::from(self.total.0.max(1));
            usize::try_from(cells).unwrap_or(self.bar).min(self.bar)
        };
        let start = cell(span.start).min(self.bar - 1);
        let cells = cell(span.end).saturating_sub(start).max(1);
        let mut bar = glyph(span.subject).to_string().repeat(cells);
        let end = match span.ended {
            Ended::Done => None,
            Ended::Interrupted => Some('╳'),
            Ended::Open => Some('›'),
        };
        if let Some(end) = end {
            bar.pop();
            bar.push(end);
        }
        (" ".repeat(start), bar, " ".repeat(self.bar - start - cells))
    }
}

/// Told apart without colours.
fn glyph(subject: Subject) -> char {
    match subject {
        Subject::Run => '━',
        Subject::Turn => '─',
        Subject::Model => '▒',
        Subject::Tool => '█',
        Subject::Effect | Subject::Note | Subject::Point => '▪',
    }
}

fn style(span: &Span) -> Style {
    match (span.ended, &span.status, span.subject) {
        (Ended::Interrupted, _, _) => BROKEN,
        (_, Status::Failed(_), _) => WRONG,
        (_, Status::Fine, Subject::Run) => HEADING,
        (_, Status::Fine, Subject::Turn) => QUIET,
        (_, Status::Fine, Subject::Model) => MODEL,
        (_, Status::Fine, Subject::Tool) => TOOL,
        (_, Status::Fine, Subject::Effect | Subject::Note | Subject::Point) => EFFECT,
    }
}

/// What it is called, and which attempt of it this is, where it is not the first.
fn label(span: &Span) -> (String, String) {
    let words = match span.subject {
        Subject::Run => span.text(&names::AGENT_NAME),
        Subject::Model => span.text(&names::REQUEST_MODEL),
        Subject::Tool => span.text(&names::TOOL_NAME),
        Subject::Effect => span.text(&names::EFFECT_TARGET),
        Subject::Turn | Subject::Note | Subject::Point => None,
    };
    let again = match span.number(&names::ATTEMPT) {
        Some(attempt @ 2..) => format!(" #{attempt}"),
        Some(_) | None => String::new(),
    };
    (text::whole(words.unwrap_or(&span.name)), again)
}

/// What one wants to know of a span besides its time.
fn detail(span: &Span) -> String {
    let mut said: Vec<String> = Vec::new();
    if let (Some(error), Ended::Done | Ended::Open) = (span.text(&names::ERROR_TYPE), span.ended) {
        // What went wrong fills the column, and is what one looks for.
        return format!("✗ {error}");
    }
    if span.ended != Ended::Done {
        said.push(how(span));
    }
    said.extend(span.text(&names::SUSPENDED).map(|reason| format!("suspended: {reason}")));
    let number = |attribute| span.number(attribute).and_then(|number| u64::try_from(number).ok());
    match span.subject {
        Subject::Run if said.is_empty() => said.push(how(span)),
        Subject::Model => {
            if let (Some(input), Some(output)) = (number(&names::INPUT_TOKENS), number(&names::OUTPUT_TOKENS)) {
                said.push(tokens(input, output));
            }
        }
        Subject::Tool => {
            said.extend(number(&names::FUEL).filter(|fuel| *fuel > 0).map(|fuel| format!("{} fuel", Fuel(fuel))));
            said.extend(number(&names::EFFECTS_REFUSED).map(|refused| format!("{refused} refused")));
        }
        Subject::Effect => said.extend(effect_detail(span)),
        Subject::Run | Subject::Turn | Subject::Note | Subject::Point => {}
    }
    said.join(" · ")
}

fn effect_detail(span: &Span) -> Vec<String> {
    let number = |attribute| span.number(attribute).and_then(|number| u64::try_from(number).ok());
    let status = number(&names::HTTP_STATUS).filter(|_| span.status == Status::Fine).map(|status| status.to_string());
    let moved = |attribute, way: &str| {
        number(attribute).filter(|bytes| *bytes > 0).map(|bytes| format!("{} {way}", Bytes(bytes)))
    };
    [status, moved(&names::BYTES_OUT, "out"), moved(&names::BYTES_IN, "in")].into_iter().flatten().collect()
}

fn how(span: &Span) -> String {
    match (span.ended, span.text(&names::STOP)) {
        (Ended::Done, Some(stop)) => stop.to_owned(),
        (Ended::Done, None) => "done".to_owned(),
        (Ended::Interrupted, _) => "interrupted".to_owned(),
        (Ended::Open, _) => "going on".to_owned(),
    }
}

fn note_words(note: &Note) -> String {
    let value = |wanted: &names::Attribute| {
        let found = note.attributes.iter().find(|(attribute, _)| *attribute == wanted);
        found.map(|(_, value)| match value {
            Value::Text(text) => text::whole(&text.replace('_', " ")),
            Value::Texts(texts) => text::whole(&texts.join(", ")),
            Value::Integer(number) => number.to_string(),
            Value::Thousandths(number) => (f64::from(*number) / 1_000.0).to_string(),
            Value::Flag(flag) => flag.to_string(),
        })
    };
    let (call, of) = (value(&names::CALL), |attribute| value(attribute).unwrap_or_default());
    let what = match note.name {
        note::APPROVAL_REQUESTED => format!("asked to approve the {}", of(&names::NOTE_SUBJECT)),
        note::APPROVAL_DECIDED => of(&names::NOTE_ANSWER),
        note::GRANT_WIDENED => format!("{} may do more", of(&names::NOTE_TOOL)),
        note::EFFECT_PERMITTED => "was allowed one effect, this once".to_owned(),
        note::RUN_REBASED => "rebased".to_owned(),
        note::CHANGES_UNDONE => format!("undone by a person: {} paths", of(&names::UNDONE)),
        note::CALL_UNDONE => format!("undone: {} paths", of(&names::UNDONE)),
        note::CALL_IN_DOUBT => "in doubt".to_owned(),
        note::DOUBT_RESOLVED => format!("doubt settled: {}", of(&names::NOTE_RESOLUTION)),
        other => other.to_owned(),
    };
    call.map_or_else(|| what.clone(), |call| format!("call {call} {what}"))
}

/// A text in exactly so many columns.
fn fitted(text: &str, columns: usize) -> String {
    let mut shown = String::new();
    let mut used = 0;
    let is_cut = text.width() > columns;
    let room = if is_cut { columns.saturating_sub(1) } else { columns };
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width > room {
            break;
        }
        shown.push(c);
        used += width;
    }
    if is_cut {
        shown.push(CUT);
        used += 1;
    }
    shown.push_str(&" ".repeat(columns.saturating_sub(used)));
    shown
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Sent and received, each with at most three digits and a unit.
fn tokens(input: u64, output: u64) -> String {
    format!("{} → {} tok", Fuel(input), Fuel(output))
}

/// Pauses are longer than what a run measures.
fn long(pause: Millis) -> String {
    const HOUR: u64 = 3_600_000;
    match pause.0 {
        ..HOUR => pause.to_string(),
        ms => format!("{} h {} min", ms / HOUR, ms % HOUR / 60_000),
    }
}
