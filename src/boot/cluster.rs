//! From open logs to a serving cluster: the registry first, then the groups that it tells of.

use std::time::Duration;

use bytes::Bytes;
use z4_shards::ids::{GroupId, PeerNumber, SLOTS};
use z4_shards::machine::registry;
use z4_shards::shard::api::Rejection;
use z4_shards::shard::handle::Shards;

use super::BootError;
use super::identity::Identity;
use super::serving::LOOK_AGAIN;

/// How long a group may take to find its leader.
const LEADER_WAIT: Duration = Duration::from_secs(30);

/// Opens the registry, writes its first rows when this peer bootstraps, and opens every group.
pub async fn open(shards: &Shards, identity: &Identity, address: &str, groups: u16) -> Result<(), BootError> {
    let voters: Vec<(PeerNumber, String)> = match identity.peer_number {
        1 => vec![(1, address.to_owned())],
        _ => Vec::new(),
    };
    shards.open(GroupId::REGISTRY, voters.clone()).await?;
    let slots = match shards.registry_get(registry::SLOTS_TABLE).await? {
        Some(slots) => slots,
        None => bootstrap(shards, identity, address, groups).await?,
    };
    let table = registry::decode_slots(&slots).ok_or(BootError::Registry("the slot table"))?;
    let mut owners = table.clone();
    owners.sort_unstable();
    owners.dedup();
    for group in &owners {
        shards.open(*group, voters.clone()).await?;
    }
    shards.set_slots(&table);
    until_led(shards).await
}

/// Writes the registry's first rows; a crash before leaves none of them, so the next start does it again.
async fn bootstrap(shards: &Shards, identity: &Identity, address: &str, groups: u16) -> Result<Bytes, BootError> {
    let table: Vec<GroupId> = (0..SLOTS).map(|slot| GroupId(1 + slot % groups)).collect();
    let slots = registry::encode_slots(&table);
    let rows = || {
        vec![
            (registry::CLUSTER_ID, Bytes::from(identity.cluster_id.clone())),
            (registry::FIRST_PEER, Bytes::from(format!("{}\n{address}", identity.peer_id))),
            (registry::SLOTS_TABLE, slots.clone()),
        ]
    };
    let until = tokio::time::Instant::now() + LEADER_WAIT;
    loop {
        match shards.registry_create(rows()).await {
            Ok(()) => return Ok(slots),
            Err(Rejection::NoLeader { .. }) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits until every group is served: by this peer, as long as it is alone.
async fn until_led(shards: &Shards) -> Result<(), BootError> {
    let until = tokio::time::Instant::now() + LEADER_WAIT;
    loop {
        let groups = shards.groups().await;
        let Some(waiting) = groups.iter().find(|group| !group.serves) else { return Ok(()) };
        if tokio::time::Instant::now() >= until {
            return Err(BootError::NoLeader { group: waiting.group });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
