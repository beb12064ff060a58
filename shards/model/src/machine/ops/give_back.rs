//! A delivery was given back.

use crate::command::OpReply;
use crate::ids::{TaskId, TaskKey};
use crate::keys;
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;
use crate::rows::record::TaskRecord;
use crate::rows::task::Place;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, key: TaskKey, token: u64) -> Planned {
    let at = p.at;
    let Some(row) = p.store.get(&keys::task(at.namespace, key))? else {
        return Err(p.not_found(TaskId { due_ms: key.due_ms, group: at.group, sequence: key.sequence }));
    };
    let mut record = TaskRecord::decode(&row)?;
    record.fence = record.fence.max(token);
    let (id, place) = (record.id(at.group, key), Place::live(key));
    let row = p.rewrite(id, place, place, &mut record);
    p.draft.effects.push(Effect::Added { namespace: at.namespace.clone(), key, row });
    Ok(OpReply::GivenBack)
}
