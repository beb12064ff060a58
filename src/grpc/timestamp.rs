//! Times on the wire and times inside: milliseconds since 1970-01-01 UTC.

use prost_types::Timestamp;
use z4_model::ids::DUE_MS_MAX;

use super::Invalid;

/// A time inside, as the wire has it.
pub(super) fn timestamp(ms: u64) -> Timestamp {
    // The quotient of a u64 by 1,000 fits an i64.
    Timestamp { seconds: (ms / 1_000) as i64, nanos: (ms % 1_000) as i32 * 1_000_000 }
}

/// A time from the wire. Fractions of a millisecond are rounded up, so that nothing is due too early; what is before 1970 is 0.
pub(super) fn milliseconds(field: &'static str, t: &Timestamp) -> Result<u64, Invalid> {
    if !(0..=999_999_999).contains(&t.nanos) {
        return Err(Invalid::Nanos { field, found: t.nanos });
    }
    let Ok(seconds) = u64::try_from(t.seconds) else { return Ok(0) };
    let ms = seconds.saturating_mul(1_000).saturating_add((t.nanos as u64).div_ceil(1_000_000));
    if ms > DUE_MS_MAX {
        return Err(Invalid::TooLate { field, seconds: t.seconds, nanos: t.nanos });
    }
    Ok(ms)
}

/// When a task is due: `tts_seconds` from now when it is > 0, else `deliver_at`; `None` when the request says neither.
pub(super) fn due_ms(
    deliver_at: Option<&Timestamp>,
    tts_seconds: i64,
    now_ms: impl FnOnce() -> u64,
) -> Result<Option<u64>, Invalid> {
    if tts_seconds == 0 {
        return deliver_at.map(|t| milliseconds("deliver_at", t)).transpose();
    }
    let now_ms = now_ms();
    let due = u64::try_from(tts_seconds).ok().and_then(|s| s.checked_mul(1_000)).and_then(|ms| now_ms.checked_add(ms));
    match due {
        Some(due) if due <= DUE_MS_MAX => Ok(Some(due)),
        _ => {
            let seconds = DUE_MS_MAX.saturating_sub(now_ms) / 1_000;
            let range = format!("0 to {seconds} (a due time up to the end of year 9999)");
            Err(Invalid::OutOfRange { field: "tts_seconds", found: tts_seconds.into(), range })
        }
    }
}

#[cfg(test)]
mod tests {
    //! Were these wrong, tasks would be delivered early, or a hostile time would overflow into the past.
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    fn due(deliver_at: Option<Timestamp>, tts: i64) -> Result<Option<u64>, Invalid> {
        due_ms(deliver_at.as_ref(), tts, || 1_000_000)
    }

    #[test]
    fn fractions_round_up_and_the_past_is_zero() {
        assert_eq!(milliseconds("t", &at(1, 0)), Ok(1_000));
        assert_eq!(milliseconds("t", &at(1, 1)), Ok(1_001));
        assert_eq!(milliseconds("t", &at(1, 999_999_999)), Ok(2_000));
        assert_eq!(milliseconds("t", &at(-5, 7)), Ok(0));
        assert_eq!(milliseconds("t", &at(i64::MIN, 0)), Ok(0));
        assert_eq!(timestamp(1_234), at(1, 234_000_000));
    }

    #[test]
    fn the_year_9999_is_the_end() {
        assert_eq!(milliseconds("t", &at(253_402_300_799, 999_000_000)), Ok(DUE_MS_MAX));
        for beyond in [at(253_402_300_799, 999_000_001), at(253_402_300_800, 0), at(i64::MAX, 999_999_999)] {
            assert!(milliseconds("deliver_at", &beyond).is_err(), "{beyond:?}");
        }
        assert_eq!(
            milliseconds("deliver_at", &at(253_402_300_800, 0)).expect_err("too late").to_string(),
            "deliver_at is 253402300800 seconds and 0 nanos since 1970; it takes times up to the last millisecond of year 9999, \
             253402300799 seconds and 999000000 nanos"
        );
        // In that very second the fraction decides, and so it is told.
        let told = milliseconds("deliver_at", &at(253_402_300_799, 999_000_001)).expect_err("too late").to_string();
        assert!(told.starts_with("deliver_at is 253402300799 seconds and 999000001 nanos since 1970; "), "{told}");
        assert_eq!(
            milliseconds("deliver_at", &at(0, -1)).expect_err("negative nanos").to_string(),
            "deliver_at.nanos is -1; it takes 0 to 999999999"
        );
        assert!(milliseconds("t", &at(0, 1_000_000_000)).is_err());
    }

    #[test]
    fn tts_wins_over_deliver_at() {
        assert_eq!(due(None, 0), Ok(None));
        assert_eq!(due(Some(at(5, 0)), 0), Ok(Some(5_000)));
        assert_eq!(due(Some(at(5, 0)), 2), Ok(Some(1_002_000)));
        assert_eq!(
            due(None, -1).expect_err("negative").to_string(),
            "tts_seconds is -1; it takes 0 to 253402299799 (a due time up to the end of year 9999)"
        );
        assert!(due(None, i64::MAX).is_err());
        assert!(due(None, i64::MIN).is_err());
        assert_eq!(due(None, 253_402_299_799), Ok(Some(253_402_300_799_000)));
        assert!(due(None, 253_402_299_800).is_err());
    }
}
