//! What a shard remembers of the cluster, and what a group remembers of its own steps.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use z4_model::ids::PeerNumber;

use crate::roster::Roster;
use crate::runtime::clock;
use crate::runtime::clock::Instant;
use crate::runtime::notify::Notify;
use crate::shard::balance::Arming;
use crate::shard::handle::Shards;

/// The same trouble is told again after this.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What a shard knows of the cluster.
pub struct ClusterWork {
    /// The way to the other shards; there once the shard runs.
    pub(super) shards: RefCell<Option<Shards>>,
    /// Who is in the cluster; nobody as long as that is not known.
    pub(super) roster: RefCell<Arc<Roster>>,
    /// Something changed that the groups may have to follow.
    pub(super) changed: Notify,
    /// When leaders are spread.
    pub(super) arming: RefCell<Arming>,
    /// The members whose gauges are set, with their ids.
    pub(super) shown: RefCell<BTreeMap<PeerNumber, String>>,
    /// When a peer's clock was last complained of.
    pub(super) skew_told: RefCell<BTreeMap<PeerNumber, Instant>>,
}

impl ClusterWork {
    pub(super) fn new() -> Self {
        ClusterWork {
            shards: RefCell::default(),
            roster: RefCell::default(),
            changed: Notify::default(),
            arming: RefCell::new(Arming::new(clock::monotonic())),
            shown: RefCell::default(),
            skew_told: RefCell::default(),
        }
    }
}

/// What is under way with a group's membership and its leader.
#[derive(Default)]
pub struct Steering {
    /// A step or a hand-over is under way.
    pub(super) busy: Cell<bool>,
    /// Since when this replica leads and serves, as seen by the steering loop.
    pub(super) led_since: Cell<Option<Instant>>,
    /// When leadership was last to be handed over from here.
    pub(super) moved: Cell<Option<Instant>>,
    /// The voters when they were last looked at.
    pub(super) voters: RefCell<BTreeSet<PeerNumber>>,
    /// The peers whose lag is shown, with their ids.
    pub(super) lags: RefCell<BTreeMap<PeerNumber, String>>,
    /// What was last told, and when.
    told: RefCell<Option<(String, Instant)>>,
}

impl Steering {
    /// This trouble should be told now: it is another one than before, or a while has passed.
    pub(super) fn should_tell(&self, trouble: &str, now: Instant) -> bool {
        let mut told = self.told.borrow_mut();
        let known = told.as_ref().is_some_and(|(text, at)| text == trouble && now.duration_since(*at) < TELL_AGAIN);
        if !known {
            *told = Some((trouble.to_owned(), now));
        }
        !known
    }

    /// All is well: the next trouble is a new one.
    pub(super) fn settled(&self) {
        self.told.borrow_mut().take();
    }
}
