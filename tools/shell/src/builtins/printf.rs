//! `printf`: a format, used again as long as there are arguments.

use crate::commands::escapes::{self, Escapes};
use crate::expand;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

/// Widest field. A wider one is a mistake, or an attack on the memory.
const WIDTH_MAX: usize = 10_000;

/// One conversion, as `%-5.2f` says it.
#[derive(Debug, Default)]
struct Conversion {
    is_left: bool,
    is_zero: bool,
    has_plus: bool,
    has_space: bool,
    is_alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// What is still to be printed.
struct Arguments<'a> {
    rest: &'a [String],
    /// Whether the format took one: if not, using it again would never end.
    is_used: bool,
    /// What was not a number. It counts as far as it is one.
    wrong: Option<String>,
}

impl<'a> Arguments<'a> {
    fn next(&mut self) -> &'a str {
        self.is_used = true;
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                first
            }
            None => "",
        }
    }

    fn number(&mut self) -> i64 {
        let text = self.next();
        if let Some(quoted) = text.strip_prefix(['"', '\'']) {
            return quoted.chars().next().map_or(0, |c| i64::from(u32::from(c)));
        }
        expand::number(text).unwrap_or_else(|_| {
            self.wrong = Some(format!("{text}: expected numeric value"));
            let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
            digits.parse().unwrap_or(0)
        })
    }

    fn float(&mut self) -> f64 {
        let text = self.next().trim();
        if text.is_empty() {
            return 0.0;
        }
        text.parse().unwrap_or_else(|_| {
            self.wrong = Some(format!("{text}: expected numeric value"));
            0.0
        })
    }
}

pub(super) async fn printf(call: &mut Call<'_>) -> Outcome<u8> {
    let arguments = call.arguments.strip_prefix(&["--".to_owned()]).unwrap_or(call.arguments);
    let Some((format, rest)) = arguments.split_first() else {
        return Err(Stop::usage("a format is expected, as in `printf '%s\\n' text`"));
    };
    let mut arguments = Arguments { rest, is_used: false, wrong: None };
    loop {
        let mut bytes = Vec::new();
        let goes_on = once(format, &mut arguments, &mut bytes)?;
        call.out.put(bytes).await?;
        if !goes_on || arguments.rest.is_empty() || !arguments.is_used {
            break;
        }
    }
    match arguments.wrong {
        Some(wrong) => Err(Stop::failed(wrong)),
        None => Ok(0),
    }
}

