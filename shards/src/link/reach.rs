//! Which peers this one reaches: written by the links of all shards, read by everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use z4_model::ids::PeerNumber;

use super::clocks::{Clocks, Reading};
use super::disks::Disks;
use super::space::Space;
use crate::account::Account;
use crate::runtime::clock;
use crate::runtime::clock::Instant;

/// What is known of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reachability {
    /// Links that are up, over all shards.
    pub links: usize,
    /// When the first came up or the last went down, by the monotonic clock.
    pub since: Instant,
    /// Why there is no link, when the last attempt told.
    pub error: String,
    /// Where clients reach it, as it said itself.
    pub service_address: String,
    /// Its clock minus ours, milliseconds, as last measured.
    pub skew_ms: f64,
    /// Its disks have less than this left, bytes, as it said last; `None`: they have room.
    pub short_of: Option<u64>,
    /// Its clock; `None`: not measured yet.
    pub clock: Option<Reading>,
}

impl Default for Reachability {
    fn default() -> Self {
        Reachability {
            links: 0,
            since: clock::monotonic(),
            error: String::new(),
            service_address: String::new(),
            skew_ms: 0.0,
            short_of: None,
            clock: None,
        }
    }
}

/// The table, what this peer tells the others of its disks, and what its links are charged to. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reach(Arc<Inner>, Space, Arc<OnceLock<Account>>);

#[derive(Default)]
struct Inner {
    table: ArcSwap<BTreeMap<PeerNumber, Reachability>>,
    /// The members of the cluster, this peer included.
    members: ArcSwap<BTreeSet<PeerNumber>>,
    clocks: Clocks,
    disks: Disks,
}

impl Reach {
    /// Everything that is known now.
    pub fn table(&self) -> Guard<Arc<BTreeMap<PeerNumber, Reachability>>> {
        self.0.table.load()
    }

    /// This peer's own disks.
    pub fn space(&self) -> &Space {
        &self.1
    }

    /// Charges what links have received and not made use of, and what they are to send, to an account; the first one that is named counts.
    pub fn charge_to(&self, account: Account) {
        // An account that is there stays.
        let _ = self.2.set(account);
    }

    /// The account of the links.
    pub fn account(&self) -> Option<&Account> {
        self.2.get()
    }

    /// There is a link to the peer from some shard.
    pub fn is_up(&self, peer: PeerNumber) -> bool {
        self.0.table.load().get(&peer).is_some_and(|reach| reach.links > 0)
    }

    /// What time it is, by the clocks of all members.
    pub fn clocks(&self) -> &Clocks {
        &self.0.clocks
    }

    /// How far the disks of all members are known to have got.
    pub fn disks(&self) -> &Disks {
        &self.0.disks
    }

    /// Says whose clocks count: those of the members, this peer included.
    pub fn set_members(&self, members: BTreeSet<PeerNumber>) {
        self.0.members.store(Arc::new(members));
        self.compare_clocks();
    }

    /// A peer's clock was measured.
    pub fn measured(&self, peer: PeerNumber, reading: Reading) {
        let own_us = self.0.clocks.own_course_us();
        self.update(peer, |reach| {
            let clock = reading.or_better(reach.clock);
            reach.clock = Some(clock);
            reach.skew_ms = (clock.offset_us - own_us) as f64 / 1e3;
        });
        self.compare_clocks();
    }

    fn compare_clocks(&self) {
        let (table, members) = (self.0.table.load(), self.0.members.load());
        // Its own clock is not in the table: nobody has a link to itself.
        let known = table.iter().filter(|(peer, _)| members.contains(peer)).filter_map(|(_, reach)| reach.clock);
        self.0.clocks.set_others(members.len(), known);
    }

    /// Changes what is known of a peer. `change` may be called more than once.
    pub fn update(&self, peer: PeerNumber, change: impl Fn(&mut Reachability)) {
        self.0.table.rcu(|table| {
            let mut table = BTreeMap::clone(table);
            change(table.entry(peer).or_default());
            table
        });
    }

    /// One more link is up.
    pub(super) fn came_up(&self, peer: PeerNumber) {
        self.update(peer, |reach| {
            if reach.links == 0 {
                reach.since = clock::monotonic();
                reach.error.clear();
            }
            reach.links += 1;
        });
    }

    /// One link less is up.
    pub(super) fn went_down(&self, peer: PeerNumber, reason: &str) {
        self.update(peer, |reach| {
            reach.links = reach.links.saturating_sub(1);
            if reach.links == 0 {
                reach.since = clock::monotonic();
                reason.clone_into(&mut reach.error);
            }
        });
    }
}
