//! What EXPLAIN tells of a reference: its groups, its key ranges, and about how many rows they hold.

use super::filter::Wanted;
use super::plan::Plan;
use super::rule::Reading;
use super::segments::{Request, Segment, States, segments};
use crate::sql::data::RawRow;
use crate::sql::datetime;
use crate::sql::error::SqlError;
use crate::sql::sqlite::running::Running;

/// The first key ranges are shown for people.
const RANGES_SHOWN: usize = 3;
/// So many key ranges are looked into, spread over all; the others are taken to be like them.
const RANGES_READ: usize = 16;
/// Of each, so many rows are read; where these end says how densely the rest is filled.
const ROWS_READ: usize = 256;

/// Keeps it for the statement's plan.
///
/// # Errors
/// What the peer says.
pub fn explain(number: i32, plan: &Plan, wanted: &Wanted, running: &Running) -> Result<(), SqlError> {
    let mut reading = Reading::default();
    if let Some(request) = &wanted.request {
        let request = Request { leases: true, ..request.clone() };
        let segments = segments(&request, &plan.order);
        reading.groups = request.namespaces.iter().map(|(_, group)| group.0).collect();
        reading.groups.sort_unstable();
        reading.groups.dedup();
        reading.count = segments.len();
        reading.ranges = segments.iter().take(RANGES_SHOWN).map(|segment| shown(segment, running)).collect();
        reading.rows = rows(&segments, running)?;
    }
    running.seen.borrow_mut().reads.push((number, reading));
    Ok(())
}

/// About how many rows the ranges hold.
fn rows(segments: &[Segment], running: &Running) -> Result<u64, SqlError> {
    // Odd, because ranges of live and of dead rows take turns.
    let step = segments.len().div_ceil(RANGES_READ) | 1;
    let (mut found, mut looked_into) = (0.0, 0_u32);
    for segment in segments.iter().step_by(step) {
        let Some(of_group) = running.rows(&[segment.origin.group])?.pop() else { continue };
        let mut first: Vec<RawRow> = Vec::new();
        let left = of_group.read(&segment.range(false), (ROWS_READ, usize::MAX), &mut first)?;
        let read = first.len() as f64;
        let share = match (left, first.last()) {
            (Some(_), Some((last, _))) => {
                let of = |until: u64| until.saturating_sub(segment.first) as f64 + 1.0;
                of(last.due_ms) / of(segment.last)
            }
            _ => 1.0,
        };
        // No namespace has more than it counts.
        let row = of_group.namespace(&segment.origin.namespace)?;
        let most = row.map_or(0, |row| if segment.origin.dead { row.dead } else { row.live });
        found += (read / share).min((most as f64).max(read));
        looked_into += 1;
    }
    Ok((found * segments.len() as f64 / f64::from(looked_into.max(1))).round() as u64)
}

fn shown(segment: &Segment, running: &Running) -> String {
    let kind = if segment.origin.dead { "dead" } else { "tasks" };
    let time = |ms: u64| {
        let us = i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        datetime::format(running.context.zone.wall(us), 0, 3)
    };
    let all = segment.origin.dead || segment.states == States::LEASED.or(States::READY).or(States::SCHEDULED);
    let states = if all { String::new() } else { format!(" ({})", segment.states.names()) };
    format!("{kind}/{}/[{}, {}]{states}", segment.origin.namespace, time(segment.first), time(segment.last))
}
