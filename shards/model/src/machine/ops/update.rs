//! A change to one task, which keeps its id.

use crate::command::{Defect, OpReply, Refusal, Update};
use crate::ids::{DUE_MS_MAX, TaskId, TaskKey};
use crate::machine::effect::Effect;
use crate::machine::find::find_task;
use crate::machine::plan::{Plan, Planned, Stop};
use crate::machine::store::Store;
use crate::rows::task::{Place, TaskRow};

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, update: Update) -> Planned {
    let at = p.at;
    if update.due_ms.is_some_and(|due_ms| due_ms > DUE_MS_MAX) {
        return Err(Refusal::Malformed(Defect::DUE_TOO_LATE).into());
    }
    let TaskRow { id, key, dead, mut record } = expect(p, update.id, update.expected_version)?;
    let from = Place { dead, key };
    let revived = dead && update.revive;
    let due_ms = match update.due_ms {
        Some(due_ms) => due_ms.max(at.now_ms),
        None if revived => at.now_ms,
        None => key.due_ms,
    };
    let to = Place { dead: dead && !update.revive, key: TaskKey { due_ms, sequence: key.sequence } };
    record.version = record.version.saturating_add(1);
    record.fence = record.fence.max(update.fence);
    if update.due_ms.is_some() || revived {
        record.asked_ms = 0;
    }
    if update.revive {
        record.attempts = 0;
    }
    if let Some(metadata) = update.metadata {
        record.metadata = metadata;
    }
    if let Some(payload) = update.payload {
        record.payload = payload;
    }
    let row = p.rewrite(id, from, to, &mut record);
    let namespace = at.namespace.clone();
    if from == to {
        if !to.dead {
            p.draft.effects.push(Effect::Replaced { namespace, key: to.key, row });
        }
    } else {
        if !from.dead {
            p.draft.effects.push(Effect::Removed { namespace: namespace.clone(), key: from.key });
        }
        if !to.dead {
            p.draft.effects.push(Effect::Added { namespace, key: to.key, row });
        }
    }
    Ok(OpReply::Updated(TaskRow { id, key: to.key, dead: to.dead, record }))
}

/// The task, when it is there and has the expected version (0: any).
pub(super) fn expect<S: Store>(p: &mut Plan<'_, S>, id: TaskId, expected: u32) -> Result<TaskRow, Stop> {
    if id.group != p.at.group {
        return Err(p.not_found(id));
    }
    let found = find_task(p.store, p.at.namespace, id).map_err(Stop::Fatal)?;
    let row = found.ok_or_else(|| p.not_found(id))?;
    if expected != 0 && expected != row.record.version {
        return Err(Refusal::VersionMismatch { id, expected, found: row.record.version }.into());
    }
    Ok(row)
}
