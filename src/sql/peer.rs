//! What SQL sees of the peer: its shards, asked from plain threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use z4_model::ids::{GroupId, Namespace, PeerNumber};
use z4_model::rows::namespace::NamespaceRow;
use z4_shards::link::Reachability;
use z4_shards::partition::{PartitionError, Span, View};
use z4_shards::roster::{Member, Roster};
use z4_shards::runtime::clock;
use z4_shards::shard::api::{GroupInfo, Rejection};
use z4_shards::shard::handle::Shards;

use super::data::{Data, GroupRow, Leases, PeerRow, Range, RawRow, Rows};
use super::error::SqlError;
use super::wait::wait_until;
use crate::grpc::{ClusterView, Me};

/// A shard answers or refuses sooner than this; one that does not hangs, and its reader need not.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// This peer.
#[derive(Clone)]
pub struct PeerData {
    shards: Shards,
    cluster: Arc<dyn ClusterView>,
}

impl PeerData {
    /// The peer whose shards these are; `cluster` says who it is.
    pub fn new(shards: Shards, cluster: Arc<dyn ClusterView>) -> Self {
        PeerData { shards, cluster }
    }
}

impl Data for PeerData {
    fn groups_of_tasks(&self) -> Result<Vec<GroupId>, SqlError> {
        if self.shards.is_removed() {
            return Err(rejected(&Rejection::Removed));
        }
        self.shards.groups_of_tasks().map_err(|e| rejected(&e))
    }

    fn group_of(&self, namespace: &Namespace) -> Result<GroupId, SqlError> {
        self.shards.route(namespace).map_err(|e| rejected(&e))
    }

    fn rows(&self, group: GroupId) -> Result<Arc<dyn Rows>, SqlError> {
        let view = self.shards.view(group).map_err(|e| rejected(&e))?;
        Ok(Arc::new(PeerRows(view)))
    }

    fn barrier(&self, groups: &[GroupId]) -> Result<(), SqlError> {
        let barriers = join_all(groups.iter().map(|group| self.shards.read_barrier(*group)));
        for (group, reached) in groups.iter().zip(block_on(barriers)?) {
            reached.map_err(|e| not_linearizable(*group, &e))?;
        }
        Ok(())
    }

    fn leases(&self, group: GroupId, namespaces: &[Namespace]) -> Result<Leases, SqlError> {
        if namespaces.is_empty() {
            return Ok(Leases::default());
        }
        Ok(match block_on(self.shards.leased(group, namespaces.to_vec()))? {
            Ok(leased) => Leases { keys: Arc::new(leased.keys.into_iter().collect()), unknown: leased.truncated },
            Err(_) => Leases { keys: Arc::default(), unknown: true },
        })
    }

    fn peers(&self) -> Result<Vec<PeerRow>, SqlError> {
        let (me, roster) = (self.cluster.me(), self.shards.roster());
        let mut leads = BTreeMap::<PeerNumber, u64>::new();
        for group in block_on(self.shards.groups())? {
            if let Some(leader) = group.leader {
                *leads.entry(leader).or_default() += 1;
            }
        }
        let table = self.shards.reach().table();
        let row =
            |member: &Member| peer_row(&me, member, table.get(&member.number), leads.get(&member.number).copied().unwrap_or(0));
        let rows: Vec<PeerRow> = roster.present().map(row).collect();
        Ok(if rows.is_empty() { vec![alone(me)] } else { rows })
    }

    fn groups(&self) -> Result<Vec<GroupRow>, SqlError> {
        let (roster, slots) = (self.shards.roster(), self.shards.slots_by_group());
        let groups = block_on(self.shards.groups())?;
        Ok(groups.into_iter().map(|info| group_row(&roster, &slots, info)).collect())
    }

    fn now_ms(&self) -> u64 {
        self.shards.reach().clocks().now_ms()
    }
}

