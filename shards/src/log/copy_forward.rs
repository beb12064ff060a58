//! Moves the last live entries out of the oldest segment, so that a group which writes rarely does not keep every segment since.

use std::io;
use std::rc::Rc;

use super::error::describe;
use super::read::{Wanted, fetch};
use super::segments::SegmentNumber;
use super::state::{Op, OpKind, Shared};

/// How much is moved at a time, in bytes: enough to be quick, little enough not to be felt by those who append.
const MOVE_BYTES: usize = 256 << 10;

/// Moves entries whenever that is worth it, until there are no frames any more. A task of its own: it waits for frames, and the
/// writer waits for the housekeeper.
pub(crate) async fn run(log: Rc<Shared>) {
    let mut given_up = None;
    while !log.state.borrow().ended {
        if !step(&log, &mut given_up).await {
            log.moves.wait().await;
        }
    }
}

/// Moves some entries when that is worth it. True: there may be more to do at once.
async fn step(log: &Rc<Shared>, given_up: &mut Option<SegmentNumber>) -> bool {
    let Some(segment) = candidate(log).filter(|segment| *given_up != Some(*segment)) else { return false };
    match move_entries(log, live_entries(log, segment)).await {
        Ok(moved) => moved > 0,
        Err(error) => {
            if log.state.borrow().check_writable().is_ok() {
                tracing::warn!(segment, error = %describe(&error), "cannot move entries to the end of the raft log");
            }
            *given_up = Some(segment);
            false
        }
    }
}

/// The oldest segment, when little of it, or little of the whole log, still lives. In the second case the entries that are moved
/// are at most a third of the space that comes free behind them.
fn candidate(log: &Shared) -> Option<SegmentNumber> {
    let state = log.state.borrow();
    if state.segments.len() < log.options.copy_forward_segments_min {
        return None;
    }
    let (number, oldest) = state.segments.first_key_value()?;
    let bytes: u64 = state.segments.values().map(|segment| segment.bytes).sum();
    let live: u64 = state.segments.values().map(|segment| segment.live_bytes).sum();
    let worth = oldest.live_bytes < oldest.bytes / 8 || live < bytes / 4;
    (oldest.live_entries > 0 && *number < state.checkpointed && worth).then_some(*number)
}

/// The first live entries of a segment, up to [`MOVE_BYTES`].
fn live_entries(log: &Shared, segment: SegmentNumber) -> Vec<(usize, Wanted)> {
    let state = log.state.borrow();
    let mut left = state.segments.get(&segment).map_or(0, |segment| segment.live_entries);
    let mut found = Vec::new();
    let mut bytes = 0;
    for (number, group) in state.groups.iter().enumerate() {
        for (position, slot) in group.index.iter() {
            if left == 0 || bytes >= MOVE_BYTES {
                return found;
            }
            if slot.segment == segment {
                left -= 1;
                bytes += slot.record_bytes();
                found.push((number, Wanted { group: group.id, position, slot }));
            }
        }
    }
    found
}

async fn move_entries(log: &Rc<Shared>, entries: Vec<(usize, Wanted)>) -> io::Result<usize> {
    let (groups, wanted): (Vec<usize>, Vec<Wanted>) = entries.into_iter().unzip();
    let payloads = fetch(log, &wanted).await?;
    let count = payloads.len();
    let mut ops = Vec::with_capacity(count);
    for ((group, wanted), payload) in groups.into_iter().zip(&wanted).zip(payloads) {
        ops.push(Op::new(group, OpKind::Move { position: wanted.position, payload }));
    }
    let Some(last) = ops.pop() else { return Ok(0) };
    log.state.borrow().check_writable()?;
    log.state.borrow_mut().queue.extend(ops);
    log.submit_and_wait(last).await?;
    Ok(count)
}
