//! Time zones by their names (`Europe/Paris`), with the data that jiff brings along: no file of the machine is read.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::datetime::{self, Civil};

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
    /// `SYSTEM`, `UTC`, `±hh:mm` from -13:59 to +14:00, or a name in any case; `None`: it is none of these.
    pub fn parse(name: &str) -> Option<Zone> {
        if ["SYSTEM", "UTC"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Some(Zone(Kind::Fixed(0)));
        }
        match name.as_bytes().first()? {
            b'+' => fixed(1, name.get(1..)?),
            b'-' => fixed(-1, name.get(1..)?),
            _ => TimeZone::get(name).ok().map(|zone| Zone(Kind::Named(zone))),
        }
    }

    /// Seconds east of UTC at a moment, microseconds since 1970-01-01 UTC.
    pub fn offset_at(&self, us: i64) -> Option<i32> {
        match &self.0 {
            Kind::Fixed(seconds) => Some(*seconds),
            Kind::Named(zone) => Some(zone.to_offset(Timestamp::from_microsecond(us).ok()?).seconds()),
        }
    }

    /// The moment at which calendar and clock show this, microseconds since 1970-01-01 UTC: of two the earlier one; of a time that was
    /// skipped, when it was skipped.
    pub fn moment(&self, civil: &Civil) -> Option<i64> {
        let zone = match &self.0 {
            Kind::Fixed(seconds) => return Some(datetime::from_civil(civil, *seconds)),
            Kind::Named(zone) => zone,
        };
        let whole = |part: u8| i8::try_from(part).ok();
        let shown = civil::DateTime::new(
            i16::try_from(civil.year).ok()?,
            whole(civil.month)?,
            whole(civil.day)?,
            whole(civil.hour)?,
            whole(civil.minute)?,
            whole(civil.second)?,
            i32::try_from(civil.micros).ok()?.checked_mul(1_000)?,
        )
        .ok()?;
        match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => Some(datetime::from_civil(civil, offset.seconds())),
            AmbiguousOffset::Fold { before, .. } => Some(datetime::from_civil(civil, before.seconds())),
            AmbiguousOffset::Gap { before, .. } => {
                let after = Timestamp::from_microsecond(datetime::from_civil(civil, before.seconds()).checked_add(1)?).ok()?;
                zone.preceding(after).next().map(|change| change.timestamp().as_microsecond())
            }
        }
    }
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
        for (name, offset) in
            [("SYSTEM", 0), ("utc", 0), ("+02:30", 9_000), ("-13:59", -50_340), ("Europe/Paris", 3_600), ("europe/paris", 3_600)]
        {
            assert_eq!(Zone::parse(name).and_then(|zone| zone.offset_at(0)), Some(offset), "{name}");
        }
        for name in ["", "Nowhere/Else", "+14:01", "-14:00", "+1:2:3", "+aa:00", "é", "+"] {
            assert!(Zone::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn clocks_change() {
        let paris = Zone::parse("Europe/Paris").expect("a zone");
        let at = |month, day, hour, minute| {
            let civil = Civil { year: 2024, month, day, hour, minute, ..Civil::default() };
            paris.moment(&civil).map(|us| datetime::format(us, 0, 0))
        };
        assert_eq!(at(3, 31, 1, 59).as_deref(), Some("2024-03-31 00:59:00"));
        assert_eq!(at(3, 31, 2, 30).as_deref(), Some("2024-03-31 01:00:00"), "skipped");
        assert_eq!(at(3, 31, 3, 0).as_deref(), Some("2024-03-31 01:00:00"));
        assert_eq!(at(10, 27, 2, 30).as_deref(), Some("2024-10-27 00:30:00"), "twice");
        assert_eq!(at(10, 27, 3, 0).as_deref(), Some("2024-10-27 02:00:00"));
    }
}