/// Goes through the format once. False: `\c` ended the output.
fn once(format: &str, arguments: &mut Arguments<'_>, bytes: &mut Vec<u8>) -> Outcome<bool> {
    let mut rest = format;
    while let Some(at) = rest.find(['\\', '%']) {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let is_escape = rest.as_bytes()[at] == b'\\';
        rest = &rest[at + 1..];
        if is_escape {
            if rest.starts_with('c') {
                return Ok(false);
            }
            rest = &rest[escapes::one(rest, Escapes::Printf, bytes)..];
        } else if let Some(after) = rest.strip_prefix('%') {
            bytes.push(b'%');
            rest = after;
        } else {
            let (conversion, after) = conversion(rest, arguments)?;
            let Some(kind) = after.chars().next() else {
                return Err(Stop::failed(format!("`%{rest}` has no letter that says what to print")));
            };
            rest = &after[kind.len_utf8()..];
            if !print(kind, &conversion, arguments, bytes)? {
                return Ok(false);
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(true)
}

/// Reads flags, width and precision.
fn conversion<'a>(text: &'a str, arguments: &mut Arguments<'_>) -> Outcome<(Conversion, &'a str)> {
    let mut conversion = Conversion::default();
    let flags = text.bytes().take_while(|byte| b"-0+ #".contains(byte)).count();
    for flag in text[..flags].bytes() {
        match flag {
            b'-' => conversion.is_left = true,
            b'0' => conversion.is_zero = true,
            b'+' => conversion.has_plus = true,
            b' ' => conversion.has_space = true,
            _ => conversion.is_alternate = true,
        }
    }
    let (width, mut rest) = width(&text[flags..], arguments)?;
    if let Some(width) = width {
        conversion.is_left |= width < 0;
        conversion.width = usize::try_from(width.unsigned_abs()).unwrap_or(WIDTH_MAX);
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = self::width(after, arguments)?;
        conversion.precision = usize::try_from(precision.unwrap_or(0)).ok();
        rest = after;
    }
    Ok((conversion, rest))
}

fn width<'a>(text: &'a str, arguments: &mut Arguments<'_>) -> Outcome<(Option<i64>, &'a str)> {
    let (width, rest) = if let Some(rest) = text.strip_prefix('*') {
        (Some(arguments.number()), rest)
    } else {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        (text[..digits].parse().ok(), &text[digits..])
    };
    if width.is_some_and(|width| width.unsigned_abs() > WIDTH_MAX as u64) {
        return Err(Stop::failed(format!("a width may be {WIDTH_MAX} at most")));
    }
    Ok((width, rest))
}

/// Prints one argument. False: `\c` in a `%b`.
fn print(kind: char, conversion: &Conversion, arguments: &mut Arguments<'_>, bytes: &mut Vec<u8>) -> Outcome<bool> {
    let mut goes_on = true;
    match kind {
        's' => conversion.text(arguments.next().as_bytes(), bytes),
        'q' => conversion.text(crate::run::shown(arguments.next()).as_bytes(), bytes),
        'b' => {
            let (text, more) = escapes::replaced(arguments.next(), Escapes::Echo);
            conversion.text(&text, bytes);
            goes_on = more;
        }
        'c' => {
            let first: String = arguments.next().chars().take(1).collect();
            conversion.text(first.as_bytes(), bytes);
        }
        'd' | 'i' => {
            let number = arguments.number();
            conversion.number(&conversion.digits(&number.unsigned_abs().to_string()), number < 0, bytes);
        }
        'u' => conversion.number(&conversion.digits(&arguments.number().cast_unsigned().to_string()), false, bytes),
        'o' => conversion.number(&conversion.digits(&format!("{:o}", arguments.number())), false, bytes),
        'x' => {
            let prefix = if conversion.is_alternate { "0x" } else { "" };
            conversion.number(
                &format!("{prefix}{}", conversion.digits(&format!("{:x}", arguments.number()))),
                false,
                bytes,
            );
        }
        'X' => {
            let prefix = if conversion.is_alternate { "0X" } else { "" };
            conversion.number(
                &format!("{prefix}{}", conversion.digits(&format!("{:X}", arguments.number()))),
                false,
                bytes,
            );
        }
        'f' | 'F' => {
            let number = arguments.float();
            let text = format!("{:.*}", conversion.precision.unwrap_or(6), number.abs());
            conversion.number(&text, number.is_sign_negative(), bytes);
        }
        'e' | 'E' | 'g' | 'G' => {
            let number = arguments.float();
            let text = scientific(number.abs(), kind, conversion.precision.unwrap_or(6));
            conversion.number(&text, number.is_sign_negative(), bytes);
        }
        other => {
            return Err(Stop::failed(format!(
                "`%{other}` is not known; there are %s %b %c %q %d %i %u %o %x %X %f %e %g %%"
            )));
        }
    }
    Ok(goes_on)
}

/// `1.5e+03`, and `%g`, which takes the shorter form.
fn scientific(number: f64, kind: char, precision: usize) -> String {
    if matches!(kind, 'g' | 'G') {
        let significant = precision.max(1);
        let exponent = exponent_of(number, significant - 1);
        let shortest = |text: String| {
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        };
        let most = i32::try_from(significant).unwrap_or(i32::MAX);
        if exponent >= -4 && exponent < most {
            let decimals = usize::try_from(most - 1 - exponent).unwrap_or(0);
            return shortest(format!("{number:.decimals$}"));
        }
        let text = scientific(number, if kind == 'g' { 'e' } else { 'E' }, significant - 1);
        let at = text.find(['e', 'E']).unwrap_or(text.len());
        return shortest(text[..at].to_owned()) + &text[at..];
    }
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{kind}{sign}{:02}", exponent.unsigned_abs())
}

fn exponent_of(number: f64, precision: usize) -> i32 {
    let text = format!("{number:.precision$e}");
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

impl Conversion {
    fn text(&self, text: &[u8], bytes: &mut Vec<u8>) {
        let cut = &text[..self.precision.unwrap_or(text.len()).min(text.len())];
        let padding = self.width.saturating_sub(cut.len());
        if !self.is_left {
            bytes.extend(std::iter::repeat_n(b' ', padding));
        }
        bytes.extend_from_slice(cut);
        if self.is_left {
            bytes.extend(std::iter::repeat_n(b' ', padding));
        }
    }

    /// At least as many digits as the precision says.
    fn digits(&self, digits: &str) -> String {
        let missing = self.precision.unwrap_or(0).min(WIDTH_MAX).saturating_sub(digits.len());
        "0".repeat(missing) + digits
    }

    fn number(&self, digits: &str, is_negative: bool, bytes: &mut Vec<u8>) {
        let sign = match (is_negative, self.has_plus, self.has_space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let padding = self.width.saturating_sub(sign.len() + digits.len());
        let zeros = if self.is_zero && !self.is_left { padding } else { 0 };
        let text = format!("{sign}{}{digits}", "0".repeat(zeros));
        Conversion { precision: None, is_left: self.is_left, width: self.width, ..Self::default() }
            .text(text.as_bytes(), bytes);
    }
}
