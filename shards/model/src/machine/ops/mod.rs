//! What each operation does: one file per variant of [`Op`].

mod ack;
mod configure;
mod create;
mod delete;
mod drop_namespace;
mod give_back;
mod low_water;
mod purge;
mod register;
mod retry;
mod update;

pub use retry::LAST_ERROR_BYTES_MAX;

use super::plan::{Plan, Planned};
use super::store::Store;
use crate::command::{Defect, Op, Refusal};

/// Plans one operation of a command.
pub(super) fn plan<S: Store>(plan: &mut Plan<'_, S>, op: Op) -> Planned {
    match op {
        Op::Create(new) => create::plan(plan, new),
        Op::Ack { id, key, rewritten, token } => ack::plan(plan, id, key, rewritten, token),
        Op::Retry { key, due_ms, error, of } => retry::plan(plan, key, (due_ms, &error), of),
        Op::GiveBack { key, token } => give_back::plan(plan, key, token),
        // It is of no namespace, and stands alone.
        Op::EndClaims { .. } => Err(Refusal::Malformed(Defect::END_OF_CLAIMS_NOT_ALONE).into()),
        Op::Update(change) => update::plan(plan, change),
        Op::Delete { id, expected_version } => delete::plan(plan, id, expected_version),
        Op::Configure(patch) => configure::plan(plan, &patch),
        Op::LowWater { due_ms } => low_water::plan(plan, due_ms),
        Op::Purge { limit } => purge::plan(plan, limit),
        Op::PurgeFrom { from, limit } => purge::plan_from(plan, from, limit),
        Op::DropNamespace => drop_namespace::plan(plan),
        Op::Register { key, value, before } => register::plan(plan, &key, value, &before),
    }
}
