//! Due times, delays and timeouts as users write them.

use std::time::Duration;

use prost_types::Timestamp;

use super::{rfc3339, zone};

/// A delay in whole seconds. The peer adds one that is more than 0 to its own clock, so `z4t` needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Seconds; negative: as if it had been due before.
    pub seconds: i64,
}

/// `now`, or a date with or without the time of day, with or without an offset: without one it is a time of the user's zone. `now` is the
/// beginning of time, which the peer takes for "at once".
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    if text == "now" {
        return Ok(Timestamp { seconds: 0, nanos: 0 });
    }
    let written = rfc3339::read(text).map_err(|error| format!("{error}, or now"))?;
    let offset = match written.offset_seconds {
        Some(offset) => offset,
        None => zone::offset_at_civil(written.civil_seconds).map_err(|error| error.to_string())?,
    };
    Ok(written.at(offset))
}

/// `90`, `10s`, `5m`, `2h`, `1d`, or some of them together, the longest first: `1h30m`; with a minus in front it was due before now.
pub fn parse_delay(text: &str) -> Result<Delay, String> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (mut seconds, mut longest) = (0i64, i64::MAX);
    loop {
        let (number, unit) = split_unit(rest);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, more) = unit.split_at(end);
        let factor = match unit {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(format!("{unit:?} is no unit; use s, m, h or d")),
        };
        let number: i64 = number.parse().map_err(|_| "a delay is written 90, 10s, 5m, 2h, 1d or 1h30m".to_owned())?;
        if factor >= longest {
            return Err(format!("{unit:?} comes after a unit that is not longer; a delay is written 1d2h30m10s"));
        }
        longest = factor;
        seconds = number.checked_mul(factor).and_then(|part| seconds.checked_add(part)).ok_or("the delay is too long")?;
        if more.is_empty() {
            return Ok(Delay { seconds: sign * seconds });
        }
        rest = more;
    }
}

/// `10`, `500ms`, `10s`, `2m`; more than nothing.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let number: u32 = number.parse().map_err(|_| "a timeout is written 10, 500ms, 10s or 2m".to_owned())?;
    let timeout = match unit {
        "ms" => Duration::from_millis(number.into()),
        "" | "s" => Duration::from_secs(number.into()),
        "m" => Duration::from_secs(u64::from(number) * 60),
        _ => return Err(format!("{unit:?} is no unit; use ms, s or m")),
    };
    if timeout.is_zero() { Err("a timeout is longer than 0".to_owned()) } else { Ok(timeout) }
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_have_units() {
        let good = [
            ("0", 0),
            ("90", 90),
            ("10s", 10),
            ("5m", 300),
            ("2h", 7_200),
            ("1d", 86_400),
            ("-5s", -5),
            ("-1h", -3_600),
            ("1h30m", 5_400),
            ("-1d1s", -86_401),
            ("1m30", 90),
        ];
        for (text, seconds) in good {
            assert_eq!(parse_delay(text), Ok(Delay { seconds }), "{text}");
        }
        for text in ["", "s", "-", "--1s", "1.5s", "5x", "10ms", "1h1h", "1m1h", "1h30m ", "30 1m", "9223372036854775807h"] {
            assert!(parse_delay(text).is_err(), "{text}");
        }
    }

    #[test]
    fn timeouts_have_units_and_are_not_zero() {
        assert_eq!(parse_timeout("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_timeout("2m"), Ok(Duration::from_secs(120)));
        for text in ["0", "0ms", "", "1h", "-1"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn now_is_in_the_past() {
        assert_eq!(parse_time("now"), Ok(Timestamp { seconds: 0, nanos: 0 }));
        assert!(parse_time("tomorrow").is_err());
    }

    /// What is written without an offset is a time of the user's zone, and what they are told is the same moment.
    #[test]
    fn a_time_without_an_offset_is_one_of_this_zone() {
        let noon = parse_time("2027-01-01 12:00").expect("valid");
        assert_eq!(zone::on_the_wall(&noon)[..19], *"2027-01-01 12:00:00");
        let midnight = parse_time("2027-01-01").expect("valid");
        assert_eq!(noon.seconds - midnight.seconds, 43_200);
        assert_eq!(parse_time("2027-01-01 12:00Z").expect("valid").seconds, 1_798_804_800);
    }
}
