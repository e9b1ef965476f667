//! Dates as tables write them, and the parts by which people group them.

/// A point in time without a zone, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

/// A part of a date, by the name with which it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Year,
    Quarter,
    Month,
    YearMonth,
    Date,
    Weekday,
    Day,
    Hour,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Date {
    /// Reads `2012-01-31`, `2012/01/31`, `2012-01`, each with an optional time after a `T` or space; `Jan 31 2012`; `31 Jan 2012`.
    /// `1/2/2012` is not read: it is two dates.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let begins_with_a_year = text.len() >= 6 && text.bytes().take(4).all(|byte| byte.is_ascii_digit());
        if begins_with_a_year { Self::parse_year_first(text) } else { Self::parse_month_name(text) }
    }

    fn parse_year_first(text: &str) -> Option<Self> {
        let (date, time) = match text.find(['T', ' ']) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let separator = char::from(date.as_bytes()[4]);
        if !matches!(separator, '-' | '/') {
            return None;
        }
        let mut fields = date.split(separator);
        let year = fields.next()?.parse().ok()?;
        let month = two_digits(fields.next()?)?;
        let day = fields.next().map_or(Some(1), two_digits)?;
        if fields.next().is_some() {
            return None;
        }
        Self::checked(year, month, day)?.at(time)
    }

    fn parse_month_name(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
        let &[first, second, third] = words.as_slice() else { return None };
        let (day, month) = if first.as_bytes()[0].is_ascii_digit() { (first, second) } else { (second, first) };
        let month = month.to_ascii_lowercase();
        let index = MONTHS.iter().position(|name| month.len() >= 3 && month.starts_with(name))?;
        if third.len() != 4 {
            return None;
        }
        Self::checked(third.parse().ok()?, u32::try_from(index).ok()? + 1, two_digits(day)?)
    }

    fn checked(year: i32, month: u32, day: u32) -> Option<Self> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month, day, hour: 0, minute: 0, second: 0 })
    }

    /// With a time such as `13:05`, `13:05:09.25` or `13:05:09Z`; what follows the seconds is not kept.
    fn at(self, time: Option<&str>) -> Option<Self> {
        let Some(time) = time else { return Some(self) };
        let mut fields = time.split(':');
        let hour = two_digits(fields.next()?)?;
        let minute = two_digits(fields.next()?.get(..2)?)?;
        let second = fields.next().map_or(Some(0), |seconds| two_digits(seconds.get(..2)?))?;
        (hour < 24 && minute < 60 && second <= 60).then_some(Self { hour, minute, second, ..self })
    }

    pub(crate) fn part(&self, part: DatePart) -> String {
        let Self { year, month, day, hour, .. } = self;
        match part {
            DatePart::Year => year.to_string(),
            DatePart::Quarter => ((month - 1) / 3 + 1).to_string(),
            DatePart::Month => month.to_string(),
            DatePart::YearMonth => format!("{year:04}-{month:02}"),
            DatePart::Date => format!("{year:04}-{month:02}-{day:02}"),
            DatePart::Weekday => self.weekday().to_string(),
            DatePart::Day => day.to_string(),
            DatePart::Hour => hour.to_string(),
        }
    }

    /// 1 for Monday to 7 for Sunday, by Sakamoto's method.
    fn weekday(&self) -> i32 {
        const SHIFT: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = if self.month < 3 { self.year - 1 } else { self.year };
        let from_sunday =
            year + year / 4 - year / 100 + year / 400 + SHIFT[self.month as usize - 1] + self.day.cast_signed();
        (from_sunday + 6).rem_euclid(7) + 1
    }
}

fn two_digits(text: &str) -> Option<u32> {
    if matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl DatePart {
    /// All names, for errors and descriptions.
    pub(crate) const NAMES: [&str; 8] = ["year", "quarter", "month", "year_month", "date", "weekday", "day", "hour"];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let parts =
            [Self::Year, Self::Quarter, Self::Month, Self::YearMonth, Self::Date, Self::Weekday, Self::Day, Self::Hour];
        Self::NAMES.iter().position(|known| *known == name).map(|index| parts[index])
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_tables_write_them() {
        let cases = [
            ("2012-01-31", "2012-01-31"),
            ("2012/1/5", "2012-01-05"),
            ("2012-03", "2012-03-01"),
            ("2012-02-29 13:05", "2012-02-29"),
            ("2012-02-29T13:05:09.123Z", "2012-02-29"),
            ("Jan 31 2012", "2012-01-31"),
            ("31 January 2012", "2012-01-31"),
        ];
        for (text, expected) in cases {
            assert_eq!(Date::parse(text).map(|date| date.part(DatePart::Date)).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "2012",
            "201201",
            "2013-02-29",
            "1/2/2012",
            "2012-13-01",
            "2012-01-01T25:00",
            "Foo 1 2012",
            "日本日本日本",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_have_parts() {
        let date = Date::parse("2015-12-07 08:30").unwrap();
        let parts = DatePart::NAMES.map(|name| date.part(DatePart::from_name(name).unwrap()));
        assert_eq!(parts, ["2015", "4", "12", "2015-12", "2015-12-07", "1", "7", "8"]);
        assert_eq!(Date::parse("2024-02-29").unwrap().weekday(), 4);
        assert_eq!(Date::parse("2000-01-02").unwrap().weekday(), 7);
    }
}
