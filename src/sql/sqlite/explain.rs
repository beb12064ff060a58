//! EXPLAIN: what each reference to a table reads.

use super::connection::Statements;
use super::execute::prepare;
use super::pool::Job;
use super::running::Running;
use crate::sql::error::SqlError;

/// Sends the rows of [`EXPLAIN_COLUMNS`](super::EXPLAIN_COLUMNS).
pub fn explain(job: &Job, statements: &mut Statements<'_>, running: &Running) -> Result<(), SqlError> {
    prepare(&job.query, statements, running)?;
    Ok(())
}

/// A time for people, UTC, milliseconds.
pub fn utc(ms: u64) -> String {
    let (days, in_day) = ((ms / 86_400_000) as i64, ms % 86_400_000);
    // Days to a date of the Gregorian calendar, years beginning in March (Howard Hinnant's algorithm).
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, milli) = (in_day / 1000, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{milli:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
