//! How a peer that belongs to no cluster becomes the member that another peer takes it for.

use std::collections::BTreeSet;
use std::sync::Arc;

use z4_proto::peer::Hello;
use z4_shards::ids::GroupId;
use z4_shards::machine::registry;
use z4_shards::shard::handle::Shards;

use super::cluster;
use crate::config::Config;
use crate::links::{Identity, Join, Standing};

/// The way in: writes the identity first, so that a crash in the middle goes on as that member at the next start.
pub fn join(config: &Config, shard_count: usize, shards: &Shards, standing: &Arc<Standing>) -> Join {
    let (dir, shards, standing) = (config.peer_data_dir.clone(), shards.clone(), Arc::clone(standing));
    Box::new(move |hello: Hello| {
        let (dir, shards, standing) = (dir.clone(), shards.clone(), Arc::clone(&standing));
        Box::pin(async move {
            let table = registry::decode_slots(&hello.slots).ok_or("the caller's slot table cannot be read")?;
            let groups: BTreeSet<GroupId> = table.iter().copied().collect();
            let identity = Identity {
                cluster_id: hello.cluster_id,
                peer_id: hello.to_id,
                peer_number: hello.to,
                shards: shard_count,
                groups: groups.len() as u16,
            };
            identity.write(&dir).map_err(|e| e.to_string())?;
            tracing::info!(cluster = identity.cluster_id, peer = identity.peer_id, by = hello.from_id, "joining a cluster");
            shards.identify(identity.peer_number, &identity.cluster_id);
            cluster::open_groups(&shards, groups).await.map_err(|e| e.to_string())?;
            shards.set_slots(&table);
            standing.become_member(identity);
            Ok(())
        })
    })
}
