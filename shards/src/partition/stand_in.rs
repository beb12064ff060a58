//! What is open in the place of a partition that is damaged when it is opened, where other replicas have the rows.
//!
//! The raft log is whole, so the replica can go on to vote and to append while another one's rows come. For that it must say how far its
//! rows were and who votes, which the manifest tells beside the rows. Everything else that is asked of it is an error: it has no rows, and
//! applies nothing. The damaged generation stays untouched until others take its place: a start in between meets the damage again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use z4_model::ids::GroupId;
use z4_model::machine::Machine;

use super::directory::Directory;
use super::engine::{Threads, Tree};
use super::error::{PartitionError, Place};
use super::layout::Applied;
use super::manifest::{self, Record};
use super::queue::Queue;
use super::store::BatchStore;
use super::{Partition, PartitionOptions, View, Viewer, directory, generation};
use crate::runtime::fs;

/// The directory of its own, which holds nothing.
const NAME: &str = "stand-in";

/// What a partition stands in for.
pub(super) struct Damaged {
    base: PathBuf,
    /// The damaged generation; `None`: it is gone.
    pub(super) directory: Option<Directory>,
}

/// What the raft log has.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    /// The last entry that it has no longer.
    pub purged: Option<u64>,
    /// Its last entry.
    pub last: Option<u64>,
}

impl Partition {
    /// Opens an empty partition in the place of the one in `base`, of which `damage` was told when it was opened. It says that it is as far as
    /// the damaged one surely was, and reads and applies nothing until another replica's rows [take its place](Partition::adopt).
    ///
    /// # Errors
    /// The damage itself, when nothing can take its place: a file is missing, so this may not be the disk that it was; or log and manifest
    /// together do not tell how far the replica was and who votes. [`PartitionError::Storage`]: the disk failed.
    pub fn stand_in(
        base: &Path,
        group: GroupId,
        options: &PartitionOptions,
        logged: Logged,
        damage: PartitionError,
    ) -> Result<Self, PartitionError> {
        if !matches!(damage, PartitionError::Damaged { missing: false, .. }) {
            return Err(damage);
        }
        let Some(dir) = generation::counts(base) else { return Err(damage) };
        let mut place = Place::new(group, Arc::from(dir.as_path()));
        place.lost = true;
        let Some(state) = manifest::read(&dir, &place).ok().flatten().and_then(|said| known(said, logged)) else {
            return Err(damage);
        };
        remove(base).map_err(|error| place.storage(error))?;
        let (empty, failed) = (Place::new(group, place.dir.clone()), |error| place.tree(error));
        let own = Arc::new(Directory::doomed(&base.join(NAME)));
        fs::create_directories(own.path()).map_err(|error| place.storage(error))?;
        let tree = Tree::open_in(own, options).map_err(failed)?;
        let view = View::without_queue(&tree, &empty);
        let machine = Machine::load(group, &mut BatchStore::new(&view)).map_err(|error| empty.reading(error))?;
        drop(view);
        let (applied, membership) = state.map_or((None, None), |state| (Some(state.position), state.membership));
        let partition = Partition {
            place,
            options: options.clone(),
            machine,
            tree,
            queue: Arc::new(Queue::new(options.queue_bytes_max, applied)),
            threads: Threads::default(),
            viewer: Viewer::default(),
            record: Arc::new(Record::new(None)),
            applied,
            membership,
            broken: Some(damage),
            stands_in: Some(Damaged { base: base.to_owned(), directory: Some(Directory::kept(&dir)) }),
        };
        partition.viewer.show(partition.source());
        Ok(partition)
    }

    /// The directory that holds the generations.
    pub(super) fn base(&self) -> Result<PathBuf, PartitionError> {
        match &self.stands_in {
            Some(damaged) => Ok(damaged.base.clone()),
            None => generation::base(&self.place),
        }
    }
}

/// How far the damaged partition surely was; `Some(None)`: nothing was purged, and the log tells everything. `None`: that is not known, or
/// the log ends before it, and the rows were all that was left of what this replica had taken.
fn known(said: manifest::Manifest, logged: Logged) -> Option<Option<Applied>> {
    let reaches = said.applied <= logged.last && said.applied >= logged.purged;
    let tells = said.state.as_ref().is_some_and(|state| state.membership.is_some()) || logged.purged.is_none();
    (reaches && tells).then_some(said.state)
}

/// Removes what a crash left.
pub(super) fn remove(base: &Path) -> io::Result<()> {
    directory::remove(&base.join(NAME))
}
