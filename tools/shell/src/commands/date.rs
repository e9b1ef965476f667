//! `date`: the time of the call's clock, in UTC. `sleep`: waits by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::options::Options;
use crate::run::Call;
use crate::stop::{Outcome, Stop};

const OPTIONS: Options = Options::new("uI", "d", &[("utc", 'u'), ("date", 'd'), ("iso-8601", 'I')]);

/// Longest wait. The call's own deadline comes earlier.
const SLEEP_MAX: f64 = 300.0;

/// Times go up to the end of the year 9999, and as far back.
const SECONDS_MAX: u64 = 253_402_300_800;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) async fn date(call: &mut Call<'_>) -> Outcome<u8> {
    let given = call.options(&OPTIONS)?;
    let seconds = match given.value('d') {
        Some(text) => read(text)?,
        None => now(),
    };
    let format = match given.operands.first().map(|format| format.strip_prefix('+').ok_or(format)) {
        Some(Ok(format)) => format,
        Some(Err(other)) => {
            return Err(Stop::failed(format!("`{other}` is not a format, as in `+%Y-%m-%d`; the time cannot be set")));
        }
        None if given.has('I') => "%Y-%m-%d",
        None => "%a %b %e %H:%M:%S UTC %Y",
    };
    let line = formatted(format, seconds)?;
    call.out.line(line).await?;
    Ok(0)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// The time that a text names: `now`, `@1700000000`, `2026-01-31`, `2026-01-31 12:30:00`, with `T` and `Z` at will.
pub(super) fn read(text: &str) -> Outcome<i64> {
    let wrong = || Stop::failed(format!("`{text}` is not a time, as in `now`, `@1700000000` or `2026-01-31 12:30:00`"));
    let trimmed = text.trim();
    match trimmed {
        "now" => return Ok(now()),
        "today" => return Ok(now()),
        "yesterday" => return Ok(now() - 86_400),
        "tomorrow" => return Ok(now() + 86_400),
        _ => {}
    }
    if let Some(seconds) = trimmed.strip_prefix('@') {
        return seconds.parse().ok().filter(|seconds: &i64| seconds.unsigned_abs() < SECONDS_MAX).ok_or_else(wrong);
    }
    let (day, time) = trimmed.split_once([' ', 'T']).unwrap_or((trimmed, "00:00:00"));
    let time = time.trim_end_matches(" UTC").trim_end_matches('Z');
    let numbers = |text: &str, separator: char| {
        text.split(separator).map(str::parse).collect::<Result<Vec<i64>, _>>().map_err(|_| wrong())
    };
    let (day, time) = (numbers(day, '-')?, numbers(time, ':')?);
    let ([year, month, day], [hour, minute, rest @ ..]) = (&day[..], &time[..]) else { return Err(wrong()) };
    let second = rest.first().copied().unwrap_or(0);
    let is_valid = (1..=9_999).contains(year)
        && (1..=12).contains(month)
        && (1..=31).contains(day)
        && (0..24).contains(hour)
        && (0..60).contains(minute)
        && (0..61).contains(&second);
    if !is_valid || rest.len() > 1 {
        return Err(wrong());
    }
    Ok(days_from(*year, *month, *day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970 of a day of the Gregorian calendar.
fn days_from(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March: then the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The day that is so many days after 1970 began: year, month, day.
fn day_of(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), usize::try_from(month).unwrap_or(1), day)
}

/// A time by a format of `date`.
pub(super) fn formatted(format: &str, seconds: i64) -> Outcome<String> {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = day_of(days);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
    let of_year = days - days_from(year, 1, 1) + 1;
    let (month_name, day_name) = (MONTHS[month - 1], DAYS[weekday]);
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut letter = letters.next();
        let is_bare = letter == Some('-');
        if is_bare {
            letter = letters.next();
        }
        let two = |number: i64| if is_bare { number.to_string() } else { format!("{number:02}") };
        let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
        text.push_str(&match letter {
            Some('Y') => year.to_string(),
            Some('y') => two(year.rem_euclid(100)),
            Some('C') => two(year / 100),
            Some('m') => two(i64::try_from(month).unwrap_or(1)),
            Some('d') => two(day),
            Some('e') => format!("{day:>2}"),
            Some('H') => two(hour),
            Some('I') => two(twelve),
            Some('M') => two(minute),
            Some('S') => two(second),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('j') => format!("{of_year:03}"),
            Some('u') => if weekday == 0 { 7 } else { weekday }.to_string(),
            Some('w') => weekday.to_string(),
            Some('a') => day_name[..3].to_owned(),
            Some('A') => day_name.to_owned(),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('B') => month_name.to_owned(),
            Some('F') => format!("{year:04}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('R') => format!("{hour:02}:{minute:02}"),
            Some('D') => format!("{month:02}/{day:02}/{:02}", year.rem_euclid(100)),
            Some('s') => seconds.to_string(),
            Some('N') => "000000000".to_owned(),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') => "%".to_owned(),
            Some(other) => return Err(Stop::failed(format!("`%{other}` is not known to date"))),
            None => "%".to_owned(),
        });
    }
    Ok(text)
}

pub(super) async fn sleep(call: &mut Call<'_>) -> Outcome<u8> {
    let mut seconds = 0.0;
    for text in call.arguments {
        let (digits, unit) = match text.chars().last() {
            Some('s') => (&text[..text.len() - 1], 1.0),
            Some('m') => (&text[..text.len() - 1], 60.0),
            _ => (text.as_str(), 1.0),
        };
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        seconds += number.ok_or_else(|| Stop::failed(format!("`{text}` is not a time, as in `0.5`")))? * unit;
    }
    if seconds > SLEEP_MAX {
        return Err(Stop::failed(format!("at most {SLEEP_MAX} seconds are waited")));
    }
    call.out.flush().await?;
    std::thread::sleep(Duration::from_secs_f64(seconds));
    Ok(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_both_ways() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29 12:00", 951_825_600),
            ("2026-11-26T01:02:03Z", 1_795_654_923),
            ("1969-12-31 23:59:59", -1),
        ] {
            assert_eq!(read(text), Ok(seconds), "{text}");
            assert!(formatted("%F %T", seconds).unwrap().starts_with(&text[..10]), "{text}");
        }
        assert_eq!(formatted("%A %e %B %j %u", 951_825_600), Ok("Tuesday 29 February 060 2".to_owned()));
    }
}
