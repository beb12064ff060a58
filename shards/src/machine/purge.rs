//! Removes tasks of a namespace, some at a time.

use super::keys::KeyRange;
use super::plan::{Plan, Planned, Stop};
use super::record::Head;
use super::task::Place;
use super::{ApplyError, Effect, Store, keys};
use crate::command::OpReply;
use crate::ids::{TaskId, TaskKey};

/// So many rows, which carry their payloads, are in memory at a time.
const ROWS_AT_ONCE: usize = 64;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, limit: u32) -> Planned {
    let first = TaskKey::at(p.row.low_water_ms);
    let live = remove_rows(p, false, keys::tasks(p.at.namespace, first, TaskKey::MAX), limit)?;
    let dead = remove_rows(p, true, keys::dead_tasks(p.at.namespace, TaskKey::MIN, TaskKey::MAX), limit - live)?;
    if live < limit && p.row.created_ms != 0 {
        // The scan saw the end: whatever the count said, nothing is left.
        p.row.live = 0;
        p.row.low_water_ms = p.row.low_water_ms.max(p.at.stamp_ms);
    }
    if live + dead < limit {
        p.row.dead = 0;
    }
    Ok(OpReply::Purged { removed: live + dead })
}

fn remove_rows<S: Store>(p: &mut Plan<'_, S>, dead: bool, mut range: KeyRange, limit: u32) -> Result<u32, Stop> {
    let mut removed = 0;
    while removed < limit {
        let some = ROWS_AT_ONCE.min((limit - removed) as usize);
        let rows = p.store.scan(&range.from, &range.until, some)?;
        for (key, row) in &rows {
            let at = keys::parse_position(key).ok_or(Stop::Fatal(ApplyError::Row("the key of a task is none")))?;
            let head = Head::decode(row)?;
            let id = TaskId { due_ms: head.id_due_ms, group: p.at.group, sequence: at.sequence };
            p.remove(id, Place { dead, key: at }, head.rewritten);
            if !dead {
                p.draft.effects.push(Effect::Removed { namespace: p.at.namespace.clone(), key: at });
            }
            range.from = keys::row(p.at.namespace, dead, at.next());
        }
        removed += rows.len() as u32;
        if rows.len() < some {
            break;
        }
    }
    Ok(removed)
}
