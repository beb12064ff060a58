//! No row of the namespace is due before the mark, so no scan starts before it: consumed heads leave tombstones there.

use crate::command::OpReply;
use crate::encoding::Malformed;
use crate::ids::TaskKey;
use crate::keys;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;

/// Moves the mark up to `due_ms`, but not past the first live row, and not past the entry's time, below which hardly a row appears any
/// more (reserved ones do, and all do when a clock was set back; they lower the mark). A mark that is true is not lowered.
pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, due_ms: u64) -> Planned {
    if p.row.created_ms == 0 {
        return Ok(OpReply::LowWater);
    }
    let live = keys::tasks(p.at.namespace, TaskKey::at(p.row.low_water_ms), TaskKey::MAX);
    let mut mark = due_ms.min(p.at.now_ms);
    if let Some((key, _)) = p.store.scan(&live.from, &live.until, 1)?.first() {
        let first = keys::parse_position(key).ok_or(Malformed("the key of a task is none"))?;
        mark = mark.min(first.due_ms);
    }
    p.row.low_water_ms = p.row.low_water_ms.max(mark);
    Ok(OpReply::LowWater)
}
