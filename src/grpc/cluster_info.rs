//! What `GetClusterInfo` answers: the roster, what this peer sees of the others, and its replicas.

use std::pin::Pin;

use prost::Message;
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto as proto;
use z4_shards::link::{Clocks, Reachability};
use z4_shards::roster::{Member, Roster};
use z4_shards::shard::api::{GroupInfo, ReplicaInfo};

use super::reply;
use crate::links::Found;

/// The peer that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Me {
    /// Its id; empty: it has none yet.
    pub id: String,
    /// Its number inside Raft; `None`: it waits to be added to a cluster.
    pub number: Option<PeerNumber>,
    /// 32 hexadecimal digits; empty: it belongs to no cluster yet.
    pub cluster_id: String,
    /// It was removed from it.
    pub removed: bool,
    /// Where clients reach it, `host:port`.
    pub service_address: String,
}

/// What the edge asks about the peer itself; the rest is in the registry.
pub trait ClusterView: Send + Sync {
    /// Who this peer is now.
    fn me(&self) -> Me;

    /// Who answers at the address of a peer; `id`: whom one hopes for.
    fn who_is_at<'a>(&'a self, _address: &'a str, _id: &'a str) -> Pin<Box<dyn Future<Output = Found> + 'a>> {
        Box::pin(std::future::ready(Found::Nobody("this peer calls nobody".to_owned())))
    }

    /// Whether this peer serves.
    ///
    /// # Errors
    /// Why not.
    fn serving(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What this peer knows of the cluster besides itself.
pub(super) struct Seen<'a> {
    pub(super) roster: &'a Roster,
    /// What is known of the way to a peer.
    pub(super) reach: &'a dyn Fn(PeerNumber) -> Option<Reachability>,
    pub(super) groups: Vec<GroupInfo>,
    pub(super) clocks: &'a Clocks,
}

/// Whether this peer belongs to the cluster.
pub(super) fn membership(me: &Me, roster: &Roster) -> proto::Membership {
    let Some(number) = me.number else { return proto::Membership::NotYet };
    let removed = me.removed || roster.member(number).is_some_and(|member| member.removed);
    if removed { proto::Membership::Removed } else { proto::Membership::Member }
}

/// So much of why a peer cannot be reached.
const ERROR_CHARS_MAX: usize = 1_000;

/// A leader that was not heard for so long is none: a follower campaigns long before.
const SILENT_MS_MAX: u64 = 5_000;

/// The leader of a group, when there is one as far as this peer can tell: Raft remembers the last one until there is another, also when it
/// is dead, or cut off, or has lost its quorum.
fn living_leader(me: &Me, reach: &dyn Fn(PeerNumber) -> Option<Reachability>, info: &GroupInfo) -> Option<PeerNumber> {
    info.leader.filter(|leader| {
        if me.number == Some(*leader) {
            return info.serves;
        }
        let connected = reach(*leader).is_some_and(|reach| reach.links > 0);
        connected && info.stale_ms.is_none_or(|silent_ms| silent_ms <= SILENT_MS_MAX)
    })
}

/// The whole answer.
pub(super) fn cluster_info(me: Me, mut seen: Seen<'_>) -> proto::ClusterInfo {
    let roster = seen.roster;
    for info in &mut seen.groups {
        info.leader = living_leader(&me, seen.reach, info);
    }
    let leader = seen.groups.iter().find(|g| g.group == GroupId::REGISTRY).and_then(|g| g.leader);
    let leader = leader.and_then(|number| roster.member(number));
    let mut groups: Vec<_> = seen.groups.into_iter().map(|info| group(roster, info)).collect();
    let mut info = proto::ClusterInfo {
        leader_address: leader.map(|member| member.address.clone()).unwrap_or_default(),
        members: roster.present().map(|member| server(&me, member, (seen.reach)(member.number), seen.clocks)).collect(),
        groups: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        membership: membership(&me, roster).into(),
        server_id: me.id,
        cluster_id: me.cluster_id,
        clock_outside_ms: seen.clocks.outside_ms(),
    };
    reply::fit(&mut groups, info.encoded_len());
    info.groups = groups;
    info
}

