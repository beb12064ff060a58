//! STR_TO_DATE: text read by a format.

use super::Body::Plain;
use super::args::{Args, Out};
use super::{Table, civil, clock, format};
use crate::sql::datetime::{self, Civil, FIRST_DAY, SECOND};
use crate::sql::signatures::str_to_date_type;
use crate::sql::types::SqlType;

pub(super) const TABLE: Table = &[("my_str_to_date", Plain(str_to_date))];

/// A DATE's text, a TIME's text or a moment, as [`str_to_date_type`] says of the format.
fn str_to_date(args: &Args<'_>) -> Option<Out> {
    let (text, format) = (args.text(0)?, args.text(1)?);
    let mut read = Reader { left: &text, ..Reader::default() };
    read.all(&format, 0)?;
    let clock = read.clock()?;
    Some(match str_to_date_type(&format) {
        SqlType::Time(_) => Out::Int(clock::clamp(clock)),
        SqlType::Date => civil::day_text(read.days()?)?.into(),
        _ => Out::Int(read.days()?.checked_mul(datetime::DAY)?.checked_add(clock)?),
    })
}

/// What was read so far, and what is left.
#[derive(Default)]
struct Reader<'a> {
    left: &'a str,
    civil: Civil,
    month: u8,
    day: u8,
    /// 1 to 12 was read, or a half of the day.
    twelve: bool,
    afternoon: bool,
    day_of_year: Option<i64>,
    /// The week, and whether it begins on Monday and is of its own year.
    week: Option<(i64, bool)>,
    week_year: Option<i64>,
    weekday: Option<i64>,
}

impl Reader<'_> {
    fn all(&mut self, format: &str, depth: u8) -> Option<()> {
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            self.left = self.left.trim_start();
            if self.left.is_empty() {
                // What is left of the format is not asked for.
                return Some(());
            }
            match letter {
                '%' => self.part(letters.next()?, depth)?,
                space if space.is_whitespace() => {}
                other => self.left = self.left.strip_prefix(other)?,
            }
        }
        Some(())
    }

    /// At most so many digits.
    fn digits(&mut self, most: usize) -> Option<i64> {
        let length = self.left.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.left.split_at_checked(length)?;
        self.left = rest;
        digits.parse().ok()
    }

    /// At most two digits, up to a number.
    fn small(&mut self, most: i64) -> Option<u8> {
        self.digits(2).filter(|value| *value <= most).map(|value| value as u8)
    }

    fn name(&mut self, names: &[&str], short: bool) -> Option<u8> {
        for (at, name) in names.iter().enumerate() {
            let name = if short { name.get(..3).unwrap_or(name) } else { name };
            if self.left.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
                self.left = self.left.get(name.len()..)?;
                return Some(at as u8);
            }
        }
        None
    }

    fn year(&mut self, most: usize) -> Option<i64> {
        let before = self.left.len();
        let value = self.digits(most)?;
        Some(match (before - self.left.len(), value) {
            (1..=2, 0..=69) => value + 2000,
            (1..=2, _) => value + 1900,
            _ => value,
        })
    }

    fn part(&mut self, specifier: char, depth: u8) -> Option<()> {
        match specifier {
            'Y' => self.civil.year = self.year(4)? as i32,
            'y' => self.civil.year = self.year(2)? as i32,
            'm' | 'c' => self.month = self.small(12)?,
            'M' => self.month = self.name(format::months(), false)? + 1,
            'b' => self.month = self.name(format::months(), true)? + 1,
            'd' | 'e' => self.day = self.small(31)?,
            'D' => {
                self.day = self.small(31)?;
                self.left = self.left.get(2..)?;
            }
            'H' | 'k' => self.civil.hour = self.small(23)?,
            'h' | 'I' | 'l' => {
                self.civil.hour = self.small(12).filter(|hour| *hour > 0)?;
                self.twelve = true;
            }
            'i' => self.civil.minute = self.small(59)?,
            's' | 'S' => self.civil.second = self.small(59)?,
            'f' => {
                let before = self.left.len();
                let value = self.digits(6)?;
                self.civil.micros = value as u32 * 10_u32.pow(6_u32.saturating_sub((before - self.left.len()) as u32));
            }
            'p' => {
                self.afternoon = self.name(&["AM", "PM"], false)? == 1;
                self.twelve.then_some(())?;
            }
            'W' => self.weekday = Some(self.name(format::weekdays(), false)?.into()),
            'a' => self.weekday = Some(self.name(format::weekdays(), true)?.into()),
            'w' => self.weekday = Some((self.digits(1).filter(|day| *day < 7)? + 6) % 7),
            'j' => self.day_of_year = Some(self.digits(3).filter(|day| (1..=366).contains(day))?),
            'U' | 'V' => self.week = Some((self.digits(2).filter(|week| *week <= 53)?, false)),
            'u' | 'v' => self.week = Some((self.digits(2).filter(|week| *week <= 53)?, true)),
            'X' | 'x' => self.week_year = Some(self.digits(4)?),
            'r' if depth == 0 => self.all("%I:%i:%S %p", 1)?,
            'T' if depth == 0 => self.all("%H:%i:%S", 1)?,
            '.' => self.left = self.left.trim_start_matches(|letter: char| letter.is_ascii_punctuation()),
            '@' => self.left = self.left.trim_start_matches(char::is_alphabetic),
            '#' => self.left = self.left.trim_start_matches(|letter: char| letter.is_ascii_digit()),
            other => self.left = self.left.strip_prefix(other)?,
        }
        Some(())
    }

    /// Microseconds of the day.
    fn clock(&self) -> Option<i64> {
        let hour = match (self.twelve, self.afternoon) {
            (true, true) => self.civil.hour % 12 + 12,
            (true, false) => self.civil.hour % 12,
            (false, _) => self.civil.hour,
        };
        let seconds = i64::from(hour) * 3600 + i64::from(self.civil.minute) * 60 + i64::from(self.civil.second);
        Some(seconds * SECOND + i64::from(self.civil.micros))
    }

    /// Days since 1970-01-01.
    fn days(&self) -> Option<i64> {
        let new_year = |year: i64| datetime::days_from_civil(year.clamp(0, 9999) as i32, 1, 1);
        if let Some(day) = self.day_of_year {
            return Some(new_year(self.civil.year.into()) + day - 1);
        }
        if let (Some((week, monday)), Some(weekday)) = (self.week, self.weekday) {
            let first = new_year(self.week_year.unwrap_or(self.civil.year.into()));
            let first_weekday = i64::from(datetime::weekday(first));
            let day = if monday {
                let skip = if first_weekday <= 3 { 0 } else { 7 };
                skip - first_weekday + (week - 1) * 7 + weekday
            } else {
                let first_sunday = (first_weekday + 1) % 7;
                let skip = if first_sunday == 0 { 0 } else { 7 };
                skip - first_sunday + (week - 1) * 7 + (weekday + 1) % 7
            };
            return first.checked_add(day).filter(|day| *day >= FIRST_DAY);
        }
        let right = (1..=datetime::days_in_month(self.civil.year, self.month)).contains(&self.day);
        right.then(|| datetime::days_from_civil(self.civil.year, self.month, self.day))
    }
}
