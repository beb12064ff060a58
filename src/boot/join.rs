//! How a peer that belongs to no cluster becomes the member that the registry has it for.

use std::collections::BTreeSet;
use std::sync::Arc;

use z4_model::ids::GroupId;
use z4_model::rows::incarnation::Incarnation;
use z4_proto::peer::Hello;
use z4_shards::roster::Registry;
use z4_shards::shard::handle::Shards;

use super::{cluster, disk};
use crate::config::Config;
use crate::links::{Identity, Join, Standing};
use crate::process::exit::Exit;
use crate::process::stop::{StopReason, Stopper};

/// The way in: writes the identity first, so that a crash in the middle goes on as that member at the next start. Nothing is written
/// before the registry has come and names this disk.
pub fn join(
    config: &Config,
    (shard_count, incarnation): (usize, Incarnation),
    (shards, standing): (&Shards, &Arc<Standing>),
    stopper: &Stopper,
) -> Join {
    let (db, peer) = (config.db_data_dir.clone(), config.peer_data_dir.clone());
    let (shards, standing, stopper) = (shards.clone(), Arc::clone(standing), stopper.clone());
    Box::new(move |hello: Hello, registry: Registry| {
        let (db, peer) = (db.clone(), peer.clone());
        let (shards, standing, stopper) = (shards.clone(), Arc::clone(&standing), stopper.clone());
        Box::pin(async move {
            let table = registry.slots.ok_or("the registry has no slot table yet")?;
            let groups: BTreeSet<GroupId> = table.iter().copied().collect();
            let identity = Identity {
                cluster_id: registry.roster.cluster,
                peer_id: hello.to_id,
                peer_number: hello.to,
                shards: shard_count,
                groups: groups.len() as u16,
                incarnation: incarnation.to_string(),
            };
            disk::become_member(&db, &peer, &identity).map_err(|e| e.to_string())?;
            tracing::info!(cluster = identity.cluster_id, peer = identity.peer_id, by = hello.from_id, "joining a cluster");
            shards.identify(identity.peer_number, &identity.cluster_id);
            if let Err(error) = cluster::open_groups(&shards, std::iter::once(GroupId::REGISTRY).chain(groups)).await {
                // Half of the groups are open: only the next start can go on from here.
                failing(&stopper)(format!("a group cannot be opened: {error}"));
                return Err(error.to_string());
            }
            shards.set_slots(&table);
            standing.become_member(identity);
            standing.open();
            Ok(())
        })
    })
}

/// Ends the peer, because what is on its disk is not what it should be.
pub fn failing(stopper: &Stopper) -> Box<dyn Fn(String) + Send> {
    let stopper = stopper.clone();
    Box::new(move |what| stopper.stop(StopReason::Failed { exit: Exit::Storage, what }))
}
