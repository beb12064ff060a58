//! Whether this peer serves, and why not: the one place that says so. Probes, `grpc.health.v1`, `CheckHealth` and `z4t ping` read it.
//!
//! Each shard writes down how its groups are, a few times a second, where any thread can read it without asking the executor: one that
//! hangs is told by the age of what it wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use z4_model::ids::{GroupId, PeerNumber};

use crate::runtime::clock::Instant;
use crate::runtime::{clock, pace};
use crate::shard::group::Group;
use crate::shard::handle::Shards;
use crate::shard::worker::Shard;

/// A leader of which nothing was heard for so long is none. Three heartbeats may be lost.
const HEARD_WITHIN: Duration = Duration::from_millis(1_000);

/// A group that has no leader for so long has none: elections take less.
const LEADERLESS_AFTER: Duration = Duration::from_secs(3);

/// A shard that wrote nothing for so long does not serve.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// How one group is, as its replica here knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It has a leader: this peer, or one that this peer hears.
    Led,
    /// It has none.
    Leaderless,
    /// The replica cannot serve, whoever leads.
    Troubled(Arc<str>),
}

/// Why a peer does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotServing {
    /// It belongs to no cluster yet.
    Waiting,
    /// It was removed from its cluster.
    Removed,
    /// One of its executors does not turn.
    Stuck {
        /// Which.
        shard: usize,
        /// For how long, in whole seconds.
        seconds: u64,
    },
    /// It does not know its groups yet, or has not opened them all.
    Starting {
        /// The first that is not open; `None`: it is not known which there are.
        group: Option<GroupId>,
    },
    /// The replica of a group cannot serve.
    Troubled {
        /// Which.
        group: GroupId,
        /// Why.
        what: Arc<str>,
    },
    /// Groups have no leader that this peer hears: no quorum lives, or this peer is cut off from it.
    NoLeader {
        /// Which, at least one.
        groups: Vec<GroupId>,
    },
}

impl fmt::Display for NotServing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotServing::Waiting => f.write_str("peer has no leader: it waits to be added to a cluster"),
            NotServing::Removed => f.write_str("the peer was removed from its cluster"),
            NotServing::Stuck { shard, seconds } => write!(f, "shard {shard} has not turned for {seconds} s"),
            NotServing::Starting { group: None } => f.write_str("the peer is starting: it does not know its groups yet"),
            NotServing::Starting { group: Some(group) } => write!(f, "the peer is starting: group {group} is not open yet"),
            NotServing::Troubled { group, what } => write!(f, "group {group}: {what}"),
            NotServing::NoLeader { groups } => {
                let names: Vec<String> = groups.iter().map(GroupId::to_string).collect();
                write!(f, "peer has no leader: group {}", names.join(", "))
            }
        }
    }
}

/// What one shard wrote down.
struct Page {
    /// When, as milliseconds since the board was made, plus one; 0: never.
    looked: AtomicU64,
    groups: ArcSwap<BTreeMap<GroupId, Condition>>,
}

/// What all shards wrote down.
pub(super) struct Board {
    made: Instant,
    pages: Vec<Page>,
}

impl Board {
    pub(super) fn new(shards: usize) -> Self {
        let page = |_| Page { looked: AtomicU64::new(0), groups: ArcSwap::default() };
        Board { made: clock::monotonic(), pages: (0..shards).map(page).collect() }
    }

    fn write(&self, shard: usize, now: Instant, groups: BTreeMap<GroupId, Condition>) {
        let Some(page) = self.pages.get(shard) else { return };
        if **page.groups.load() != groups {
            page.groups.store(Arc::new(groups));
        }
        page.looked.store(now.saturating_duration_since(self.made).as_millis() as u64 + 1, Ordering::Release);
    }

    /// The shard that has not written for the longest time, and for how long. One that has never written is still starting.
    fn stuck(&self, now: Instant) -> Option<(usize, Duration)> {
        let now_ms = now.saturating_duration_since(self.made).as_millis() as u64 + 1;
        let looked = self.pages.iter().enumerate().map(|(shard, page)| (shard, page.looked.load(Ordering::Acquire)));
        let oldest = looked.filter(|(_, at)| *at > 0).min_by_key(|(_, at)| *at);
        oldest.map(|(shard, at)| (shard, Duration::from_millis(now_ms.saturating_sub(at))))
    }

    fn condition(&self, group: GroupId) -> Option<Condition> {
        let page = self.pages.get(group.shard(self.pages.len().max(1)))?;
        page.groups.load().get(&group).cloned()
    }

    /// Whether all of these groups can be used through this peer.
    fn check(&self, now: Instant, groups: impl Iterator<Item = GroupId>) -> Result<(), NotServing> {
        if let Some((shard, silent)) = self.stuck(now).filter(|(_, silent)| *silent >= STUCK_AFTER) {
            return Err(NotServing::Stuck { shard, seconds: silent.as_secs() });
        }
        let mut leaderless = Vec::new();
        let mut troubled = None;
        for group in groups {
            match self.condition(group) {
                None => return Err(NotServing::Starting { group: Some(group) }),
                Some(Condition::Led) => {}
                Some(Condition::Leaderless) => leaderless.push(group),
                Some(Condition::Troubled(what)) => drop(troubled.get_or_insert(NotServing::Troubled { group, what })),
            }
        }
        match troubled {
            Some(troubled) => Err(troubled),
            None if leaderless.is_empty() => Ok(()),
            None => Err(NotServing::NoLeader { groups: leaderless }),
        }
    }
}