fn peer_row(me: &Me, member: &Member, reach: Option<&Reachability>, leads: u64) -> PeerRow {
    let row =
        PeerRow { id: member.id.clone(), number: member.number, address: member.address.clone(), leads, ..PeerRow::default() };
    let known = |address: &str| (!address.is_empty()).then(|| address.to_owned());
    if me.number == Some(member.number) {
        let service_address = known(&me.service_address);
        return PeerRow { service_address, connected: true, me: true, clock_skew_ms: Some(0), ..row };
    }
    let Some(reach) = reach else { return row };
    let connected = reach.links > 0;
    PeerRow {
        service_address: known(&reach.service_address),
        connected,
        clock_skew_ms: connected.then_some(reach.skew_ms.round() as i64),
        error: known(&reach.error).filter(|_| !connected),
        ..row
    }
}

/// A peer that knows of no cluster knows itself.
fn alone(me: Me) -> PeerRow {
    let service_address = Some(me.service_address).filter(|address| !address.is_empty());
    PeerRow { id: me.id, number: me.number.unwrap_or(0), service_address, connected: true, me: true, ..PeerRow::default() }
}

fn group_row(roster: &Roster, slots: &BTreeMap<GroupId, u64>, info: GroupInfo) -> GroupRow {
    let name = |number: PeerNumber| roster.name(number);
    let names = |voter: bool| info.replicas.iter().filter(|r| r.voter == voter).map(|r| name(r.peer)).collect();
    let (applied, committed) = (info.applied_index.unwrap_or(0), info.committed_index.unwrap_or(0));
    GroupRow {
        id: info.group.0,
        leader: info.leader.map(name),
        leads: info.serves,
        term: info.term,
        last_log_index: info.last_log_index.unwrap_or(0),
        applied_index: applied,
        lag: committed.saturating_sub(applied),
        stale_ms: info.stale_ms,
        bytes: info.bytes,
        shard: info.shard as u64,
        voters: names(true),
        learners: names(false),
        // The registry has none; slots that nobody knows of yet count as its own until then.
        slots: if info.group == GroupId::REGISTRY { 0 } else { slots.get(&info.group).copied().unwrap_or(0) },
    }
}

/// A view of one group.
struct PeerRows(View);

impl Rows for PeerRows {
    fn read(&self, range: &Range, limits: (usize, usize), into: &mut Vec<RawRow>) -> Result<Option<Range>, SqlError> {
        let Range { namespace, dead, from, until, backwards } = range.clone();
        let left = self.0.read(&Span { namespace, dead, from, until, backwards }, limits, into).map_err(|e| unreadable(&e))?;
        Ok(left.map(|Span { namespace, dead, from, until, backwards }| Range { namespace, dead, from, until, backwards }))
    }

    fn namespace(&self, namespace: &Namespace) -> Result<Option<NamespaceRow>, SqlError> {
        self.0.namespace(namespace).map_err(|e| unreadable(&e))
    }

    fn namespaces(&self, after: Option<&Namespace>, limit: usize) -> Result<Vec<(Namespace, NamespaceRow)>, SqlError> {
        self.0.namespaces(after, limit).map_err(|e| unreadable(&e))
    }
}

fn rejected(rejection: &Rejection) -> SqlError {
    SqlError::other(rejection.to_string())
}

fn not_linearizable(group: GroupId, rejection: &Rejection) -> SqlError {
    SqlError::other(format!(
        "group {group} cannot be read with z4_consistency = 'linearizable': {rejection}, or SET SESSION z4_consistency = 'stale'"
    ))
}

fn unreadable(error: &PartitionError) -> SqlError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    tracing::error!(error = %error, cause, "SQL cannot read a partition");
    SqlError::other(format!("{error}{cause}"))
}

/// Waits on this thread for what shards answer.
fn block_on<T>(answer: impl Future<Output = T>) -> Result<T, SqlError> {
    wait_until(answer, clock::monotonic().checked_add(ANSWER_MAX))
        .ok_or_else(|| SqlError::other(format!("the peer did not answer within {} s", ANSWER_MAX.as_secs())))
}

#[cfg(test)]
mod tests {
    //! What a shard says must come out as a row, and an answer must reach a thread that waits for it. Whole peers under SQL are tested from
    //! outside.

    use futures_channel::oneshot;
    use z4_shards::shard::api::ReplicaInfo;

