//! Sets one row of the registry.

use bytes::Bytes;

use super::plan::{Plan, Planned};
use super::{Store, keys};
use crate::command::{OpReply, Refusal};
use crate::ids::GroupId;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, name: &[u8], value: Bytes, only_if_absent: bool) -> Planned {
    if p.at.group != GroupId::REGISTRY {
        return Err(Refusal::Malformed("only group 0 holds the registry").into());
    }
    let key = keys::registry(name);
    if only_if_absent && p.store.get(&key)?.is_some() {
        return Err(Refusal::Exists.into());
    }
    // A slice of the entry would keep all of it in memory.
    p.put(key, Bytes::copy_from_slice(&value));
    Ok(OpReply::Registered)
}