impl Shards {
    /// Whether this peer serves: it is a member, its groups are open, each has a leader that it hears, and nothing here hangs. Any thread may
    /// ask; nobody is waited for.
    pub fn serving(&self) -> Result<(), NotServing> {
        let groups = self.0.groups.load();
        match () {
            () if self.is_removed() => Err(NotServing::Removed),
            () if self.me() == 0 => Err(NotServing::Waiting),
            () if groups.is_empty() => match self.0.board.condition(GroupId::REGISTRY) {
                Some(Condition::Troubled(what)) => Err(NotServing::Troubled { group: GroupId::REGISTRY, what }),
                _ => Err(NotServing::Starting { group: None }),
            },
            () => self.0.board.check(clock::monotonic(), iter::once(GroupId::REGISTRY).chain(groups.iter().copied())),
        }
    }

    /// The shard whose executor has not turned for the longest time, and for how long. `None`: none has started yet.
    pub fn stuck(&self) -> Option<(usize, Duration)> {
        self.0.board.stuck(clock::monotonic())
    }
}

impl Group {
    /// Who leads, if it is heard: this peer while a quorum answers it, another one while it is not silent.
    pub(super) fn heard_leader(&self) -> Option<PeerNumber> {
        let replica = self.replica()?;
        let leader = replica.status().leader?;
        let heard = replica.silence().is_some_and(|silence| silence < pace::stretch(HEARD_WITHIN));
        (heard && (leader == self.me) == replica.leads()).then_some(leader)
    }

    fn condition(&self, now: Instant) -> Condition {
        if self.damage.is_found() {
            return Condition::Troubled("the partition is damaged, and is being rebuilt where another peer has it".into());
        }
        if let Some(what) = self.trouble.borrow().clone() {
            return Condition::Troubled(what);
        }
        let leads_idly = || self.replica().is_some_and(|replica| replica.leads()) && !self.leads();
        if self.heard_leader().is_some() && !leads_idly() {
            self.led_at.set(Some(now));
        }
        let led = self.led_at.get().is_some_and(|at| now.saturating_duration_since(at) < pace::stretch(LEADERLESS_AFTER));
        if led { Condition::Led } else { Condition::Leaderless }
    }
}

impl Shard {
    /// Writes down how its groups are.
    pub(super) fn write_down(&self) {
        let Some(shards) = self.shards() else { return };
        let now = clock::monotonic();
        let groups = self.groups.borrow().iter().map(|(id, group)| (*id, group.condition(now))).collect();
        shards.0.board.write(self.index, now, groups);
    }
}

#[cfg(test)]
mod tests {
    //! A peer that says it serves and does not is sent requests that it cannot answer; one that says the opposite is taken out of service.
    use super::*;

    fn groups(conditions: &[(u16, Condition)]) -> BTreeMap<GroupId, Condition> {
        conditions.iter().map(|(group, condition)| (GroupId(*group), condition.clone())).collect()
    }

    #[test]
    fn each_reason_is_told_and_the_weightiest_first() {
        let board = Board::new(2);
        let (all, start) = ([GroupId(0), GroupId(1), GroupId(2)], board.made);
        let check = |after_ms| board.check(start + Duration::from_millis(after_ms), all.into_iter());
        assert_eq!(check(0), Err(NotServing::Starting { group: Some(GroupId(0)) }));
        board.write(0, start, groups(&[(0, Condition::Led), (2, Condition::Led)]));
        assert_eq!(check(1), Err(NotServing::Starting { group: Some(GroupId(1)) }));
        board.write(1, start, groups(&[(1, Condition::Leaderless)]));
        assert_eq!(check(2), Err(NotServing::NoLeader { groups: vec![GroupId(1)] }));
        board.write(0, start, groups(&[(0, Condition::Leaderless), (2, Condition::Troubled("hangs".into()))]));
        assert_eq!(check(3), Err(NotServing::Troubled { group: GroupId(2), what: "hangs".into() }));
        board.write(0, start, groups(&[(0, Condition::Led), (2, Condition::Led)]));
        board.write(1, start + Duration::from_secs(5), groups(&[(1, Condition::Led)]));
        assert_eq!(check(9_999), Ok(()));
        assert_eq!(check(10_500), Err(NotServing::Stuck { shard: 0, seconds: 10 }));
        board.write(0, start + Duration::from_secs(11), groups(&[(0, Condition::Led), (2, Condition::Led)]));
        assert_eq!(check(11_000), Ok(()));
    }

    /// Clients of the first z4 look for these words.
    #[test]
    fn a_peer_without_a_leader_says_so() {
        let no_leader = NotServing::NoLeader { groups: vec![GroupId(0), GroupId(3)] };
        for reason in [NotServing::Waiting, no_leader.clone()] {
            assert!(reason.to_string().starts_with("peer has no leader"), "{reason}");
        }
        assert_eq!(no_leader.to_string(), "peer has no leader: group 0, 3");
    }

    #[test]
    fn a_peer_that_waits_or_was_removed_does_not_serve() {
        let shards = Shards::new(1, 1).0;
        assert_eq!(shards.serving(), Err(NotServing::Waiting));
        shards.identify(4, "cluster");
        assert_eq!(shards.serving(), Err(NotServing::Starting { group: None }));
        shards.set_removed();
        assert_eq!(shards.serving(), Err(NotServing::Removed));
    }
}
