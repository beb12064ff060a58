//! A new task.

use crate::command::{Create, Created, Defect, OpReply, Refusal};
use crate::ids::{DUE_MS_MAX, TaskId, TaskKey};
use crate::keys;
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned, Stop};
use crate::machine::sequences::{RESERVED_SEQUENCE, SEQUENCES_PER_INDEX, first_sequence};
use crate::machine::store::Store;
use crate::rows::record::TaskRecord;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, create: Create) -> Planned {
    let at = p.at;
    if let Some(known) = create.request.and_then(|request| p.window.find(request, at.stamp_ms)) {
        let id = TaskId { due_ms: known.home.due_ms, group: at.group, sequence: known.home.sequence };
        return Ok(OpReply::Created(Created { id, created_ms: known.created_ms, duplicate: true }));
    }
    let key = place(p, &create)?;
    if let Some(request) = create.request {
        p.window.insert(request, key, (at.stamp_ms, at.now_ms), p.row.settings.idempotency_window_ms, at.index);
    }
    let record = TaskRecord {
        id_due_ms: key.due_ms,
        created_ms: at.now_ms,
        // What is past is due at once, and still what the producer said.
        asked_ms: create.asked_ms.filter(|asked_ms| *asked_ms < key.due_ms).unwrap_or(0),
        version: 1,
        metadata: create.metadata,
        payload: create.payload,
        ..TaskRecord::default()
    };
    let row = record.encode();
    p.put(keys::task(at.namespace, key), row.clone());
    p.draft.effects.push(Effect::Added { namespace: at.namespace.clone(), key, row });
    p.touch();
    p.row.live += 1;
    p.row_appears(key.due_ms);
    let id = TaskId { due_ms: key.due_ms, group: at.group, sequence: key.sequence };
    Ok(OpReply::Created(Created { id, created_ms: at.now_ms, duplicate: false }))
}

fn place<S>(p: &mut Plan<'_, S>, create: &Create) -> Result<TaskKey, Stop> {
    let malformed = |what| Err(Stop::Refused(Refusal::Malformed(what)));
    if create.due_ms > DUE_MS_MAX {
        return malformed(Defect::DUE_TOO_LATE);
    }
    if create.sequence & RESERVED_SEQUENCE != 0 {
        // Its id was told already: even a due time before the entry's stays.
        return Ok(TaskKey { due_ms: create.due_ms, sequence: create.sequence });
    }
    if create.sequence != 0 {
        return malformed(Defect::SEQUENCE_NOT_RESERVED);
    }
    if p.assigned == SEQUENCES_PER_INDEX {
        return malformed(Defect::TOO_MANY_CREATES);
    }
    let sequence = first_sequence(p.at.index) | p.assigned;
    p.assigned += 1;
    Ok(TaskKey { due_ms: create.due_ms.max(p.at.now_ms), sequence })
}
