//! The time zone of the user: `TZ`, or the machine's. The only place that names chrono.

use chrono::{DateTime, Local, MappedLocalTime, Offset, TimeZone};
use prost_types::Timestamp;

/// Why a time of day names no moment here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such time here: clocks skip it; write an offset, as in 2030-01-31 08:00+01:00")]
pub struct SkippedError;

/// Seconds east of UTC at a civil time, which is given as seconds since 1970-01-01 as if it were UTC. Where clocks show a time twice,
/// the first one counts.
pub fn offset_at_civil(civil_seconds: i64) -> Result<i64, SkippedError> {
    // Times that chrono cannot count are refused by the peer, whatever their offset.
    let Some(civil) = DateTime::from_timestamp(civil_seconds, 0) else { return Ok(0) };
    match Local.offset_from_local_datetime(&civil.naive_utc()) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => Ok(offset.fix().local_minus_utc().into()),
        MappedLocalTime::None => Err(SkippedError),
    }
}

/// The moment as a clock on the user's wall shows it: `2030-01-31 09:00:00 +01:00`. Empty where there is no calendar for it.
pub fn on_the_wall(time: &Timestamp) -> String {
    let moment = DateTime::from_timestamp(time.seconds, 0);
    moment.map(|moment| moment.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()).unwrap_or_default()
}
