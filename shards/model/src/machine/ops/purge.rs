//! Removes tasks of a namespace, some at a time.

use crate::command::{OpReply, PurgeCursor};
use crate::encoding::Malformed;
use crate::ids::{TaskId, TaskKey};
use crate::keys::{self, KeyRange};
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned, Stop};
use crate::machine::store::Store;
use crate::rows::record::Head;
use crate::rows::task::Place;

/// So many rows, which carry their payloads, are in memory at a time.
const ROWS_AT_ONCE: usize = 64;

/// A step reads no more bytes of rows than about this, so that large ones hold up the group no longer than many.
const STEP_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(ROWS_AT_ONCE > 0 && STEP_BYTES_MAX > 0, "each step removes something");

/// As logs of before have it: each step begins at the low-water mark, which only the last one moves.
pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, limit: u32) -> Planned {
    let first = TaskKey::at(p.row.low_water_ms);
    let live = remove_rows(p, false, keys::tasks(p.at.namespace, first, TaskKey::MAX), limit, usize::MAX)?.removed;
    let rest = keys::dead_tasks(p.at.namespace, TaskKey::MIN, TaskKey::MAX);
    let dead = remove_rows(p, true, rest, limit - live, usize::MAX)?.removed;
    if live < limit && p.row.created_ms != 0 {
        // The scan saw the end: whatever the count said, nothing is left.
        p.row.live = 0;
        p.row.low_water_ms = p.row.low_water_ms.max(p.at.now_ms);
    }
    if live + dead < limit {
        p.row.dead = 0;
    }
    Ok(OpReply::Purged { removed: live + dead })
}

/// Each step begins where the one before ended, so that none reads what earlier ones removed. What appears behind the cursor meanwhile
/// is told as left.
pub(super) fn plan_from<S: Store>(p: &mut Plan<'_, S>, from: PurgeCursor, limit: u32) -> Planned {
    let first = from.live.max(TaskKey::at(p.row.low_water_ms));
    let live = remove_rows(p, false, keys::tasks(p.at.namespace, first, TaskKey::MAX), limit, STEP_BYTES_MAX)?;
    move_water(p, first, &live)?;
    let mut removed = live.removed;
    let mut next = PurgeCursor { live: live.next(first), dead: from.dead };
    let mut ended = live.ended;
    if ended {
        let rest = keys::dead_tasks(p.at.namespace, from.dead, TaskKey::MAX);
        let dead = remove_rows(p, true, rest, limit - removed, STEP_BYTES_MAX)?;
        removed += dead.removed;
        next.dead = dead.next(from.dead);
        ended = dead.ended;
        if ended && from.dead == TaskKey::MIN {
            p.row.dead = 0;
        }
    }
    Ok(OpReply::PurgedTo { removed, next: (!ended).then_some(next), left: p.row.live.saturating_add(p.row.dead) })
}

/// No live row is before the last one that went, or before the stamp when none is left; unless one appeared behind the cursor.
fn move_water<S: Store>(p: &mut Plan<'_, S>, first: TaskKey, step: &Step) -> Result<(), Stop> {
    let low_ms = p.row.low_water_ms;
    let mark_ms = if step.ended { p.at.now_ms } else { step.last.map_or(0, |last| last.due_ms) };
    if p.row.created_ms == 0 || low_ms < first.due_ms || !(step.ended || mark_ms > low_ms) {
        return Ok(());
    }
    let behind = keys::tasks(p.at.namespace, TaskKey::at(first.due_ms), first);
    if behind.from < behind.until && !p.store.scan(&behind.from, &behind.until, 1)?.is_empty() {
        return Ok(());
    }
    p.row.low_water_ms = low_ms.max(mark_ms);
    if step.ended {
        // The scan saw the end: whatever the count said, nothing is left.
        p.row.live = 0;
    }
    Ok(())
}

/// What was removed in a range.
struct Step {
    removed: u32,
    last: Option<TaskKey>,
    /// There is no more.
    ended: bool,
}

impl Step {
    /// Where to go on, after a step that began at `first`.
    fn next(&self, first: TaskKey) -> TaskKey {
        if self.ended { TaskKey::MAX } else { self.last.map_or(first, TaskKey::next) }
    }
}

fn remove_rows<S: Store>(
    p: &mut Plan<'_, S>,
    dead: bool,
    mut range: KeyRange,
    limit: u32,
    bytes_max: usize,
) -> Result<Step, Stop> {
    let mut step = Step { removed: 0, last: None, ended: false };
    let mut bytes = 0;
    while step.removed < limit && bytes < bytes_max {
        let some = ROWS_AT_ONCE.min((limit - step.removed) as usize);
        let rows = p.store.scan(&range.from, &range.until, some)?;
        for (key, row) in &rows {
            let at = keys::parse_position(key).ok_or(Malformed("the key of a task is none"))?;
            let head = Head::decode(row)?;
            let id = TaskId { due_ms: head.id_due_ms, group: p.at.group, sequence: at.sequence };
            p.remove(id, Place { dead, key: at }, head.rewritten);
            if !dead {
                p.draft.effects.push(Effect::Removed { namespace: p.at.namespace.clone(), key: at });
            }
            range.from = keys::row(p.at.namespace, dead, at.next());
            step.last = Some(at);
            bytes += row.len();
        }
        step.removed += rows.len() as u32;
        if rows.len() < some {
            step.ended = true;
            break;
        }
    }
    assert!(step.removed <= limit, "{} rows went where {limit} were to go", step.removed);
    Ok(step)
}
