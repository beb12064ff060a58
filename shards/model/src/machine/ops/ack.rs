//! A delivered task is done.

use crate::command::{Defect, OpReply, Refusal};
use crate::ids::{TaskId, TaskKey};
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;
use crate::rows::task::Place;

/// Reads nothing: the leader's lease table vouches for the row.
pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, id: TaskId, key: TaskKey, rewritten: bool, token: u64) -> Planned {
    if id.sequence != key.sequence {
        return Err(Refusal::Malformed(Defect::KEY_OF_ANOTHER).into());
    }
    if id.group != p.at.group {
        return Err(p.not_found(id));
    }
    p.remove(id, Place::live(key), rewritten);
    p.settled(token, key.sequence, true);
    Ok(OpReply::Acked)
}
