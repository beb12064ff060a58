//! What an open partition holds must agree: with its manifest, and its two keyspaces with each other.

use super::engine::Journals;
use super::engine::Tree;
use super::error::{PartitionError, Place};
use super::layout::Applied;
use super::manifest::Manifest;
use z4_model::keys;
use z4_model::log::LogPosition;
use z4_model::machine::Totals;

/// What different places say.
pub(super) struct Said {
    /// As it was found.
    pub(super) manifest: Option<Manifest>,
    /// What is in the journals.
    pub(super) journals: Journals,
    /// The last entry, by its row.
    pub(super) applied: Option<LogPosition>,
    /// Counts of task rows, by the machine's row.
    pub(super) totals: Totals,
}

/// # Errors
/// [`PartitionError::Damaged`] says what contradicts what.
pub(super) fn check(tree: &Tree, place: &Place, said: Said) -> Result<(), PartitionError> {
    let applied = said.applied.map(|position| position.index);
    let durable = said.manifest.as_ref().and_then(|manifest| manifest.applied);
    if applied < durable {
        let text = |index: Option<u64>| index.map_or_else(|| "none".to_owned(), |index| index.to_string());
        let (applied, durable) = (text(applied), text(durable));
        return Err(place.missing(format!("the last entry is {applied}, but the manifest says that {durable} was durable")));
    }
    // Of rows that were deleted the deletions count as well, so this is a bound.
    let (counted, found) = (said.totals.live, tree.task_rows_max());
    if counted > found {
        return Err(place.missing(format!("{counted} tasks are counted, but there are only {found} rows")));
    }
    // Task rows are ahead of the position in tables: the journal has what is between, for it is synced before a table is made of it.
    let [tasks, others] = tree.flushed();
    if tasks > others && said.journals.last_batch < tasks {
        return Err(place.missing("task rows are ahead of the position, and the journal that had the rest is missing or empty"));
    }
    // The journals go on where the tables end, or before.
    let flushed = tree.flushed_row(&keys::raft()).map_err(|error| place.tree(error))?;
    let flushed = flushed.and_then(|row| Applied::decode(&row)).map(|applied| applied.position.index);
    if said.journals.begin_after > flushed {
        let begin = said.journals.begin_after.unwrap_or_default();
        let tables = flushed.map_or_else(|| "nothing".to_owned(), |index| format!("what is up to entry {index}"));
        return Err(
            place.missing(format!("the journals begin after entry {begin}, but tables have only {tables}: one is missing"))
        );
    }
    Ok(())
}
