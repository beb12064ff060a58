//! The registry's rows, from this peer's replica of group 0 to everybody on this peer who lives by them: when it is opened, and
//! whenever an apply or a snapshot changed it. So a peer that joined learns members and slots by replication alone.

use std::rc::Rc;

use z4_model::ids::GroupId;

use crate::partition::Partition;
use crate::roster::Registry;
use crate::shard::api::Rejection;
use crate::shard::worker::Shard;

impl Shard {
    /// Reads the registry and publishes it. Reads come back in the order in which they were asked for, so what is published never
    /// goes back.
    pub(super) fn publish_registry(self: &Rc<Self>) {
        let shard = Rc::clone(self);
        self.storage.run(
            |partitions| partitions.get_mut(&GroupId::REGISTRY).map(read),
            move |registry| match registry {
                Some(Ok(registry)) => shard.publish(registry),
                // It is told of, and comes again with another peer's rows.
                Some(Err(_)) if shard.group(GroupId::REGISTRY).is_some_and(|group| group.damage.is_found()) => {}
                Some(Err(error)) => tracing::error!(%error, "the registry cannot be published; what was known before stays"),
                None => {}
            },
        );
    }

    fn publish(&self, registry: Registry) {
        let Some(shards) = self.shards() else { return };
        if let Some(slots) = registry.slots {
            shards.set_slots(&slots);
        }
        // Before the first peer is written there is nobody; afterwards there is always somebody.
        if !registry.roster.members.is_empty() && *shards.roster() != registry.roster {
            if shards.roster().members != registry.roster.members {
                let present: Vec<&str> = registry.roster.present().map(|member| member.id.as_str()).collect();
                tracing::info!(cluster = registry.roster.cluster, members = present.join(", "), "the members of the cluster");
            }
            let removed = registry.roster.member(self.me()).is_some_and(|me| me.removed);
            shards.set_roster(registry.roster);
            if removed && shards.set_removed() {
                tracing::warn!("this peer was removed from the cluster; stop it, it serves nothing any more");
                // Its replicas hear of no leader any more: consumers would wait here for ever.
                shards.end_consumers();
            }
        }
    }
}

/// Everything that the registry says, as applied here.
pub(super) fn read(partition: &mut Partition) -> Result<Registry, Rejection> {
    let failed = |e: &dyn std::error::Error| Rejection::Storage(e.to_string().into());
    let rows = partition.registry(b"").map_err(|e| failed(&e))?;
    Registry::from_rows(&rows).map_err(|e| failed(&e))
}