/// An error may quote what a stranger said at the address.
fn cut(error: &str) -> String {
    error.chars().take(ERROR_CHARS_MAX).collect()
}

fn server(me: &Me, member: &Member, reach: Option<Reachability>, clocks: &Clocks) -> proto::Server {
    let (number, id, address) = (member.number, member.id.clone(), member.address.clone());
    if me.number == Some(number) {
        let service_address = me.service_address.clone();
        let clock_outside_ms = clocks.outside_ms() as f64;
        return proto::Server { id, address, service_address, number, connected: true, clock_outside_ms, ..Default::default() };
    }
    let reach = reach.unwrap_or_default();
    proto::Server {
        id,
        address,
        number,
        connected: reach.links > 0,
        connection_error: if reach.links > 0 { String::new() } else { cut(&reach.error) },
        service_address: reach.service_address,
        clock_skew_ms: reach.skew_ms,
        clock_outside_ms: reach.clock.map_or(0.0, |reading| clocks.outside_of(reading)),
    }
}

fn group(roster: &Roster, info: GroupInfo) -> proto::Group {
    let name = |number: PeerNumber| roster.name(number);
    let replica = |replica: ReplicaInfo| proto::Replica {
        peer_id: name(replica.peer),
        voter: replica.voter,
        matched_index: replica.matched.map(|(index, _)| index),
        lag: replica.matched.map(|(_, lag)| lag),
    };
    proto::Group {
        id: info.group.0.into(),
        leader: info.leader.map(name).unwrap_or_default(),
        term: info.term,
        last_log_index: info.last_log_index.unwrap_or(0),
        applied_index: info.applied_index.unwrap_or(0),
        members: info.voters.into_iter().map(name).collect(),
        shard: info.shard as u32,
        replicas: info.replicas.into_iter().map(replica).collect(),
        serves: info.serves,
    }
}

#[cfg(test)]
mod tests {
    //! Scripts send operators, and tools, to the leader that is named here: one that is dead must not be.
    use super::*;

    fn registry(leader: Option<u64>, serves: bool, stale_ms: Option<u64>) -> GroupInfo {
        GroupInfo {
            group: GroupId::REGISTRY,
            leader,
            serves,
            term: 3,
            last_log_index: None,
            applied_index: None,
            committed_index: None,
            stale_ms,
            bytes: 0,
            voters: vec![1, 2],
            shard: 0,
            replicas: Vec::new(),
        }
    }

    fn told(links: usize, info: GroupInfo) -> (String, String) {
        let member =
            |number: u64| Member { number, id: format!("p{number}"), address: format!("p{number}:6356"), removed: false };
        let roster = Roster { cluster: "c".into(), members: vec![member(1), member(2)], ..Roster::default() };
        let reach = |_| Some(Reachability { links, ..Reachability::default() });
        let me = Me { number: Some(1), id: "p1".into(), ..Me::default() };
        let clocks = Clocks::default();
        let seen = Seen { roster: &roster, reach: &reach, groups: vec![info], clocks: &clocks };
        let info = cluster_info(me, seen);
        (info.leader_address, info.groups[0].leader.clone())
    }

    #[test]
    fn a_leader_that_is_none_is_not_named() {
        let named = |number: u64| (format!("p{number}:6356"), format!("p{number}"));
        let nobody = (String::new(), String::new());
        assert_eq!(told(1, registry(Some(2), false, Some(100))), named(2));
        assert_eq!(told(0, registry(Some(2), false, Some(100))), nobody, "it cannot be reached");
        assert_eq!(told(1, registry(Some(2), false, Some(60_000))), nobody, "it has not been heard for a minute");
        assert_eq!(told(1, registry(Some(1), true, Some(0))), named(1));
        assert_eq!(told(1, registry(Some(1), false, Some(9_000))), nobody, "it has lost its quorum");
        assert_eq!(told(1, registry(None, false, None)), nobody);
    }
}