    use super::*;

    fn roster() -> Roster {
        let member =
            |number: u64| Member { number, id: format!("p{number}"), address: format!("h:{number}"), removed: number == 4 };
        Roster { cluster: "c".to_owned(), members: (1..=4).map(member).collect(), ..Roster::default() }
    }

    struct Nobody;

    impl ClusterView for Nobody {
        fn me(&self) -> Me {
            Me { id: "new".to_owned(), ..Me::default() }
        }
    }

    #[test]
    fn an_answer_wakes_the_thread_that_waits() {
        let (tx, rx) = oneshot::channel();
        let asked = std::thread::spawn(move || block_on(rx));
        tx.send(7).expect("somebody waits");
        assert_eq!(asked.join().expect("no panic").expect("in time"), Ok(7));
    }

    #[test]
    fn a_group_says_how_far_behind_it_is() {
        let replica = |peer: u64, voter: bool| ReplicaInfo { peer, voter, matched: None };
        let info = GroupInfo {
            group: GroupId(2),
            leader: Some(2),
            serves: false,
            term: 3,
            last_log_index: Some(12),
            applied_index: Some(7),
            committed_index: Some(10),
            stale_ms: Some(150),
            bytes: 99,
            voters: vec![1, 2],
            shard: 1,
            replicas: vec![replica(1, true), replica(2, true), replica(9, false)],
        };
        let row = group_row(&roster(), &BTreeMap::from([(GroupId(2), 1_365)]), info);
        assert_eq!((row.leader.as_deref(), row.lag, row.stale_ms, row.bytes), (Some("p2"), 3, Some(150), 99));
        assert_eq!((row.voters, row.learners, row.slots), (vec!["p1".to_owned(), "p2".to_owned()], vec!["9".to_owned()], 1_365));
    }

    #[test]
    fn a_peer_is_shown_as_it_is_reached() {
        let (roster, me) = (roster(), Me { number: Some(1), service_address: "h:6355".to_owned(), ..Me::default() });
        let row = |n: usize, reach| peer_row(&me, &roster.members[n], reach, 2);
        let up = Reachability { links: 2, skew_ms: -3.6, service_address: "x:1".to_owned(), ..Reachability::default() };
        let down = Reachability { error: "refused".to_owned(), ..Reachability::default() };
        assert!(row(0, None).me && row(0, None).connected && row(0, None).leads == 2);
        assert_eq!(
            (row(1, Some(&up)).connected, row(1, Some(&up)).clock_skew_ms, row(1, Some(&up)).error),
            (true, Some(-4), None)
        );
        assert_eq!((row(1, Some(&down)).connected, row(1, Some(&down)).clock_skew_ms), (false, None));
        assert_eq!(row(1, Some(&down)).error.as_deref(), Some("refused"));
        assert_eq!((row(2, None).connected, row(2, None).error), (false, None));
    }

    #[test]
    fn a_peer_of_no_cluster_says_so_and_shows_itself() {
        let (shards, inboxes) = Shards::new(1, 16);
        let data = PeerData::new(shards, Arc::new(Nobody));
        let told = |e: SqlError| (e.code, e.message.contains("not a member of a cluster"));
        let namespace = Namespace::new("a").expect("valid");
        assert_eq!(data.groups_of_tasks().map_err(told), Err((1105, true)));
        assert_eq!(data.group_of(&namespace).map_err(told), Err((1105, true)));
        assert_eq!(data.rows(GroupId(1)).map(|_| ()).map_err(told), Err((1105, true)));
        assert!(data.leases(GroupId(1), &[]).is_ok_and(|leases| !leases.unknown && leases.keys.is_empty()));
        drop(inboxes);
        assert!(data.leases(GroupId(1), &[namespace]).is_ok_and(|leases| leases.unknown), "the shards are gone");
        assert_eq!(data.barrier(&[GroupId(1)]).map_err(|e| e.code), Err(1105));
        let peers = data.peers().expect("told");
        assert_eq!((peers.len(), peers[0].id.as_str(), peers[0].me), (1, "new", true));
        assert_eq!(data.groups().expect("told"), []);
    }
}
