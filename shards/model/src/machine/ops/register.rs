//! Sets one row of the registry.

use bytes::Bytes;

use crate::command::{Before, Defect, OpReply, Refusal};
use crate::ids::GroupId;
use crate::keys;
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, name: &[u8], value: Bytes, before: &Before) -> Planned {
    if p.at.group != GroupId::REGISTRY {
        return Err(Refusal::Malformed(Defect::REGISTRY_ELSEWHERE).into());
    }
    let key = keys::registry(name);
    let holds = match before {
        Before::Any => true,
        Before::Absent => p.store.get(&key)?.is_none(),
        Before::Value(expected) => p.store.get(&key)?.is_some_and(|found| found == *expected),
    };
    if !holds {
        return Err(Refusal::Exists.into());
    }
    // A slice of the entry would keep all of it in memory.
    p.put(key, Bytes::copy_from_slice(&value));
    p.draft.effects.push(Effect::Registered);
    Ok(OpReply::Registered)
}
