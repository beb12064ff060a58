//! A change to the namespace's settings.

use crate::command::{OpReply, Refusal};
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;
use crate::settings::SettingsPatch;

pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>, patch: &SettingsPatch) -> Planned {
    let settings = p.row.settings.patched(patch).map_err(Refusal::Setting)?;
    p.touch();
    p.row.settings = settings;
    p.draft.effects.push(Effect::Configured { namespace: p.at.namespace.clone(), settings });
    Ok(OpReply::Configured(Box::new(p.row.clone())))
}
