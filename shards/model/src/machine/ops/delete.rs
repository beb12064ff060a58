//! A task goes, whatever its state.

use super::update::expect;
use crate::command::OpReply;
use crate::ids::TaskId;
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;
use crate::rows::task::Place;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, id: TaskId, expected_version: u32) -> Planned {
    let row = expect(p, id, expected_version)?;
    p.remove(id, Place { dead: row.dead, key: row.key }, row.record.rewritten);
    if !row.dead {
        p.draft.effects.push(Effect::Removed { namespace: p.at.namespace.clone(), key: row.key });
    }
    Ok(OpReply::Deleted)
}
