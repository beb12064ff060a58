//! A namespace goes, with its settings.

use crate::command::{OpReply, Refusal};
use crate::ids::TaskKey;
use crate::keys;
use crate::machine::effect::Effect;
use crate::machine::plan::{Plan, Planned};
use crate::machine::store::Store;
use crate::rows::namespace::NamespaceRow;
use crate::settings::Settings;

/// Refused while there is a task. The rows are asked, not only the counts, which may be out of step.
pub(super) fn plan<S: Store>(p: &mut Plan<'_, S>) -> Planned {
    let existed = p.row.created_ms != 0;
    let mut counts = [p.row.live, p.row.dead];
    for (count, rows) in counts.iter_mut().zip([
        keys::tasks(p.at.namespace, TaskKey::at(p.row.low_water_ms), TaskKey::MAX),
        keys::dead_tasks(p.at.namespace, TaskKey::MIN, TaskKey::MAX),
    ]) {
        let any = !p.store.scan(&rows.from, &rows.until, 1)?.is_empty();
        *count = if any { (*count).max(1) } else { 0 };
    }
    if let [live, dead] = counts
        && live + dead > 0
    {
        return Err(Refusal::NotEmpty { namespace: p.at.namespace.clone(), live, dead }.into());
    }
    p.row = NamespaceRow::default();
    if existed {
        p.draft.effects.push(Effect::Configured { namespace: p.at.namespace.clone(), settings: Settings::default() });
    }
    Ok(OpReply::NamespaceDropped { existed })
}
