//! Views of the groups' partitions for threads that are no shard's.

use std::collections::BTreeMap;

use z4_model::ids::GroupId;

use crate::partition::{View, Viewer};
use crate::shard::api::Rejection;
use crate::shard::handle::Shards;

impl Shards {
    /// A group's replica is open.
    pub(super) fn show(&self, group: GroupId, viewer: Viewer) {
        self.0.viewers.rcu(|viewers| {
            let mut viewers = BTreeMap::clone(viewers);
            viewers.insert(group, viewer.clone());
            viewers
        });
    }

    /// What this peer's replica of a group has applied now, whatever comes later. From any thread; asks and waits for nobody. While the
    /// view lives the partition's directory stays in use, and the space of rows that were removed since is not given back.
    ///
    /// # Errors
    /// [`Rejection::NotMember`] and [`Rejection::Removed`], [`Rejection::Behind`] when this peer has nothing of the group yet,
    /// [`Rejection::Stopping`] when the replica is closed.
    pub fn view(&self, group: GroupId) -> Result<View, Rejection> {
        if self.is_removed() {
            return Err(Rejection::Removed);
        }
        let viewers = self.0.viewers.load();
        let Some(viewer) = viewers.get(&group) else {
            self.groups_of_tasks()?;
            return Err(Rejection::Behind { group });
        };
        let view = viewer.view().ok_or(Rejection::Stopping)?;
        match view.applied_index() {
            Ok(Some(_)) => Ok(view),
            // A peer that has just joined: its first snapshot or entries are on the way.
            Ok(None) => Err(Rejection::Behind { group }),
            Err(e) => Err(Rejection::Storage(e.to_string().into())),
        }
    }
}
