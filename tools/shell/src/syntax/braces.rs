//! Brace expansion: `{a,b}` and `{1..5}` make several words of one, before anything else is expanded. Bash has it, and scripts use it.

use super::{Piece, Word};

/// Most words that one may become.
const WORDS_MAX: usize = 10_000;

/// Widest number of a sequence, with its zeros. A longer text in braces is just that.
const WIDTH_MAX: usize = 100;

/// A word taken apart: only text without quotes can have braces with a meaning.
#[derive(Clone)]
enum Part {
    Letter(char),
    Whole(Piece),
}

impl Word {
    /// The words that this one stands for: mostly itself.
    pub(super) fn braces_expanded(self) -> Result<Vec<Word>, String> {
        let has_brace = self.pieces.iter().any(|piece| matches!(piece, Piece::Bare(text) if text.contains('{')));
        if !has_brace {
            return Ok(vec![self]);
        }
        let parts: Vec<Part> = self
            .pieces
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Bare(text) => text.chars().map(Part::Letter).collect(),
                whole => vec![Part::Whole(whole)],
            })
            .collect();
        let mut words = Vec::new();
        // What is still to be looked at, the next one last; where the first brace without meaning was passed, beside it.
        let mut pending = vec![(parts, 0)];
        while let Some((parts, from)) = pending.pop() {
            match first_braces(&parts, from) {
                None => words.push(whole(parts)),
                Some(braces) => {
                    let (before, after) = (&parts[..braces.start], &parts[braces.end + 1..]);
                    for choice in braces.choices.into_iter().rev() {
                        pending.push(([before, &choice[..], after].concat(), braces.start));
                    }
                }
            }
            if words.len() + pending.len() > WORDS_MAX {
                return Err(format!("braces make more than {WORDS_MAX} words of one"));
            }
        }
        Ok(words)
    }
}

struct Braces {
    start: usize,
    end: usize,
    choices: Vec<Vec<Part>>,
}

fn is(part: &Part, letter: char) -> bool {
    matches!(part, Part::Letter(found) if *found == letter)
}

/// The first pair of braces that means something, from a place on.
fn first_braces(parts: &[Part], from: usize) -> Option<Braces> {
    let opens = (from..parts.len()).filter(|at| is(&parts[*at], '{'));
    for start in opens {
        let Some((end, commas)) = closing(parts, start) else { continue };
        let inside = &parts[start + 1..end];
        let choices = if commas.is_empty() { sequence(inside) } else { Some(split(parts, start, end, &commas)) };
        if let Some(choices) = choices {
            return Some(Braces { start, end, choices });
        }
    }
    None
}

/// Where the brace that opens at `start` closes, and the commas that are its own.
fn closing(parts: &[Part], start: usize) -> Option<(usize, Vec<usize>)> {
    let (mut open, mut commas) = (0_usize, Vec::new());
    for (at, part) in parts.iter().enumerate().skip(start + 1) {
        match part {
            Part::Letter('{') => open += 1,
            Part::Letter('}') if open == 0 => return Some((at, commas)),
            Part::Letter('}') => open -= 1,
            Part::Letter(',') if open == 0 => commas.push(at),
            Part::Letter(_) | Part::Whole(_) => {}
        }
    }
    None
}

fn split(parts: &[Part], start: usize, end: usize, commas: &[usize]) -> Vec<Vec<Part>> {
    let starts = std::iter::once(start).chain(commas.iter().copied());
    let ends = commas.iter().copied().chain(std::iter::once(end));
    starts.zip(ends).map(|(start, end)| parts[start + 1..end].to_vec()).collect()
}

/// `1..5`, `01..10`, `a..e`, each with a step at will.
fn sequence(inside: &[Part]) -> Option<Vec<Vec<Part>>> {
    let text: String = inside
        .iter()
        .map(|part| if let Part::Letter(letter) = part { Some(*letter) } else { None })
        .collect::<Option<_>>()?;
    let mut ends = text.splitn(3, "..");
    let (first, last) = (ends.next()?, ends.next()?);
    let step = ends.next().map_or(Some(1), |step| step.parse::<i64>().ok())?.unsigned_abs().max(1);
    if let (Ok(from), Ok(to)) = (first.parse::<i64>(), last.parse::<i64>()) {
        let is_padded =
            |text: &str| text.trim_start_matches('-').len() > 1 && text.trim_start_matches('-').starts_with('0');
        let width = if is_padded(first) || is_padded(last) { first.len().max(last.len()) } else { 0 };
        if width > WIDTH_MAX {
            return None;
        }
        return Some(steps(from, to, step).map(|number| letters(&format!("{number:0width$}"))).collect());
    }
    let one = |text: &str| text.bytes().next().filter(|byte| text.len() == 1 && byte.is_ascii_alphabetic());
    let (from, to) = (one(first)?, one(last)?);
    let named = |number| u8::try_from(number).ok().map_or_else(Vec::new, |byte| vec![Part::Letter(char::from(byte))]);
    Some(steps(i64::from(from), i64::from(to), step).map(named).collect())
}

/// From one number to the other, whichever is larger. One more than allowed is enough for the error.
fn steps(from: i64, to: i64, step: u64) -> impl Iterator<Item = i64> {
    let count = (from.abs_diff(to) / step).saturating_add(1).min(WORDS_MAX as u64 + 1);
    (0..count).map(move |n| {
        let distance = i64::try_from(n.saturating_mul(step)).unwrap_or(i64::MAX);
        if from <= to { from.saturating_add(distance) } else { from.saturating_sub(distance) }
    })
}

fn letters(text: &str) -> Vec<Part> {
    text.chars().map(Part::Letter).collect()
}

fn whole(parts: Vec<Part>) -> Word {
    let mut word = Word::default();
    for part in parts {
        match part {
            Part::Letter(letter) => word.push_bare(letter),
            Part::Whole(piece) => word.pieces.push(piece),
        }
    }
    word
}
