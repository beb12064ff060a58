//! From open logs to a serving cluster: the registry first, then the groups that it tells of.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use z4_model::command::Refusal;
use z4_model::ids::{GroupId, PeerNumber, SLOTS};
use z4_model::rows::peer_row::PeerRow;
use z4_model::rows::registry;
use z4_shards::shard::api::Rejection;
use z4_shards::shard::handle::Shards;

use super::serving::LOOK_AGAIN;
use super::{BootError, options};
use crate::config::Config;
use crate::links::Identity;
use crate::links::identity::IdentityError;

/// How long a group may take to find its leader.
const LEADER_WAIT: Duration = Duration::from_secs(30);

/// Opens every group. A peer that bootstraps writes the registry's first rows; one that is alone waits until it leads.
pub async fn open(shards: &Shards, identity: &Identity, address: &str, config: &Config) -> Result<(), BootError> {
    let voters: Vec<(PeerNumber, String)> = match identity.peer_number {
        1 => vec![(1, address.to_owned())],
        _ => Vec::new(),
    };
    shards.open(GroupId::REGISTRY, voters.clone()).await?;
    let slots = match registry(shards, identity, config).await {
        Ok(Some(slots)) => slots,
        Ok(None) if identity.peer_number == 1 => bootstrap(shards, identity, address, config).await?,
        // It joined, and its registry has not arrived yet: that will bring the slot table.
        Ok(None) => return open_groups(shards, (1..=identity.groups).map(GroupId)).await,
        // It is damaged, and the one of another peer will bring it. An identity of an earlier z4 does not tell the groups.
        Err(BootError::RegistryAccess(_)) if identity.groups > 0 && shards.is_damaged(GroupId::REGISTRY).await => {
            return open_groups(shards, (1..=identity.groups).map(GroupId)).await;
        }
        Err(error) => return Err(error),
    };
    let table = registry::decode_slots(&slots).ok_or(BootError::Registry("the slot table"))?;
    let owners: BTreeSet<GroupId> = table.iter().copied().collect();
    for group in owners {
        shards.open(group, voters.clone()).await?;
    }
    shards.set_slots(&table);
    until_led(shards, identity.peer_number).await
}

/// Opens these groups, which other peers lead. None of them may be open.
pub async fn open_groups(shards: &Shards, groups: impl IntoIterator<Item = GroupId>) -> Result<(), BootError> {
    for group in groups {
        shards.open(group, Vec::new()).await?;
    }
    Ok(())
}

/// The slot table as the registry here has it; `None`: it has none yet.
async fn registry(shards: &Shards, identity: &Identity, config: &Config) -> Result<Option<Bytes>, BootError> {
    check_cluster(shards, identity, config).await?;
    Ok(shards.registry_get(registry::SLOTS_TABLE).await?)
}

