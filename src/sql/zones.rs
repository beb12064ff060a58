//! Time zones by their names (`Europe/Paris`), with the data that jiff brings along: no file of the machine is read.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::datetime::{self, Civil, SECOND};

/// The names of all zones, in order.
pub fn names() -> impl Iterator<Item = String> {
    jiff::tz::db().available().map(|name| name.to_string())
}

/// A zone.
#[derive(Clone, Debug)]
pub struct Zone(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(TimeZone),
}

impl Zone {
    /// The zone of sessions that chose none.
    pub const UTC: Zone = Zone(Kind::Fixed(0));

    /// `SYSTEM`, `UTC`, `±hh:mm` from -13:59 to +14:00, or a name in any case; `None`: it is none of these.
    pub fn parse(name: &str) -> Option<Zone> {
        if ["SYSTEM", "UTC"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Some(Zone::UTC);
        }
        match name.as_bytes().first()? {
            b'+' => fixed(1, name.get(1..)?),
            b'-' => fixed(-1, name.get(1..)?),
            _ => TimeZone::get(name).ok().filter(|zone| !zone.is_unknown()).map(|zone| Zone(Kind::Named(zone))),
        }
    }

    /// As `@@time_zone` shows it; SYSTEM and UTC are known by what was asked for.
    pub fn name(&self, asked: &str) -> String {
        match &self.0 {
            Kind::Fixed(_) if !asked.starts_with(['+', '-']) => asked.to_ascii_uppercase(),
            Kind::Fixed(seconds) => {
                let (sign, minutes) = (if *seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Kind::Named(zone) => zone.iana_name().unwrap_or(asked).to_owned(),
        }
    }

    /// Seconds east of UTC, when they are always the same.
    pub fn fixed(&self) -> Option<i32> {
        match self.0 {
            Kind::Fixed(seconds) => Some(seconds),
            Kind::Named(_) => None,
        }
    }

    /// Seconds east of UTC at an instant, microseconds since 1970-01-01 UTC.
    fn offset_at(&self, us: i64) -> i32 {
        match &self.0 {
            Kind::Fixed(seconds) => *seconds,
            Kind::Named(zone) => {
                let end = if us < 0 { Timestamp::MIN } else { Timestamp::MAX };
                zone.to_offset(Timestamp::from_microsecond(us).unwrap_or(end)).seconds()
            }
        }
    }

    /// What calendar and clock show at an instant, both in microseconds since 1970-01-01.
    pub fn wall(&self, us: i64) -> i64 {
        us.saturating_add(i64::from(self.offset_at(us)) * SECOND)
    }

    /// The instant at which calendar and clock show this: of two the earlier one; of a time that was skipped, when it was skipped.
    pub fn timestamp(&self, wall: i64) -> i64 {
        let minus = |seconds: i32| wall.saturating_sub(i64::from(seconds) * SECOND);
        let zone = match &self.0 {
            Kind::Fixed(seconds) => return minus(*seconds),
            Kind::Named(zone) => zone,
        };
        let Some(shown) = jiff_of(wall) else { return minus(self.offset_at(wall)) };
        match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => minus(offset.seconds()),
            AmbiguousOffset::Fold { before, .. } => minus(before.seconds()),
            AmbiguousOffset::Gap { before, .. } => {
                let late = minus(before.seconds());
                let change =
                    Timestamp::from_microsecond(late.saturating_add(1)).ok().and_then(|late| zone.preceding(late).next());
                change.map_or(late, |change| change.timestamp().as_microsecond())
            }
        }
    }

    /// The DATETIME that a text names, microseconds; one with an offset of its own is shown in this zone. `None`: it is no date.
    pub fn read_wall(&self, text: &str) -> Option<i64> {
        datetime::parse_civil(text).map(|read| self.wall_of(read))
    }

    /// The same of what a text begins with.
    pub fn cast_wall(&self, text: &str) -> Option<i64> {
        datetime::cast_civil(text).map(|read| self.wall_of(read))
    }

    fn wall_of(&self, (civil, offset): (Civil, Option<i32>)) -> i64 {
        match offset {
            Some(seconds) => self.wall(datetime::from_civil(&civil, seconds)),
            None => datetime::from_civil(&civil, 0),
        }
    }

    /// The instant that a text names, microseconds since 1970-01-01 UTC. `None`: it is no date.
    pub fn read_timestamp(&self, text: &str) -> Option<i64> {
        datetime::parse_civil(text).map(|read| self.timestamp_of(read))
    }

    /// The same of what a text begins with.
    pub fn cast_timestamp(&self, text: &str) -> Option<i64> {
        datetime::cast_civil(text).map(|read| self.timestamp_of(read))
    }

    fn timestamp_of(&self, (civil, offset): (Civil, Option<i32>)) -> i64 {
        match offset {
            Some(seconds) => datetime::from_civil(&civil, seconds),
            None => self.timestamp(datetime::from_civil(&civil, 0)),
        }
    }
}

/// A DATETIME as jiff has it; `None`: outside of its calendar.
fn jiff_of(wall: i64) -> Option<civil::DateTime> {
    let civil = datetime::civil(wall, 0);
    let whole = |part: u8| i8::try_from(part).ok();
    civil::DateTime::new(
        i16::try_from(civil.year).ok()?,
        whole(civil.month)?,
        whole(civil.day)?,
        whole(civil.hour)?,
        whole(civil.minute)?,
        whole(civil.second)?,
        i32::try_from(civil.micros).ok()?.checked_mul(1_000)?,
    )
    .ok()
}

/// `hh:mm` on one side of UTC.
fn fixed(sign: i32, text: &str) -> Option<Zone> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| -> Option<i32> {
        ((1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = sign * (hours * 3600 + minutes * 60);
    (minutes < 60 && (-14 * 3600 + 60..=14 * 3600).contains(&seconds)).then_some(Zone(Kind::Fixed(seconds)))
}

#[cfg(test)]
mod tests {
    //! A schedule that is read an hour off around a change of clocks is a wrong answer twice a year.
    use super::*;

    #[test]
    fn zones_are_read() {
        for (name, offset, shown) in [
            ("system", 0, "SYSTEM"),
            ("utc", 0, "UTC"),
            ("+2:30", 9_000, "+02:30"),
            ("-13:59", -50_340, "-13:59"),
            ("-00:30", -1_800, "-00:30"),
            ("europe/paris", 3_600, "Europe/Paris"),
        ] {
            let zone = Zone::parse(name).expect(name);
            assert_eq!((zone.wall(0) / SECOND, zone.name(name).as_str()), (offset, shown));
        }
        for name in ["", "Z", "Nowhere/Else", "Etc/Unknown", "+14:01", "-14:00", "+1:2:3", "+aa:00", "é", "+"] {
            assert!(Zone::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn clocks_change() {
        let paris = Zone::parse("Europe/Paris").expect("a zone");
        let at = |text: &str| paris.read_timestamp(text).map(|us| datetime::format(us, 0, 0));
        for (wall, utc) in [
            ("2024-03-31 01:59:00", "2024-03-31 00:59:00"),
            ("2024-03-31 02:30:00", "2024-03-31 01:00:00"),
            ("2024-03-31 03:00:00", "2024-03-31 01:00:00"),
            ("2024-10-27 02:30:00", "2024-10-27 00:30:00"),
            ("2024-10-27 03:00:00", "2024-10-27 02:00:00"),
            ("2024-10-27 01:30:00Z", "2024-10-27 01:30:00"),
        ] {
            assert_eq!(at(wall).as_deref(), Some(utc), "{wall}");
        }
        assert_eq!(paris.wall(1_729_992_600 * SECOND), 1_729_996_200 * SECOND, "in winter again");
        assert_eq!(paris.wall(1_729_989_000 * SECOND), 1_729_996_200 * SECOND, "an hour before that");
        // Far outside of every calendar nothing overflows.
        for us in [i64::MIN, i64::MAX] {
            let _ = (paris.wall(us), paris.timestamp(us));
        }
    }
}
