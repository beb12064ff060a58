//! Which peers this one reaches: written by the links of all shards, read by everybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use crate::ids::PeerNumber;

/// What is known of one peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reachability {
    /// Links that are up, over all shards.
    pub links: usize,
    /// When the first came up or the last went down, by the monotonic clock.
    pub since: Duration,
    /// Why there is no link, when the last attempt told.
    pub error: String,
    /// Where clients reach it, as it said itself.
    pub service_address: String,
    /// Its clock minus ours, milliseconds, as last measured.
    pub skew_ms: f64,
}

/// The table. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reach(Arc<ArcSwap<BTreeMap<PeerNumber, Reachability>>>);

impl Reach {
    /// Everything that is known now.
    pub fn table(&self) -> Guard<Arc<BTreeMap<PeerNumber, Reachability>>> {
        self.0.load()
    }

    /// There is a link to the peer from some shard.
    pub fn is_up(&self, peer: PeerNumber) -> bool {
        self.0.load().get(&peer).is_some_and(|reach| reach.links > 0)
    }

    /// Changes what is known of a peer.
    pub fn update(&self, peer: PeerNumber, change: impl Fn(&mut Reachability)) {
        self.0.rcu(|table| {
            let mut table = BTreeMap::clone(table);
            change(table.entry(peer).or_default());
            table
        });
    }
}