/// The registry on this disk is the one of this peer's cluster, if it has arrived.
async fn check_cluster(shards: &Shards, identity: &Identity, config: &Config) -> Result<(), BootError> {
    match shards.registry_get(registry::CLUSTER_ID).await? {
        Some(found) if found != identity.cluster_id.as_bytes() => Err(IdentityError::OthersCluster {
            dir: config.db_data_dir.clone(),
            found: String::from_utf8_lossy(&found).into_owned(),
            cluster_id: identity.cluster_id.clone(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// Writes the registry's first rows; a crash before leaves none of them, so the next start does it again. A crash right after may leave
/// them in the log alone, which is applied only when there is a leader: then they are found.
async fn bootstrap(shards: &Shards, identity: &Identity, address: &str, config: &Config) -> Result<Bytes, BootError> {
    let groups = options::groups(config);
    let table: Vec<GroupId> = (0..SLOTS).map(|slot| GroupId(1 + slot % groups)).collect();
    let slots = registry::encode_slots(&table);
    let rows = || {
        vec![
            (registry::CLUSTER_ID, Bytes::from(identity.cluster_id.clone())),
            (
                registry::FIRST_PEER,
                PeerRow { id: identity.peer_id.clone(), address: address.to_owned(), removed: false }.encode(),
            ),
            (registry::FIRST_INCARNATION, Bytes::from(identity.incarnation.clone())),
            (registry::PEERS_REVISION, Bytes::from_static(b"1")),
            (registry::SLOTS_TABLE, slots.clone()),
        ]
    };
    let until = tokio::time::Instant::now() + LEADER_WAIT;
    loop {
        match shards.registry_create(rows()).await {
            Ok(()) => return Ok(slots),
            Err(Rejection::NoLeader { .. } | Rejection::Refused(Refusal::Exists)) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(e) => return Err(e.into()),
        }
        check_cluster(shards, identity, config).await?;
        if let Some(found) = shards.registry_get(registry::SLOTS_TABLE).await? {
            return Ok(found);
        }
    }
}

/// What is known of a group that this peer may have to wait for.
struct Waited {
    group: GroupId,
    serves: bool,
    /// This peer is its only voter.
    is_alone: bool,
}

/// The group that this peer still has to lead; `None`: there is none. What needs another peer is not waited for, because there is no link
/// before the groups are open. Nor does one that was removed wait: it serves nothing any more, and takes part until others have what it has.
fn is_awaited(groups: &[Waited], (is_removed, serves): (bool, bool)) -> Option<GroupId> {
    if is_removed {
        return None;
    }
    let waited = groups.iter().find(|group| group.is_alone && !group.serves);
    // Of a peer that needs nobody, what serves says so a moment later.
    let needs_nobody = groups.iter().all(|group| group.is_alone);
    waited.or_else(|| groups.first().filter(|_| needs_nobody && !serves)).map(|group| group.group)
}

/// Waits until this peer serves every group of which it is the only voter.
async fn until_led(shards: &Shards, me: PeerNumber) -> Result<(), BootError> {
    let until = tokio::time::Instant::now() + LEADER_WAIT;
    // The groups of the peer that bootstrapped have voters, also when a replica that has just been opened does not say so yet.
    let alone = |voters: &[PeerNumber]| voters == [me] || (voters.is_empty() && me == 1);
    loop {
        let groups = shards.groups().await.into_iter();
        let groups: Vec<_> =
            groups.map(|group| Waited { group: group.group, serves: group.serves, is_alone: alone(&group.voters) }).collect();
        let Some(group) = is_awaited(&groups, (shards.is_removed(), shards.serving().is_ok())) else { return Ok(()) };
        if tokio::time::Instant::now() >= until {
            return Err(BootError::NoLeader { group });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    //! A peer that waits at its start for what only its links can bring ends each time, and nobody gets at what it has.
    use super::*;

    fn awaited(groups: &[(bool, bool)], is_removed: bool, serves: bool) -> Option<GroupId> {
        let waited = |(n, (is_alone, serves)): (usize, &(bool, bool))| Waited {
            group: GroupId(n as u16),
            serves: *serves,
            is_alone: *is_alone,
        };
        let groups: Vec<_> = groups.iter().enumerate().map(waited).collect();
        is_awaited(&groups, (is_removed, serves))
    }

    #[test]
    fn a_lone_peer_waits_until_it_serves() {
        assert_eq!(awaited(&[(true, true), (true, false)], false, false), Some(GroupId(1)));
        assert_eq!(awaited(&[(true, true), (true, true)], false, false), Some(GroupId(0)), "the board says so a moment later");
        assert_eq!(awaited(&[(true, true), (true, true)], false, true), None);
    }

    /// It leads and does not serve, for good; those who are to have its tasks are reached only after it has gone on.
    #[test]
    fn a_removed_peer_that_is_the_only_voter_does_not_wait_to_serve() {
        assert_eq!(awaited(&[(true, true), (true, true)], true, false), None);
        assert_eq!(awaited(&[(true, false), (true, false)], true, false), None);
    }

    /// The second voter has joined one group and not yet the other: without it, and so without a link, not all groups have a leader.
    #[test]
    fn a_group_that_needs_another_peer_is_not_waited_for() {
        assert_eq!(awaited(&[(true, true), (false, false)], false, false), None);
        assert_eq!(awaited(&[(true, false), (false, false)], false, false), Some(GroupId(0)));
    }
}
